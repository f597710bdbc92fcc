#include "breakable_wait.h"

#include <errno.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "arch_x86_64.h" /* ARCH_CALL_SIZE */

/* The call instruction has a name, and so must be there once. */
extern const char breakable_wait_call[] __attribute__((visibility("hidden")));

__attribute__((noinline, noclone)) long breakable_wait(pid_t pid, int *status, int options, struct rusage *usage) {
  register struct rusage *r10 __asm__("r10") = usage;
  long result;
  __asm__ volatile(".globl breakable_wait_call\n"
                   ".hidden breakable_wait_call\n"
                   "breakable_wait_call:\n\t"
                   "syscall"
                   : "=a"(result)
                   : "a"(SYS_wait4), "D"((long)pid), "S"(status), "d"((long)options), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
}

void breakable_wait_break(void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  if (registers[REG_RIP] != (greg_t)breakable_wait_call) return;
  registers[REG_RIP] += ARCH_CALL_SIZE;
  registers[REG_RAX] = -EINTR;
}
