/*
 * backend_notify.h - the seccomp user-notification listener: one cheap round trip per call, without a ptrace stop.
 *
 * Owns the passing of the listener from a launched child to the tracer, and one notification's way: received, its
 * memory looked at, answered. Knows no tracees and no plans, and does not wait: the caller polls the listener.
 *
 * What a notification cannot do: rewrite the call, see its result, run another call in the tracee.
 */
#ifndef LUATRACE_BACKEND_NOTIFY_H
#define LUATRACE_BACKEND_NOTIFY_H

#include <linux/filter.h> /* struct sock_fprog */

#include "tracer.h" /* tracee_addr, pid_t */

/* What the kernel offers, found out by trying (a short-lived child). */
struct notify_features {
  int32_t listener; /* 0, or why there is none: -EBUSY (our own ancestors have one), -EINVAL (before 5.0), ... */
  bool wait_killable;
  bool sync_wakeup;
};
void notify_probe(struct notify_features *features);

/* --- the listener's way to us: the child offers its number in shared memory and waits until we have a copy ------ */

/* In memory shared by both; zero to begin with. */
struct notify_slot {
  _Atomic uint32_t state;   /* enum notify_slot_state */
  _Atomic int32_t listener; /* in the child */
};
enum notify_slot_state { NOTIFY_SLOT_EMPTY = 0, NOTIFY_SLOT_OFFERED, NOTIFY_SLOT_TAKEN };

/* In the child: installs the filter, offers the listener, returns when it has been taken. The listener is
 * close-on-exec. From the installation on every call of ours may be trapped, so no call is made but, with
 * `may_yield` (the plan allows sched_yield with all arguments 0), sched_yield. 0 or -errno: -EBUSY when the process
 * already has a filter with a listener. */
int notify_install(struct notify_slot *slot, const struct sock_fprog *filter, bool may_yield);

/* In the tracer: waits for the offer at most until `deadline` (CLOCK_MONOTONIC, nanoseconds); our copy of the
 * listener, or -errno. -ECHILD: the child ended instead (it can still be waited for); -EAGAIN: it has a ptrace-stop to
 * report, without whose end it does not go on: deal with that and come back; -ETIMEDOUT. After any other failure the
 * child never gets further. */
int notify_take(struct notify_slot *slot, pid_t child, uint64_t deadline);

/* --- notifications ---------------------------------------------------------------------------------------------- */

struct notification {
  uint64_t id;
  pid_t tid; /* in our pid namespace; 0 when it is not visible there */
  uint32_t arch;
  uint64_t nr;
  uint64_t args[6];
  tracee_addr ip;
};

/* From now on, whoever wakes the other side of this listener runs it on its own processor, or not (Linux 6.6). That is
 * right for one who waits for us while we wait for him, twice as fast, and how a listener comes (notify_take). But when
 * two have been waiting, the second, answered so, would come to the processor on which the first runs already, while
 * its own is idle. */
void notify_wake_here(int listener, bool here);

/* Once poll() says POLLIN (it would block otherwise). 1; 0 when the call has gone again meanwhile (a signal, death);
 * -ESRCH when no process under this filter is left (poll: POLLHUP), so the listener can be closed. */
int notify_receive(int listener, struct notification *notification);

/* Still the same call, still waiting? Asked after memory was read, before it is trusted (the tid may have been
 * reused). 0 or -ESRCH. */
int notify_check(int listener, uint64_t id);

/* One of these answers each notification. 0; -ESRCH when the tracee is dead or, before Linux 5.19, when a signal
 * broke off the call: it will then come again as another notification. */
int notify_continue(int listener, uint64_t id);
int notify_return(int listener, uint64_t id, int64_t result); /* raw: -errno for a failure */

#endif
