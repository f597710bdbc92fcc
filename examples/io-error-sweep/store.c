/* Keeps one record in a file.
 *
 *   store safe FILE TEXT       writes FILE.new, checks every call, syncs, renames: FILE holds the old or the new record
 *   store careless FILE TEXT   truncates FILE and writes, checks nothing */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0) return -1;
    bytes += written;
    length -= (size_t)written;
  }
  return 0;
}

static int store_safely(const char *path, const char *text) {
  char beside[4096];
  int length = snprintf(beside, sizeof beside, "%s.new", path);
  if (length < 0 || (size_t)length >= sizeof beside) return -1;
  int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  if (write_all(fd, text, strlen(text)) < 0 || write_all(fd, "\n", 1) < 0 || fsync(fd) < 0) {
    close(fd);
    unlink(beside);
    return -1;
  }
  if (close(fd) < 0 || rename(beside, path) < 0) {
    unlink(beside);
    return -1;
  }
  return 0;
}

static int store_carelessly(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  (void)!write(fd, text, strlen(text));
  (void)!write(fd, "\n", 1);
  (void)!fsync(fd);
  close(fd);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: store safe|careless FILE TEXT\n");
    return 2;
  }
  int stored = strcmp(argv[1], "safe") == 0 ? store_safely(argv[2], argv[3]) : store_carelessly(argv[2], argv[3]);
  if (stored == 0) return 0;
  perror(argv[2]);
  return 1;
}
