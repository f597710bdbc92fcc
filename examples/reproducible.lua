--- Makes what a program gets from chance the same in every run: random bytes, process ids, the date. For tests whose
-- output has temporary names, UUIDs, hash orders or dates in it, and to see a rare failure again.
--
-- Usage: luatrace examples/reproducible.lua SEED -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/reproducible.lua 42 -- sh -c 'mktemp -u; echo $$; date +%F'
--   /tmp/tmp.E1WDXUKd8J
--   1000
--   2000-01-01
--   $ luatrace examples/reproducible.lua 42 -- sh -c 'mktemp -u; echo $$; date +%F'
--   /tmp/tmp.E1WDXUKd8J
--   1000
--   2000-01-01

local seed = tonumber(arg[1])
if not seed then error("usage: luatrace examples/reproducible.lua SEED -- COMMAND", 0) end

getrandom { seed = seed }
getpid(1000)
clock { at = "2000-01-01" }
