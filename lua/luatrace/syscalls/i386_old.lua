--- Calls that only 32-bit programs have: those of before 1999, those with 16-bit users, those with 64-bit times, and
-- those that pass a 64-bit number in two registers.

local t = require "luatrace.types"
local structs = require "luatrace.structs"
local f = require "luatrace.structs.fields"

local zero, fd, path, uid = t.i32, t.fd, t.path, t.uid

local high = t.hidden(t.u32)
--- The low word is here, the high one in the next register, which is not printed.
local function low(index) return t.pair(index) end
local function rest(name) return { name, high, when = f.never } end

--- A copy of another room's row, with some arguments of its own.
---@param room string
---@param name string
---@param own table<string, table>|nil types by argument
local function like(room, name, own)
  local row = require("luatrace.syscalls." .. room)[name]
  local classes = {}
  if type(row.classes) == "table" then
    for class in pairs(row.classes) do classes[#classes + 1] = class end
  else
    classes[1] = row.classes
  end
  local copy = { returns = row.returns, comment = row.comment, order = row.order, plain_comment = row.plain_comment,
    classes = table.concat(classes, " ") }
  for i = 1, #row do
    local argument = row[i]
    local argument_name = argument.name or argument[1]
    copy[i] = { argument_name, own and own[argument_name] or argument.type or argument[2], when = argument.when,
      label = argument.label }
  end
  return copy
end

local timespec64 = t.ptr_in(structs.timespec64)
local itimerspec64, itimerspec64_out = t.ptr_in(structs.itimerspec64), t.ptr_out(structs.itimerspec64)

--- Users and groups of 16 bits; 65535 is "leave as it is".
local uid16 = setmetatable({
  size = 2, ctype = "const uint16_t *",
  load = function(_, raw)
    local value = t.load.u32(nil, raw) % 65536
    return value == 65535 and -1 or value
  end,
}, { __index = uid })
local uid16_out = t.ptr_out(t.cell(uid16))

local rows = {
  -- 64-bit times
  clock_adjtime64 = like("system", "clock_adjtime", { buf = t.ptr_out(structs.timex64) }),
  clock_getres_time64 = like("time", "clock_getres", { res = t.ptr_out(structs.timespec64) }),
  clock_settime64 = like("time", "clock_settime", { tp = timespec64 }),
  io_pgetevents_time64 = like("trace", "io_pgetevents", { timeout = timespec64 }),
  mq_timedreceive_time64 = like("ipc", "mq_timedreceive", { abs_timeout = timespec64 }),
  mq_timedsend_time64 = like("ipc", "mq_timedsend", { abs_timeout = timespec64 }),
  ppoll_time64 = like("poll", "ppoll", { tmo_p = timespec64 }),
  pselect6_time64 = like("poll", "pselect6", { timeout = timespec64 }),
  recvmmsg_time64 = like("messages", "recvmmsg", { timeout = timespec64 }),
  rt_sigtimedwait_time64 = like("signal", "rt_sigtimedwait", { uts = timespec64 }),
  sched_rr_get_interval_time64 = like("sched", "sched_rr_get_interval", { tp = t.ptr_out(structs.timespec64) }),
  semtimedop_time64 = like("ipc", "semtimedop", { timeout = timespec64 }),
  timer_gettime64 = like("sched", "timer_gettime", { curr_value = itimerspec64_out }),
  timer_settime64 = like("sched", "timer_settime", { new_value = itimerspec64, old_value = itimerspec64_out }),
  timerfd_gettime64 = like("time", "timerfd_gettime", { curr_value = itimerspec64_out }),
  timerfd_settime64 = like("time", "timerfd_settime", { new_value = itimerspec64, old_value = itimerspec64_out }),
  utimensat_time64 = like("file", "utimensat", { times = t.ptr_in(t.array(structs.timespec64_utime, 2)) }),

  -- 32-bit users, where the older calls have 16 bits
  chown32 = like("file", "chown"), lchown32 = like("file", "lchown"), fchown32 = like("fd", "fchown"),
  getgroups32 = like("process", "getgroups"), setgroups32 = like("process", "setgroups"),
  getresuid32 = like("process", "getresuid"), getresgid32 = like("process", "getresgid"),
  setuid32 = like("process", "setuid"), setgid32 = like("process", "setgid"),
  setreuid32 = like("process", "setreuid"), setregid32 = like("process", "setregid"),
  setresuid32 = like("process", "setresuid"), setresgid32 = like("process", "setresgid"),
  setfsuid32 = like("process", "setfsuid"), setfsgid32 = like("process", "setfsgid"),
  chown = like("file", "chown", { owner = uid16, group = uid16 }),
  lchown = like("file", "lchown", { owner = uid16, group = uid16 }),
  fchown = like("fd", "fchown", { owner = uid16, group = uid16 }),
  setuid = like("process", "setuid", { uid = uid16 }), setgid = like("process", "setgid", { gid = uid16 }),
  setreuid = like("process", "setreuid", { ruid = uid16, euid = uid16 }),
  setregid = like("process", "setregid", { rgid = uid16, egid = uid16 }),
  setresuid = like("process", "setresuid", { ruid = uid16, euid = uid16, suid = uid16 }),
  setresgid = like("process", "setresgid", { rgid = uid16, egid = uid16, sgid = uid16 }),
  setfsuid = like("process", "setfsuid", { fsuid = uid16 }), setfsgid = like("process", "setfsgid", { fsgid = uid16 }),
  getresuid = like("process", "getresuid", { ruid = uid16_out, euid = uid16_out, suid = uid16_out }),
  getresgid = like("process", "getresgid", { rgid = uid16_out, egid = uid16_out, sgid = uid16_out }),
  getgroups = like("process", "getgroups", { list = t.ptr_out(t.array(uid16, "ret")) }),
  setgroups = like("process", "setgroups", { list = t.ptr_in(t.array(uid16, "size")) }),

  -- 64-bit numbers in two registers
  fadvise64 = { returns = zero, { "fd", fd }, { "offset", low(2) }, rest "offset_high", { "len", t.size },
    { "advice", t.enum("fadvise", { comment = "POSIX_FADV_???" }) } },
  fadvise64_64 = { returns = zero, { "fd", fd }, { "offset", low(2) }, rest "offset_high", { "len", low(4) },
    rest "len_high", { "advice", t.enum("fadvise", { comment = "POSIX_FADV_???" }) } },
  fallocate = { returns = zero, { "fd", fd }, { "mode", t.flags("fallocate_mode", { comment = "FALLOC_FL_???" }) },
    { "offset", low(3) }, rest "offset_high", { "len", low(5) }, rest "len_high" },
  sync_file_range = { returns = zero, { "fd", fd }, { "offset", low(2) }, rest "offset_high", { "nbytes", low(4) },
    rest "nbytes_high", { "flags", t.flags("sync_file_range_flags", { comment = "SYNC_FILE_RANGE_???" }) } },
  readahead = { returns = zero, { "fd", fd }, { "offset", low(2) }, rest "offset_high", { "count", t.size } },
  preadv = { returns = t.count, { "fd", fd }, { "iov", t.ptr_out(t.iovec("iovcnt", "ret")) }, { "iovcnt", t.size },
    { "offset", low(4) }, rest "offset_high" },
  pwritev = { returns = t.count, { "fd", fd }, { "iov", t.ptr_in(t.iovec "iovcnt") }, { "iovcnt", t.size },
    { "offset", low(4) }, rest "offset_high" },
  preadv2 = { returns = t.count, { "fd", fd }, { "iov", t.ptr_out(t.iovec("iovcnt", "ret")) }, { "iovcnt", t.size },
    { "offset", low(4) }, rest "offset_high", { "flags", t.flags("rwf_flags", { comment = "RWF_???" }) } },
  pwritev2 = { returns = t.count, { "fd", fd }, { "iov", t.ptr_in(t.iovec "iovcnt") }, { "iovcnt", t.size },
    { "offset", low(4) }, rest "offset_high", { "flags", t.flags("rwf_flags", { comment = "RWF_???" }) } },
  lookup_dcookie = { returns = t.count, { "cookie", low(1) }, rest "cookie_high",
    { "buf", t.ptr_out(t.bytes("len", "ret")) }, { "len", t.size } },
  fanotify_mark = { returns = zero, { "fanotify_fd", fd },
    { "flags", t.flags("fanotify_mark_flags", { comment = "FAN_MARK_???" }) },
    { "mask", t.flags("fanotify_events", { of = low(3), comment = "FAN_???" }) }, rest "mask_high",
    { "dirfd", structs.fan_dirfd }, { "pathname", t.path_at "dirfd" } },
  sendfile64 = { returns = t.count, classes = "network", { "out_fd", fd }, { "in_fd", fd },
    { "offset", t.ptr_in(t.cell(t.i64)) }, { "count", t.size } },
  statfs64 = { returns = zero, classes = "statfs %statfs", { "path", path }, { "sz", t.size },
    { "buf", t.ptr_out(structs.statfs64) } },
  fstatfs64 = { returns = zero, classes = "fstatfs %statfs", { "fd", fd }, { "sz", t.size },
    { "buf", t.ptr_out(structs.statfs64) } },

  -- Linux 0.99 and 1.x
  _newselect = like("poll", "select"),
  select = { returns = zero, classes = "desc", { "args", t.ptr_in(structs.select_args) } },
  mmap = { returns = t.address, classes = "memory desc", { "args", t.ptr_in(structs.mmap_args) } },
  nice = { returns = zero, { "inc", t.i32 } },
  signal = { returns = t.enum_address "sig_handler", classes = "signal", { "signum", t.signal },
    { "handler", t.enum_address "sig_handler" } },
  sigaction = { returns = zero, classes = "signal", { "signum", t.signal },
    { "act", t.ptr_in(structs.old_sigaction) }, { "oldact", t.ptr_out(structs.old_sigaction) } },
  sigprocmask = { returns = zero, classes = "signal", { "how", t.enum("sigprocmask_how", { comment = "SIG_???" }) },
    { "set", t.ptr_in(f.old_sigset_cell) }, { "oldset", t.ptr_out(f.old_sigset_cell) } },
  sigpending = { returns = zero, classes = "signal", { "set", t.ptr_out(f.old_sigset_cell) } },
  sigsuspend = { returns = zero, classes = "signal", { "unused1", t.hidden(t.long), when = f.never },
    { "unused2", t.hidden(t.long), when = f.never }, { "mask", f.old_sigset } },
  sgetmask = { returns = t.xlong, classes = "signal" },
  ssetmask = { returns = t.xlong, classes = "signal", { "newmask", f.old_sigset } },
  stime = { returns = zero, classes = "clock", { "t", t.ptr_in(t.cell(f.time)) } },
  umount = { returns = zero, { "target", path } },
  readdir = { returns = t.i32, { "fd", fd }, { "dirp", t.ptr_out(structs.readdir_entry) }, { "count", t.u32 } },
  olduname = { returns = zero, { "buf", t.ptr_out(structs.old_utsname) } },
  oldolduname = { returns = zero, { "buf", t.ptr_out(structs.oldold_utsname) } },
  oldstat = { returns = zero, classes = "stat %stat", { "pathname", path },
    { "statbuf", t.ptr_out(structs.old_stat) } },
  oldlstat = { returns = zero, classes = "lstat %stat", { "pathname", path },
    { "statbuf", t.ptr_out(structs.old_stat) } },
  oldfstat = { returns = zero, classes = "fstat %stat", { "fd", fd }, { "statbuf", t.ptr_out(structs.old_stat) } },
  vm86old = { returns = t.i32, { "v86", t.address } },
  vm86 = { returns = t.i32, { "fn", t.xlong }, { "v86", t.address } },
  ipc = { returns = t.long, classes = "ipc", { "call", t.enum("ipc_call", { style = "decimal" }) },
    { "first", t.xlong }, { "second", t.xlong }, { "third", t.xlong }, { "ptr", t.xlong }, { "fifth", t.xlong } },
  bdflush = { returns = zero, { "func", t.i32 }, { "data", t.xlong } },
}

--- Names that have a number and nothing behind it.
for name, count in pairs { ["break"] = 0, ftime = 0, gtty = 2, idle = 0, lock = 0, mpx = 0, prof = 0, profil = 4,
  stty = 2, ulimit = 2 } do
  local row = { returns = t.long }
  for i = 1, count do row[i] = { "arg" .. i, t.xlong } end
  rows[name] = row
end

return rows
