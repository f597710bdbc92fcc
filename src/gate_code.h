/*
 * gate_code.h - the machine code of a gate: what a program runs in the place of a call instruction, to compare the call's
 * paths with a sieve by itself (gate.c puts it there).
 *
 * A gate is one mapping, of a size that never changes, at an address whose lower half the plan's filter knows. It begins
 * with a page of doors, one for each call instruction that was replaced; the code that looks at paths comes behind. A
 * door has two call instructions: the filter lets pass what comes out of the first, for which no rule can be; the second
 * is trapped like any other. Both go back to where the program's own instruction would have gone.
 *
 * The code uses what a call instruction clobbers anyway (rax, rcx, r11) and the flags, and no stack: a signal may come
 * at any place. In doubt it takes the second door: of a path that has parts for Lua to clean, of one without an end. What
 * cannot be read faults; the fault is the tracer's to mend (GATE_MENDED).
 *
 * Before the second door there may be a question by mailbox (mailbox.h), which costs less than to be trapped: whether
 * there is one says a word of the gate, the switch, which is of the process alone when the mailbox is shared by a fork.
 *
 * Pure: knows nothing of tracees.
 */
#ifndef LUATRACE_GATE_CODE_H
#define LUATRACE_GATE_CODE_H

#include "path_sieve.h"
#include "tracer.h" /* tracee_addr */

enum {
  GATE_DOOR_SIZE = 64,
  GATE_DOORS = 64,
  GATE_DOORS_SIZE = GATE_DOORS * GATE_DOOR_SIZE,
  GATE_BODY_SIZE = 1280,
  GATE_SWITCH = GATE_DOORS_SIZE + GATE_DOORS * GATE_BODY_SIZE,
  GATE_SIZE = GATE_SWITCH + 4096, /* the mailbox comes behind it */
  GATE_MAX_NEXT = 8,              /* the longest instruction that may follow a call and be moved */
  /* Within a door: */
  GATE_PASSED = 2,   /* behind the call that the filter lets pass */
  GATE_MENDED = 24,  /* sets the call's number, and makes the call that is trapped */
  GATE_TRAPPED = 31, /* behind that one */
  GATE_NEXT = 55,    /* the size of what stood behind the program's own call instruction... */
  GATE_SITE = 56,    /* ...and the address of that */
  /* Within a body: */
  GATE_ANSWERED = 176,                /* what is done with an answer... */
  GATE_CONSUMED = GATE_ANSWERED + 15, /* ...from when on the mailbox is empty, and this is no question any more */
  GATE_ENTRY = 224                    /* where the program comes in */
};

/* A call instruction of the program: `syscall` and what follows it. */
struct gate_site {
  tracee_addr ip;              /* behind the call instruction, as stops tell it */
  uint64_t nr;                 /* the call that is made there */
  uint8_t next[GATE_MAX_NEXT]; /* the instruction at `ip`... */
  uint8_t next_size;           /* ...is replaced, too */
};

/* Is this a call instruction (`syscall`, two bytes)? */
bool gate_code_is_call(const uint8_t *code);
/* The size of the instruction at `code`, if it may follow a call, be moved elsewhere, and makes room for a jump; else 0. */
uint8_t gate_code_next_size(const uint8_t *code, size_t size);
/* May some instruction in `code` jump to one of the bytes from `first` up to before `end`? Bytes that only look like a
 * jump count as one. Offsets may lie outside of the code. */
bool gate_code_is_jumped_to(const uint8_t *code, int64_t size, int64_t first, int64_t end);

/* Where door number `index` of a gate at `base` is, and the body that leads to it. */
static inline tracee_addr gate_code_door_at(tracee_addr base, uint32_t index) { return base + index * GATE_DOOR_SIZE; }
static inline tracee_addr gate_code_body_at(tracee_addr base, uint32_t index) {
  return base + GATE_DOORS_SIZE + index * GATE_BODY_SIZE;
}
/* What a body is for. */
struct gate_body {
  const struct path_sieve *sieve; /* the call's paths; NULL: it is not let pass, whatever they are */
  bool asks;                      /* by mailbox, if there is one */
};
/* The code that looks at the call of a site. Its size; -E2BIG when `size` is too small for it. */
int gate_code_body(const struct gate_body *body, const struct gate_site *site, tracee_addr base, uint32_t index,
                   uint8_t *code, size_t size);
/* The door of a site. */
void gate_code_door(const struct gate_site *site, tracee_addr door, uint8_t code[GATE_DOOR_SIZE]);
/* The site of such a door, as far as its code is concerned. */
void gate_code_site(const uint8_t door[GATE_DOOR_SIZE], struct gate_site *site);
/* What stands in the program in the place of the call instruction and the next one: 2 + next_size bytes. */
void gate_code_jump(const struct gate_site *site, tracee_addr body, uint8_t *code);
/* What stood there: as many bytes. */
void gate_code_original(const struct gate_site *site, uint8_t *code);

#endif
