--- Files and directories for tools that work on copies of them: a room of sys.lua, since Lua's own library cannot even
-- list or stat. Thin: one function a system call, and the few loops that everybody needs (whole trees).
--
--   local files = require "luatrace.sys.files"
--   local stat = files.lstat("/etc/passwd")        -- { kind = "file", size = 1234, id = "8:1:4242", ... }
--   files.copy_tree("/some/fixture", "/dev/shm/copy")
--   files.remove_tree("/dev/shm/copy")
--
-- Every function returns something true, or nil, message, "ENAME". All descriptors are close-on-exec.

local bit = require "bit"
local ffi = require "ffi"
local sys = require "luatrace.sys"

ffi.cdef [[
struct luatrace_statx_time { int64_t sec; uint32_t nsec; int32_t pad; };
struct luatrace_statx {
  uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, pad; uint64_t ino, size, blocks,
  attributes_mask; struct luatrace_statx_time atime, btime, ctime, mtime; uint32_t rdev_major, rdev_minor, dev_major,
  dev_minor; uint64_t spare[14];
};
int statx(int dirfd, const char *path, int flags, unsigned mask, struct luatrace_statx *buffer);
long pread64(int fd, void *buffer, size_t size, int64_t offset);
long pwrite64(int fd, const void *buffer, size_t size, int64_t offset);
long write(int fd, const void *buffer, size_t size);
int ftruncate64(int fd, int64_t size);
int mkdir(const char *path, unsigned mode);
int rmdir(const char *path);
int unlink(const char *path);
int symlink(const char *target, const char *path);
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int rename(const char *from, const char *to);
int mkfifo(const char *path, unsigned mode);
int chmod(const char *path, unsigned mode);
int lchown(const char *path, unsigned uid, unsigned gid);
int utimensat(int dirfd, const char *path, const struct luatrace_timespec *times, int flags);
char *mkdtemp(char *template);
int ioctl(int fd, unsigned long request, ...);
long copy_file_range(int fd_in, int64_t *off_in, int fd_out, int64_t *off_out, size_t size, unsigned flags);
long lseek64(int fd, long offset, int whence);
struct luatrace_statfs { int64_t type, bsize, blocks, bfree, bavail, rest[10]; };
int statfs(const char *path, struct luatrace_statfs *buffer);
long getxattr(const char *path, const char *name, void *value, size_t size);
]]

local C = ffi.C
local M = {}

local AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW = -100, 0x100, 0x1000, 0x400
local O_CLOEXEC, O_CREAT, O_TRUNC = 0x80000, 0x40, 0x200
local STATX_BASIC = 0x7ff
M.O_RDONLY, M.O_WRONLY, M.O_RDWR, M.O_CREAT, M.O_EXCL, M.O_TRUNC, M.O_APPEND, M.O_NOFOLLOW, M.O_PATH, M.O_NONBLOCK =
  0, 1, 2, O_CREAT, 0x80, O_TRUNC, 0x400, 0x20000, 0x200000, 0x800

local failed = sys.failed

local function done(result)
  if result < 0 then return failed() end
  return true
end

-- --- what a path is -------------------------------------------------------------------------------------------------

local kinds = { [0x8000] = "file", [0x4000] = "dir", [0xa000] = "symlink", [0x1000] = "fifo", [0xc000] = "socket",
  [0x2000] = "char", [0x6000] = "block" }

---@class luatrace.Stat
---@field kind "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"
---@field id string device and inode: two names with one id are one file
---@field device string
---@field ino number
---@field mode integer permission bits, 07777
---@field size number
---@field nlink integer
---@field uid integer
---@field gid integer
---@field blocks number of 512 bytes
---@field rdev_major integer of a device
---@field rdev_minor integer
---@field mtime number seconds; exact to a fifth of a microsecond
---@field mtime_sec number
---@field mtime_nsec integer
---@field ctime number

local box = ffi.new("struct luatrace_statx")

local function look(dirfd, path, flags)
  if C.statx(dirfd, path, flags, STATX_BASIC, box) < 0 then return failed() end
  local device = ("%d:%d"):format(box.dev_major, box.dev_minor)
  local ino = tonumber(box.ino)
  return { kind = kinds[bit.band(box.mode, 0xf000)], device = device, ino = ino,
    id = ("%s:%.0f"):format(device, ino), mode = bit.band(box.mode, 0xfff), rdev_major = box.rdev_major,
    rdev_minor = box.rdev_minor, size = tonumber(box.size),
    nlink = box.nlink, uid = box.uid, gid = box.gid, blocks = tonumber(box.blocks),
    mtime = tonumber(box.mtime.sec) + box.mtime.nsec / 1e9, mtime_sec = tonumber(box.mtime.sec),
    mtime_nsec = box.mtime.nsec, ctime = tonumber(box.ctime.sec) + box.ctime.nsec / 1e9 }
end

local attribute = ffi.new("char[256]")

--- A short extended attribute; follows symbolic links.
---@param path string
---@param name string such as "security.capability"
---@return string|nil bytes, string? message, string? errno
function M.xattr(path, name)
  local got = tonumber(C.getxattr(path, name, attribute, 256))
  if got < 0 then return failed() end
  return ffi.string(attribute, got)
end

--- Follows symbolic links.
---@return luatrace.Stat|nil stat, string? message, string? errno
function M.stat(path) return look(AT_FDCWD, path, 0) end

---@return luatrace.Stat|nil stat, string? message, string? errno
function M.lstat(path) return look(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW) end

---@return luatrace.Stat|nil stat, string? message, string? errno
function M.fstat(fd) return look(fd, "", AT_EMPTY_PATH) end

local print_box = ffi.new("uint64_t[5]")

--- A short string that changes when a file's content, size, mode or identity does; not when it is read.
---@return string|nil bytes, "dir"|"file"|string kind
function M.fingerprint(path)
  if C.statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC, box) < 0 then return nil, "none" end
  local kind = kinds[bit.band(box.mode, 0xf000)]
  local is_dir = kind == "dir"
  print_box[0], print_box[1] = box.mode, is_dir and 0 or box.ino
  print_box[2], print_box[3], print_box[4] = is_dir and 0 or box.size, is_dir and 0 or box.mtime.sec,
    is_dir and 0 or box.mtime.nsec
  return ffi.string(print_box, 40), kind
end

-- --- one file -------------------------------------------------------------------------------------------------------

---@param flags integer of M.O_*; close-on-exec is added
---@param mode integer|nil default 0644, umask applies
---@return integer|nil fd, string? message, string? errno
function M.open(path, flags, mode)
  local fd = C.open(path, bit.bor(flags, O_CLOEXEC), ffi.cast("int", mode or 420))
  if fd < 0 then return failed() end
  return fd
end

function M.close(fd) return done(C.close(fd)) end

local buffer, buffer_size = ffi.new("uint8_t[?]", 65536), 65536

--- Up to `size` bytes at `offset`; fewer at the end of the file.
---@return string|nil bytes, string? message, string? errno
function M.pread(fd, size, offset)
  if size > buffer_size then
    buffer_size = math.max(size, buffer_size * 2)
    buffer = ffi.new("uint8_t[?]", buffer_size)
  end
  local got = 0
  while got < size do
    local n = tonumber(C.pread64(fd, buffer + got, size - got, offset + got))
    if n < 0 then return failed() end
    if n == 0 then break end
    got = got + n
  end
  return ffi.string(buffer, got)
end

--- All of `bytes`, at `offset`.
---@return true|nil, string? message, string? errno
function M.pwrite(fd, bytes, offset)
  local size, put = #bytes, 0
  local from = ffi.cast("const uint8_t *", bytes)
  while put < size do
    local n = tonumber(C.pwrite64(fd, from + put, size - put, offset + put))
    if n < 0 then return failed() end
    put = put + n
  end
  return true
end

--- A file with this content, made or replaced in place.
---@return true|nil, string? message, string? errno
function M.write_file(path, bytes, mode)
  local fd, message, name = M.open(path, M.O_WRONLY + O_CREAT + O_TRUNC, mode)
  if not fd then return nil, message, name end
  local ok
  ok, message, name = M.pwrite(fd, bytes, 0)
  C.close(fd)
  return ok, message, name
end

function M.ftruncate(fd, size) return done(C.ftruncate64(fd, size)) end
function M.mkdir(path, mode) return done(C.mkdir(path, mode or 493)) end
function M.rmdir(path) return done(C.rmdir(path)) end
function M.unlink(path) return done(C.unlink(path)) end
function M.symlink(target, path) return done(C.symlink(target, path)) end
function M.mkfifo(path, mode) return done(C.mkfifo(path, mode or 420)) end
function M.rename(from, to) return done(C.rename(from, to)) end
--- umask does not matter.
function M.chmod(path, mode) return done(C.chmod(path, mode)) end
function M.chown(path, uid, gid) return done(C.lchown(path, uid, gid)) end

---@param follow boolean|nil what `from` leads to, when it is a symbolic link
function M.link(from, to, follow)
  return done(C.linkat(AT_FDCWD, from, AT_FDCWD, to, follow and AT_SYMLINK_FOLLOW or 0))
end

local times = ffi.new("struct luatrace_timespec[2]")

--- Sets the time of last modification (and of access), of a symbolic link itself when it is one.
function M.set_mtime(path, sec, nsec)
  times[0].sec, times[0].nsec = sec, nsec or 0
  times[1].sec, times[1].nsec = sec, nsec or 0
  return done(C.utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW))
end

--- A new directory below `parent`, for us alone.
---@return string|nil path, string? message, string? errno
function M.make_temporary(parent, prefix)
  local template = ("%s/%sXXXXXX"):format(parent, prefix)
  local name = ffi.new("char[?]", #template + 1, template)
  if C.mkdtemp(name) == nil then return failed() end
  return ffi.string(name)
end

local statfs_box = ffi.new("struct luatrace_statfs")

--- Bytes in use and free in the file system of a path.
---@return { used: number, free: number }|nil, string? message, string? errno
function M.space(path)
  if C.statfs(path, statfs_box) < 0 then return failed() end
  local size = tonumber(statfs_box.bsize)
  return { used = tonumber(statfs_box.blocks - statfs_box.bfree) * size, free = tonumber(statfs_box.bavail) * size }
end

local words_size = 131072
local words = ffi.new("uint64_t[?]", words_size / 8)

--- Tells contents apart without keeping them: a hash of 64 bits (FNV-1a over words), and the length.
---@return string|nil digest, string? message, string? errno
function M.digest(path)
  local fd, message, name = M.open(path, M.O_RDONLY)
  if not fd then return nil, message, name end
  local bytes = ffi.cast("uint8_t *", words)
  local hash, total = 0xcbf29ce484222325ULL, 0
  repeat
    local filled = 0
    while filled < words_size do
      local got = tonumber(C.read(fd, bytes + filled, words_size - filled))
      if got <= 0 then break end
      filled = filled + got
    end
    total = total + filled
    while filled % 8 ~= 0 do
      bytes[filled] = 0
      filled = filled + 1
    end
    for i = 0, filled / 8 - 1 do
      hash = bit.bxor(hash, words[i]) * 0x100000001b3ULL
      hash = bit.bxor(hash, bit.rshift(hash, 29))
    end
  until filled < words_size
  C.close(fd)
  return ("%s:%d"):format(bit.tohex(hash), total)
end

local FICLONE = 0x40049409

--- Copies bytes: by reflink where the file system can (then it costs nothing), else inside the kernel.
local function copy_bytes(from, to, size)
  if C.ioctl(to, FICLONE, ffi.cast("int", from)) == 0 then return true end
  local left = size
  while left > 0 do
    local n = tonumber(C.copy_file_range(from, nil, to, nil, left, 0))
    if n <= 0 then break end
    left = left - n
  end
  local offset = size - left
  while true do
    local bytes, message, name = M.pread(from, 1048576, offset)
    if not bytes then return nil, message, name end
    if bytes == "" then return true end
    local ok
    ok, message, name = M.pwrite(to, bytes, offset)
    if not ok then return nil, message, name end
    offset = offset + #bytes
  end
end

--- A copy of a regular file with its permissions and time.
---@return true|nil, string? message, string? errno
function M.copy_file(from, to, stat)
  stat = stat or M.stat(from)
  local source, message, name = M.open(from, M.O_RDONLY)
  if not source then return nil, message, name end
  local target
  target, message, name = M.open(to, M.O_WRONLY + O_CREAT + O_TRUNC, 384)
  if not target then
    C.close(source)
    return nil, message, name
  end
  local ok
  ok, message, name = copy_bytes(source, target, stat.size)
  C.close(source)
  C.close(target)
  if not ok then return nil, message, name end
  M.chmod(to, stat.mode)
  return M.set_mtime(to, stat.mtime_sec, stat.mtime_nsec)
end

-- --- trees ----------------------------------------------------------------------------------------------------------

--- Calls fn(path below root, stat) for all that is below a directory, directories before what they hold, by name.
-- `fn` may return false to leave a directory out.
---@return true|nil, string? message, string? errno, string? path
function M.walk(root, fn, below)
  local names, message, name = sys.list_dir(below and root .. "/" .. below or root)
  if not names then return nil, message, name, below or "" end
  table.sort(names)
  for _, entry in ipairs(names) do
    local path = below and below .. "/" .. entry or entry
    local stat = M.lstat(root .. "/" .. path)
    -- What went away between the two looks is not there.
    if stat and fn(path, stat) ~= false and stat.kind == "dir" then
      local ok, where
      ok, message, name, where = M.walk(root, fn, path)
      if not ok then return nil, message, name, where end
    end
  end
  return true
end

--- Copies a tree into an existing or new directory: files, directories, symbolic links, fifos, hard links among them,
-- permissions and times. Sockets and devices are left out.
---@return true|nil, string? message, string? errno
function M.copy_tree(from, to)
  local first = {}
  local directories = {}
  local failure
  local function fail(path, message, name) failure = failure or { ("%s: %s"):format(path, message), name } end
  local root, message, name = M.stat(from)
  if not root then return nil, message, name end
  if not M.stat(to) then
    local ok
    ok, message, name = M.mkdir(to, 448)
    if not ok then return nil, message, name end
  end
  directories[1] = { to, root }
  local itself = M.stat(to).id
  local ok
  ok, message, name = M.walk(from, function(path, stat)
    -- A copy inside what is copied would have no end.
    if stat.id == itself then return false end
    local source, target = from .. "/" .. path, to .. "/" .. path
    local done_so, problem, errno = true, nil, nil
    if stat.nlink > 1 and stat.kind ~= "dir" and first[stat.id] then
      done_so, problem, errno = M.link(first[stat.id], target)
    elseif stat.kind == "file" then
      done_so, problem, errno = M.copy_file(source, target, stat)
    elseif stat.kind == "dir" then
      done_so, problem, errno = M.mkdir(target, 448)
      directories[#directories + 1] = { target, stat }
    elseif stat.kind == "symlink" then
      done_so, problem, errno = M.symlink(sys.readlink(source) or "", target)
    elseif stat.kind == "fifo" then
      done_so, problem, errno = M.mkfifo(target, stat.mode)
    end
    if not done_so then fail(source, problem, errno) end
    if stat.nlink > 1 and stat.kind ~= "dir" then first[stat.id] = first[stat.id] or target end
  end)
  if not ok then return nil, message, name end
  -- Last: a directory's time changes while it is filled, and it may not be writable.
  for i = #directories, 1, -1 do
    M.chmod(directories[i][1], directories[i][2].mode)
    M.set_mtime(directories[i][1], directories[i][2].mtime_sec, directories[i][2].mtime_nsec)
  end
  if failure then return nil, failure[1], failure[2] end
  return true
end

--- Removes a file or a whole tree; that it is not there is no failure.
---@return true|nil, string? message, string? errno
function M.remove_tree(path)
  local stat = M.lstat(path)
  if not stat then return true end
  if stat.kind ~= "dir" then return M.unlink(path) end
  local names = sys.list_dir(path)
  if not names then
    -- Somebody took our permission away.
    M.chmod(path, 448)
    names = sys.list_dir(path) or {}
  end
  for _, entry in ipairs(names) do
    if not M.remove_tree(path .. "/" .. entry) then
      M.chmod(path, 448)
      M.remove_tree(path .. "/" .. entry)
    end
  end
  return M.rmdir(path)
end

sys.guard_proc(M, "stat lstat open")

return M
