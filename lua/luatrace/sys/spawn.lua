--- Running other programs untraced, several at once: a room of sys.lua.
--
--   local spawn = require "luatrace.sys.spawn"
--   local child = spawn.start { argv = { "sh", "-c", "exit 3" }, cwd = "/tmp", output = fd }
--   local ended = spawn.wait({ child }, 5)          -- seconds; nil when none has ended
--   print(child.status, child.signal)               -- 3, nil
--   spawn.kill(child)                               -- it and its group
--
-- Children get a process group of their own, no signal blocked or ignored, and no descriptor but 0, 1 and 2. Ends are
-- noticed by pidfd, so that children of others (the tracer's) are left alone.

local bit = require "bit"
local ffi = require "ffi"
local sys = require "luatrace.sys"

ffi.cdef [[
struct luatrace_spawn_opaque { uint64_t opaque[64]; };
struct luatrace_pollfd { int fd; short events, revents; };
int posix_spawn(int *pid, const char *path, const struct luatrace_spawn_opaque *actions,
  const struct luatrace_spawn_opaque *attributes, const char *const *argv, const char *const *envp);
int posix_spawn_file_actions_init(struct luatrace_spawn_opaque *actions);
int posix_spawn_file_actions_destroy(struct luatrace_spawn_opaque *actions);
int posix_spawn_file_actions_adddup2(struct luatrace_spawn_opaque *actions, int fd, int to);
int posix_spawn_file_actions_addopen(struct luatrace_spawn_opaque *actions, int fd, const char *path, int flags,
  unsigned mode);
int posix_spawn_file_actions_addchdir_np(struct luatrace_spawn_opaque *actions, const char *path);
int posix_spawnattr_init(struct luatrace_spawn_opaque *attributes);
int posix_spawnattr_destroy(struct luatrace_spawn_opaque *attributes);
int posix_spawnattr_setflags(struct luatrace_spawn_opaque *attributes, short flags);
int posix_spawnattr_setpgroup(struct luatrace_spawn_opaque *attributes, int group);
int posix_spawnattr_setsigmask(struct luatrace_spawn_opaque *attributes, const void *set);
int posix_spawnattr_setsigdefault(struct luatrace_spawn_opaque *attributes, const void *set);
int waitpid(int pid, int *status, int options);
int luatrace_spawn_poll(struct luatrace_pollfd *fds, unsigned long count, int milliseconds) __asm__("poll");
long syscall(long number, ...);
]]

local C = ffi.C
local M = {}

local SETPGROUP, SETSIGDEF, SETSIGMASK = 2, 4, 8
local WNOHANG, POLLIN, SIGKILL = 1, 1, 9
local SYS_pidfd_open = 434

---@class luatrace.Child
---@field pid integer
---@field status integer|nil how it ended
---@field signal integer|nil what killed it

local none, all = ffi.new("uint8_t[128]"), ffi.new("uint8_t[128]")
ffi.fill(all, 128, 0xff)
local pid_box, status_box = ffi.new("int[1]"), ffi.new("int[1]")

--- Starts a program.
---@param options table argv; file (else argv[1] in PATH), env ("NAME=value" strings), cwd, output and errors
--  (descriptors; default /dev/null; errors defaults to output)
---@return luatrace.Child|nil child, string? message, string? errno
function M.start(options)
  local argv = options.argv
  local file = options.file or sys.find_in_path(argv[1])
  if not file then return nil, ("%s: command not found"):format(argv[1]), "ENOENT" end
  local actions, attributes = ffi.new("struct luatrace_spawn_opaque"), ffi.new("struct luatrace_spawn_opaque")
  C.posix_spawn_file_actions_init(actions)
  C.posix_spawnattr_init(attributes)
  C.posix_spawnattr_setflags(attributes, SETPGROUP + SETSIGDEF + SETSIGMASK)
  C.posix_spawnattr_setpgroup(attributes, 0)
  C.posix_spawnattr_setsigmask(attributes, none)
  C.posix_spawnattr_setsigdefault(attributes, all)
  C.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", 0, 0)
  if options.output then
    C.posix_spawn_file_actions_adddup2(actions, options.output, 1)
  else
    C.posix_spawn_file_actions_addopen(actions, 1, "/dev/null", 1, 0)
  end
  C.posix_spawn_file_actions_adddup2(actions, options.errors or 1, 2)
  if options.cwd then C.posix_spawn_file_actions_addchdir_np(actions, options.cwd) end
  local env = options.env and sys.string_array(options.env) or C.environ
  local number = C.posix_spawn(pid_box, file, actions, attributes, sys.string_array(argv),
    ffi.cast("const char *const *", env))
  C.posix_spawn_file_actions_destroy(actions)
  C.posix_spawnattr_destroy(attributes)
  if number ~= 0 then return sys.failure(number) end
  local child = { pid = pid_box[0] }
  local fd = tonumber(C.syscall(SYS_pidfd_open, ffi.cast("int", child.pid), ffi.cast("int", 0)))
  child.pidfd = fd >= 0 and fd or nil
  return child
end

--- Has it ended? Notes how.
local function reap(child)
  if child.ended then return true end
  if C.waitpid(child.pid, status_box, WNOHANG) ~= child.pid then return false end
  if child.pidfd then C.close(child.pidfd) end
  child.pidfd, child.ended = nil, true
  local status = status_box[0]
  local low = bit.band(status, 0x7f)
  if low == 0 then child.status = bit.band(bit.rshift(status, 8), 0xff) else child.signal = low end
  return true
end

--- Waits until one of the children has ended.
---@param children luatrace.Child[]
---@param seconds number|nil nil: no limit
---@return luatrace.Child|nil child nil when the time is over
function M.wait(children, seconds)
  local deadline = seconds and sys.monotonic() + seconds * 1e9
  local count = #children
  local fds = ffi.new("struct luatrace_pollfd[?]", count)
  while true do
    local blind = false
    for i = 1, count do
      if reap(children[i]) then return children[i] end
      fds[i - 1].fd, fds[i - 1].events = children[i].pidfd or -1, POLLIN
      blind = blind or not children[i].pidfd
    end
    local left = deadline and math.ceil((deadline - sys.monotonic()) / 1e6) or 1000
    if left <= 0 then return nil end
    -- Kernels before 5.3 have no pidfd: look every millisecond.
    C.luatrace_spawn_poll(fds, count, blind and 1 or math.min(left, 1000))
  end
end

--- Kills a child and its process group, and waits for its end.
---@param child luatrace.Child
function M.kill(child)
  C.kill(-child.pid, SIGKILL)
  if child.ended then return end
  C.kill(child.pid, SIGKILL)
  while not M.wait({ child }) do end
end

return M
