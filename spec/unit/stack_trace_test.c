/*
 * Stacks of a real stopped child: the functions that it says it is in, and nothing worse than bare addresses where its
 * file, its code or its state are of no help.
 */
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "stack_trace.h"
#include "tracee.h"

#ifdef __clang__
#define PLAIN static __attribute__((noinline, optnone))
#else
#define PLAIN static __attribute__((noinline, noipa, optimize("O0")))
#endif

enum { FRAMES = 64 };
static char directory[] = "/tmp/luatrace-stack-XXXXXX";

/* --- what the child runs --------------------------------------------------------------------------------------- */

PLAIN void inner(void) { raise(SIGSTOP); }
PLAIN void middle(void) { inner(); }
PLAIN void outer(void) { middle(); }

/* The call is the function's last instruction: its return address is another function's. */
PLAIN __attribute__((noreturn)) void never_returns(void) {
  for (;;)
    inner();
}
PLAIN __attribute__((noreturn)) void calls_last(void) { never_returns(); }

PLAIN void handler(int signal) {
  (void)signal;
  inner();
}
PLAIN void interrupted(void) {
  signal(SIGUSR1, handler);
  raise(SIGUSR1);
}

/* push %rbp; mov %rsp, %rbp; call *%rdi; pop %rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};

PLAIN void generated(void) {
  void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, sizeof code);
  ((void (*)(void (*)(void)))page)(inner);
}

/* Stops, then maps a file that is no ELF file, and stops in its code. */
PLAIN void late_module(void) {
  inner();
  char path[64];
  snprintf(path, sizeof path, "%s/code", directory);
  int fd = open(path, O_RDWR | O_CREAT, 0700);
  if (write(fd, code, sizeof code) != sizeof code) _exit(1);
  void *page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  ((void (*)(void (*)(void)))page)(inner);
}

PLAIN void deep(int depth) {
  if (depth)
    deep(depth - 1);
  else
    inner();
}
static void recursion(void) { deep(10000); }

/* --- the tracing side ------------------------------------------------------------------------------------------ */

struct fixture {
  struct tracer tracer;
  struct process process;
  struct tracee tracee;
  struct stack_frame frames[FRAMES];
  int count;
};

static void wait_stop(struct fixture *fixture) {
  int status;
  struct user_regs_struct registers;
  waitpid(fixture->tracee.tid, &status, 0);
  /* A signal or an exec that is not the stop we want. */
  while (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP) {
    ptrace(PTRACE_CONT, fixture->tracee.tid, NULL, (void *)(long)(WSTOPSIG(status) == SIGUSR1 ? SIGUSR1 : 0));
    waitpid(fixture->tracee.tid, &status, 0);
  }
  CHECK(WIFSTOPPED(status) && ptrace(PTRACE_GETREGS, fixture->tracee.tid, NULL, &registers) == 0);
  fixture->tracee.stop.ip = registers.rip;
  fixture->tracee.stop.sp = registers.rsp;
  fixture->tracee.stop.arch = AUDIT_ARCH_X86_64;
}

/* Stops a child in `function`, or in another program that stops by itself. */
static void start(struct fixture *fixture, void (*function)(void), const char *program) {
  *fixture = (struct fixture){.process.mem_fd = -1};
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    if (program) execl(program, program, "stop", (char *)NULL);
    if (function) function();
    _exit(1);
  }
  fixture->process.pid = fixture->tracee.tid = pid;
  fixture->tracee.process = &fixture->process;
  wait_stop(fixture);
}

static void trace(struct fixture *fixture) {
  fixture->count = stack_trace(&fixture->tracer, &fixture->tracee, fixture->frames, FRAMES);
  CHECK(fixture->count >= 1 && fixture->count <= FRAMES);
  CHECK(fixture->frames[0].ip == fixture->tracee.stop.ip && fixture->frames[0].sp == fixture->tracee.stop.sp);
}

static void finish(struct fixture *fixture) {
  kill(fixture->tracee.tid, SIGKILL);
  waitpid(fixture->tracee.tid, NULL, 0);
  stack_trace_free(fixture->process.unwinder);
}

/* The frame of this symbol, counted from `from`; -1. */
static int find(const struct fixture *fixture, const char *symbol, int from) {
  for (int i = from; i >= 0 && i < fixture->count; i++)
    if (fixture->frames[i].symbol && strcmp(fixture->frames[i].symbol, symbol) == 0) return i;
  return -1;
}

static bool starts_at(const struct fixture *fixture, int frame, void (*function)(void)) {
  return frame >= 0 && fixture->frames[frame].ip - fixture->frames[frame].symbol_offset == (uintptr_t)function;
}

/* Where /proc/self/maps says that this code of ours is in its file: fork keeps addresses. */
static uint64_t offset_in_file(tracee_addr ip) {
  char line[512];
  uint64_t result = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long start, end, offset;
    if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &offset) == 3 && ip >= start && ip < end)
      result = ip - start + offset;
  }
  if (maps) fclose(maps);
  return result;
}

static void test_nested(const char *self) {
  struct fixture fixture;
  start(&fixture, outer, NULL);
  for (int again = 0; again < 2; again++) { /* from the caches, too */
    trace(&fixture);
    int i = find(&fixture, "inner", 0);
    CHECK(starts_at(&fixture, i, inner));
    CHECK(find(&fixture, "middle", 0) == i + 1 && starts_at(&fixture, i + 1, middle));
    CHECK(find(&fixture, "outer", 0) == i + 2 && starts_at(&fixture, i + 2, outer));
    CHECK(find(&fixture, "main", i) > i + 2);
    CHECK(i >= 0 && strcmp(fixture.frames[i].module, self) == 0);
    CHECK(i >= 0 && fixture.frames[i].module_offset == offset_in_file(fixture.frames[i].ip));
    CHECK(fixture.frames[0].module && strstr(fixture.frames[0].module, "libc"));
  }
  struct stack_frame two[2];
  CHECK(stack_trace(&fixture.tracer, &fixture.tracee, two, 2) == 2 && two[1].ip == fixture.frames[1].ip);
  CHECK(stack_trace(&fixture.tracer, &fixture.tracee, two, 0) == 0);
  fixture.tracee.stop.arch = AUDIT_ARCH_I386;
  CHECK(stack_trace(&fixture.tracer, &fixture.tracee, two, 2) == 1 && two[0].ip == fixture.tracee.stop.ip &&
        two[0].module);
  finish(&fixture);
}

static void test_shapes(void) {
  struct fixture fixture;
  start(&fixture, calls_last, NULL);
  trace(&fixture);
  CHECK(find(&fixture, "calls_last", 0) == find(&fixture, "never_returns", 0) + 1);
  CHECK(starts_at(&fixture, find(&fixture, "calls_last", 0), calls_last));
  finish(&fixture);

  start(&fixture, interrupted, NULL);
  trace(&fixture);
  int i = find(&fixture, "handler", 0);
  CHECK(i > 0 && find(&fixture, "interrupted", 0) > i + 1);
  finish(&fixture);

  start(&fixture, recursion, NULL);
  trace(&fixture);
  CHECK(fixture.count == FRAMES && find(&fixture, "deep", FRAMES - 1) == FRAMES - 1);
  finish(&fixture);

  start(&fixture, generated, NULL);
  trace(&fixture);
  i = find(&fixture, "inner", 0);
  CHECK(i > 0 && i + 1 < fixture.count && !fixture.frames[i + 1].module && !fixture.frames[i + 1].symbol);
  CHECK((fixture.frames[i + 1].ip & 4095) == 6);
  finish(&fixture);
}

static void test_late_module(void) {
  struct fixture fixture;
  start(&fixture, late_module, NULL);
  trace(&fixture);
  CHECK(find(&fixture, "late_module", 0) > 0);
  ptrace(PTRACE_CONT, fixture.tracee.tid, NULL, NULL);
  wait_stop(&fixture);
  trace(&fixture);
  int i = find(&fixture, "inner", 0);
  CHECK(i > 0 && i + 1 < fixture.count && fixture.frames[i + 1].module && !fixture.frames[i + 1].symbol);
  CHECK(i > 0 && strncmp(fixture.frames[i + 1].module, directory, strlen(directory)) == 0);
  CHECK(fixture.frames[i + 1].module_offset == 6);
  finish(&fixture);
}

static void test_dead(void) {
  struct fixture fixture;
  for (int known = 0; known < 2; known++) {
    start(&fixture, outer, NULL);
    if (known) trace(&fixture);
    siginfo_t info;
    kill(fixture.tracee.tid, SIGKILL);
    waitid(P_PID, (id_t)fixture.tracee.tid, &info, WEXITED | WNOWAIT);
    CHECK(stack_trace(&fixture.tracer, &fixture.tracee, fixture.frames, FRAMES) == 1 &&
          fixture.frames[0].ip == fixture.tracee.stop.ip);
    finish(&fixture);
    fixture.process.unwinder = NULL;
    CHECK(stack_trace(&fixture.tracer, &fixture.tracee, fixture.frames, FRAMES) == 1);
    stack_trace_free(fixture.process.unwinder);
  }
}

/* A copy of ourselves whose ELF header says `bytes` at `offset`. */
static void broken_copy(const char *self, const char *copy, long offset, const char *bytes, size_t size) {
  char command[1024];
  snprintf(command, sizeof command, "cp %s %s", self, copy);
  CHECK(system(command) == 0);
  FILE *file = fopen(copy, "r+");
  CHECK(file && fseek(file, offset, SEEK_SET) == 0 && fwrite(bytes, 1, size, file) == size);
  if (file) fclose(file);
}

static void trace_program(const char *program, bool symbols) {
  struct fixture fixture;
  start(&fixture, NULL, program);
  trace(&fixture);
  int ours = 0;
  for (int i = 0; i < fixture.count; i++) {
    if (!fixture.frames[i].module || strcmp(fixture.frames[i].module, program) != 0) continue;
    ours++;
    CHECK(symbols || !fixture.frames[i].symbol || strcmp(fixture.frames[i].symbol, "inner") != 0);
  }
  CHECK(ours > 0);
  finish(&fixture);
}

static void test_files(const char *self) {
  enum { E_SHOFF = 40, E_SHENTSIZE = 58, E_SHNUM = 60, E_SHSTRNDX = 62 };
  static const char many[8] = {'\xff', '\xff', '\xff', '\xff', '\xff', '\xff', '\xff', '\x7f'};
  char copy[64], command[1024];
  snprintf(copy, sizeof copy, "%s/copy", directory);
  snprintf(command, sizeof command, "strip -o %s %s", copy, self);
  if (system(command) == 0) trace_program(copy, false);
  broken_copy(self, copy, E_SHOFF, many, 8);
  trace_program(copy, false);
  broken_copy(self, copy, E_SHOFF, "\0\x10\0\0\0\0\0", 8); /* into the code */
  trace_program(copy, true);
  broken_copy(self, copy, E_SHNUM, many, 2);
  trace_program(copy, true);
  broken_copy(self, copy, E_SHSTRNDX, many, 2);
  trace_program(copy, true);
  broken_copy(self, copy, E_SHENTSIZE, many, 6);
  trace_program(copy, true);
  unlink(copy);
  snprintf(copy, sizeof copy, "%s/code", directory);
  unlink(copy);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    outer();
    return 0;
  }
  char self[512] = "";
  if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 || !mkdtemp(directory)) return 2;
  (void)argv;
  test_nested(self);
  test_shapes();
  test_late_module();
  test_dead();
  test_files(self);
  rmdir(directory);
  return check_report("stack_trace");
}
