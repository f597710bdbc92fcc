/*
 * check.h - all there is to the unit tests' harness: CHECK(condition), and check_report() as main's result.
 */
#ifndef LUATRACE_CHECK_H
#define LUATRACE_CHECK_H

#include <stdio.h>

static int checks_passed, checks_failed;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (condition) {                                                                                                   \
      checks_passed++;                                                                                                 \
    } else {                                                                                                           \
      checks_failed++;                                                                                                 \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                  \
    }                                                                                                                  \
  } while (0)

static inline int check_report(const char *name) {
  printf("%s: %d checks passed, %d failed\n", name, checks_passed, checks_failed);
  return checks_failed != 0;
}

#endif
