--- What goes through a socket: bytes, or netlink messages where the socket is netlink's.
--
--   { "buf", t.ptr_in(datagram.bytes "len") }      -- as t.bytes, but printed as messages
--   datagram.family(call, 3)                  -- 0 (NETLINK_ROUTE), -1 (netlink, not known which), nil (no netlink)

local t = require "luatrace.types"

local M = {}

local UNKNOWN = -1
local by_inode = {}

--- What a descriptor speaks: the netlink family; -1 when that cannot be told; nil when it is no netlink socket.
---@param call table
---@param number integer
---@return integer|nil
function M.family(call, number)
  local fd = call.process and call.process.fds:get(number)
  if not fd or fd.kind ~= "socket" then return nil end
  local known = by_inode[fd.inode]
  if known ~= nil then return known or nil end
  local sock_diag = require "luatrace.sys.sock_diag"
  if sock_diag.protocol_name(("/proc/%d/fd/%d"):format(fd.pid, fd.num)) ~= "NETLINK" then
    by_inode[fd.inode] = false
    return nil
  end
  local family = sock_diag.netlink_family(fd.inode)
  -- It is listed when it is bound, which may come later.
  if family then by_inode[fd.inode] = family end
  return family or UNKNOWN
end

local MAX_DATAGRAM = 65536

--- A pointee: what is sent through or received from a socket, `length` bytes, of which `valid` are there.
---@param length string
---@param valid string|nil
function M.bytes(length, valid)
  local plain = t.bytes(length, valid)
  return t.custom {
    siblings = plain.siblings, is_bytes = true,
    fetch = function(call, address, scope, for_text)
      local family = for_text and M.family(call, t.load.i32(nil, call.raw[1]))
      if not family then return plain.fetch(call, address, scope, for_text) end
      local size = tonumber(t.sibling(call, scope, length))
      if valid and call.phase ~= "entry" then size = math.min(size, tonumber(t.sibling(call, scope, valid))) end
      local bytes = call.memory:read(address, math.max(0, math.min(size, MAX_DATAGRAM)))
      return bytes and (bytes == "" and bytes or { bytes = bytes, family = family })
    end,
    text = function(out, call, value)
      if type(value) == "string" then return plain.text(out, call, value) end
      require("luatrace.structs.netlink").text(out, call, value.bytes, value.family)
    end,
    value = plain.value, plain = plain.plain, extents = plain.extents, capacity = plain.capacity,
    bytes_of = plain.bytes_of,
  }
end

--- For the buffers of a message: what prints their content, nil when it is bytes like any other.
---@param call table
---@return fun(out: table, call: table, bytes: string)|nil
function M.printer(call)
  local family = M.family(call, t.load.i32(nil, call.raw[1]))
  if not family then return nil end
  local netlink = require "luatrace.structs.netlink"
  return function(out, at_call, bytes) netlink.text(out, at_call, bytes, family) end
end

return M
