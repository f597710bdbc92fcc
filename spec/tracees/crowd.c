/* Threads and children that all work at once: files under temporary names, pipes, signals, sleeps, futexes. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[] = "/tmp/crowd-XXXXXX";

static void work(int rounds) {
  for (int i = 0; i < rounds; i++) {
    char name[128];
    snprintf(name, sizeof name, "%s/part-XXXXXX", directory);
    int fd = mkstemp(name);
    if (fd < 0) exit(1);
    dprintf(fd, "round %d\n", i);
    syscall(SYS_getpid);
    int copy = dup(fd);
    close(fd);
    close(copy);
    unlink(name);
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    pthread_mutex_lock(&lock);
    syscall(SYS_gettid);
    pthread_mutex_unlock(&lock);
  }
}

static void *thread(void *unused) {
  work(3);
  return unused;
}

static void on_child(int signal) { (void)signal; }

int main(void) {
  struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
  sigaction(SIGCHLD, &action, NULL);
  if (!mkdtemp(directory)) return 1;
  /* Descriptors that this run has and another has not must not matter. */
  pthread_t threads[3];
  pid_t children[3];
  int ends[2];
  if (pipe(ends)) return 1;
  for (int i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      close(ends[0]);
      work(2);
      char byte = 'a';
      if (write(ends[1], &byte, 1) != 1) _exit(1);
      _exit(i);
    }
  }
  for (int i = 0; i < 3; i++)
    pthread_create(&threads[i], NULL, thread, NULL);
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  char bytes[3];
  for (int i = 0; i < 3; i++)
    if (read(ends[0], bytes + i, 1) != 1) return 1;
  for (int i = 0; i < 3; i++)
    waitpid(children[i], NULL, 0);
  return rmdir(directory);
}
