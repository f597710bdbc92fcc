/* What a program sees of calls that are watched: results, signals, threads, children, execs. One mode a run. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asleep.h"

static const char *error_of(long result) { return result < 0 ? strerror(errno) : "-"; }

static void say(const char *what, long result) {
  printf("%s %ld %s\n", what, result < 0 ? -1 : result, error_of(result));
}

/* One call of each kind, by itself: the log of a handler and this output are compared line by line. */
static int calls(void) {
  char path[] = "/dev/null", buffer[64];
  say("access", access("/etc/passwd", R_OK));
  say("access", access("/nonexistent", R_OK));
  long fd = open(path, O_RDWR | O_CLOEXEC);
  say("open", fd >= 0 ? 0 : fd);
  for (int i = 0; i < 4; i++)
    say("write", write((int)fd, "some bytes", (size_t)(i + 3)));
  say("read", read((int)fd, buffer, sizeof buffer));
  say("fsync", fsync((int)fd));
  say("fsync", fsync((int)fd));
  say("unlink", unlink("/tmp/no such file, hopefully"));
  say("mkdir", mkdir("/proc/no such place", 0700));
  say("umask", umask(0));
  for (int i = 0; i < 6; i++)
    say("setpriority", syscall(SYS_setpriority, 99, i, i));
  say("close", close((int)fd));
  say("close", close(-1));
  say("pipe", pipe((int *)NULL));
  return 0;
}

static _Atomic long handled;
static void handle(int signal) {
  (void)signal;
  handled++;
}

static void on(int signal, int flags) {
  sigaction(signal, &(struct sigaction){.sa_handler = handle, .sa_flags = flags}, NULL);
}

static void every(long microseconds) {
  struct timeval time = {.tv_usec = microseconds};
  setitimer(ITIMER_REAL, &(struct itimerval){time, time}, NULL);
}

/* Calls that are never broken off, under signals whose handler has no SA_RESTART. */
static int storm(int count) {
  on(SIGALRM, 0);
  every(200);
  long wrong = 0, pid = getppid();
  int zero = open("/dev/zero", O_RDONLY);
  char byte;
  for (int i = 0; i < count; i++) {
    if (syscall(SYS_getppid) != pid) wrong++;
    if (access("/nonexistent", F_OK) != -1 || errno != ENOENT) wrong++;
    /* May wait, so may say EINTR; but this one never does. */
    for (int k = 0; k < 3; k++)
      if (read(zero, &byte, 1) != 1) wrong++;
  }
  every(0);
  printf("%ld wrong, %s\n", wrong, handled ? "signals came" : "no signal came");
  return 0;
}

/* Shared with the child that sends signals. */
struct progress {
  _Atomic long handled;
  _Atomic bool returned;
};
static struct progress *progress;

static void handle_shared(int signal) {
  (void)signal;
  progress->handled++;
}

/* Signals for the parent while it sleeps in its read, each when the one before has been handled. */
static void interrupt(pid_t parent, int count, int out) {
  for (int i = 1; i <= count && !progress->returned; i++) {
    long before = progress->handled;
    wait_until_asleep(parent);
    kill(parent, SIGALRM);
    /* A tracer that has to be told of the read has ever more time for it before the next signal. */
    while (progress->handled == before)
      usleep((useconds_t)(i * 100));
  }
  _exit(out >= 0 && write(out, "x", 1) != 1);
}

/* A read that waits: a signal ends it with EINTR, or not, as the handler was installed. */
static int blocked(void) {
  int ends[2];
  char byte;
  pid_t parent = getpid();
  progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (pipe(ends) || progress == MAP_FAILED) return 1;
  struct sigaction action = {.sa_handler = handle_shared};
  sigaction(SIGALRM, &action, NULL);
  pid_t child = fork();
  /* One that comes before the read waits does not end it. */
  if (child == 0) interrupt(parent, 10000, -1);
  say("read", read(ends[0], &byte, 1));
  progress->returned = true;
  while (waitpid(child, NULL, 0) < 0)
    ;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  long before = progress->handled;
  progress->returned = false;
  child = fork();
  if (child == 0) interrupt(parent, 5, ends[1]);
  say("read", read(ends[0], &byte, 1));
  waitpid(child, NULL, 0);
  puts(progress->handled - before == 5 ? "all signals" : "some signals");
  return 0;
}

static pthread_barrier_t all;
static _Atomic long wrong_results;
static int each;

static void *many(void *unused) {
  pthread_barrier_wait(&all);
  for (int i = 0; i < each; i++)
    if (syscall(SYS_getppid) != 77) wrong_results++;
  return unused;
}

static int threads(int count, int calls_each) {
  pthread_t thread[64];
  each = calls_each;
  pthread_barrier_init(&all, NULL, (unsigned)count);
  for (int i = 0; i < count; i++)
    if (pthread_create(&thread[i], NULL, many, NULL)) return 1;
  for (int i = 0; i < count; i++)
    pthread_join(thread[i], NULL);
  printf("%ld wrong\n", (long)wrong_results);
  return 0;
}

static volatile long wrong_children;

/* Its own function, for vfork: nothing of the caller's frame changes. */
static void child_of(bool by_vfork) {
  pid_t child = by_vfork ? vfork() : fork();
  if (child == 0) _exit(syscall(SYS_getppid) == 77 ? 0 : 1);
  if (child < 0) wrong_children++;
}

/* Children that come and go, each with calls of its own. */
static int forks(int count) {
  for (int left = count; left > 0; left -= 8) {
    int status;
    for (int k = 0; k < 8; k++)
      child_of(k & 1);
    while (wait(&status) > 0)
      if (status) wrong_children++;
  }
  printf("%ld wrong\n", wrong_children);
  return 0;
}

static char **again;
static void *exec_again(void *unused) {
  syscall(SYS_getppid);
  execv("/proc/self/exe", again);
  return unused;
}

static void *wait_in_call(void *unused) {
  for (;;)
    syscall(SYS_getppid);
  return unused;
}

/* A thread that is not the leader execs while others are in calls. */
static int execs(char **argv, int left) {
  if (syscall(SYS_getppid) != 77) return 1;
  if (left == 0) return puts("through") < 0;
  static char number[16];
  snprintf(number, sizeof number, "%d", left - 1);
  argv[2] = number;
  again = argv;
  pthread_t thread;
  for (int i = 0; i < 3; i++)
    if (pthread_create(&thread, NULL, wait_in_call, NULL)) return 1;
  if (pthread_create(&thread, NULL, exec_again, NULL)) return 1;
  for (;;)
    syscall(SYS_getppid);
}

static _Atomic int in_call;
static void *held(void *unused) {
  in_call = 1;
  syscall(SYS_getppid);
  return unused;
}

/* A child is held in a call (the handler never lets it go), and killed there. */
static int killed(int signal) {
  int ends[2], status;
  char byte;
  if (pipe(ends)) return 1;
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    if (write(ends[1], "x", 1) != 1 || pthread_create(&thread, NULL, held, NULL)) _exit(1);
    pthread_join(thread, NULL);
    _exit(0);
  }
  if (read(ends[0], &byte, 1) != 1) return 1;
  syscall(SYS_getpgid, 0); /* the handler sees that we are here */
  kill(child, signal);
  waitpid(child, &status, 0);
  printf("signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return 0;
}

/* A program under a seccomp listener of ours. */
static int under_listener(char **command) {
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const struct sock_fprog filter = {1, &allow};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
  int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
  /* A listener that nobody has open is none. */
  if (listener < 0 || fcntl(listener, F_SETFD, 0)) return 1;
  execvp(command[0], command);
  return 1;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  int count = argc > 2 ? atoi(argv[2]) : 0;
  setvbuf(stdout, NULL, _IOFBF, 65536);
  if (!strcmp(mode, "calls")) return calls();
  if (!strcmp(mode, "storm")) return storm(count);
  if (!strcmp(mode, "blocked")) return blocked();
  if (!strcmp(mode, "threads")) return threads(8, count);
  if (!strcmp(mode, "forks")) return forks(count);
  if (!strcmp(mode, "execs")) return execs(argv, count);
  if (!strcmp(mode, "killed")) return killed(count);
  if (!strcmp(mode, "under")) return under_listener(argv + 2);
  return 2;
}
