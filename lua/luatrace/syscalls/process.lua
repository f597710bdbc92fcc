--- Processes, threads, identities, limits.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero, pid, uid = t.i32, t.pid, t.uid
local uid_out = t.ptr_out(t.cell(uid))
local wait_options = t.flags("wait4_options", { comment = "W???" })
local resource = t.enum("rlimit_resource", { comment = "RLIMIT_???" })
local rusage_out = t.ptr_out(structs.rusage)

local CLONE_PARENT_SETTID, CLONE_CHILD_BITS, CLONE_SETTLS = 0x100000, 0x1200000, 0x80000

local function clone_has(mask)
  return function(call) return bit.band(t.load.u32(nil, call.raw[1]), mask) ~= 0 end
end

--- The low byte of clone's flags is the signal of the child's end.
local clone_bits = t.flags("clone_flags", { comment = "CLONE_???", of = t.ulong })
local clone_flags = setmetatable({
  text = function(out, call, value)
    local signal = tonumber(value) % 256
    local rest = value - signal
    if rest ~= 0 then clone_bits.text(out, call, rest) end
    if signal ~= 0 then
      if rest ~= 0 then out:put("|") end
      t.signal.text(out, call, signal)
    elseif rest == 0 then
      out:put("0")
    end
  end,
}, { __index = clone_bits })

--- futex: which operation decides what the rest means.
local FUTEX_OPERATION = 0x7f
local function futex_op(call) return bit.band(t.load.i32(nil, call.raw[2]), FUTEX_OPERATION) end
local futex_timed = { [0] = true, [6] = true, [9] = true, [11] = true, [13] = true }
local futex_second = { [3] = true, [4] = true, [5] = true, [11] = true, [12] = true, [9] = true }
local futex_bitset = { [9] = true, [10] = true }
local futex_names = t.enum("futex_op", { comment = "FUTEX_???" })

local prctl_option = t.enum("prctl_option", { comment = "PR_???" })
local PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG = 15, 16, 1
local prctl_second = {
  [PR_SET_NAME] = t.ptr_in(t.cstring), [PR_GET_NAME] = t.ptr_out(t.cstring), [PR_SET_PDEATHSIG] = t.signal,
}
local prctl_plain = { [38] = true, [4] = true, [8] = true, [23] = true, [24] = true, [36] = true }
local function prctl_of(call) return t.load.i32(nil, call.raw[1]) end

local function get(class) return { returns = t.i32, classes = class } end

return {
  clone = { returns = pid, classes = "process", { "flags", clone_flags }, { "stack", t.address },
    { "parent_tid", t.address, when = clone_has(CLONE_PARENT_SETTID) },
    { "child_tid", t.address, when = clone_has(CLONE_CHILD_BITS) },
    { "tls", t.xlong, when = clone_has(CLONE_SETTLS) } },
  clone3 = { returns = pid, classes = "process", { "cl_args", t.ptr_in(structs.clone_args) }, { "size", t.size } },
  fork = { returns = pid, classes = "process" },
  vfork = { returns = pid, classes = "process" },
  exit = { returns = zero, classes = "process", { "status", t.i32 } },
  exit_group = { returns = zero, classes = "process", { "status", t.i32 } },
  wait4 = { returns = pid, classes = "process", { "pid", pid }, { "wstatus", t.ptr_out(t.wait_status) },
    { "options", wait_options }, { "rusage", rusage_out } },
  waitid = { returns = zero, classes = "process", { "idtype", t.enum("waitid_type", { comment = "P_???" }) },
    { "id", pid }, { "infop", t.address }, { "options", t.flags("wait_options", { comment = "W???" }) },
    { "rusage", rusage_out } },
  getpid = get "pure", gettid = get "pure", getppid = get "pure", getpgrp = get "pure",
  getuid = get "creds pure", geteuid = get "creds pure", getgid = get "creds pure", getegid = get "creds pure",
  setuid = { returns = zero, classes = "creds", { "uid", uid } },
  setgid = { returns = zero, classes = "creds", { "gid", uid } },
  setreuid = { returns = zero, classes = "creds", { "ruid", uid }, { "euid", uid } },
  setregid = { returns = zero, classes = "creds", { "rgid", uid }, { "egid", uid } },
  setresuid = { returns = zero, classes = "creds", { "ruid", uid }, { "euid", uid }, { "suid", uid } },
  setresgid = { returns = zero, classes = "creds", { "rgid", uid }, { "egid", uid }, { "sgid", uid } },
  getresuid = { returns = zero, classes = "creds", { "ruid", uid_out }, { "euid", uid_out }, { "suid", uid_out } },
  getresgid = { returns = zero, classes = "creds", { "rgid", uid_out }, { "egid", uid_out }, { "sgid", uid_out } },
  setfsuid = { returns = t.i32, classes = "creds", { "fsuid", uid } },
  setfsgid = { returns = t.i32, classes = "creds", { "fsgid", uid } },
  getgroups = { returns = t.i32, classes = "creds", { "size", t.i32 },
    { "list", t.ptr_out(t.array(uid, "ret")) } },
  setgroups = { returns = zero, classes = "creds", { "size", t.i32 }, { "list", t.ptr_in(t.array(uid, "size")) } },
  setpgid = { returns = zero, { "pid", pid }, { "pgid", pid } },
  getpgid = { returns = pid, { "pid", pid } },
  getsid = { returns = pid, { "pid", pid } },
  setsid = { returns = pid },
  getpriority = { returns = t.i32, { "which", t.enum "priority_which" }, { "who", t.i32 } },
  setpriority = { returns = zero, { "which", t.enum "priority_which" }, { "who", t.i32 }, { "prio", t.i32 } },
  sched_yield = { returns = zero },
  sched_getaffinity = { returns = t.i32, { "pid", pid }, { "cpusetsize", t.size },
    { "mask", t.ptr_out(t.cpu_mask "ret") } },
  sched_setaffinity = { returns = zero, { "pid", pid }, { "cpusetsize", t.size },
    { "mask", t.ptr_in(t.cpu_mask "cpusetsize") } },
  prctl = { returns = t.i32, { "option", prctl_option },
    { "arg2", t.by(function(call) return prctl_second[prctl_of(call)] or
      (prctl_plain[prctl_of(call)] and t.long) or t.xlong end, true) },
    { "arg3", t.xlong, when = function(call) return not prctl_second[prctl_of(call)] end },
    { "arg4", t.xlong, when = function(call) return not prctl_second[prctl_of(call)] end },
    { "arg5", t.xlong, when = function(call) return not prctl_second[prctl_of(call)] end } },
  arch_prctl = { returns = zero, { "code", t.enum("arch_prctl", { comment = "ARCH_???" }) }, { "addr", t.xlong } },
  prlimit64 = { returns = zero, { "pid", pid }, { "resource", resource }, { "new_limit", t.ptr_in(structs.rlimit64) },
    { "old_limit", t.ptr_out(structs.rlimit64) } },
  getrlimit = { returns = zero, { "resource", resource }, { "rlim", t.ptr_out(structs.rlimit) } },
  setrlimit = { returns = zero, { "resource", resource }, { "rlim", t.ptr_in(structs.rlimit) } },
  getrusage = { returns = zero, { "who", t.enum("rusage_who", { comment = "RUSAGE_???" }) }, { "usage", rusage_out } },
  set_tid_address = { returns = pid, { "tidptr", t.address } },
  set_robust_list = { returns = zero, { "head", t.address }, { "len", t.size } },
  rseq = { returns = zero, { "rseq", t.address }, { "rseq_len", t.x32 }, { "flags", t.x32 }, { "sig", t.x32 } },
  uname = { returns = zero, { "buf", t.ptr_out(structs.utsname) } },
  sysinfo = { returns = zero, { "info", t.ptr_out(structs.sysinfo) } },
  umask = { returns = t.mode, { "mask", t.mode } },
  getrandom = { returns = t.count, { "buf", t.ptr_out(t.bytes("buflen", "ret")) }, { "buflen", t.size },
    { "flags", t.flags("getrandom_flags", { comment = "GRND_???" }) } },
  futex = { returns = t.i32, { "uaddr", t.address }, { "futex_op", t.futex_op(futex_names) }, { "val", t.u32 },
    { "timeout", t.by(function(call)
      return futex_timed[futex_op(call)] and t.ptr_in(structs.timespec) or t.u32
    end), when = function(call) return futex_timed[futex_op(call)] or futex_second[futex_op(call)] end },
    { "uaddr2", t.address, when = function(call)
      return futex_second[futex_op(call)] and futex_op(call) ~= 9
    end },
    { "val3", t.x32, when = function(call) return futex_second[futex_op(call)] or futex_bitset[futex_op(call)] end } },
  pidfd_open = { returns = t.fd, classes = "desc", { "pid", pid }, { "flags", t.flags "pidfd_open_flags" } },
  getcpu = { returns = zero, { "cpu", t.ptr_out(t.cell(t.u32)) }, { "node", t.ptr_out(t.cell(t.u32)) },
    { "tcache", t.address } },
  personality = { returns = t.x32, { "persona", t.x32 } },
  unshare = { returns = zero, classes = "process", { "flags", t.flags("unshare_flags", { comment = "CLONE_???" }) } },
}
