--- Asks the kernel about sockets (sock_diag(7)), and a file for its extended attributes: a room of sys.lua.
--
--   local sock_diag = require "luatrace.sys.sock_diag"
--   for message in sock_diag.dump(request) do ... end      -- the payload of each answer, as a string
--   sock_diag.protocol_name("/proc/4711/fd/3")             -- "TCPv6", "UNIX-STREAM"

local ffi = require "ffi"
local sys = require "luatrace.sys"

ffi.cdef [[
int socket(int domain, int type, int protocol);
long send(int fd, const void *buffer, size_t size, int flags);
long recv(int fd, void *buffer, size_t size, int flags);
long getxattr(const char *path, const char *name, void *value, size_t size);
]]

local C = ffi.C
local M = {}

local AF_NETLINK, SOCK_RAW, SOCK_CLOEXEC, NETLINK_SOCK_DIAG = 16, 3, 0x80000, 4
local SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST_DUMP, NLMSG_ERROR, NLMSG_DONE = 20, 0x301, 2, 3
local HEADER = 16

local header_box = ffi.new("uint32_t[4]")
local answer = ffi.new("uint8_t[?]", 65536)
local sequence = 0

--- One socket for all questions; it is opened when the first is asked.
local function channel()
  if M.fd == nil then
    local fd = C.socket(AF_NETLINK, SOCK_RAW + SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
    M.fd = fd >= 0 and fd or false
  end
  return M.fd
end

--- The answers to a request, until `found(payload)` says that one is it. Returns that one.
---@param request string the family's request struct
---@param found fun(payload: string): boolean
---@return string|nil payload
function M.find(request, found)
  local fd = channel()
  if not fd then return nil end
  sequence = sequence + 1
  header_box[0], header_box[2], header_box[3] = HEADER + #request, sequence, 0
  header_box[1] = SOCK_DIAG_BY_FAMILY + NLM_F_REQUEST_DUMP * 65536
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

local name_box = ffi.new("char[64]")

--- The name of a socket's protocol, from a path that leads to it.
---@param path string
---@return string|nil
function M.protocol_name(path)
  local got = tonumber(C.getxattr(path, "system.sockprotoname", name_box, 64))
  if got <= 0 then return nil end
  return (ffi.string(name_box, got):match("^[^%z]*"))
end

--- A device's numbers.
---@param path string
---@return string|nil kind, integer? major, integer? minor
function M.device(path)
  local files = require "luatrace.sys.files"
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
