/*
 * save FILE TEXT: replaces a file by a new one. Written beside it and renamed: safe, its author thought.
 *
 * The tests of save_spec.lua and save.lua find two faults in it; save_fixed.c has neither.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char temporary[4096];
  if (argc != 3) return 2;
  snprintf(temporary, sizeof temporary, "%s.new", argv[1]);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) {
    perror(temporary);
    return 1;
  }
  if (write(fd, argv[2], strlen(argv[2])) < 0) perror(temporary);
  close(fd);
  if (rename(temporary, argv[1])) {
    perror(argv[1]);
    return 1;
  }
  return 0;
}
