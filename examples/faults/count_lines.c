/*
 * count_lines [careful] - how many lines come through standard input. A read that a signal interrupts is an error for
 * it, and the end; "careful" it reads again, as it would with SA_RESTART.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
  (void)argv;
  int careful = argc > 1;
  char block[4096];
  long lines = 0;
  for (;;) {
    ssize_t got = read(STDIN_FILENO, block, sizeof block);
    if (got < 0 && errno == EINTR && careful) continue;
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; i++)
      lines += block[i] == '\n';
  }
  printf("%ld\n", lines);
  return 0;
}
