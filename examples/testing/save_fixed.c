/*
 * save FILE TEXT: replaces a file by a new one, so that after a crash or a power cut there is the old file or the new.
 *
 * save.c without its faults: the data is on disk before the rename, the rename before success is said, and what fails
 * leaves the old file alone.
 */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    ssize_t put = write(fd, text, left);
    if (put < 0) return -1;
    text += put;
    left -= (size_t)put;
  }
  return 0;
}

int main(int argc, char **argv) {
  char temporary[4096];
  if (argc != 3) return 2;
  snprintf(temporary, sizeof temporary, "%s.new", argv[1]);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    perror(temporary);
    return 1;
  }
  int failed = write_all(fd, argv[2]) || fsync(fd);
  failed |= close(fd);
  if (failed || rename(temporary, argv[1])) {
    perror(temporary);
    unlink(temporary);
    return 1;
  }
  int directory = open(dirname(temporary), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || fsync(directory) || close(directory)) {
    perror(argv[1]);
    return 1;
  }
  return 0;
}
