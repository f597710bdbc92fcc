#include "tracer.h"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend_notify.h" /* notify_probe */
#include "trial.h"

static bool version_at_least(const char *release, int major, int minor) {
  int have_major = 0, have_minor = 0;
  if (sscanf(release, "%d.%d", &have_major, &have_minor) < 2) return false;
  return have_major > major || (have_major == major && have_minor >= minor);
}

static bool have_admin(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (syscall(SYS_capget, &header, data)) return false;
  return data[CAP_SYS_ADMIN / 32].effective >> (CAP_SYS_ADMIN % 32) & 1;
}

static int yama_scope(void) {
  int scope = -1;
  FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
  if (!file) return -1;
  if (fscanf(file, "%d", &scope) != 1) scope = -1;
  fclose(file);
  return scope;
}

/* There a number is another process, or none: what is read of it would be a stranger's, and written to as well. */
static bool foreign_proc(void) {
  char number[16];
  ssize_t length = readlink("/proc/self", number, sizeof number - 1);
  if (length < 0) return true;
  number[length] = 0;
  return atoi(number) != getpid();
}

static bool action_available(uint32_t action) {
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

void tracer_probe(struct tracer_features *features) {
  struct utsname name;
  memset(features, 0, sizeof *features);
  uname(&name);
  snprintf(features->release, sizeof features->release, "%s", name.release);
  /* ptrace(2) looks for the tracee before it looks at the request: a probe would need a tracee. By version, then;
   * a first use that fails with EIO would say the same later. */
  features->get_syscall_info = version_at_least(name.release, 5, 3);
  features->set_syscall_info = version_at_least(name.release, 6, 16);
  char byte = 0, copy;
  struct iovec local = {&copy, 1}, remote = {&byte, 1};
  features->process_vm = process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
  features->seccomp_filter = action_available(SECCOMP_RET_TRACE);
  features->seccomp_notify = action_available(SECCOMP_RET_USER_NOTIF);
  features->notify_wait_killable = version_at_least(name.release, 5, 19);
  features->notify_sync_wakeup = version_at_least(name.release, 6, 6);
  features->notify_error = -1;
  features->unprivileged_needs_nnp = !have_admin();
  features->yama_scope = yama_scope();
  features->arch_i386 = -1;
  features->foreign_proc = foreign_proc();
}

void tracer_probe_notify(struct tracer_features *features) {
  struct notify_features found;
  notify_probe(&found);
  features->notify_error = -found.listener;
  if (found.listener) return;
  features->seccomp_notify = 1;
  features->notify_wait_killable = found.wait_killable;
  features->notify_sync_wakeup = found.sync_wakeup;
}

_Noreturn static void give_up(int signal) {
  (void)signal;
  _exit(1);
}

/* What the kernel was built with does not tell: a machine below it (PVM), a boot option (ia32_emulation=0) or a filter
 * that we inherited can each refuse. Then the call is a SIGSEGV, a SIGSYS, or an error. */
static void ask_for_i386(void *answer) {
  /* Handled, so that there is neither a core dump nor a line in the kernel's log. */
  signal(SIGSEGV, give_up);
  signal(SIGSYS, give_up);
  const long getpid_i386 = 20;
  long pid;
  /* The upper registers are kept only since Linux 4.17. */
  __asm__ volatile("int $0x80" : "=a"(pid) : "a"(getpid_i386) : "memory", "r8", "r9", "r10", "r11");
  *(int32_t *)answer = pid == getpid();
}

void tracer_probe_i386(struct tracer_features *features) {
  features->arch_i386 = 0;
  trial_run(ask_for_i386, &features->arch_i386, sizeof features->arch_i386);
}
