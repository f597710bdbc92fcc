/*
 * sieve_workers.h - threads that let go the notifications that the path sieve rules out, one bound to each processor.
 *
 * A notification is cheapest answered on the processor where the call was made. One thread that serves tracees on
 * several processors is seldom there: it and they wake each other across processors, or meet on one while the other
 * falls idle, and a parallel build takes half as long again. A worker is there already: while there is much to do it
 * does not sleep between two notifications but yields, and so runs, without being woken, whenever its processor's
 * tracee waits.
 *
 * That is worth while only as long as every processor has a tracee to run, and not more than it can: else the workers
 * sleep, and the tracer's own thread answers (waiting.c). They are told to begin by how often that one does.
 *
 * All that tracer.h knows of belongs to one thread at a time: to the tracer's, but while it waits (let_in, keep_out).
 * What a worker cannot let go it leaves to the tracer's thread, which it wakes. Workers never call Lua.
 */
#ifndef LUATRACE_SIEVE_WORKERS_H
#define LUATRACE_SIEVE_WORKERS_H

#include "tracee.h"

/* The tracer's thread has let go a notification itself: perhaps this is the time for workers. */
void sieve_workers_note_passed(struct tracer *tracer);
/* Is every listener looked after by workers, so that the tracer's thread need not listen? */
bool sieve_workers_are_awake(const struct tracer *tracer);
/* The tracer's thread is about to wait: workers may come in; the descriptor by which they wake it, -1: none. */
int sieve_workers_let_in(struct tracer *tracer);
/* It has been waiting: workers stay out. `rung`: that descriptor was readable. */
void sieve_workers_keep_out(struct tracer *tracer, bool rung);
/* Ends the threads, before a listener is closed. They may begin anew. */
void sieve_workers_end(struct tracer *tracer);

#endif
