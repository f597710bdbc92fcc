--- Asks the kernel about sockets (sock_diag(7)), and a file for its extended attributes: a room of sys.lua.
--
--   local sock_diag = require "luatrace.sys.sock_diag"
--   for message in sock_diag.dump(request) do ... end      -- the payload of each answer, as a string
--   sock_diag.protocol_name("/proc/4711/fd/3")             -- "TCPv6", "UNIX-STREAM"

local ffi = require "ffi"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

ffi.cdef [[
int socket(int domain, int type, int protocol);
long send(int fd, const void *buffer, size_t size, int flags);
long recv(int fd, void *buffer, size_t size, int flags);
]]

local C = ffi.C
local M = {}

local AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC, NETLINK_SOCK_DIAG = 16, 3, 0x80000, 4
local SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, NLMSG_ERROR, NLMSG_DONE = 20, 0x301, 2, 3
local HEADER = 16

local header_box = ffi.new("uint32_t[4]")
local answer = ffi.new("uint8_t[?]", 65536)
local sequence = 0

--- One socket for all questions to a netlink family; it is opened when the first is asked.
local channels = {}
local function channel(family)
  if channels[family] == nil then
    local fd = C.socket(AF_NETLINK, SOCK_RAW + SOCK_CLOEXEC, family)
    channels[family] = fd >= 0 and fd or false
  end
  return channels[family]
end

--- The answers to a request, of which `found(payload)` says whether one is it. Returns the first that is.
---@param request string the family's request struct
---@param found fun(payload: string): boolean|nil
---@param family integer|nil default: sock_diag
---@param request_kind integer|nil default: SOCK_DIAG_BY_FAMILY
---@return string|nil payload
function M.find(request, found, family, request_kind)
  local fd = channel(family or NETLINK_SOCK_DIAG)
  if not fd then return nil end
  sequence = sequence + 1
  header_box[0], header_box[2], header_box[3] = HEADER + #request, sequence, 0
  header_box[1] = (request_kind or SOCK_DIAG_BY_FAMILY) + NLM_F_REQUEST_DUMP * 65536
  local message = ffi.string(header_box, HEADER) .. request
  if C.send(fd, message, #message, 0) ~= #message then return nil end
  local result
  -- All of it is read, also behind what was looked for: the next question must not find this one's answers.
  while true do
    local got = tonumber(C.recv(fd, answer, 65536, 0))
    if got < HEADER then return result end
    local at = 0
    while at + HEADER <= got do
      local words = ffi.cast("const uint32_t *", answer + at)
      local length, kind = words[0], words[1] % 65536
      if words[2] == sequence then
        if length < HEADER or at + length > got or kind == NLMSG_DONE or kind == NLMSG_ERROR then return result end
        local payload = ffi.string(answer + at + HEADER, length - HEADER)
        if not result and found(payload) then result = payload end
      end
      at = at + math.ceil(length / 4) * 4
    end
  end
end

local NDIAG_PROTO_ALL = 255

--- Which netlink family a bound netlink socket speaks.
---@param inode integer
---@return integer|nil
function M.netlink_family(inode)
  local request = string.char(AF_NETLINK, NDIAG_PROTO_ALL) .. ("\0"):rep(18)
  local answer_found = M.find(request, function(payload)
    return #payload >= 28 and ffi.cast("const uint32_t *", payload)[4] == inode
  end)
  return answer_found and answer_found:byte(3)
end

local NETLINK_GENERIC, GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 0x10, 3
local CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
local generic

--- The families of generic netlink: number -> name.
---@return table<integer, string>
function M.generic_families()
  if generic then return generic end
  generic = {}
  M.find(string.char(CTRL_CMD_GETFAMILY, 1, 0, 0), function(payload)
    local at, id, name = 5, nil, nil
    while at + 4 <= #payload do
      local length, kind = payload:byte(at) + payload:byte(at + 1) * 256, payload:byte(at + 2)
      if length < 4 then break end
      if kind == CTRL_ATTR_FAMILY_ID then id = payload:byte(at + 4) + payload:byte(at + 5) * 256 end
      if kind == CTRL_ATTR_FAMILY_NAME then name = payload:sub(at + 4, at + length - 1):match("^[^%z]*") end
      at = at + math.ceil(length / 4) * 4
    end
    if id then generic[id] = name end
  end, NETLINK_GENERIC, GENL_ID_CTRL)
  return generic
end

--- The name of a socket's protocol, from a path that leads to it.
---@param path string
---@return string|nil
function M.protocol_name(path)
  local bytes = files.xattr(path, "system.sockprotoname")
  return bytes and bytes:match("^[^%z]+")
end

--- A device's numbers.
---@param path string
---@return string|nil kind, integer? major, integer? minor
function M.device(path)
  local stat = files.stat(path)
  if not stat or not stat.rdev_major then return nil end
  return stat.kind, stat.rdev_major, stat.rdev_minor
end

--- What a pidfd stands for: the process id in our namespace; nil when it is gone.
---@param fdinfo string
---@return integer|nil
function M.pidfd_target(fdinfo)
  local text = sys.read_file(fdinfo)
  local pid = text and tonumber(text:match("\nPid:%s*(%-?%d+)"))
  return pid and pid > 0 and pid or nil
end

return M
