/*
 * ops OP... - makes the calls that its arguments name, and says at the end what each has returned: one line a call,
 * "write 5" or "open -1 ENOENT".
 *
 * open:PATH  creat:PATH  close:FD  write:FD:TEXT  read:FD:N (adds what was read)  writev:FD:A:B  readv:FD:N
 * send:FD:TEXT (sendmsg)  fsync:FD  unlink:PATH  pipe  socketpair  getppid  getpid  fork:N (the rest is done by N
 * children, one after the other)  thread (the rest is done by another thread)  repeat:N:OP...  (the next op N times)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char report[65536];
static size_t used;

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  used += (size_t)vsnprintf(report + used, sizeof report - used, format, arguments);
  va_end(arguments);
}

static long result(const char *name, long value) {
  if (value == -1)
    say("%s -1 %s\n", name, strerrorname_np(errno));
  else
    say("%s %ld\n", name, value);
  return value;
}

static void tell(void) {
  struct iovec iov = {report, used};
  /* Not write: rules of the specs are about that. */
  if (used) pwritev2(STDOUT_FILENO, &iov, 1, -1, 0);
  used = 0;
}

static void run(char **ops);

static void *thread_main(void *ops) {
  run(ops);
  return NULL;
}

static void do_op(char *op) {
  char copy[4096], *save = NULL, *words[4] = {0};
  snprintf(copy, sizeof copy, "%s", op);
  int count = 0;
  for (char *word = strtok_r(copy, ":", &save); word && count < 4; word = strtok_r(NULL, ":", &save))
    words[count++] = word;
  const char *name = words[0];
  const char *text = words[1] ? words[1] : "";
  int fd = atoi(text);
  if (!strcmp(name, "open")) {
    result(name, openat(AT_FDCWD, text, O_RDWR));
  } else if (!strcmp(name, "creat")) {
    result(name, openat(AT_FDCWD, text, O_RDWR | O_CREAT | O_TRUNC, 0644));
  } else if (!strcmp(name, "close")) {
    result(name, close(fd));
  } else if (!strcmp(name, "write")) {
    result(name, write(fd, words[2], strlen(words[2])));
  } else if (!strcmp(name, "read")) {
    char bytes[4096] = "";
    long got = result(name, read(fd, bytes, (size_t)atoi(words[2])));
    if (got > 0) say("  %.*s\n", (int)got, bytes);
  } else if (!strcmp(name, "writev")) {
    struct iovec iov[2] = {{words[2], strlen(words[2])}, {words[3], strlen(words[3])}};
    result(name, writev(fd, iov, 2));
  } else if (!strcmp(name, "readv")) {
    char a[3] = "", b[64] = "";
    struct iovec iov[2] = {{a, 2}, {b, (size_t)atoi(words[2])}};
    if (result(name, readv(fd, iov, 2)) > 0) say("  %s %s\n", a, b);
  } else if (!strcmp(name, "send")) {
    struct iovec iov = {words[2], strlen(words[2])};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    result(name, sendmsg(fd, &message, 0));
  } else if (!strcmp(name, "fsync")) {
    result(name, fsync(fd));
  } else if (!strcmp(name, "unlink")) {
    result(name, unlink(text));
  } else if (!strcmp(name, "pipe")) {
    int fds[2];
    result(name, pipe(fds));
  } else if (!strcmp(name, "socketpair")) {
    int fds[2];
    result(name, socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
  } else if (!strcmp(name, "getppid")) {
    long parent = syscall(SYS_getppid);
    say("%s %s\n", name, parent == getppid() && parent > 0 ? "ok" : parent == -1 ? strerrorname_np(errno) : "odd");
  } else if (!strcmp(name, "getpid")) {
    result(name, syscall(SYS_getpid) == getpid() ? 0 : -1);
  } else {
    fprintf(stderr, "ops: there is no %s\n", name);
    exit(2);
  }
}

static void run(char **ops) {
  for (; *ops; ops++) {
    if (!strncmp(*ops, "repeat:", 7) && ops[1]) {
      int times = atoi(*ops + 7);
      ops++;
      for (int i = 0; i < times; i++)
        do_op(*ops);
    } else if (!strncmp(*ops, "fork:", 5)) {
      int children = atoi(*ops + 5);
      for (int i = 0; i < children; i++) {
        pid_t child = fork();
        if (child == 0) {
          used = 0;
          run(ops + 1);
          tell();
          _exit(0);
        }
        waitpid(child, NULL, 0);
      }
      return;
    } else if (!strcmp(*ops, "thread")) {
      pthread_t thread;
      if (pthread_create(&thread, NULL, thread_main, ops + 1) == 0) pthread_join(thread, NULL);
      return;
    } else {
      do_op(*ops);
    }
  }
}

int main(int argc, char **argv) {
  (void)argc;
  run(argv + 1);
  tell();
  return 0;
}
