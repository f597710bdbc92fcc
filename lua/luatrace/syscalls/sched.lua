--- Scheduling, priorities, memory policies, memory that other processes have, futexes of the second kind, pidfds.

local t = require "luatrace.types"
local structs = require "luatrace.structs"
local f = require "luatrace.structs.fields"
local constants = require "luatrace.constants"

local bit = require "bit"

local zero, pid, fd = t.i32, t.pid, t.fd
local ioprio_ids = { t.tid, t.pgid }
local ioprio_who = t.by(function(call) return ioprio_ids[t.load.i32(nil, call.raw[1])] or t.i32 end)

-- --- policies -------------------------------------------------------------------------------------------------------

local function policy_name(value)
  return value == 0 and "SCHED_OTHER" or constants.enums.sched_policy.by_value[value]
end
local policy = structs.sched_policy(t.i32)
local parameter = t.cell(t.i32)

local ioprio_classes = constants.enums.ioprio_class
local function ioprio_text(value)
  local class, data = bit.rshift(value, 13), bit.band(value, 0x1fff)
  local name = ioprio_classes.by_value[class] or ("%s /* IOPRIO_CLASS_??? */"):format(t.hex(class))
  return ("IOPRIO_PRIO_VALUE(%s, %d)"):format(name, data)
end
local ioprio = f.described(t.i32, ioprio_text)

-- --- policies of memory ---------------------------------------------------------------------------------------------

local mode = t.flags("mempolicy_mode_flags", { enum = "mempolicy_mode", mask = 0xffff1fff, strict = true,
  comment = "MPOL_???" })
local mask_in, mask_out = t.ptr_in(f.node_mask "maxnode"), t.ptr_out(f.node_mask "maxnode")
local mbind_flags = t.flags("mbind_flags", { comment = "MPOL_???" })

-- --- memory of others -----------------------------------------------------------------------------------------------

local remote_iov = t.struct { { "iov_base", t.address }, { "iov_len", t.size } }
local function remote(count) return t.ptr_in(t.array(remote_iov, count)) end

local futex2 = t.flags("futex2_flags", { comment = "FUTEX2_???" })
local waitv = t.struct { { "val", t.x64 }, { "uaddr", t.xaddress64 },
  { "flags", t.flags("futex_waitv_flags", { comment = "FUTEX_???" }) }, { "__reserved", t.hidden(t.u32) } }
local clock = t.enum("clock_id", { comment = "CLOCK_???" })
local siginfo = t.ptr_in(structs.siginfo)
local pages = t.ptr_in(t.array(t.address, "count"))

--- A node, or the error that its page met.
local status = setmetatable({ text = function(out, _, value)
  if value < 0 then
    out:put("-", constants.errno.by_value[-value] or tostring(-value))
  else
    out:put(tostring(value))
  end
end }, { __index = t.i32 })

return {
  sched_get_priority_max = { returns = t.i32, { "policy", policy } },
  sched_get_priority_min = { returns = t.i32, { "policy", policy } },
  sched_getscheduler = { returns = t.i32, comment = function(_, value) return policy_name(value) end,
    { "pid", t.tid } },
  sched_setscheduler = { returns = zero, { "pid", t.tid }, { "policy", policy }, { "param", t.ptr_in(parameter) } },
  sched_getparam = { returns = zero, { "pid", t.tid }, { "param", t.ptr_out(parameter) } },
  sched_setparam = { returns = zero, { "pid", t.tid }, { "param", t.ptr_in(parameter) } },
  sched_rr_get_interval = { returns = zero, { "pid", t.tid }, { "tp", t.ptr_out(structs.timespec) } },
  sched_getattr = { returns = zero, { "pid", t.tid }, { "attr", t.ptr_out(structs.sched_attr_out) }, { "size", t.u32 },
    { "flags", t.u32 } },
  sched_setattr = { returns = zero, { "pid", t.tid }, { "attr", t.ptr_in(structs.sched_attr_in) }, { "flags", t.u32 } },
  ioprio_get = { returns = t.i32, comment = function(_, value) return ioprio_text(value) end,
    { "which", t.enum("ioprio_who", { comment = "IOPRIO_WHO_???" }) }, { "who", ioprio_who } },
  ioprio_set = { returns = zero, { "which", t.enum("ioprio_who", { comment = "IOPRIO_WHO_???" }) },
    { "who", ioprio_who },
    { "ioprio", ioprio } },

  get_mempolicy = { returns = zero, classes = "memory", { "mode", t.ptr_out(t.cell(mode)) }, { "nodemask", mask_out },
    { "maxnode", t.ulong }, { "addr", t.address },
    { "flags", t.flags("get_mempolicy_flags", { of = t.ulong, comment = "MPOL_???" }) } },
  set_mempolicy = { returns = zero, classes = "memory", { "mode", mode }, { "nodemask", mask_in },
    { "maxnode", t.ulong } },
  mbind = { returns = zero, classes = "memory", { "addr", t.address }, { "len", t.ulong }, { "mode", mode },
    { "nodemask", mask_in }, { "maxnode", t.ulong }, { "flags", mbind_flags } },
  set_mempolicy_home_node = { returns = zero, classes = "memory", { "start", t.place }, { "len", t.ulong },
    { "home_node", t.ulong }, { "flags", t.xlong } },
  migrate_pages = { returns = t.long, classes = "memory", { "pid", pid }, { "maxnode", t.ulong },
    { "old_nodes", mask_in }, { "new_nodes", mask_in } },
  move_pages = { returns = t.long, classes = "memory", { "pid", pid }, { "count", t.ulong }, { "pages", pages },
    { "nodes", t.ptr_in(t.array(t.i32, "count")) }, { "status", t.ptr_out(t.array(status, "count")) },
    { "flags", mbind_flags } },
  mincore = { returns = zero, classes = "memory", { "addr", t.place }, { "length", t.size },
    { "vec", t.ptr_out(structs.mincore "length") } },
  mlock2 = { returns = zero, classes = "memory", { "addr", t.place }, { "len", t.size },
    { "flags", t.flags("mlock2_flags", { comment = "MLOCK_???" }) } },
  remap_file_pages = { returns = zero, classes = "memory", { "addr", t.place }, { "size", t.size },
    { "prot", t.flags("mmap_prot", { of = t.ulong, comment = "PROT_???" }) }, { "pgoff", t.size },
    { "flags", t.flags("mmap_flags", { enum = "mmap_type", mask = 0x0f, comment = "MAP_???" }) } },
  memfd_secret = { returns = fd, classes = "desc", { "flags", structs.memfd_secret_flags } },
  mseal = { returns = zero, classes = "memory", { "addr", t.place }, { "len", t.size }, { "flags", t.xlong } },
  map_shadow_stack = { returns = t.address, classes = "memory", { "addr", t.place }, { "size", t.size },
    { "flags", t.flags("map_shadow_stack_flags", { comment = "SHADOW_STACK_???" }) } },
  pkey_alloc = { returns = t.i32, { "flags", t.xlong }, { "access_rights", t.flags("pkey_access",
    { of = t.ulong, comment = "PKEY_???" }) } },
  pkey_free = { returns = zero, { "pkey", t.i32 } },
  pkey_mprotect = { returns = zero, classes = "memory", { "addr", t.place }, { "len", t.size },
    { "prot", t.flags("mmap_prot", { of = t.ulong, comment = "PROT_???" }) }, { "pkey", t.i32 } },
  process_madvise = { returns = t.count, classes = "desc", { "pidfd", fd }, { "iovec", remote "vlen" },
    { "vlen", t.size }, { "advice", t.enum("madvise", { comment = "MADV_???" }) }, { "flags", t.x32 } },
  process_mrelease = { returns = zero, { "pidfd", fd }, { "flags", t.x32 } },
  process_vm_readv = { returns = t.count, { "pid", pid }, { "local_iov", t.ptr_out(t.iovec("liovcnt", "ret")) },
    { "liovcnt", t.size }, { "remote_iov", remote "riovcnt" }, { "riovcnt", t.size }, { "flags", t.ulong } },
  process_vm_writev = { returns = t.count, { "pid", pid }, { "local_iov", t.ptr_in(t.iovec "liovcnt") },
    { "liovcnt", t.size }, { "remote_iov", remote "riovcnt" }, { "riovcnt", t.size }, { "flags", t.ulong } },

  futex_wait = { returns = t.i32, { "uaddr", t.address }, { "val", t.xlong }, { "mask", t.xlong }, { "flags", futex2 },
    { "timeout", t.ptr_in(structs.timespec64) }, { "clockid", clock } },
  futex_wake = { returns = t.i32, { "uaddr", t.address }, { "mask", t.xlong }, { "nr", t.i32 }, { "flags", futex2 } },
  futex_requeue = { returns = t.i32, { "waiters", t.ptr_in(t.array(waitv, 2)) }, { "flags", t.x32 },
    { "nr_wake", t.i32 }, { "nr_requeue", t.i32 } },
  futex_waitv = { returns = t.i32, { "waiters", t.ptr_in(t.array(waitv, "nr_futexes")) }, { "nr_futexes", t.u32 },
    { "flags", t.x32 }, { "timeout", t.ptr_in(structs.timespec64) }, { "clockid", clock } },
  get_robust_list = { returns = zero, { "pid", t.tid }, { "head_ptr", t.ptr_out(t.cell(t.address)) },
    { "len_ptr", t.ptr_out(t.cell(t.size)) } },

  pidfd_getfd = { returns = fd, { "pidfd", fd }, { "targetfd", t.i32 }, { "flags", t.x32 } },
  pidfd_send_signal = { returns = zero, classes = "signal process", { "pidfd", fd }, { "sig", t.signal },
    { "info", siginfo }, { "flags", t.flags("pidfd_send_signal_flags", { comment = "PIDFD_SIGNAL_???" }) } },
  rt_sigqueueinfo = { returns = zero, classes = "signal process", { "tgid", pid }, { "sig", t.signal },
    { "info", siginfo } },
  rt_tgsigqueueinfo = { returns = zero, classes = "signal process", { "tgid", pid }, { "tid", t.tid },
    { "sig", t.signal }, { "info", siginfo } },
  signalfd = { returns = fd, classes = "signal desc", { "fd", fd }, { "mask", t.ptr_in(t.sigset "sigsetsize") },
    { "sigsetsize", t.size } },

  timer_create = { returns = zero, { "clockid", clock }, { "sevp", t.ptr_in(structs.sigevent) },
    { "timerid", t.ptr_out(t.cell(t.i32)) } },
  timer_delete = { returns = zero, { "timerid", t.i32 } },
  timer_getoverrun = { returns = t.i32, { "timerid", t.i32 } },
  timer_gettime = { returns = zero, { "timerid", t.i32 }, { "curr_value", t.ptr_out(structs.itimerspec) } },
  timer_settime = { returns = zero, { "timerid", t.i32 },
    { "flags", t.flags("timer_flags", { comment = "TIMER_???" }) },
    { "new_value", t.ptr_in(structs.itimerspec) }, { "old_value", t.ptr_out(structs.itimerspec) } },
}
