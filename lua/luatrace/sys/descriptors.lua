--- Descriptors of luatrace's own: anonymous files, socket pairs, and those of a traced process, taken or handed over.
-- A room of sys.lua; all descriptors are close-on-exec, all sockets non-blocking.
--
--   local descriptors = require "luatrace.sys.descriptors"
--   local fd = descriptors.memfd "settings"
--   local theirs = descriptors.take(pid, 3)          -- a copy of the process's descriptor 3

local bit = require "bit"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

ffi.cdef [[
struct luatrace_message { void *name; uint32_t name_size; struct luatrace_vector *iov; size_t iov_count; void *control;
  size_t control_size; int flags; };
struct luatrace_vector { void *base; size_t size; };
struct luatrace_fd_message { size_t size; int level, type; int fd; int pad; };
int memfd_create(const char *name, unsigned flags);
int socketpair(int domain, int type, int protocol, int *ends);
int socket(int domain, int type, int protocol);
int connect(int fd, const void *address, uint32_t size);
long sendmsg(int fd, const struct luatrace_message *message, int flags);
long send(int fd, const void *buffer, size_t size, int flags);
long recv(int fd, void *buffer, size_t size, int flags);
int shutdown(int fd, int how);
int getsockopt(int fd, int level, int name, void *value, uint32_t *size);
int setsockopt(int fd, int level, int name, const void *value, uint32_t size);
int getsockname(int fd, void *address, uint32_t *size);
int inet_pton(int family, const char *text, void *address);
int fchmod(int fd, unsigned mode);
int fchown(int fd, unsigned uid, unsigned gid);
int futimens(int fd, const struct luatrace_timespec *times);
struct luatrace_rlimit { uint64_t soft, hard; };
int luatrace_getrlimit(int resource, struct luatrace_rlimit *limit) __asm__("getrlimit");
int luatrace_setrlimit(int resource, const struct luatrace_rlimit *limit) __asm__("setrlimit");
char *realpath(const char *path, char *resolved);
long syscall(long number, ...);
]]

local C = ffi.C
local M = {}

local SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438
local AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK = 1, 0x80000, 0x800
local SOL_SOCKET, SCM_RIGHTS = 1, 1
local MFD_CLOEXEC = 1
local F_GETFL, F_SETFL = 3, 4
local MSG_NOSIGNAL, MSG_DONTWAIT = 0x4000, 0x40

local failed = sys.failed

local function done(result)
  if result < 0 then return failed() end
  return result
end

M.close = files.close

local limit = ffi.new "struct luatrace_rlimit"
local RLIMIT_NOFILE = 7

--- Called with each descriptor that is kept, of which there may be many: when they come near the soft limit, that is
-- raised to the hard one. Programs are launched with the limit that we were given.
---@param fd integer
function M.leave_room(fd)
  if sys.inherited_fd_limit or C.luatrace_getrlimit(RLIMIT_NOFILE, limit) ~= 0 then return end
  local soft = limit.soft
  if soft == limit.hard or fd < soft / 2 then return end
  limit.soft = limit.hard
  if C.luatrace_setrlimit(RLIMIT_NOFILE, limit) == 0 then sys.inherited_fd_limit = tonumber(soft) end
end

--- An anonymous file.
---@return integer|nil fd, string? message, string? errno
function M.memfd(name) return done(C.memfd_create(name, MFD_CLOEXEC)) end

--- The same file, opened once more: with a position and flags of its own.
---@return integer|nil fd, string? message, string? errno
function M.reopen(fd, flags) return files.open("/proc/self/fd/" .. fd, flags) end

local F_DUPFD_CLOEXEC = 1030

---@return integer|nil fd, string? message, string? errno
function M.duplicate(fd) return done(C.fcntl(fd, F_DUPFD_CLOEXEC, ffi.cast("int", 0))) end

function M.chmod(fd, mode) return done(C.fchmod(fd, mode)) end
function M.chown(fd, uid, gid) return done(C.fchown(fd, uid, gid)) end

local times = ffi.new("struct luatrace_timespec[2]")

---@param seconds number since 1970
function M.set_mtime(fd, seconds)
  for i = 0, 1 do
    times[i].sec = math.floor(seconds)
    times[i].nsec = math.floor((seconds - math.floor(seconds)) * 1e9)
  end
  return done(C.futimens(fd, times))
end

local statx_box = ffi.new("struct luatrace_statx")
local AT_EMPTY_PATH, STATX_ALL = 0x1000, 0xfff

--- All that statx(2) tells of a descriptor: a struct luatrace_statx, valid until the next call.
---@return any|nil box, string? message, string? errno
function M.statx(fd)
  if C.statx(fd, "", AT_EMPTY_PATH, STATX_ALL, statx_box) < 0 then return failed() end
  return statx_box
end

local path_buffer = ffi.new("char[4096]")

--- A path without links, as it is for luatrace.
---@return string|nil path, string? message, string? errno
function M.realpath(path)
  if C.realpath(path, path_buffer) == nil then return failed() end
  return ffi.string(path_buffer)
end

-- --- sockets --------------------------------------------------------------------------------------------------------

local ends = ffi.new("int[2]")

--- Two connected Unix sockets.
---@param kind "stream"|"datagram"
---@return integer|nil one, integer|string other, string? errno
function M.socketpair(kind)
  local type_of = kind == "stream" and 1 or 2
  if C.socketpair(AF_UNIX, bit.bor(type_of, SOCK_CLOEXEC, SOCK_NONBLOCK), 0, ends) < 0 then return failed() end
  return ends[0], ends[1]
end

--- A datagram socket that is connected to an address (a struct sockaddr as bytes).
---@return integer|nil fd, string? message, string? errno
function M.datagram_to(address)
  local family = address:byte(1) + address:byte(2) * 256
  local fd = C.socket(family, bit.bor(2, SOCK_CLOEXEC, SOCK_NONBLOCK), 0)
  if fd < 0 then return failed() end
  if C.connect(fd, address, #address) < 0 then
    local _, message, name = failed()
    C.close(fd)
    return nil, message, name
  end
  return fd
end

--- Writes what goes in at once.
---@return integer|nil written, string? message, string? errno "EAGAIN" when nothing does
function M.send(fd, bytes) return done(tonumber(C.send(fd, bytes, #bytes, MSG_NOSIGNAL + MSG_DONTWAIT))) end

local block_size = 65536
local block = ffi.new("uint8_t[?]", block_size)

--- What is there, "" at the end.
---@return string|nil bytes, string? message, string? errno "EAGAIN" when nothing is there yet
function M.receive(fd)
  local got = tonumber(C.recv(fd, block, block_size, MSG_DONTWAIT))
  if got < 0 then return failed() end
  return ffi.string(block, got)
end

local SHUT = { read = 0, write = 1, both = 2 }

---@param how "read"|"write"|"both"
function M.shutdown(fd, how) return done(C.shutdown(fd, SHUT[how])) end

local option_size = ffi.new("uint32_t[1]")
local option_value = ffi.new("uint8_t[256]")

--- A socket option as bytes.
---@return string|nil value, string? message, string? errno
function M.get_option(fd, level, name, size)
  option_size[0] = math.min(size, 256)
  if C.getsockopt(fd, level, name, option_value, option_size) < 0 then return failed() end
  return ffi.string(option_value, option_size[0])
end

function M.set_option(fd, level, name, value) return done(C.setsockopt(fd, level, name, value, #value)) end

--- The address that a socket is bound to, a struct sockaddr as bytes.
---@return string|nil address, string? message, string? errno
function M.socket_name(fd)
  option_size[0] = 128
  if C.getsockname(fd, option_value, option_size) < 0 then return failed() end
  return ffi.string(option_value, option_size[0])
end

--- Status flags of an open file (O_NONBLOCK, O_APPEND, ...), which all its descriptors share.
---@return integer|nil flags, string? message, string? errno
function M.flags(fd) return done(C.fcntl(fd, F_GETFL)) end

---@param flags integer
function M.set_flags(fd, flags) return done(C.fcntl(fd, F_SETFL, ffi.cast("int", flags))) end

local AF_INET, AF_INET6 = 2, 10
local ip_buffer = ffi.new("uint8_t[16]")

--- The bytes of an IP address: four, or sixteen.
---@param text string "127.0.0.1", "::1"
---@return string|nil bytes nil when it is none
function M.ip_address(text)
  if C.inet_pton(AF_INET, text, ip_buffer) == 1 then return ffi.string(ip_buffer, 4) end
  if C.inet_pton(AF_INET6, text, ip_buffer) == 1 then return ffi.string(ip_buffer, 16) end
end

-- --- those of a traced process --------------------------------------------------------------------------------------

--- A copy of a process's descriptor (Linux 5.6; who traces the process may).
---@param pid integer of the process, not of a thread
---@param fd integer
---@return integer|nil fd, string? message, string? errno
function M.take(pid, fd)
  local handle = tonumber(C.syscall(SYS_PIDFD_OPEN, ffi.cast("int", pid), ffi.cast("int", 0)))
  if handle < 0 then return failed() end
  local got = tonumber(C.syscall(SYS_PIDFD_GETFD, ffi.cast("int", handle), ffi.cast("int", fd), ffi.cast("int", 0)))
  if got < 0 then
    local _, message, name = failed()
    C.close(handle)
    return nil, message, name
  end
  C.close(handle)
  return got
end

local SYS_KCMP, KCMP_FILE = 312, 0

--- Do two descriptors share one opening of a file, as after dup and fork?
---@return boolean|nil nil: the kernel does not say
function M.is_same_file(pid, fd, other_pid, other_fd)
  local result = tonumber(C.syscall(SYS_KCMP, ffi.cast("int", pid), ffi.cast("int", other_pid),
    ffi.cast("int", KCMP_FILE), ffi.cast("unsigned long", fd), ffi.cast("unsigned long", other_fd)))
  if result < 0 then return nil end
  return result == 0
end

local SO_TYPE, SO_DOMAIN = 3, 39
local socket_types = { "stream", "datagram", "raw", [5] = "seqpacket" }
local socket_domains = { [AF_UNIX] = "unix", [2] = "inet", [10] = "inet6" }

--- What a process's socket is.
---@return "stream"|"datagram"|"raw"|"seqpacket"|nil type, "unix"|"inet"|"inet6"|"other"|nil domain
function M.socket_kind(pid, fd)
  local copy = M.take(pid, fd)
  if not copy then return nil end
  local kind, domain = M.get_option(copy, SOL_SOCKET, SO_TYPE, 4), M.get_option(copy, SOL_SOCKET, SO_DOMAIN, 4)
  C.close(copy)
  if not kind then return nil end
  return socket_types[kind:byte()], domain and socket_domains[domain:byte()] or "other"
end

--- Ends a process's connection as a reset of the peer's does: connecting to nobody sends the peer a reset, too, and
-- leaves ECONNRESET behind. Unix sockets are shut down, which is all that they have.
function M.reset_connection(pid, fd, is_internet)
  local copy = M.take(pid, fd)
  if not copy then return end
  if is_internet then C.connect(copy, ("\0"):rep(16), 16) end
  -- It says ENOTCONN, and marks both ends as closed all the same.
  C.shutdown(copy, SHUT.both)
  C.close(copy)
end

--- Sends a descriptor of ours through a Unix socket.
---@return integer|nil sent, string? message, string? errno
function M.send_descriptor(socket, fd)
  local control = ffi.new("struct luatrace_fd_message")
  control.size, control.level, control.type, control.fd = 20, SOL_SOCKET, SCM_RIGHTS, fd
  local byte = ffi.new("uint8_t[1]")
  local vector = ffi.new("struct luatrace_vector", byte, 1)
  local message = ffi.new("struct luatrace_message")
  message.iov, message.iov_count = vector, 1
  message.control, message.control_size = control, ffi.sizeof(control)
  return done(tonumber(C.sendmsg(socket, message, MSG_NOSIGNAL)))
end

return M
