--- Who takes a short read for the end of the file? Compares what a command makes when each read and write moves at most
-- 1000 bytes with what it makes otherwise: any difference is a fault of the program.
--
-- Usage: luatrace examples/faults/short_io.lua OUTPUT COMMAND...
--   OUTPUT  the file that the command makes
--
-- block_copy.c stops at the first block that is not full. Captured output:
--
--   $ cp /etc/services words
--   $ luatrace examples/faults/short_io.lua copy ./block_copy words copy
--   copy: 1000 of 12813 bytes are there when reads and writes are short
--   $ luatrace examples/faults/short_io.lua copy cat words
--   the same

local function read(path)
  local file = io.open(path, "rb")
  local bytes = file and file:read("*a")
  if file then file:close() end
  return bytes
end

local output, command = arg[1], { unpack(arg, 2) }
if #command == 0 then error("usage: luatrace examples/faults/short_io.lua OUTPUT COMMAND...", 0) end

local function made_by(script)
  os.remove(output)
  local result = run { cmd = command, script = script }
  return read(output) or result.stdout
end

local whole = made_by(nil)
local now = made_by(function(t) t.inject.short_io { max = 1000 } end)
if now == whole then
  print("the same")
else
  print(("%s: %d of %d bytes are there when reads and writes are short"):format(output, #now, #whole))
  os.exit(1)
end
