#include "remote_syscall.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include "arch_x86_64.h"  /* ARCH_CALL_SIZE */
#include "signal_mask.h"  /* signal_mask_* */
#include "syscall_info.h" /* syscall_info_get */

struct remote_call {
  struct user_regs_struct regs; /* the program's, at its stop */
  uint64_t signal_mask;
  bool at_entry;
  bool entered; /* our call's own entry stop has been passed */
  int64_t result;
};

static void set_args(struct user_regs_struct *regs, uint32_t arch, const uint64_t args[6]) {
  for (unsigned i = 0; i < 6; i++)
    memcpy((char *)regs + arch_arg_offset(arch, i), &args[i], sizeof args[i]);
}

int remote_syscall_start(struct tracee *tracee, uint64_t nr, const uint64_t args[6]) {
  pid_t tid = tracee->tid;
  /* A vsyscall is a page fault, not an instruction: there is nothing to go back to. */
  if ((tracee->stop.ip & ~0xfffull) == ARCH_VSYSCALL_PAGE) return -EINVAL;
  struct remote_call *call = calloc(1, sizeof *call);
  if (!call) return -ENOMEM;
  call->at_entry = call->entered = tracee->held == STOP_SYSCALL_ENTRY;

  int error = 0;
  if (ptrace(PTRACE_GETREGS, tid, NULL, &call->regs)) error = -errno;
  if (!error) error = signal_mask_fill(tid, &call->signal_mask);
  if (!error) {
    struct user_regs_struct regs = call->regs;
    set_args(&regs, tracee->stop.arch, args);
    if (call->at_entry) {
      regs.orig_rax = nr;
    } else {
      regs.rip -= ARCH_CALL_SIZE;
      regs.rax = nr;
    }
    if (ptrace(PTRACE_SETREGS, tid, NULL, &regs)) {
      error = -errno;
      signal_mask_set(tid, call->signal_mask);
    }
  }
  if (error) {
    free(call);
    return error;
  }
  tracee->remote_call = call;
  tracee->remote = REMOTE_CALLING;
  return 0;
}

void remote_syscall_abandon(struct tracee *tracee) {
  free(tracee->remote_call);
  tracee->remote_call = NULL;
  tracee->remote = REMOTE_NONE;
}

static void finish(struct tracee *tracee, int64_t *result) {
  *result = tracee->remote_call->result;
  signal_mask_set(tracee->tid, tracee->remote_call->signal_mask);
  int deferred = tracee->deferred_stop;
  tracee->deferred_stop = 0;
  remote_syscall_abandon(tracee);
  if (deferred) syscall(SYS_tgkill, tracee->process->pid, tracee->tid, deferred);
}

/* Our call has returned: take its result, put the program's registers back. */
static enum remote_step returned(struct tracer *tracer, struct tracee *tracee, int *request, int64_t *result) {
  struct remote_call *call = tracee->remote_call;
  struct syscall_info info;
  if (syscall_info_get(tracee->tid, tracer->options.no_get_syscall_info, SYSCALL_OP_EXIT, &info) == 0)
    call->result = info.result;
  struct user_regs_struct regs = call->regs;
  if (call->at_entry) {
    regs.rip -= ARCH_CALL_SIZE;
    regs.rax = regs.orig_rax;
  }
  ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
  if (!call->at_entry) {
    finish(tracee, result);
    return REMOTE_STEP_DONE;
  }
  tracee->remote = REMOTE_RETURNING;
  /* With a filter its stop alone is enough: PTRACE_SYSCALL would stop before it as well. */
  *request = tracee->tree->mode == TRAP_SECCOMP ? PTRACE_CONT : PTRACE_SYSCALL;
  return REMOTE_STEP_CONTINUE;
}

enum remote_step remote_syscall_stop(struct tracer *tracer, struct tracee *tracee, struct wait_meaning meaning,
                                     int *request, int64_t *result) {
  *request = PTRACE_SYSCALL;
  if (tracee->remote == REMOTE_RETURNING) {
    bool here = meaning.kind == (tracee->tree->mode == TRAP_SECCOMP ? WAIT_SECCOMP : WAIT_SYSCALL);
    if (here) {
      finish(tracee, result);
      return REMOTE_STEP_DONE;
    }
    if (tracee->tree->mode == TRAP_SECCOMP) *request = PTRACE_CONT;
    return REMOTE_STEP_CONTINUE;
  }
  if (meaning.kind == WAIT_SYSCALL) {
    struct syscall_info info;
    /* On old kernels an entry stop of ours comes first when the call was injected at an exit. */
    struct remote_call *call = tracee->remote_call;
    enum syscall_op expected = call->entered ? SYSCALL_OP_EXIT : SYSCALL_OP_ENTRY;
    call->entered = true;
    int error = syscall_info_get(tracee->tid, tracer->options.no_get_syscall_info, expected, &info);
    if (!error && info.op == SYSCALL_OP_EXIT) return returned(tracer, tracee, request, result);
  }
  /* Its entry, its seccomp stop, or the fork and exec events it causes: on. */
  return REMOTE_STEP_CONTINUE;
}
