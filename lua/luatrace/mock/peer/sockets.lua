--- What a program asks of a mocked connection's socket, answered as for the TCP socket that it made: who is at the
-- other end, its own address, options. That first socket is kept for it: options are set and read there, so that the
-- kernel says what is allowed.
--
--   local known = sockets.new(where, original, 7)
--   known:close()

local address = require "luatrace.mock.peer.address"
local descriptors = require "luatrace.sys.descriptors"
local ffi = require "ffi"
local mock = require "luatrace.mock"
local place = require "luatrace.mock.files.place"

local M = {}

local word32 = place.word32

local LOCAL_IP = "\198\18\255\254" -- in the network for tests, as the made-up addresses of names
local FIRST_PORT, PORTS = 32768, 28232 -- net.ipv4.ip_local_port_range
local SOL_SOCKET, IPPROTO_TCP = 1, 6
local SO_PEERCRED, SO_PROTOCOL, SO_DOMAIN = 17, 38, 39
local OF_THE_ORIGINAL = { [SO_PEERCRED] = true, [SO_PROTOCOL] = true, [SO_DOMAIN] = true }
local TCP_INFO, ESTABLISHED = 11, "\1"

--- What is known of a swapped socket.
---@class luatrace.KnownSocket
---@field kind "stream"|"datagram"
---@field peer string its peer's struct sockaddr
---@field own string its own
---@field original integer|nil the program's first socket
local Known = {}
Known.__index = Known

--- The address that the program's end has: what it was bound to, or one that looks like it.
local function own_address(where, original, count)
  local bound = address.parse(descriptors.socket_name(original))
  local port = bound and bound.port and bound.port > 0 and bound.port or FIRST_PORT + count % PORTS
  local ip = bound and bound.ip
  if not ip or not ip:find("[^%z]") then
    local is_loopback = where.ip:byte(1) == 127 or #where.ip == 16
    ip = is_loopback and where.ip or LOCAL_IP
  end
  return address.encode(where.family, ip, port)
end

---@param where table the address that was connected to: address.parse
---@param original integer the socket that was there
---@param count integer|nil how many there were before
---@return luatrace.KnownSocket
function M.new(where, original, count, kind)
  local own = where.port and own_address(where, original, count or 0) or "\1\0"
  return setmetatable({ kind = kind or "stream", peer = where.bytes, own = own, original = original,
    is_unix = where.family == address.AF_UNIX }, Known)
end

--- The connection is over: luatrace keeps nothing of it open.
function Known:close()
  if self.original then descriptors.close(self.original) end
  self.original = nil
end

--- How long a value may be, the program says.
---@return integer|nil
function M.room(call, size_at)
  local bytes = call.memory:read(call.args[size_at], 4)
  return bytes and #bytes == 4 and ffi.cast("const int32_t *", bytes)[0] or nil
end

--- Writes a value of which the program says how long it may be; tells how long it is.
local function answer_sized(call, address_at, size_at, value, tells_all, room)
  local to, size_address = call.args[address_at], call.args[size_at]
  room = room or M.room(call, size_at)
  if not room then return call:fail "EFAULT" end
  if room < 0 then return call:fail "EINVAL" end
  local part = value:sub(1, room)
  if call.memory:write(to, part) ~= #part then return call:fail "EFAULT" end
  local told = ffi.new("uint32_t[1]", tells_all and #value or #part)
  mock.answer(call, size_address, ffi.string(told, 4))
end
M.answer_sized = answer_sized

local function getsockopt(call, known)
  local level, name = word32(call.args[2]), word32(call.args[3])
  if known.is_unix or level == SOL_SOCKET and not OF_THE_ORIGINAL[name] then return end
  local value, _, errno = ("\0"):rep(4), nil, nil
  if known.original then value, _, errno = descriptors.get_option(known.original, level, name, 256) end
  if not value then return call:fail(errno) end
  if level == IPPROTO_TCP and name == TCP_INFO then value = ESTABLISHED .. value:sub(2) end
  answer_sized(call, 4, 5, value)
end

local function setsockopt(call, known)
  local level, name, size = word32(call.args[2]), word32(call.args[3]), word32(call.args[5])
  if known.is_unix or level == SOL_SOCKET then return end
  if size < 0 or size > 65536 then return call:fail "EINVAL" end
  local value = call.memory:read(call.args[4], size)
  if not value or #value < size then return call:fail "EFAULT" end
  if known.original then
    local set, _, errno = descriptors.set_option(known.original, level, name, value)
    if not set then return call:fail(errno) end
  end
  call:returns(0)
end

---@param context luatrace.MockContext
---@param peers luatrace.Peers
function M.install(context, peers)
  local function on(name, fn)
    context.on({ name }, function(call)
      local known = peers:known(call, word32(call.args[1]))
      if known then fn(call, known) end
    end)
  end
  on("getpeername", function(call, known) answer_sized(call, 2, 3, known.peer, true) end)
  on("getsockname", function(call, known) answer_sized(call, 2, 3, known.own, true) end)
  on("getsockopt", getsockopt)
  on("setsockopt", setsockopt)
end

return M
