--- Kills the program at the onset of its 4th write of one byte: a file written in place is left with exactly three
-- bytes, one that is written beside its target and renamed is not there at all.
--
-- Usage: luatrace examples/kill-fourth-byte.lua [N] -- COMMAND
--   N  which one-byte write kills (default 4)
--
-- kill-fourth-byte/writer.c writes "aaaaaaaa" byte by byte, in place or atomically. Captured output:
--
--   $ gcc -o writer examples/kill-fourth-byte/writer.c
--   $ luatrace examples/kill-fourth-byte.lua -- ./writer in-place target
--   Killed
--   $ cat target
--   aaa
--   $ rm target
--   $ luatrace examples/kill-fourth-byte.lua -- ./writer atomic target
--   Killed
--   $ ls target*
--   target.new

local nth = tonumber(arg[1] or 4)
local writes = 0

watch.write(function(call)
  if call.args[3] ~= 1 then return end
  writes = writes + 1
  if writes == nth then call:kill() end
end)
