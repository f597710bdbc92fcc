#include "mapping.h"

#include <assert.h> /* static_assert */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Our headers may be older than the kernel. */
struct procmap_query_v1 {
  uint64_t size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
  uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
  uint64_t vma_name_addr, build_id_addr;
};
static_assert(sizeof(struct procmap_query_v1) == 104, "the kernel's layout");
#define PROCMAP_QUERY_V1 _IOWR('f', 17, struct procmap_query_v1)
enum { PROCMAP_WRITABLE = 2, PROCMAP_EXECUTABLE = 4, PROCMAP_SHARED = 8 };

static uint64_t device(uint32_t major, uint32_t minor) { return (uint64_t)major << 32 | minor; }

int mapping_query(int maps, tracee_addr address, struct mapping_at *found) {
  struct procmap_query_v1 query = {.size = sizeof query, .query_addr = address};
  if (ioctl(maps, PROCMAP_QUERY_V1, &query)) return errno == ENOENT || errno == ESRCH ? -errno : -ENOTTY;
  *found = (struct mapping_at){
      .start = query.vma_start,
      .end = query.vma_end,
      .offset = query.vma_offset,
      .device = device(query.dev_major, query.dev_minor),
      .inode = query.inode,
      .executable = query.vma_flags & PROCMAP_EXECUTABLE,
      .writable = query.vma_flags & PROCMAP_WRITABLE,
      .shared = query.vma_flags & PROCMAP_SHARED,
  };
  return 0;
}

bool mapping_parse(const char *line, struct mapping_at *mapping, int *name) {
  unsigned long long start, end, offset, inode;
  unsigned major, minor;
  char may[5];
  *name = 0;
  if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, may, &offset, &major, &minor, &inode, name) < 7)
    return false;
  *mapping = (struct mapping_at){
      .start = start,
      .end = end,
      .offset = offset,
      .device = device(major, minor),
      .inode = inode,
      .executable = may[2] == 'x',
      .writable = may[1] == 'w',
      .shared = may[3] == 's',
  };
  return true;
}

static int find_in_text(int maps, tracee_addr address, struct mapping_at *found) {
  FILE *file = fdopen(maps, "r");
  char text[512];
  int error = -ENOENT, name;
  bool begins = true; /* a longer path comes in pieces */
  if (!file) {
    close(maps);
    return -ENOMEM;
  }
  while (error && fgets(text, sizeof text, file)) {
    if (begins && mapping_parse(text, found, &name) && address >= found->start && address < found->end) error = 0;
    begins = strchr(text, '\n');
  }
  fclose(file);
  return error;
}

int mapping_find(pid_t pid, tracee_addr address, struct mapping_at *found) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  int maps = open(path, O_RDONLY | O_CLOEXEC);
  if (maps < 0) return -errno;
  int error = mapping_query(maps, address, found);
  if (error == -ENOTTY) return find_in_text(maps, address, found);
  close(maps);
  return error;
}
