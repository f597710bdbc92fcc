#include "watched.h"

#include <assert.h> /* static_assert */
#include <errno.h>
#include <signal.h>
#include <stdlib.h> /* realloc */
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* So many stops of busy tracees between two looks. */
enum { STOPS_BETWEEN_LOOKS = 64 };

static_assert(sizeof(struct tracer_watched) == sizeof(struct pollfd), "polled as it is");
static_assert(offsetof(struct tracer_watched, events) == offsetof(struct pollfd, events), "polled as it is");
static_assert(offsetof(struct tracer_watched, revents) == offsetof(struct pollfd, revents), "polled as it is");

int tracer_watch(struct tracer *tracer, struct tracer_watched *list, uint32_t count) {
  struct watched *watched = &tracer->watched;
  if (!count && !watched->polled) return 0;
  if (!watched->polled) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    watched->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watched->signals < 0) return -errno;
  }
  if (count >= watched->size) {
    struct tracer_watched *polled = realloc(watched->polled, sizeof *polled * (count + 1));
    if (!polled) {
      if (!watched->polled) close(watched->signals);
      return -ENOMEM;
    }
    watched->polled = polled;
    watched->size = count + 1;
  }
  assert(watched->polled);
  if (count) memcpy(watched->polled + 1, list, sizeof *list * count);
  watched->list = list;
  watched->count = count;
  watched->ready = false;
  return 0;
}

/* The caller's list gets the revents. */
static int look(struct watched *watched, const struct timespec *limit) {
  watched->polled[0] = (struct tracer_watched){.fd = watched->signals, .events = POLLIN};
  for (uint32_t i = 0; i < watched->count; i++)
    watched->polled[i + 1].revents = 0;
  int got = ppoll((struct pollfd *)watched->polled, watched->count + 1, limit, NULL);
  if (got < 0) return -errno;
  watched->stops = 0;
  for (uint32_t i = 0; i < watched->count; i++) {
    watched->list[i].revents = watched->polled[i + 1].revents;
    if (watched->list[i].revents) watched->ready = true;
  }
  return 0;
}

int watched_wait(struct tracer *tracer, int64_t timeout) {
  struct watched *watched = &tracer->watched;
  struct timespec limit = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
  int error = look(watched, timeout < 0 ? NULL : &limit);
  if (error) return error;
  if (!watched->polled[0].revents) return 0;
  struct signalfd_siginfo taken;
  return read(watched->signals, &taken, sizeof taken) > 0;
}

bool watched_look(struct tracer *tracer) {
  struct watched *watched = &tracer->watched;
  if (!watched->count) return false;
  if (!watched->ready && ++watched->stops >= STOPS_BETWEEN_LOOKS) look(watched, &(struct timespec){0});
  bool ready = watched->ready;
  watched->ready = false;
  return ready;
}

void watched_fill(const struct tracer *tracer, struct pollfd *to) {
  for (uint32_t i = 0; i < tracer->watched.count; i++)
    to[i] = (struct pollfd){.fd = tracer->watched.list[i].fd, .events = tracer->watched.list[i].events};
}

void watched_note(struct tracer *tracer, const struct pollfd *from) {
  struct watched *watched = &tracer->watched;
  for (uint32_t i = 0; i < watched->count; i++) {
    watched->list[i].revents = from[i].revents;
    if (from[i].revents) watched->ready = true;
  }
}

void watched_free(struct tracer *tracer) {
  struct watched *watched = &tracer->watched;
  if (watched->polled) close(watched->signals);
  free(watched->polled);
  *watched = (struct watched){0};
}
