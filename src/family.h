/*
 * family.h - whose child a tracee is: births, and tracees that are seen before their birth.
 *
 * Resumes nobody. A child's first stop and its parent's fork event come in either order:
 *
 *   event first:  the child is added, its birth reported; its first stop finds it known
 *   stop first:   parked, until the event tells whose it is; adopted by what /proc says when the event cannot come any
 *                 more, since the parent has died
 */
#ifndef LUATRACE_FAMILY_H
#define LUATRACE_FAMILY_H

#include "tracee.h"

/* At a parent's PTRACE_EVENT_FORK, VFORK or CLONE: its child's birth, or NULL when nobody is to know. */
const struct tracer_stop *family_forked(struct tracer *tracer, struct tracee *parent, int event);
/* The birth of a tracee whose parent's event told of none: a root, or one adopted. NULL when nobody is to know. */
const struct tracer_stop *family_birth(struct tracer *tracer, struct tracee *tracee);
/* A status of a tid that nobody has announced: a child faster than its parent's event, or a child of our host program
 * that is not ours to trace. Held back until its parent's event tells which. */
void family_park(struct tracer *tracer, struct wait_status status);
/* Stops that were held back because their tracee's birth was not yet known are queued after all. */
void family_adopt(struct tracer *tracer);

#endif
