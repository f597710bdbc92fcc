--- A bad sector: a part of a file cannot be read. Does a backup notice, and does it say so?
--
-- Usage: luatrace examples/faults/failing_disk.lua FILE FROM TO -- COMMAND
--   FILE      a pattern: "*.db"
--   FROM, TO  the first and the last bad byte: 4096, "8K"
--
-- Says who met the bad place and how the whole command ended. data has 20000 bytes. Captured output:
--
--   $ luatrace examples/faults/failing_disk.lua data 8192 8703 -- cp data copy
--   cp: error copying 'data' to 'copy': Input/output error
--   cp could not read data, exit status of it all: 1
--   $ luatrace examples/faults/failing_disk.lua data 8192 8703 -- sh -c 'cat data | gzip >data.gz'
--   cat: data: Input/output error
--   cat could not read data, exit status of it all: 0
--   $ luatrace examples/faults/failing_disk.lua data 8192 8703 -- \
--       dd if=data of=rescued bs=512 conv=noerror,sync status=none
--   dd could not read data, exit status of it all: 0
--
-- A pipeline ends as its last command does (bash: set -o pipefail); dd takes all but the bad sector, and does not say
-- so.

local file, from, to = arg[1], arg[2], arg[3]
if not to then error("usage: luatrace examples/faults/failing_disk.lua FILE FROM TO -- COMMAND", 0) end

local told = {}

on["read,pread64,readv,preadv,copy_file_range,sendfile,splice"](function(call)
  call:run()
  if call.errno ~= "EIO" then return end
  local line = ("%s could not read %s"):format(call.process.comm, call:paths()[1]:match("[^/]*$"))
  if not told[line] then table.insert(told, line) end
  told[line] = true
end)

inject.failing_disk { path = file, from = tonumber(from) or from, to = tonumber(to) or to, writes = false }

at.finish(function(run)
  for _, line in ipairs(told) do io.stderr:write(("%s, exit status of it all: %s\n"):format(line, run.status)) end
end)
