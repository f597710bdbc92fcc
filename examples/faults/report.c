/*
 * report [careful] FILE - writes ten thousand lines into FILE. Nothing looks at what stdio says of them: when the disk
 * is full, they are lost and the program ends with 0. With "careful" it asks fclose and says so.
 */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  int careful = argc == 3 && !strcmp(argv[1], "careful");
  FILE *file = argc > 1 ? fopen(argv[argc - 1], "w") : NULL;
  if (!file) return perror("report"), 1;
  for (int i = 0; i < 10000; i++)
    fprintf(file, "line %d\n", i);
  int failed = ferror(file);
  failed |= fclose(file) != 0;
  if (careful && failed) return perror("report"), 1;
  return 0;
}
