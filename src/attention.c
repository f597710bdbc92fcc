#include "attention.h"

#include <sched.h>
#include <sys/resource.h>

#include "backend_notify.h" /* notify_wake_here */
#include "gate.h"
#include "mailbox.h"
#include "sieve_workers.h"
#include "trap_plan.h"

enum {
  QUICK_NANOSECONDS = 100000, /* "soon": between two notifications, with what is done between them */
  QUICK_BEFORE = 32,          /* so many are worth attention: it has to be paid for... */
  MOST_DELAYS = 10,           /* ...and twice as many each time that it did not pay, so often */
  LOOKS = 5000,               /* without a question, until the tracer sleeps: some 100 us... */
  LOOKS_BEFORE_GLANCE = 500,  /* ...and until it looks at something else: who does not ask may be stopped, or trapped */
  TURNS = 64,                 /* questions until it looks at something else */
  LUCK = 64,                  /* what it has at the beginning, and at most... */
  LOSS = 8,                   /* ...of which looking in vain takes so much, and a question gives 1 */
  CROWD_NANOSECONDS = 20000000,
  CROWD_SWITCHES = 4 /* in that time: somebody else has had this processor */
};

/* --- is it worth while? ------------------------------------------------------------------------------------------ */

static uint64_t times_displaced(void) {
  struct rusage usage = {0};
  getrusage(RUSAGE_THREAD, &usage);
  return (uint64_t)usage.ru_nivcsw;
}

static bool is_crowded(struct attention *attention, uint64_t now) {
  if (now - attention->look_time < CROWD_NANOSECONDS) return false;
  uint64_t displaced = times_displaced(), times = displaced - attention->displaced;
  /* A longer time ago it was for other reasons. */
  bool crowded = times > CROWD_SWITCHES && now - attention->look_time < 2 * (uint64_t)CROWD_NANOSECONDS;
  attention->look_time = now;
  attention->displaced = displaced;
  return crowded;
}

static bool can_be_asked(const struct mailbox *mailbox) {
  return mailbox->tracee && mailbox->gate->users == 1 && mailbox->tracee->process->references == 1 &&
         !mailbox->gate->closed;
}

/* --- awake and asleep -------------------------------------------------------------------------------------------- */

/* Away from the processor on which we, and so whoever we answer, are now. */
static bool move_away(struct attention *attention) {
  cpu_set_t others;
  int cpu = sched_getcpu();
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof attention->mask, &attention->mask)) return false;
  others = attention->mask;
  CPU_CLR(cpu, &others);
  return CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0;
}

static void listen(struct tracer *tracer, bool listens) {
  for (struct mailbox *mailbox = tracer->mailboxes; mailbox; mailbox = mailbox->next)
    mailbox_listen(mailbox, listens && can_be_asked(mailbox));
}

static void begin(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!move_away(attention)) {
    attention->never = true;
    return;
  }
  for (struct tree *tree = tracer->trees; tree; tree = tree->next) {
    if (tree->listener < 0) continue;
    tree->wakes_elsewhere = true;
    notify_wake_here(tree->listener, false);
  }
  attention->awake = true;
  attention->luck = LUCK;
  attention->turns = attention->looks = 0;
  attention->look_time = tracer_now();
  attention->displaced = times_displaced();
}

void attention_end(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!attention->awake) return;
  attention->awake = false;
  listen(tracer, false);
  sched_setaffinity(0, sizeof attention->mask, &attention->mask);
}

static void end_in_vain(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  attention_end(tracer);
  if (attention->delays < MOST_DELAYS) attention->delays++;
}

/* --- the ways in ------------------------------------------------------------------------------------------------- */

void attention_note(struct tracer *tracer, struct tracee *tracee, bool by_gate) {
  struct attention *attention = &tracer->attention;
  if (attention->never || tracer->options.no_shared_cpu) return;
  if (tracer->affinity.shared || sieve_workers_are_awake(tracer)) return;
  struct gate *gate = trap_plan_gate(tracee->tree->plan) ? gate_of(tracee->process) : NULL;
  if (!gate) return;
  uint64_t now = tracee->stop.time;
  gate->quick = now - gate->last < QUICK_NANOSECONDS ? gate->quick + 1 : 0;
  gate->last = now;
  if (tracer->options.gate != GATE_ALWAYS && gate->quick < (uint32_t)QUICK_BEFORE << attention->delays) return;
  if (gate->mailbox && gate->mailbox->tracee == tracee && by_gate) {
    if (!attention->awake && can_be_asked(gate->mailbox)) begin(tracer);
    /* Before it is answered: it may ask again before we look. */
    if (attention->awake) mailbox_listen(gate->mailbox, can_be_asked(gate->mailbox));
    return;
  }
  tracee->asks_gate = tracee->wants_mailbox = gate_wants_mailbox(tracer, tracee, by_gate);
}

static struct mailbox *look(struct tracer *tracer) {
  for (struct mailbox *mailbox = tracer->mailboxes; mailbox; mailbox = mailbox->next)
    if (mailbox_is_asked(mailbox) && mailbox->tracee && mailbox->tracee->state == TRACEE_RUNNING &&
        mailbox_take(mailbox))
      return mailbox;
  return NULL;
}

static struct mailbox *look_for_a_while(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  listen(tracer, true);
  while (attention->looks < LOOKS) {
    struct mailbox *mailbox = look(tracer);
    if (mailbox) return mailbox;
    if (++attention->looks % LOOKS_BEFORE_GLANCE == 0) {
      attention->turns = TURNS;
      return NULL;
    }
    __builtin_ia32_pause();
  }
  listen(tracer, false);
  struct mailbox *mailbox = look(tracer);
  if (!mailbox) attention->luck -= LOSS;
  attention->looks = 0;
  return mailbox;
}

struct mailbox *attention_wait(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!attention->awake || ++attention->turns >= TURNS) return NULL;
  struct mailbox *mailbox = look_for_a_while(tracer);
  if (mailbox) {
    attention->luck += attention->luck < LUCK;
    attention->looks = 0;
  }
  if (attention->luck <= 0) end_in_vain(tracer);
  return mailbox;
}

bool attention_glances(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!attention->awake || attention->turns < TURNS) return false;
  attention->turns = 0;
  if (is_crowded(attention, tracer_now())) end_in_vain(tracer);
  return attention->awake;
}
