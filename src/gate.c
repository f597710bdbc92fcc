#include "gate.h"

#include <errno.h>
#include <linux/audit.h> /* AUDIT_ARCH_X86_64 */
#include <sched.h>       /* CLONE_* */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/shm.h>  /* SHM_REMAP */
#include <sys/stat.h> /* stat */
#include <sys/syscall.h>
#include <sys/user.h>

#include "arch_x86_64.h"
#include "call.h" /* call_is_restart, call_make_again */
#include "gate_code.h"
#include "gate_site.h"
#include "mailbox.h"
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
  MAILBOX_SIZE = 4096       /* behind the gate */
};

struct gate_visit {
  struct user_regs_struct regs; /* the program's */
  uint64_t signal_mask;         /* its own, too */
  bool masked;                  /* all signals are blocked */
  uint32_t count;
  struct gate_site sites[SITES_AT_ONCE];
  tracee_addr base; /* the gate's, when there is one */
  uint64_t nr;      /* of the call of ours that it runs... */
  bool entered;     /* ...which it has entered */
  bool wants_mailbox;
  struct mailbox *mailbox; /* that is being attached */
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
  return offset < GATE_DOORS_SIZE ? offset / GATE_DOOR_SIZE : (offset - GATE_DOORS_SIZE) / GATE_BODY_SIZE;
}

bool gate_has_passed(const struct tracee *tracee, tracee_addr ip) {
  uint32_t offset = offset_in_gate(tracee, ip);
  return offset < GATE_DOORS_SIZE && offset % GATE_DOOR_SIZE == GATE_PASSED;
}

bool gate_has_trapped(const struct tracee *tracee, tracee_addr ip) {
  uint32_t offset = offset_in_gate(tracee, ip);
  return offset < GATE_DOORS_SIZE && offset % GATE_DOOR_SIZE == GATE_TRAPPED;
}

/* The door that belongs to an address in the gate; 0: there is none, the address only looks like one. */
static tracee_addr find_door(const struct tracer *tracer, struct tracee *tracee, tracee_addr ip,
                             uint8_t code[GATE_DOOR_SIZE]) {
  uint32_t offset = offset_in_gate(tracee, ip);
  if (offset >= GATE_SWITCH) return 0;
  tracee_addr door = ip - offset + door_at(offset) * GATE_DOOR_SIZE;
  if (tracee_memory_read(tracer, tracee, door, code, GATE_DOOR_SIZE) != GATE_DOOR_SIZE) return 0;
  bool is_door =
      gate_code_is_call(code + GATE_PASSED - ARCH_CALL_SIZE) && gate_code_is_call(code + GATE_TRAPPED - ARCH_CALL_SIZE);
  return is_door ? door : 0;
}

tracee_addr gate_program_ip(const struct tracer *tracer, struct tracee *tracee, tracee_addr ip) {
  uint8_t code[GATE_DOOR_SIZE];
  const struct gate *gate = tracee->process->gate;
  uint32_t offset = offset_in_gate(tracee, ip), door = offset < GATE_SWITCH ? door_at(offset) : GATE_DOORS;
  if (gate && gate->base && ip - offset == gate->base && door < gate->made) return gate->sites[door];
  if (!find_door(tracer, tracee, ip, code)) return ip;
  memcpy(&ip, code + GATE_SITE, sizeof ip);
  return ip;
}

static tracee_addr distance(tracee_addr a, tracee_addr b) { return a > b ? a - b : b - a; }

/* The place for a gate that jumps from `ip` reach; 0: there is none. */
static tracee_addr base_near(const struct tracee *tracee, tracee_addr ip) {
  const tracee_addr low = trap_plan_gate(tracee->tree->plan);
  const tracee_addr lap = 1ull << 32, most = (1ull << 31) - 2 * (GATE_SIZE + MAILBOX_SIZE),
                    user_end = (1ull << 47) - 4096;
  tracee_addr base = (ip & ~(lap - 1)) | low;
  if (base < ip && distance(base + lap, ip) < distance(base, ip)) base += lap;
  if (base > ip && base > lap && distance(base - lap, ip) < distance(base, ip)) base -= lap;
  return distance(base, ip) < most && base + GATE_SIZE + MAILBOX_SIZE < user_end ? base : 0;
}

/* --- is it wanted? ----------------------------------------------------------------------------------------------- */

static bool is_settled(const struct gate *gate, tracee_addr ip) {
  for (uint32_t i = 0; i < gate->settled_count; i++)
    if (gate->settled[i] == ip) return true;
  return false;
}

struct gate *gate_of(struct process *process) {
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

/* NULL: no code of this tracee is to be changed, now or ever. */
static struct gate *changeable(const struct tracer *tracer, struct tracee *tracee) {
  if (tracee->tree->mode != TRAP_SECCOMP || !has_plan(tracee)) return NULL;
  struct gate *gate = gate_of(tracee->process);
  if (!gate || gate->closed || gate->users != 1 || tracee->process->references != 1) return NULL;
  if (tracee->gating != GATE_NOT_ASKED || tracee->muted || tracee->pausing || tracee->put_off) return NULL;
  if (!trap_plan_gates(tracee->tree->plan, tracee->stop.arch, tracee->stop.nr)) return NULL;
  if (tracer->features.foreign_proc) return NULL; /* the process could not be looked at */
  /* An older kernel lets signals, and our interruption, break a notification off. */
  return tracee->tree->listener < 0 || tracer->features.notify_wait_killable ? gate : NULL;
}

bool gate_is_wanted(const struct tracer *tracer, struct tracee *tracee) {
  struct gate *gate = changeable(tracer, tracee);
  if (!gate || is_settled(gate, tracee->stop.ip)) return false;
  bool now = tracer->options.gate == GATE_ALWAYS || gate->base;
  uint32_t due = gate->due ? gate->due : now ? 0 : CALLS_BEFORE;
  return ++gate->calls > due;
}

bool gate_wants_mailbox(const struct tracer *tracer, struct tracee *tracee, bool by_gate) {
  struct gate *gate = changeable(tracer, tracee);
  /* Children that are not followed would ask as well, and nobody would know. */
  if (!gate || gate->no_mailbox || tracee->tree->no_follow) return false;
  if (!trap_plan_has_mailboxes(tracee->tree->plan)) return false;
  bool wanted = by_gate ? !gate->mailbox : !is_settled(gate, tracee->stop.ip);
  return wanted && ++gate->calls > gate->due;
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
  struct mailbox *mailbox = parent->gate ? parent->gate->mailbox : NULL;
  if (clone_flags & CLONE_VM) {
    child->gate = gate_of(parent);
    if (child->gate) child->gate->users++;
    if (mailbox) mailbox_listen(mailbox, false); /* two could ask at once */
  } else if (parent->gate && gate_of(child)) {
    *child->gate = *parent->gate;
    child->gate->users = 1;
    child->gate->mailbox = NULL;
    child->gate->quick = 0;
    child->gate->switched_on |= mailbox != NULL;
    child->gate->foreign_page |= mailbox != NULL;
  }
  /* Do they share it? */
  if (clone_flags == 0 && gate_of(parent)) parent->gate->closed = true;
  if (clone_flags == 0 && gate_of(child)) child->gate->closed = true;
}

void gate_drop(struct process *process) {
  struct gate *gate = process->gate;
  process->gate = NULL;
  if (!gate || --gate->users > 0) return;
  mailbox_free(gate->mailbox);
  free(gate);
}

struct mailbox *gate_mailbox(const struct tracee *tracee) {
  struct mailbox *mailbox = tracee->process->gate ? tracee->process->gate->mailbox : NULL;
  return mailbox && mailbox->tracee == tracee ? mailbox : NULL;
}

void gate_leave(struct tracee *tracee) {
  struct mailbox *mailbox = gate_mailbox(tracee);
  tracee->asked = NULL;
  if (!mailbox) return;
  mailbox_listen(mailbox, false);
  mailbox->tracee = NULL;
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

/* Whether its code asks by mailbox. */
static bool set_switch(const struct tracer *tracer, struct tracee *tracee, bool on) {
  const uint32_t value = on;
  return overwrite(tracer, tracee, tracee->process->gate->base + GATE_SWITCH, &value, sizeof value);
}

void gate_begin(const struct tracer *tracer, struct tracee *tracee) {
  struct gate *gate = tracee->process->gate;
  if (!gate || !gate->switched_on) return;
  gate->switched_on = false;
  if (set_switch(tracer, tracee, false)) return;
  /* It would ask in its parent's name: then nobody asks. */
  for (struct mailbox *mailbox = tracer->mailboxes; mailbox; mailbox = mailbox->next) {
    mailbox_listen(mailbox, false);
    mailbox->tracee = NULL;
  }
}

/* The next free door, and the jump to it. 0: none is left, or it cannot be written. */
static tracee_addr put_door(const struct tracer *tracer, struct tracee *tracee, const struct gate_site *site) {
  struct gate *gate = tracee->process->gate;
  uint8_t body_code[GATE_BODY_SIZE], door_code[GATE_DOOR_SIZE], jump[ARCH_CALL_SIZE + GATE_MAX_NEXT];
  const tracee_addr door = gate_code_door_at(gate->base, gate->doors);
  const tracee_addr body = gate_code_body_at(gate->base, gate->doors);
  const struct gate_body wanted = trap_plan_gate_body(tracee->tree->plan, site->nr);
  int size = gate_code_body(&wanted, site, gate->base, gate->doors, body_code, sizeof body_code);
  if (size < 0 || gate->doors == GATE_DOORS || base_near(tracee, site->ip) != gate->base) return 0;
  gate_code_door(site, door, door_code);
  gate_code_jump(site, body + GATE_ENTRY, jump);
  if (!overwrite(tracer, tracee, body, body_code, (size_t)size) ||
      !overwrite(tracer, tracee, door, door_code, sizeof door_code) ||
      !overwrite(tracer, tracee, site->ip - ARCH_CALL_SIZE, jump, ARCH_CALL_SIZE + site->next_size))
    return 0;
  gate->sites[gate->doors++] = site->ip;
  gate->made = gate->doors;
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
  if (!find_door(tracer, tracee, gate_code_door_at(base, index), code)) return;
  gate_code_site(code, &site);
  gate_code_jump(&site, gate_code_body_at(base, index) + GATE_ENTRY, jump);
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
  if (gate->mailbox) mailbox_listen(gate->mailbox, false);
}

/* --- the visit --------------------------------------------------------------------------------------------------- */

void gate_abandon(struct tracee *tracee) {
  if (tracee->gate_visit) mailbox_free(tracee->gate_visit->mailbox);
  free(tracee->gate_visit);
  tracee->gate_visit = NULL;
  tracee->gating = GATE_NOT_ASKED;
}

/* Makes the tracee, which is coming out of the call, make another one from there. */
static bool make_call(struct tracee *tracee, uint64_t nr, const uint64_t args[6]) {
  struct gate_visit *visit = tracee->gate_visit;
  struct user_regs_struct call = visit->regs;
  call.rip -= ARCH_CALL_SIZE;
  call.orig_rax = ~0ull;
  call.rax = nr;
  call.rdi = args[0];
  call.rsi = args[1];
  call.rdx = args[2];
  call.r10 = args[3];
  call.r8 = args[4];
  call.r9 = args[5];
  if (!visit->masked && signal_mask_fill(tracee->tid, &visit->signal_mask)) return false;
  visit->masked = true;
  visit->nr = nr;
  visit->entered = false;
  return ptrace(PTRACE_SETREGS, tracee->tid, NULL, &call) == 0;
}

/* Elsewhere the number of our segment would be that of another, or of none. */
static bool has_our_segments(const struct tracee *tracee) {
  char path[64];
  struct stat ours, theirs;
  snprintf(path, sizeof path, "/proc/%d/ns/ipc", tracee->process->pid);
  if (stat("/proc/self/ns/ipc", &ours)) return errno == ENOENT; /* there are no such namespaces */
  return stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* What the program still has to do for us. False: nothing. */
static bool make_next_call(struct tracer *tracer, struct tracee *tracee) {
  struct gate_visit *visit = tracee->gate_visit;
  struct gate *gate = tracee->process->gate;
  if (!gate->base) {
    const uint64_t flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    return make_call(tracee, SYS_mmap, (uint64_t[6]){visit->base, GATE_SIZE, PROT_READ | PROT_EXEC, flags, ~0ull, 0});
  }
  if (!visit->wants_mailbox || gate->mailbox || gate->no_mailbox) return false;
  visit->mailbox = has_our_segments(tracee) ? mailbox_new(&tracer->mailboxes) : NULL;
  gate->no_mailbox = !visit->mailbox;
  const uint64_t flags = gate->foreign_page ? SHM_REMAP : 0, at = gate->base + GATE_SIZE;
  return visit->mailbox &&
         make_call(tracee, SYS_shmat, (uint64_t[6]){(uint64_t)visit->mailbox->id, at, flags, 0, 0, 0});
}

static void attach_mailbox(const struct tracer *tracer, struct tracee *tracee, bool attached) {
  struct gate_visit *visit = tracee->gate_visit;
  struct gate *gate = tracee->process->gate;
  if (!attached || !set_switch(tracer, tracee, true)) {
    gate->no_mailbox = true;
    return;
  }
  gate->mailbox = visit->mailbox;
  gate->mailbox->tracee = tracee;
  gate->mailbox->gate = gate;
  gate->foreign_page = false;
  visit->mailbox = NULL;
}

/* The registers are the program's again; it goes on behind the door's call instruction, if it has a door now. */
static enum gate_step finish(const struct tracer *tracer, struct tracee *tracee) {
  struct gate_visit *visit = tracee->gate_visit;
  if (visit->masked) {
    visit->regs.orig_rax = ~0ull; /* the call that it was in is over, and ours were none of its */
    signal_mask_set(tracee->tid, visit->signal_mask);
  }
  bool has_gate = tracee->process->gate->base && visit->count;
  tracee_addr door = has_gate ? put_doors(tracer, tracee, visit->sites, visit->count) : 0;
  if (door) visit->regs.rip = door + GATE_PASSED;
  if (door || visit->masked) ptrace(PTRACE_SETREGS, tracee->tid, NULL, &visit->regs);
  gate_abandon(tracee);
  return GATE_IS_FINISHED;
}

static enum gate_step next_step(struct tracer *tracer, struct tracee *tracee) {
  if (!make_next_call(tracer, tracee)) return finish(tracer, tracee);
  tracee->gating = GATE_CALLING;
  return GATE_NEXT_CALL;
}

/* Is there something to be changed, and can it be? */
static bool can_change(struct tracer *tracer, struct tracee *tracee) {
  struct gate_visit *visit = tracee->gate_visit;
  struct gate *gate = tracee->process->gate;
  struct user_regs_struct *regs = &visit->regs;
  tracee_addr ip = tracee->stop.ip;
  uint8_t code[GATE_DOOR_SIZE];
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, regs)) return false;
  /* A result that we have given is what it is. */
  bool fails =
      !tracee->skipped && (int64_t)regs->rax == -EINTR; /* since it was interrupted, as on a FUSE file system */
  if (fails) call_make_again(tracee);
  if (fails || call_is_restart((int64_t)regs->rax)) { /* it waits, and goes on to wait */
    delay(gate);
    return false;
  }
  if (gate->base && gate_has_trapped(tracee, regs->rip)) {
    visit->base = gate->base;
    return visit->wants_mailbox && find_door(tracer, tracee, regs->rip, code);
  }
  visit->base = base_near(tracee, ip);
  if (!gate_site_process_is_plain(tracer, tracee) ||
      (regs->rsp > visit->base && regs->rsp - visit->base < ROOM_FOR_STACK)) {
    gate->closed = true;
    return false;
  }
  bool is_here = visit->base && regs->rip == ip && regs->cs != ARCH_CS_32 && !is_settled(gate, ip);
  visit->count = is_here ? gate_site_find(tracer, tracee, ip, tracee->original_nr, visit->sites, SITES_AT_ONCE) : 0;
  if (visit->count == 0) settle(gate, ip);
  return visit->count > 0;
}

static enum gate_step interrupted(struct tracer *tracer, struct tracee *tracee) {
  tracee->gating = GATE_NOT_ASKED;
  tracee->gate_visit = calloc(1, sizeof *tracee->gate_visit);
  if (!tracee->gate_visit) return GATE_IS_FINISHED;
  tracee->gate_visit->wants_mailbox = tracee->wants_mailbox;
  tracee->wants_mailbox = false;
  if (can_change(tracer, tracee)) return next_step(tracer, tracee);
  gate_abandon(tracee);
  return GATE_IS_FINISHED;
}

/* A call of ours has come back. */
static enum gate_step called(struct tracer *tracer, struct tracee *tracee) {
  struct gate_visit *visit = tracee->gate_visit;
  struct gate *gate = tracee->process->gate;
  struct user_regs_struct regs;
  if (ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs)) {
    gate_abandon(tracee);
    return GATE_IS_FINISHED;
  }
  if (visit->nr == SYS_shmat) {
    attach_mailbox(tracer, tracee, regs.rax == gate->base + GATE_SIZE);
  } else if (regs.rax == visit->base) {
    gate->base = visit->base;
  } else {
    gate->closed = true;
    return finish(tracer, tracee);
  }
  return next_step(tracer, tracee);
}

enum gate_step gate_stop(struct tracer *tracer, struct tracee *tracee, struct wait_meaning meaning) {
  if (tracee->gating == GATE_ASKED) {
    if (meaning.kind == WAIT_EVENT_STOP && !tracee->pausing && !tracee->muted) return interrupted(tracer, tracee);
    tracee->gating = GATE_NOT_ASKED;
    return GATE_IS_NOT_IT;
  }
  if (meaning.kind != WAIT_SYSCALL) {
    /* SIGSTOP, or an interruption, before the call has begun: it comes where the program is, by its own registers. */
    signal_mask_set(tracee->tid, tracee->gate_visit->signal_mask);
    ptrace(PTRACE_SETREGS, tracee->tid, NULL, &tracee->gate_visit->regs);
    gate_abandon(tracee);
    delay(tracee->process->gate);
    return GATE_IS_NOT_IT;
  }
  if (tracee->gate_visit->entered) return called(tracer, tracee);
  tracee->gate_visit->entered = true;
  return GATE_NEXT_CALL;
}

/* --- signals ----------------------------------------------------------------------------------------------------- */

/* Is it in the midst of a question: what has not been answered may be asked anew? */
static bool is_asking(const struct tracee *tracee, tracee_addr ip) {
  uint32_t offset = offset_in_gate(tracee, ip);
  if (offset < GATE_DOORS_SIZE || offset >= GATE_SWITCH) return false;
  return (offset - GATE_DOORS_SIZE) % GATE_BODY_SIZE < GATE_CONSUMED;
}

enum gate_question gate_settle_question(const struct tracer *tracer, struct tracee *tracee, int signal) {
  struct mailbox *mailbox = gate_mailbox(tracee);
  struct user_regs_struct regs;
  uint8_t code[GATE_DOOR_SIZE];
  if (!mailbox || ptrace(PTRACE_GETREGS, tracee->tid, NULL, &regs)) return GATE_NO_QUESTION;
  const enum mailbox_state answer = mailbox_is_answered(mailbox) ? mailbox->answer : MAILBOX_EMPTY;
  if (answer == MAILBOX_EMPTY && !is_asking(tracee, regs.rip)) return GATE_NO_QUESTION;
  const tracee_addr door = find_door(tracer, tracee, regs.rip, code);
  if (!door) return GATE_NO_QUESTION;
  struct gate_site site;
  gate_code_site(code, &site);
  regs.orig_rax = ~0ull;
  regs.rax = answer == MAILBOX_RESULT ? (uint64_t)mailbox->page->result : site.nr;
  const bool waits = signal && answer != MAILBOX_RESULT && call_put_off(tracee, signal);
  if (waits)
    regs.rip = door + GATE_MENDED;
  else if (answer == MAILBOX_EMPTY)
    regs.rip = gate_code_body_at(tracee->process->gate->base, door_at(offset_in_gate(tracee, door))) + GATE_ENTRY;
  else
    regs.rip = door + GATE_PASSED - (answer == MAILBOX_GO_ON ? ARCH_CALL_SIZE : 0);
  if (answer == MAILBOX_EMPTY) tracee->phase = PHASE_OUTSIDE; /* its next call is not the last one again */
  /* To go on is the answer to the notification, too, that comes now. */
  if (!waits || answer == MAILBOX_EMPTY) mailbox_clear(mailbox);
  ptrace(PTRACE_SETREGS, tracee->tid, NULL, &regs);
  return waits ? GATE_SIGNAL_WAITS : GATE_SETTLED;
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
