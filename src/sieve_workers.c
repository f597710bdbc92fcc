#include "sieve_workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend_notify.h"
#include "notified.h"
#include "tracees.h"
#include "waiting.h"

enum {
  MOST_PROCESSORS = 64,
  /* So many ruled out in so short a time by the tracer's thread are many. */
  MANY = 16,
  MANY_NANOSECONDS = 20000000,
  WINDOW = 64,
  /* A processor that has nothing else to run for that long is idle. */
  IDLE_NANOSECONDS = 100000,
  /* Between two looks of a worker on a processor that runs nothing else less than this goes by. */
  LOOK_NANOSECONDS = 20000,
  /* Without any notification for that long there is nothing to do here. */
  QUIET_NANOSECONDS = 500000000,
  CROWD_LOOK_NANOSECONDS = 5000000,
  /* Put to sleep soon after they woke, the workers sleep for longer and longer. */
  SOON_NANOSECONDS = 20000000,
  SHORT_REST_NANOSECONDS = 1000000,
  LONG_REST_NANOSECONDS = 1000000000,
};

struct worker {
  struct sieve_workers *all;
  pthread_t thread;
  int cpu;
  uint64_t looked; /* when it last found nothing to do... */
  uint64_t idle;   /* ...and how long its processor has had nothing else to run */
};

struct sieve_workers {
  struct tracer *tracer;
  pthread_mutex_t lock; /* held by whoever the tracer belongs to */
  pthread_cond_t wake;
  _Atomic bool wanted_back; /* the tracer's thread has come back from its wait */
  bool awake, ending;
  int bell;    /* an eventfd */
  int loadavg; /* /proc/loadavg */
  uint64_t awake_since, sleep_until, rest, served_at;
  uint64_t crowd_look;
  uint32_t crowded;      /* looks one after the other */
  uint32_t served, left; /* in this window: all that was received, what was left of it to the tracer's thread */
  uint32_t count;
  struct worker workers[];
};

/* --- when -------------------------------------------------------------------------------------------------------- */

/* More to run than processors to run it: they never fall idle, and whoever yields waits for long. */
static bool crowded(const struct sieve_workers *all, uint32_t ours) {
  char line[128];
  ssize_t got = pread(all->loadavg, line, sizeof line - 1, 0);
  unsigned running;
  if (got <= 0) return true;
  line[got] = 0;
  return sscanf(line, "%*s %*s %*s %u/", &running) != 1 || running > all->count + ours;
}

static void go_to_sleep(struct sieve_workers *all, uint64_t now) {
  bool soon = now - all->awake_since < SOON_NANOSECONDS;
  all->rest = soon ? all->rest * 2 : SHORT_REST_NANOSECONDS;
  if (all->rest > LONG_REST_NANOSECONDS) all->rest = LONG_REST_NANOSECONDS;
  all->sleep_until = now + all->rest;
  all->awake = false;
  eventfd_write(all->bell, 1); /* from now on the tracer's thread listens */
}

static void wake_up(struct sieve_workers *all, uint64_t now) {
  waiting_wake_elsewhere(all->tracer, false);
  all->awake = true;
  all->awake_since = all->served_at = all->crowd_look = now;
  all->served = all->left = all->crowded = 0;
  pthread_cond_broadcast(&all->wake);
}

/* A worker has found nothing to do. */
static void look_for_sleep(struct worker *worker) {
  struct sieve_workers *all = worker->all;
  if (all->tracer->options.workers == WORKERS_ALWAYS) return;
  uint64_t now = tracer_now(), since = now - worker->looked;
  worker->looked = now;
  worker->idle = since < LOOK_NANOSECONDS ? worker->idle + since : 0;
  bool idle = worker->idle > IDLE_NANOSECONDS || now - all->served_at > QUIET_NANOSECONDS;
  if (now - all->crowd_look > CROWD_LOOK_NANOSECONDS) {
    all->crowd_look = now;
    all->crowded = crowded(all, all->count) ? all->crowded + 1 : 0;
  }
  if (idle || all->crowded > 1) go_to_sleep(all, now);
}

/* --- a worker ---------------------------------------------------------------------------------------------------- */

static struct tree *ready_tree(const struct tracer *tracer) {
  for (struct tree *tree = tracer->trees; tree; tree = tree->next) {
    struct pollfd listener = {.fd = tree->listener, .events = POLLIN};
    if (tree->listener >= 0 && poll(&listener, 1, 0) == 1 && listener.revents & POLLIN) return tree;
  }
  return NULL;
}

/* Looks once. True: the call shall be let go, by whoever does not hold the lock any more, since that wakes a tracee. */
static bool serve(struct worker *worker, struct notified_call *call) {
  struct sieve_workers *all = worker->all;
  struct tree *tree = ready_tree(all->tracer);
  enum notified_verdict verdict = tree ? notified_look(all->tracer, tree, call) : NOTIFIED_NOTHING;
  if (verdict == NOTIFIED_NOTHING || verdict == NOTIFIED_CLOSED) {
    look_for_sleep(worker);
    return false;
  }
  worker->idle = 0;
  worker->looked = all->served_at = tracer_now();
  all->served++;
  if (verdict == NOTIFIED_PASSES) return true;
  notified_leave(all->tracer, call);
  eventfd_write(all->bell, 1);
  all->left++;
  /* A detour for many of them: then it is better if the tracer's thread listens itself. */
  if (all->served > WINDOW) {
    if (all->left > WINDOW / 4 && all->tracer->options.workers != WORKERS_ALWAYS) go_to_sleep(all, all->served_at);
    all->served = all->left = 0;
  }
  return false;
}

/* As long as it is short the lock is waited for without sleep. */
static void take_lock(struct sieve_workers *all) {
  uint64_t begin = tracer_now();
  while (all->wanted_back || pthread_mutex_trylock(&all->lock)) {
    if (tracer_now() - begin > IDLE_NANOSECONDS) {
      pthread_mutex_lock(&all->lock);
      return;
    }
    sched_yield();
  }
}

static void *work(void *argument) {
  struct worker *worker = argument;
  struct sieve_workers *all = worker->all;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(worker->cpu, &one);
  sched_setaffinity(0, sizeof one, &one); /* without it, it is a slow worker */
  pthread_mutex_lock(&all->lock);
  while (!all->ending) {
    if (!all->awake) {
      pthread_cond_wait(&all->wake, &all->lock);
      worker->idle = 0;
      worker->looked = tracer_now();
      continue;
    }
    struct notified_call call;
    bool passes = serve(worker, &call);
    pthread_mutex_unlock(&all->lock);
    if (passes)
      notify_continue(call.listener, call.id);
    else
      sched_yield();
    take_lock(all);
  }
  pthread_mutex_unlock(&all->lock);
  return NULL;
}

/* --- the tracer's thread ----------------------------------------------------------------------------------------- */

static void free_workers(struct sieve_workers *all) {
  if (all->bell >= 0) close(all->bell);
  if (all->loadavg >= 0) close(all->loadavg);
  pthread_cond_destroy(&all->wake);
  pthread_mutex_destroy(&all->lock);
  free(all);
}

static struct sieve_workers *new_workers(struct tracer *tracer) {
  cpu_set_t processors;
  if (sched_getaffinity(0, sizeof processors, &processors)) return NULL;
  uint32_t count = (uint32_t)CPU_COUNT(&processors);
  if (count < 2 || count > MOST_PROCESSORS) return NULL;
  struct sieve_workers *all = calloc(1, sizeof *all + count * sizeof all->workers[0]);
  if (!all) return NULL;
  all->tracer = tracer;
  all->rest = SHORT_REST_NANOSECONDS;
  pthread_mutex_init(&all->lock, NULL);
  pthread_cond_init(&all->wake, NULL);
  all->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  all->loadavg = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
  if (all->bell < 0 || all->loadavg < 0) {
    free_workers(all);
    return NULL;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &processors)) all->workers[all->count++].cpu = cpu;
  return all;
}

/* The threads; the lock is the caller's. False, and none: there cannot be so many. */
static bool start(struct sieve_workers *all) {
  sigset_t every, before;
  sigfillset(&every);
  pthread_mutex_lock(&all->lock);
  pthread_sigmask(SIG_SETMASK, &every, &before); /* signals are for the tracer's thread */
  uint32_t started = 0;
  for (; started < all->count; started++) {
    struct worker *worker = &all->workers[started];
    worker->all = all;
    if (pthread_create(&worker->thread, NULL, work, worker)) break;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  bool complete = started == all->count;
  all->count = started;
  return complete;
}

void sieve_workers_note_passed(struct tracer *tracer) {
  bool always = tracer->options.workers == WORKERS_ALWAYS;
  if (tracer->options.workers == WORKERS_NEVER || tracer->alive < 2 || tracer->affinity.shared) return;
  if (tracer->attention.awake) return; /* it has taken a processor for itself */
  if (++tracer->passed < MANY && !always) return;
  uint64_t now = tracer_now();
  bool rare = now - tracer->passed_since > MANY_NANOSECONDS;
  tracer->passed = 0;
  tracer->passed_since = now;
  if (rare && !always) return;
  struct sieve_workers *all = tracer->workers;
  if (!all) {
    all = new_workers(tracer);
    if (!all) {
      tracer->options.workers = WORKERS_NEVER;
      return;
    }
    tracer->workers = all;
    tracer->affinity.over = true; /* one processor for all is over */
    if (!start(all)) {
      sieve_workers_end(tracer);
      tracer->options.workers = WORKERS_NEVER;
      return;
    }
  }
  if (now < all->sleep_until) return;
  if (!always && crowded(all, 1)) return;
  wake_up(all, now);
}

bool sieve_workers_are_awake(const struct tracer *tracer) { return tracer->workers && tracer->workers->awake; }

int sieve_workers_let_in(struct tracer *tracer) {
  if (!tracer->workers) return -1;
  int bell = tracer->workers->bell;
  pthread_mutex_unlock(&tracer->workers->lock);
  return bell;
}

void sieve_workers_keep_out(struct tracer *tracer, bool rung) {
  struct sieve_workers *all = tracer->workers;
  eventfd_t unused;
  if (!all) return;
  all->wanted_back = true;
  pthread_mutex_lock(&all->lock);
  all->wanted_back = false;
  if (rung) eventfd_read(all->bell, &unused);
}

void sieve_workers_end(struct tracer *tracer) {
  struct sieve_workers *all = tracer->workers;
  if (!all) return;
  all->ending = true;
  pthread_cond_broadcast(&all->wake);
  pthread_mutex_unlock(&all->lock);
  for (uint32_t i = 0; i < all->count; i++)
    pthread_join(all->workers[i].thread, NULL);
  tracer->workers = NULL;
  free_workers(all);
}
