/*
 * backend_ptrace.h - stops by ptrace: from wait statuses to the stops that callers see, and back to resume requests.
 */
#ifndef LUATRACE_BACKEND_PTRACE_H
#define LUATRACE_BACKEND_PTRACE_H

#include "tracee.h"

/* PTRACE_O_* for a tree. */
unsigned long backend_options(const struct tree *tree);
/* What a status means to the caller: a stop to report, or NULL when the core dealt with it. */
const struct tracer_stop *backend_dispatch(struct tracer *tracer, struct wait_status status);
/* Is the call `nr` the program's? Before its own execve luatrace's launching code runs in the tracee. */
bool backend_is_the_programs(struct tracee *tracee, uint64_t nr);
/* Lets a held tracee go on; applies what was rewritten. */
int backend_resume(struct tracer *tracer, struct tracee *tracee, bool want_exit, int signal);
/* Stops a running tracee: reported as STOP_PAUSED. */
int backend_pause(struct tracee *tracee);
int backend_inject(struct tracee *tracee, uint64_t nr, const uint64_t args[6]);
/* Lets go of a tracee: at once when it is stopped, else at its next stop. */
void backend_detach(struct tracer *tracer, struct tracee *tracee);

#endif
