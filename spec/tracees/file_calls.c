/* Every call that changes files, each in the working directory, with offsets shared over dup and fork. What the system
 * does not offer (O_TMPFILE, some modes of fallocate) is left out. The working directory holds "base" (10,000 bytes). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(2);
}

static int fresh(const char *name, int flags) {
  int fd = open(name, O_RDWR | O_CREAT | flags, 0640);
  must(fd >= 0, name);
  return fd;
}

static void *append_lines(void *name) {
  for (int i = 0; i < 50; i++) {
    int fd = open("threads", O_WRONLY | O_APPEND | O_CREAT, 0644);
    char line[32];
    int size = snprintf(line, sizeof line, "%s %d\n", (char *)name, i);
    must(fd >= 0 && write(fd, line, size) == size && close(fd) == 0, "threads");
  }
  return NULL;
}

static void data(void) {
  char big[9000];
  memset(big, 'x', sizeof big);
  int fd = fresh("data", 0), copy = dup(fd);
  must(write(fd, "one", 3) == 3 && write(copy, "two", 3) == 3, "write");
  struct iovec parts[2] = {{"three", 5}, {big, sizeof big}};
  must(writev(fd, parts, 2) == 9005, "writev");
  must(pwrite(fd, "P", 1, 4090) == 1 && pwritev(copy, parts, 1, 5000) == 5, "pwrite");
  must(pwritev2(fd, parts, 1, -1, 0) == 5 && pwritev2(fd, parts, 1, 2, RWF_DSYNC) == 5, "pwritev2");
  must(lseek(fd, 20000, SEEK_SET) == 20000 && write(copy, "far", 3) == 3, "hole");
  pid_t child = fork();
  if (child == 0) {
    must(write(fd, "child", 5) == 5, "child");
    _exit(0);
  }
  must(waitpid(child, NULL, 0) == child && write(fd, "parent", 6) == 6, "fork");
  int base = open("base", O_RDWR), log = fresh("log", O_APPEND), pipes[2];
  must(pwrite(log, "appended all the same", 21, 3) == 21, "append");
  must(sendfile(fd, base, NULL, 3000) == 3000, "sendfile");
  off_t to = 100;
  must(copy_file_range(base, NULL, fd, &to, 2000, 0) == 2000, "copy_file_range");
  must(pipe(pipes) == 0 && write(pipes[1], "spliced", 7) == 7, "pipe");
  loff_t at = 8000;
  must(splice(pipes[0], NULL, fd, &at, 7, 0) == 7, "splice");
  must(ftruncate(base, 7000) == 0 && ftruncate(base, 12000) == 0 && truncate("data", 30000) == 0, "truncate");
  must(pwrite(base, "in the hole", 11, 8190) == 11, "pwrite");
  must(fallocate(fd, 0, 29000, 5000) == 0, "fallocate");
  if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 5000) != 0) must(errno == EOPNOTSUPP, "punch");
  if (fallocate(fd, FALLOC_FL_ZERO_RANGE, 100, 50) != 0) must(errno == EOPNOTSUPP, "zero");
  must(fchmod(log, 0600) == 0 && chmod("data", 0444) == 0, "chmod");
  pthread_t threads[2];
  must(pthread_create(&threads[0], NULL, append_lines, "a") == 0, "thread");
  must(pthread_create(&threads[1], NULL, append_lines, "b") == 0, "thread");
  pthread_join(threads[0], NULL);
  pthread_join(threads[1], NULL);
}

static void names(void) {
  must(mkdir("d", 0755) == 0 && mkdir("d/e", 0700) == 0, "mkdir");
  int d = open("d", O_RDONLY | O_DIRECTORY);
  must(d >= 0 && mkdirat(d, "f/", 0755) == 0, "mkdirat");
  int fd = openat(d, "inner", O_WRONLY | O_CREAT | O_EXCL, 0644);
  must(fd >= 0 && write(fd, "inner", 5) == 5, "openat");
  must(linkat(d, "inner", AT_FDCWD, "hard", 0) == 0 && link("hard", "harder") == 0, "link");
  must(symlink("d", "way") == 0 && symlinkat("nowhere", d, "dangling") == 0, "symlink");
  must(rename("way/inner", "way/e/moved") == 0, "rename");
  must(rename("d/e", "./way/../e2") == 0, "rename a directory");
  must(renameat(AT_FDCWD, "harder", d, "hardest") == 0, "renameat");
  must(close(creat("x", 0600)) == 0 && close(creat("y", 0600)) == 0, "creat");
  fd = open("x", O_WRONLY);
  must(write(fd, "was x", 5) == 5, "x");
  if (syscall(SYS_renameat2, AT_FDCWD, "x", AT_FDCWD, "y", 2) != 0) must(rename("x", "y") == 0, "exchange");
  must(write(fd, "!", 1) == 1, "renamed and open");
  must(unlink("hard") == 0 && unlinkat(d, "f", AT_REMOVEDIR) == 0, "unlink");
  must(mkdir("gone", 0755) == 0 && rmdir("gone/") == 0 && mkfifo("fifo", 0600) == 0, "rmdir");
  must(chdir("e2") == 0 && rename("moved", "../d/back") == 0 && chdir("..") == 0, "chdir");
  fd = open(".", O_TMPFILE | O_RDWR, 0644);
  if (fd >= 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    must(write(fd, "had no name", 11) == 11, "tmpfile");
    must(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0, "name it");
  }
  fd = open("way/../created-late", O_WRONLY | O_CREAT, 0600);
  must(fd >= 0 && write(fd, "late", 4) == 4 && unlink("created-late") == 0 && write(fd, "r", 1) == 1, "late");
  must(close(open("created-late", O_WRONLY | O_CREAT, 0644)) == 0, "again");
}

int main(void) {
  umask(022);
  data();
  names();
  return 0;
}
