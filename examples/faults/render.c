/*
 * render [careful] - needs a canvas of 16 MiB, row by row, and does not look whether it gets it: without memory it dies
 * of SIGSEGV. "careful" it makes a smaller one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64, ROW = 256 << 10 };

int main(int argc, char **argv) {
  (void)argv;
  char *rows[ROWS];
  int made = 0;
  for (; made < ROWS; made++) {
    rows[made] = malloc(ROW);
    if (!rows[made] && argc > 1) break;
    memset(rows[made], made, ROW);
  }
  if (made == 0) return fputs("render: out of memory\n", stderr), 1;
  printf("%d rows\n", made);
  return 0;
}
