#include "call.h"

#include <limits.h> /* PATH_MAX */
#include <linux/audit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gate.h"
#include "path_sieve.h"
#include "tracee_memory.h"
#include "trap_plan.h"

/* Numbers of the calls by which the kernel goes on with what was broken off. */
enum { NR_X86_64_RESTART = 219, NR_I386_RESTART = 0 };

/* What the kernel leaves in the result register of a call that a signal broke off (linux/errno.h): not part of the
 * user API, hence no header. */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ENOIOCTLCMD = 515, ERESTART_LAST = 516 };

/* The kernel's SIGRTMIN: the C library has some of them for itself. */
enum { FIRST_QUEUED = 32 };

bool call_is_restart(int64_t result) {
  return result <= -ERESTARTSYS && result >= -ERESTART_LAST && result != -ENOIOCTLCMD;
}

void call_make_again(const struct tracee *tracee) { syscall_info_set_result(tracee->tid, -ERESTARTSYS); }

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

bool call_is_ruled_out(const struct tracer *tracer, struct tracee *tracee) {
  const struct tracer_stop *stop = &tracee->stop;
  if (!tracee->born || !tracee->tree->plan) return false;
  const struct path_sieve *sieve = trap_plan_sieve(tracee->tree->plan, stop->arch, stop->nr);
  if (!sieve) return false;
  uint8_t arguments = path_sieve_arguments(sieve);
  for (int i = 0; i < 6; i++) {
    char path[PATH_MAX];
    if (!(arguments & 1u << i)) continue;
    int64_t length = tracee_memory_read_cstring(tracer, tracee, stop->args[i], path, sizeof path, NULL);
    /* What cannot be read, or has no end, is nobody's but Lua's to judge. */
    if (length < 0 || length >= (int64_t)sizeof path || path_sieve_lets_through(sieve, path)) return false;
  }
  return true;
}

/* --- signals and notifications ---------------------------------------------------------------------------------- */

/* Is it, by all that registers tell, the call that we have let go on last? */
static bool is_last_call(const struct tracee *tracee, uint32_t arch, uint64_t nr, const uint64_t args[6],
                         tracee_addr ip) {
  const struct tracer_stop *stop = &tracee->stop;
  return tracee->phase == PHASE_ENTERED && arch == stop->arch && nr == tracee->original_nr && ip == stop->ip &&
         memcmp(args, tracee->original_args, sizeof tracee->original_args) == 0;
}

static bool is_notified_call(const struct tracee *tracee, const struct syscall_info *info) {
  if (tracee->tree->listener < 0) return false;
  return (trap_plan_verdict(tracee->tree->plan, info->arch, info->nr, info->args) & 0xff) == MECHANISM_NOTIFY;
}

/* Faults come at an instruction of the program's; what stops and continues it must not overtake its like. */
static bool can_wait(int signal) {
  static const int others[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (others[i] == signal) return false;
  return true;
}

bool call_put_off(struct tracee *tracee, int signal) {
  if (tracee->put_off || !can_wait(signal)) return false;
  siginfo_t *info = malloc(sizeof *info);
  if (info && ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, info) == 0) {
    tracee->put_off = info;
    tracee->put_off_sent = false;
    return true;
  }
  free(info);
  return false;
}

void call_send_put_off(struct tracee *tracee) {
  if (!tracee->put_off || tracee->put_off_sent) return;
  tracee->put_off_sent = true;
  syscall(SYS_tgkill, tracee->process->pid, tracee->tid, tracee->put_off->si_signo);
}

/* By call_send_put_off; from where we cannot be seen, by nobody. */
static bool is_sent_by_us(const siginfo_t *info) {
  return info->si_code == SI_TKILL && (info->si_pid == getpid() || info->si_pid == 0);
}

/* The signal that was put off is here again, or its like: as it was the first time. Those of which several can wait, with
 * values, are delivered in the order in which they came. */
static void deliver_put_off(struct tracee *tracee) {
  siginfo_t now;
  if (ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, &now)) return;
  bool is_queued = tracee->put_off->si_signo >= FIRST_QUEUED;
  bool another_comes = !tracee->put_off_sent || (is_queued && !is_sent_by_us(&now));
  ptrace(PTRACE_SETSIGINFO, tracee->tid, NULL, tracee->put_off);
  if (another_comes) {
    *tracee->put_off = now;
    return;
  }
  free(tracee->put_off);
  tracee->put_off = NULL;
}

void call_look_at_pause(const struct tracer *tracer, struct tracee *tracee) {
  struct syscall_info info;
  if (tracee->phase != PHASE_ENTERED) return;
  if (syscall_info_get_broken_off(tracee->tid, tracer->options.no_get_syscall_info, &info)) return;
  if (!call_is_restart(info.result) || info.nr != tracee->original_nr || gate_has_passed(tracee, info.ip)) return;
  tracee->stop.sp = info.sp;
  call_note_interruption(tracee);
}

bool call_look_at_signal(const struct tracer *tracer, struct tracee *tracee, int signal) {
  bool is_like = tracee->put_off && tracee->put_off->si_signo == signal, is_back = is_like && tracee->put_off_sent;
  if (is_like) deliver_put_off(tracee);
  struct syscall_info info;
  if (tracee->phase != PHASE_ENTERED && tracee->tree->listener < 0) return false;
  if (syscall_info_get_broken_off(tracee->tid, tracer->options.no_get_syscall_info, &info)) return false;
  if (!call_is_restart(info.result) || gate_has_passed(tracee, info.ip)) return false;
  info.ip = gate_program_ip(tracer, tracee, info.ip);
  if (info.result == -ERESTARTSYS && !is_back && is_notified_call(tracee, &info)) {
    bool waits = call_put_off(tracee, signal);
    syscall_info_set_result(tracee->tid, -ERESTARTNOINTR);
    return waits;
  }
  if (tracee->put_off && !tracee->put_off_sent) return false; /* one signal more: the call will come again anyway */
  if (tracee->phase != PHASE_ENTERED || info.nr != tracee->original_nr) return false;
  tracee->stop.sp = info.sp; /* a notification does not tell it */
  call_note_interruption(tracee);
  return false;
}

bool call_comes_again(struct tracee *tracee, const struct notification *n) {
  uint64_t made = n->id - tracee->notification, received = ++tracee->tree->received - tracee->received;
  bool again = tracee->put_off && !tracee->put_off_sent && made == received &&
               is_last_call(tracee, n->arch, n->nr, n->args, n->ip);
  tracee->notification = n->id;
  tracee->received = tracee->tree->received;
  call_send_put_off(tracee);
  return again;
}
