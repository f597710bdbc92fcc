#include "backend_ptrace.h"

#include <errno.h>
#include <linux/audit.h> /* AUDIT_ARCH_* */
#include <sched.h>       /* CLONE_* */
#include <signal.h>
#include <stdio.h>
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
#include "launch.h"
#include "printer.h"
#include "notified.h"
#include "remote_syscall.h"
#include "stop.h"
#include "syscall_info.h"
#include "tracees.h"
#include "trap_plan.h"
#include "waiting.h"

enum { NR_X86_64_EXECVE = 59 };

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
  if (tracee->notified) return notified_answer(tracee, want_exit);
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
  if (tracee->launching && nr != NR_X86_64_EXECVE) return false;
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
  return entered(tracer, tracee, &info);
}

/* --- stops: birth and death ------------------------------------------------------------------------------------ */

static void read_family(pid_t tid, pid_t *pid, pid_t *parent) {
  char path[64], line[128];
  snprintf(path, sizeof path, "/proc/%d/status", tid);
  FILE *file = fopen(path, "re");
  if (!file) return;
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "Tgid: %d", pid) != 1 && sscanf(line, "PPid: %d", parent) == 1) break;
  fclose(file);
}

static const struct tracer_stop *birth_note(struct tracer *tracer, struct tracee *child, const struct tracee *parent,
                                            uint64_t clone_flags) {
  child->born = true;
  tracer->note = (struct tracer_stop){
      .kind = STOP_BIRTH,
      .time = tracer_now(),
      .tracee = child->number,
      .tid = child->tid,
      .pid = child->process->pid,
      .tree = child->tree->number,
      .parent = parent ? parent->number : 0,
      .message = clone_flags,
      .flags = (child->is_thread ? STOP_FLAG_THREAD : 0) | (clone_flags & CLONE_VFORK ? STOP_FLAG_VFORK : 0) |
               (child->is_root ? STOP_FLAG_ROOT : 0) | (child->tree->attached ? STOP_FLAG_ATTACHED : 0),
  };
  return child->muted ? NULL : &tracer->note;
}

const struct tracer_stop *backend_birth(struct tracer *tracer, struct tracee *tracee) {
  return birth_note(tracer, tracee, NULL, tracee->is_thread ? CLONE_THREAD | CLONE_VM | CLONE_FILES | CLONE_FS : 0);
}

/* The flags of the clone that `parent` is in, from its registers: no memory needed but for clone3. */
static uint64_t clone_flags_of(const struct tracee *parent, int event) {
  struct user_regs_struct regs;
  if (event == PTRACE_EVENT_VFORK) return CLONE_VFORK | CLONE_VM | SIGCHLD;
  if (event == PTRACE_EVENT_FORK || ptrace(PTRACE_GETREGS, parent->tid, NULL, &regs)) return SIGCHLD;
  /* Injected or rewritten calls included: the kernel runs what orig_rax says. */
  bool i386 = parent->stop.arch == AUDIT_ARCH_I386 && parent->phase != PHASE_OUTSIDE;
  i386 = i386 || regs.cs == 0x23;
  if (regs.orig_rax == (i386 ? 120u : 56u)) return i386 ? (uint32_t)regs.rbx : regs.rdi;
  if (regs.orig_rax == 435) {
    uint64_t address = i386 ? (uint32_t)regs.rbx : regs.rdi;
    errno = 0;
    long flags = ptrace(PTRACE_PEEKDATA, parent->tid, (void *)address, NULL);
    return errno ? 0 : (uint64_t)flags;
  }
  return 0;
}

/* clone3 has it beside its flags, in the fifth word of its structure. */
static uint64_t exit_signal_of(const struct tracee *parent, uint64_t flags) {
  if (flags & 0xff) return flags & 0xff;
  struct syscall_info call;
  if (syscall_info_get(parent->tid, true, SYSCALL_OP_ENTRY, &call) || call.nr != 435) return 0;
  errno = 0;
  long signal = ptrace(PTRACE_PEEKDATA, parent->tid, (void *)(call.args[0] + 32), NULL);
  return errno ? 0 : (uint64_t)signal;
}

static void inherit(struct tracee *child, const struct tracee *parent) {
  child->muted = parent->muted;
  child->detaching = parent->detaching;
  /* Its registers are a copy of the parent's, rewritten arguments included. */
  child->changed_args = parent->changed_args;
  child->stop.arch = parent->stop.arch;
  memcpy(child->original_args, parent->original_args, sizeof child->original_args);
}

static const struct tracer_stop *forked(struct tracer *tracer, struct tracee *parent, int event) {
  unsigned long message = 0;
  ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &message);
  uint64_t flags = clone_flags_of(parent, event);
  pid_t tid = (pid_t)message;
  struct tracee *child = tid > 0 ? tracer_find_tid(tracer, tid) : NULL;
  const struct tracer_stop *birth = NULL;
  if (child && child->born) {
    /* Adopted earlier, when it seemed that this event would never come. */
  } else if (tid > 0) {
    bool thread = flags & CLONE_THREAD;
    if (child) {
      /* Its first stop overtook this event: now its family is known. */
      child->tree = parent->tree;
      child->tree->alive++;
      if (thread) {
        process_drop(child->process);
        child->process = process_hold(parent->process);
      }
      child->parked = false;
      tracees_push_front(tracer, (struct wait_status){.tid = tid, .status = child->parked_status});
    } else {
      child = tracees_add(tracer, parent->tree, tid, thread ? parent->process : NULL);
    }
    if (!thread && exit_signal_of(parent, flags) != SIGCHLD) waiting_note_silent_end(tracer);
    if (child) {
      affinity_note_birth(tracer);
      child->is_thread = thread;
      inherit(child, parent);
      birth = birth_note(tracer, child, parent, flags);
    }
  }
  go_on(parent, 0);
  return birth;
}

/* A status of a tid that nobody has announced: a child faster than its parent's event, or a child of our host program
 * that is not ours to trace. Held back until its parent's event tells which. */
static void park(struct tracer *tracer, struct wait_status status) {
  if (!stop_is_alive(status.status)) return;
  struct tracee *tracee = tracees_add(tracer, NULL, status.tid, NULL);
  if (!tracee) return;
  tracee->parked = true;
  tracee->parked_status = status.status;
}

void backend_adopt_parked(struct tracer *tracer) {
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++) {
    struct tracee *child = tracer->slots[slot];
    if (!child || !child->parked) continue;
    pid_t pid = child->tid, parent_pid = 0;
    read_family(child->tid, &pid, &parent_pid);
    struct tracee *parent = tracer_find_tid(tracer, pid == child->tid ? parent_pid : pid);
    struct tree *tree = parent && parent->tree ? parent->tree : tracer->trees;
    if (!tree) continue;
    child->tree = tree;
    tree->alive++;
    child->parked = false;
    child->is_thread = pid != child->tid;
    if (child->is_thread && parent) {
      process_drop(child->process);
      child->process = process_hold(parent->process);
    }
    if (parent) inherit(child, parent);
    tracees_push_status(tracer, (struct wait_status){.tid = child->tid, .status = child->parked_status});
  }
}

static const struct tracer_stop *died(struct tracer *tracer, struct tracee *tracee, int status) {
  bool reported = tracee->born && !tracee->muted;
  bool parked = tracee->parked;
  tracees_begin_stop(tracer, tracee);
  tracee->stop.kind = STOP_EXIT;
  tracee->stop.status = status;
  tracees_bury(tracer, tracee);
  /* Its unannounced children will not be announced any more. */
  if (!parked) backend_adopt_parked(tracer);
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
  if (tracee->is_root && tracee->tree->launch) tracee->tree->launch->error = 0;
  if (tracee->muted) return go_on(tracee, 0);
  uint64_t message = tracee->stop.message;
  struct user_regs_struct regs;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
    tracee->stop.ip = regs.rip;
    tracee->stop.sp = regs.rsp;
    tracee->stop.arch = regs.cs == 0x23 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
  }
  report(tracer, tracee, STOP_EXEC);
  tracee->stop.message = former && (pid_t)former != tracee->tid ? former : message;
  return &tracee->stop;
}

/* --- stops: signals -------------------------------------------------------------------------------------------- */

static const struct tracer_stop *signalled(struct tracer *tracer, struct tracee *tracee, int signal) {
  if (call_look_at_signal(tracer, tracee, signal)) return go_on(tracee, 0);
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
    tracee->stop.ip = regs.rip;
    tracee->stop.sp = regs.rsp;
    tracee->stop.arch = regs.cs == 0x23 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
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
  case WAIT_FORK:
    return forked(tracer, tracee, meaning.detail);
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
    park(tracer, status);
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
    return backend_birth(tracer, tracee);
  }
  if (!alive) return died(tracer, tracee, status.status);
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
    const struct tracer_stop *start = first_stop(tracer, tracee);
    if (start) return start;
    if (meaning.kind == WAIT_EVENT_STOP) return go_on(tracee, 0);
  }
  if (tracee->remote != REMOTE_NONE && (meaning.kind == WAIT_SYSCALL || meaning.kind == WAIT_SECCOMP ||
                                        meaning.kind == WAIT_SIGNAL || meaning.kind == WAIT_EVENT_STOP))
    return remote_stop(tracer, tracee, meaning);
  return dispatch_stop(tracer, tracee, status, meaning);
}
