#include "tracee_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_RANGES = 1024 };
enum memory_path { PATH_BEST, PATH_PROC_MEM, PATH_PEEK };

/* process_vm_* and /proc/PID/mem take signed offsets and lengths: what wraps cannot be memory. */
static uint64_t bounded(tracee_addr address, uint64_t size) {
  const uint64_t end = 0x7fffffffffffffffull;
  if (address >= end) return 0;
  return size > end - address ? end - address : size;
}

/* Up to the end of the page that `address` is in. */
static uint64_t within_page(tracee_addr address, uint64_t size) {
  uint64_t left = PAGE - (address & (PAGE - 1));
  return size < left ? size : left;
}

/* --- the three paths: bytes moved (short at a hole), or -errno ------------------------------------------------- */

static int64_t by_process_vm(pid_t tid, tracee_addr from, void *to, uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    struct iovec local = {(char *)to + done, size - done};
    struct iovec remote = {(void *)(from + done), size - done};
    ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    if (got > 0) {
      done += (uint64_t)got;
      continue;
    }
    if (done) break;
    if (got < 0 && errno != EFAULT) return -errno;
    /* A fault anywhere in the first pages the kernel pins at once says EFAULT for all: is the first page there? */
    uint64_t piece = within_page(from, size);
    if (piece == size) return -EFAULT;
    got = by_process_vm(tid, from, to, piece);
    if (got <= 0) return got ? got : -EFAULT;
    done += (uint64_t)got;
    if ((uint64_t)got < piece) break;
  }
  return (int64_t)done;
}

static int mem_fd(struct tracee *tracee) {
  struct process *process = tracee->process;
  if (process->mem_fd < 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", tracee->tid);
    process->mem_fd = open(path, O_RDWR | O_CLOEXEC);
  }
  return process->mem_fd >= 0 ? process->mem_fd : -errno;
}

static int64_t by_mem_read(struct tracee *tracee, tracee_addr from, void *to, uint64_t size) {
  int fd = mem_fd(tracee);
  if (fd < 0) return fd;
  uint64_t done = 0;
  while (done < size) {
    ssize_t got = pread(fd, (char *)to + done, within_page(from + done, size - done), (off_t)(from + done));
    if (got <= 0) {
      if (done) break;
      return got < 0 && errno != EIO ? -errno : -EFAULT;
    }
    done += (uint64_t)got;
  }
  return (int64_t)done;
}

static int64_t by_mem_write(struct tracee *tracee, tracee_addr to, const void *from, uint64_t size) {
  int fd = mem_fd(tracee);
  if (fd < 0) return fd;
  uint64_t done = 0;
  while (done < size) {
    ssize_t put = pwrite(fd, (const char *)from + done, within_page(to + done, size - done), (off_t)(to + done));
    if (put <= 0) {
      if (done) break;
      return put < 0 && errno != EIO ? -errno : -EFAULT;
    }
    done += (uint64_t)put;
  }
  return (int64_t)done;
}

/* One aligned word at a time. */
static int64_t by_peek(pid_t tid, tracee_addr from, void *to, uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    tracee_addr aligned = (from + done) & ~7ull;
    uint64_t skip = (from + done) - aligned, take = 8 - skip < size - done ? 8 - skip : size - done;
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, tid, (void *)aligned, NULL);
    if (errno) return done ? (int64_t)done : errno == EIO ? -EFAULT : -errno;
    memcpy((char *)to + done, (char *)&word + skip, take);
    done += take;
  }
  return (int64_t)done;
}

static int64_t by_poke(pid_t tid, tracee_addr to, const void *from, uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    tracee_addr aligned = (to + done) & ~7ull;
    uint64_t skip = (to + done) - aligned, take = 8 - skip < size - done ? 8 - skip : size - done;
    errno = 0;
    long word = take < 8 ? ptrace(PTRACE_PEEKDATA, tid, (void *)aligned, NULL) : 0;
    if (!errno) {
      memcpy((char *)&word + skip, (const char *)from + done, take);
      ptrace(PTRACE_POKEDATA, tid, (void *)aligned, (void *)word);
    }
    if (errno) return done ? (int64_t)done : errno == EIO ? -EFAULT : -errno;
    done += take;
  }
  return (int64_t)done;
}

/* --- the choice ------------------------------------------------------------------------------------------------ */

static bool not_allowed(int64_t error) { return error == -EPERM || error == -EACCES || error == -ENOSYS; }

int64_t tracee_memory_read(const struct tracer *tracer, struct tracee *tracee, tracee_addr from, void *to,
                           uint64_t size) {
  size = bounded(from, size);
  if (size == 0) return -EFAULT;
  uint32_t path = tracer->options.memory_path;
  if (path == PATH_BEST && !tracee->process->no_process_vm) {
    int64_t got = by_process_vm(tracee->tid, from, to, size);
    if (!not_allowed(got)) return got;
    tracee->process->no_process_vm = true;
  }
  if (path != PATH_PEEK) {
    int64_t got = by_mem_read(tracee, from, to, size);
    if (!not_allowed(got)) return got;
  }
  return by_peek(tracee->tid, from, to, size);
}

int64_t tracee_memory_write(const struct tracer *tracer, struct tracee *tracee, tracee_addr to, const void *from,
                            uint64_t size) {
  size = bounded(to, size);
  if (size == 0) return -EFAULT;
  uint32_t path = tracer->options.memory_path;
  if (path == PATH_BEST && !tracee->process->no_process_vm) {
    struct iovec local = {(void *)from, size}, remote = {(void *)to, size};
    ssize_t put = process_vm_writev(tracee->tid, &local, 1, &remote, 1, 0);
    if (put == (ssize_t)size) return put;
    if (put < 0 && errno == ESRCH) return -ESRCH;
    /* Read-only pages and the rest: /proc/PID/mem goes past the protection. */
  }
  if (path != PATH_PEEK) {
    int64_t put = by_mem_write(tracee, to, from, size);
    if (!not_allowed(put)) return put;
  }
  return by_poke(tracee->tid, to, from, size);
}

/* --- api.h ----------------------------------------------------------------------------------------------------- */

int64_t tracer_read(struct tracer *tracer, uint32_t number, tracee_addr from, void *to, uint64_t size) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee) return -ESRCH;
  return size ? tracee_memory_read(tracer, tracee, from, to, size) : 0;
}

int64_t tracer_write(struct tracer *tracer, uint32_t number, tracee_addr to, const void *from, uint64_t size) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee) return -ESRCH;
  return size ? tracee_memory_write(tracer, tracee, to, from, size) : 0;
}

int64_t tracer_read_cstring(struct tracer *tracer, uint32_t number, tracee_addr from, char *to, uint64_t size,
                            uint64_t *partial) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (partial) *partial = 0;
  if (!tracee) return -ESRCH;
  uint64_t done = 0;
  while (done < size) {
    /* Short strings near the start of a page are the rule; never past a page in one step. */
    uint64_t step = within_page(from + done, size - done);
    if (done == 0 && step > 256) step = 256;
    int64_t got = tracee_memory_read(tracer, tracee, from + done, to + done, step);
    if (got <= 0) {
      if (partial) *partial = done;
      return got ? got : -EFAULT;
    }
    const char *end = memchr(to + done, 0, (size_t)got);
    if (end) return end - to;
    done += (uint64_t)got;
  }
  return (int64_t)size;
}

/* One call for as many ranges as the kernel takes; it stops at the first that faults, which is then read by itself. */
static void read_batch(struct tracer *tracer, struct tracee *tracee, struct memory_range *ranges, uint32_t count) {
  struct iovec local[MAX_RANGES], remote[MAX_RANGES];
  uint32_t next = 0;
  while (next < count) {
    uint32_t n = 0;
    for (; next + n < count && n < MAX_RANGES; n++) {
      struct memory_range *range = &ranges[next + n];
      uint64_t size = bounded(range->from, range->size);
      local[n] = (struct iovec){range->to, size};
      remote[n] = (struct iovec){(void *)range->from, size};
    }
    ssize_t got = process_vm_readv(tracee->tid, local, n, remote, n, 0);
    for (uint32_t i = 0; got > 0 && i < n && (size_t)got >= local[i].iov_len; i++, next++) {
      ranges[next].result = local[i].iov_len ? (int64_t)local[i].iov_len : -EFAULT;
      got -= (ssize_t)local[i].iov_len;
    }
    if (next < count) {
      struct memory_range *range = &ranges[next++];
      range->result = tracee_memory_read(tracer, tracee, range->from, range->to, range->size);
    }
  }
}

int tracer_read_ranges(struct tracer *tracer, uint32_t number, struct memory_range *ranges, uint32_t count) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee) return -ESRCH;
  if (tracer->options.memory_path == PATH_BEST && !tracee->process->no_process_vm && count > 1) {
    read_batch(tracer, tracee, ranges, count);
    return 0;
  }
  for (uint32_t i = 0; i < count; i++)
    ranges[i].result = tracee_memory_read(tracer, tracee, ranges[i].from, ranges[i].to, ranges[i].size);
  return 0;
}
