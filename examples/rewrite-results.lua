--- Lets chosen reads fail, or return another count than they did: how does a program take a connection that is reset
-- halfway, or a device that returns less than was there?
--
-- Usage: luatrace examples/rewrite-results.lua RESULT [NTH [PATTERN]] -- COMMAND
--   RESULT   an error such as ECONNRESET (the call does not happen), or the count to return in place of the real one
--   NTH      which of the matching reads (default 1; "all": every one)
--   PATTERN  only fds whose "kind path" matches this Lua pattern (default "^[^.]*$": leaves out shared libraries,
--            which the loader reads)
--
-- Captured output:
--
--   @OUTPUT@

local result = arg[1] or error("usage: luatrace examples/rewrite-results.lua RESULT [NTH [PATTERN]] -- COMMAND", 0)
local count = tonumber(result)
local nth = arg[2] ~= "all" and tonumber(arg[2] or 1) or nil
local pattern = arg[3] or "^[^.]*$"
local reads = 0

on["read,readv,pread64,recvfrom,recvmsg"](function(call)
  local fd = call.fd or call.sockfd
  if not ("%s %s"):format(fd.kind, fd.path or ""):find(pattern) then return end
  reads = reads + 1
  if nth and reads ~= nth then return end
  if not count then return call:fail(result) end
  if call:run() then call.ret = count end -- a failed read stays one
end)
