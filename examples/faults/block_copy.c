/*
 * block_copy FROM TO - copies a file in blocks of 4096 bytes, and takes the first block that is not full for the last
 * one. On a file that works by luck; on a pipe, a socket or a network file system a read may be short at any time.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char block[4096];
  int from = argc == 3 ? open(argv[1], O_RDONLY) : -1;
  int to = argc == 3 ? open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
  if (from < 0 || to < 0) return perror("block_copy"), 1;
  ssize_t got;
  do {
    got = read(from, block, sizeof block);
    if (got < 0 || write(to, block, (size_t)got) != got) return perror("block_copy"), 1;
  } while (got == (ssize_t)sizeof block);
  return 0;
}
