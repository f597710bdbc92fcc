--- Sentences of calls on processes, threads, users and limits; the grammar is in sentences.lua.

local bit = require "bit"

local CLONE_THREAD, CLONE3 = 0x10000, "clone3"

local function makes_thread(call)
  local flags
  if call.row.name == CLONE3 then
    flags = type(call.cl_args) == "table" and call.cl_args.flags
  else
    flags = call.raw[1]
  end
  flags = type(flags) == "table" and flags.value or flags
  return type(flags) == "number" and bit.band(flags, CLONE_THREAD) ~= 0
end

local function nobody(call) return call.raw_ret == 0 end
local function is(name, value) return function(call) return call[name] == value end end

local clone = { { makes_thread, "(start|started) a thread[: {ret:process}]" },
  "(start|started) a child[: {ret:process}]" }
local waited = { { nobody, "(look|looked) whether {pid:children} has ended: not yet" },
  "(wait|waited) for {pid:children}[<: {ret:process} {wstatus:ending}>]" }

return { category = "process", rows = {
  clone = clone, clone3 = clone, fork = clone[2], vfork = clone[2],
  wait4 = waited, waitpid = waited, waitid = "(wait|waited) for children",
  exit = "(end|ended) this thread", exit_group = "(end|ended) with status {status:number}",
  getpid = "(ask|asked) for its process id[: {ret:pid}]", gettid = "(ask|asked) for its thread id",
  getppid = "(ask|asked) for its parent's id", getpgrp = "(ask|asked) for its process group",
  getpgid = "(ask|asked) for the process group of {pid:process}",
  getsid = "(ask|asked) for the session of {pid:process}",
  setsid = "(start|started) a session of its own", setpgid = "(move|moved) {pid:process} to another process group",
  getuid = "(ask|asked) for its user[: {ret:user}]", geteuid = "(ask|asked) for its effective user[: {ret:user}]",
  getgid = "(ask|asked) for its group[: {ret:group}]", getegid = "(ask|asked) for its effective group[: {ret:group}]",
  getresuid = "(ask|asked) for its users", getresgid = "(ask|asked) for its groups",
  getgroups = "(ask|asked) for its further groups",
  setuid = { "(become|became) the user {uid:user}", category = "security" },
  setgid = { "(become|became) the group {gid:group}", category = "security" },
  setreuid = { "(become|became) the user< {euid:user}>", category = "security" },
  setregid = { "(become|became) the group< {egid:group}>", category = "security" },
  setresuid = { "(become|became) the user< {euid:user}>", category = "security" },
  setresgid = { "(become|became) the group< {egid:group}>", category = "security" },
  setfsuid = { "(use|uses) files as the user {fsuid:user}", category = "security" },
  setfsgid = { "(use|uses) files as the group {fsgid:group}", category = "security" },
  setgroups = { "(change|changed) its further groups", category = "security" },
  capset = { "(change|changed) its capabilities", category = "security" },
  capget = { "(ask|asked) for capabilities", category = "security" },
  unshare = { "(leave|left) what it shares with others: {flags:names}", category = "security" },
  setns = { "(enter|entered) the namespace of {fd}", category = "security" },
  prctl = {
    { is("option", "PR_SET_NAME"), "(call|called) itself {arg2:raw}" },
    { is("option", "PR_SET_NO_NEW_PRIVS"), "(give|gave) up gaining privileges by what it runs" },
    { is("option", "PR_SET_PDEATHSIG"), "(ask|asked) for a signal when its parent ends" },
    { is("option", "PR_SET_SECCOMP"), "(limit|limited) its own system calls" },
    { is("option", "PR_CAPBSET_DROP"), "(give|gave) up a capability for good" },
    "(control|controlled) itself, {option:names}" },
  seccomp = { "(limit|limited) its own system calls, {operation:names}", category = "security" },
  ptrace = { "(look|looked) into {pid:process}, {op:names}", category = "security" },
  prlimit64 = { { function(call) return type(call.new_limit) == "table" and call.new_limit.rlim_cur ~= nil end,
    "(change|changed) the limit {resource:names} of {pid:process}" },
    "(ask|asked) for the limit {resource:names} of {pid:process}" },
  getrlimit = "(ask|asked) for the limit {resource:names}", setrlimit = "(change|changed) the limit {resource:names}",
  getrusage = "(ask|asked) what it has used", times = "(ask|asked) how long it has worked",
  umask = "(set|set) which permissions new files lack: {mask:octal}",
  getpriority = "(ask|asked) for a priority", setpriority = "(change|changed) a priority to {prio:number}",
  sched_yield = "(let|let) others run", sched_getaffinity = "(ask|asked) on which processors {pid:process} may run",
  sched_setaffinity = "(choose|chose) on which processors {pid:process} may run",
  sched_setscheduler = "(change|changed) how {pid:process} is scheduled",
  sched_setattr = "(change|changed) how {pid:process} is scheduled",
  getcpu = "(ask|asked) on which processor it runs",
  personality = "(ask|asked) for, or changed, how the kernel treats it",
  pidfd_open = "(get|got) a descriptor of {pid:process}[ -> {ret}]",
  pidfd_getfd = { "(take|took) a descriptor out of another process[ -> {ret}]", category = "security" },
  pidfd_send_signal = { "(send|sent) {sig} to the process of {pidfd}", category = "signal" },
  set_tid_address = "(say|said) where its thread id is kept", set_robust_list = "(say|said) where its robust locks are",
  rseq = "(set|set) up restartable sequences", arch_prctl = "(set|set) up the processor for itself, {code:names}",
  set_thread_area = "(set|set) up the processor for itself",
  futex = {
    { function(call) return tostring(call.futex_op):find("^FUTEX_WAIT") ~= nil end,
      "(wait|waited) for another thread, futex {uaddr:address}" },
    { function(call) return tostring(call.futex_op):find("^FUTEX_WAKE") ~= nil end,
      "(wake|woke) [{ret:number} ]waiting threads, futex {uaddr:address}" },
    { function(call) return tostring(call.futex_op):find("^FUTEX_LOCK_PI") ~= nil end,
      "(take|took) a lock, futex {uaddr:address}" },
    "(use|used) a futex, {futex_op:names}" },
} }
