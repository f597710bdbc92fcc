/* Wait statuses as the kernel makes them (wait(2), ptrace(2)), and what they are taken for. */
#include <signal.h>
#include <stdbool.h>
#include <sys/ptrace.h>

#include "check.h"
#include "stop.h"

static bool is(int status, enum wait_kind kind, int detail) {
  struct wait_meaning meaning = stop_classify(status);
  return meaning.kind == kind && meaning.detail == detail;
}

static int stopped(int signal, int event) { return event << 16 | signal << 8 | 0x7f; }

int main(void) {
  CHECK(is(0x0300, WAIT_EXITED, 3));
  CHECK(is(SIGKILL, WAIT_KILLED, SIGKILL));
  CHECK(is(SIGSEGV | 0x80, WAIT_KILLED, SIGSEGV)); /* with a core dump */
  CHECK(is(stopped(SIGTRAP | 0x80, 0), WAIT_SYSCALL, 0));
  CHECK(is(stopped(SIGTRAP, 0), WAIT_SIGNAL, SIGTRAP));
  CHECK(is(stopped(SIGSTOP, 0), WAIT_SIGNAL, SIGSTOP));
  CHECK(is(stopped(SIGSTOP, PTRACE_EVENT_STOP), WAIT_GROUP_STOP, SIGSTOP));
  CHECK(is(stopped(SIGTTOU, PTRACE_EVENT_STOP), WAIT_GROUP_STOP, SIGTTOU));
  CHECK(is(stopped(SIGTRAP, PTRACE_EVENT_STOP), WAIT_EVENT_STOP, SIGTRAP));
  CHECK(is(stopped(SIGTRAP, PTRACE_EVENT_SECCOMP), WAIT_SECCOMP, 0));
  CHECK(is(stopped(SIGTRAP, PTRACE_EVENT_VFORK), WAIT_FORK, PTRACE_EVENT_VFORK));
  CHECK(is(stopped(SIGTRAP, PTRACE_EVENT_EXEC), WAIT_EXEC, 0));
  CHECK(!stop_is_alive(0) && !stop_is_alive(SIGKILL) && stop_is_alive(stopped(SIGSTOP, 0)));
  return check_report("stop");
}
