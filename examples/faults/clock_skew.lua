--- Two machines with two clocks: files come from one that is ahead (a file server, a container's host). make believes
-- the times of files, and its own clock.
--
-- Usage: luatrace examples/faults/clock_skew.lua OFFSET [PROGRAM] -- COMMAND
--   OFFSET   "-5m": five minutes behind
--   PROGRAM  whose clock it is (default: all)
--
-- Captured output:
--
--   $ printf 'out: in\n\tcp in out\n' >Makefile; touch in
--   $ luatrace examples/faults/clock_skew.lua -5m make -- make
--   make: Warning: File 'Makefile' has modification time 299 s in the future
--   cp in out
--   make: warning:  Clock skew detected.  Your build may be incomplete.

local offset, program = arg[1], arg[2]
if not offset then error("usage: luatrace examples/faults/clock_skew.lua OFFSET [PROGRAM] -- COMMAND", 0) end

inject.clock_skew { offset = offset, comm = program }
