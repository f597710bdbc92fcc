/*
 * watched.h - descriptors of luatrace's own that tracer_next waits for besides the tracees: the pipes of a captured
 * program, the other end of a mocked connection.
 *
 * Tracees announce themselves by SIGCHLD, which a signalfd turns into one more descriptor, so that one poll waits for
 * all. Nothing here knows tracees; nothing is opened before somebody watches.
 */
#ifndef LUATRACE_WATCHED_H
#define LUATRACE_WATCHED_H

#include <poll.h> /* struct pollfd */

#include "tracer.h"

/* With SIGCHLD blocked: waits until it is pending or a watched descriptor is ready, for `timeout` nanoseconds at the
 * most (negative: no limit). 1: SIGCHLD was pending, and is taken; 0: not; -errno. */
int watched_wait(struct tracer *tracer, int64_t timeout);
/* Is one ready now? Looks only now and then: busy tracees must not keep pipes from being read. */
bool watched_look(struct tracer *tracer);
/* For a poll that waits for more: the descriptors, as many as tracer->watched.count; and what it said of them. */
void watched_fill(const struct tracer *tracer, struct pollfd *to);
void watched_note(struct tracer *tracer, const struct pollfd *from);
/* For tracer_close. */
void watched_free(struct tracer *tracer);

#endif
