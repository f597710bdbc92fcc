--- Signals: actions, masks, where a siginfo comes from.

return {
  title = "Constants of signals.",

  { "flags", "sa_flags", "SA_", "asm/signal.h", [[
    SA_RESTORER SA_ONSTACK SA_RESTART SA_INTERRUPT=0x20000000 SA_NODEFER SA_RESETHAND SA_SIGINFO SA_NOCLDSTOP
    SA_NOCLDWAIT
    SA_UNSUPPORTED SA_EXPOSE_TAGBITS ]] },
  { "enum", "sigprocmask_how", "SIG_", "asm/signal.h", "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK" },
  { "enum", "sig_handler", "SIG_", "asm/signal.h", "SIG_DFL=0 SIG_IGN=1 SIG_ERR=0xffffffffffffffff" },
  { "flags", "sigaltstack_flags", "SS_", "asm/signal.h linux/signal.h", "SS_ONSTACK SS_DISABLE SS_AUTODISARM" },
  { "enum", "sigev_notify", "SIGEV_", "linux/types.h asm/siginfo.h", [[
    SIGEV_SIGNAL SIGEV_NONE SIGEV_THREAD SIGEV_THREAD_ID ]] },

  { "enum", "si_code", "SI_", "linux/types.h asm/siginfo.h", [[
    SI_USER SI_KERNEL SI_QUEUE SI_TIMER SI_MESGQ SI_ASYNCIO SI_SIGIO SI_TKILL SI_DETHREAD SI_ASYNCNL ]] },
  { "enum", "si_code_sigill", "ILL_", "linux/types.h asm/siginfo.h", "ILL_*" },
  { "enum", "si_code_sigfpe", "FPE_", "linux/types.h asm/siginfo.h", "FPE_*" },
  { "enum", "si_code_sigsegv", "SEGV_", "linux/types.h asm/siginfo.h", "SEGV_* SEGV_CPERR=10" },
  { "enum", "si_code_sigbus", "BUS_", "linux/types.h asm/siginfo.h", "BUS_*" },
  { "enum", "si_code_sigtrap", "TRAP_", "linux/types.h asm/siginfo.h", "TRAP_* -TRAP_PERF_FLAG_*" },
  { "enum", "si_code_sigchld", "CLD_", "linux/types.h asm/siginfo.h", "CLD_*" },
  { "enum", "si_code_sigpoll", "POLL_", "linux/types.h asm/siginfo.h", "POLL_*" },
  { "enum", "si_code_sigsys", "SYS_", "linux/types.h asm/siginfo.h", "SYS_SECCOMP SYS_USER_DISPATCH" },
  { "enum", "si_code_sigemt", "EMT_", "linux/types.h asm/siginfo.h", "EMT_TAGOVF" },
}
