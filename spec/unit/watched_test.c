/* Descriptors of ours beside tracees: a program's pipe is reported while it runs, also while it stops all the time. */
#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "tracer.h"

/* Runs a shell command with its output in a pipe; counts what was reported until its end. */
static void run(const char *command, struct trap_plan *plan, int *stops, int *ready, char *output, size_t size) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  struct tracer *tracer = tracer_open(&(struct tracer_options){0});
  const char *argv[] = {"sh", "-c", command, NULL};
  struct launch_result result;
  struct tracer_launch launch = {.file = "/bin/sh", .argv = argv, .fds = {-1, ends[1], -1}, .plan = plan};
  CHECK(tracer_spawn(tracer, &launch, &result) == 0);
  close(ends[1]);
  struct tracer_watched watched = {.fd = ends[0], .events = POLLIN};
  CHECK(tracer_watch(tracer, &watched, 1) == 0);
  size_t length = 0;
  *stops = *ready = 0;
  for (;;) {
    const struct tracer_stop *stop = tracer_next(tracer, -1);
    if (stop->kind == STOP_DONE) break;
    if (stop->kind == STOP_READY) {
      CHECK(watched.revents != 0);
      ssize_t got = read(ends[0], output + length, size - 1 - length);
      if (got > 0) length += (size_t)got;
      if (got == 0) CHECK(tracer_watch(tracer, NULL, 0) == 0);
      ++*ready;
    } else if (stop->kind == STOP_SYSCALL_ENTRY) {
      ++*stops;
      tracer_resume(tracer, stop->id, RESUME_RUN, 0);
    } else if (stop->id) {
      tracer_resume(tracer, stop->id, RESUME_RUN, stop->kind == STOP_SIGNAL ? stop->signal : 0);
    }
  }
  for (ssize_t got; (got = read(ends[0], output + length, size - 1 - length)) > 0;)
    length += (size_t)got;
  output[length] = '\0';
  tracer_close(tracer);
  close(ends[0]);
}

static int descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0) count++;
  return count;
}

int main(void) {
  char output[65536];
  int stops, ready, before = descriptors();

  struct trap_plan *nothing = trap_plan_new();
  run("echo one; echo two", nothing, &stops, &ready, output, sizeof output);
  /* It may have ended before anybody has looked at the pipe. */
  CHECK(stops == 0);
  CHECK(strcmp(output, "one\ntwo\n") == 0);

  /* Nothing is printed, and nobody waits for ever. */
  run("exit 3", nothing, &stops, &ready, output, sizeof output);
  CHECK(strcmp(output, "") == 0);
  trap_plan_free(nothing);

  /* It stops at each of its writes: the pipe is looked at all the same. */
  struct trap_plan *writes = trap_plan_new();
  CHECK(trap_plan_add(writes, &(struct trap_entry){AUDIT_ARCH_X86_64, SYS_write, MECHANISM_STOP, 0, 0, 0}, NULL) == 0);
  run("i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i+1)); done", writes, &stops, &ready, output, sizeof output);
  CHECK(stops == 1000);
  CHECK(ready >= 5);
  CHECK(strlen(output) == 10 * 2 + 90 * 3 + 900 * 4);
  trap_plan_free(writes);

  CHECK(descriptors() == before);
  return check_report("watched");
}
