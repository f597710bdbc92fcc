#include "tracee.h"

#include <stdio.h>  /* fprintf */
#include <stdlib.h> /* calloc, free, abort */
#include <unistd.h> /* close */

#include "gate.h"        /* gate_drop */
#include "stack_trace.h" /* stack_trace_free */

bool tracee_can_become(enum tracee_state from, enum tracee_state to) {
  switch (from) {
  case TRACEE_NEW:
    return to == TRACEE_STOPPED || to == TRACEE_RUNNING || to == TRACEE_DEAD;
  case TRACEE_RUNNING:
    return to == TRACEE_STOPPED || to == TRACEE_DEAD;
  case TRACEE_STOPPED:
    return to == TRACEE_RUNNING || to == TRACEE_LISTENING || to == TRACEE_DEAD;
  case TRACEE_LISTENING:
    return to == TRACEE_STOPPED || to == TRACEE_DEAD;
  case TRACEE_DEAD:
    return false;
  }
  return false;
}

const char *tracee_state_name(enum tracee_state state) {
  static const char *const names[] = {"new", "running", "stopped", "listening", "dead"};
  return (unsigned)state < sizeof names / sizeof *names ? names[state] : "?";
}

void tracee_set_state(struct tracee *tracee, enum tracee_state state) {
  if (!tracee_can_become(tracee->state, state)) {
    fprintf(stderr, "luatrace: internal error: tracee %d cannot go from %s to %s\n", tracee->tid,
            tracee_state_name(tracee->state), tracee_state_name(state));
    abort();
  }
  tracee->state = state;
}

struct process *process_new(pid_t pid) {
  struct process *process = calloc(1, sizeof *process);
  if (!process) return NULL;
  process->pid = pid;
  process->references = 1;
  process->mem_fd = -1;
  return process;
}

struct process *process_hold(struct process *process) {
  process->references++;
  return process;
}

void process_reset(struct process *process) {
  if (process->mem_fd >= 0) close(process->mem_fd);
  process->mem_fd = -1;
  process->no_process_vm = false;
  stack_trace_free(process->unwinder);
  process->unwinder = NULL;
  gate_drop(process);
}

void process_drop(struct process *process) {
  if (!process || --process->references > 0) return;
  process_reset(process);
  free(process);
}
