/*
 * notified.h - a tracee that is held by a notification, as a stop like others: what is received becomes an entry stop
 * with STOP_FLAG_NOTIFY, resuming it answers the notification.
 *
 * The tracee is ours by ptrace as well, which is why its memory can be trusted without asking the kernel again whether
 * the notification is alive: a tid is not used anew before its tracer has seen its end. Only SIGKILL ends such a stop
 * early; then the answer finds nobody (-ESRCH), and the exit is reported.
 */
#ifndef LUATRACE_NOTIFIED_H
#define LUATRACE_NOTIFIED_H

#include "tracee.h"

/* What the tree's listener, which is readable, has to say: a stop, or NULL for calls that nobody is to see. */
const struct tracer_stop *notified_receive(struct tracer *tracer, struct tree *tree);
/* Lets a tracee that is held by a notification go on: with the call, or with the result of tracer_skip_call. 0, -ESRCH,
 * or -EINVAL (and it stays held) when its exit is wanted: a notification has none. */
int notified_answer(struct tracee *tracee, bool want_exit);

#endif
