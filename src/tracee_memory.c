#include "tracee_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_RANGES = 1024, MAX_BATCH = 1 << 30, SHORT_STRING = 256 };
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
  uint64_t done = 0, step = size;
  while (done < size) {
    struct iovec local = {(char *)to + done, step};
    struct iovec remote = {(void *)(from + done), step};
    ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    if (got > 0) {
      done += (uint64_t)got;
      /* Short at a hole, or at the kernel's 2 GiB: what follows is asked for page by page, and says which. */
      step = within_page(from + done, size - done);
      continue;
    }
    if (got < 0 && errno != EFAULT) return done ? (int64_t)done : -errno;
    uint64_t page = within_page(from + done, size - done);
    if (step <= page) break;
    step = page;
  }
  return done ? (int64_t)done : -EFAULT;
}

static int mem_fd(const struct tracer *tracer, struct tracee *tracee) {
  if (tracer->features.foreign_proc) return -ENOENT;
  struct process *process = tracee->process;
  if (process->mem_fd < 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", tracee->tid);
    process->mem_fd = open(path, O_RDWR | O_CLOEXEC);
  }
  return process->mem_fd >= 0 ? process->mem_fd : -errno;
}

/* Through /proc/PID/mem, one way or the other. 0 from the kernel: that memory image is gone (exec, death). */
static int64_t by_mem(const struct tracer *tracer, struct tracee *tracee, tracee_addr there, void *to, const void *from,
                      uint64_t size) {
  bool reopened = false;
  uint64_t done = 0;
  while (done < size) {
    int fd = mem_fd(tracer, tracee);
    if (fd < 0) return fd;
    off_t at = (off_t)(there + done);
    /* Above that the kernel refuses the length itself. */
    size_t step = size - done < MAX_BATCH ? size - done : MAX_BATCH;
    ssize_t moved = to ? pread(fd, (char *)to + done, step, at) : pwrite(fd, (const char *)from + done, step, at);
    if (moved > 0) {
      done += (uint64_t)moved;
    } else if (done) {
      break;
    } else if (moved < 0) {
      return errno == EIO ? -EFAULT : -errno;
    } else {
      close(fd);
      tracee->process->mem_fd = -1;
      if (reopened) return -ESRCH;
      reopened = true;
    }
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

/* Did /proc/PID/mem serve? If not: no rights, no /proc, no descriptors left. */
static bool mem_served(int64_t moved) { return moved >= 0 || moved == -EFAULT || moved == -ESRCH; }

/* PTRACE_PEEKDATA says EIO for a bad address and for a refusal. Where /proc/PID/mem was refused it is the latter. */
static int64_t last_answer(int64_t moved, int64_t by_mem) {
  return moved == -EFAULT && not_allowed(by_mem) ? -EPERM : moved;
}

/* Why /proc/PID/mem cannot be had, when nothing else is to be tried: of a dead tracee there is none. */
static int64_t mem_answer(pid_t tid, tracee_addr there, int64_t by_mem) {
  char byte;
  return by_peek(tid, there, &byte, 1) == -ESRCH ? -ESRCH : by_mem;
}

int64_t tracee_memory_read(const struct tracer *tracer, struct tracee *tracee, tracee_addr from, void *to,
                           uint64_t size) {
  if (size == 0) return 0;
  size = bounded(from, size);
  if (size == 0) return -EFAULT;
  uint32_t path = tracer->options.memory_path;
  struct process *process = tracee->process;
  if (path == PATH_BEST && !process->no_process_vm) {
    int64_t got = by_process_vm(tracee->tid, from, to, size);
    if (!not_allowed(got)) return got;
    process->no_process_vm = true;
  }
  if (path == PATH_PEEK) return by_peek(tracee->tid, from, to, size);
  int64_t got = by_mem(tracer, tracee, from, to, NULL, size);
  if (mem_served(got)) return got;
  if (path == PATH_PROC_MEM) return mem_answer(tracee->tid, from, got);
  /* In a notification it is not stopped, which ptrace calls ESRCH. */
  if (tracee->notified && not_allowed(got)) return -EPERM;
  return last_answer(by_peek(tracee->tid, from, to, size), got);
}

int64_t tracee_memory_overwrite(const struct tracer *tracer, struct tracee *tracee, tracee_addr to, const void *from,
                                uint64_t size) {
  uint32_t path = tracer->options.memory_path;
  if (path == PATH_PEEK) return by_poke(tracee->tid, to, from, size);
  int64_t put = by_mem(tracer, tracee, to, NULL, from, size);
  if (mem_served(put)) return put;
  if (path == PATH_PROC_MEM) return mem_answer(tracee->tid, to, put);
  return last_answer(by_poke(tracee->tid, to, from, size), put);
}

int64_t tracee_memory_write(const struct tracer *tracer, struct tracee *tracee, tracee_addr to, const void *from,
                            uint64_t size) {
  if (size == 0) return 0;
  size = bounded(to, size);
  if (size == 0) return -EFAULT;
  struct process *process = tracee->process;
  if (tracer->options.memory_path == PATH_BEST && !process->no_process_vm) {
    struct iovec local = {(void *)from, size}, remote = {(void *)to, size};
    ssize_t put = process_vm_writev(tracee->tid, &local, 1, &remote, 1, 0);
    if (put == (ssize_t)size) return put;
    if (put < 0 && errno == ESRCH) return -ESRCH;
    if (put < 0 && not_allowed(-errno)) process->no_process_vm = true;
    /* Read-only pages and the rest: /proc/PID/mem goes past the protection. */
  }
  return tracee_memory_overwrite(tracer, tracee, to, from, size);
}

int64_t tracee_memory_read_cstring(const struct tracer *tracer, struct tracee *tracee, tracee_addr from, char *to,
                                   uint64_t size, uint64_t *partial) {
  uint64_t done = 0;
  if (partial) *partial = 0;
  while (done < size) {
    /* Most strings are short; and never past a page in one step. */
    uint64_t step = within_page(from + done, size - done);
    if (done == 0 && step > SHORT_STRING) step = SHORT_STRING;
    int64_t got = tracee_memory_read(tracer, tracee, from + done, to + done, step);
    if (got <= 0) return got ? got : -EFAULT;
    const char *end = memchr(to + done, 0, (size_t)got);
    done += (uint64_t)got;
    if (partial) *partial = end ? (uint64_t)(end - to) : done;
    if (end) return end - to;
  }
  return (int64_t)size;
}

/* One call for up to MAX_RANGES of them. The kernel stops where it faults; the range there keeps what was read of it, or
 * is read by itself when that is nothing, and the rest is another call. Returns how many were dealt with, or -errno. */
static int64_t read_batch(const struct tracer *tracer, struct tracee *tracee, struct memory_range *ranges,
                          uint32_t count) {
  struct iovec local[MAX_RANGES], remote[MAX_RANGES];
  uint32_t batch = 0;
  for (uint64_t total = 0; batch < count && batch < MAX_RANGES; batch++) {
    struct memory_range *range = &ranges[batch];
    uint64_t size = bounded(range->from, range->size);
    if (size > MAX_BATCH - total) break;
    total += size;
    local[batch] = (struct iovec){range->to, size};
    remote[batch] = (struct iovec){(void *)range->from, size};
  }
  uint64_t got = 0;
  if (batch > 1) {
    ssize_t moved = process_vm_readv(tracee->tid, local, batch, remote, batch, 0);
    if (moved < 0 && errno != EFAULT && errno != EINVAL) return -errno;
    if (moved > 0) got = (uint64_t)moved;
  }
  uint32_t next = 0;
  for (; next < batch; next++) {
    uint64_t size = local[next].iov_len;
    if (got < size) break;
    ranges[next].result = size || !ranges[next].size ? (int64_t)size : -EFAULT;
    got -= size;
  }
  if (next < count && (next < batch || batch <= 1)) {
    struct memory_range *range = &ranges[next++];
    range->result = got ? (int64_t)got : tracee_memory_read(tracer, tracee, range->from, range->to, range->size);
  }
  return next;
}

int tracee_memory_read_ranges(const struct tracer *tracer, struct tracee *tracee, struct memory_range *ranges,
                              uint32_t count) {
  uint32_t next = 0;
  while (count - next > 1 && tracer->options.memory_path == PATH_BEST && !tracee->process->no_process_vm) {
    int64_t done = read_batch(tracer, tracee, ranges + next, count - next);
    /* Whatever it is, the single reads below meet it too, and fall back or say so. */
    if (done < 0) break;
    next += (uint32_t)done;
  }
  for (; next < count; next++) {
    struct memory_range *range = &ranges[next];
    range->result = tracee_memory_read(tracer, tracee, range->from, range->to, range->size);
  }
  return 0;
}

/* --- api.h ----------------------------------------------------------------------------------------------------- */

int64_t tracer_read(struct tracer *tracer, uint32_t number, tracee_addr from, void *to, uint64_t size) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  return tracee ? tracee_memory_read(tracer, tracee, from, to, size) : -ESRCH;
}

int64_t tracer_write(struct tracer *tracer, uint32_t number, tracee_addr to, const void *from, uint64_t size) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  return tracee ? tracee_memory_write(tracer, tracee, to, from, size) : -ESRCH;
}

int64_t tracer_read_cstring(struct tracer *tracer, uint32_t number, tracee_addr from, char *to, uint64_t size,
                            uint64_t *partial) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (partial) *partial = 0;
  return tracee ? tracee_memory_read_cstring(tracer, tracee, from, to, size, partial) : -ESRCH;
}

int tracer_read_ranges(struct tracer *tracer, uint32_t number, struct memory_range *ranges, uint32_t count) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (tracee) return tracee_memory_read_ranges(tracer, tracee, ranges, count);
  for (uint32_t i = 0; i < count; i++)
    ranges[i].result = -ESRCH;
  return -ESRCH;
}
