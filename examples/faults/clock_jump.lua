--- The clock is set while a program runs: does it stop for an hour, or do an hour's work at once? Timeouts, caches,
-- leases and cron-like loops should go by a clock that only counts.
--
-- Usage: luatrace [--timeout=S] examples/faults/clock_jump.lua BY [AFTER [READS]] -- COMMAND
--   BY     "1h", "-1h"
--   AFTER  so long after the start (default "300ms")
--   READS  and when the program has looked at the clock so often: the same in every run, however busy the machine is
--
-- every.py does something every 0.2 s, three times. Captured output:
--
--   $ luatrace --timeout=3 examples/faults/clock_jump.lua -1h -- python3 examples/faults/every.py; echo $?
--   done
--   124
--   $ luatrace examples/faults/clock_jump.lua 1h -- python3 examples/faults/every.py
--   done
--   done
--   done
--   too early
--   $ luatrace examples/faults/clock_jump.lua -1h -- python3 examples/faults/every.py careful
--   done
--   done
--   done
--   in time

if not arg[1] then error("usage: luatrace examples/faults/clock_jump.lua BY [AFTER [READS]] -- COMMAND", 0) end

inject.clock_jump { by = arg[1], after = arg[2] or "300ms", reads = tonumber(arg[3]) }
