--- Processes, threads, identities, limits.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"
local constants = require "luatrace.constants"

local zero, pid, uid = t.i32, t.pid, t.uid
local uid_out = t.ptr_out(t.cell(uid))
local wait_options = t.flags("wait4_options", { comment = "W???" })
local resource = t.enum("rlimit_resource", { comment = "RLIMIT_???" })
local rusage_out = t.ptr_out(structs.rusage)

local CLONE_PARENT_SETTID_PIDFD, CLONE_CHILD_BITS, CLONE_SETTLS = 0x101000, 0x1200000, 0x80000

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

--- futex: which operation decides what the rest means (futex(2)).
local FUTEX_OPERATION = 0x7f
local function futex_op(call) return bit.band(t.load.i32(nil, call.raw[2]), FUTEX_OPERATION) end
local futex_names = t.enum("futex_op", { comment = "FUTEX_???" })
--- The arguments of each operation, by their places: 3 val, 4 timeout or val2, 5 uaddr2, 6 val3.
local futex_arguments = { [0] = "34", "3", "3", "345", "3456", "3456", "4", "", "", "346", "36", "345", "3456", "4" }
local futex_timed = { [0] = true, [6] = true, [9] = true, [11] = true, [13] = true }
local futex_bitset = { [9] = true, [10] = true }
local FUTEX_WAKE_OP, FUTEX_LAST = 5, 13
local function futex_has(place)
  return function(call) return (futex_arguments[futex_op(call)] or "3456"):find(place, 1, true) ~= nil end
end
local futex_timeout = t.ptr_in(structs.timespec)
local wake_names, wake_compare = t.enum("futex_wake_op", { comment = "FUTEX_OP_???" }),
  t.enum("futex_wake_cmp", { comment = "FUTEX_OP_CMP_???" })
--- FUTEX_OP_ADD<<28|0x5<<12|FUTEX_OP_CMP_GT<<24|0x7
local wake_op = setmetatable({ text = function(out, call, value)
  local op = bit.rshift(value, 28)
  if bit.band(op, 8) ~= 0 then out:put("FUTEX_OP_OPARG_SHIFT<<28|") end
  wake_names.text(out, call, bit.band(op, 7))
  out:put("<<28|", t.hex(bit.band(bit.rshift(value, 12), 0xfff)), "<<12|")
  wake_compare.text(out, call, bit.band(bit.rshift(value, 24), 0xf))
  out:put("<<24|", t.hex(bit.band(value, 0xfff)))
end }, { __index = t.u32 })
local function bitset_text(out, _, value)
  out:put(value == 0xffffffff and "FUTEX_BITSET_MATCH_ANY" or t.hex(value))
end
local bitset = setmetatable({ shape = "named", text = bitset_text, own_text = bitset_text }, { __index = t.u32 })

--- personality: a type and flags; 0xffffffff only asks.
local personality_type = t.enum("personality_type", { of = t.u32, comment = "PER_???" })
local personality_flags = t.flags("personality_flags")
local personality = setmetatable({ text = function(out, call, value)
  if value == 0xffffffff then return out:put("0xffffffff") end
  personality_type.text(out, call, value % 256)
  local rest = value - value % 256
  if rest ~= 0 then out:put("|", (personality_flags.string(rest):gsub(" /%*.*", ""))) end
end }, { __index = t.u32 })
local function personality_meaning(call, value)
  local text = require("string.buffer").new()
  personality.text(text, call, value)
  return text:tostring()
end

local prctl_option = t.enum("prctl_option", { comment = "PR_???" })
--- What each operation of prctl takes (prctl(2)); one that is not here takes four numbers.
local function pr(set, comment) return t.enum(set, { of = t.ulong, comment = comment }) end
local function int_out(of) return t.ptr_out(t.cell(of or t.i32)) end
local x, ulong = t.xlong, t.ulong
local prctl_signal = setmetatable({ text = function(out, _, value)
  out:put(constants.signals.by_value[value] or t.decimal(value))
end }, { __index = t.ulong })
local capability, speculation = pr("capability", "CAP_???"), pr("prctl_spec", "PR_SPEC_???")
local securebits = t.flags("securebits", { of = t.ulong, comment = "SECBIT_???" })
local unalign = t.flags("prctl_unalign", { comment = "PR_UNALIGN_???" })
--- Only a filter has something behind the mode.
local seccomp_mode = pr("seccomp_mode", "SECCOMP_MODE_???")
local SECCOMP_MODE_STRICT, SECCOMP_MODE_FILTER = 1, 2
local seccomp_modes = { [SECCOMP_MODE_STRICT] = { seccomp_mode },
  [SECCOMP_MODE_FILTER] = { seccomp_mode, t.ptr_in(t.later(function() return structs.sock_fprog end)) } }
local seccomp_unknown = { seccomp_mode, x, x, x }
local function seccomp_mode_arguments(call) return seccomp_modes[t.load.i32(nil, call.raw[2])] or seccomp_unknown end
--- Any process, or one.
local ptracer = setmetatable({ text = function(out, call, value)
  if t.hex(value):find "^0xf+$" then return out:put "PR_SET_PTRACER_ANY" end
  t.pid.text(out, call, t.load.i32(nil, value))
end }, { __index = t.ulong })
local prctl_arguments = {
  [1] = { prctl_signal }, [2] = { int_out(t.signal) }, [3] = {}, [4] = { pr("prctl_dumpable", "SUID_DUMP_???") },
  [5] = { int_out(unalign) }, [6] = { unalign }, [7] = {}, [8] = { ulong }, [9] = { int_out() }, [10] = { ulong },
  [11] = { int_out() }, [12] = { ulong }, [13] = {}, [14] = { ulong }, [15] = { t.ptr_in(t.comm) },
  [16] = { t.ptr_out(t.string_out(16)) }, [19] = { int_out() }, [20] = { ulong }, [21] = {},
  [22] = seccomp_mode_arguments, [23] = { capability }, [24] = { capability },
  [25] = { int_out(t.enum("prctl_tsc", { of = t.u32, comment = "PR_TSC_???" })) },
  [26] = { t.enum("prctl_tsc", { of = t.u32, comment = "PR_TSC_???" }) }, [27] = {}, [28] = { securebits },
  [29] = { t.long }, [30] = {}, [31] = {}, [32] = {},
  [33] = { pr("prctl_mce_kill", "PR_MCE_KILL_???"), pr("prctl_mce_kill_policy", "PR_MCE_KILL_???"), x, x },
  [35] = { t.enum("prctl_set_mm", { of = t.u32, comment = "PR_SET_MM_???" }), x, x, x }, [36] = { ulong },
  [37] = { int_out() }, [38] = { ulong, x, x, x }, [40] = { t.ptr_out(t.cell(t.address)) }, [41] = { ulong, x, x, x },
  [46] = {}, [47] = { pr("prctl_cap_ambient", "PR_CAP_AMBIENT_???"), capability, x, x }, [51] = {},
  [52] = { speculation }, [53] = { speculation, pr("prctl_spec_flags", "PR_SPEC_???") }, [57] = { ulong, x, x, x },
  [0x59616d61] = { ptracer },
  [0x53564d41] = { pr("prctl_set_vma", "PR_SET_VMA_???"), x, ulong, t.ptr_in(t.cstring) },
}
local function prctl_of(call) return t.load.i32(nil, call.raw[1]) end
local function prctl_list(call)
  local list = prctl_arguments[prctl_of(call)]
  return type(list) == "function" and list(call) or list
end
local function prctl_has(place)
  return function(call)
    local list = prctl_list(call)
    return not list or list[place] ~= nil
  end
end
local function prctl_argument(place)
  return t.by(function(call)
    local list = prctl_list(call)
    return list and list[place] or x
  end, true)
end
local speculation_state = t.flags("prctl_spec_flags")
local prctl_meaning = {
  [3] = function(value) return constants.enums.prctl_dumpable.by_value[value] end,
  [27] = function(value) return value ~= 0 and securebits.string(value) or nil end,
  [34] = function(value) return constants.enums.prctl_mce_kill_policy.by_value[value] end,
  [52] = function(value) return speculation_state.string(value) end,
}
local prctl_hex = { [27] = true, [52] = true }

--- arch_prctl: GET_FS and GET_GS write an address.
local ARCH_GET_FS, ARCH_GET_GS, ARCH_GET_CPUID = 0x1003, 0x1004, 0x1011
local address_out = t.ptr_out(t.cell(t.address))
local function arch_prctl_of(call) return t.load.u32(nil, call.raw[1]) end

local function get(class, returns) return { returns = returns or t.i32, classes = class } end

--- Whose id it is depends on the argument before it.
local priority_who = { [0] = t.tid, t.pgid }
local waited = { t.pid, t.pgid, t.fd }
local function by_first(list)
  return t.by(function(call) return list[t.load.i32(nil, call.raw[1])] or t.i32 end)
end

local CLONE3_PARENT_SETTID = 0x100000

--- What the kernel has written comes behind what it read: {flags=...} => {parent_tid=[123]}.
local clone3_in = t.ptr_in(structs.clone_args)
local clone3_args = setmetatable({
  late = true,
  early = function(out, call, address) clone3_in.text(out, call, address) end,
  text = function(out, call, address)
    local args = not call.failed and address ~= 0 and structs.clone_args.fetch(call, address)
    if not args or bit.band(tonumber(args.flags), CLONE3_PARENT_SETTID) == 0 then return end
    local tid = t.cell(t.i32).fetch(call, args.parent_tid)
    if tid then out:put(" => {parent_tid=[", tostring(tid), "]}") end
  end,
}, { __index = clone3_in })

return {
  clone = { returns = t.tid, classes = "process", order = { "stack", "flags", "parent_tid", "tls", "child_tid" },
    { "flags", clone_flags, label = "flags" }, { "stack", t.address, label = "child_stack" },
    { "parent_tid", t.ptr_out(t.cell(pid)), label = "parent_tid", when = clone_has(CLONE_PARENT_SETTID_PIDFD) },
    { "child_tid", t.address_late, label = "child_tidptr", when = clone_has(CLONE_CHILD_BITS) },
    { "tls", t.xlong_late, label = "tls", when = clone_has(CLONE_SETTLS) } },
  clone3 = { returns = t.tid, classes = "process", { "cl_args", clone3_args }, { "size", t.size } },
  fork = { returns = pid, classes = "process" },
  vfork = { returns = pid, classes = "process" },
  exit = { returns = zero, classes = "process", { "status", t.i32 } },
  exit_group = { returns = zero, classes = "process", { "status", t.i32 } },
  wait4 = { returns = t.pid_number, classes = "process", { "pid", pid }, { "wstatus", t.ptr_out(t.wait_status) },
    { "options", wait_options }, { "rusage", rusage_out } },
  waitid = { returns = zero, classes = "process", { "idtype", t.enum("waitid_type", { comment = "P_???" }) },
    { "id", by_first(waited) }, { "infop", t.ptr_out(structs.siginfo) },
    { "options", t.flags("wait_options", { comment = "W???" }) }, { "rusage", rusage_out } },
  getpid = get("pure", pid), gettid = get("pure", t.tid), getppid = get("pure", pid), getpgrp = get("pure", t.pgid),
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
  setpgid = { returns = zero, { "pid", pid }, { "pgid", t.pgid } },
  getpgid = { returns = t.pgid, { "pid", pid } },
  getsid = { returns = t.sid, { "pid", pid } },
  setsid = { returns = t.sid },
  getpriority = { returns = t.i32, { "which", t.enum "priority_which" }, { "who", by_first(priority_who) } },
  setpriority = { returns = zero, { "which", t.enum "priority_which" },
    { "who", by_first(priority_who) }, { "prio", t.i32 } },
  sched_yield = { returns = zero },
  sched_getaffinity = { returns = t.i32, { "pid", t.tid }, { "cpusetsize", t.size },
    { "mask", t.ptr_out(t.cpu_mask "ret") } },
  sched_setaffinity = { returns = zero, { "pid", t.tid }, { "cpusetsize", t.size },
    { "mask", t.ptr_in(t.cpu_mask "cpusetsize") } },
  prctl = { classes = "creds", returns = t.by(function(call) return prctl_hex[prctl_of(call)] and t.xlong or t.i32 end),
    comment = function(call, value)
      local meaning = prctl_meaning[prctl_of(call)]
      return meaning and meaning(value)
    end,
    { "option", prctl_option }, { "arg2", prctl_argument(1), when = prctl_has(1) },
    { "arg3", prctl_argument(2), when = prctl_has(2) }, { "arg4", prctl_argument(3), when = prctl_has(3) },
    { "arg5", prctl_argument(4), when = prctl_has(4) } },
  arch_prctl = { returns = zero, varies_by = "code", { "code", t.enum("arch_prctl", { comment = "ARCH_???" }) },
    { "addr", t.by(function(call)
      local code = arch_prctl_of(call)
      return (code == ARCH_GET_FS or code == ARCH_GET_GS) and address_out or t.xlong
    end, true), when = function(call) return arch_prctl_of(call) ~= ARCH_GET_CPUID end } },
  prlimit64 = { returns = zero, { "pid", pid }, { "resource", resource }, { "new_limit", t.ptr_in(structs.rlimit64) },
    { "old_limit", t.ptr_out(structs.rlimit64) } },
  getrlimit = { returns = zero, { "resource", resource }, { "rlim", t.ptr_out(structs.rlimit) } },
  setrlimit = { returns = zero, { "resource", resource }, { "rlim", t.ptr_in(structs.rlimit) } },
  getrusage = { returns = zero, { "who", t.enum("rusage_who", { comment = "RUSAGE_???" }) }, { "usage", rusage_out } },
  set_tid_address = { returns = t.pid_number, { "tidptr", t.xlong } },
  set_robust_list = { returns = zero, { "head", t.address }, { "len", t.size } },
  rseq = { returns = zero, { "rseq", t.address }, { "rseq_len", t.x32 }, { "flags", t.x32 }, { "sig", t.x32 } },
  uname = { returns = zero, { "buf", t.ptr_out(structs.utsname) } },
  sysinfo = { returns = zero, { "info", t.ptr_out(structs.sysinfo) } },
  umask = { returns = t.mode, { "mask", t.mode } },
  getrandom = { returns = t.count, { "buf", t.ptr_out(t.bytes("buflen", "ret", "hex")) }, { "buflen", t.size },
    { "flags", t.flags("getrandom_flags", { comment = "GRND_???" }) } },
  futex = { returns = t.i32, varies_by = "futex_op", { "uaddr", t.address }, { "futex_op", t.futex_op(futex_names) },
    { "val", t.u32, when = futex_has "3" },
    { "timeout", t.by(function(call)
      local op = futex_op(call)
      return futex_timed[op] and futex_timeout or op > FUTEX_LAST and t.xlong or t.u32
    end), when = futex_has "4" },
    { "uaddr2", t.by(function(call) return futex_op(call) > FUTEX_LAST and t.xlong or t.address end),
      when = futex_has "5" },
    { "val3", t.by(function(call)
      local op = futex_op(call)
      return futex_bitset[op] and bitset or op == FUTEX_WAKE_OP and wake_op or op > FUTEX_LAST and t.x32 or t.u32
    end), when = futex_has "6" } },
  pidfd_open = { returns = t.fd, classes = "desc", { "pid", pid }, { "flags", t.flags "pidfd_open_flags" } },
  getcpu = { returns = zero, { "cpu", t.ptr_out(t.cell(t.u32)) }, { "node", t.ptr_out(t.cell(t.u32)) },
    { "tcache", t.address } },
  personality = { returns = t.x32, comment = personality_meaning, { "persona", personality } },
  unshare = { returns = zero, { "flags", t.flags("unshare_flags", { comment = "CLONE_???" }) } },
}
