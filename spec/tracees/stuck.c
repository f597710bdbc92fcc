/* Programs that hang: stuck MODE. "ready" is written to standard output when all that will wait is about to. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <arpa/inet.h>
#include <unistd.h>

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

static void *one_way(void *unused) {
  pthread_mutex_lock(&first);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(&second);
  return unused;
}

static void *other_way(void *unused) {
  pthread_mutex_lock(&second);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(&first);
  return unused;
}

static void say_ready(void) {
  if (write(1, "ready\n", 6) != 6) exit(1);
}

static void wait_in_read(int fd) {
  char byte;
  say_ready();
  if (read(fd, &byte, 1) < 0) exit(1);
}

static int loopback(int listening) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (listening < 0) {
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 5)) exit(1);
    return fd;
  }
  getsockname(listening, (struct sockaddr *)&address, &size);
  if (connect(fd, (struct sockaddr *)&address, sizeof address)) exit(1);
  return fd;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  int ends[2];
  if (!strcmp(mode, "deadlock")) {
    pthread_t threads[2];
    pthread_barrier_init(&both, NULL, 2);
    pthread_create(&threads[0], NULL, one_way, NULL);
    pthread_create(&threads[1], NULL, other_way, NULL);
    say_ready();
    pthread_join(threads[0], NULL);
  } else if (!strcmp(mode, "pipe")) {
    /* The child reads what the parent does not write, and the parent waits for the child. */
    if (pipe(ends)) return 1;
    pid_t child = fork();
    if (child == 0) {
      close(ends[1]);
      wait_in_read(ends[0]);
      _exit(0);
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
  } else if (!strcmp(mode, "own-pipe")) {
    if (pipe(ends)) return 1;
    wait_in_read(ends[0]);
  } else if (!strcmp(mode, "unix")) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 1;
    if (fork() == 0) {
      close(ends[0]);
      for (;;)
        pause();
    }
    close(ends[1]);
    wait_in_read(ends[0]);
  } else if (!strcmp(mode, "tcp")) {
    int listening = loopback(-1);
    pid_t child = fork();
    if (child == 0) {
      int fd = loopback(listening);
      close(listening);
      for (;;)
        pause();
      close(fd);
    }
    int fd = accept(listening, NULL, NULL);
    wait_in_read(fd);
  } else if (!strcmp(mode, "accept")) {
    int fd = loopback(-1);
    say_ready();
    accept(fd, NULL, NULL);
  } else if (!strcmp(mode, "poll")) {
    if (pipe(ends)) return 1;
    struct pollfd fds[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = loopback(-1), .events = POLLIN}};
    say_ready();
    poll(fds, 2, -1);
  } else if (!strcmp(mode, "epoll")) {
    if (pipe(ends)) return 1;
    int set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event);
    say_ready();
    epoll_wait(set, &event, 1, -1);
  } else if (!strcmp(mode, "flock")) {
    int fd = open(argv[2], O_RDWR | O_CREAT, 0600), other = open(argv[2], O_RDWR);
    if (flock(fd, LOCK_EX)) return 1;
    if (fork() == 0) {
      close(fd);
      say_ready();
      flock(other, LOCK_EX);
      _exit(0);
    }
    for (;;)
      pause();
  } else if (!strcmp(mode, "once")) {
    /* Hangs until somebody sends SIGUSR1, then ends well. */
    sigset_t set;
    int signal;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (pipe(ends)) return 1;
    pid_t child = fork();
    if (child == 0) {
      char byte;
      close(ends[1]);
      say_ready();
      /* Interrupted reads come back by themselves: an EINTR here would be luatrace's fault. */
      if (read(ends[0], &byte, 1) != 1) _exit(7);
      _exit(0);
    }
    sigwait(&set, &signal);
    if (write(ends[1], "x", 1) != 1) return 1;
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }
  return 0;
}
