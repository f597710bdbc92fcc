/*
 * gate.h - gates: calls whose paths no rule can match are let go by the program itself, without waking the tracer.
 *
 * A program that opens hundreds of files while a rule waits for one of another name pays for each with a notification or
 * a stop. When such a call has come from the same place again and again, that place is changed, once: its call
 * instruction becomes a jump to code (gate_code.h) in a mapping of its own, the gate, which compares the path there and
 * lets the call go past the filter, or traps it like before. Afterwards it costs what the comparison costs.
 *
 * Changing code is safe only while nobody can be in the midst of it, and right only while nobody could tell the
 * difference. In doubt a place stays as it is: in a process with threads or shared memory, under a filter of the
 * program's own, where some jump leads to behind the call instruction, or a signal handler has been called from there.
 *
 * When a second thread is made, the program gets its own instructions back: what unwinds the stack of a thread that is
 * cancelled there knows nothing of gates, and would call no destructor.
 *
 * The change is made when the tracee comes out of the call: it is interrupted (PTRACE_INTERRUPT), maps the gate if the
 * process has none, and goes on behind the door's call instruction instead of its own.
 *
 * Calls that a handler is to see, and that come quickly, are asked about by mailbox (mailbox.h), from the same code.
 */
#ifndef LUATRACE_GATE_H
#define LUATRACE_GATE_H

#include "stop.h"
#include "tracee.h"

/* What is known of a process's gate, or of why it has none; NULL when memory runs out. */
struct gate *gate_of(struct process *process);
/* The call that the tracee is in has been ruled out: shall it not be asked about there any more? Counts. */
bool gate_is_wanted(const struct tracer *tracer, struct tracee *tracee);
/* The tracee is held by a notification, and such come quickly: shall it ask by mailbox? Then gate_ask comes when the call
 * is let go. */
bool gate_wants_mailbox(const struct tracer *tracer, struct tracee *tracee, bool by_gate);
/* The mailbox by which the tracee itself may ask; NULL: there is none. */
struct mailbox *gate_mailbox(const struct tracee *tracee);
/* Asks for the stop at which the code is changed; the call is then let go. Of the tracer's thread alone. */
void gate_ask(struct tracee *tracee);

enum gate_step {
  GATE_IS_NOT_IT,  /* a stop like any other */
  GATE_NEXT_CALL,  /* it goes on to the next stop of a system call, which is ours, too */
  GATE_IS_FINISHED /* it goes on */
};
/* A tracee for which a gate was asked has stopped. */
enum gate_step gate_stop(struct tracer *tracer, struct tracee *tracee, struct wait_meaning meaning);
/* A signal: is it the gate's own fault, at a path that cannot be read? Then it is not delivered; the call is made. */
bool gate_mends(const struct tracer *tracer, struct tracee *tracee, int signal);
/* Forgets what was asked for. */
void gate_abandon(struct tracee *tracee);
/* What a child of `parent`, born by a clone with these flags (0: unknown), has of the gate. */
void gate_inherit(struct process *child, struct process *parent, uint64_t clone_flags);
/* The tracee makes a thread: its process has no gate any more. */
void gate_take_back(const struct tracer *tracer, struct tracee *tracee);
/* A child's first stop: what its parent's gate had of the parent's own is put right in its copy. */
void gate_begin(const struct tracer *tracer, struct tracee *tracee);
/* The tracee is gone, its memory perhaps not. */
void gate_leave(struct tracee *tracee);
/* It has other memory from now on, or is gone. */
void gate_drop(struct process *process);
/* A signal is delivered: where the tracee is now, a handler will return to. */
void gate_note_return(const struct tracer *tracer, struct tracee *tracee);

enum gate_question {
  GATE_NO_QUESTION,
  GATE_SETTLED,     /* has been answered, or will be asked again */
  GATE_SIGNAL_WAITS /* the signal has been put off until the tracee is in its call, which is trapped now */
};
/* The tracee is at a stop, with this signal (0: none): what becomes of a question by mailbox that it is in the midst of? A
 * signal is to find the tracee in the call that it has begun: before it, a call that waits would wait for ever. */
enum gate_question gate_settle_question(const struct tracer *tracer, struct tracee *tracee, int signal);

/* Was the call behind `ip` let pass by the filter, since no rule is for it? */
bool gate_has_passed(const struct tracee *tracee, tracee_addr ip);
/* Is this behind the second call of a door? */
bool gate_has_trapped(const struct tracee *tracee, tracee_addr ip);
/* An address within the gate is, as seen by the program, that behind its own call instruction. Others stay. */
tracee_addr gate_program_ip(const struct tracer *tracer, struct tracee *tracee, tracee_addr ip);

#endif
