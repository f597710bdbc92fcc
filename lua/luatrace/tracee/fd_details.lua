--- What -yy says of a descriptor beside its path: the ends of a socket, a device's numbers, a pidfd's process.
--
--   local details = require "luatrace.tracee.fd_details"
--   details.text(fd, { path = true, socket = true })     -- "TCP:[127.0.0.1:80->127.0.0.1:4711]"

local constants = require "luatrace.constants"
local ffi = require "ffi"
local ip = require "luatrace.text.ip"
local quote = require "luatrace.text.quote"
local sock_diag = require "luatrace.sys.sock_diag"

local M = {}

local function u16(value) return string.char(value % 256, math.floor(value / 256)) end
local function u32(value) return u16(value % 65536) .. u16(math.floor(value / 65536)) end
local function le32(bytes, at)
  local a, b, c, d = bytes:byte(at, at + 3)
  return a + b * 256 + c * 65536 + d * 16777216
end
local function be16(bytes, at) return bytes:byte(at) * 256 + bytes:byte(at + 1) end

local AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
local ALL_STATES = "\255\255\255\255"

--- An internet socket: its ends, and whether it has two.
local function inet(family, protocol)
  local request = string.char(family, protocol, 0, 0) .. ALL_STATES .. ("\0"):rep(48)
  local size = family == AF_INET and 4 or 16
  local function address(bytes, at)
    if family == AF_INET then return ip.v4(bytes:sub(at, at + 3)) end
    return "[" .. ip.v6(bytes:sub(at, at + size - 1)) .. "]"
  end
  return function(inode)
    local bytes = sock_diag.find(request, function(payload) return #payload >= 72 and le32(payload, 69) == inode end)
    if not bytes then return nil end
    -- struct inet_diag_msg: the ports at 4 and 6, the addresses at 8 and 24.
    local port, peer_port = be16(bytes, 5), be16(bytes, 7)
    local here = ("%s:%d"):format(address(bytes, 9), port)
    if peer_port == 0 and not bytes:sub(25, 24 + size):find("[^%z]") then return here, false end
    return ("%s->%s:%d"):format(here, address(bytes, 25), peer_port), true
  end
end

local UDIAG_SHOW_NAME, UDIAG_SHOW_PEER = 1, 4
local UNIX_DIAG_NAME, UNIX_DIAG_PEER = 0, 2

--- A socket of this machine: its inode, that of its peer, its name.
local function unix_domain(inode)
  local request = string.char(AF_UNIX, 0) .. u16(0) .. ALL_STATES .. u32(inode) ..
    u32(UDIAG_SHOW_NAME + UDIAG_SHOW_PEER) .. ("\0"):rep(8)
  local bytes = sock_diag.find(request, function(payload) return #payload >= 16 and le32(payload, 5) == inode end)
  if not bytes then return nil end
  local at, peer, name = 17, nil, nil
  while at + 4 <= #bytes + 1 do
    local length, kind = bytes:byte(at) + bytes:byte(at + 1) * 256, bytes:byte(at + 2) + bytes:byte(at + 3) * 256
    if length < 4 then break end
    local value = bytes:sub(at + 4, at + length - 1)
    if kind == UNIX_DIAG_PEER and #value >= 4 then peer = le32(value, 1) end
    if kind == UNIX_DIAG_NAME then name = value end
    at = at + math.ceil(length / 4) * 4
  end
  if not peer and not name then return nil end
  local text = tostring(inode)
  if peer and peer ~= 0 then text = text .. "->" .. peer end
  if name and name:sub(1, 1) == "\0" then
    text = text .. ",@" .. quote.string(name:sub(2))
  elseif name then
    text = text .. "," .. quote.string(name:match("^[^%z]*"))
  end
  return text, peer ~= nil
end

local NDIAG_PROTO_ALL = 255

local function netlink(inode)
  local request = string.char(AF_NETLINK, NDIAG_PROTO_ALL) .. u16(0) .. u32(inode) .. u32(0) .. ("\0"):rep(8)
  local bytes = sock_diag.find(request, function(payload) return #payload >= 28 and le32(payload, 17) == inode end)
  if not bytes then return nil end
  local name = constants.enums.netlink_family.by_value[bytes:byte(3)]
  local port = ffi.cast("int32_t", le32(bytes, 5))
  return ("%s:%d"):format(name and name:gsub("^NETLINK_", "") or tostring(bytes:byte(3)), tonumber(port) % 4294967296),
    true
end

--- By the protocol's name, as the kernel gives it.
local protocols = { UNIX = unix_domain, ["UNIX-STREAM"] = unix_domain, NETLINK = netlink }
for name, number in pairs { TCP = 6, UDP = 17, UDPLITE = 136, DCCP = 33, SCTP = 132, ["L2TP/IP"] = 115, PING = 1,
  RAW = 255 } do
  protocols[name] = inet(AF_INET, number)
  protocols[name .. "v6"] = inet(AF_INET6, number)
end

--- Sockets with both ends stay what they are, also when the kernel does not list them any more.
local settled = {}

local function socket_text(fd)
  local inode = fd.inode
  local known = settled[inode]
  if known then return known end
  local name = sock_diag.protocol_name(("/proc/%d/fd/%d"):format(fd.pid, fd.num))
  local ask = protocols[name or ""]
  if not ask then return nil end
  local ends, is_settled = ask(inode)
  local text = ("%s:[%s]"):format(name, ends or tostring(inode))
  if is_settled then settled[inode] = text end
  return text
end

--- What is printed between < and > behind a descriptor; nil: nothing.
---@param fd luatrace.Fd
---@param decoded table what was asked for: path, socket, dev, pidfd
---@return string|nil
function M.text(fd, decoded)
  local shown = decoded.path
  if decoded.socket and fd.kind == "socket" then
    local text = socket_text(fd)
    if text then return text end
    shown = true
  elseif decoded.dev and fd.path:find("^/") then
    local kind, major, minor = sock_diag.device(("/proc/%d/fd/%d"):format(fd.pid, fd.num))
    if kind == "char" or kind == "block" then
      return ("%s<%s %d:%d>"):format(quote.path(fd.path), kind, major, minor)
    end
  elseif decoded.pidfd and fd.path == "anon_inode:[pidfd]" then
    local pid = sock_diag.pidfd_target(("/proc/%d/fdinfo/%d"):format(fd.pid, fd.num))
    if pid then return ("pid:%d"):format(pid) end
    shown = true
  end
  return shown and quote.path(fd.path) or nil
end

return M
