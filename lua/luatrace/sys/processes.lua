--- Processes of luatrace's own: workers that are forked, the pipes to them, and rooms of their own (namespaces).
--
--   local processes = require "luatrace.sys.processes"
--   local worker = processes.fork(function(input, output) ... end)      -- the child never returns
--   processes.poll({ worker.output }, 1000)

local bit = require "bit"
local ffi = require "ffi"
local sys = require "luatrace.sys"

ffi.cdef [[
struct luatrace_worker_poll { int fd; short events, revents; };
int fork(void);
void _exit(int status);
int waitpid(int pid, int *status, int options);
long write(int fd, const void *buffer, size_t size);
int luatrace_poll(struct luatrace_worker_poll *fds, unsigned long count, int timeout) __asm__("poll");
int setsid(void);
int getppid(void);
unsigned getuid(void);
unsigned getgid(void);
int luatrace_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) __asm__("prctl");
int personality(unsigned long persona);
int unshare(int flags);
int umount2(const char *target, int flags);
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int signalfd(int fd, const void *mask, int flags);
int chdir(const char *path);
long luatrace_mount_setattr(long nr, long dirfd, const char *path, long flags, void *attr, size_t size)
  __asm__("syscall");
long sysconf(int name);
]]

local C = ffi.C
local M = {}

local failed = sys.failed

local O_CLOEXEC, O_NONBLOCK = 0x80000, 0x800
local SIGKILL, PR_SET_PDEATHSIG = 9, 1

--- Starts a copy of this process that runs `body(input, output)` and ends: it never returns to the caller's code, and
-- it dies with us. In a session of its own, so that the terminal's Ctrl-C is ours alone.
---@param body fun(input: integer, output: integer) descriptors: what the parent writes, what it reads
---@return { pid: integer, input: integer, output: integer }|nil, string? message, string? errno
function M.fork(body)
  io.stdout:flush()
  io.stderr:flush()
  local to_read, to_write = sys.pipe()
  if not to_read then return nil, to_write end
  local from_read, from_write = sys.pipe()
  if not from_read then return nil, from_write end
  local parent = C.getpid()
  local pid = C.fork()
  if pid < 0 then return failed() end
  if pid == 0 then
    C.luatrace_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if C.getppid() ~= parent then C._exit(1) end
    C.setsid()
    M.unblock_signals()
    C.close(to_write)
    C.close(from_read)
    local ok, message = xpcall(body, debug.traceback, to_read, from_write)
    if not ok then io.stderr:write("luatrace: internal error: ", tostring(message), "\n") end
    io.stderr:flush()
    C._exit(ok and 0 or 1)
  end
  C.close(to_read)
  C.close(from_write)
  return { pid = pid, input = to_write, output = from_read }
end

local status_box = ffi.new("int[1]")

--- Waits for a child to end: its wait status.
function M.wait(pid)
  while C.waitpid(pid, status_box, 0) < 0 do
    if ffi.errno() ~= 4 then return failed() end
  end
  return status_box[0]
end

function M.kill(pid, signal) return C.kill(pid, signal) == 0 end

local POLLIN = 1

--- Which of these descriptors can be read (or are at their end).
---@param fds integer[]
---@param milliseconds integer negative: no limit
---@return table<integer, boolean> ready
function M.poll(fds, milliseconds)
  local box = ffi.new("struct luatrace_worker_poll[?]", #fds)
  for i = 1, #fds do box[i - 1].fd, box[i - 1].events = fds[i], POLLIN end
  local ready = {}
  if C.luatrace_poll(box, #fds, milliseconds) > 0 then
    for i = 1, #fds do
      if box[i - 1].revents ~= 0 then ready[fds[i]] = true end
    end
  end
  return ready
end

--- What there is on a descriptor; "" at its end.
---@return string|nil bytes, string? message, string? errno
function M.read(fd)
  local bytes, message, name
  repeat bytes, message, name = sys.read(fd) until name ~= "EINTR"
  return bytes, message, name
end

--- Writes all bytes to a descriptor; no SIGPIPE where nobody reads them.
---@return true|nil, string? message, string? errno
function M.write(fd, bytes)
  local at = 1
  while at <= #bytes do
    local put, message, name = sys.write(fd, bytes, at)
    if not put and name ~= "EINTR" then return nil, message, name end
    at = at + (put or 0)
  end
  return true
end

M.close = sys.close
M.chdir = function(path) return C.chdir(path) == 0 end

--- An iterator over the lines of a descriptor, without their newlines; ends at its end.
function M.lines(fd)
  local rest = ""
  return function()
    while true do
      local line, after = rest:match("^([^\n]*)\n(.*)$")
      if line then
        rest = after
        return line
      end
      local bytes = M.read(fd)
      if not bytes or bytes == "" then return nil end
      rest = rest .. bytes
    end
  end
end

---@return boolean
function M.is_root() return C.getuid() == 0 end

--- From now on addresses are the same in every run of the same program.
---@return boolean
function M.fixed_addresses()
  local ADDR_NO_RANDOMIZE = 0x0040000
  local now = C.personality(0xffffffff)
  return now >= 0 and C.personality(bit.bor(now, ADDR_NO_RANDOMIZE)) >= 0
end

local CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
local MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV, MS_BIND = 0x4000, 0x40000, 2, 4, 0x1000
local SYS_mount_setattr, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1

local function enter_namespace()
  if C.unshare(CLONE_NEWNS) == 0 then return true end
  -- Who may not, may in a user namespace of his own, where he stays who he is.
  local uid, gid = C.getuid(), C.getgid()
  if C.unshare(CLONE_NEWUSER + CLONE_NEWNS) ~= 0 then return false end
  local function put(name, text)
    local file = io.open("/proc/self/" .. name, "w")
    if not file then return false end
    file:write(text)
    return file:close()
  end
  put("setgroups", "deny")
  return put("uid_map", ("%d %d 1"):format(uid, uid)) and put("gid_map", ("%d %d 1"):format(gid, gid)) and true or false
end

--- Gives this process a view of the file system of its own, in which `path` is a new tmpfs, /dev/shm too, and all else
-- is read-only.
---@param path string a directory
---@param size integer the most bytes that the tmpfs may take
---@return boolean mounted, boolean sealed all else is read-only
function M.private_room(path, size)
  if not enter_namespace() then return false, false end
  if C.mount(nil, "/", nil, MS_REC + MS_PRIVATE, nil) ~= 0 then return false, false end
  local attr = ffi.new("uint64_t[4]")
  attr[0] = MOUNT_ATTR_RDONLY
  local sealed = C.luatrace_mount_setattr(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, attr, 32) == 0
  local data = ("mode=0700,size=%d"):format(size)
  if C.mount("tmpfs", path, "tmpfs", MS_NOSUID + MS_NODEV, data) ~= 0 then return false, false end
  sealed = sealed and C.mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID + MS_NODEV, "mode=1777") == 0
  return true, sealed
end

local function ending_signals()
  local mask = ffi.new("uint64_t[16]", 0)
  mask[0] = bit.bor(bit.lshift(1ULL, 0), bit.lshift(1ULL, 1), bit.lshift(1ULL, 14))
  return mask
end

--- A small disk of its own on a directory of a private room.
---@return boolean
function M.mount_small(path, size)
  return C.mount("tmpfs", path, "tmpfs", MS_NOSUID + MS_NODEV, ("mode=0700,size=%d"):format(size)) == 0
end

--- Shows a directory of a private room in another place, too.
---@return boolean
function M.bind(from, to) return C.mount(from, to, nil, MS_BIND, nil) == 0 end

function M.unmount(path) return C.umount2(path, 2) == 0 end -- MNT_DETACH: whoever is still there does not matter

--- SIGINT, SIGTERM and SIGHUP no longer end us.
---@return boolean
function M.block_signals() return C.luatrace_sigprocmask(0, ending_signals(), nil) == 0 end

--- SIGINT, SIGTERM and SIGHUP no longer end us: they are read from the descriptor that this returns.
---@return integer|nil fd
function M.signal_descriptor()
  local mask = ending_signals()
  if not M.block_signals() then return nil end
  local fd = C.signalfd(-1, mask, O_CLOEXEC + O_NONBLOCK)
  return fd >= 0 and fd or nil
end

--- The signals that were caught, by number, read from a signal descriptor.
function M.caught_signal(fd)
  local bytes = M.read(fd)
  return bytes and #bytes >= 4 and ffi.cast("const uint32_t *", bytes)[0] or nil
end

function M.unblock_signals()
  local none = ffi.new("uint64_t[16]", 0)
  C.luatrace_sigprocmask(2, none, nil)
end

--- Processors that we may use.
function M.processors()
  local _SC_NPROCESSORS_ONLN = 84
  return math.max(1, tonumber(C.sysconf(_SC_NPROCESSORS_ONLN)))
end

return M
