/*
 * stop.h - what a wait status means. Pure: no calls, no state.
 */
#ifndef LUATRACE_STOP_H
#define LUATRACE_STOP_H

#include <stdbool.h>

enum wait_kind {
  WAIT_EXITED,     /* detail: exit code */
  WAIT_KILLED,     /* detail: signal */
  WAIT_SYSCALL,    /* syscall-entry-stop or syscall-exit-stop (needs TRACESYSGOOD) */
  WAIT_SECCOMP,    /* PTRACE_EVENT_SECCOMP */
  WAIT_FORK,       /* PTRACE_EVENT_FORK, VFORK, CLONE; detail: the event */
  WAIT_EXEC,       /* PTRACE_EVENT_EXEC */
  WAIT_EXIT_EVENT, /* PTRACE_EVENT_EXIT */
  WAIT_GROUP_STOP, /* group-stop of a seized tracee; detail: the stopping signal */
  WAIT_EVENT_STOP, /* PTRACE_EVENT_STOP with SIGTRAP: interrupt, auto-attach, end of a LISTEN */
  WAIT_SIGNAL,     /* signal-delivery-stop; detail: the signal */
  WAIT_OTHER       /* an event nobody asked for; detail: the event */
};

struct wait_meaning {
  enum wait_kind kind;
  int detail;
};

/* Classifies a status of wait4(2) for a tracee that was seized with PTRACE_O_TRACESYSGOOD. */
struct wait_meaning stop_classify(int status);

/* Does the tracee still exist after this status? */
bool stop_is_alive(int status);

#endif
