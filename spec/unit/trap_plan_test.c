/*
 * The filter and the plain C verdict of a trap plan say the same, for random plans, calls and arguments: the filter is
 * run by a small model of the kernel's classic BPF machine (Documentation/networking/filter.rst), and by the kernel.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "trap_plan.h"

/* What one run did besides answering. */
struct run {
  unsigned steps;
  bool read_arguments;
};

static uint32_t run_filter(const struct sock_filter *code, unsigned length, const struct seccomp_data *data,
                           struct run *run) {
  uint32_t a = 0;
  *run = (struct run){0};
  for (unsigned pc = 0; pc < length; pc++) {
    const struct sock_filter *in = &code[pc];
    run->steps++;
    if (in->code == (BPF_LD | BPF_W | BPF_ABS) && in->k >= offsetof(struct seccomp_data, args))
      run->read_arguments = true;
    switch (in->code) {
    case BPF_LD | BPF_W | BPF_ABS:
      memcpy(&a, (const char *)data + in->k, sizeof a);
      break;
    case BPF_ALU | BPF_AND | BPF_K:
      a &= in->k;
      break;
    case BPF_ALU | BPF_XOR | BPF_K:
      a ^= in->k;
      break;
    case BPF_JMP | BPF_JA:
      pc += in->k;
      break;
    case BPF_JMP | BPF_JEQ | BPF_K:
      pc += a == in->k ? in->jt : in->jf;
      break;
    case BPF_JMP | BPF_JGT | BPF_K:
      pc += a > in->k ? in->jt : in->jf;
      break;
    case BPF_JMP | BPF_JGE | BPF_K:
      pc += a >= in->k ? in->jt : in->jf;
      break;
    case BPF_RET | BPF_K:
      return in->k;
    default:
      return 0xbad;
    }
  }
  return 0xbad;
}

/* What the filter's answer would be for a verdict. */
static uint32_t expected(int verdict) {
  switch (verdict & 0xff) {
  case MECHANISM_ERRNO:
    return SECCOMP_RET_ERRNO | (uint32_t)(verdict >> 8);
  case MECHANISM_NOTIFY:
    return SECCOMP_RET_USER_NOTIF;
  case MECHANISM_STOP:
    return SECCOMP_RET_TRACE;
  default:
    return SECCOMP_RET_ALLOW;
  }
}

static uint64_t random_bits(void) {
  uint64_t bits = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
  /* Small, negative and 32-bit values are where comparisons go wrong. */
  switch (random() % 6) {
  case 0:
    return bits & 7;
  case 1:
    return ~(bits & 7);
  case 2:
    return bits & 0xffffffffu;
  case 3:
    return 0x7ffffffeu + (bits & 3);
  case 4:
    return 0x7ffffffffffffffeull + (bits & 3);
  default:
    return bits;
  }
}

static uint32_t random_arch(uint64_t *nr) {
  long pick = random() % 10;
  if (pick == 0) *nr |= 0x40000000u;
  return pick < 7 ? AUDIT_ARCH_X86_64 : pick < 9 ? AUDIT_ARCH_I386 : AUDIT_ARCH_AARCH64;
}

/* Calls that take no arguments: whatever is passed, they succeed. */
static const int harmless[] = {SYS_getpid,  SYS_getuid,  SYS_getgid,  SYS_geteuid,
                               SYS_getegid, SYS_getppid, SYS_getpgrp, SYS_gettid};
enum { HARMLESS = sizeof harmless / sizeof harmless[0] };

static struct trap_plan *random_plan(bool for_kernel) {
  struct trap_plan *plan = trap_plan_new();
  for (int n = (int)(random() % 120); n > 0; n--) {
    uint64_t nr = (uint64_t)random() % 40;
    uint32_t arch = random_arch(&nr);
    if (arch == AUDIT_ARCH_AARCH64) continue;
    if (for_kernel) {
      nr = (uint64_t)harmless[random() % HARMLESS];
      arch = AUDIT_ARCH_X86_64;
    }
    struct trap_entry entry = {
        .arch = arch,
        .nr = (uint32_t)nr,
        .mechanism = (uint32_t)random() % (for_kernel ? 2 : 4),
        .data = 1 + (uint32_t)random() % 100,
        .test_count = random() % 3 ? (uint32_t)random() % 4 : 0,
    };
    if (entry.mechanism != MECHANISM_ERRNO) entry.data = 0;
    struct trap_test tests[4];
    for (int i = 0; i < 4; i++)
      tests[i] = (struct trap_test){
          .arg = (uint8_t)(random() % 6),
          .op = (uint8_t)(random() % 6),
          .is_signed = random() % 2,
          .bits = random() % 2 ? 32 : 64,
          .mask = random() % 3 ? ~0ull : random_bits(),
          .value = random_bits(),
      };
    CHECK(trap_plan_add(plan, &entry, tests) == 0);
  }
  if (!for_kernel && random() % 2) CHECK(trap_plan_add_rest(plan, MECHANISM_STOP) == 0);
  return plan;
}

static void same_verdicts(void) {
  for (int round = 0; round < 300; round++) {
    struct trap_plan *plan = random_plan(false);
    const struct sock_filter *filter;
    unsigned short length;
    CHECK(trap_plan_build_filter(plan, &filter, &length) == 0);
    CHECK(trap_plan_filter_size(plan) == length);
    int differing = 0, needless = 0;
    for (int i = 0; i < 700; i++) {
      struct seccomp_data data = {0};
      uint64_t nr = (uint64_t)random() % 45, args[6];
      data.arch = random_arch(&nr);
      data.nr = (int)nr;
      for (int k = 0; k < 6; k++)
        data.args[k] = args[k] = random_bits();
      int verdict = trap_plan_verdict(plan, data.arch, nr, args);
      struct run run;
      differing += run_filter(filter, length, &data, &run) != expected(verdict);
      /* Numbers from 40 on have no entry: the kernel must be able to prove that they are always allowed. */
      needless += (nr & 0xfff) >= 40 && (run.read_arguments || run.steps > 20);
    }
    CHECK(differing == 0);
    CHECK(needless == 0);
    trap_plan_free(plan);
  }
}

/* What comparisons mean, said by hand: unused upper halves are ignored, signs are those of the width. */
static void fixed_verdicts(void) {
  static const struct {
    uint8_t op, is_signed, bits;
    uint64_t mask, value, arg;
    bool holds;
  } cases[] = {
      {TRAP_TEST_EQ, 0, 32, ~0ull, 3, 0xdeadbeef00000003ull, true},
      {TRAP_TEST_EQ, 0, 64, ~0ull, 3, 0xdeadbeef00000003ull, false},
      {TRAP_TEST_EQ, 1, 32, ~0ull, (uint64_t)-100, 0xffffff9cull, true},
      {TRAP_TEST_NE, 0, 64, 0x40, 0, 0x41, true},
      {TRAP_TEST_NE, 0, 64, 0x40, 0, 0x01, false},
      {TRAP_TEST_EQ, 0, 64, 3ull << 32, 2ull << 32, 0xfull << 60 | 2ull << 32 | 9, true},
      {TRAP_TEST_LT, 1, 32, ~0ull, 0, 0x80000000ull, true},
      {TRAP_TEST_LT, 0, 32, ~0ull, 0x80000001ull, 0x80000000ull, true},
      {TRAP_TEST_LT, 1, 64, ~0ull, 0, 0x80000000ull, false},
      {TRAP_TEST_LT, 1, 64, ~0ull, (uint64_t)-1, (uint64_t)-2, true},
      {TRAP_TEST_GE, 1, 64, ~0ull, (uint64_t)-1, 0, true},
      {TRAP_TEST_GE, 0, 64, ~0ull, (uint64_t)-1, 0, false},
      {TRAP_TEST_GT, 0, 64, ~0ull, 4096, 4096, false},
      {TRAP_TEST_GT, 0, 64, ~0ull, 4096, 1ull << 32, true},
      {TRAP_TEST_LE, 0, 64, ~0ull, 4096, 4096, true},
      {TRAP_TEST_LE, 0, 64, ~0ull, 1ull << 32 | 5, 1ull << 32 | 6, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct trap_test test = {4, cases[i].op, cases[i].is_signed, cases[i].bits, cases[i].mask, cases[i].value};
    struct trap_entry entry = {AUDIT_ARCH_X86_64, 1, MECHANISM_STOP, 0, 0, 1};
    struct trap_plan *plan = trap_plan_new();
    CHECK(trap_plan_add(plan, &entry, &test) == 0);
    uint64_t args[6] = {0, 0, 0, 0, cases[i].arg, 0};
    CHECK(trap_plan_verdict(plan, AUDIT_ARCH_X86_64, 1, args) == (cases[i].holds ? MECHANISM_STOP : MECHANISM_ALLOW));
    trap_plan_free(plan);
  }
}

/* --- the kernel itself ------------------------------------------------------------------------------------------ */

/* Runs `body` in a child under the plan's filter; what it returns, at most 255; -1 when the filter was refused. */
static int under_filter(struct trap_plan *plan, int (*body)(const struct trap_plan *plan)) {
  const struct sock_filter *code;
  struct sock_fprog filter;
  if (trap_plan_build_filter(plan, &code, &filter.len)) return -1;
  filter.filter = (struct sock_filter *)code;
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter)) _exit(255);
    _exit(body(plan));
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) < 255 ? WEXITSTATUS(status) : -1;
}

static int compare_with_kernel(const struct trap_plan *plan) {
  int differing = 0;
  for (int i = 0; i < 500; i++) {
    int nr = harmless[random() % HARMLESS];
    uint64_t a[6];
    for (int k = 0; k < 6; k++)
      a[k] = random_bits();
    int verdict = trap_plan_verdict(plan, AUDIT_ARCH_X86_64, (uint64_t)nr, a);
    int wanted = (verdict & 0xff) == MECHANISM_ERRNO ? verdict >> 8 : 0;
    errno = 0;
    int got = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0;
    differing += got != wanted && differing < 200;
  }
  return differing;
}

static void same_as_kernel(void) {
  for (int round = 0; round < 100; round++) {
    struct trap_plan *plan = random_plan(true);
    CHECK(under_filter(plan, compare_with_kernel) == 0);
    trap_plan_free(plan);
  }
}

static struct trap_entry equals(uint32_t nr, uint32_t error, struct trap_test *test, uint64_t value) {
  *test = (struct trap_test){.op = TRAP_TEST_EQ, .bits = 64, .mask = ~0ull, .value = value};
  return (struct trap_entry){AUDIT_ARCH_X86_64, nr, MECHANISM_ERRNO, error, 0, 1};
}

static int hundred_entries(const struct trap_plan *plan) {
  (void)plan;
  int wrong = 0;
  for (uint64_t i = 0; i < 110; i++) {
    errno = 0;
    wrong += syscall(SYS_getppid, i << 32 | i) == -1 ? errno != (int)i + 1 : i < 100;
  }
  return wrong + (syscall(SYS_getppid, 5ull) == -1) + (syscall(SYS_gettid, 3ull << 32 | 3) == -1);
}

static int many_calls(const struct trap_plan *plan) {
  (void)plan;
  int wrong = 0;
  for (int i = 0; i < HARMLESS; i++) {
    wrong += syscall(harmless[i], 7ull << 32) != -1 || errno != harmless[i] + 1;
    wrong += syscall(harmless[i], 7ull) == -1;
  }
  return wrong + (syscall(SYS_restart_syscall + 439, 0, 0, 0) == -1 && errno == 440);
}

/* Searches that must jump further than a conditional jump can. */
static void far_jumps(void) {
  struct trap_test test;
  struct trap_plan *plan = trap_plan_new();
  for (uint32_t i = 0; i < 100; i++) {
    struct trap_entry entry = equals(SYS_getppid, i + 1, &test, (uint64_t)i << 32 | i);
    CHECK(trap_plan_add(plan, &entry, &test) == 0);
  }
  CHECK(trap_plan_filter_size(plan) > 500);
  CHECK(under_filter(plan, hundred_entries) == 0);
  trap_plan_free(plan);

  plan = trap_plan_new();
  for (uint32_t nr = 0; nr < 400; nr++) {
    struct trap_entry entry = equals(nr, nr + 1, &test, 7ull << 32);
    CHECK(trap_plan_add(plan, &entry, &test) == 0);
  }
  CHECK(trap_plan_filter_size(plan) > 2400);
  CHECK(under_filter(plan, many_calls) == 0);
  trap_plan_free(plan);
}

/* Around the size at which a search's half no longer fits into a conditional jump: each count once. */
static void every_distance(void) {
  for (uint32_t entries = 40; entries < 60; entries++) {
    struct trap_plan *plan = trap_plan_new();
    struct trap_test test;
    for (uint32_t i = 0; i < entries; i++) {
      struct trap_entry entry = equals(10, i + 1, &test, i);
      test.bits = i % 5 ? 64 : 32;
      CHECK(trap_plan_add(plan, &entry, &test) == 0);
    }
    struct trap_entry last = {AUDIT_ARCH_X86_64, 11, MECHANISM_STOP, 0, 0, 0};
    CHECK(trap_plan_add(plan, &last, NULL) == 0);
    const struct sock_filter *code;
    unsigned short length;
    CHECK(trap_plan_build_filter(plan, &code, &length) == 0);
    int differing = 0;
    for (int nr = 9; nr < 13; nr++)
      for (uint64_t i = 0; i <= entries; i++) {
        struct seccomp_data data = {.nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {i}};
        uint64_t args[6] = {i};
        struct run run;
        int verdict = trap_plan_verdict(plan, AUDIT_ARCH_X86_64, (uint64_t)nr, args);
        differing += run_filter(code, length, &data, &run) != expected(verdict);
      }
    CHECK(differing == 0);
    trap_plan_free(plan);
  }
}

/* The rest is what no entry matches, numbers past all tables included; after it a plan is closed. */
static void rest(void) {
  struct trap_plan *plan = trap_plan_new();
  struct trap_test test = {.op = TRAP_TEST_EQ, .bits = 64, .mask = ~0ull, .value = 1};
  struct trap_entry entry = {AUDIT_ARCH_X86_64, 5, MECHANISM_ALLOW, 0, 0, 1};
  CHECK(trap_plan_add(plan, &entry, &test) == 0);
  CHECK(trap_plan_add_rest(plan, MECHANISM_STOP) == 0);
  CHECK(trap_plan_add_rest(plan, MECHANISM_STOP) == -22);
  CHECK(trap_plan_add(plan, &entry, &test) == -22);
  uint64_t one[6] = {1}, two[6] = {2};
  CHECK(trap_plan_verdict(plan, AUDIT_ARCH_X86_64, 5, one) == MECHANISM_ALLOW);
  CHECK(trap_plan_verdict(plan, AUDIT_ARCH_X86_64, 5, two) == MECHANISM_STOP);
  CHECK(trap_plan_verdict(plan, AUDIT_ARCH_I386, 5, one) == MECHANISM_STOP);
  CHECK(trap_plan_verdict(plan, AUDIT_ARCH_X86_64, 100000, one) == MECHANISM_STOP);
  CHECK(trap_plan_verdict(plan, AUDIT_ARCH_AARCH64, 5, one) == MECHANISM_ALLOW);
  trap_plan_free(plan);
}

static void bounds(void) {
  struct trap_plan *plan = trap_plan_new();
  struct trap_test tests[TRAP_PLAN_MAX_TESTS];
  for (int i = 0; i < TRAP_PLAN_MAX_TESTS; i++)
    tests[i] =
        (struct trap_test){.op = TRAP_TEST_GT, .bits = 64, .is_signed = 1, .mask = 0xff00ff00ff00ull, .value = 5};
  struct trap_entry entry = {AUDIT_ARCH_X86_64, 0, MECHANISM_STOP, 0, 0, TRAP_PLAN_MAX_TESTS};
  CHECK(trap_plan_add(plan, &entry, tests) == 0);
  CHECK(trap_plan_filter_size(plan) > 0);
  CHECK(trap_plan_add(plan, &entry, tests) == -22); /* built: nothing can be added */
  trap_plan_free(plan);

  /* More than the kernel takes: said, not cut. */
  plan = trap_plan_new();
  for (uint32_t nr = 0; nr < 400; nr++) {
    entry.nr = nr;
    CHECK(trap_plan_add(plan, &entry, tests) == 0);
  }
  CHECK(trap_plan_filter_size(plan) == -7);
  uint64_t args[6] = {0x0600};
  CHECK(trap_plan_verdict(plan, AUDIT_ARCH_X86_64, 399, args) == MECHANISM_STOP);
  trap_plan_free(plan);

  entry.test_count = TRAP_PLAN_MAX_TESTS + 1;
  plan = trap_plan_new();
  CHECK(trap_plan_add(plan, &entry, tests) == -22);
  entry = (struct trap_entry){AUDIT_ARCH_AARCH64, 0, MECHANISM_STOP, 0, 0, 0};
  CHECK(trap_plan_add(plan, &entry, NULL) == -22);
  trap_plan_free(plan);
}

int main(void) {
  srandom(4);
  fixed_verdicts();
  same_verdicts();
  same_as_kernel();
  far_jumps();
  every_distance();
  rest();
  bounds();
  return check_report("trap plan");
}
