/*
 * launch.h - start a program under trace: make a child, seize it, set it up, let it exec.
 *
 * The child blocks on a pipe until it has been seized, then changes directory and user, installs the filter and
 * becomes the program. It reports failure through shared memory, since its system calls may already be trapped.
 */
#ifndef LUATRACE_LAUNCH_H
#define LUATRACE_LAUNCH_H

#include "tracer.h" /* struct tracer, struct tracer_launch */

struct launch;

/* Makes the child and seizes it; gives the tree its launch and, where the plan has notifications, its listener. Returns
 * the pid or -errno with result->step set. Where there is no listener to be had, the program is started once more (it
 * had not become one yet) under a filter with stops in their place. */
int launch_start(struct tracer *tracer, struct tree *tree, const struct tracer_launch *wanted,
                 struct launch_result *result);
/* The errno with which the child has given up, and at which step; 0 while it has not. NULL: 0. */
int launch_error(const struct launch *launch, uint32_t *step);
/* The child has been detached: launch_free leaves it the memory that it runs on. NULL is allowed. */
void launch_let_go(struct launch *launch);
/* The child has exec'ed, or is dead or about to die. NULL is allowed. */
void launch_free(struct launch *launch);
/* Kills and reaps. */
void launch_discard(pid_t pid);

#endif
