--- Calls on open descriptors.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local fd, zero = t.fd, t.i32
local in_bytes = t.ptr_in(t.bytes "count")
local out_bytes = t.ptr_out(t.bytes("count", "ret"))
local stat = t.ptr_out(structs.stat)
--- dup3 and pipe2 take any flag of open, says strace.
local new_fd_flags = t.flags("open_flags", { except = 3, comment = "O_???" })

--- fcntl's third argument depends on the command (fcntl(2)).
local F_DUPFD, F_SETFD, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN = 0, 2, 4, 5, 6, 7, 8
local F_SETSIG, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC = 10, 36, 37, 38, 1030
local F_SETPIPE_SZ, F_ADD_SEALS, F_SETLEASE, F_NOTIFY, F_SETOWN_EX, F_GETOWN_EX = 1031, 1033, 1024, 1026, 15, 16
local F_GETLK64, F_SETLK64, F_SETLKW64 = 12, 13, 14
local F_RW_HINTS = { [1035] = t.ptr_out, [1036] = t.ptr_in, [1037] = t.ptr_out, [1038] = t.ptr_in }
local fcntl_arguments = {
  [F_DUPFD] = t.i32, [F_DUPFD_CLOEXEC] = t.i32, [F_SETFD] = t.flags("fd_flags", { comment = "FD_???" }),
  [F_SETFL] = t.flags("open_flags", { enum = "open_access", mask = 3 }), [F_SETOWN] = t.pid, [F_SETSIG] = t.signal,
  [F_GETLK] = t.ptr_inout(structs.flock), [F_SETLK] = t.ptr_in(structs.flock), [F_SETLKW] = t.ptr_in(structs.flock),
  [F_OFD_GETLK] = t.ptr_inout(structs.flock), [F_OFD_SETLK] = t.ptr_in(structs.flock),
  [F_OFD_SETLKW] = t.ptr_in(structs.flock), [F_SETPIPE_SZ] = t.i32,
  [F_ADD_SEALS] = t.flags("seals", { comment = "F_SEAL_???" }),
  [F_SETLEASE] = t.enum("lock_type", { comment = "F_???" }),
  [F_NOTIFY] = t.flags("notify_flags", { comment = "DN_???" }),
  [F_SETOWN_EX] = t.ptr_in(structs.f_owner_ex), [F_GETOWN_EX] = t.ptr_out(structs.f_owner_ex),
  [F_GETLK64] = t.ptr_inout(structs.flock64), [F_SETLK64] = t.ptr_in(structs.flock64),
  [F_SETLKW64] = t.ptr_in(structs.flock64),
}
for command, direction in pairs(F_RW_HINTS) do
  fcntl_arguments[command] = direction(t.cell(t.enum("rw_hint", { of = t.u64, comment = "RWH_WRITE_LIFE_???" })))
end
--- Commands that take no third argument.
local fcntl_bare = { [1] = true, [3] = true, [9] = true, [11] = true, [1025] = true, [1032] = true, [1034] = true }

local function fcntl_cmd(call) return t.load.i32(nil, call.raw[2]) end

local F_GETFD, F_GETFL, F_GETLEASE, F_GET_SEALS = 1, 3, 1025, 1034
local fcntl_results = { [1] = t.flags "fd_flags", [3] = t.flags("open_flags", { enum = "open_access", mask = 3 }),
  [1034] = t.flags "seals", [0] = t.fd, [1030] = t.fd, [F_GETLEASE] = t.enum "lock_type" }
local has_meaning = { [F_GETFD] = true, [F_GETFL] = true, [F_GETLEASE] = true, [F_GET_SEALS] = true }
--- F_GETFL and F_GETFD print their number and its meaning.
local function fcntl_meaning(call, value)
  local cmd = fcntl_cmd(call)
  if cmd == F_GETLEASE then return require("luatrace.constants").enums.lock_type.by_value[value] end
  if not has_meaning[cmd] or (value == 0 and cmd == F_GETFD) then return nil end
  return (cmd == F_GET_SEALS and "seals " or "flags ") .. fcntl_results[cmd].string(value)
end

--- ioctl: requests by name; arguments of the common ones.
-- Whose argument is what: structs/ioctl_terminals.lua.
local function ioctl_argument(request) return structs.ioctl[request] end

local function ioctl_request(call) return t.load.u32(nil, call.raw[2]) end

local argp = t.by(function(call) return ioctl_argument(ioctl_request(call)) or t.xlong end, true)

--- A few requests overwrite what they were asked.
function argp.at_entry(call, value)
  local chosen = ioctl_argument(ioctl_request(call))
  if chosen and chosen.at_entry then chosen.at_entry(call, value) end
end

local request = t.named(function(value) return require("luatrace.constants").ioctl.by_value[value] end, function(value)
  local direction = ({ [0] = "_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE" })[bit.rshift(value, 30)]
  return ("_IOC(%s, %s, %s, %s)"):format(direction, t.hex(bit.band(bit.rshift(value, 8), 0xff)),
    t.hex(bit.band(value, 0xff)), t.hex(bit.band(bit.rshift(value, 16), 0x3fff)))
end, function(name) return require("luatrace.constants").ioctl.by_name[name] end)

local iov_in = t.ptr_in(t.iovec("iovcnt"))
--- The kernel moves the offset on by what it has sent.
local function has_moved(call) return call.raw_ret ~= 0 end
local rwf = t.flags("rwf_flags", { comment = "RWF_???" })
local never = function() return false end
local iov_out = t.ptr_out(t.iovec("iovcnt", "ret"))

return {
  read = { returns = t.count, { "fd", fd }, { "buf", out_bytes }, { "count", t.size } },
  write = { returns = t.count, { "fd", fd }, { "buf", in_bytes }, { "count", t.size } },
  pread64 = { returns = t.count, { "fd", fd }, { "buf", out_bytes }, { "count", t.size }, { "offset", t.i64 } },
  pwrite64 = { returns = t.count, { "fd", fd }, { "buf", in_bytes }, { "count", t.size }, { "offset", t.i64 } },
  readv = { returns = t.count, { "fd", fd }, { "iov", iov_out }, { "iovcnt", t.size } },
  writev = { returns = t.count, { "fd", fd }, { "iov", iov_in }, { "iovcnt", t.size } },
  preadv = { returns = t.count, { "fd", fd }, { "iov", iov_out }, { "iovcnt", t.size }, { "offset", t.i64 } },
  pwritev = { returns = t.count, { "fd", fd }, { "iov", iov_in }, { "iovcnt", t.size }, { "offset", t.i64 } },
  preadv2 = { returns = t.count, { "fd", fd }, { "iov", iov_out }, { "iovcnt", t.size }, { "offset", t.i64 },
    { "offset_high", t.ulong, when = never }, { "flags", rwf } },
  pwritev2 = { returns = t.count, { "fd", fd }, { "iov", iov_in }, { "iovcnt", t.size }, { "offset", t.i64 },
    { "offset_high", t.ulong, when = never }, { "flags", rwf } },
  close = { returns = zero, { "fd", fd } },
  close_range = { returns = zero, { "first", t.u32 }, { "last", t.u32 },
    { "flags", t.flags("close_range_flags", { comment = "CLOSE_RANGE_???" }) } },
  lseek = { returns = t.long, { "fd", fd }, { "offset", t.long }, { "whence", t.enum("whence",
    { comment = "SEEK_???" }) } },
  fstat = { returns = zero, classes = "fstat %stat", { "fd", fd }, { "statbuf", stat } },
  fstatfs = { returns = zero, classes = "fstatfs %statfs", { "fd", fd }, { "buf", t.ptr_out(structs.statfs) } },
  ioctl = { returns = t.i32, varies_by = "request", { "fd", fd }, { "request", request },
    { "argp", argp, when = function(call) return ioctl_argument(ioctl_request(call)) ~= false end } },
  fcntl = { returns = t.by(function(call)
    local cmd = fcntl_cmd(call)
    return has_meaning[cmd] and t.x32 or (cmd == F_DUPFD or cmd == F_DUPFD_CLOEXEC) and t.fd or t.i32
  end), classes = "desc", comment = fcntl_meaning, varies_by = "cmd", { "fd", fd },
    { "cmd", t.enum("fcntl_cmd", { comment = "F_???" }) },
    { "arg", t.by(function(call) return fcntl_arguments[fcntl_cmd(call)] or t.xlong end, true),
      when = function(call) return not fcntl_bare[fcntl_cmd(call)] end } },
  dup = { returns = fd, { "oldfd", fd } },
  dup2 = { returns = fd, { "oldfd", fd }, { "newfd", fd } },
  dup3 = { returns = fd, { "oldfd", fd }, { "newfd", fd }, { "flags", new_fd_flags } },
  pipe = { returns = zero, classes = "desc", { "pipefd", t.ptr_out(t.array(fd, 2)) } },
  pipe2 = { returns = zero, classes = "desc", { "pipefd", t.ptr_out(t.array(fd, 2)) },
    { "flags", new_fd_flags } },
  fchdir = { returns = zero, { "fd", fd } },
  fchmod = { returns = zero, { "fd", fd }, { "mode", t.mode } },
  fchown = { returns = zero, { "fd", fd }, { "owner", t.uid }, { "group", t.uid } },
  ftruncate = { returns = zero, { "fd", fd }, { "length", t.long_unsigned } },
  fsync = { returns = zero, { "fd", fd } },
  fdatasync = { returns = zero, { "fd", fd } },
  syncfs = { returns = zero, { "fd", fd } },
  sync = { returns = zero },
  sync_file_range = { returns = zero, { "fd", fd }, { "offset", t.i64 }, { "nbytes", t.i64 },
    { "flags", t.flags("sync_file_range_flags", { comment = "SYNC_FILE_RANGE_???" }) } },
  fallocate = { returns = zero, { "fd", fd }, { "mode", t.flags("fallocate_mode", { comment = "FALLOC_FL_???" }) },
    { "offset", t.i64 }, { "len", t.i64 } },
  fadvise64 = { returns = zero, { "fd", fd }, { "offset", t.i64 }, { "len", t.size },
    { "advice", t.enum("fadvise", { comment = "POSIX_FADV_???" }) } },
  copy_file_range = { returns = t.count, { "fd_in", fd }, { "off_in", t.ptr_in(t.cell(t.i64)) }, { "fd_out", fd },
    { "off_out", t.ptr_in(t.cell(t.i64)) }, { "len", t.size }, { "flags", t.u32 } },
  sendfile = { returns = t.count, classes = "network", { "out_fd", fd }, { "in_fd", fd },
    { "offset", t.ptr_change(t.cell(t.long), has_moved) }, { "count", t.size } },
  splice = { returns = t.count, { "fd_in", fd }, { "off_in", t.ptr_in(t.cell(t.i64)) }, { "fd_out", fd },
    { "off_out", t.ptr_in(t.cell(t.i64)) }, { "len", t.size },
    { "flags", t.flags("splice_flags", { comment = "SPLICE_F_???" }) } },
  getdents64 = { returns = t.count, { "fd", fd }, { "dirp", t.ptr_out(t.dirents) }, { "count", t.u32 } },
  flock = { returns = zero, { "fd", fd }, { "operation", t.flags("flock_ops", { comment = "LOCK_???" }) } },
  memfd_create = { returns = fd, classes = "desc", { "name", t.ptr_in(t.cstring) },
    { "flags", t.flags("memfd_flags", { comment = "MFD_???" }) } },
  eventfd2 = { returns = fd, classes = "desc", { "initval", t.u32 },
    { "flags", t.flags("eventfd_flags", { comment = "EFD_???" }) } },
  inotify_init1 = { returns = fd, classes = "desc", { "flags", t.flags("inotify_init_flags") } },
  inotify_add_watch = { returns = t.i32, { "fd", fd }, { "pathname", t.path },
    { "mask", t.flags("inotify_flags", { comment = "IN_???" }) } },
}
