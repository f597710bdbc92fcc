/*
 * tracer.h - what the core's files share: the boundary (api.h) as C, and the tracer that owns all tracees.
 *
 * This is the only file that includes api.h. The tracer owns its tracees and its trees (one per spawn or attach);
 * nothing here calls ptrace: that is backend_ptrace.c.
 */
#ifndef LUATRACE_TRACER_H
#define LUATRACE_TRACER_H

#include <sched.h>     /* cpu_set_t */
#include <signal.h>    /* struct sigaction, NSIG */
#include <stdbool.h>   /* bool */
#include <stddef.h>    /* size_t */
#include <stdint.h>    /* the types of api.h */
#include <sys/types.h> /* pid_t */

#include "api.h"

struct tracee;
struct launch;
struct waiting;
struct printer;
struct sieve_workers;
struct notified_call;
struct gate_lore;
struct mailbox;

/* One spawned or attached program and all its descendants. */
struct tree {
  struct tree *next;
  uint32_t number;
  uint32_t mode; /* enum trap_mode */
  bool attached;
  bool no_follow;
  pid_t root;             /* pid of the root process */
  uint32_t alive;         /* tracees alive */
  struct trap_plan *plan; /* borrowed */
  int listener;           /* -1: none */
  uint64_t received;      /* notifications */
  bool wakes_elsewhere;   /* who is answered runs where he ran before: waiting.c */
  struct launch *launch;  /* until the root has exec'ed, and of one that could not; or NULL */
};

/* How a processor was used up to a moment, in nanoseconds. */
struct affinity_look {
  uint64_t time;
  uint64_t ours;
  uint64_t idle;
};

/* A lone tracee on the tracer's own processor: affinity.c. */
struct affinity {
  bool over;   /* not, or not any more */
  bool shared; /* everybody runs on `cpu` */
  int cpu;
  uint32_t stops;
  struct affinity_look look;
  uint64_t family_time, family_waited;
  cpu_set_t tracer_mask, tracee_mask; /* what they were */
};

/* Descriptors that are waited for besides the tracees: watched.c. */
struct watched {
  struct tracer_watched *list;   /* the caller's */
  struct tracer_watched *polled; /* a copy, the signalfd first */
  uint32_t count, size;
  uint32_t stops; /* since the last look */
  int signals;    /* the signalfd; open when there is a copy */
  bool ready;
};

/* The tracer, awake for mailboxes: attention.c. */
struct attention {
  bool never; /* there is only one processor */
  bool awake;
  bool moves;                 /* to another processor, when whoever is held has been let go */
  int32_t luck;               /* 0: it sleeps again */
  uint32_t looks;             /* in vain, since there was a question */
  uint64_t sleep_time;        /* since when it has slept after them; 0: it has not */
  uint32_t turns;             /* since it looked at something else... */
  uint64_t turn_time;         /* ...which was then... */
  bool no_pause;              /* ...and since when a question has come at each look */
  uint32_t slow_times;        /* turns, one after the other, that took too long */
  uint64_t interval;          /* nanoseconds from one notification to the next, before it began... */
  uint64_t began;             /* ...which was then */
  uint32_t pauses;            /* how often it has been in vain... */
  uint32_t busy_pauses;       /* ...or all processors were busy... */
  uint64_t not_before;        /* ...and when it may begin again */
  cpu_set_t mask;             /* ours, otherwise */
  pid_t asker;                /* who made it begin */
  uint64_t look_time, waited; /* how long he and we had waited for processors, until then */
};

struct tracer {
  struct tracer_options options;
  struct tracer_features features;
  struct tree *trees;
  uint32_t last_tree;
  uint32_t last_tracee; /* numbers are never reused */
  uint64_t last_serial; /* of stops */

  struct tracee **by_tid; /* hash table, chained through tracee->next_by_tid */
  uint32_t by_tid_size;   /* a power of two */
  struct tracee **slots;  /* by slot number, NULL when free; a tracee's number modulo the size is tried first */
  uint32_t slots_size;    /* a power of two */
  uint32_t slots_used;
  uint32_t alive;

  struct wait_status *pending; /* drained but not yet dispatched: a ring */
  uint32_t pending_head, pending_count, pending_size;
  uint64_t after_birth;    /* a stop that is reported next: its tracee's birth had to come first */
  struct tracee *finished; /* reported as gone: freed by the next tracer_next */

  struct tracer_stop note; /* stops that belong to no tracee, and births */
  struct affinity affinity;
  struct watched watched;
  uint32_t waits;                /* waiting.c */
  struct waiting *waiting;       /* waiting.c: NULL while there is no listener */
  struct sieve_workers *workers; /* sieve_workers.c: NULL until they are needed */
  uint32_t passed;               /* notifications let go by this thread... */
  uint64_t passed_since;         /* ...since then */
  struct notified_call *left;    /* by workers, for this thread: notified.c */
  uint32_t left_count, left_size;
  struct gate_lore *lore; /* gate_site.c */
  struct mailbox *mailboxes;
  struct attention attention;
  struct printer *printer; /* printer.c: NULL unless calls are printed here */
  bool can_show;           /* `show` is there: tracer_note_unwritten... */
  bool unwritten;          /* ...and armed */
  timer_t show;
  bool will_end; /* `end` is armed: tracer_end_at */
  timer_t end;
  bool silent_ends;                 /* some process may end without SIGCHLD */
  bool signal_changed[NSIG];        /* dispositions that we changed... */
  struct sigaction inherited[NSIG]; /* ...and what they were: launched programs get them back */
};

/* A wait status as it came. */
struct wait_status {
  pid_t tid;
  int status;
  uint64_t system_time; /* nanoseconds; 0 unless wanted */
};

struct tracee *tracer_find_tid(struct tracer *tracer, pid_t tid);
/* The tracee with this number, NULL when it is gone. */
struct tracee *tracer_find_tracee(struct tracer *tracer, uint32_t number);
/* The tracee whose current stop is `stop`, NULL when the id is stale. */
struct tracee *tracer_find_stop(struct tracer *tracer, uint64_t stop);
/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t tracer_now(void);
/* Sets a disposition of luatrace's own; remembers the inherited one for launched programs and for tracer_close. */
void tracer_change_signal(struct tracer *tracer, int signal, void (*handler)(int));

#endif
