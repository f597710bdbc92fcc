--- A file that exists for one program only: its opens of PATH get an anonymous file with TEXT in it. Nothing is
-- written to disk, and other programs see no such file.
--
-- Usage: luatrace examples/virtual-file.lua PATH TEXT -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/virtual-file.lua /etc/motd.new 'Hello from nowhere\n' -- cat /etc/motd.new
--   Hello from nowhere
--   $ cat /etc/motd.new
--   cat: /etc/motd.new: No such file or directory

local path, text = arg[1], arg[2]
if not text then error("usage: luatrace examples/virtual-file.lua PATH TEXT -- COMMAND", 0) end
text = text:gsub("\\n", "\n")

local MFD_CLOEXEC, SEEK_SET = 1, 0
local CHUNK = 4096

--- Makes the file inside the program: memfd_create, filled by writes, all run in its name.
local function new_file(call)
  local memory = call.memory
  local name = memory:alloc(16)
  memory:write(name, "virtual\0")
  local fd, err = call:inject("memfd_create", name, MFD_CLOEXEC)
  if not fd then return nil, err end
  local room = memory:alloc(CHUNK)
  for first = 1, #text, CHUNK do
    local chunk = text:sub(first, first + CHUNK - 1)
    memory:write(room, chunk)
    call:inject("write", fd, room, #chunk)
  end
  call:inject("lseek", fd, 0, SEEK_SET)
  return fd
end

on["open,openat,openat2"](function(call)
  if call.pathname ~= path then return end
  local fd, err = new_file(call)
  if fd then call:returns(fd) else call:fail(err) end
end)

-- Programs that ask first whether it is there ask about such a file instead.
on["access,faccessat,faccessat2,stat,newfstatat,statx"](function(call)
  if call.pathname ~= path then return end
  local fd, err = new_file(call)
  if not fd then return call:fail(err) end
  call.pathname = "/proc/self/fd/" .. fd
  call:run()
  call:inject("close", fd)
end)
