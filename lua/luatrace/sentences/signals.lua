--- Sentences of calls on signals; the grammar is in sentences.lua.

local types = require "luatrace.types"

local function handler_is(value)
  return function(call)
    local act = call.act
    return type(act) == "table" and act ~= types.NULL and act.sa_handler == value
  end
end
local function asks(call) return call.act == types.NULL end
local function how(value) return function(call) return call.how == value and call.set ~= types.NULL end end

return { category = "signal", rows = {
  kill = { { function(call) return call.raw[2] == 0 end, "(look|looked) whether {pid:process} is there" },
    "(send|sent) {sig} to {pid:process}" },
  tkill = "(send|sent) {sig} to the thread {tid:process}",
  tgkill = "(send|sent) {sig} to the thread {tid:process}",
  rt_sigqueueinfo = "(send|sent) {sig} to {tgid:process}",
  rt_tgsigqueueinfo = "(send|sent) {sig} to the thread {tid:process}",
  rt_sigaction = {
    { asks, "(ask|asked) what {signum} does" },
    { handler_is "SIG_IGN", "(ignore|ignores) {signum} from now on" },
    { handler_is "SIG_DFL", "(leave|leaves) {signum} to the kernel" },
    "(handle|handles) {signum} from now on" },
  rt_sigprocmask = {
    { how "SIG_BLOCK", "(block|blocked) {set:signals}" }, { how "SIG_UNBLOCK", "(unblock|unblocked) {set:signals}" },
    { how "SIG_SETMASK", "(set|set) which signals are blocked: {set:signals}" },
    "(ask|asked) which signals are blocked" },
  rt_sigreturn = "(return|returned) from the handler of a signal",
  rt_sigsuspend = "(wait|waited) for a signal", pause = "(wait|waited) for a signal",
  rt_sigtimedwait = "(wait|waited) for {uthese:signals}[: {ret:signalname} came]",
  rt_sigpending = "(ask|asked) which signals are pending",
  sigaltstack = "(set|set) up, or asked for, a stack for handlers of signals",
  signalfd = "(read|reads) signals from a descriptor from now on[ -> {ret}]",
  signalfd4 = "(read|reads) signals from a descriptor from now on[ -> {ret}]",
  restart_syscall = "(go|went) on with what a signal had interrupted",
} }
