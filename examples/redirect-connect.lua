--- Sends a program's connections to a local server: for tests that must not depend on the network, and to see what a
-- program says to a server that you cannot change.
--
-- Usage: luatrace examples/redirect-connect.lua FROM TO -- COMMAND
--   FROM  the port, or the IP:PORT, that the program connects to ("*": all)
--   TO    the port on 127.0.0.1 that it reaches instead
--
-- Captured output (a python3 -m http.server listens on 8000):
--
--   $ cat client.py
--   import socket
--   with socket.create_connection(("192.0.2.1", 80)) as server:
--       server.sendall(b"GET /greet.h HTTP/1.0\r\n\r\n")
--       print(server.makefile().read().splitlines()[0])
--   $ luatrace examples/redirect-connect.lua 192.0.2.1:80 8000 -- /usr/bin/python3 client.py
--   python3: 192.0.2.1:80 -> 127.0.0.1:8000
--   HTTP/1.0 200 OK

local from, to = arg[1], tonumber(arg[2])
if not to then error("usage: luatrace examples/redirect-connect.lua FROM TO -- COMMAND", 0) end

local AF_INET, AF_INET6 = 2, 10

-- struct sockaddr_in and sockaddr_in6, as the kernel takes them: the family in host order, the port in network order.
local port_bytes = string.char(math.floor(to / 256), to % 256)
local loopback = "\127\0\0\1"
local addresses = {
  [AF_INET] = "\2\0" .. port_bytes .. loopback .. ("\0"):rep(8),
  [AF_INET6] = "\10\0" .. port_bytes .. ("\0"):rep(4) .. ("\0"):rep(10) .. "\255\255" .. loopback .. ("\0"):rep(4),
}

on.connect(function(call)
  local head = call.memory:read(call.args[2], 2)
  local address = head and addresses[head:byte(1)]
  if not address then return end -- a Unix socket, or a bad address: the kernel's business
  local port, ip = call.addr.port, call.addr.ip
  if from ~= "*" and from ~= tostring(port) and from ~= ("%s:%d"):format(ip, port) then return end
  io.stderr:write(("%s: %s:%d -> 127.0.0.1:%d\n"):format(call.process.comm, ip, port, to))
  local room = call.memory:alloc(#address)
  call.memory:write(room, address)
  call.args[2], call.args[3] = room, #address
end)
