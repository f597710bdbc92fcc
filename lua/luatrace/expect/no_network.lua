--- no_network{ loopback = true }: nothing is sent to, received from or announced on a network.
--
-- connect, bind, listen, sendto and the like with internet addresses, and raw packets. Unix sockets and netlink are no
-- network; a socket that is made and never used is none either. loopback: 127.0.0.0/8 and ::1 are allowed.

local ffi = require "ffi"

local M = {}

local watched = "?connect,?bind,?listen,?sendto,?sendmsg,?sendmmsg,?accept,?accept4,?socketcall"
local AF_PACKET = 17

---@param options { loopback: boolean|nil }|nil
function M:start(options)
  self:check_fields(options, { loopback = true })
  self:hear(watched .. ",?socket")
  self.loopback = options and options.loopback
  self.found = {}
end

local network_families = { AF_INET = true, AF_INET6 = true, AF_PACKET = true, AF_VSOCK = true, AF_BLUETOOTH = true,
  AF_CAN = true, AF_X25 = true, AF_IPX = true, AF_APPLETALK = true }

--- The addresses in a call: its own, those of its messages.
local function each_address(value, fn)
  if type(value) ~= "table" then return end
  if value.family then return fn(value) end
  for _, part in pairs(value) do each_address(part, fn) end
end

local function is_loopback(address)
  local ip = tostring(address.ip or "")
  return ip:find("^127%.") ~= nil or ip == "::1" or ip:find("^::ffff:127%.") ~= nil
end

--- 32-bit programs' old way: which argument of the call inside it is an address.
local socketcalls = { [2] = 2, [3] = 2, [11] = 5 } -- bind, connect, sendto
local AF_INET, AF_INET6, AF_VSOCK = 2, 10, 40

--- socketcall(2) shows nothing of the call inside it: that is in memory.
local function socketcall_uses(self, call)
  local place = socketcalls[tonumber(call.raw[1])]
  local words = place and call.memory:read(call.raw[2], place * 4)
  if not words or #words < place * 4 then return false end
  local address = call.memory:read(ffi.cast("const uint32_t *", words)[place - 1], 8) or ""
  if #address < 8 then return false end
  local family = ffi.cast("const uint16_t *", address)[0]
  if family == AF_INET then return not (self.loopback and address:byte(5) == 127) end
  return family == AF_INET6 or family == AF_PACKET or family == AF_VSOCK
end

function M:returned(record)
  if record.name == "socketcall" then
    if self.current and socketcall_uses(self, self.current) then self:note(self.found, record) end
    return
  end
  if record.name == "socket" then
    if record.args[1] == AF_PACKET and not record.failed then self:note(self.found, record) end
    return
  end
  local used = false
  local function look(address)
    used = used or network_families[address.family] and not (self.loopback and is_loopback(address))
  end
  for i = 1, #record.row do
    local argument = record.row[i].name
    if argument:find "addr" or argument:find "msg" then each_address(record[argument], look) end
  end
  if used then self:note(self.found, record) end
end

function M:verdict()
  local count = self.found.count
  if count then
    return self:failed(count == 1 and "the network was used" or ("the network was used %d times"):format(count),
      self.found)
  end
end

return M
