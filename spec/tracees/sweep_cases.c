/* Small programs for `luatrace sweep`, one for each verdict and each false alarm: sweep_cases NAME. They work on the file
 * "data" in the working directory, which holds some text; all but the first few write "new content" into it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char text[] = "new content, longer than what was there\n";

/* Beside, synced, renamed, and nothing left when that fails: the right way. */
static int careful(void) {
  int fd = open("data.new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return 1;
  int bad = write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1 || fsync(fd);
  if (close(fd)) bad = 1;
  if (!bad && rename("data.new", "data") == 0) return 0;
  unlink("data.new");
  return 1;
}

/* Nobody looks at what fclose says. */
static int silent(void) {
  FILE *f = fopen("data.new", "w");
  if (!f) return 1;
  fputs(text, f);
  fclose(f);
  return 0;
}

/* In place: what was there is gone before the new content is. */
static int destroys(void) {
  int fd = open("data", O_WRONLY | O_TRUNC);
  if (fd < 0) return 1;
  int bad = write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1;
  return close(fd) || bad;
}

/* Waits for ever for better times. */
static int hangs(void) {
  int fd = open("out", O_WRONLY | O_CREAT, 0644);
  if (fd < 0) return 1;
  while (write(fd, text, sizeof text - 1) < 0)
    pause();
  return close(fd) != 0;
}

/* Tries again at once, for ever. */
static int spins(void) {
  int fd = open("out", O_WRONLY | O_CREAT, 0644);
  if (fd < 0) return 1;
  while (write(fd, text, sizeof text - 1) < 0)
    ;
  return close(fd) != 0;
}

/* fopen does not return NULL, does it? */
static int crashes(void) {
  FILE *f = fopen("data", "r");
  return fgetc(f) == EOF;
}

/* Says that it failed, and leaves half of it lying about. */
static int leaves(void) {
  int fd = open("data.tmp", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return 1;
  int bad = write(fd, text, sizeof text - 1) != (ssize_t)sizeof text - 1;
  if (close(fd)) bad = 1;
  return bad || rename("data.tmp", "data");
}

/* A setting that nobody needs. */
static int tolerates(void) {
  char setting[64];
  int fd = open("data", O_RDONLY);
  if (fd >= 0 && read(fd, setting, sizeof setting) >= 0) close(fd);
  return 0;
}

/* False alarm: close(2) that fails has closed all the same. A skipped close would leave the descriptor open. */
static int closes(void) {
  int fd = open("out", O_WRONLY | O_CREAT, 0644);
  if (fd < 0 || write(fd, "x", 1) != 1) return 1;
  int bad = close(fd);
  if (fcntl(fd, F_GETFD) != -1) abort();
  if (bad) unlink("out");
  return bad != 0;
}

/* False alarms: a pipe, a socket and an eventfd have no disk that could be full. */
static int kinds(void) {
  int ends[2], pair[2], event = eventfd(0, 0);
  uint64_t one = 1;
  if (event < 0 || pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
  if (write(event, &one, sizeof one) < 0 && errno != EINTR) abort();
  if (write(ends[1], &one, sizeof one) < 0 && (errno == ENOSPC || errno == EIO)) abort();
  if (write(pair[1], &one, sizeof one) < 0 && (errno == ENOSPC || errno == EIO)) abort();
  return 0;
}

/* False alarm: a full disk stays full. The first write is not looked at, but the second would fail too, and is. */
static int full_once(void) {
  int fd = open("out", O_WRONLY | O_CREAT, 0644);
  if (fd < 0) return 1;
  int ignored = write(fd, "head\n", 5) != 5;
  int bad = write(fd, "tail\n", 5) != 5;
  if (close(fd) || bad || lseek(0, 0, SEEK_CUR) == 1) {
    unlink("out");
    return 1;
  }
  return ignored ? 0 : 0;
}

/* A full disk that gets space again: what is removed makes room, and the second try is rightly a success. */
static int frees(void) {
  for (int attempt = 0; attempt < 2; attempt++) {
    int fd = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) return 1;
    int good = write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1;
    if (close(fd)) good = 0;
    if (good) return 0;
    unlink("out");
    unlink("cache");
  }
  return 1;
}

/* False alarm: what differs between two clean runs. */
static int differs(void) {
  FILE *f = fopen("log", "w");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (!f || fprintf(f, "%ld.%09ld\n", (long)now.tv_sec, now.tv_nsec) < 0) return 1;
  return fclose(f) != 0;
}

/* Two faults: when the write fails, the old content is put back, and nobody looks whether that worked. */
static int restores(void) {
  char old[256];
  int fd = open("data", O_RDWR);
  if (fd < 0) return 1;
  ssize_t size = read(fd, old, sizeof old);
  if (size < 0) return 1;
  if (pwrite(fd, text, sizeof text - 1, 0) == (ssize_t)sizeof text - 1) return close(fd) != 0;
  if (pwritev(fd, &(struct iovec){old, (size_t)size}, 1, 0) < 0 && ftruncate(fd, 0)) return 1;
  return 1;
}

/* A child does the work, in place. */
static int child(void) {
  pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid == 0) _exit(destroys());
  int status;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return 1;
  return status != 0;
}

/* What goes through a shared mapping is no call. */
static int mapped(void) {
  int fd = open("data", O_RDWR);
  if (fd < 0) return 1;
  char *at = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return 1;
  memcpy(at, "map", 3);
  return msync(at, 4, MS_SYNC) || close(fd);
}

/* Writes where it must not. */
static int strays(void) {
  const char *path = getenv("STRAY");
  int fd = open(path ? path : "/tmp/stray", O_WRONLY | O_CREAT, 0644);
  if (fd >= 0) close(fd);
  return 0;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(void);
  } cases[] = {{"careful", careful}, {"silent", silent},   {"destroys", destroys},   {"hangs", hangs},
               {"spins", spins},     {"crashes", crashes}, {"leaves", leaves},       {"tolerates", tolerates},
               {"closes", closes},   {"kinds", kinds},     {"full-once", full_once}, {"frees", frees},
               {"differs", differs}, {"child", child},     {"restores", restores},   {"mapped", mapped},
               {"strays", strays}};
  for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++)
    if (strcmp(argv[1], cases[i].name) == 0) return cases[i].run();
  fprintf(stderr, "usage: sweep_cases CASE\n");
  return 2;
}
