#include "family.h"

#include <errno.h>
#include <linux/audit.h> /* AUDIT_ARCH_I386 */
#include <sched.h>       /* CLONE_* */
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h> /* struct user_regs_struct */

#include "affinity.h"     /* affinity_note_birth */
#include "arch_x86_64.h"  /* ARCH_NR_*, ARCH_CS_32 */
#include "gate.h"         /* gate_inherit */
#include "proc_status.h"  /* proc_status_* */
#include "stop.h"         /* stop_is_alive */
#include "syscall_info.h" /* syscall_info_get */
#include "tracees.h"
#include "waiting.h" /* waiting_note_silent_end */

static void read_family(pid_t tid, pid_t *pid, pid_t *parent) {
  char status[PROC_STATUS_SIZE];
  if (!proc_status_read(tid, status)) return;
  proc_status_field(status, "Tgid:", "%d", pid);
  proc_status_field(status, "PPid:", "%d", parent);
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

const struct tracer_stop *family_birth(struct tracer *tracer, struct tracee *tracee) {
  return birth_note(tracer, tracee, NULL, tracee->is_thread ? CLONE_THREAD | CLONE_VM | CLONE_FILES | CLONE_FS : 0);
}

/* The flags of the clone that `parent` is in, from its registers: no memory needed but for clone3. The event alone does
 * not tell them: clone(CLONE_VM | SIGCHLD) is announced as a fork. */
static uint64_t clone_flags_of(const struct tracee *parent, int event) {
  struct user_regs_struct regs;
  const uint64_t of_event = event == PTRACE_EVENT_VFORK ? CLONE_VFORK | CLONE_VM | SIGCHLD : SIGCHLD;
  if (ptrace(PTRACE_GETREGS, parent->tid, NULL, &regs)) return of_event;
  /* Injected or rewritten calls included: the kernel runs what orig_rax says. */
  bool i386 = parent->stop.arch == AUDIT_ARCH_I386 && parent->phase != PHASE_OUTSIDE;
  i386 = i386 || regs.cs == ARCH_CS_32;
  if (regs.orig_rax == (i386 ? ARCH_NR_I386_CLONE : ARCH_NR_X86_64_CLONE)) return i386 ? (uint32_t)regs.rbx : regs.rdi;
  if (regs.orig_rax == ARCH_NR_CLONE3) {
    uint64_t address = i386 ? (uint32_t)regs.rbx : regs.rdi;
    errno = 0;
    long flags = ptrace(PTRACE_PEEKDATA, parent->tid, (void *)address, NULL);
    return errno ? 0 : (uint64_t)flags;
  }
  return of_event;
}

/* clone3 has it beside its flags, in the fifth word of its structure. */
static uint64_t exit_signal_of(const struct tracee *parent, uint64_t flags) {
  if (flags & 0xff) return flags & 0xff;
  struct syscall_info call;
  if (syscall_info_get(parent->tid, true, SYSCALL_OP_ENTRY, &call) || call.nr != ARCH_NR_CLONE3) return 0;
  errno = 0;
  long signal = ptrace(PTRACE_PEEKDATA, parent->tid, (void *)(call.args[0] + 32), NULL);
  return errno ? 0 : (uint64_t)signal;
}

static void inherit(struct tracee *child, const struct tracee *parent, uint64_t clone_flags) {
  gate_inherit(child->process, parent->process, clone_flags);
  child->muted = parent->muted;
  child->detaching = parent->detaching;
  /* Its registers are a copy of the parent's, rewritten arguments included. */
  child->changed_args = parent->changed_args;
  child->stop.arch = parent->stop.arch;
  memcpy(child->original_args, parent->original_args, sizeof child->original_args);
}

/* A parked child's first stop has overtaken its parent's event: now its family is known. */
static void unpark(struct tracee *child, struct tree *tree, struct process *process) {
  child->tree = tree;
  tree->alive++;
  if (process) {
    process_drop(child->process);
    child->process = process_hold(process);
  }
  child->parked = false;
}

const struct tracer_stop *family_forked(struct tracer *tracer, struct tracee *parent, int event) {
  unsigned long message = 0;
  ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &message);
  uint64_t flags = clone_flags_of(parent, event);
  pid_t tid = (pid_t)message;
  struct tracee *child = tid > 0 ? tracer_find_tid(tracer, tid) : NULL;
  /* Adopted and born earlier, when it seemed that this event would never come. */
  if (tid <= 0 || (child && child->born)) return NULL;
  bool thread = flags & CLONE_THREAD;
  if (!child) {
    child = tracees_add(tracer, parent->tree, tid, thread ? parent->process : NULL);
  } else if (child->parked) {
    unpark(child, parent->tree, thread ? parent->process : NULL);
    tracees_push_front(tracer, (struct wait_status){.tid = tid, .status = child->parked_status});
  }
  if (!thread && exit_signal_of(parent, flags) != SIGCHLD) waiting_note_silent_end(tracer);
  if (!child) return NULL;
  affinity_note_birth(tracer);
  child->is_thread = thread;
  inherit(child, parent, flags);
  if (thread) gate_take_back(tracer, parent);
  return birth_note(tracer, child, parent, flags);
}

void family_park(struct tracer *tracer, struct wait_status status) {
  if (!stop_is_alive(status.status)) return;
  struct tracee *tracee = tracees_add(tracer, NULL, status.tid, NULL);
  if (!tracee) return;
  tracee->parked = true;
  tracee->parked_status = status.status;
}

void family_adopt(struct tracer *tracer) {
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++) {
    struct tracee *child = tracer->slots[slot];
    if (!child || !child->parked) continue;
    pid_t pid = child->tid, parent_pid = 0;
    if (!tracer->features.foreign_proc) read_family(child->tid, &pid, &parent_pid);
    struct tracee *parent = tracer_find_tid(tracer, pid == child->tid ? parent_pid : pid);
    struct tree *tree = parent && parent->tree ? parent->tree : tracer->trees;
    if (!tree) continue;
    child->is_thread = pid != child->tid;
    unpark(child, tree, child->is_thread && parent ? parent->process : NULL);
    if (parent) inherit(child, parent, 0);
    tracees_push_status(tracer, (struct wait_status){.tid = child->tid, .status = child->parked_status});
  }
}
