--- Runs a program without a network: sockets of the internet families and connections fail with EACCES, Unix sockets
-- go on working. To see what a program does offline, not to confine a hostile one.
--
-- Usage: luatrace examples/deny-network.lua -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/deny-network.lua -- bash -c 'exec 3<>/dev/tcp/127.0.0.1/80'
--   denied: socket(AF_INET) in bash
--   bash: socket: Permission denied
--   bash: line 1: /dev/tcp/127.0.0.1/80: Permission denied

local denied = { AF_INET = true, AF_INET6 = true, AF_PACKET = true }
local said = {}

local function deny(call, what)
  local line = ("denied: %s in %s\n"):format(what, call.process.comm)
  if not said[line] then io.stderr:write(line) end
  said[line] = true
  call:fail "EACCES"
end

watch.socket(function(call)
  local domain = tostring(call.domain)
  if denied[domain] then deny(call, ("socket(%s)"):format(domain)) end
end)

-- For sockets that were inherited.
watch["connect,sendto,bind"](function(call)
  local addr = call.addr or call.dest_addr
  if type(addr) ~= "table" or not addr.ip then return end
  deny(call, ("%s(%s:%d)"):format(call.name, addr.ip, addr.port))
end)
