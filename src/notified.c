#include "notified.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h> /* AUDIT_ARCH_X86_64 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "affinity.h"
#include "attention.h"
#include "backend_notify.h"
#include "backend_ptrace.h"
#include "call.h"
#include "family.h"
#include "gate.h"
#include "mailbox.h"
#include "sieve_workers.h"
#include "stop.h"
#include "tracees.h"
#include "trap_plan.h"
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

/* It goes on with its call. */
static void let_go(const struct notified_call *call) {
  if (call->mailbox)
    mailbox_go_on(call->mailbox);
  else
    notify_continue(call->listener, call->id);
}

/* A question has been taken, and its tracee was trapped meanwhile: the notification is of the same call. */
static bool is_of_question(struct tracee *tracee, struct notified_call *call) {
  struct mailbox *mailbox = tracee->asked;
  if (!call->by_gate) return false;
  if (mailbox) { /* to be answered now as this notification is */
    mailbox_clear(mailbox);
    tracee->asked = NULL;
    return true;
  }
  mailbox = gate_mailbox(tracee);
  if (!mailbox || !mailbox_is_answered(mailbox)) return false;
  const bool goes_on = mailbox->answer == MAILBOX_GO_ON;
  const int64_t result = mailbox->page->result;
  mailbox_clear(mailbox); /* before it goes on: it may ask at once */
  if (goes_on)
    notify_continue(call->listener, call->id);
  else
    notify_return(call->listener, call->id, result);
  return true;
}

static enum notified_verdict look_at(struct tracer *tracer, struct tracee *tracee, const struct notification *n,
                                     tracee_addr sp, struct notified_call *call) {
  if (passes(tracee, n)) return NOTIFIED_PASSES;
  struct syscall_info info = {.op = SYSCALL_OP_SECCOMP, .arch = n->arch, .nr = n->nr, .ip = n->ip, .sp = sp};
  memcpy(info.args, n->args, sizeof info.args);
  call->restarted = call_enter(tracee, &info);
  tracee->stop.sp = 0;
  if (affinity_is_asked(n->arch, n->nr)) affinity_release(tracer);
  if (!call_is_ruled_out(tracer, tracee)) return NOTIFIED_HELD;
  call->wants_gate = !call->mailbox && gate_is_wanted(tracer, tracee);
  return call->wants_gate ? NOTIFIED_HELD : NOTIFIED_PASSES;
}

enum notified_verdict notified_look(struct tracer *tracer, struct tree *tree, struct notified_call *call) {
  struct notification n;
  int got = notify_receive(tree->listener, &n);
  if (got <= 0) return got == -ESRCH ? NOTIFIED_CLOSED : NOTIFIED_NOTHING;
  *call = (struct notified_call){.listener = tree->listener, .tid = n.tid, .id = n.id};
  struct tracee *tracee = tracer_find_tid(tracer, n.tid);
  if (!tracee) {
    tree->received++;
    return NOTIFIED_PASSES;
  }
  call->by_gate = gate_has_trapped(tracee, n.ip);
  n.ip = gate_program_ip(tracer, tracee, n.ip);
  bool comes_again = call_comes_again(tracee, &n);
  if (is_of_question(tracee, call)) {
    attention_note_late_answer(tracer);
    return NOTIFIED_NOTHING;
  }
  if (comes_again) return NOTIFIED_PASSES;
  tracee_addr sp = tracee->interrupted && !tracer->features.foreign_proc ? stack_pointer(n.tid) : 0;
  return look_at(tracer, tracee, &n, sp, call);
}

static const struct tracer_stop *hold(struct tracer *tracer, struct tracee *tracee, const struct notified_call *call) {
  tracee_set_state(tracee, TRACEE_STOPPED);
  tracee->notified = true;
  tracee->asked = call->mailbox;
  tracees_begin_stop(tracer, tracee);
  tracee->held = tracee->stop.kind = STOP_SYSCALL_ENTRY;
  tracee->stop.flags |= STOP_FLAG_NOTIFY | (call->restarted ? STOP_FLAG_RESTARTED : 0);
  if (!call->mailbox) attention_note(tracer, tracee, call->by_gate);
  if (tracee->born) return &tracee->stop;
  tracer->after_birth = tracee->stop.id;
  return family_birth(tracer, tracee);
}

const struct tracer_stop *notified_hold(struct tracer *tracer, const struct notified_call *call) {
  struct tracee *tracee = tracer_find_tid(tracer, call->tid);
  if (!tracee || tracee->notification != call->id || tracee->state != TRACEE_RUNNING) return NULL;
  if (call->wants_gate) gate_ask(tracee);
  if (!tracee->muted && !call->wants_gate) return hold(tracer, tracee, call);
  let_go(call);
  return NULL;
}

const struct tracer_stop *notified_take(struct tracer *tracer, struct mailbox *mailbox) {
  struct tracee *tracee = mailbox->tracee;
  const struct mailbox_page *page = mailbox->page;
  struct notification n = {.tid = tracee->tid, .arch = AUDIT_ARCH_X86_64, .nr = page->nr, .ip = page->ip};
  memcpy(n.args, page->args, sizeof n.args);
  struct notified_call call = {.mailbox = mailbox, .tid = tracee->tid};
  int verdict = trap_plan_verdict(tracee->tree->plan, n.arch, n.nr, n.args) & 0xff;
  if (verdict == MECHANISM_NOTIFY && look_at(tracer, tracee, &n, page->sp, &call) == NOTIFIED_HELD)
    return hold(tracer, tracee, &call);
  tracee->phase = PHASE_OUTSIDE; /* it will not be seen again: signals break off what the filter lets pass */
  mailbox_go_on(mailbox);
  return NULL;
}

void notified_leave(struct tracer *tracer, const struct notified_call *call) {
  if (tracer->left_count == tracer->left_size) {
    uint32_t size = tracer->left_size ? tracer->left_size * 2 : 16;
    struct notified_call *left = realloc(tracer->left, size * sizeof *left);
    if (!left) {
      let_go(call); /* unseen, but not held for ever */
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

static int answer_question(struct tracer *tracer, struct tracee *tracee) {
  struct mailbox *mailbox = tracee->asked;
  tracee->asked = NULL;
  tracee->phase = PHASE_OUTSIDE;
  if (tracee->skipped)
    mailbox_return(mailbox, tracee->forced_result);
  else
    mailbox_go_on(mailbox);
  if (!tracee->has_stopped) return 0;
  tracee->has_stopped = false;
  if (stop_classify(tracee->stopped_status).kind != WAIT_SIGNAL) gate_settle_question(tracer, tracee, 0);
  return tracees_push_front(tracer, (struct wait_status){.tid = tracee->tid, .status = tracee->stopped_status});
}

int notified_answer(struct tracer *tracer, struct tracee *tracee, bool want_exit) {
  if (want_exit) return -EINVAL;
  int listener = tracee->tree->listener;
  tracee_set_state(tracee, TRACEE_RUNNING);
  tracee->notified = false;
  tracee->held = STOP_NONE;
  if (tracee->asked) return answer_question(tracer, tracee);
  if (tracee->asks_gate) gate_ask(tracee);
  tracee->asks_gate = false;
  if (!tracee->skipped) return notify_continue(listener, tracee->notification);
  tracee->phase = PHASE_OUTSIDE;
  return notify_return(listener, tracee->notification, tracee->forced_result);
}

bool notified_sets_aside(struct tracee *tracee, int status) {
  if (!tracee->asked || tracee->state != TRACEE_STOPPED) return false;
  switch (stop_classify(status).kind) {
  case WAIT_SIGNAL:
  case WAIT_GROUP_STOP:
  case WAIT_EVENT_STOP:
    tracee->has_stopped = true;
    tracee->stopped_status = status;
    return true;
  default:
    tracee->asked = NULL; /* it dies */
    return false;
  }
}
