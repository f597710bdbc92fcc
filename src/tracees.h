/*
 * tracees.h - the tracer's tables: tracees by tid, by number, by stop; and the queue of wait statuses.
 *
 * Tids are reused by the kernel; numbers and stop ids are not. A stop id is slot + 2^17 * serial, below 2^53 so that
 * a Lua number holds it.
 */
#ifndef LUATRACE_TRACEES_H
#define LUATRACE_TRACEES_H

#include "tracee.h"

enum { TRACEES_SLOT_BITS = 17 };

/* A new tracee in state TRACEE_NEW; `process` is held, NULL makes a new one. NULL when memory or slots run out. */
struct tracee *tracees_add(struct tracer *tracer, struct tree *tree, pid_t tid, struct process *process);
/* Gives the tracee another tid (exec by a thread that is not the leader). */
void tracees_rename(struct tracer *tracer, struct tracee *tracee, pid_t tid);
/* Gone: out of the tables, freed by tracees_free_finished. */
void tracees_bury(struct tracer *tracer, struct tracee *tracee);
void tracees_free_finished(struct tracer *tracer);
/* Some tracee that is alive as far as the books say, or NULL. */
struct tracee *tracees_any(struct tracer *tracer);
/* Starts a new stop: its id makes every older one stale. */
void tracees_begin_stop(struct tracer *tracer, struct tracee *tracee);
void tracees_free_tables(struct tracer *tracer);

/* The queue of statuses. tracees_push_front is for a status that must be looked at again. -ENOMEM or 0. */
int tracees_push_status(struct tracer *tracer, struct wait_status status);
int tracees_push_front(struct tracer *tracer, struct wait_status status);
bool tracees_next_status(struct tracer *tracer, struct wait_status *status);

#endif
