/*
 * syscall_info.h - the call a stopped tracee is in: get and set number, arguments, result.
 *
 * PTRACE_GET_SYSCALL_INFO (Linux 5.3) and PTRACE_SET_SYSCALL_INFO (6.16) where the kernel has them, registers
 * otherwise. Works on tids; knows nothing of tracees' states.
 */
#ifndef LUATRACE_SYSCALL_INFO_H
#define LUATRACE_SYSCALL_INFO_H

#include "tracer.h" /* tracee_addr */

enum syscall_op { SYSCALL_OP_NONE, SYSCALL_OP_ENTRY, SYSCALL_OP_EXIT, SYSCALL_OP_SECCOMP };

struct syscall_info {
  enum syscall_op op;
  uint32_t arch;
  tracee_addr ip;
  tracee_addr sp;
  uint64_t nr;      /* ENTRY, SECCOMP */
  uint64_t args[6]; /* ENTRY, SECCOMP */
  int64_t result;   /* EXIT: raw */
};

/* All return 0 or -errno (-ESRCH: the tracee died). `old` forces the register path; there the caller must say which
 * op the stop is, since registers do not tell entry from exit. */
int syscall_info_get(pid_t tid, bool old, enum syscall_op expected, struct syscall_info *info);
/* At a signal-delivery-stop: number, arguments and result of the call that the signal came in, if there was one. */
int syscall_info_get_broken_off(pid_t tid, bool old, struct syscall_info *info);
/* Rewrites number and arguments at an entry or seccomp stop. `before` is what the registers hold now. */
int syscall_info_set_call(pid_t tid, bool old, const struct syscall_info *before, uint64_t nr, const uint64_t args[6]);
/* Makes the call at an entry or seccomp stop not happen: number -1, result register as given. In a ptrace entry stop
 * the kernel then stores -ENOSYS over the result, so it must be set again at the exit; in a seccomp stop it stays. */
int syscall_info_skip(pid_t tid, int64_t result);
/* Rewrites the result at an exit stop. */
int syscall_info_set_result(pid_t tid, int64_t result);
/* Puts argument registers back, those whose bit is set in `which`; and the number when bit 7 is set. */
int syscall_info_restore(pid_t tid, uint32_t arch, unsigned which, uint64_t nr, const uint64_t args[6]);

#endif
