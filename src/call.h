/*
 * call.h - the call that a tracee is making: as the program asked, broken off by signals, coming again.
 *
 * Knows registers and restart codes; does not resume anybody.
 *
 * The kernel runs a call that a signal broke off again, once the signal has been dealt with: such an entry is no new
 * call. A notification that nobody has received yet is broken off, too, and with a worse code:
 *
 *   the call is trapped   ->  waits for the listener  ->  signal: -ERESTARTSYS  ->  its handler has no SA_RESTART: EINTR
 *
 * although the call was never made, and may be one that never says EINTR. Once it has been received only SIGKILL
 * breaks it off (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19). The signal's delivery-stop comes before the code
 * is looked at: there it is made -ERESTARTNOINTR, which always runs the call again.
 */
#ifndef LUATRACE_CALL_H
#define LUATRACE_CALL_H

#include "syscall_info.h" /* struct syscall_info */
#include "tracee.h"

/* Notes the call that the tracee is about to make; true when it is one that a signal broke off, coming again. */
bool call_enter(struct tracee *tracee, const struct syscall_info *info);
/* Is it one of the results by which the kernel says that the call shall run again? */
bool call_is_restart(int64_t result);
/* The call that was noted has ended with such a result. */
void call_note_interruption(struct tracee *tracee);
/* At a signal-delivery-stop: what has the signal broken off? */
void call_look_at_signal(const struct tracer *tracer, struct tracee *tracee);

#endif
