/* What a program can know of another one's calls: that it sleeps. */
#ifndef ASLEEP_H
#define ASLEEP_H

#include <stdio.h>
#include <sys/types.h>

/* Until the process sleeps in a call: its state in /proc is the only thing to see it by. */
static void wait_until_asleep(pid_t pid) {
  char path[64], state = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  while (state != 'S') {
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1) state = 0;
    if (file) fclose(file);
  }
}

#endif
