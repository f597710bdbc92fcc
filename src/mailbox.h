/*
 * mailbox.h - memory that a traced program shares with the tracer, by which it asks about a call without being trapped.
 *
 * Who is trapped sleeps, and the tracer wakes; then the other way round: two switches between processes for a question
 * that is answered in less time than either. A program that asks often, while the tracer has a processor of its own to
 * look out from, asks by mailbox: it writes down the call and looks for the answer.
 *
 *                     tracer takes                     tracer answers
 *   EMPTY --> ASKED ----------------> TAKEN -----------------------------> GO_ON or RESULT --> EMPTY
 *     ^         |                       |
 *     +---------+ program gives up      +--> the program is trapped (it has looked for long enough, and sleeps):
 *                                            the notification is of the call that was taken
 *
 * The program's side is code of a gate (gate_code.c), which asks only while `listens` is 1. The tracer's side trusts
 * nothing of what stands there: the program could have written it, and gains nothing that it could not by its calls.
 *
 * Knows nothing of tracees but who owns a mailbox.
 */
#ifndef LUATRACE_MAILBOX_H
#define LUATRACE_MAILBOX_H

#include "tracer.h" /* tracee_addr */

struct gate;

enum mailbox_state { MAILBOX_EMPTY = 0, MAILBOX_ASKED, MAILBOX_TAKEN, MAILBOX_GO_ON, MAILBOX_RESULT };

/* What is shared. */
struct mailbox_page {
  _Atomic uint32_t state;
  _Atomic uint32_t listens; /* the tracer looks at it, or will soon */
  uint64_t nr;              /* the lower half */
  uint64_t args[6];
  tracee_addr ip; /* the program's own, behind its call instruction */
  tracee_addr sp;
  int64_t result;
};

struct mailbox {
  struct mailbox *next, **at; /* in the list of the tracer's */
  struct mailbox_page *page;
  struct tracee *tracee; /* whose it is; NULL: he is gone */
  struct gate *gate;     /* of his memory */
  int id;                /* for shmat(2) */
  enum mailbox_state answer;
};

/* A segment of System V shared memory: to attach it takes one call, and no descriptor that the program could see. NULL:
 * there is none to be had. It goes with the last who has attached it. */
struct mailbox *mailbox_new(struct mailbox **list);
/* NULL is allowed. */
void mailbox_free(struct mailbox *mailbox);

/* Will anybody take what is asked? Whoever says no looks for a question once more before he sleeps. */
void mailbox_listen(struct mailbox *mailbox, bool listens);
bool mailbox_is_asked(const struct mailbox *mailbox);
/* False: it has been taken back. */
bool mailbox_take(struct mailbox *mailbox);
/* One of these answers what was taken. */
void mailbox_go_on(struct mailbox *mailbox);
void mailbox_return(struct mailbox *mailbox, int64_t result);
/* Has it been answered, and nobody has seen the answer yet? */
bool mailbox_is_answered(const struct mailbox *mailbox);
/* The question, or its answer, goes another way. */
void mailbox_clear(struct mailbox *mailbox);

#endif
