/*
 * Memory of a real stopped child, through all three paths: holes, page ends, protection, hostile addresses, death.
 *
 * What is expected comes from the layout that the child makes for itself, page by page:
 *   DATA  letters, its last byte not NUL     DATA2 letters, then a string that ends at the page's last byte
 *   HOLE  nothing                            RDONLY read-only letters
 *   NONE  PROT_NONE                          TAIL  letters, the last page before another hole
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "tracee_memory.h"

enum { PAGE = 4096, DATA = 0, DATA2, HOLE, RDONLY, NONE, TAIL, END, PAGES };
enum { BEST, PROC_MEM, PEEK };

struct fixture {
  struct tracer tracer;
  struct process process;
  struct tracee tracee;
  char *base;
};

static char letter(uint64_t offset) { return (char)('a' + offset % 26); }

static tracee_addr at(const struct fixture *fixture, int page, int offset) {
  return (tracee_addr)(uintptr_t)fixture->base + (tracee_addr)page * PAGE + (tracee_addr)offset;
}

static void child(char *base, bool dumpable) {
  for (int i = 0; i < PAGES * PAGE; i++)
    base[i] = letter((uint64_t)i);
  memcpy(base + HOLE * PAGE - 4, "end", 4);
  base[DATA * PAGE + 10] = 0;
  munmap(base + HOLE * PAGE, PAGE);
  munmap(base + END * PAGE, PAGE);
  mprotect(base + RDONLY * PAGE, PAGE, PROT_READ);
  mprotect(base + NONE * PAGE, PAGE, PROT_NONE);
  if (!dumpable) prctl(PR_SET_DUMPABLE, 0);
  ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  raise(SIGSTOP);
  _exit(0);
}

static void start(struct fixture *fixture, uint32_t path, bool dumpable) {
  *fixture = (struct fixture){.tracer.options.memory_path = path, .process.mem_fd = -1};
  fixture->base = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pid_t pid = fork();
  if (pid == 0) child(fixture->base, dumpable);
  int status;
  waitpid(pid, &status, 0);
  fixture->process.pid = fixture->tracee.tid = pid;
  fixture->tracee.process = &fixture->process;
  /* Ours must not stand in for the child's. */
  mprotect(fixture->base, PAGES * PAGE, PROT_NONE);
}

static void finish(struct fixture *fixture) {
  kill(fixture->tracee.tid, SIGKILL);
  waitpid(fixture->tracee.tid, NULL, 0);
  if (fixture->process.mem_fd >= 0) close(fixture->process.mem_fd);
  munmap(fixture->base, PAGES * PAGE);
}

static int64_t read_at(struct fixture *fixture, tracee_addr from, void *to, uint64_t size) {
  return tracee_memory_read(&fixture->tracer, &fixture->tracee, from, to, size);
}

static int64_t write_at(struct fixture *fixture, tracee_addr to, const void *from, uint64_t size) {
  return tracee_memory_write(&fixture->tracer, &fixture->tracee, to, from, size);
}

static bool letters(const char *bytes, uint64_t offset, int64_t size) {
  for (int64_t i = 0; i < size; i++)
    if (bytes[i] != letter(offset + (uint64_t)i)) return false;
  return true;
}

static void test_read(struct fixture *fixture) {
  /* Exactly as large as what is asked for: the sanitizer sees a byte too many. */
  char *buffer = malloc(4 * PAGE);
  CHECK(read_at(fixture, at(fixture, DATA, 100), buffer, 200) == 200 && letters(buffer, 100, 200));
  CHECK(read_at(fixture, at(fixture, DATA, PAGE - 3), buffer, 7) == 7 && letters(buffer, PAGE - 3, 7));
  for (int skip = 0; skip < 9; skip++)
    for (uint64_t size = 1; size < 18; size++) {
      memset(buffer, '#', 32);
      CHECK(read_at(fixture, at(fixture, DATA, 100 + skip), buffer, size) == (int64_t)size);
      CHECK(letters(buffer, 100 + (uint64_t)skip, (int64_t)size) && buffer[size] == '#');
    }
  CHECK(read_at(fixture, at(fixture, DATA, 0), buffer, 0) == 0);
  CHECK(read_at(fixture, 0, buffer, 0) == 0);
  /* Short at the hole, at every distance from it. */
  CHECK(read_at(fixture, at(fixture, DATA2, PAGE - 96), buffer, 200) == 96 &&
        letters(buffer, DATA2 * PAGE + PAGE - 96, 92));
  CHECK(read_at(fixture, at(fixture, DATA, 16), buffer, 4 * PAGE) == 2 * PAGE - 16);
  CHECK(letters(buffer, 16, 2 * PAGE - 16 - 4));
  CHECK(read_at(fixture, at(fixture, DATA2, PAGE - 1), buffer, 2) == 1);
  CHECK(read_at(fixture, at(fixture, HOLE, 0), buffer, 8) == -EFAULT);
  CHECK(read_at(fixture, at(fixture, HOLE, PAGE - 1), buffer, 8) == -EFAULT);
  CHECK(read_at(fixture, at(fixture, RDONLY, 0), buffer, 64) == 64 && letters(buffer, RDONLY * PAGE, 64));
  CHECK(read_at(fixture, at(fixture, TAIL, PAGE - 5), buffer, 4 * PAGE) == 5);
  if (fixture->tracer.options.memory_path == BEST) { /* as the program's own calls see it; the others look through it */
    CHECK(read_at(fixture, at(fixture, NONE, 0), buffer, 8) == -EFAULT);
    CHECK(read_at(fixture, at(fixture, RDONLY, 0), buffer, 2 * PAGE) == PAGE);
  }
  free(buffer);
}

static void test_hostile(struct fixture *fixture) {
  static const tracee_addr nowhere[] = {0,
                                        1,
                                        PAGE - 1,
                                        0x7ffffffff000,
                                        0x800000000000,
                                        0x7ffffffffffffff8,
                                        0x7fffffffffffffff,
                                        0x8000000000000000,
                                        0xffff800000000000,
                                        0xffffffff81000000,
                                        0xfffffffffffff000,
                                        0xfffffffffffffff8,
                                        0xffffffffffffffff};
  static const uint64_t sizes[] = {1, 7, 8, 9, 64};
  char buffer[64];
  for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++)
    for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
      uint64_t partial = 9;
      CHECK(read_at(fixture, nowhere[i], buffer, sizes[j]) == -EFAULT);
      CHECK(write_at(fixture, nowhere[i], "0123456789012345678901234567890123456789012345678901234567890123",
                     sizes[j]) == -EFAULT);
      CHECK(tracee_memory_read_cstring(&fixture->tracer, &fixture->tracee, nowhere[i], buffer, sizes[j], &partial) ==
            -EFAULT);
      CHECK(partial == 0);
    }
  /* A length that nobody could mean: what is there comes back, up to the hole. */
  char *large = malloc(PAGE);
  CHECK(read_at(fixture, at(fixture, TAIL, 0), large, UINT64_MAX) == PAGE && letters(large, TAIL * PAGE, PAGE));
  CHECK(read_at(fixture, at(fixture, TAIL, 0), large, INT64_MAX) == PAGE);
  CHECK(read_at(fixture, at(fixture, TAIL, 0), large, 1ull << 32) == PAGE);
  free(large);
}

static void test_cstring(struct fixture *fixture) {
  const struct tracer *tracer = &fixture->tracer;
  struct tracee *tracee = &fixture->tracee;
  char *buffer = malloc(3 * PAGE);
  uint64_t partial;
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA, 0), buffer, 64, &partial) == 10 && partial == 10);
  CHECK(letters(buffer, 0, 10) && buffer[10] == 0);
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA, 10), buffer, 64, NULL) == 0 && buffer[0] == 0);
  /* None in so many bytes. */
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA, 0), buffer, 10, &partial) == 10 && partial == 10);
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA, 0), buffer, 0, &partial) == 0);
  /* Its NUL is the last byte before the hole. */
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA2, PAGE - 4), buffer, 64, &partial) == 3);
  CHECK(strcmp(buffer, "end") == 0);
  /* Over a page boundary, by a little and by a lot. */
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA, PAGE - 2), buffer, 3 * PAGE, &partial) ==
        PAGE + 1);
  CHECK(letters(buffer, PAGE - 2, PAGE - 2) && partial == PAGE + 1);
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, DATA, 11), buffer, 3 * PAGE, NULL) == 2 * PAGE - 12);
  /* Memory ends before the string does. */
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, TAIL, PAGE - 5), buffer, 64, &partial) == -EFAULT);
  CHECK(partial == 5 && letters(buffer, TAIL * PAGE + PAGE - 5, 5));
  CHECK(tracee_memory_read_cstring(tracer, tracee, at(fixture, TAIL, PAGE - 600), buffer, 3 * PAGE, &partial) ==
        -EFAULT);
  CHECK(partial == 600);
  free(buffer);
}

static void test_write(struct fixture *fixture) {
  char back[64], long_text[40] = "a text that is longer than four words.";
  for (int skip = 0; skip < 9; skip++)
    for (uint64_t size = 1; size < sizeof long_text; size++) {
      errno = EINVAL; /* what an earlier failure left must not matter */
      CHECK(write_at(fixture, at(fixture, TAIL, 100 + skip), long_text, size) == (int64_t)size);
      CHECK(read_at(fixture, at(fixture, TAIL, 100 + skip), back, size + 1) == (int64_t)size + 1);
      CHECK(memcmp(back, long_text, size) == 0);
    }
  CHECK(read_at(fixture, at(fixture, TAIL, 99), back, 1) == 1 && letters(back, TAIL * PAGE + 99, 1));
  CHECK(write_at(fixture, at(fixture, RDONLY, 5), long_text, 12) == 12);
  CHECK(read_at(fixture, at(fixture, RDONLY, 4), back, 14) == 14 && memcmp(back + 1, long_text, 12) == 0);
  CHECK(letters(back, RDONLY * PAGE + 4, 1) && letters(back + 13, RDONLY * PAGE + 17, 1));
  CHECK(write_at(fixture, at(fixture, DATA2, PAGE - 8), long_text, 32) == 8);
  CHECK(write_at(fixture, at(fixture, HOLE, 0), long_text, 8) == -EFAULT);
  CHECK(write_at(fixture, at(fixture, HOLE, PAGE - 4), long_text, 8) == -EFAULT);
  CHECK(write_at(fixture, 0, long_text, 0) == 0);
}

static void test_ranges(struct fixture *fixture) {
  char buffer[9][64];
  memset(buffer, '#', sizeof buffer);
  struct memory_range mixed[] = {
      {at(fixture, DATA, 100), buffer[0], 50, 77},      {at(fixture, HOLE, 8), buffer[1], 8, 77},
      {at(fixture, DATA, 200), buffer[2], 1, 77},       {0, buffer[3], 0, 77},
      {at(fixture, TAIL, PAGE - 6), buffer[4], 60, 77}, {0xffffffffffffffff, buffer[5], 60, 77},
      {at(fixture, RDONLY, 100), buffer[6], 64, 77},    {0, buffer[7], 8, 77},
      {at(fixture, DATA, PAGE - 1), buffer[8], 2, 77},
  };
  CHECK(tracee_memory_read_ranges(&fixture->tracer, &fixture->tracee, mixed, 9) == 0);
  CHECK(mixed[0].result == 50 && letters(buffer[0], 100, 50) && buffer[0][50] == '#');
  CHECK(mixed[1].result == -EFAULT);
  CHECK(mixed[2].result == 1 && letters(buffer[2], 200, 1) && buffer[2][1] == '#');
  CHECK(mixed[3].result == 0);
  CHECK(mixed[4].result == 6 && letters(buffer[4], TAIL * PAGE + PAGE - 6, 6) && buffer[4][6] == '#');
  CHECK(mixed[5].result == -EFAULT);
  CHECK(mixed[6].result == 64 && letters(buffer[6], RDONLY * PAGE + 100, 64));
  CHECK(mixed[7].result == -EFAULT);
  CHECK(mixed[8].result == 2 && letters(buffer[8], PAGE - 1, 2));
  CHECK(tracee_memory_read_ranges(&fixture->tracer, &fixture->tracee, mixed, 0) == 0);
  CHECK(tracee_memory_read_ranges(&fixture->tracer, &fixture->tracee, mixed, 1) == 0 && mixed[0].result == 50);
  /* More than the kernel takes at once, one in 700 unreadable. */
  enum { MANY = 2500 };
  struct memory_range *many = calloc(MANY, sizeof *many);
  char *bytes = malloc(MANY * 4);
  for (int i = 0; i < MANY; i++) {
    bool bad = i % 700 == 699;
    many[i] = (struct memory_range){at(fixture, bad ? HOLE : DATA, 16 + i % 4000), bytes + (ptrdiff_t)i * 4, 4, 77};
  }
  CHECK(tracee_memory_read_ranges(&fixture->tracer, &fixture->tracee, many, MANY) == 0);
  int right = 0;
  for (int i = 0; i < MANY; i++)
    right += i % 700 == 699 ? many[i].result == -EFAULT
                            : many[i].result == 4 && letters(bytes + (ptrdiff_t)i * 4, 16 + (uint64_t)i % 4000, 4);
  CHECK(right == MANY);
  /* Lengths whose sum wraps, or that the kernel refuses together. Not into the stack: it may lie so close to the end of
   * the address space that the kernel refuses a gigabyte there, whatever there is to read. */
  struct memory_range huge[] = {{at(fixture, TAIL, PAGE - 4), bytes, UINT64_MAX, 77},
                                {at(fixture, TAIL, PAGE - 4), bytes + 4, INT64_MAX, 77},
                                {at(fixture, TAIL, PAGE - 4), bytes + 8, 4, 77}};
  CHECK(tracee_memory_read_ranges(&fixture->tracer, &fixture->tracee, huge, 3) == 0);
  CHECK(huge[0].result == 4 && huge[1].result == 4 && huge[2].result == 4);
  free(bytes);
  free(many);
}

static void test_dead(struct fixture *fixture) {
  char buffer[8] = "";
  struct memory_range ranges[2] = {{at(fixture, DATA, 0), buffer, 4, 77}, {at(fixture, DATA, 8), buffer + 4, 4, 77}};
  kill(fixture->tracee.tid, SIGKILL);
  siginfo_t info;
  waitid(P_PID, (id_t)fixture->tracee.tid, &info, WEXITED | WNOWAIT);
  for (int reaped = 0; reaped < 2; reaped++) {
    CHECK(read_at(fixture, at(fixture, DATA, 0), buffer, 8) == -ESRCH);
    CHECK(write_at(fixture, at(fixture, DATA, 0), buffer, 8) == -ESRCH);
    CHECK(tracee_memory_read_cstring(&fixture->tracer, &fixture->tracee, at(fixture, DATA, 0), buffer, 8, NULL) ==
          -ESRCH);
    CHECK(tracee_memory_read_ranges(&fixture->tracer, &fixture->tracee, ranges, 2) == 0);
    CHECK(ranges[0].result == -ESRCH && ranges[1].result == -ESRCH);
    waitpid(fixture->tracee.tid, NULL, 0);
  }
}

/* Without descriptors and without process_vm_readv there still is PTRACE_PEEKDATA. */
static void test_no_descriptors(void) {
  struct fixture fixture;
  struct rlimit before, none;
  char buffer[100];
  start(&fixture, BEST, true);
  fixture.process.no_process_vm = true;
  getrlimit(RLIMIT_NOFILE, &before);
  none = (struct rlimit){0, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  CHECK(read_at(&fixture, at(&fixture, DATA, 100), buffer, 100) == 100 && letters(buffer, 100, 100));
  CHECK(read_at(&fixture, at(&fixture, HOLE, 0), buffer, 100) == -EFAULT);
  CHECK(write_at(&fixture, at(&fixture, RDONLY, 0), "word", 4) == 4);
  setrlimit(RLIMIT_NOFILE, &before);
  finish(&fixture);
}

/* A non-dumpable tracee shows an unprivileged tracer its registers only: a refusal, which is not a bad address. */
static void test_refused(void) {
  fflush(stdout);
  pid_t tracer = fork();
  if (tracer == 0) {
    struct fixture fixture;
    char buffer[8] = "";
    checks_failed = 0;
    if (getuid() == 0 && (setgid(65534) || setuid(65534))) _exit(99);
    start(&fixture, BEST, false);
    CHECK(read_at(&fixture, at(&fixture, DATA, 0), buffer, 8) == -EPERM);
    CHECK(write_at(&fixture, at(&fixture, DATA, 0), buffer, 8) == -EPERM);
    finish(&fixture);
    _exit(checks_failed);
  }
  int status = -1;
  waitpid(tracer, &status, 0);
  CHECK(status == 0);
}

int main(void) {
  static void (*const tests[])(struct fixture *) = {test_read,   test_hostile, test_cstring,
                                                    test_ranges, test_write,   test_dead};
  for (uint32_t path = BEST; path <= PEEK; path++)
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
      struct fixture fixture;
      int failed = checks_failed;
      start(&fixture, path, true);
      tests[i](&fixture);
      if (tests[i] != test_dead) {
        CHECK(fixture.process.mem_fd < 0 || path != PEEK);
        finish(&fixture);
      } else {
        if (fixture.process.mem_fd >= 0) close(fixture.process.mem_fd);
        munmap(fixture.base, PAGES * PAGE);
      }
      if (checks_failed > failed) fprintf(stderr, "  (memory path %u, test %zu)\n", path, i);
    }
  test_no_descriptors();
  test_refused();
  return check_report("tracee_memory");
}
