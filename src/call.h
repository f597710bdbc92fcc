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
 * although the call was never made, and may be one that never says EINTR. (Once it has been received only SIGKILL breaks
 * it off: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, Linux 5.19.) The signal's delivery-stop comes before the code is
 * looked at: there it is made -ERESTARTNOINTR, which always runs the call again.
 *
 * And the signal is put off: the call is run again without it, and the signal is sent anew when its notification has been
 * received. So it finds the call in the kernel, as it would have without us, and the kernel does the right thing: a call
 * that was to wait for just this signal does not wait for ever.
 *
 * But was the call never made? In a loop of one call the registers are those of the call before, which we have let go on
 * and which may have been broken off while it did its work. Ids of notifications are counted by the kernel: one that is
 * missing between the two says that this is a new call, none that it is the old one again.
 */
#ifndef LUATRACE_CALL_H
#define LUATRACE_CALL_H

#include "backend_notify.h" /* struct notification */
#include "syscall_info.h"   /* struct syscall_info */
#include "tracee.h"

/* Notes the call that the tracee is about to make; true when it is one that a signal broke off, coming again. */
bool call_enter(struct tracee *tracee, const struct syscall_info *info);
/* Does the plan rule the call out by its paths, so that nobody needs to be woken? After call_enter. */
bool call_is_ruled_out(const struct tracer *tracer, struct tracee *tracee);
/* Is it one of the results by which the kernel says that the call shall run again? */
bool call_is_restart(int64_t result);
/* The tracee comes out of a call that an interruption of ours has made fail with EINTR: the kernel makes it again, unless
 * a signal handler comes in between that would have made it fail, too. */
void call_make_again(const struct tracee *tracee);
/* The call that was noted has ended with such a result. */
void call_note_interruption(struct tracee *tracee);
/* The tracee was stopped by us: what that broke off is remembered as after a signal. */
void call_look_at_pause(const struct tracer *tracer, struct tracee *tracee);
/* At a signal-delivery-stop: sees to what the signal has broken off. True when the signal is put off: it shall not be
 * delivered now. */
bool call_look_at_signal(const struct tracer *tracer, struct tracee *tracee, int signal);
/* Keeps the signal of this delivery-stop for when the tracee is in its next call. False: that cannot be. */
bool call_put_off(struct tracee *tracee, int signal);
/* A notification has been received. True when it is a call that was received before, coming again because a signal was
 * put off. */
bool call_comes_again(struct tracee *tracee, const struct notification *notification);
/* The tracee is in a call, or has a new program: the signal that was put off, if there is one, is sent. */
void call_send_put_off(struct tracee *tracee);

#endif
