--- Socket addresses, and the names that peers have.
--
--   address.parse("\2\0\21\56\127\0\0\1........")     -- { family = 2, ip = "\127\0\0\1", port = 5432, bytes = ... }
--   address.split "db:5432"                           -- "db", 5432

local descriptors = require "luatrace.sys.descriptors"

local M = {}

local AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
M.AF_UNIX, M.AF_INET, M.AF_INET6 = AF_UNIX, AF_INET, AF_INET6

local MAPPED = ("\0"):rep(10) .. "\255\255"

--- An IPv4 address in IPv6's clothes is an IPv4 address.
local function plain(ip)
  if #ip == 16 and ip:sub(1, 12) == MAPPED then return ip:sub(13) end
  return ip
end

---@param bytes string a struct sockaddr
---@return { family: integer, ip: string?, port: integer?, path: string?, bytes: string }|nil
function M.parse(bytes)
  if not bytes or #bytes < 2 then return nil end
  local family = bytes:byte(1) + bytes:byte(2) * 256
  if family == AF_UNIX then
    local path = bytes:sub(3)
    if path:byte(1) == 0 then path = "@" .. path:sub(2) else path = path:match("^[^%z]*") end
    return { family = family, path = path, bytes = bytes }
  end
  local size = family == AF_INET and 16 or family == AF_INET6 and 28
  if not size or #bytes < size - 4 and family == AF_INET6 or #bytes < 16 then return nil end
  local port = bytes:byte(3) * 256 + bytes:byte(4)
  local ip = family == AF_INET and bytes:sub(5, 8) or bytes:sub(9, 24)
  return { family = family, ip = plain(ip), port = port, bytes = (bytes .. ("\0"):rep(4)):sub(1, size) }
end

local function port_bytes(port) return string.char(math.floor(port / 256), port % 256) end

--- A struct sockaddr of a family.
---@param family integer AF_INET or AF_INET6
---@param ip string four or sixteen bytes
---@param port integer
function M.encode(family, ip, port)
  if family == AF_INET then return "\2\0" .. port_bytes(port) .. ip .. ("\0"):rep(8) end
  if #ip == 4 then ip = MAPPED .. ip end
  return "\10\0" .. port_bytes(port) .. ("\0"):rep(4) .. ip .. ("\0"):rep(4)
end

--- For people.
function M.text(ip)
  if #ip == 4 then return ("%d.%d.%d.%d"):format(ip:byte(1, 4)) end
  local groups = {}
  for i = 1, 16, 2 do groups[#groups + 1] = ("%x"):format(ip:byte(i) * 256 + ip:byte(i + 1)) end
  return table.concat(groups, ":")
end

--- "db:5432", "[::1]:80", "*:443".
---@return string|nil host, integer|string port_or_message
function M.split(text)
  local host, port = text:match("^%[([%x:.]+)%]:(.*)$")
  if not host then host, port = text:match("^([^:]*):([^:]*)$") end
  if not host or host == "" then
    return nil, ("%q is no address: write \"HOST:PORT\" (\"db:5432\", \"10.0.0.1:80\", \"[::1]:80\", \"*:443\")")
      :format(text)
  end
  local number = tonumber(port:match("^%d+$"))
  if not number or number < 1 or number > 65535 then
    return nil, port == "" and ("%q has no port"):format(text) or
      ("%q: %s is no port: it is a number from 1 to 65535"):format(text, port)
  end
  return host, number
end

--- The addresses that a host is reached by without a name service; nil for a name.
---@return string[]|nil
function M.of_host(host)
  if host == "localhost" then return { "\127\0\0\1", ("\0"):rep(15) .. "\1" } end
  local ip = descriptors.ip_address(host)
  return ip and { plain(ip) } or nil
end

return M
