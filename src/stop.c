#include "stop.h"

#include <signal.h>     /* SIGTRAP */
#include <sys/ptrace.h> /* PTRACE_EVENT_* */
#include <sys/wait.h>   /* WIFEXITED... */

struct wait_meaning stop_classify(int status) {
  if (WIFEXITED(status)) return (struct wait_meaning){WAIT_EXITED, WEXITSTATUS(status)};
  if (WIFSIGNALED(status)) return (struct wait_meaning){WAIT_KILLED, WTERMSIG(status)};

  int signal = WSTOPSIG(status);
  int event = (int)((unsigned)status >> 16);
  switch (event) {
  case 0:
    if (signal == (SIGTRAP | 0x80)) return (struct wait_meaning){WAIT_SYSCALL, 0};
    return (struct wait_meaning){WAIT_SIGNAL, signal};
  case PTRACE_EVENT_SECCOMP:
    return (struct wait_meaning){WAIT_SECCOMP, 0};
  case PTRACE_EVENT_FORK:
  case PTRACE_EVENT_VFORK:
  case PTRACE_EVENT_CLONE:
    return (struct wait_meaning){WAIT_FORK, event};
  case PTRACE_EVENT_EXEC:
    return (struct wait_meaning){WAIT_EXEC, 0};
  case PTRACE_EVENT_EXIT:
    return (struct wait_meaning){WAIT_EXIT_EVENT, 0};
  case PTRACE_EVENT_STOP:
    /* A group-stop carries the signal that stopped the process; the other event-stops say SIGTRAP (ptrace(2),
     * "PTRACE_EVENT stops"). */
    if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)
      return (struct wait_meaning){WAIT_GROUP_STOP, signal};
    return (struct wait_meaning){WAIT_EVENT_STOP, signal};
  default:
    return (struct wait_meaning){WAIT_OTHER, event};
  }
}

bool stop_is_alive(int status) { return !WIFEXITED(status) && !WIFSIGNALED(status); }
