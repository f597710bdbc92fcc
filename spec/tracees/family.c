/* Processes and threads that come and go in awkward orders. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *spin(void *count) {
  for (long i = 0; i < (long)count; i++)
    syscall(SYS_getppid);
  return NULL;
}

static _Atomic int served;

/* Calls for as long as the rare one has not been served, but not for ever. */
static void *busy(void *unused) {
  for (int i = 0; i < 100000 && !served; i++)
    syscall(SYS_getppid);
  spin((void *)100);
  return unused;
}

static void *rarely(void *unused) {
  syscall(SYS_getppid);
  served = 1;
  return unused;
}

static void *forever(void *unused) {
  for (;;)
    pause();
  return unused;
}

static void *exec_echo(void *unused) {
  execl("/bin/echo", "echo", "from a thread", (char *)NULL);
  return unused;
}

static int untraced_child(void *unused) {
  (void)unused;
  syscall(SYS_getppid);
  return 0;
}

static void many_threads(int count) {
  pthread_t threads[512];
  for (int i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, spin, (void *)10)) exit(1);
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  int count = argc > 2 ? atoi(argv[2]) : 0;
  int status = 0;
  if (!strcmp(mode, "threads")) {
    many_threads(count);
    puts("done");
  } else if (!strcmp(mode, "forks")) {
    for (int i = 0; i < count; i++) {
      pid_t child = fork();
      if (child == 0) _exit(i & 1);
      if (waitpid(child, &status, 0) != child || WEXITSTATUS(status) != (i & 1)) return 1;
    }
    puts("done");
  } else if (!strcmp(mode, "thread-exec")) {
    pthread_t thread;
    for (int i = 0; i < 3; i++)
      pthread_create(&thread, NULL, forever, NULL);
    pthread_create(&thread, NULL, exec_echo, NULL);
    forever(NULL);
  } else if (!strcmp(mode, "leader-exits")) {
    /* The leader ends first; the process lives on in a thread. */
    pthread_t thread;
    pthread_create(&thread, NULL, spin, (void *)1000);
    pthread_exit(NULL);
  } else if (!strcmp(mode, "orphans")) {
    /* Parents that end before their children have run at all. */
    for (int i = 0; i < count; i++) {
      pid_t child = fork();
      if (child == 0) {
        if (fork() == 0) {
          syscall(SYS_getppid);
          _exit(0);
        }
        _exit(0);
      }
      waitpid(child, NULL, 0);
    }
  } else if (!strcmp(mode, "vfork")) {
    pid_t child = vfork();
    if (child == 0) {
      execl("/bin/true", "true", (char *)NULL);
      _exit(1);
    }
    waitpid(child, &status, 0);
    printf("%d\n", status);
  } else if (!strcmp(mode, "untraced")) {
    static char stack[65536];
    int child = clone(untraced_child, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, NULL);
    waitpid(child, &status, 0);
    printf("%d\n", status);
  } else if (!strcmp(mode, "untraced3")) {
    uint64_t args[8] = {CLONE_UNTRACED, 0, 0, 0, SIGCHLD};
    long child = syscall(SYS_clone3, args, sizeof args);
    if (child == 0) _exit(0);
    printf("%s\n", child < 0 && errno == ENOSYS ? "ENOSYS" : "made");
    if (child > 0) waitpid((pid_t)child, &status, 0);
  } else if (!strcmp(mode, "daemon")) {
    /* Outlives the program until its pipe is closed. */
    pid_t child = fork();
    if (child == 0) {
      setsid();
      char byte;
      while (read(0, &byte, 1) > 0)
        ;
      _exit(0);
    }
    printf("started %d\n", child);
  } else if (!strcmp(mode, "killed")) {
    /* Children killed at any moment, in the middle of calls. */
    for (int i = 0; i < count; i++) {
      pid_t child = fork();
      if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, spin, (void *)100000000);
        spin((void *)100000000);
      }
      for (int k = 0; k < i * 13; k++)
        sched_yield();
      kill(child, SIGKILL);
      if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) return 1;
    }
    puts("done");
  } else if (!strcmp(mode, "fair")) {
    /* Two that never stop calling, and one that calls rarely. */
    pthread_t two[2], rare;
    pthread_create(&two[0], NULL, busy, NULL);
    pthread_create(&two[1], NULL, busy, NULL);
    pthread_create(&rare, NULL, rarely, NULL);
    pthread_join(rare, NULL);
    pthread_join(two[0], NULL);
    pthread_join(two[1], NULL);
    puts("done");
  } else if (!strcmp(mode, "ids")) {
    /* Tids are used again: many short-lived threads, one after the other. */
    for (int i = 0; i < count; i++) {
      pthread_t thread;
      pthread_create(&thread, NULL, spin, (void *)1);
      pthread_join(thread, NULL);
    }
    puts("done");
  }
  return 0;
}
