/*
 * limits descriptors [MAX] - makes descriptors until there are none and says how each call ends; MAX: under that
 * RLIMIT_NOFILE. For specs that compare a fault with the real thing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(const char *name, int result) {
  printf("%s %d %s\n", name, result, result < 0 ? strerrorname_np(errno) : "");
}

int main(int argc, char **argv) {
  int ends[2];
  if (argc > 2) {
    rlim_t max = (rlim_t)atoi(argv[2]);
    struct rlimit limit = {max, max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  for (int fd = 3; fd < 100; fd++)
    close(fd);
  say("open", open("/dev/null", O_RDONLY));
  say("dup2 below", dup2(0, 7));
  say("dup2 beyond", dup2(0, 8));
  say("dup3 far beyond", dup3(0, 900, O_CLOEXEC));
  say("pipe", pipe(ends));
  say("F_DUPFD below", fcntl(0, F_DUPFD, 5));
  say("F_DUPFD beyond", fcntl(0, F_DUPFD, 8));
  say("pipe", pipe(ends));
  say("dup", dup(0));
  say("dup of none", dup(50));
  say("open of none", open("/nonexistent", O_RDONLY));
  say("close", close(7));
  say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  say("socket", socket(AF_UNIX, SOCK_STREAM, 0));
  say("dup2 onto itself", dup2(0, 0));
  say("dup2 of none", dup2(99, 99));
  say("F_DUPFD full", fcntl(0, F_DUPFD, 7));
  say("F_DUPFD of none", fcntl(50, F_DUPFD, 7));
  return 0;
}
