--- Calls on open descriptors.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local fd, zero = t.fd, t.i32
local in_bytes = t.ptr_in(t.bytes "count")
local out_bytes = t.ptr_out(t.bytes("count", "ret"))
local stat = t.ptr_out(structs.stat)
local dup_flags = t.flags("dup3_flags", { comment = "O_???" })

--- fcntl's third argument depends on the command (fcntl(2)).
local F_DUPFD, F_SETFD, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_SETOWN = 0, 2, 4, 5, 6, 7, 8
local F_SETSIG, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_DUPFD_CLOEXEC = 10, 36, 37, 38, 1030
local F_SETPIPE_SZ, F_ADD_SEALS = 1031, 1033
local fcntl_arguments = {
  [F_DUPFD] = t.i32, [F_DUPFD_CLOEXEC] = t.i32, [F_SETFD] = t.flags("fd_flags", { comment = "FD_???" }),
  [F_SETFL] = t.flags("open_flags", { enum = "open_access", mask = 3 }), [F_SETOWN] = t.i32, [F_SETSIG] = t.signal,
  [F_GETLK] = t.ptr_inout(structs.flock), [F_SETLK] = t.ptr_in(structs.flock), [F_SETLKW] = t.ptr_in(structs.flock),
  [F_OFD_GETLK] = t.ptr_inout(structs.flock), [F_OFD_SETLK] = t.ptr_in(structs.flock),
  [F_OFD_SETLKW] = t.ptr_in(structs.flock), [F_SETPIPE_SZ] = t.i32,
  [F_ADD_SEALS] = t.flags("seals", { comment = "F_SEAL_???" }),
}
--- Commands that take no third argument.
local fcntl_bare = { [1] = true, [3] = true, [9] = true, [11] = true, [1025] = true, [1032] = true, [1034] = true }

local function fcntl_cmd(call) return t.load.i32(nil, call.raw[2]) end

local fcntl_results = { [1] = t.flags "fd_flags", [3] = t.flags("open_flags", { enum = "open_access", mask = 3 }),
  [1034] = t.flags "seals", [0] = t.fd, [1030] = t.fd }
--- F_GETFL and F_GETFD print their number and its meaning.
local function fcntl_meaning(call, value)
  local cmd = fcntl_cmd(call)
  if cmd == 1 or cmd == 3 or cmd == 1034 then
    if value == 0 and cmd == 1 then return nil end
    return "flags " .. fcntl_results[cmd].string(value)
  end
end

--- ioctl: requests by name; arguments of the common ones.
local TCGETS, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, FIONBIO = 0x5401, 0x5413, 0x5414, 0x541b, 0x5421
local TCSETS, TCSETSW, TCSETSF, TIOCGPGRP, TIOCSPGRP = 0x5402, 0x5403, 0x5404, 0x540f, 0x5410
local int_in, int_out = t.ptr_in(t.cell(t.i32)), t.ptr_out(t.cell(t.i32))
local ioctl_arguments = {
  [TCGETS] = t.ptr_out(structs.termios), [TCSETS] = t.ptr_in(structs.termios), [TCSETSW] = t.ptr_in(structs.termios),
  [TCSETSF] = t.ptr_in(structs.termios), [TIOCGWINSZ] = t.ptr_out(structs.winsize),
  [TIOCSWINSZ] = t.ptr_in(structs.winsize), [FIONREAD] = int_out, [FIONBIO] = int_in, [TIOCGPGRP] = int_out,
  [TIOCSPGRP] = int_in, [0x40049409] = t.fd,
}
local ioctl_bare = { [0x5450] = true, [0x5451] = true, [0x540e] = true, [0x5422] = true }

local function ioctl_request(call) return t.load.u32(nil, call.raw[2]) end

local request = t.named(function(value) return require("luatrace.constants").ioctl.by_value[value] end, function(value)
  local direction = ({ [0] = "_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE" })[bit.rshift(value, 30)]
  return ("_IOC(%s, %s, %s, %s)"):format(direction, t.hex(bit.band(bit.rshift(value, 8), 0xff)),
    t.hex(bit.band(value, 0xff)), t.hex(bit.band(bit.rshift(value, 16), 0x3fff)))
end, function(name) return require("luatrace.constants").ioctl.by_name[name] end)

local iov_in = t.ptr_in(t.iovec("iovcnt"))
local iov_out = t.ptr_out(t.iovec("iovcnt", "ret"))

return {
  read = { returns = t.count, { "fd", fd }, { "buf", out_bytes }, { "count", t.size } },
  write = { returns = t.count, { "fd", fd }, { "buf", in_bytes }, { "count", t.size } },
  pread64 = { returns = t.count, { "fd", fd }, { "buf", out_bytes }, { "count", t.size }, { "offset", t.i64 } },
  pwrite64 = { returns = t.count, { "fd", fd }, { "buf", in_bytes }, { "count", t.size }, { "offset", t.i64 } },
  readv = { returns = t.count, { "fd", fd }, { "iov", iov_out }, { "iovcnt", t.i32 } },
  writev = { returns = t.count, { "fd", fd }, { "iov", iov_in }, { "iovcnt", t.i32 } },
  preadv = { returns = t.count, { "fd", fd }, { "iov", iov_out }, { "iovcnt", t.i32 }, { "offset", t.i64 } },
  pwritev = { returns = t.count, { "fd", fd }, { "iov", iov_in }, { "iovcnt", t.i32 }, { "offset", t.i64 } },
  close = { returns = zero, { "fd", fd } },
  close_range = { returns = zero, { "first", t.u32 }, { "last", t.u32 },
    { "flags", t.flags("close_range_flags", { comment = "CLOSE_RANGE_???" }) }, classes = "desc" },
  lseek = { returns = t.long, { "fd", fd }, { "offset", t.long }, { "whence", t.enum("whence",
    { comment = "SEEK_???" }) } },
  fstat = { returns = zero, classes = "fstat %stat", { "fd", fd }, { "statbuf", stat } },
  fstatfs = { returns = zero, classes = "fstatfs %statfs", { "fd", fd }, { "buf", t.ptr_out(structs.statfs) } },
  ioctl = { returns = t.i32, { "fd", fd }, { "request", request }, { "argp", t.by(function(call)
    return ioctl_arguments[ioctl_request(call)] or t.xlong
  end, true), when = function(call) return not ioctl_bare[ioctl_request(call)] end } },
  fcntl = { returns = t.by(function(call)
    local cmd = fcntl_cmd(call)
    return (cmd == 1 or cmd == 3 or cmd == 1034) and t.x32 or t.i32
  end), comment = fcntl_meaning, { "fd", fd },
    { "cmd", t.enum("fcntl_cmd", { comment = "F_???" }) },
    { "arg", t.by(function(call) return fcntl_arguments[fcntl_cmd(call)] or t.xlong end),
      when = function(call) return not fcntl_bare[fcntl_cmd(call)] end } },
  dup = { returns = fd, { "oldfd", fd } },
  dup2 = { returns = fd, { "oldfd", fd }, { "newfd", fd } },
  dup3 = { returns = fd, { "oldfd", fd }, { "newfd", fd }, { "flags", dup_flags } },
  pipe = { returns = zero, classes = "desc", { "pipefd", t.ptr_out(t.array(fd, 2)) } },
  pipe2 = { returns = zero, classes = "desc", { "pipefd", t.ptr_out(t.array(fd, 2)) },
    { "flags", t.flags("pipe_flags", { comment = "O_???" }) } },
  fchdir = { returns = zero, { "fd", fd } },
  fchmod = { returns = zero, { "fd", fd }, { "mode", t.mode } },
  fchown = { returns = zero, { "fd", fd }, { "owner", t.uid }, { "group", t.uid } },
  ftruncate = { returns = zero, { "fd", fd }, { "length", t.long } },
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
    { "off_out", t.ptr_in(t.cell(t.i64)) }, { "len", t.size }, { "flags", t.x32 } },
  sendfile = { returns = t.count, classes = "network", { "out_fd", fd }, { "in_fd", fd },
    { "offset", t.ptr_in(t.cell(t.long)) }, { "count", t.size } },
  splice = { returns = t.count, { "fd_in", fd }, { "off_in", t.ptr_in(t.cell(t.i64)) }, { "fd_out", fd },
    { "off_out", t.ptr_in(t.cell(t.i64)) }, { "len", t.size },
    { "flags", t.flags("splice_flags", { comment = "SPLICE_F_???" }) } },
  getdents64 = { returns = t.count, { "fd", fd }, { "dirp", t.ptr_out(t.dirents) }, { "count", t.size } },
  flock = { returns = zero, { "fd", fd }, { "operation", t.flags("flock_ops", { comment = "LOCK_???" }) } },
  memfd_create = { returns = fd, classes = "desc", { "name", t.ptr_in(t.cstring) },
    { "flags", t.flags("memfd_flags", { comment = "MFD_???" }) } },
  eventfd2 = { returns = fd, classes = "desc", { "initval", t.u32 },
    { "flags", t.flags("eventfd_flags", { comment = "EFD_???" }) } },
  inotify_init1 = { returns = fd, classes = "desc", { "flags", t.flags("inotify_init_flags") } },
  inotify_add_watch = { returns = t.i32, { "fd", fd }, { "pathname", t.path },
    { "mask", t.flags("inotify_flags", { comment = "IN_???" }) } },
}
