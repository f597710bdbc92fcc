--- Signals.

local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero = t.i32
local sigset_in, sigset_out = t.ptr_in(t.sigset "sigsetsize"), t.ptr_out(t.sigset "sigsetsize")

return {
  kill = { returns = zero, classes = "signal process", { "pid", t.pid }, { "sig", t.signal } },
  tkill = { returns = zero, classes = "signal process", { "tid", t.tid }, { "sig", t.signal } },
  tgkill = { returns = zero, classes = "signal process", { "tgid", t.pid }, { "tid", t.tid }, { "sig", t.signal } },
  rt_sigaction = { returns = zero, classes = "signal", { "signum", t.signal },
    { "act", t.ptr_in(structs.sigaction) }, { "oldact", t.ptr_out(structs.sigaction) }, { "sigsetsize", t.size } },
  rt_sigprocmask = { returns = zero, classes = "signal",
    { "how", t.enum("sigprocmask_how", { comment = "SIG_???" }) }, { "set", sigset_in }, { "oldset", sigset_out },
    { "sigsetsize", t.size } },
  rt_sigreturn = { returns = t.long, classes = "signal", { "frame", t.signal_frame } },
  rt_sigpending = { returns = zero, classes = "signal", { "set", sigset_out }, { "sigsetsize", t.size } },
  rt_sigsuspend = { returns = zero, classes = "signal", { "mask", sigset_in }, { "sigsetsize", t.size } },
  rt_sigtimedwait = { returns = t.i32, classes = "signal",
    comment = function(_, value) return require("luatrace.constants").signals.by_value[value] end,
    { "uthese", sigset_in },
    { "uinfo", t.ptr_out(structs.siginfo) },
    { "uts", t.ptr_in(structs.timespec) }, { "sigsetsize", t.size } },
  sigaltstack = { returns = zero, classes = "signal", { "ss", t.ptr_in(structs.stack_t) },
    { "old_ss", t.ptr_out(structs.stack_t) } },
  signalfd4 = { returns = t.fd, classes = "signal desc", { "fd", t.fd }, { "mask", sigset_in },
    { "sigsetsize", t.size }, { "flags", t.flags("signalfd_flags", { comment = "SFD_???" }) } },
  pause = { returns = zero, classes = "signal" },
  --- Not a call of the program's own: the kernel goes on with an interrupted one. (strace says "read", number 0, where
  -- it does not know which, after an attach.)
  restart_syscall = { returns = t.long, text = function(out, call)
    out:put("<... resuming interrupted ", call.resumes or "read", " ...>")
  end },
}
