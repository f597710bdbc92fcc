#include "backend_ptrace.h"

#include <errno.h>
#include <linux/audit.h> /* AUDIT_ARCH_* */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "affinity.h"
#include "arch_x86_64.h"
#include "call.h"
#include "family.h"
#include "gate.h"
#include "launch.h"
#include "printer.h"
#include "notified.h"
#include "remote_syscall.h"
#include "stop.h"
#include "syscall_info.h"
#include "tracees.h"
#include "trap_plan.h"

unsigned long backend_options(const struct tree *tree) {
  unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
  if (!tree->no_follow) options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
  if (!tree->attached) options |= PTRACE_O_EXITKILL;
  if (tree->mode == TRAP_SECCOMP) options |= PTRACE_O_TRACESECCOMP;
  return options;
}

/* --- resuming -------------------------------------------------------------------------------------------------- */

static int request_for(const struct tracee *tracee) {
  if (tracee->tree->mode == TRAP_PTRACE) return PTRACE_SYSCALL;
  return tracee->phase == PHASE_WANT_EXIT || tracee->phase == PHASE_QUIET_EXIT ? PTRACE_SYSCALL : PTRACE_CONT;
}

/* ESRCH means that it was killed meanwhile: its status says so soon. */
static int restart(struct tracee *tracee, int request, int signal) {
  tracee_set_state(tracee, TRACEE_RUNNING);
  /* Any other stop, as that of the call's return, swallows the one that was asked for (ptrace_stop in the kernel). */
  if (tracee->pausing && tracee->remote == REMOTE_NONE) ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
  if (ptrace((enum __ptrace_request)request, tracee->tid, NULL, (void *)(uintptr_t)signal)) return -errno;
  return 0;
}

static const struct tracer_stop *go_on(struct tracee *tracee, int signal) {
  restart(tracee, request_for(tracee), signal);
  return NULL;
}

static void let_go(struct tracer *tracer, struct tracee *tracee, int signal) {
  if (tracee->is_root) launch_let_go(tracee->tree->launch);
  ptrace(PTRACE_DETACH, tracee->tid, NULL, (void *)(uintptr_t)signal);
  tracees_bury(tracer, tracee);
}

void backend_detach(struct tracer *tracer, struct tracee *tracee) {
  tracee->detaching = true;
  if (tracee->state == TRACEE_STOPPED && tracee->remote == REMOTE_NONE)
    let_go(tracer, tracee, tracee->held == STOP_SIGNAL ? tracee->stop.signal : 0);
  else if (tracee->state == TRACEE_STOPPED)
    tracee->muted = true;
  else
    ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* Writes into the registers what was asked for at an entry stop. */
static int apply_entry(struct tracer *tracer, struct tracee *tracee, bool want_exit) {
  bool filtered = tracee->tree->mode == TRAP_SECCOMP;
  tracee->phase = want_exit ? PHASE_WANT_EXIT : PHASE_ENTERED;
  if (tracee->skipped) {
    tracee->changed_args = 0;
    tracee->changed_nr = false;
    /* After a seccomp stop the kernel leaves the result alone; after a ptrace entry stop it stores -ENOSYS first. */
    tracee->force_at_exit = !filtered;
    if (!filtered && !want_exit) tracee->phase = PHASE_QUIET_EXIT;
    return syscall_info_skip(tracee->tid, tracee->forced_result);
  }
  if (!tracee->changed_args && !tracee->changed_nr) return 0;
  /* Compilers assume that a call leaves its argument registers alone: they are put back at the exit. */
  if (!want_exit) tracee->phase = PHASE_QUIET_EXIT;
  struct syscall_info before = {
      .op = filtered ? SYSCALL_OP_SECCOMP : SYSCALL_OP_ENTRY, .arch = tracee->stop.arch, .nr = tracee->original_nr};
  memcpy(before.args, tracee->original_args, sizeof before.args);
  return syscall_info_set_call(tracee->tid, tracer->options.no_set_syscall_info, &before, tracee->stop.nr,
                               tracee->stop.args);
}

int backend_resume(struct tracer *tracer, struct tracee *tracee, bool want_exit, int signal) {
  if (tracee->state != TRACEE_STOPPED) return -ESRCH;
  if (tracee->notified) return notified_answer(tracer, tracee, want_exit);
  if (tracee->detaching) {
    let_go(tracer, tracee, signal);
    return 0;
  }
  int error = 0;
  if (tracee->held == STOP_SYSCALL_ENTRY) error = apply_entry(tracer, tracee, want_exit);
  if (tracee->held == STOP_SYSCALL_EXIT) tracee->phase = PHASE_OUTSIDE;
  int delivered = tracee->held == STOP_SIGNAL ? signal : 0;
  tracee->held = STOP_NONE;
  int failed = restart(tracee, request_for(tracee), delivered);
  return error ? error : failed;
}

int backend_inject(struct tracee *tracee, uint64_t nr, const uint64_t args[6]) {
  int error = remote_syscall_start(tracee, nr, args);
  return error ? error : restart(tracee, PTRACE_SYSCALL, 0);
}

/* --- stops: calls ---------------------------------------------------------------------------------------------- */

static const struct tracer_stop *report(struct tracer *tracer, struct tracee *tracee, enum stop_kind kind) {
  tracees_begin_stop(tracer, tracee);
  tracee->stop.kind = kind;
  tracee->held = kind;
  return &tracee->stop;
}

bool backend_is_the_programs(struct tracee *tracee, uint64_t nr) {
  if (tracee->launching && nr != ARCH_NR_X86_64_EXECVE) return false;
  tracee->launching = false;
  return true;
}

static const struct tracer_stop *entered(struct tracer *tracer, struct tracee *tracee,
                                         const struct syscall_info *info) {
  struct tracer_stop *stop = &tracee->stop;
  uint64_t before = stop->nr;
  bool restarted = call_enter(tracee, info);
  call_send_put_off(tracee);
  if (!backend_is_the_programs(tracee, info->nr)) return go_on(tracee, 0);
  if (affinity_is_asked(info->arch, info->nr)) affinity_release(tracer);
  if (tracee->muted) return go_on(tracee, 0);
  if (tracee->tree->mode == TRAP_PTRACE && tracee->tree->plan) {
    int verdict = trap_plan_verdict(tracee->tree->plan, info->arch, info->nr, info->args);
    int mechanism = verdict & 0xff;
    if (mechanism == MECHANISM_ALLOW) return go_on(tracee, 0);
    if (mechanism == MECHANISM_ERRNO) {
      tracee->skipped = true;
      tracee->forced_result = -(verdict >> 8);
      apply_entry(tracer, tracee, false);
      return go_on(tracee, 0);
    }
  }
  affinity_note_stop(tracer, tracee);
  if (call_is_ruled_out(tracer, tracee)) {
    if (gate_is_wanted(tracer, tracee)) gate_ask(tracee);
    return go_on(tracee, 0);
  }
  if (printer_entry(tracer, tracee)) {
    apply_entry(tracer, tracee, true);
    return go_on(tracee, 0);
  }
  report(tracer, tracee, STOP_SYSCALL_ENTRY);
  if (restarted) {
    stop->flags |= STOP_FLAG_RESTARTED;
    stop->message = before;
  }
  return stop;
}

static void restore_call(struct tracee *tracee) {
  unsigned which = tracee->changed_args | (tracee->changed_nr ? 0x80u : 0);
  if (which) syscall_info_restore(tracee->tid, tracee->stop.arch, which, tracee->original_nr, tracee->original_args);
  tracee->changed_args = 0;
  tracee->changed_nr = false;
}

static const struct tracer_stop *left(struct tracer *tracer, struct tracee *tracee, const struct syscall_info *info) {
  enum call_phase phase = tracee->phase;
  struct tracer_stop *stop = &tracee->stop;
  tracee->phase = PHASE_OUTSIDE;
  stop->result = info->result;
  if (tracee->force_at_exit) {
    stop->result = tracee->forced_result;
    syscall_info_set_result(tracee->tid, tracee->forced_result);
    tracee->force_at_exit = false;
  }
  restore_call(tracee);
  if (call_is_restart(stop->result) && !tracee->skipped) call_note_interruption(tracee);
  if (phase != PHASE_WANT_EXIT || tracee->muted) return go_on(tracee, 0);
  if (tracee->printing && printer_exit(tracer, tracee)) return go_on(tracee, 0);
  uint32_t arch = stop->arch;
  report(tracer, tracee, STOP_SYSCALL_EXIT);
  tracee->printing = false;
  stop->arch = arch;
  return stop;
}

static const struct tracer_stop *call_stop(struct tracer *tracer, struct tracee *tracee, enum syscall_op expected) {
  struct syscall_info info;
  int error = syscall_info_get(tracee->tid, tracer->options.no_get_syscall_info, expected, &info);
  if (error) return go_on(tracee, 0); /* died: the status is on its way */
  if (info.op == SYSCALL_OP_EXIT) return left(tracer, tracee, &info);
  if (info.op == SYSCALL_OP_NONE) return go_on(tracee, 0);
  info.ip = gate_program_ip(tracer, tracee, info.ip);
  return entered(tracer, tracee, &info);
}

/* --- stops: death and exec -------------------------------------------------------------------------------------- */

static const struct tracer_stop *died(struct tracer *tracer, struct tracee *tracee, int status) {
  bool reported = tracee->born && !tracee->muted;
  bool parked = tracee->parked;
  tracees_begin_stop(tracer, tracee);
  tracee->stop.kind = STOP_EXIT;
  tracee->stop.status = status;
  tracees_bury(tracer, tracee);
  /* Its unannounced children will not be announced any more. */
  if (!parked) family_adopt(tracer);
  return reported ? &tracee->stop : NULL;
}

/* execve by a thread that is not the leader: the kernel gives it the leader's tid, and the leader vanishes without a
 * status of its own (ptrace(2), "execve(2) under ptrace"). */
static const struct tracer_stop *executed(struct tracer *tracer, struct tracee *tracee, struct wait_status status) {
  unsigned long former = 0;
  ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &former);
  struct tracee *thread = former && (pid_t)former != tracee->tid ? tracer_find_tid(tracer, (pid_t)former) : NULL;
  if (thread) {
    /* Twice round: first the old leader's end, then the exec itself, on the thread that has now the leader's tid. */
    pid_t tid = tracee->tid;
    bool root = tracee->is_root, reported = tracee->born && !tracee->muted;
    tracees_begin_stop(tracer, tracee);
    tracee->stop.kind = STOP_SUPERSEDED;
    tracee->stop.message = former;
    tracees_bury(tracer, tracee);
    tracees_rename(tracer, thread, tid);
    thread->is_root = root;
    thread->is_thread = false;
    thread->stop.message = former;
    if (thread->state == TRACEE_STOPPED) tracee_set_state(thread, TRACEE_RUNNING);
    tracees_push_front(tracer, status);
    return reported ? &tracee->stop : NULL;
  }
  process_reset(tracee->process);
  call_send_put_off(tracee);
  remote_syscall_abandon(tracee);
  tracee->changed_args = 0;
  tracee->changed_nr = false;
  tracee->interrupted = false;
  tracee->launching = false;
  if (tracee->is_root) {
    launch_free(tracee->tree->launch);
    tracee->tree->launch = NULL;
  }
  if (tracee->muted) return go_on(tracee, 0);
  uint64_t message = tracee->stop.message;
  struct user_regs_struct regs;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
    tracee->stop.ip = gate_program_ip(tracer, tracee, regs.rip);
    tracee->stop.sp = regs.rsp;
    tracee->stop.arch = regs.cs == ARCH_CS_32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
  }
  report(tracer, tracee, STOP_EXEC);
  tracee->stop.message = former && (pid_t)former != tracee->tid ? former : message;
  return &tracee->stop;
}

/* --- stops: signals -------------------------------------------------------------------------------------------- */

static const struct tracer_stop *signalled(struct tracer *tracer, struct tracee *tracee, int signal) {
  enum gate_question question = gate_settle_question(tracer, tracee, signal);
  if (question == GATE_SIGNAL_WAITS || gate_mends(tracer, tracee, signal)) return go_on(tracee, 0);
  if (call_look_at_signal(tracer, tracee, signal)) return go_on(tracee, 0);
  if (question == GATE_SETTLED) call_send_put_off(tracee); /* it is not trapped any more */
  gate_note_return(tracer, tracee);
  if (tracee->muted || !(tracer->options.want & WANT_SIGNALS)) return go_on(tracee, signal);
  report(tracer, tracee, STOP_SIGNAL);
  tracee->stop.signal = signal;
  return &tracee->stop;
}

static const struct tracer_stop *group_stopped(struct tracer *tracer, struct tracee *tracee, int signal) {
  tracees_begin_stop(tracer, tracee);
  tracee->stop.kind = STOP_GROUP;
  tracee->stop.signal = signal;
  tracee_set_state(tracee, TRACEE_LISTENING);
  /* LISTEN: it stays stopped for everybody but the tracer, and SIGCONT ends it as it would untraced. */
  ptrace(PTRACE_LISTEN, tracee->tid, NULL, NULL);
  return tracee->muted ? NULL : &tracee->stop;
}

int backend_pause(struct tracee *tracee) {
  if (tracee->state != TRACEE_RUNNING || tracee->muted) return -EBUSY;
  if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL)) return -errno;
  tracee->pausing = true;
  return 0;
}

/* After PTRACE_INTERRUPT, when somebody asked for it. */
static const struct tracer_stop *paused(struct tracer *tracer, struct tracee *tracee) {
  if (!tracee->pausing || tracee->muted) return go_on(tracee, 0);
  tracee->pausing = false;
  call_look_at_pause(tracer, tracee);
  report(tracer, tracee, STOP_PAUSED);
  struct user_regs_struct regs;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
    tracee->stop.ip = gate_program_ip(tracer, tracee, regs.rip);
    tracee->stop.sp = regs.rsp;
    tracee->stop.arch = regs.cs == ARCH_CS_32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
  }
  return &tracee->stop;
}

static const struct tracer_stop *first_stop(struct tracer *tracer, struct tracee *tracee) {
  restore_call(tracee);
  tracee->phase = PHASE_OUTSIDE;
  if (tracee->muted || !(tracer->options.want & WANT_START)) return NULL;
  return report(tracer, tracee, STOP_START);
}

/* --- dispatch -------------------------------------------------------------------------------------------------- */

static const struct tracer_stop *remote_stop(struct tracer *tracer, struct tracee *tracee,
                                             struct wait_meaning meaning) {
  int request;
  int64_t result = 0;
  if (meaning.kind == WAIT_SIGNAL) {
    /* Only SIGSTOP gets here, all others are blocked: it is sent again afterwards. */
    tracee->deferred_stop = meaning.detail;
    restart(tracee,
            tracee->remote == REMOTE_CALLING || tracee->tree->mode == TRAP_PTRACE ? PTRACE_SYSCALL : PTRACE_CONT, 0);
    return NULL;
  }
  if (remote_syscall_stop(tracer, tracee, meaning, &request, &result) == REMOTE_STEP_CONTINUE) {
    restart(tracee, request, 0);
    return NULL;
  }
  if (tracee->detaching) {
    let_go(tracer, tracee, 0);
    return NULL;
  }
  enum stop_kind held = tracee->held;
  report(tracer, tracee, STOP_INJECTED);
  tracee->held = held;
  tracee->stop.result = result;
  return &tracee->stop;
}

static const struct tracer_stop *dispatch_stop(struct tracer *tracer, struct tracee *tracee, struct wait_status status,
                                               struct wait_meaning meaning) {
  enum syscall_op expected = tracee->phase == PHASE_OUTSIDE ? SYSCALL_OP_ENTRY : SYSCALL_OP_EXIT;
  switch (meaning.kind) {
  case WAIT_SECCOMP:
    return call_stop(tracer, tracee, SYSCALL_OP_SECCOMP);
  case WAIT_SYSCALL:
    return call_stop(tracer, tracee, expected);
  case WAIT_FORK: {
    const struct tracer_stop *birth = family_forked(tracer, tracee, meaning.detail);
    go_on(tracee, 0);
    return birth;
  }
  case WAIT_EXEC:
    return executed(tracer, tracee, status);
  case WAIT_SIGNAL:
    return signalled(tracer, tracee, meaning.detail);
  case WAIT_GROUP_STOP:
    return group_stopped(tracer, tracee, meaning.detail);
  case WAIT_EVENT_STOP:
    return paused(tracer, tracee);
  default:
    return go_on(tracee, 0);
  }
}

const struct tracer_stop *backend_dispatch(struct tracer *tracer, struct wait_status status) {
  struct tracee *tracee = tracer_find_tid(tracer, status.tid);
  struct wait_meaning meaning = stop_classify(status.status);
  if (!tracee) {
    family_park(tracer, status);
    return NULL;
  }
  tracee->stop.system_time = status.system_time;
  bool alive = meaning.kind != WAIT_EXITED && meaning.kind != WAIT_KILLED;
  if (tracee->parked && alive) {
    tracee->parked_status = status.status;
    return NULL;
  }
  if (!tracee->parked && !tracee->born) {
    /* A root, or adopted: its birth is reported first, then this status. */
    tracees_push_front(tracer, status);
    return family_birth(tracer, tracee);
  }
  if (!alive) return died(tracer, tracee, status.status);
  if (notified_sets_aside(tracee, status.status)) return NULL;
  bool first = tracee->state == TRACEE_NEW;
  tracee->notified = false; /* a stop breaks a notification off */
  /* A tracee that stops again while held was killed meanwhile, or woken by somebody's SIGKILL: the last stop counts. */
  if (tracee->state != TRACEE_STOPPED) tracee_set_state(tracee, TRACEE_STOPPED);
  if (tracee->detaching && tracee->remote == REMOTE_NONE) {
    int signal = meaning.kind == WAIT_SIGNAL ? meaning.detail : 0;
    let_go(tracer, tracee, signal);
    return NULL;
  }
  if (first) {
    gate_begin(tracer, tracee);
    const struct tracer_stop *start = first_stop(tracer, tracee);
    if (start) return start;
    if (meaning.kind == WAIT_EVENT_STOP) return go_on(tracee, 0);
  }
  if (tracee->gating != GATE_NOT_ASKED) {
    enum gate_step step = gate_stop(tracer, tracee, meaning);
    if (step == GATE_IS_FINISHED) return go_on(tracee, 0);
    if (step == GATE_NEXT_CALL) {
      restart(tracee, PTRACE_SYSCALL, 0);
      return NULL;
    }
  }
  if (tracee->remote != REMOTE_NONE && (meaning.kind == WAIT_SYSCALL || meaning.kind == WAIT_SECCOMP ||
                                        meaning.kind == WAIT_SIGNAL || meaning.kind == WAIT_EVENT_STOP))
    return remote_stop(tracer, tracee, meaning);
  return dispatch_stop(tracer, tracee, status, meaning);
}
