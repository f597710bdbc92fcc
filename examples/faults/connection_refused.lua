--- A server that is not there yet: does a client try again, how often, and does it say so in the end?
--
-- Usage: luatrace examples/faults/connection_refused.lua [TIMES [PORT]] -- COMMAND
--   TIMES  so many connections fail before one goes through (default: all)
--   PORT   to this port only
--
-- shop.py is a web server for one command. Captured output:
--
--   $ F=examples/faults
--   $ python3 $F/shop.py luatrace $F/connection_refused.lua 2 -- \
--       wget -q --retry-connrefused --waitretry=0 -O page http://localhost:PORT/
--   2 connections were refused, 1 went through
--   $ python3 $F/shop.py luatrace $F/connection_refused.lua 2 -- curl -sS -o page http://localhost:PORT/
--   curl: (7) Failed to connect to localhost port 44225 after 2 ms: Couldn't connect to server
--   2 connections were refused, 0 went through

local ECONNREFUSED = 111
local refused, connected = 0, 0

on.connect(function(call)
  if call.addr.family ~= "AF_INET" and call.addr.family ~= "AF_INET6" then return end
  call:run()
  if call.errno == "ECONNREFUSED" then refused = refused + 1 end
  if not call.errno then connected = connected + 1 end
end)

-- How a connection has ended that was in progress: EINPROGRESS, said connect.
on.getsockopt(function(call)
  if call.optname ~= "SO_ERROR" or not call:run() then return end
  if call.optval == ECONNREFUSED then refused = refused + 1 end
  if call.optval == 0 then connected = connected + 1 end
end)

inject.connection_refused { times = tonumber(arg[1]), port = tonumber(arg[2]) }

at.finish(function()
  io.stderr:write(("%d connections were refused, %d went through\n"):format(refused, connected))
end)
