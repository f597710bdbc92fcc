/* Signals and restarts, with a pipe as the only clock: each step waits for the one before. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asleep.h"

static volatile sig_atomic_t caught;

static void on_signal(int number) { caught = number; }

static void handle(int number, int flags) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  sigaction(number, &action, NULL);
}

static int read_one(int fd) {
  char byte;
  ssize_t got = read(fd, &byte, 1);
  return got < 0 ? -errno : (int)got;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  int data[2];
  if (pipe(data)) return 1;
  pid_t parent = getpid();
  if (!strcmp(mode, "eintr") || !strcmp(mode, "restart")) {
    handle(SIGUSR1, strcmp(mode, "restart") ? 0 : SA_RESTART);
    pid_t child = fork();
    if (child == 0) {
      wait_until_asleep(parent);
      kill(parent, SIGUSR1);
      if (!strcmp(mode, "restart")) {
        wait_until_asleep(parent);
        if (write(data[1], "x", 1) != 1) return 1;
      }
      _exit(0);
    }
    int got = read_one(data[0]);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
      ;
    printf("%d %d\n", got == -EINTR ? -1 : got, caught == SIGUSR1);
  } else if (!strcmp(mode, "altstack")) {
    static char stack[65536];
    stack_t alt = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alt, NULL);
    handle(SIGUSR1, SA_ONSTACK);
    raise(SIGUSR1);
    printf("%d\n", caught == SIGUSR1);
  } else if (!strcmp(mode, "segv")) {
    /* Blocked, and forced all the same: it kills. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *(volatile int *)8 = 1;
  } else if (!strcmp(mode, "signalfd")) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, 0);
    kill(parent, SIGUSR2);
    struct signalfd_siginfo info;
    ssize_t got = read(fd, &info, sizeof info);
    printf("%d\n", got == sizeof info && info.ssi_signo == SIGUSR2);
  } else if (!strcmp(mode, "sigwait")) {
    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(parent, SIGUSR2);
    printf("%d\n", sigwaitinfo(&set, &info) == SIGUSR2 && info.si_pid == parent);
  } else if (!strcmp(mode, "suspend")) {
    sigset_t set, none;
    handle(SIGUSR1, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(parent, SIGUSR1);
    int result = sigsuspend(&none);
    printf("%d %d\n", result == -1 && errno == EINTR, caught == SIGUSR1);
  } else if (!strcmp(mode, "raise")) {
    handle(SIGUSR1, 0);
    handle(SIGUSR2, 0);
    raise(SIGUSR1);
    printf("%d\n", caught == 0 ? 0 : caught == SIGUSR2 ? 2 : 1);
  } else if (!strcmp(mode, "stop")) {
    /* A child is stopped and continued; the parent sees both, as without a tracer. */
    pid_t child = fork();
    if (child == 0) {
      read_one(data[0]);
      _exit(7);
    }
    int status;
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    int stopped = WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    int continued = WIFCONTINUED(status);
    if (write(data[1], "x", 1) != 1) return 1;
    waitpid(child, &status, 0);
    printf("%d %d %d\n", stopped, continued, WEXITSTATUS(status));
  }
  return 0;
}
