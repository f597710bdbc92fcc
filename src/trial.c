#include "trial.h"

#include <errno.h>
#include <fcntl.h> /* O_CLOEXEC */
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 };

_Noreturn static void in_child(void (*ask)(void *answer), size_t size, int report) {
  _Alignas(max_align_t) char answer[ANSWER_MAX] = {0};
  ask(answer);
  _exit(write(report, answer, size) != (ssize_t)size);
}

bool trial_run(void (*ask)(void *answer), void *answer, size_t size) {
  int ends[2];
  if (size > ANSWER_MAX || pipe2(ends, O_CLOEXEC)) return false;
  pid_t pid = fork();
  if (pid == 0) in_child(ask, size, ends[1]);
  close(ends[1]);
  char told[ANSWER_MAX];
  ssize_t got = -1;
  if (pid > 0) {
    /* Not the wait status: who has SIGCHLD ignored gets none. */
    do
      got = read(ends[0], told, size);
    while (got < 0 && errno == EINTR);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  close(ends[0]);
  if (got != (ssize_t)size) return false;
  memcpy(answer, told, size);
  return true;
}
