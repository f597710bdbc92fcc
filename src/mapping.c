#include "mapping.h"

#include <assert.h> /* static_assert */
#include <errno.h>
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

static bool parse(const char *line, struct mapping_at *mapping) {
  unsigned long long start, end, offset, inode;
  unsigned major, minor;
  char may[5];
  if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu", &start, &end, may, &offset, &major, &minor, &inode) != 7)
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

/* Lines are read by pieces of a buffer; what of a long path does not fit is left out. */
static int find_in_text(int maps, tracee_addr address, struct mapping_at *found) {
  char text[4096];
  size_t kept = 0;
  ssize_t got;
  bool inside = false; /* of a line whose beginning was seen */
  if (lseek(maps, 0, SEEK_SET) < 0) return -errno;
  while ((got = read(maps, text + kept, sizeof text - 1 - kept)) > 0) {
    size_t size = kept + (size_t)got;
    text[size] = 0;
    char *line = text, *end;
    for (; (end = memchr(line, '\n', size - (size_t)(line - text))); line = end + 1) {
      *end = 0;
      if (!inside && parse(line, found) && address >= found->start && address < found->end) return 0;
      inside = false;
    }
    kept = size - (size_t)(line - text);
    if (kept == sizeof text - 1) {
      if (!inside && parse(line, found) && address >= found->start && address < found->end) return 0;
      inside = true;
      kept = 0;
    }
    memmove(text, line, kept);
  }
  return got < 0 ? -errno : -ENOENT;
}

int mapping_find(int maps, tracee_addr address, struct mapping_at *found) {
  int error = mapping_query(maps, address, found);
  return error == -ENOTTY ? find_in_text(maps, address, found) : error;
}
