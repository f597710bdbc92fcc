/*
 * mapping.h - what is mapped at an address of a process.
 */
#ifndef LUATRACE_MAPPING_H
#define LUATRACE_MAPPING_H

#include "tracer.h" /* tracee_addr */

struct mapping_at {
  tracee_addr start, end;
  uint64_t offset;        /* in the file */
  uint64_t device, inode; /* inode 0: of no file */
  bool executable, writable, shared;
};

/* Asks the kernel (PROCMAP_QUERY, Linux 6.11); `maps` is /proc/PID/maps, open. 0, -ENOENT: nothing is mapped there,
 * -ESRCH, or -ENOTTY: the kernel is older. */
int mapping_query(int maps, tracee_addr address, struct mapping_at *found);
/* The same of a process, by reading /proc/PID/maps where that cannot be asked. 0 or -errno. */
int mapping_find(pid_t pid, tracee_addr address, struct mapping_at *found);
/* One line of /proc/PID/maps; in `name`, where the path begins in it, or 0. */
bool mapping_parse(const char *line, struct mapping_at *mapping, int *name);

#endif
