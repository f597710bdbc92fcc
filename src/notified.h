/*
 * notified.h - a tracee that is held by a notification, as a stop like others: what is received becomes an entry stop
 * with STOP_FLAG_NOTIFY, resuming it answers the notification.
 *
 * The tracee is ours by ptrace as well, which is why its memory can be trusted without asking the kernel again whether
 * the notification is alive: a tid is not used anew before its tracer has seen its end. Only SIGKILL ends such a stop
 * early; then the answer finds nobody (-ESRCH), and the exit is reported.
 *
 * A question by mailbox (mailbox.h) is such a stop as well. A ptrace-stop that comes meanwhile is put aside until it has
 * been answered: no more than a notification is such a question broken off.
 */
#ifndef LUATRACE_NOTIFIED_H
#define LUATRACE_NOTIFIED_H

#include "tracee.h"

/* A call that waits for the answer to its notification, or by a mailbox. */
struct notified_call {
  struct mailbox *mailbox; /* NULL: there is a notification */
  int listener;
  pid_t tid;
  uint64_t id;
  bool restarted;  /* one that a signal broke off, coming again */
  bool by_gate;    /* it was trapped in a gate */
  bool wants_gate; /* nobody is to see it, but a gate is to be asked for, in the tracer's thread */
};
enum notified_verdict {
  NOTIFIED_NOTHING, /* none was there any more */
  NOTIFIED_CLOSED,  /* nor will there ever be one: no process is left */
  NOTIFIED_PASSES,  /* nobody is to see it: to be answered with notify_continue */
  NOTIFIED_HELD     /* a stop: notified_hold, or notified_leave */
};

/* Receives from the tree's listener, which is readable, and notes what tracee makes what call. Wakes nobody. */
enum notified_verdict notified_look(struct tracer *tracer, struct tree *tree, struct notified_call *call);
/* The stop at which the call's tracee is held from now on; NULL when it is gone. Of the tracer's thread alone. */
const struct tracer_stop *notified_hold(struct tracer *tracer, const struct notified_call *call);
/* Leaves the call to the tracer's thread, which finds it as a stop with notified_next. */
void notified_leave(struct tracer *tracer, const struct notified_call *call);
const struct tracer_stop *notified_next(struct tracer *tracer);
/* All at once: a stop, or NULL for calls that nobody is to see. */
const struct tracer_stop *notified_receive(struct tracer *tracer, struct tree *tree);
/* The same of a question that has been taken out of a mailbox (attention.h). */
const struct tracer_stop *notified_take(struct tracer *tracer, struct mailbox *mailbox);
/* Lets a tracee that is held by a notification go on: with the call, or with the result of tracer_skip_call. 0, -ESRCH,
 * or -EINVAL (and it stays held) when its exit is wanted: a notification has none. */
int notified_answer(struct tracer *tracer, struct tracee *tracee, bool want_exit);
/* A ptrace-stop of a tracee whose question is being looked at: true when it comes when that has been answered. */
bool notified_sets_aside(struct tracee *tracee, int status);

#endif
