/*
 * waiting.h - waiting for what comes next: a wait status, a notification, a signal to luatrace, the end of a time.
 *
 * While no tree has a listener this is a plain wait4. With listeners it is a poll of them and of a signalfd for
 * SIGCHLD, which stays blocked in the calling thread for as long: wait4 is asked only when that signal has come, so a
 * notification costs nothing for the stops that do not happen beside it. Knows nothing of what statuses mean.
 */
#ifndef LUATRACE_WAITING_H
#define LUATRACE_WAITING_H

#include "tracer.h"

/* Before the fork of a program that shall have a listener: from now on its SIGCHLDs are kept. 0 or -errno. */
int waiting_prepare(struct tracer *tracer);
/* The tree's listener is polled from now on. 0 or -errno. */
int waiting_add(struct tracer *tracer, struct tree *tree);
/* Closes the tree's listener, if it has one; with the last one the wait is a plain one again. */
void waiting_remove(struct tracer *tracer, struct tree *tree);
/* Whoever is answered from now on runs where he ran before (notify_wake_here), or on the processor of who answers. */
void waiting_wake_elsewhere(const struct tracer *tracer, bool elsewhere);
/* The signal mask without what is blocked here: a launched program's. */
void waiting_mask_before(const struct tracer *tracer, sigset_t *mask);

/* Waits at most `timeout` nanoseconds (negative: no limit). 1: something has come: statuses are in the queue, or
 * *notified is the tree whose listener can be received from. 0: nothing has; -ECHILD: nobody is left; other -errno. */
int waiting_wait(struct tracer *tracer, int64_t timeout, struct tree **notified);

/* A process was born whose last thread's end may come without SIGCHLD (clone with another signal, or none). */
void waiting_note_silent_end(struct tracer *tracer);

#endif
