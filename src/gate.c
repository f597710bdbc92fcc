#include "gate.h"

#include <errno.h>
#include <linux/audit.h> /* AUDIT_ARCH_X86_64 */
#include <sched.h>       /* CLONE_* */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

#include "arch_x86_64.h"
#include "call.h" /* call_is_restart, call_make_again */
#include "gate_code.h"
#include "gate_site.h"
#include "signal_mask.h"
#include "tracee_memory.h"
#include "trap_plan.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum {
  CALLS_BEFORE = 2,         /* so many calls of a process are asked about before it gets a gate: as dear as some more */
  SITES_AT_ONCE = 8,        /* places of one file that are changed together */
  FIRST_DELAY = 8,          /* calls; then twice as many... */
  MOST_DELAYS = 12,         /* ...so often */
  ROOM_FOR_STACK = 1 << 28, /* below the stack, where no gate is put: twice what the kernel leaves free at least */
};

struct gate_visit {
  struct user_regs_struct regs; /* the program's */
  uint64_t signal_mask;         /* its own, too */
  uint32_t count;
  struct gate_site sites[SITES_AT_ONCE];
  bool entered; /* mmap has been */
};

/* --- addresses --------------------------------------------------------------------------------------------------- */

static bool has_plan(const struct tracee *tracee) {
  return tracee->tree && tracee->tree->plan && trap_plan_gate(tracee->tree->plan);
}

/* How far into the gate; GATE_SIZE or more: it is elsewhere. */
static uint32_t offset_in_gate(const struct tracee *tracee, tracee_addr ip) {
  return has_plan(tracee) ? (uint32_t)ip - trap_plan_gate(tracee->tree->plan) : GATE_SIZE;
}

static uint32_t door_at(uint32_t offset) {
  return offset < GATE_DOORS_SIZE ? offset / GATE_DOOR_SIZE : (offset - GATE_DOORS_SIZE) / TRAP_PLAN_GATE_BODY;
}

bool gate_has_passed(const struct tracee *tracee, tracee_addr ip) {
  uint32_t offset = offset_in_gate(tracee, ip);
  return offset < GATE_DOORS_SIZE && offset % GATE_DOOR_SIZE == GATE_PASSED;
}

/* The door that belongs to an address in the gate; 0: there is none, the address only looks like one. */
static tracee_addr find_door(const struct tracer *tracer, struct tracee *tracee, tracee_addr ip,
                             uint8_t code[GATE_DOOR_SIZE]) {
  uint32_t offset = offset_in_gate(tracee, ip);
  if (offset >= GATE_SIZE) return 0;
  tracee_addr door = ip - offset + door_at(offset) * GATE_DOOR_SIZE;
  if (tracee_memory_read(tracer, tracee, door, code, GATE_DOOR_SIZE) != GATE_DOOR_SIZE) return 0;
  bool is_door =
      gate_code_is_call(code + GATE_PASSED - ARCH_CALL_SIZE) && gate_code_is_call(code + GATE_TRAPPED - ARCH_CALL_SIZE);
  return is_door ? door : 0;
}

tracee_addr gate_program_ip(const struct tracer *tracer, struct tracee *tracee, tracee_addr ip) {
  uint8_t code[GATE_DOOR_SIZE];
  if (!find_door(tracer, tracee, ip, code)) return ip;
  memcpy(&ip, code + GATE_SITE, sizeof ip);
  return ip;
}

static tracee_addr distance(tracee_addr a, tracee_addr b) { return a > b ? a - b : b - a; }

/* The place for a gate that jumps from `ip` reach; 0: there is none. */
static tracee_addr base_near(const struct tracee *tracee, tracee_addr ip) {
  const tracee_addr low = trap_plan_gate(tracee->tree->plan);
  const tracee_addr lap = 1ull << 32, most = (1ull << 31) - 2 * GATE_SIZE, user_end = (1ull << 47) - 4096;
  tracee_addr base = (ip & ~(lap - 1)) | low;
  if (base < ip && distance(base + lap, ip) < distance(base, ip)) base += lap;
  if (base > ip && base > lap && distance(base - lap, ip) < distance(base, ip)) base -= lap;
  return distance(base, ip) < most && base + GATE_SIZE < user_end ? base : 0;
}

/* --- is it wanted? ----------------------------------------------------------------------------------------------- */

static bool is_settled(const struct gate *gate, tracee_addr ip) {
  for (uint32_t i = 0; i < gate->settled_count; i++)
    if (gate->settled[i] == ip) return true;
  return false;
}

/* NULL when memory runs out. */
static struct gate *gate_of(struct process *process) {
  if (process->gate) return process->gate;
  process->gate = calloc(1, sizeof *process->gate);
  if (process->gate) process->gate->users = 1;
  return process->gate;
}

/* This place has been changed, or will not be. */
static void settle(struct gate *gate, tracee_addr ip) {
  if (gate->settled_count < GATE_PLACES)
    gate->settled[gate->settled_count++] = ip;
  else
    gate->closed = true;
}

bool gate_is_wanted(const struct tracer *tracer, struct tracee *tracee) {
  const struct tracer_stop *stop = &tracee->stop;
  if (tracee->tree->mode != TRAP_SECCOMP || !has_plan(tracee)) return false;
  struct gate *gate = gate_of(tracee->process);
  if (!gate || gate->closed || gate->users != 1 || tracee->process->references != 1) return false;
  if (tracee->gating != GATE_NOT_ASKED || tracee->muted || tracee->pausing || tracee->put_off) return false;
  if (!trap_plan_gates(tracee->tree->plan, stop->arch, stop->nr) || is_settled(gate, stop->ip)) return false;
  if (tracer->features.foreign_proc) return false; /* the process could not be looked at */
  /* An older kernel lets signals, and our interruption, break a notification off. */
  if (tracee->tree->listener >= 0 && !tracer->features.notify_wait_killable) return false;
  bool now = tracer->options.gate == GATE_ALWAYS || gate->base;
  uint32_t due = gate->due ? gate->due : now ? 0 : CALLS_BEFORE;
  return ++gate->calls > due;
}

/* Not now: another time, but not at each call from now on. */
static void delay(struct gate *gate) {
  gate->due = gate->calls + (FIRST_DELAY << gate->delays);
  if (gate->delays < MOST_DELAYS) gate->delays++;
}

void gate_ask(struct tracee *tracee) {
  if (ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL)) return;
  tracee->gating = GATE_ASKED;
}

void gate_inherit(struct process *child, struct process *parent, uint64_t clone_flags) {
  if (child == parent) return;
  gate_drop(child);
  if (clone_flags & CLONE_VM) {
    child->gate = gate_of(parent);
    if (child->gate) child->gate->users++;
  } else if (parent->gate && gate_of(child)) {
    *child->gate = *parent->gate;
    child->gate->users = 1;
  }
  /* Do they share it? */
  if (clone_flags == 0 && gate_of(parent)) parent->gate->closed = true;
  if (clone_flags == 0 && gate_of(child)) child->gate->closed = true;
}

void gate_drop(struct process *process) {
  struct gate *gate = process->gate;
  process->gate = NULL;
  if (gate && --gate->users == 0) free(gate);
}

void gate_note_return(const struct tracer *tracer, struct tracee *tracee) {
  uint8_t before[ARCH_CALL_SIZE];
  struct user_regs_struct regs;
  if (!has_plan(tracee) || ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs)) return;
  if (offset_in_gate(tracee, regs.rip) < GATE_SIZE) return; /* that stays as it is */
  if (tracee_memory_read(tracer, tracee, regs.rip - sizeof before, before, sizeof before) != sizeof before) return;
  struct gate *gate = gate_of(tracee->process);
  if (gate && gate_code_is_call(before) && !is_settled(gate, regs.rip)) settle(gate, regs.rip);
}

/* --- the change -------------------------------------------------------------------------------------------------- */

static bool overwrite(const struct tracer *tracer, struct tracee *tracee, tracee_addr to, const void *from,
                      size_t size) {
  return tracee_memory_overwrite(tracer, tracee, to, from, size) == (int64_t)size;
}

/* The next free door, and the jump to it. 0: none is left, or it cannot be written. */
static tracee_addr put_door(const struct tracer *tracer, struct tracee *tracee, const struct gate_site *site) {
  struct gate *gate = tracee->process->gate;
  uint8_t body_code[TRAP_PLAN_GATE_BODY], door_code[GATE_DOOR_SIZE], jump[ARCH_CALL_SIZE + GATE_MAX_NEXT];
  tracee_addr door = gate->base + gate->doors * GATE_DOOR_SIZE;
  tracee_addr body = gate->base + GATE_DOORS_SIZE + gate->doors * TRAP_PLAN_GATE_BODY;
  const struct path_sieve *sieve = trap_plan_sieve(tracee->tree->plan, AUDIT_ARCH_X86_64, site->nr);
  int size = gate_code_body(sieve, site->nr, body, door, body_code, sizeof body_code);
  if (size < 0 || gate->doors == GATE_DOORS || base_near(tracee, site->ip) != gate->base) return 0;
  gate_code_door(site, door, door_code);
  gate_code_jump(site, body, jump);
  if (!overwrite(tracer, tracee, body, body_code, (size_t)size) ||
      !overwrite(tracer, tracee, door, door_code, sizeof door_code) ||
      !overwrite(tracer, tracee, site->ip - ARCH_CALL_SIZE, jump, ARCH_CALL_SIZE + site->next_size))
    return 0;
  gate->doors++;
  settle(gate, site->ip);
  return door;
}

/* The first place's door. */
static tracee_addr put_doors(const struct tracer *tracer, struct tracee *tracee, const struct gate_site *sites,
                             uint32_t count) {
  tracee_addr first = put_door(tracer, tracee, &sites[0]);
  for (uint32_t i = 1; first && i < count; i++)
    if (!is_settled(tracee->process->gate, sites[i].ip)) put_door(tracer, tracee, &sites[i]);
  if (!first) tracee->process->gate->closed = true;
  return first;
}

/* The program's own instructions, where the jump to the door still stands. */
static void restore(const struct tracer *tracer, struct tracee *tracee, uint32_t index) {
  uint8_t code[GATE_DOOR_SIZE], jump[ARCH_CALL_SIZE + GATE_MAX_NEXT], now[sizeof jump], before[sizeof jump];
  tracee_addr base = tracee->process->gate->base;
  struct gate_site site;
  if (!find_door(tracer, tracee, base + index * GATE_DOOR_SIZE, code)) return;
  gate_code_site(code, &site);
  gate_code_jump(&site, base + GATE_DOORS_SIZE + index * TRAP_PLAN_GATE_BODY, jump);
  size_t size = ARCH_CALL_SIZE + site.next_size;
  tracee_addr at = site.ip - ARCH_CALL_SIZE;
  if (tracee_memory_read(tracer, tracee, at, now, size) != (int64_t)size || memcmp(now, jump, size) != 0) return;
  gate_code_original(&site, before);
  overwrite(tracer, tracee, at, before, size);
}

void gate_take_back(const struct tracer *tracer, struct tracee *tracee) {
  struct gate *gate = tracee->process->gate;
  if (!gate) return;
  /* The tracee itself, and the thread that has not begun yet: nobody can be in the midst of it. */
  bool alone = gate->users == 1 && tracee->process->references == 2;
  for (uint32_t i = 0; alone && i < gate->doors; i++)
    restore(tracer, tracee, i);
  gate->closed = true;
  gate->doors = 0;
}

void gate_abandon(struct tracee *tracee) {
  free(tracee->gate_visit);
  tracee->gate_visit = NULL;
  tracee->gating = GATE_NOT_ASKED;
}

/* Makes the tracee, which is coming out of the call, call mmap from there. */
static enum gate_step map_gate(struct tracee *tracee, struct gate_visit *visit, tracee_addr base) {
  struct user_regs_struct call = visit->regs;
  call.rip = visit->sites[0].ip - ARCH_CALL_SIZE;
  call.orig_rax = ~0ull;
  call.rax = SYS_mmap;
  call.rdi = base;
  call.rsi = GATE_SIZE;
  call.rdx = PROT_READ | PROT_EXEC;
  call.r10 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  call.r8 = ~0ull;
  call.r9 = 0;
  if (signal_mask_fill(tracee->tid, &visit->signal_mask)) return GATE_IS_FINISHED;
  if (ptrace(PTRACE_SETREGS, tracee->tid, NULL, &call)) {
    signal_mask_set(tracee->tid, visit->signal_mask);
    return GATE_IS_FINISHED;
  }
  tracee->gate_visit = visit;
  tracee->gating = GATE_MAPPING;
  return GATE_NEXT_CALL;
}

/* The registers are the program's again; it goes on behind the door's call instruction, if it has a door now. */
static void go_on_at(struct tracee *tracee, struct user_regs_struct *regs, tracee_addr door) {
  if (door) regs->rip = door + GATE_PASSED;
  ptrace(PTRACE_SETREGS, tracee->tid, NULL, regs);
}

static enum gate_step change(struct tracer *tracer, struct tracee *tracee, struct gate_visit *visit) {
  struct gate *gate = tracee->process->gate;
  struct user_regs_struct *regs = &visit->regs;
  tracee_addr ip = tracee->stop.ip;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, regs)) return GATE_IS_FINISHED;
  bool fails = (int64_t)regs->rax == -EINTR; /* since it was interrupted, as on a FUSE file system */
  if (fails) call_make_again(tracee);
  if (fails || call_is_restart((int64_t)regs->rax)) { /* it waits, and goes on to wait */
    delay(gate);
    return GATE_IS_FINISHED;
  }
  tracee_addr base = base_near(tracee, ip);
  if (!gate_site_process_is_plain(tracer, tracee) || (regs->rsp > base && regs->rsp - base < ROOM_FOR_STACK)) {
    gate->closed = true;
    return GATE_IS_FINISHED;
  }
  bool is_here = base && regs->rip == ip && regs->cs != ARCH_CS_32;
  visit->count = is_here ? gate_site_find(tracer, tracee, ip, tracee->original_nr, visit->sites, SITES_AT_ONCE) : 0;
  if (visit->count == 0) {
    settle(gate, ip);
    return GATE_IS_FINISHED;
  }
  if (!gate->base) return map_gate(tracee, visit, base);
  tracee_addr door = put_doors(tracer, tracee, visit->sites, visit->count);
  if (door) go_on_at(tracee, regs, door);
  return GATE_IS_FINISHED;
}

static enum gate_step interrupted(struct tracer *tracer, struct tracee *tracee) {
  struct gate_visit *visit = calloc(1, sizeof *visit);
  tracee->gating = GATE_NOT_ASKED;
  enum gate_step step = visit ? change(tracer, tracee, visit) : GATE_IS_FINISHED;
  if (step != GATE_NEXT_CALL) free(visit);
  return step;
}

static enum gate_step mapped(const struct tracer *tracer, struct tracee *tracee) {
  struct gate_visit *visit = tracee->gate_visit;
  struct user_regs_struct regs;
  struct gate *gate = tracee->process->gate;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) == 0) {
    tracee_addr base = base_near(tracee, visit->sites[0].ip), door = 0;
    if (regs.rax == base) {
      gate->base = base;
      door = put_doors(tracer, tracee, visit->sites, visit->count);
    } else {
      gate->closed = true;
    }
    visit->regs.orig_rax = ~0ull; /* that call is over, and this one is none of its */
    signal_mask_set(tracee->tid, visit->signal_mask);
    go_on_at(tracee, &visit->regs, door);
  }
  gate_abandon(tracee);
  return GATE_IS_FINISHED;
}

enum gate_step gate_stop(struct tracer *tracer, struct tracee *tracee, struct wait_meaning meaning) {
  if (tracee->gating == GATE_ASKED) {
    if (meaning.kind == WAIT_EVENT_STOP && !tracee->pausing && !tracee->muted) return interrupted(tracer, tracee);
    tracee->gating = GATE_NOT_ASKED;
    return GATE_IS_NOT_IT;
  }
  if (meaning.kind != WAIT_SYSCALL) {
    /* SIGSTOP, or an interruption, before mmap has begun: it comes where the program is, by its own registers. */
    signal_mask_set(tracee->tid, tracee->gate_visit->signal_mask);
    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &tracee->gate_visit->regs);
    gate_abandon(tracee);
    delay(tracee->process->gate);
    return GATE_IS_NOT_IT;
  }
  if (tracee->gate_visit->entered) return mapped(tracer, tracee);
  tracee->gate_visit->entered = true;
  return GATE_NEXT_CALL;
}

bool gate_mends(const struct tracer *tracer, struct tracee *tracee, int signal) {
  struct user_regs_struct regs;
  siginfo_t info;
  uint8_t code[GATE_DOOR_SIZE];
  if ((signal != SIGSEGV && signal != SIGBUS) || !has_plan(tracee)) return false;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs) || ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, &info))
    return false;
  if (info.si_code <= 0) return false; /* somebody sent it */
  tracee_addr door = find_door(tracer, tracee, regs.rip, code);
  if (!door) return false;
  regs.rip = door + GATE_MENDED;
  return ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs) == 0;
}
