/*
 * affinity.h - tracer and tracee on one processor while the tracee is alone.
 *
 * A stop is two switches between two processes of which one always waits. Across processors each switch costs a
 * wake-up interrupt; on one it does not (measured here: a stop 6 times cheaper). So a lone tracee that stops often is
 * given the tracer's processor. The program cannot tell by asking: at its first sched_getaffinity or
 * sched_setaffinity it gets its own mask back before the call runs, and so it does as soon as a second thread or
 * process appears, or when other programs want the processor.
 */
#ifndef LUATRACE_AFFINITY_H
#define LUATRACE_AFFINITY_H

#include "tracee.h"

/* A stop of `tracee` is about to be reported: share a processor now if it pays. */
void affinity_note_stop(struct tracer *tracer, struct tracee *tracee);
/* Everybody gets the mask back that he had. Once released, never shared again by this tracer. */
void affinity_release(struct tracer *tracer);
/* A new tracee has inherited the shared mask of its parent. */
void affinity_note_birth(struct tracer *tracer, pid_t child);
/* Is this a call by which the program could see its mask? */
bool affinity_is_asked(uint32_t arch, uint64_t nr);

#endif
