#include "signal_mask.h"

#include <errno.h>
#include <sys/ptrace.h>

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif

int signal_mask_set(pid_t tid, uint64_t mask) {
  return ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof mask, &mask) ? -errno : 0;
}

int signal_mask_fill(pid_t tid, uint64_t *before) {
  if (ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof *before, before)) return -errno;
  return signal_mask_set(tid, ~0ull);
}
