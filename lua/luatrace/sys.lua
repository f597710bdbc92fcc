--- A thin layer over libc: what Lua's own library lacks. All libc declarations that luatrace needs are here or in
-- cli/options.lua (getopt); the binary carries no C modules for Lua.
--
--   local sys = require "luatrace.sys"
--   sys.readlink("/proc/self/exe")     -- "/usr/bin/luajit", or nil, message, "ENOENT"

local ffi = require "ffi"
local bit = require "bit"
local constants = require "luatrace.constants"

-- What takes structs goes by a name of ours: a program that requires luatrace may have declared the function, too, with
-- structs of its own.
ffi.cdef [[
typedef struct luatrace_DIR luatrace_DIR;
struct luatrace_dirent { uint64_t ino; int64_t off; unsigned short reclen; unsigned char type; char name[256]; };
struct luatrace_timespec { int64_t sec; int64_t nsec; };
struct luatrace_regex { char opaque[64]; };
char *realpath(const char *path, char *resolved);
long readlink(const char *path, char *buffer, size_t size);
luatrace_DIR *luatrace_opendir(const char *path) __asm__("opendir");
struct luatrace_dirent *luatrace_readdir(luatrace_DIR *dir) __asm__("readdir");
int luatrace_closedir(luatrace_DIR *dir) __asm__("closedir");
int luatrace_clock_gettime(int clock, struct luatrace_timespec *now) __asm__("clock_gettime");
int access(const char *path, int mode);
int getpid(void);
int kill(int pid, int signal);
int isatty(int fd);
int ioctl(int fd, unsigned long request, ...);
int fcntl(int fd, int command, ...);
int open(const char *path, int flags, ...);
int close(int fd);
long read(int fd, void *buffer, size_t size);
long write(int fd, const void *buffer, size_t size);
int pipe2(int fds[2], int flags);
char *realpath(const char *path, char *resolved);
int luatrace_sigtimedwait(const void *set, void *info, const struct luatrace_timespec *limit) __asm__("sigtimedwait");
long getrandom(void *buffer, size_t size, unsigned flags);
char *strerror(int number);
void (*signal(int number, void (*handler)(int)))(int);
int luatrace_sigprocmask(int how, const void *set, void *old) __asm__("sigprocmask");
int luatrace_regcomp(struct luatrace_regex *compiled, const char *pattern, int flags) __asm__("regcomp");
int luatrace_regexec(const struct luatrace_regex *compiled, const char *text, size_t count, void *matches, int flags)
  __asm__("regexec");
size_t luatrace_regerror(int code, const struct luatrace_regex *compiled, char *buffer, size_t size)
  __asm__("regerror");
void luatrace_regfree(struct luatrace_regex *compiled) __asm__("regfree");
extern char **environ;
]]

local C = ffi.C
local M = {}

--- The soft RLIMIT_NOFILE that we were given, when we have raised it since: launched programs get it back.
---@type integer|nil
M.inherited_fd_limit = nil

--- What a function of ours gives when the system's has failed with this errno.
---@param number integer
---@return nil, string message, string errno
function M.failure(number)
  return nil, ffi.string(C.strerror(number)), constants.errno.by_value[number] or ("errno %d"):format(number)
end

--- The same for the call that has just failed.
function M.failed() return M.failure(ffi.errno()) end

local failed = M.failed

--- Words as C takes them: ended by NULL. The words must live as long as it does.
---@param list string[]
---@return any
function M.string_array(list)
  local array = ffi.new("const char *[?]", #list + 1)
  for i = 1, #list do array[i - 1] = list[i] end
  array[#list] = nil
  return array
end

local path_buffer = ffi.new("char[4096]")

---@param path string
---@return string|nil target, string? message, string? errno
function M.readlink(path)
  local got = tonumber(C.readlink(path, path_buffer, 4096))
  if got < 0 then return failed() end
  return ffi.string(path_buffer, got)
end

--- The path without links, "." and ".."; nil when there is no such file.
---@param path string
---@return string|nil
function M.realpath(path)
  local found = C.realpath(path, path_buffer)
  return found ~= nil and ffi.string(found) or nil
end

local O_CLOEXEC = 0x80000
local block = ffi.new("uint8_t[?]", 65536)

--- The first bytes of a file; fewer when it has no more.
---@param path string
---@param size integer
---@return string|nil bytes, string? message, string? errno
function M.read_head(path, size)
  local fd = C.open(path, O_CLOEXEC)
  if fd < 0 then return failed() end
  local got = tonumber(C.read(fd, block, math.min(size, 65536)))
  C.close(fd)
  if got < 0 then return failed() end
  return ffi.string(block, got)
end

--- The whole content of a file, /proc's included.
---@return string|nil content, string? message, string? errno
function M.read_file(path)
  local fd = C.open(path, O_CLOEXEC)
  if fd < 0 then return failed() end
  local parts = {}
  while true do
    local got = tonumber(C.read(fd, block, 65536))
    if got < 0 then
      C.close(fd)
      return failed()
    end
    if got == 0 then break end
    parts[#parts + 1] = ffi.string(block, got)
  end
  C.close(fd)
  return table.concat(parts)
end

--- Names in a directory, "." and ".." left out, in no order.
---@return string[]|nil names, string? message, string? errno
function M.list_dir(path)
  local dir = C.luatrace_opendir(path)
  if dir == nil then return failed() end
  local names = {}
  while true do
    local entry = C.luatrace_readdir(dir)
    if entry == nil then break end
    local name = ffi.string(entry.name)
    if name ~= "." and name ~= ".." then names[#names + 1] = name end
  end
  C.luatrace_closedir(dir)
  return names
end

local O_NONBLOCK, F_SETFL, F_DUPFD_CLOEXEC = 0x800, 4, 1030
local int = ffi.typeof("int") -- what goes through "..." must be told its type

---@param fd integer
function M.close(fd) C.close(fd) end

--- A pipe; both ends are closed at exec, and neither is one of 0, 1 and 2.
---@return integer|nil read_end, integer|string write_end, string? errno
function M.pipe()
  local ends = ffi.new("int[2]")
  if C.pipe2(ends, O_CLOEXEC) ~= 0 then return failed() end
  for i = 0, 1 do
    if ends[i] <= 2 then
      local higher = C.fcntl(ends[i], F_DUPFD_CLOEXEC, int(3))
      C.close(ends[i])
      ends[i] = higher
    end
  end
  return ends[0], ends[1]
end

--- Opens a file to be read or, with `writable`, written (made when it is not there, and emptied).
---@return integer|nil fd, string? message, string? errno
function M.open(path, writable)
  local fd = C.open(path, writable and O_CLOEXEC + 0x241 or O_CLOEXEC, int(420)) -- O_WRONLY|O_CREAT|O_TRUNC, 0644
  if fd < 0 then return failed() end
  return fd
end

--- Reads and writes of this end return at once from now on.
function M.set_nonblocking(fd) C.fcntl(fd, F_SETFL, int(O_NONBLOCK)) end

--- What there is to read, 64 KiB at the most; "" at the end.
---@return string|nil bytes, string? message, string? errno "EAGAIN": nothing yet
function M.read(fd)
  local got = tonumber(C.read(fd, block, 65536))
  if got < 0 then return failed() end
  return ffi.string(block, got)
end

local SIGPIPE, SIG_BLOCK, SIG_SETMASK = 13, 0, 2
local pipe_signal, mask_before, no_time = ffi.new("uint64_t[16]"), ffi.new("uint64_t[16]"),
  ffi.new("struct luatrace_timespec")
pipe_signal[0] = bit.lshift(1, SIGPIPE - 1)

--- Writes what fits, and outlives a reader that is gone (EPIPE), whatever this process does with SIGPIPE.
---@param fd integer
---@param bytes string
---@param from integer position of the first byte to write
---@return integer|nil written, string? message, string? errno
function M.write(fd, bytes, from)
  C.luatrace_sigprocmask(SIG_BLOCK, pipe_signal, mask_before)
  local data = ffi.cast("const char *", bytes)
  local put = tonumber(C.write(fd, data + (from - 1), #bytes - from + 1))
  local failure, message, name
  if put < 0 then failure, message, name = failed() end
  if name == "EPIPE" then C.luatrace_sigtimedwait(pipe_signal, nil, no_time) end
  C.luatrace_sigprocmask(SIG_SETMASK, mask_before, nil)
  if put < 0 then return failure, message, name end
  return put
end

--- The path without links, "." and ".."; nil when it does not exist.
---@return string|nil
function M.realpath(path)
  if C.realpath(path, path_buffer) == nil then return nil end
  return ffi.string(path_buffer)
end

local time_box = ffi.new("struct luatrace_timespec")
local CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1

local function clock(which)
  C.luatrace_clock_gettime(which, time_box)
  return tonumber(time_box.sec) * 1e9 + tonumber(time_box.nsec)
end

--- CLOCK_MONOTONIC in nanoseconds.
---@return number
function M.monotonic() return clock(CLOCK_MONOTONIC) end

--- CLOCK_REALTIME in nanoseconds: exact to a fifth of a microsecond.
---@return number
function M.realtime() return clock(CLOCK_REALTIME) end

--- Any clock, exactly.
---@param which integer CLOCK_*
---@return integer|nil seconds, integer|string nanoseconds, string? errno
function M.clock_gettime(which)
  if C.luatrace_clock_gettime(which, time_box) ~= 0 then return failed() end
  return tonumber(time_box.sec), tonumber(time_box.nsec)
end

local F_OK, X_OK, W_OK = 0, 1, 2

--- Does the path exist, and is it a directory? More is not needed here.
---@return "dir"|"file"|nil
function M.file_kind(path)
  if C.access(path, F_OK) ~= 0 then return nil end
  if C.access(path .. "/.", F_OK) == 0 then return "dir" end
  return "file"
end

--- May files be made or changed there?
---@return true|nil, string? message, string? errno
function M.writable(path)
  if C.access(path, W_OK) ~= 0 then return failed() end
  return true
end

---@return boolean
function M.executable(path) return C.access(path, X_OK) == 0 end

---@return integer
function M.getpid() return C.getpid() end

--- Where a command is, as execvp would look.
---@return string|nil
function M.find_in_path(name)
  if name:find("/", 1, true) then return name end
  for dir in ((os.getenv("PATH") or "/usr/local/bin:/usr/bin:/bin") .. ":"):gmatch("([^:]*):") do
    local file = (dir == "" and "." or dir) .. "/" .. name
    if M.file_kind(file) == "file" and M.executable(file) then return file end
  end
end

--- Our own environment as "NAME=value" strings.
---@return string[]
function M.environ()
  local list, i = {}, 0
  while C.environ[i] ~= nil do
    list[#list + 1] = ffi.string(C.environ[i])
    i = i + 1
  end
  return list
end

--- Is this descriptor open, and would a program that we execute inherit it?
---@param fd integer
---@return boolean
function M.is_open(fd)
  local flags = C.fcntl(fd, 1) -- F_GETFD
  return flags >= 0 and bit.band(flags, 1) == 0
end

---@return integer 0 .. 2^31-1, from the kernel
function M.random_seed()
  local box = ffi.new("uint32_t[1]")
  C.getrandom(box, 4, 0)
  return bit.band(tonumber(box[0]), 0x7fffffff)
end

---@param fd integer
---@return boolean
function M.isatty(fd) return C.isatty(fd) == 1 end

local TIOCGWINSZ = 0x5413

--- Columns of the terminal that a descriptor is open on; nil when it is none, or does not know.
---@param fd integer
---@return integer|nil
function M.terminal_width(fd)
  local size = ffi.new("unsigned short[4]")
  if C.ioctl(fd, TIOCGWINSZ, size) ~= 0 or size[1] == 0 then return nil end
  return size[1]
end

--- Ends this process as the signal would end one that does not handle it.
---@param number integer
function M.die_by_signal(number)
  C.signal(number, nil)
  local none = ffi.new("uint8_t[128]")
  C.luatrace_sigprocmask(2, none, nil)
  C.kill(C.getpid(), number)
end

local REG_EXTENDED, REG_NOSUB = 1, 8

--- A POSIX extended regular expression, as strace's /regex has it.
---@param pattern string
---@return fun(text: string): boolean|nil, string? message
function M.regex(pattern)
  local compiled = ffi.new("struct luatrace_regex")
  local code = C.luatrace_regcomp(compiled, pattern, REG_EXTENDED + REG_NOSUB)
  if code ~= 0 then
    local text = ffi.new("char[256]")
    C.luatrace_regerror(code, compiled, text, 256)
    return nil, ffi.string(text)
  end
  ffi.gc(compiled, C.luatrace_regfree)
  return function(text) return C.luatrace_regexec(compiled, text, 0, nil, 0) == 0 end
end

-- --- /proc ----------------------------------------------------------------------------------------------------------

--- Why nothing is to be had of /proc/PID; nil: all is well. In another pid namespace's the numbers are strangers'.
---@return string|nil
function M.proc_trouble()
  local number = M.readlink "/proc/self"
  if not number then return "/proc is not mounted" end
  return tonumber(number) ~= M.getpid() and "/proc is another pid namespace's" or nil
end

local distrusted = M.proc_trouble() ~= nil

--- These functions, which take a path, find nothing under /proc/PID where that would be a stranger's.
---@param functions table<string, function>
---@param names string
function M.guard_proc(functions, names)
  if not distrusted then return end
  for name in names:gmatch "%S+" do
    local plain = functions[name]
    functions[name] = function(path, ...)
      if path:find "^/proc/%d" then return M.failure(constants.errno.by_name.ENOENT) end
      return plain(path, ...)
    end
  end
end

M.guard_proc(M, "readlink read_head read_file list_dir file_kind")

return M
