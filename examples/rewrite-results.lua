--- Lets chosen reads fail, or return another count than they did: how does a program take a connection that is reset
-- halfway, or a device that returns less than was there?
--
-- Usage: luatrace examples/rewrite-results.lua RESULT [NTH [PATTERN]] -- COMMAND
--   RESULT   an error such as ECONNRESET (the call does not happen), or the count to return in place of the real one
--   NTH      which of the matching reads (default 1; "all": every one)
--   PATTERN  only fds whose "kind path" matches this Lua pattern (default: all but shared libraries, which the loader
--            reads)
--
-- Captured output:
--
--   $ luatrace examples/rewrite-results.lua ECONNRESET 1 greet -- cat greet.h
--   cat: greet.h: Connection reset by peer
--   $ echo hello world | luatrace examples/rewrite-results.lua 5 1 ^pipe -- cat
--   hello

local result = arg[1] or error("usage: luatrace examples/rewrite-results.lua RESULT [NTH [PATTERN]] -- COMMAND", 0)
local count = tonumber(result)
local nth = arg[2] ~= "all" and tonumber(arg[2] or 1) or nil
local pattern = arg[3]
local reads = 0

local function wanted(fd)
  local path = fd.path or ""
  if pattern then return ("%s %s"):format(fd.kind, path):find(pattern) ~= nil end
  return not path:find("%.so")
end

-- The last three read as well, into another file.
on["read,readv,pread64,recvfrom,recvmsg,copy_file_range,sendfile,splice"](function(call)
  if not wanted(call.fd or call.sockfd or call.fd_in or call.in_fd) then return end
  reads = reads + 1
  if nth and reads ~= nth then return end
  if not count then return call:fail(result) end
  if call:run() then call.ret = count end -- a failed read stays one
end)
