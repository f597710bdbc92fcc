#include "attention.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "affinity.h"
#include "gate.h"
#include "mailbox.h"
#include "sieve_workers.h"
#include "trap_plan.h"
#include "waiting.h" /* waiting_wake_elsewhere */

enum {
  QUICK_NANOSECONDS = 100000, /* "soon": between two notifications, with what is done between them */
  QUICK_BEFORE = 32,          /* so many are worth attention: it has to be paid for */
  AVERAGE = 32,               /* the time between them, of about so many */
  LOOKS = 5000,               /* without a question, until the tracer sleeps: some 100 us... */
  LOOKS_BEFORE_GLANCE = 500,  /* ...and until it looks at something else: who does not ask may be stopped, or trapped */
  TURNS = 64,                 /* questions until it looks at something else */
  LUCK = 64,                  /* what it has at the beginning, and at most... */
  LOSS = 8,                   /* ...of which looking in vain takes so much, and a question gives 1 */
  /* Both processors work all the time: that is worth it where questions take less time than notifications by far. A
   * handler that itself takes longer gains little. */
  GAIN_OF = 4,
  GAIN_TIME = 3, /* four questions in the time of three notifications */
  SLOW_TIMES = 3,
  LONG_SLEEP = 1000000, /* nanoseconds, after which a processor is asleep, too */
  CROWD_NANOSECONDS = 5000000,
  CROWD_SHARE = 8, /* who waits for a processor for such a part of that time has to share it with somebody */
  /* What has been in vain is not tried again for a while, twice as long each time, until it has been worth while. A trial
   * takes some milliseconds. */
  FIRST_PAUSE = 10000000,
  MOST_PAUSES = 5,
  WORTH_WHILE = 15000000,
  BUSY_PAUSE = 1000000,
  MOST_BUSY_PAUSES = 4
};

/* --- is it worth while? ------------------------------------------------------------------------------------------ */

/* Does everybody who runs now, besides us and the tracee that waits for us, leave two processors free? An unfair share
 * of one is worth less than to be woken. */
static bool processors_are_free(void) {
  char line[64];
  cpu_set_t mask;
  unsigned running;
  int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  ssize_t got = read(fd, line, sizeof line - 1);
  close(fd);
  if (got <= 0 || sched_getaffinity(0, sizeof mask, &mask)) return true;
  line[got] = 0;
  return sscanf(line, "%*s %*s %*s %u/", &running) != 1 || running + 1 <= (unsigned)CPU_COUNT(&mask);
}

/* Nanoseconds that we and whoever asks have waited for a processor. */
static uint64_t waiting_time(const struct attention *attention) {
  return affinity_waiting_time(gettid()) + affinity_waiting_time(attention->asker);
}

static bool is_crowded(struct attention *attention, uint64_t now) {
  uint64_t time = now - attention->look_time;
  if (time < CROWD_NANOSECONDS) return false;
  uint64_t before = attention->waited;
  attention->waited = waiting_time(attention);
  attention->look_time = now;
  return attention->waited > before && attention->waited - before > time / CROWD_SHARE;
}

/* After so many questions as make a turn. */
static bool is_slow(struct attention *attention, uint64_t now) {
  uint64_t time = now - attention->turn_time;
  bool slow = attention->no_pause && time * GAIN_OF > attention->interval * TURNS * GAIN_TIME;
  if (attention->no_pause) attention->slow_times = slow ? attention->slow_times + 1 : 0;
  return attention->slow_times >= SLOW_TIMES;
}

static void begin_turn(struct attention *attention, uint64_t now) {
  attention->turns = 0;
  attention->turn_time = now;
  attention->no_pause = true;
}

static bool can_be_asked(const struct mailbox *mailbox) {
  return mailbox->tracee && mailbox->gate->users == 1 && mailbox->tracee->process->references == 1 &&
         !mailbox->gate->closed;
}

/* --- awake and asleep -------------------------------------------------------------------------------------------- */

/* Whoever is answered now comes to our processor, which we leave to him afterwards. Woken from afar, when processors have
 * slept for long, he might come to ours as well, and we would look out there for what he cannot ask. */
static void prepare_to_move(struct tracer *tracer) {
  tracer->attention.moves = true;
  waiting_wake_elsewhere(tracer, false);
}

static bool move_away(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  cpu_set_t others = attention->mask;
  int cpu = sched_getcpu();
  attention->moves = false;
  waiting_wake_elsewhere(tracer, true);
  if (cpu < 0 || cpu >= CPU_SETSIZE) return false;
  CPU_CLR(cpu, &others);
  return CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0;
}

static void listen(struct tracer *tracer, bool listens) {
  for (struct mailbox *mailbox = tracer->mailboxes; mailbox; mailbox = mailbox->next)
    mailbox_listen(mailbox, listens && can_be_asked(mailbox));
}

static void begin(struct tracer *tracer, const struct tracee *tracee, uint64_t now) {
  struct attention *attention = &tracer->attention;
  attention->never = sched_getaffinity(0, sizeof attention->mask, &attention->mask) || CPU_COUNT(&attention->mask) < 2;
  if (attention->never) return;
  attention->awake = true;
  attention->looks = 0;
  attention->sleep_time = 0;
  begin_turn(attention, now);
  attention->busy_pauses = 0;
  attention->luck = LUCK;
  attention->slow_times = 0;
  attention->began = attention->look_time = now;
  attention->interval = tracee->process->gate->interval;
  attention->asker = tracee->tid;
  attention->waited = waiting_time(attention);
}

void attention_end(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!attention->awake) return;
  attention->awake = attention->moves = false;
  listen(tracer, false);
  sched_setaffinity(0, sizeof attention->mask, &attention->mask);
  waiting_wake_elsewhere(tracer, false);
}

static void end_in_vain(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  uint64_t now = tracer_now();
  attention_end(tracer);
  if (now - attention->began > WORTH_WHILE) attention->pauses = 0;
  attention->not_before = now + ((uint64_t)FIRST_PAUSE << attention->pauses);
  if (attention->pauses < MOST_PAUSES) attention->pauses++;
}

/* --- the ways in ------------------------------------------------------------------------------------------------- */

static void note_interval(struct gate *gate, uint64_t now) {
  uint64_t interval = now - gate->last;
  gate->last = now;
  if (interval >= QUICK_NANOSECONDS) {
    gate->quick = 0;
    return;
  }
  gate->interval = gate->quick++ ? gate->interval - gate->interval / AVERAGE + interval / AVERAGE : interval;
}

static bool is_quick(const struct tracer *tracer, const struct gate *gate) {
  return tracer->options.gate == GATE_ALWAYS || gate->quick >= QUICK_BEFORE;
}

static bool may_begin(const struct attention *attention, uint64_t now) {
  return attention->awake || now >= attention->not_before;
}

/* Costs more than a glance at the clock: last. */
static bool has_room(struct tracer *tracer, uint64_t now) {
  struct attention *attention = &tracer->attention;
  if (tracer->options.gate == GATE_ALWAYS || processors_are_free()) return true;
  attention->not_before = now + ((uint64_t)BUSY_PAUSE << attention->busy_pauses);
  if (attention->busy_pauses < MOST_BUSY_PAUSES) attention->busy_pauses++;
  return false;
}

void attention_note(struct tracer *tracer, struct tracee *tracee, bool by_gate) {
  struct attention *attention = &tracer->attention;
  if (attention->never || tracer->options.no_shared_cpu) return;
  if (tracer->affinity.shared || sieve_workers_are_awake(tracer)) return;
  struct gate *gate = trap_plan_gate(tracee->tree->plan) ? gate_of(tracee->process) : NULL;
  if (!gate) return;
  uint64_t now = tracee->stop.time;
  note_interval(gate, now);
  const bool quick = is_quick(tracer, gate), may = may_begin(attention, now);
  struct mailbox *mailbox = gate_mailbox(tracee);
  if (!by_gate || !mailbox) {
    /* The first place is changed while all processors are busy, too: they may not be when it is needed. */
    bool wants = quick && (may || !mailbox) && gate_wants_mailbox(tracer, tracee, by_gate);
    tracee->asks_gate = tracee->wants_mailbox = wants;
  } else if (!attention->awake && quick && may && can_be_asked(mailbox) && has_room(tracer, now)) {
    begin(tracer, tracee, now);
    prepare_to_move(tracer);
  }
  if (!attention->awake || !mailbox || !can_be_asked(mailbox)) return;
  if (attention->sleep_time && now - attention->sleep_time > LONG_SLEEP) prepare_to_move(tracer);
  attention->sleep_time = 0;
  attention->looks = 0;
  mailbox_listen(mailbox, true); /* before it is answered: it may ask again before we look */
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
    if (++attention->looks % LOOKS_BEFORE_GLANCE == 0) return NULL;
    __builtin_ia32_pause();
  }
  listen(tracer, false);
  attention->looks = 0;
  return look(tracer);
}

void attention_note_late_answer(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (attention->awake) attention->luck -= 2 * LOSS; /* he has looked for it in vain, and we for another question */
}

struct mailbox *attention_wait(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!attention->awake || ++attention->turns >= TURNS) return NULL;
  if (attention->moves && !move_away(tracer)) {
    end_in_vain(tracer);
    return NULL;
  }
  struct mailbox *mailbox = look_for_a_while(tracer);
  if (mailbox) {
    attention->luck += attention->luck < LUCK;
    attention->looks = 0;
    return mailbox;
  }
  attention->no_pause = false;
  if (attention->looks) {
    attention->turns = TURNS; /* for a glance */
    return NULL;
  }
  attention->luck -= LOSS;
  attention->sleep_time = tracer_now();
  if (attention->luck <= 0) end_in_vain(tracer);
  return NULL;
}

bool attention_glances(struct tracer *tracer) {
  struct attention *attention = &tracer->attention;
  if (!attention->awake || attention->turns < TURNS) return false;
  uint64_t now = tracer_now();
  bool slow = tracer->options.gate != GATE_ALWAYS && is_slow(attention, now);
  if (attention->luck <= 0 || slow || is_crowded(attention, now)) end_in_vain(tracer);
  begin_turn(attention, now);
  return attention->awake;
}
