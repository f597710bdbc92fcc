/*
 * launch.h - start a program under trace: fork, seize, set up, exec.
 *
 * The child blocks on a pipe until it has been seized, then changes directory and user, installs the filter and
 * becomes the program. It reports failure through shared memory, since its system calls may already be trapped.
 */
#ifndef LUATRACE_LAUNCH_H
#define LUATRACE_LAUNCH_H

#include "tracer.h" /* struct tracer, struct tracer_launch */

struct launch_status {
  uint32_t step; /* enum launch_step: the one being tried */
  int32_t error; /* errno, 0 while all is well */
};

/* Forks and seizes with `options` (PTRACE_O_*); returns the pid or -errno with result->step set. */
int launch_start(struct tracer *tracer, const struct tracer_launch *launch, unsigned long options,
                 struct launch_status **status, struct launch_result *result);
void launch_status_free(struct launch_status *status);

#endif
