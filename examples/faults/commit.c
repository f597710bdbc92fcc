/*
 * commit [careful] FILE TEXT - appends TEXT to FILE and syncs it, trying again when fsync fails. The second fsync says
 * that all is well; the data is gone all the same, since Linux has marked the pages clean. With "careful" one failure
 * is the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
  int careful = argc == 4 && !strcmp(argv[1], "careful");
  if (argc != 3 + careful) return fprintf(stderr, "usage: commit [careful] FILE TEXT\n"), 2;
  const char *text = argv[argc - 1];
  int fd = open(argv[argc - 2], O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) return perror("commit"), 1;
  while (fsync(fd) != 0) {
    perror("commit: fsync");
    if (careful) return 1;
  }
  puts("committed");
  return 0;
}
