/*
 * signal_mask.h - the signals that a stopped thread has blocked: bit n - 1 for signal n.
 */
#ifndef LUATRACE_SIGNAL_MASK_H
#define LUATRACE_SIGNAL_MASK_H

#include <stdint.h>
#include <sys/types.h> /* pid_t */

/* 0 or -errno. */
int signal_mask_set(pid_t tid, uint64_t mask);
/* Blocks all that can be blocked; `before` is for signal_mask_set, afterwards. */
int signal_mask_fill(pid_t tid, uint64_t *before);

#endif
