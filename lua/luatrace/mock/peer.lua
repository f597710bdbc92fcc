--- The peer mock: servers that exist in the script only. The program connects to them by address or by name and gets
-- one end of a socket pair; a coroutine of the script's talks on the other.
--
--   peer.tcp("db:5432", function(conn)                -- a name that no name service knows; "10.0.0.1:80", "[::1]:80",
--     local line = conn:read_line()                   -- "localhost:80", "*:443" (any host)
--     conn:write("hello ", line, "\n")
--     conn:stall(3)                                   -- only this connection waits
--     conn:reset()                                    -- ECONNRESET; conn:shutdown() half-closes; returning closes
--   end)
--   peer.tcp("cache:6379", "ECONNREFUSED")            -- connecting fails
--   peer.unix("/run/app.sock", function(conn) ... end)
--
-- What the program asks its socket (getpeername, getsockname, options of TCP) is answered as for the socket that it
-- made; poll, epoll, select, sendfile, fork and all reading and writing are the kernel's own. Names are found in
-- /etc/hosts, which gets them added, and by DNS: peer/dns.lua.

local address = require "luatrace.mock.peer.address"
local connection = require "luatrace.mock.peer.connection"
local constants = require "luatrace.constants"
local descriptors = require "luatrace.sys.descriptors"
local dns = require "luatrace.mock.peer.dns"
local mock = require "luatrace.mock"
local place = require "luatrace.mock.files.place"
local sockets = require "luatrace.mock.peer.sockets"
local swap = require "luatrace.mock.peer.swap"

local M = {}

local word32 = place.word32
local SOL_SOCKET, SO_TYPE, SOCK_STREAM, SOCK_DGRAM = 1, 3, 1, 2

---@class luatrace.Peer
---@field name string as the script wrote it
---@field count integer how many connections there have been
---@field talk fun(conn: luatrace.Connection)|nil
---@field errno string|nil what connecting fails with

---@class luatrace.Peers
---@field by_port table<integer, table<string, luatrace.Peer>> port -> address bytes, or "*" -> peer
---@field by_path table<string, luatrace.Peer>
---@field names table<string, string> host name -> address bytes
---@field by_inode table<number, table> what is known of swapped sockets
---@field context luatrace.MockContext
---@field is_installed boolean|nil
---@field has_names boolean|nil names are found in /etc/hosts and by DNS
local Peers = {}
Peers.__index = Peers

local function new_peers(context)
  return setmetatable({ context = context, by_port = {}, by_path = {}, names = {}, by_inode = {}, name_count = 0,
    connections = {} }, Peers)
end

--- Addresses for names come from the network that is set aside for tests (RFC 2544).
local function is_made_up(ip) return #ip == 4 and ip:sub(1, 3) == "\198\18\0" end

--- The addresses of a host; a name gets one.
function Peers:addresses(host)
  local known = address.of_host(host)
  if known then return known end
  host = host:lower()
  if not self.names[host] then
    self.name_count = self.name_count + 1
    if self.name_count > 254 then mock.misuse("peer.tcp: 254 names are all there are addresses for") end
    self.names[host] = "\198\18\0" .. string.char(self.name_count)
  end
  return { self.names[host] }
end

--- Who is at an address.
---@return luatrace.Peer|nil peer, string? errno when there certainly is nobody
function Peers:at(where)
  if where.family == address.AF_UNIX then return self.by_path[where.path] end
  local at_port = self.by_port[where.port]
  local peer = at_port and (at_port[where.ip] or at_port["*"])
  if peer then return peer end
  if is_made_up(where.ip) then return nil, "ECONNREFUSED" end
end

--- What is known of the swapped socket behind a descriptor.
function Peers:known(call, fd)
  local known = call.process.fds:get(fd)
  return known and known.inode and self.by_inode[known.inode]
end

-- --- connect --------------------------------------------------------------------------------------------------------

local function sockaddr_of(call, at, length_at)
  local length = word32(call.args[length_at])
  if length < 2 then return nil end
  local where = address.parse(call.memory:read(call.args[at], math.min(length, 128)))
  if where and where.path and where.path ~= "" and where.path:sub(1, 1) ~= "@" then
    where.path = call.process.fds:path_of(-100, where.path)
  end
  return where
end

local function type_of(socket)
  local value = descriptors.get_option(socket, SOL_SOCKET, SO_TYPE, 4)
  return value and value:byte(1)
end

--- A connection that has been made already: as TCP answers the second and third connect.
local function connect_again(call, known)
  if known.is_connecting then
    known.is_connecting = nil
    return call:returns(0)
  end
  if known.kind == "stream" then call:fail "EISCONN" else call:returns(0) end
end

local function connect_to_peer(peers, call, peer, where, original, fd)
  if peer.errno then
    descriptors.close(original)
    return call:fail(peer.errno)
  end
  local swapped, errno = swap.socket(call, fd, original, "stream")
  if not swapped then
    descriptors.close(original)
    return call:fail(errno)
  end
  peer.count = peer.count + 1
  local known = sockets.new(where, original, peers.connection_count)
  known.is_connecting = swapped.is_nonblocking or nil
  peers.connection_count = (peers.connection_count or 0) + 1
  peers.by_inode[swapped.inode] = known
  local conn = connection.new(call.session, swapped.fd, { number = peer.count, process = call.process,
    inode = swapped.inode, ip = where.ip and address.text(where.ip), port = where.port }, peer.talk)
  peers.connections[conn] = true
  function conn.on_drop()
    peers.connections[conn] = nil
    known:close()
  end
  conn:start()
  -- A Unix socket is connected at once, also one that does not wait.
  if swapped.is_nonblocking and where.port then return call:fail "EINPROGRESS" end
  call:returns(0)
end

local function on_connect(peers)
  return function(call)
    local fd = word32(call.args[1])
    local where = sockaddr_of(call, 2, 3)
    if not where then return end
    local known = peers:known(call, fd)
    if known then return connect_again(call, known) end
    if peers:hides(where) then return call:fail "ENOENT" end
    local peer, errno = peers:at(where)
    local is_dns = not peer and dns.is_for(peers, where)
    if not peer and not errno and not is_dns then return end
    local original, _, name = descriptors.take(call.process.pid, fd)
    if not original then
      if name == "EBADF" then return end
      return call:fail(name)
    end
    local kind = type_of(original)
    if peer and kind == SOCK_STREAM then return connect_to_peer(peers, call, peer, where, original, fd) end
    if is_dns and kind == SOCK_DGRAM then return dns.connect(peers, call, where, original, fd) end
    descriptors.close(original)
    -- getaddrinfo connects datagram sockets to see which address is best: a made-up one is no worse than others.
    if errno and kind == SOCK_STREAM then return call:fail(errno) end
  end
end

--- Name services that would say that there is no such name, before /etc/hosts is asked.
function Peers:hides(where)
  return where.path and next(self.names) and (where.path:find("io.systemd.Resolve", 1, true) or
    where.path:find("/nscd/socket", 1, true)) and not self.by_path[where.path]
end

-- --- for scripts ----------------------------------------------------------------------------------------------------

local function peer_for(what, name, talk)
  if type(talk) == "function" then return { name = name, count = 0, talk = talk } end
  if type(talk) == "string" and constants.errno.by_name[talk] then return { name = name, count = 0, errno = talk } end
  mock.misuse(("%s(%q, ...) takes a function(conn) or the name of an error such as \"ECONNREFUSED\", not %s")
    :format(what, name, type(talk) == "string" and ("%q"):format(talk) or "a " .. type(talk)))
end

local function hosts_lines(peers)
  local lines = {}
  for name, ip in pairs(peers.names) do lines[#lines + 1] = address.text(ip) .. "\t" .. name .. "\n" end
  table.sort(lines)
  return table.concat(lines)
end

--- From now on connecting is ours.
function Peers:install()
  if self.is_installed then return end
  self.is_installed = true
  local context = self.context
  context.on({ "connect" }, on_connect(self))
  sockets.install(context, self)
  -- Before the script looks at what it has been sent.
  table.insert(context.registry.at.finish, 1, function()
    for conn in pairs(self.connections) do conn:finish() end
  end)
  context.clean_up(function()
    for conn in pairs(self.connections) do conn:drop() end
    for _, known in pairs(self.by_inode) do known:close() end
  end)
end

--- From now on the program finds our names.
function Peers:install_names()
  if self.has_names or not next(self.names) then return end
  self.has_names = true
  self.context.use "files" {}.tree:append("/etc/hosts", function() return hosts_lines(self) end)
  dns.install(self.context, self)
end

local function check_text(what, text, example)
  if type(text) ~= "string" then
    mock.misuse(("%s takes an address such as %q, not a %s"):format(what, example, type(text)))
  end
end

--- peer.tcp: a TCP server.
---@param where string "HOST:PORT"
---@param talk string|fun(conn: luatrace.Connection) what it does with each connection, or the error that connecting
-- fails with
---@return luatrace.Peer
function Peers:add_tcp(where, talk)
  check_text("peer.tcp", where, "db:5432")
  local host, port = address.split(where)
  if not host then mock.misuse("peer.tcp: " .. port) end
  local peer = peer_for("peer.tcp", where, talk)
  local at_port = self.by_port[port] or {}
  self.by_port[port] = at_port
  for _, ip in ipairs(host == "*" and { "*" } or self:addresses(host)) do
    if at_port[ip] then mock.misuse(("peer.tcp: there is a peer at %s already"):format(where)) end
    at_port[ip] = peer
  end
  self:install()
  self:install_names()
  return peer
end

--- peer.unix: a server on a Unix socket.
---@param path string "/run/app.sock", or "@name" for an abstract one
---@param talk string|fun(conn: luatrace.Connection)
---@return luatrace.Peer
function Peers:add_unix(path, talk)
  check_text("peer.unix", path, "/run/app.sock")
  if not path:find("^[/@].") then
    mock.misuse(("peer.unix: %q is neither an absolute path nor an \"@name\""):format(path))
  end
  if self.by_path[path] then mock.misuse(("peer.unix: there is a peer at %s already"):format(path)) end
  local peer = peer_for("peer.unix", path, talk)
  self.by_path[path] = peer
  self:install()
  return peer
end

--- The name `peer` of a script.
---@param context luatrace.MockContext
function M.new(context)
  local peers = new_peers(context)
  local api = {
    tcp = function(where, talk) return peers:add_tcp(where, talk) end,
    unix = function(path, talk) return peers:add_unix(path, talk) end,
  }
  return setmetatable(api, { __index = function(_, name)
    mock.misuse(("there is no peer.%s: there are peer.tcp and peer.unix"):format(tostring(name)))
  end, __call = function() mock.misuse("write peer.tcp(\"HOST:PORT\", function(conn) ... end)") end })
end

return M
