/*
 * launch.h - start a program under trace: fork, seize, set up, exec.
 *
 * The child blocks on a pipe until it has been seized, then changes directory and user, installs the filter and
 * becomes the program. It reports failure through shared memory, since its system calls may already be trapped.
 */
#ifndef LUATRACE_LAUNCH_H
#define LUATRACE_LAUNCH_H

#include "backend_notify.h" /* struct notify_slot */
#include "tracer.h"         /* struct tracer, struct tracer_launch */

struct launch_status {
  uint32_t step;           /* enum launch_step: the one being tried */
  int32_t error;           /* errno, 0 while all is well */
  struct notify_slot slot; /* by which the listener comes to the tracer */
};

/* Forks and seizes; gives the tree its launch status and, where the plan has notifications, its listener. Returns the
 * pid or -errno with result->step set. Where there is no listener to be had, the program is started once more (it had
 * not become one yet) under a filter with stops in their place. */
int launch_start(struct tracer *tracer, struct tree *tree, const struct tracer_launch *launch,
                 struct launch_result *result);
void launch_status_free(struct launch_status *status);

#endif
