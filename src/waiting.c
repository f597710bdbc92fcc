#include "waiting.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/resource.h> /* struct rusage */
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend_notify.h"
#include "breakable_wait.h"
#include "sieve_workers.h"
#include "tracees.h"
#include "watched.h"

/* A look for more statuses that finds none costs as much as one that does: so seldom is often enough for fairness. */
enum { WAITS_BETWEEN_DRAINS = 16 };

/* How long an end without SIGCHLD may stay unseen. */
enum { SILENT_END_NANOSECONDS = 100000000 };

enum { AT_SIGNALS, AT_BELL, FIRST_LISTENER };

/* There is one while a tree has, or may come to have, a listener. */
struct waiting {
  sigset_t mask_before;
  int signals;         /* the signalfd */
  bool drain_first;    /* statuses whose SIGCHLD was not kept, or is gone */
  uint32_t count;      /* of listeners */
  uint32_t size;       /* of the two arrays */
  uint32_t last;       /* the listener that was served last: the next one has its turn */
  struct tree **trees; /* that have a listener */
  struct pollfd *fds;  /* the signalfd, the workers' bell, from FIRST_LISTENER on that of each tree; what is watched */
};

/* --- statuses -------------------------------------------------------------------------------------------------- */

/* wait4, with the process's time in the kernel when that is wanted. */
static pid_t take(const struct tracer *tracer, struct wait_status *status, int flags) {
  struct rusage usage;
  bool wanted = tracer->options.want & WANT_SYSTEM_TIME;
  long got = breakable_wait(-1, &status->status, __WALL | flags, wanted ? &usage : NULL);
  status->tid = (pid_t)got;
  status->system_time = 0;
  if (wanted && status->tid > 0)
    status->system_time = (uint64_t)usage.ru_stime.tv_sec * 1000000000 + (uint64_t)usage.ru_stime.tv_usec * 1000;
  return status->tid; /* or -errno */
}

/* Takes all statuses that are there: how many, or -errno when there was none for a reason (-ECHILD: nobody is left). */
static int drain(struct tracer *tracer) {
  int count = 0;
  for (;;) {
    struct wait_status status;
    pid_t got = take(tracer, &status, WNOHANG);
    if (got == -EINTR && count) continue;
    if (got <= 0) return count ? count : got;
    if (tracees_push_status(tracer, status)) return count ? count : -ENOMEM;
    count++;
  }
}

static int take_one(struct tracer *tracer, int flags) {
  struct wait_status status;
  pid_t got = take(tracer, &status, flags);
  if (got <= 0) return got;
  if (tracees_push_status(tracer, status)) return -ENOMEM;
  /* The kernel would offer the first of its list again and again. Alone, there is nobody to wrong. */
  if (tracer->alive > 1 && ++tracer->waits % WAITS_BETWEEN_DRAINS == 0) drain(tracer);
  return 1;
}

static struct timespec timespec_of(int64_t nanoseconds) {
  return (struct timespec){.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
}

static int wait_with_limit(struct tracer *tracer, int64_t timeout) {
  int got = take_one(tracer, WNOHANG);
  if (got || timeout == 0) return got;
  sigset_t child, before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  /* Blocked first: a SIGCHLD between the look and the wait then stays pending. */
  sigprocmask(SIG_BLOCK, &child, &before);
  got = take_one(tracer, WNOHANG);
  if (got == 0 && tracer->watched.count) {
    int woken = watched_wait(tracer, timeout);
    got = woken > 0 ? take_one(tracer, WNOHANG) : woken;
  } else if (got == 0) {
    struct timespec limit = timespec_of(timeout);
    if (sigtimedwait(&child, NULL, &limit) < 0 && errno == EINTR)
      got = -EINTR;
    else
      got = take_one(tracer, WNOHANG);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
  return got;
}

/* --- listeners ------------------------------------------------------------------------------------------------- */

static void close_waiting(struct tracer *tracer) {
  struct waiting *waiting = tracer->waiting;
  tracer->waiting = NULL;
  if (waiting->signals >= 0) close(waiting->signals);
  sigprocmask(SIG_SETMASK, &waiting->mask_before, NULL);
  free(waiting->fds);
  free(waiting->trees);
  free(waiting);
}

/* Room for so many listeners and watched descriptors. */
static int reserve(struct waiting *waiting, uint32_t size) {
  if (size <= waiting->size) return 0;
  struct pollfd *fds = realloc(waiting->fds, (FIRST_LISTENER + size) * sizeof *fds);
  if (fds) waiting->fds = fds;
  struct tree **trees = realloc(waiting->trees, size * sizeof(struct tree *));
  if (trees) waiting->trees = trees;
  if (!fds || !trees) return -ENOMEM;
  waiting->size = size;
  return 0;
}

int waiting_prepare(struct tracer *tracer) {
  if (tracer->waiting) return 0;
  struct waiting *waiting = calloc(1, sizeof *waiting);
  if (!waiting) return -ENOMEM;
  tracer->waiting = waiting;
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &waiting->mask_before);
  waiting->drain_first = true;
  int error = reserve(waiting, 1);
  waiting->signals = error ? -1 : signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (!error && waiting->signals < 0) error = -errno;
  if (error) close_waiting(tracer);
  return error;
}

int waiting_add(struct tracer *tracer, struct tree *tree) {
  struct waiting *waiting = tracer->waiting;
  int error = reserve(waiting, waiting->count + 1);
  if (error) return error;
  waiting->fds[FIRST_LISTENER + waiting->count] = (struct pollfd){.fd = tree->listener, .events = POLLIN};
  waiting->trees[waiting->count++] = tree;
  return 0;
}

void waiting_remove(struct tracer *tracer, struct tree *tree) {
  struct waiting *waiting = tracer->waiting;
  if (!waiting) return;
  for (uint32_t i = 0; i < waiting->count; i++) {
    if (waiting->trees[i] != tree) continue;
    sieve_workers_end(tracer);
    waiting->count--;
    waiting->trees[i] = waiting->trees[waiting->count];
    waiting->fds[FIRST_LISTENER + i] = waiting->fds[FIRST_LISTENER + waiting->count];
    close(tree->listener);
    tree->listener = -1;
  }
  if (waiting->count == 0) close_waiting(tracer);
}

void waiting_mask_before(const struct tracer *tracer, sigset_t *mask) {
  sigprocmask(SIG_SETMASK, NULL, mask);
  if (tracer->waiting) *mask = tracer->waiting->mask_before;
}

void waiting_note_silent_end(struct tracer *tracer) { tracer->silent_ends = true; }

/* The listener whose turn it is. Those that no process is left under are closed. */
static struct tree *ready_tree(struct tracer *tracer) {
  struct waiting *waiting = tracer->waiting;
  for (uint32_t step = 1; step <= waiting->count; step++) {
    uint32_t i = (waiting->last + step) % waiting->count;
    short events = waiting->fds[FIRST_LISTENER + i].revents;
    if (events & POLLIN) {
      waiting->last = i;
      return waiting->trees[i];
    }
    if (events) {
      waiting_remove(tracer, waiting->trees[i]);
      return NULL; /* the next look is for the others */
    }
  }
  return NULL;
}

static void wake_elsewhere(struct tree *tree, bool elsewhere) {
  if (tree->listener < 0 || elsewhere == tree->wakes_elsewhere) return;
  tree->wakes_elsewhere = elsewhere;
  notify_wake_here(tree->listener, !elsewhere);
}

void waiting_wake_elsewhere(const struct tracer *tracer, bool elsewhere) {
  for (struct tree *tree = tracer->trees; tree; tree = tree->next)
    wake_elsewhere(tree, elsewhere);
}

/* Has a notification been waiting while we served another? Then its program is better woken where it ran before. */
static void choose_processors(const struct tracer *tracer, int ready) {
  struct waiting *waiting = tracer->waiting;
  for (uint32_t i = 0; i < waiting->count; i++) {
    bool waits = ready > 0 && waiting->fds[FIRST_LISTENER + i].revents & POLLIN;
    bool elsewhere =
        waits || (tracer->attention.awake && !tracer->attention.moves); /* then our processor is for us alone */
    wake_elsewhere(waiting->trees[i], elsewhere);
  }
}

/* ppoll of all that there is; with several tracees first a look whether somebody waits already. */
static int poll_all(struct tracer *tracer, const struct timespec *limit) {
  struct waiting *waiting = tracer->waiting;
  nfds_t count = FIRST_LISTENER + waiting->count + tracer->watched.count;
  bool listens = !sieve_workers_are_awake(tracer);
  for (uint32_t i = 0; i < waiting->count; i++)
    waiting->fds[FIRST_LISTENER + i].events = listens ? POLLIN : 0;
  if (listens && tracer->alive > 1) {
    static const struct timespec none;
    int ready = ppoll(waiting->fds, count, &none, NULL);
    choose_processors(tracer, ready);
    if (ready) return ready;
  } else if (listens) {
    choose_processors(tracer, 0);
  }
  waiting->fds[AT_BELL] = (struct pollfd){.fd = sieve_workers_let_in(tracer), .events = POLLIN};
  int ready = ppoll(waiting->fds, count, limit, NULL);
  int error = errno;
  sieve_workers_keep_out(tracer, ready > 0 && waiting->fds[AT_BELL].revents);
  errno = error;
  return ready;
}

static int wait_for_both(struct tracer *tracer, int64_t timeout, struct tree **notified) {
  struct waiting *waiting = tracer->waiting;
  if (waiting->drain_first) {
    int got = drain(tracer);
    waiting->drain_first = got == -EINTR;
    if (got) return got;
  }
  bool look_again = tracer->silent_ends && (timeout < 0 || timeout > SILENT_END_NANOSECONDS);
  struct timespec limit = timespec_of(look_again ? SILENT_END_NANOSECONDS : timeout);
  uint32_t watched = tracer->watched.count;
  if (reserve(waiting, waiting->count + watched)) return -ENOMEM;
  waiting->fds[AT_SIGNALS] = (struct pollfd){.fd = waiting->signals, .events = POLLIN};
  waiting->fds[AT_BELL] = (struct pollfd){.fd = -1};
  struct pollfd *others = waiting->fds + FIRST_LISTENER + waiting->count;
  watched_fill(tracer, others);
  int ready = poll_all(tracer, timeout < 0 && !look_again ? NULL : &limit);
  if (ready < 0) return -errno;
  if (ready == 0 && !look_again) return timeout ? 0 : drain(tracer);
  watched_note(tracer, others);
  int got = 0;
  if (waiting->fds[AT_SIGNALS].revents || look_again) {
    struct signalfd_siginfo unused;
    /* First the signal, then the statuses: one that comes between raises it anew. */
    if (read(waiting->signals, &unused, sizeof unused) < 0 && errno != EAGAIN) return -errno;
    got = drain(tracer);
    waiting->drain_first = got == -EINTR;
  }
  /* Beside the statuses, not after them: neither kind keeps the other waiting. */
  *notified = ready_tree(tracer);
  if (*notified) return 1;
  return got || tracer->watched.ready ? got : -EAGAIN;
}

int waiting_wait(struct tracer *tracer, int64_t timeout, struct tree **notified) {
  *notified = NULL;
  if (tracer->waiting && tracer->waiting->count) return wait_for_both(tracer, timeout, notified);
  return timeout < 0 && !tracer->watched.count ? take_one(tracer, 0) : wait_with_limit(tracer, timeout);
}
