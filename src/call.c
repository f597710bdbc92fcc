#include "call.h"

#include <linux/audit.h>
#include <string.h>

#include "trap_plan.h"

/* Numbers of the calls by which the kernel goes on with what was broken off. */
enum { NR_X86_64_RESTART = 219, NR_I386_RESTART = 0 };

/* What the kernel leaves in the result register of a call that a signal broke off (linux/errno.h): not part of the
 * user API, hence no header. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ENOIOCTLCMD = 515, ERESTART_LAST = 516 };

bool call_is_restart(int64_t result) {
  return result <= -ERESTARTSYS && result >= -ERESTART_LAST && result != -ENOIOCTLCMD;
}

void call_note_interruption(struct tracee *tracee) {
  const struct tracer_stop *stop = &tracee->stop;
  tracee->interrupted = true;
  tracee->broken_off.arch = stop->arch;
  tracee->broken_off.nr = tracee->original_nr;
  memcpy(tracee->broken_off.args, tracee->original_args, sizeof tracee->broken_off.args);
  tracee->broken_off.ip = stop->ip;
  tracee->broken_off.sp = stop->sp;
}

static bool is_broken_off_call(const struct tracee *tracee, const struct syscall_info *info) {
  return tracee->interrupted && info->arch == tracee->broken_off.arch && info->nr == tracee->broken_off.nr &&
         info->ip == tracee->broken_off.ip && info->sp == tracee->broken_off.sp &&
         memcmp(info->args, tracee->broken_off.args, sizeof info->args) == 0;
}

bool call_enter(struct tracee *tracee, const struct syscall_info *info) {
  struct tracer_stop *stop = &tracee->stop;
  bool restarted = info->nr == (info->arch == AUDIT_ARCH_I386 ? NR_I386_RESTART : NR_X86_64_RESTART) ||
                   is_broken_off_call(tracee, info);
  /* Signal handlers run below the interrupted frame: a call at or above it means that they are done. */
  if (restarted || info->sp >= tracee->broken_off.sp) tracee->interrupted = false;
  stop->arch = info->arch;
  stop->nr = tracee->original_nr = info->nr;
  memcpy(stop->args, info->args, sizeof stop->args);
  memcpy(tracee->original_args, info->args, sizeof tracee->original_args);
  stop->ip = info->ip;
  stop->sp = info->sp;
  tracee->phase = PHASE_ENTERED;
  tracee->changed_args = 0;
  tracee->changed_nr = tracee->skipped = tracee->force_at_exit = false;
  return restarted;
}

/* Was the call broken off while it waited for us to receive its notification? One that we let go on is told from the
 * next one like it, in a loop, only where the call itself is never broken off. */
static bool was_unreceived(const struct tracee *tracee, const struct syscall_info *info) {
  int verdict = trap_plan_verdict(tracee->tree->plan, info->arch, info->nr, info->args);
  if ((verdict & 0xff) != MECHANISM_NOTIFY) return false;
  if (verdict >> 8 & NOTIFY_UNBROKEN) return true;
  const struct tracer_stop *stop = &tracee->stop;
  return tracee->phase != PHASE_ENTERED || info->arch != stop->arch || info->nr != tracee->original_nr ||
         info->ip != stop->ip || memcmp(info->args, tracee->original_args, sizeof info->args) != 0;
}

void call_look_at_signal(const struct tracer *tracer, struct tracee *tracee) {
  bool notifies = tracee->tree->listener >= 0;
  struct syscall_info info;
  if (tracee->phase != PHASE_ENTERED && !notifies) return;
  if (syscall_info_get_broken_off(tracee->tid, tracer->options.no_get_syscall_info, &info)) return;
  if (!call_is_restart(info.result)) return;
  if (notifies && info.result == -ERESTARTSYS && was_unreceived(tracee, &info)) {
    syscall_info_set_result(tracee->tid, -ERESTARTNOINTR);
    return;
  }
  if (tracee->phase != PHASE_ENTERED || info.nr != tracee->original_nr) return;
  tracee->stop.sp = info.sp; /* a notification does not tell it */
  call_note_interruption(tracee);
}
