--- Struct layouts: tables of fields in memory order. The ABI of the call's architecture gives sizes and offsets, so one
-- table serves 64-bit and 32-bit programs where they differ only in the size of long and of pointers.
--
--   {"name", type}                  a field
--   {"name", type, when = fn}       printed only when fn(values) holds
--   t.hidden(type)                  padding, or what nobody wants to see
--   brief = { name = true | fn }    the fields that are printed before ", ..."
--   shown = { "name", ... }         the order of the text, where it is not that of the memory
--   plain = true                    its text depends on its bytes alone (output/printed.lua)
--   sized_by = "size", smallest =   the argument that says how much of it the caller knows, at least so many bytes
--
-- To add one: a table here (or a file of its own beside this one), named as the kernel names it.

local style = require "luatrace.text.style"
local t = require "luatrace.types"
local constants = require "luatrace.constants"
local f = require "luatrace.structs.fields"

local bit = require "bit"

local M = {}

local function is_device(stat)
  local kind = bit.band(stat.st_mode, 0xf000)
  return kind == 0x2000 or kind == 0x6000
end
local function is_no_device(stat) return not is_device(stat) end

local hidden = t.hidden

--- Times of files: their nanoseconds are fields of their own.
local function dated(name, of) return { name, t.seconds_dated(name .. "_nsec", of) } end

local stat_shown = { "st_dev", "st_ino", "st_mode", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_blksize",
  "st_blocks", "st_size", "st_atime", "st_atime_nsec", "st_mtime", "st_mtime_nsec", "st_ctime", "st_ctime_nsec" }

local stat_64 = t.struct {
  shown = stat_shown,
  { "st_dev", t.dev }, { "st_ino", t.ulong }, { "st_nlink", t.ulong }, { "st_mode", t.file_mode },
  { "st_uid", t.uid }, { "st_gid", t.uid }, { "pad0", hidden(t.u32) },
  { "st_rdev", t.dev, when = is_device }, { "st_size", t.i64, when = is_no_device }, { "st_blksize", t.long },
  { "st_blocks", t.i64 }, dated("st_atime", t.i64), { "st_atime_nsec", t.u64 }, dated("st_mtime", t.i64),
  { "st_mtime_nsec", t.u64 }, dated("st_ctime", t.i64), { "st_ctime_nsec", t.u64 },
  { "unused1", hidden(t.i64) }, { "unused2", hidden(t.i64) }, { "unused3", hidden(t.i64) },
  brief = { st_mode = true, st_size = true, st_rdev = true },
}

--- i386: struct stat of the oldest calls, and stat64.
local stat_32 = t.struct {
  shown = stat_shown,
  { "st_dev", t.ulong }, { "st_ino", t.ulong }, { "st_mode", setmetatable({ size = 2, ctype = "const uint16_t *" },
    { __index = t.file_mode }) }, { "st_nlink", t.u16 }, { "st_uid", t.u16 }, { "st_gid", t.u16 },
  { "st_rdev", t.ulong, when = is_device }, { "st_size", t.ulong, when = is_no_device }, { "st_blksize", t.ulong },
  { "st_blocks", t.ulong }, dated("st_atime", t.ulong), { "st_atime_nsec", t.ulong }, dated("st_mtime", t.ulong),
  { "st_mtime_nsec", t.ulong }, dated("st_ctime", t.ulong), { "st_ctime_nsec", t.ulong },
  { "unused4", hidden(t.ulong) }, { "unused5", hidden(t.ulong) },
  brief = { st_mode = true, st_size = true, st_rdev = true },
}

M.stat64 = t.struct {
  shown = stat_shown,
  { "st_dev", t.dev64 }, { "pad0", hidden(t.u32) }, { "__st_ino", hidden(t.ulong) }, { "st_mode", t.file_mode },
  { "st_nlink", t.u32 }, { "st_uid", t.uid }, { "st_gid", t.uid }, { "st_rdev", t.dev64, when = is_device },
  { "pad3", hidden(t.u32) }, { "st_size", t.i64, when = is_no_device }, { "st_blksize", t.ulong },
  { "st_blocks", t.u64 }, dated("st_atime", t.ulong), { "st_atime_nsec", t.ulong }, dated("st_mtime", t.ulong),
  { "st_mtime_nsec", t.ulong }, dated("st_ctime", t.ulong), { "st_ctime_nsec", t.ulong }, { "st_ino", t.u64 },
  brief = { st_mode = true, st_size = true, st_rdev = true },
}

M.stat = t.custom {
  fetch = function(call, address, scope)
    return (call.arch.bits == 32 and stat_32 or stat_64).fetch(call, address, scope)
  end,
  text = function(out, call, value, scope)
    return (call.arch.bits == 32 and stat_32 or stat_64).text(out, call, value, scope)
  end,
  value = function(call, value, scope)
    return (call.arch.bits == 32 and stat_32 or stat_64).value(call, value, scope)
  end,
  plain = function(call, value, scope)
    return (call.arch.bits == 32 and stat_32 or stat_64).plain(call, value, scope)
  end,
  extents = function(call, address, scope, add)
    return (call.arch.bits == 32 and stat_32 or stat_64).extents(call, address, scope, add)
  end,
  capacity = function(call) return (call.arch.bits == 32 and stat_32 or stat_64).size(call.arch) end,
  bytes_of = function(call, value, what)
    return (call.arch.bits == 32 and stat_32 or stat_64).bytes_of(call, value, what)
  end,
  variants = { [32] = stat_32, [64] = stat_64 },
}

M.statx_timestamp = t.struct { { "tv_sec", t.i64 }, { "tv_nsec", t.u32 }, { "reserved", hidden(t.i32) },
  text = function(out, _, value)
    out:put("{tv_sec=", t.decimal(value.tv_sec), ", tv_nsec=", t.decimal(value.tv_nsec), "}")
    t.put_date(out, value.tv_sec, value.tv_nsec, 9)
  end }

--- Fields of statx that are there only when the mask says so.
local function has(bits) return function(value) return bit.band(value.stx_mask, bits) ~= 0 end end

M.statx = t.struct {
  { "stx_mask", t.flags("statx_mask", { comment = "STATX_???" }) }, { "stx_blksize", t.u32 },
  { "stx_attributes", t.flags("statx_attributes", { of = t.u64, comment = "STATX_ATTR_???" }) },
  { "stx_nlink", t.u32 }, { "stx_uid", t.uid }, { "stx_gid", t.uid },
  { "stx_mode", setmetatable({ size = 2, ctype = "const uint16_t *" }, { __index = t.file_mode }) },
  { "pad1", hidden(t.u16) }, { "stx_ino", t.u64 }, { "stx_size", t.u64 }, { "stx_blocks", t.u64 },
  { "stx_attributes_mask", t.flags("statx_attributes", { of = t.u64 }) },
  { "stx_atime", M.statx_timestamp, when = has(0x20) },
  { "stx_btime", M.statx_timestamp, when = has(0x800) }, { "stx_ctime", M.statx_timestamp, when = has(0x80) },
  { "stx_mtime", M.statx_timestamp, when = has(0x40) }, { "stx_rdev_major", t.u32 }, { "stx_rdev_minor", t.u32 },
  { "stx_dev_major", t.u32 }, { "stx_dev_minor", t.u32 }, { "stx_mnt_id", t.x64 },
  { "stx_dio_mem_align", t.u32, when = has(0x2000) }, { "stx_dio_offset_align", t.u32, when = has(0x2000) },
  brief = { stx_mask = true, stx_attributes = true, stx_mode = true, stx_size = true },
}

--- Seconds and nanoseconds; UTIME_NOW and UTIME_OMIT are not numbers of nanoseconds.
M.timespec = t.struct { { "tv_sec", t.long }, { "tv_nsec", t.long_unsigned },
  also = { seconds = function(value) return tonumber(value.tv_sec) + tonumber(value.tv_nsec) / 1e9 end } }
M.timespec64 = t.struct { { "tv_sec", t.i64 }, { "tv_nsec", t.i64 } }
M.timeval = t.struct { { "tv_sec", t.long }, { "tv_usec", t.long_unsigned } }
--- The same as times of a file.
M.timeval_utime = t.struct { { "tv_sec", t.long }, { "tv_usec", t.long }, text = function(out, call, value)
  out:put("{tv_sec=", t.decimal(value.tv_sec), ", tv_usec=")
  t.long_unsigned.text(out, call, value.tv_usec)
  out:put("}")
  t.put_date(out, value.tv_sec, value.tv_usec, 6)
end }
M.utimbuf = t.struct { { "actime", f.time }, { "modtime", f.time } }
M.timezone = t.struct { { "tz_minuteswest", t.i32 }, { "tz_dsttime", t.i32 } }
M.itimerval = t.struct { { "it_interval", M.timeval }, { "it_value", M.timeval } }
M.itimerspec = t.struct { { "it_interval", M.timespec }, { "it_value", M.timespec } }

local utime = t.enum("utime_special", { of = t.long })
M.timespec_utime = t.struct { { "tv_sec", t.long }, { "tv_nsec", t.long }, text = function(out, call, value)
  local name = constants.enums.utime_special.by_value[value.tv_nsec]
  if name then return utime.text(out, call, value.tv_nsec) end
  out:put("{tv_sec=", t.decimal(value.tv_sec), ", tv_nsec=")
  t.long_unsigned.text(out, call, value.tv_nsec)
  out:put("}")
  t.put_date(out, value.tv_sec, value.tv_nsec, 9)
end }

local function rlim(out, call, value)
  local name
  if value == 18446744073709551615ULL then
    name = "RLIM64_INFINITY"
  elseif value == 4294967295 and call.arch.bits == 32 then
    name = "RLIM_INFINITY"
  elseif type(value) == "number" and value > 1024 and value % 1024 == 0 then
    name = ("%d*1024"):format(value / 1024)
  end
  out:put(style.constant(t.decimal(value), name))
end
local rlimit_value = setmetatable({ text = rlim }, { __index = t.u64 })
M.rlimit64 = t.struct { plain = true, { "rlim_cur", rlimit_value }, { "rlim_max", rlimit_value } }
M.rlimit = t.struct { { "rlim_cur", setmetatable({ text = rlim }, { __index = t.ulong }) },
  { "rlim_max", setmetatable({ text = rlim }, { __index = t.ulong }) } }

M.rusage = t.struct {
  { "ru_utime", M.timeval }, { "ru_stime", M.timeval }, { "ru_maxrss", t.long }, { "ru_ixrss", t.long },
  { "ru_idrss", t.long }, { "ru_isrss", t.long }, { "ru_minflt", t.long }, { "ru_majflt", t.long },
  { "ru_nswap", t.long }, { "ru_inblock", t.long }, { "ru_oublock", t.long }, { "ru_msgsnd", t.long },
  { "ru_msgrcv", t.long }, { "ru_nsignals", t.long }, { "ru_nvcsw", t.long }, { "ru_nivcsw", t.long },
  brief = { ru_utime = true, ru_stime = true },
}

local lock_type = t.enum("lock_type", { of = t.i16, comment = "F_???" })
local lock_whence = t.enum("whence", { of = t.i16, comment = "SEEK_???" })
local F_GETLK, F_GETLK64, F_OFD_GETLK = 5, 12, 36
--- Whose lock it is is the kernel's answer, not a question.
local function is_answer(_, call)
  local command = t.load.i32(nil, call.raw[2])
  return command == F_GETLK or command == F_GETLK64 or command == F_OFD_GETLK
end
M.flock = t.struct { { "l_type", lock_type }, { "l_whence", lock_whence }, { "l_start", t.long }, { "l_len", t.long },
  { "l_pid", t.pid, when = is_answer } }
M.flock64 = t.struct { { "l_type", lock_type }, { "l_whence", lock_whence }, { "l_start", t.i64 }, { "l_len", t.i64 },
  { "l_pid", t.pid, when = is_answer } }
M.f_owner_ex = t.struct { { "type", t.enum("owner_type", { comment = "F_OWNER_???" }) }, { "pid", t.pid } }

M.pollfd = t.struct { { "fd", t.fd }, { "events", t.flags("poll_events", { of = t.i16 }) },
  { "revents", t.flags("poll_events", { of = t.i16 }) },
  text = function(out, call, value)
    if value.fd < 0 then return out:put("{fd=", tostring(value.fd), "}") end
    out:put("{fd=")
    t.fd.text(out, call, value.fd)
    out:put(", events=")
    M.pollfd.definition[2][2].text(out, call, value.events)
    out:put("}")
  end }

local epoll_data = t.struct { packed = true, { "u32", t.i32 }, { "high", t.i32 },
  text = function(out, _, value)
    local wide = require("ffi").cast("uint64_t", value.u32 % 4294967296) +
      require("ffi").cast("uint64_t", value.high % 4294967296) * 4294967296ULL
    out:put("{u32=", t.decimal(value.u32 % 4294967296), ", u64=", t.decimal(wide), "}")
  end }
M.epoll_event = t.struct { packed = true, plain = true, { "events", t.flags("epoll_events") }, { "data", epoll_data } }


M.utsname = t.struct {
  brief = { sysname = true, nodename = true },
  { "sysname", t.fixed_string(65) }, { "nodename", t.fixed_string(65) }, { "release", t.fixed_string(65) },
  { "version", t.fixed_string(65) }, { "machine", t.fixed_string(65) }, { "domainname", t.fixed_string(65) },
}

M.sysinfo = t.struct {
  { "uptime", t.long }, { "loads", t.inline_array(t.ulong, 3) }, { "totalram", t.ulong }, { "freeram", t.ulong },
  { "sharedram", t.ulong }, { "bufferram", t.ulong }, { "totalswap", t.ulong }, { "freeswap", t.ulong },
  { "procs", t.u16 }, { "pad", hidden(t.u16) }, { "totalhigh", t.ulong }, { "freehigh", t.ulong },
  { "mem_unit", t.u32 },
  { "_f", setmetatable({ size = function(arch) return arch.bits == 32 and 8 or 0 end, is_hidden = true,
    load_from = function() return "" end }, { __index = t.fixed_bytes(8) }) },
}

M.open_how = t.struct {
  { "flags", t.flags("open_flags", { enum = "open_access", mask = 3, of = t.u64 }) },
  { "mode", setmetatable({ size = 8, ctype = "const uint64_t *" }, { __index = t.mode }),
    when = function(how) return how.mode ~= 0 end },
  { "resolve", t.flags("openat2_resolve", { of = t.u64, comment = "RESOLVE_???" }) },
  sized_by = "size", smallest = 24,
}

--- What of clone_args counts depends on the flags.
local function cloned(bits) return function(args) return bit.band(tonumber(args.flags), bits) ~= 0 end end
M.clone_args = t.struct {
  { "flags", t.flags("clone_flags", { of = t.u64, comment = "CLONE_???" }) },
  { "pidfd", t.xaddress64, when = cloned(0x1000) }, { "child_tid", t.xaddress64, when = cloned(0x1200000) },
  { "parent_tid", t.xaddress64, when = cloned(0x100000) },
  { "exit_signal", setmetatable({ size = 8, ctype = "const uint64_t *" }, { __index = t.signal }) },
  { "stack", t.xaddress64 }, { "stack_size", t.x64 }, { "tls", t.xaddress64, when = cloned(0x80000) },
  { "set_tid", t.xaddress64, when = function(a) return a.set_tid ~= 0 end },
  { "set_tid_size", t.u64, when = function(a) return a.set_tid_size ~= 0 end },
  { "cgroup", t.u64, when = function(a) return a.cgroup ~= 0 end },
  sized_by = "size", smallest = 64,
}

local sigset8 = t.inline_sigset
M.sigaction = t.struct {
  plain = true,
  { "sa_handler", t.enum_address("sig_handler") }, { "sa_flags", t.flags("sa_flags", { of = t.ulong }) },
  { "sa_restorer", t.address }, { "sa_mask", sigset8 },
  text = function(out, call, value)
    out:put("{sa_handler=")
    t.enum_address("sig_handler").text(out, call, value.sa_handler)
    out:put(", sa_mask=")
    sigset8.text(out, call, value.sa_mask)
    out:put(", sa_flags=")
    M.sigaction.definition[2][2].text(out, call, value.sa_flags)
    if bit.band(tonumber(value.sa_flags), 0x04000000) ~= 0 then out:put(", sa_restorer=", t.hex(value.sa_restorer)) end
    out:put("}")
  end,
}

M.stack_t = t.struct { { "ss_sp", t.address }, { "ss_flags", t.flags("sigaltstack_flags") }, { "ss_size", t.size } }

M.robust_list_head = t.struct { { "list", t.address }, { "futex_offset", t.long }, { "list_op_pending", t.address } }

M.cap_header = t.struct { { "version", t.enum("cap_version", { of = t.u32 }) }, { "pid", t.pid } }
M.linger = t.struct { { "l_onoff", t.i32 }, { "l_linger", t.i32 } }
M.ucred = t.struct { { "pid", t.pid }, { "uid", t.uid }, { "gid", t.uid } }
M.termios = t.struct {
  plain = true,
  { "c_iflag", t.flags("termios_iflag") }, { "c_oflag", t.flags("termios_oflag") },
  { "c_cflag", t.flags("termios_cflag") }, { "c_lflag", t.flags("termios_lflag") }, { "c_line", t.u8 },
  { "c_cc", t.fixed_bytes(19) },
}
M.winsize = t.struct { plain = true,
  { "ws_row", t.u16 }, { "ws_col", t.u16 }, { "ws_xpixel", t.u16 }, { "ws_ypixel", t.u16 } }
M.statfs = t.struct {
  { "f_type", t.enum("fs_magic", { of = t.long }) }, { "f_bsize", t.long }, { "f_blocks", t.ulong },
  { "f_bfree", t.ulong }, { "f_bavail", t.ulong }, { "f_files", t.ulong }, { "f_ffree", t.ulong },
  { "f_fsid", t.inline_array(t.x32, 2, "{val=", "}") }, { "f_namelen", t.long }, { "f_frsize", t.long },
  { "f_flags", t.flags("statfs_flags", { of = t.ulong }) },
}

--- Further subjects, each in a file of its own: one that is a single struct, and those that add many. The latter are
-- loaded, in this order, until one has the struct that is asked for.
local single = { sockaddr = true, siginfo = true }
local subjects = { "system", "ipc", "trace", "old", "ioctl" }
local loaded = {}

local function load_subject(subject)
  if loaded[subject] then return end
  loaded[subject] = true
  require("luatrace.structs." .. subject)(M)
end

return setmetatable(M, { __index = function(_, name)
  if single[name] then
    M[name] = require("luatrace.structs." .. name)
  elseif name == "ioctl" then
    load_subject "ioctl_terminals"
    -- A request that is not there may be one of the many others.
    setmetatable(M.ioctl, { __index = function(list, request)
      load_subject "ioctl"
      return rawget(list, request)
    end })
  else
    for _, subject in ipairs(subjects) do
      load_subject(subject)
      if rawget(M, name) ~= nil then break end
    end
  end
  return rawget(M, name)
end })
