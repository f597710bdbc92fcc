/* Writes "aaaaaaaa" into a file, one byte a call.
 *
 *   writer in-place FILE    opens FILE and writes into it
 *   writer atomic FILE      writes FILE.new and renames it to FILE when it is complete and on disk */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_bytes(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return -1;
  for (int i = 0; i < 8; i++) {
    if (write(fd, "a", 1) != 1) {
      close(fd);
      return -1;
    }
  }
  int synced = fsync(fd);
  return close(fd) < 0 || synced < 0 ? -1 : 0;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: writer in-place|atomic FILE\n");
    return 2;
  }
  const char *target = argv[2];
  if (strcmp(argv[1], "atomic") != 0) {
    if (write_bytes(target) == 0) return 0;
    perror(target);
    return 1;
  }
  char beside[4096];
  int length = snprintf(beside, sizeof beside, "%s.new", target);
  if (length < 0 || (size_t)length >= sizeof beside) {
    fprintf(stderr, "%s: the path is too long\n", target);
    return 1;
  }
  if (write_bytes(beside) == 0 && rename(beside, target) == 0) return 0;
  perror(target);
  return 1;
}
