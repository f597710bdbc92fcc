/*
 * breakable_wait.h - wait4 that a signal handler breaks off, though its signal lets all other calls go on.
 *
 * A handler with SA_RESTART is not noticed by who reads or writes, in luatrace and in scripts; nor by wait4, to which
 * it may have something to say. And one without it may come just before wait4 begins, which then waits all the same. So
 * the handler looks where it has come: if at the call instruction of this wait, about to be run or to be run again, it
 * goes on behind it, with EINTR.
 */
#ifndef LUATRACE_BREAKABLE_WAIT_H
#define LUATRACE_BREAKABLE_WAIT_H

#include <sys/resource.h> /* struct rusage */
#include <sys/types.h>    /* pid_t */

/* wait4(2): the tid, or -errno. */
long breakable_wait(pid_t pid, int *status, int options, struct rusage *usage);
/* In a signal handler, with its third argument. */
void breakable_wait_break(void *context);

#endif
