/*
 * trial.h - a question about the kernel that only a process of its own can ask: the answer may be its death, or may
 * leave it unusable.
 */
#ifndef LUATRACE_TRIAL_H
#define LUATRACE_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

/* Runs `ask` in a short-lived child; it fills in `answer`, `size` bytes, all zero before. False, and `answer` as it
 * was, when there is no answer: no child could be made, or it died. */
bool trial_run(void (*ask)(void *answer), void *answer, size_t size);

#endif
