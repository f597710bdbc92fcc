--- Delays a server's accept for one client while it goes on to serve the others: is the server's other work
-- independent of one slow connection?
--
-- Usage: luatrace examples/slow-accept.lua [NTH [HOW]] -- SERVER
--   NTH  which accepted connection is delayed (default 1)
--   HOW  seconds to wait ("0.5s", the default), or a number of connections that must have been accepted after it
--
-- Only the thread (or process) whose accept it was waits. slow-accept/server.py is a server with two accepting threads
-- that also plays its three clients. Captured output:
--
--   $ luatrace examples/slow-accept.lua 1 0.5s -- python3 examples/slow-accept/server.py
--   connection 1 waits
--   client 2: hello
--   client 3: hello
--   client 1: hello

local nth = tonumber(arg[1] or 1)
local seconds = tonumber((arg[2] or "0.5s"):match("^([%d.]+)s$"))
local others = not seconds and tonumber(arg[2])
if not seconds and not others then error('HOW is a time such as "0.5s" or a number of connections', 0) end
local accepted = 0
local held

on["accept,accept4"](function(call)
  if not call:run() then return end
  accepted = accepted + 1
  if accepted == nth then
    io.stderr:write(("connection %d waits\n"):format(nth))
    if seconds then return call:sleep(seconds) end
    held = call
    call:hold()
  elseif held and accepted == nth + others then
    io.stderr:write(("connection %d goes on\n"):format(nth))
    held:release()
    held = nil
  end
end)
