#include "proc_status.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool proc_status_read(pid_t tid, char text[PROC_STATUS_SIZE]) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/status", tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t got = read(fd, text, PROC_STATUS_SIZE - 1);
  close(fd);
  if (got <= 0) return false;
  text[got] = 0;
  return true;
}

bool proc_status_field(const char *text, const char *name, const char *format, void *value) {
  size_t length = strlen(name);
  for (const char *line = text; line; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, name, length) == 0) return sscanf(line + length, format, value) == 1;
  }
  return false;
}
