/*
 * remote_syscall.h - run a call of ours inside a stopped tracee, then bring it back to the very stop it was at.
 *
 * From an exit stop: go back over the call instruction, run ours, restore the registers.
 * From an entry stop: ours runs in place of the program's; the program's is then entered again:
 *
 *   entry(theirs) -> [ours] -> exit(ours) -> rewind -> entry(theirs)
 *
 * Asynchronous: remote_syscall_stop is fed this tracee's stops until it says REMOTE_STEP_DONE, so that an injected
 * call that blocks blocks nobody else. Signals are held back meanwhile.
 */
#ifndef LUATRACE_REMOTE_SYSCALL_H
#define LUATRACE_REMOTE_SYSCALL_H

#include "stop.h"   /* struct wait_meaning */
#include "tracee.h" /* struct tracee */

struct remote_call;

enum remote_step {
  REMOTE_STEP_CONTINUE, /* resume with `*request`, nothing to report */
  REMOTE_STEP_DONE      /* the tracee is back at its stop; the result is in tracee->stop.result of the STOP_INJECTED */
};

/* The tracee must be at a syscall stop. Sets registers and phase; returns 0 (the caller resumes with
 * PTRACE_SYSCALL) or -errno (nothing changed). */
int remote_syscall_start(struct tracee *tracee, uint64_t nr, const uint64_t args[6]);
/* One stop of a tracee with a remote call under way. */
enum remote_step remote_syscall_stop(struct tracer *tracer, struct tracee *tracee, struct wait_meaning meaning,
                                     int *request, int64_t *result);
void remote_syscall_abandon(struct tracee *tracee);

#endif
