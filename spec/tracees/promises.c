/* Programs that keep their promises, and such that do not: one word says which. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what) {
  perror(what);
  return 1;
}

/* How: i in place, s synced, d directory synced, w writes after the sync. */
static int save(const char *path, const char *how) {
  char temporary[4096];
  snprintf(temporary, sizeof temporary, "%s%s", path, strchr(how, 'i') ? "" : ".new");
  int fd = open(temporary, O_WRONLY | O_CREAT | (strchr(how, 'i') ? 0 : O_TRUNC) | O_CLOEXEC, 0644);
  if (fd < 0 || write(fd, "new\n", 4) != 4) return fail(temporary);
  if (strchr(how, 's') && fsync(fd)) return fail("fsync");
  if (strchr(how, 'w') && write(fd, "more\n", 5) != 5) return fail(temporary);
  close(fd);
  if (!strchr(how, 'i') && rename(temporary, path)) return fail("rename");
  if (strchr(how, 'd')) {
    fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd)) return fail("directory");
    close(fd);
  }
  return 0;
}

static int leak(int really) {
  int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (!really) close(fd);
  return 0;
}

/* Writes where there is never room; `heed`: says so. */
static int full(int heed) {
  int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
  ssize_t put = write(fd, "x", 1);
  return heed && put < 0;
}

static int child(int wait_for_it) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return fail("pipe2");
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  /* Dead, but not waited for. */
  siginfo_t info;
  waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
  if (wait_for_it) waitpid(pid, NULL, 0);
  return 0;
}

static int bare(const char *how) {
  int fd = open("/dev/zero", strcmp(how, "flag") ? O_RDONLY : O_RDONLY | O_CLOEXEC);
  if (!strcmp(how, "fcntl")) fcntl(fd, F_SETFD, FD_CLOEXEC);
  int ends[2];
  if (pipe2(ends, strcmp(how, "bare") ? O_CLOEXEC : 0)) return fail("pipe2");
  return 0;
}

static int network(const char *where) {
  int is_unix = !strcmp(where, "unix");
  int fd = socket(is_unix ? AF_UNIX : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
  struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(9)};
  in.sin_addr.s_addr = htonl(!strcmp(where, "loopback") ? 0x7f000001 : 0xc0000201);
  if (!strcmp(where, "sendmsg")) {
    struct msghdr message = {.msg_name = &in, .msg_namelen = sizeof in};
    return sendmsg(fd, &message, 0) < 0 ? 0 : 0;
  }
#ifdef SYS_socketcall
  if (!strcmp(where, "socketcall")) {
    long arguments[] = {fd, (long)&in, sizeof in};
    return syscall(SYS_socketcall, 3, arguments) == 99;
  }
#endif
  if (is_unix)
    (void)!connect(fd, (struct sockaddr *)&un, sizeof un);
  else if (strcmp(where, "none"))
    (void)!connect(fd, (struct sockaddr *)&in, sizeof in);
  return 0;
}

static void *thread(void *argument) {
  char name[64], temporary[] = "tmpXXXXXX";
  snprintf(name, sizeof name, "file%d", (int)(long)argument);
  int first = mkostemp(temporary, O_CLOEXEC);
  int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  for (int i = 0; i < 3; i++)
    if (write(fd, name, strlen(name)) < 0) perror(name);
  unlink(temporary);
  close(first);
  close(fd);
  return NULL;
}

static int threads(int count) {
  pthread_t all[16];
  for (int i = 0; i < count; i++)
    pthread_create(&all[i], NULL, thread, (void *)(long)i);
  for (int i = 0; i < count; i++)
    pthread_join(all[i], NULL);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "", *how = argc > 2 ? argv[2] : "";
  if (!strcmp(what, "save")) return save("file", how);
  if (!strcmp(what, "leak")) return leak(!strcmp(how, "really"));
  if (!strcmp(what, "pointer")) return syscall(SYS_stat, !strcmp(how, "bad") ? (char *)16 : "/", &(char[256]){0}) == 99;
  if (!strcmp(what, "full")) return full(!strcmp(how, "heed"));
  if (!strcmp(what, "child")) return child(!strcmp(how, "wait"));
  if (!strcmp(what, "bare")) return bare(how);
  if (!strcmp(what, "network")) return network(how);
  if (!strcmp(what, "threads")) return threads(atoi(how));
  return 2;
}
