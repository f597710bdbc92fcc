--- A web server that exists in this script only, for a program that needs one: no port is opened, the network is not
-- used, and the name need not exist. It can be slow, break the connection, or answer only half.
--
-- Usage: luatrace examples/mock-peer.lua HOST:PORT HOW -- COMMAND
--   HOW  "ok" answers; "slow" first waits 2 s; "reset" breaks the connection in the middle; "half" sends less than it
--        promises; the name of an error, such as ECONNREFUSED: connecting fails with it
--
-- Captured output:
--
--   $ luatrace examples/mock-peer.lua api.internal:80 ok -- curl -s http://api.internal/users/1
--   you asked for /users/1
--   $ luatrace examples/mock-peer.lua api.internal:80 reset -- curl -sS http://api.internal/
--   curl: (56) Recv failure: Connection reset by peer
--   $ luatrace examples/mock-peer.lua api.internal:80 slow -- curl -sS --max-time 1 http://api.internal/
--   curl: (28) Operation timed out after 1001 milliseconds with 0 bytes received
--   $ luatrace examples/mock-peer.lua api.internal:80 ECONNREFUSED -- curl -sS http://api.internal/
--   curl: (7) Failed to connect to api.internal port 80 after 2 ms: Couldn't connect to server

local where, how = arg[1], arg[2]
if not how then error("usage: luatrace examples/mock-peer.lua HOST:PORT HOW -- COMMAND", 0) end

local function serve(conn)
  while true do
    local head = conn:read_until "\r\n\r\n"
    if not head then return end
    local body = ("you asked for %s\n"):format(head:match "^%S+ (%S+)")
    if how == "slow" then conn:stall(2) end
    conn:write("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ", #body, "\r\n\r\n")
    if how == "reset" then return conn:reset() end
    if how == "half" then return conn:write(body:sub(1, 10)) end
    conn:write(body)
  end
end

peer.tcp(where, how:find "^E" and how or serve)
