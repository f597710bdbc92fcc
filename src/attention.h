/*
 * attention.h - when the tracer looks at mailboxes (mailbox.h), and how long without sleeping.
 *
 * A mailbox is worth having only while its owner runs on one processor and the tracer on another, awake, which costs
 * that processor. So the tracer begins when notifications of one process come one soon after the other, and moves away
 * from that process's processor. It ends when too little comes, or when somebody else wants the processor.
 *
 * While it looks, the descriptors and statuses of waiting.c are looked at now and then; and before it sleeps, mailboxes
 * are shut, so that nobody asks there in vain.
 */
#ifndef LUATRACE_ATTENTION_H
#define LUATRACE_ATTENTION_H

#include "tracee.h"

struct mailbox;

/* A notification of this tracee is about to be handed out: perhaps this is the time to ask by mailbox. `by_gate`: it
 * comes from code that could. */
void attention_note(struct tracer *tracer, struct tracee *tracee, bool by_gate);
/* A question has been taken, but who asked was trapped before it was answered. */
void attention_note_late_answer(struct tracer *tracer);
/* Looks at the mailboxes for a moment. One in which a question has been taken; NULL: there is none, or something else has
 * to be looked at first (attention_glances). */
struct mailbox *attention_wait(struct tracer *tracer);
/* Shall the tracer only glance at what it would otherwise wait for? */
bool attention_glances(struct tracer *tracer);
/* From now on it sleeps again while it waits: mailboxes are shut, and it has its processors back. */
void attention_end(struct tracer *tracer);

#endif
