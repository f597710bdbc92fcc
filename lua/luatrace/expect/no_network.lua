--- no_network{ loopback = true }: nothing is sent to, received from or announced on a network.
--
-- connect, bind, listen, sendto and the like with internet addresses, and raw packets. Unix sockets and netlink are no
-- network; a socket that is made and never used is none either. loopback: 127.0.0.0/8 and ::1 are allowed.

local M = {}

local watched = "?connect,?bind,?listen,?sendto,?sendmsg,?sendmmsg,?accept,?accept4"
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

function M:returned(record)
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
