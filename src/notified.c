#include "notified.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "affinity.h"
#include "backend_notify.h"
#include "backend_ptrace.h"
#include "call.h"
#include "family.h"
#include "gate.h"
#include "sieve_workers.h"
#include "tracees.h"
#include "waiting.h"

/* A notification does not tell the stack pointer; /proc does, of a thread that waits in a call. 0: it does not. */
static tracee_addr stack_pointer(pid_t tid) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/syscall", tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, line, sizeof line - 1);
  close(fd);
  unsigned long long sp;
  if (got <= 0) return 0;
  line[got] = 0;
  return sscanf(line, "%*d %*x %*x %*x %*x %*x %*x %llx", &sp) == 1 ? sp : 0;
}

/* Not a call that the program makes now and that is asked for: of a detached process; made by us in its name; or asked
 * about a second time, since what a handler had made of it at a stop goes through the filter again. */
static bool passes(struct tracee *tracee, const struct notification *n) {
  if (tracee->state != TRACEE_RUNNING || tracee->muted || tracee->remote != REMOTE_NONE) return true;
  if (tracee->phase == PHASE_WANT_EXIT || tracee->phase == PHASE_QUIET_EXIT) return true;
  return !backend_is_the_programs(tracee, n->nr);
}

enum notified_verdict notified_look(struct tracer *tracer, struct tree *tree, struct notified_call *call) {
  struct notification n;
  int got = notify_receive(tree->listener, &n);
  if (got <= 0) return got == -ESRCH ? NOTIFIED_CLOSED : NOTIFIED_NOTHING;
  *call = (struct notified_call){.listener = tree->listener, .tid = n.tid, .id = n.id};
  struct tracee *tracee = tracer_find_tid(tracer, n.tid);
  if (tracee)
    n.ip = gate_program_ip(tracer, tracee, n.ip);
  else
    tree->received++;
  if (!tracee || call_comes_again(tracee, &n) || passes(tracee, &n)) return NOTIFIED_PASSES;
  struct syscall_info info = {.op = SYSCALL_OP_SECCOMP, .arch = n.arch, .nr = n.nr, .ip = n.ip};
  memcpy(info.args, n.args, sizeof info.args);
  if (tracee->interrupted && !tracer->features.foreign_proc) info.sp = stack_pointer(n.tid);
  call->restarted = call_enter(tracee, &info);
  tracee->stop.sp = 0;
  if (affinity_is_asked(n.arch, n.nr)) affinity_release(tracer);
  if (!call_is_ruled_out(tracer, tracee)) return NOTIFIED_HELD;
  call->wants_gate = gate_is_wanted(tracer, tracee);
  return call->wants_gate ? NOTIFIED_HELD : NOTIFIED_PASSES;
}

const struct tracer_stop *notified_hold(struct tracer *tracer, const struct notified_call *call) {
  struct tracee *tracee = tracer_find_tid(tracer, call->tid);
  if (!tracee || tracee->notification != call->id || tracee->state != TRACEE_RUNNING) return NULL;
  if (call->wants_gate) gate_ask(tracee);
  if (tracee->muted || call->wants_gate) {
    notify_continue(call->listener, call->id);
    return NULL;
  }
  tracee_set_state(tracee, TRACEE_STOPPED);
  tracee->notified = true;
  tracees_begin_stop(tracer, tracee);
  tracee->held = tracee->stop.kind = STOP_SYSCALL_ENTRY;
  tracee->stop.flags |= STOP_FLAG_NOTIFY | (call->restarted ? STOP_FLAG_RESTARTED : 0);
  if (tracee->born) return &tracee->stop;
  tracer->after_birth = tracee->stop.id;
  return family_birth(tracer, tracee);
}

void notified_leave(struct tracer *tracer, const struct notified_call *call) {
  if (tracer->left_count == tracer->left_size) {
    uint32_t size = tracer->left_size ? tracer->left_size * 2 : 16;
    struct notified_call *left = realloc(tracer->left, size * sizeof *left);
    if (!left) {
      notify_continue(call->listener, call->id); /* unseen, but not held for ever */
      return;
    }
    tracer->left = left;
    tracer->left_size = size;
  }
  tracer->left[tracer->left_count++] = *call;
}

const struct tracer_stop *notified_next(struct tracer *tracer) {
  const struct tracer_stop *stop = NULL;
  uint32_t taken = 0;
  while (!stop && taken < tracer->left_count)
    stop = notified_hold(tracer, &tracer->left[taken++]);
  if (taken == 0) return NULL;
  tracer->left_count -= taken;
  memmove(tracer->left, tracer->left + taken, tracer->left_count * sizeof *tracer->left);
  return stop;
}

const struct tracer_stop *notified_receive(struct tracer *tracer, struct tree *tree) {
  struct notified_call call;
  switch (notified_look(tracer, tree, &call)) {
  case NOTIFIED_CLOSED:
    waiting_remove(tracer, tree);
    return NULL;
  case NOTIFIED_PASSES:
    notify_continue(call.listener, call.id);
    sieve_workers_note_passed(tracer);
    return NULL;
  case NOTIFIED_HELD:
    return notified_hold(tracer, &call);
  case NOTIFIED_NOTHING:
    return NULL;
  }
  return NULL;
}

int notified_answer(struct tracee *tracee, bool want_exit) {
  if (want_exit) return -EINVAL;
  int listener = tracee->tree->listener;
  tracee_set_state(tracee, TRACEE_RUNNING);
  tracee->notified = false;
  tracee->held = STOP_NONE;
  if (!tracee->skipped) return notify_continue(listener, tracee->notification);
  tracee->phase = PHASE_OUTSIDE;
  return notify_return(listener, tracee->notification, tracee->forced_result);
}
