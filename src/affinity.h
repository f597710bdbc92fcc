/*
 * affinity.h - tracer and tracees on one processor, where that is the faster way.
 *
 * A stop is two switches between two processes of which one always waits. Across processors each switch costs a
 * wake-up interrupt; on one it does not (measured here: a stop 6 times cheaper). So a tracee that stops often is given
 * the tracer's processor, and its children inherit that, until they compute beside each other instead of stopping, or
 * until other programs want the processor. The program cannot tell by asking: at its first sched_getaffinity or
 * sched_setaffinity everybody gets his own mask back before the call runs.
 */
#ifndef LUATRACE_AFFINITY_H
#define LUATRACE_AFFINITY_H

#include "tracee.h"

/* A stop of `tracee` is about to be reported: share a processor now if it pays. */
void affinity_note_stop(struct tracer *tracer, struct tracee *tracee);
/* How long to wait at the most before affinity_note_idle is called, in nanoseconds; -1: no limit. */
int64_t affinity_wait_limit(const struct tracer *tracer);
/* Nobody has stopped for that long. */
void affinity_note_idle(struct tracer *tracer);
/* Everybody gets the mask back that he had. Once released, never shared again by this tracer. */
void affinity_release(struct tracer *tracer);
/* A new tracee has inherited the shared mask of its parent. */
void affinity_note_birth(struct tracer *tracer);
/* Is this a call by which the program could see its mask? */
bool affinity_is_asked(uint32_t arch, uint64_t nr);
/* Nanoseconds that a thread has waited for a processor while it could have run; 0 when that cannot be known. */
uint64_t affinity_waiting_time(pid_t tid);

#endif
