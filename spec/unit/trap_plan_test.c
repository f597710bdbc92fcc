/*
 * The filter and the plain C verdict of a trap plan say the same, for random plans, calls and arguments: the filter is
 * run by a small model of the kernel's classic BPF machine (Documentation/networking/filter.rst).
 */
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "trap_plan.h"

static uint32_t run_filter(const struct sock_filter *code, unsigned length, const struct seccomp_data *data) {
  uint32_t a = 0;
  for (unsigned pc = 0; pc < length; pc++) {
    const struct sock_filter *in = &code[pc];
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

static struct trap_plan *random_plan(void) {
  struct trap_plan *plan = trap_plan_new();
  for (int n = (int)(random() % 120); n > 0; n--) {
    uint64_t nr = (uint64_t)random() % 40;
    uint32_t arch = random_arch(&nr);
    if (arch == AUDIT_ARCH_AARCH64) continue;
    struct trap_entry entry = {
        .arch = arch,
        .nr = (uint32_t)nr,
        .mechanism = (uint32_t)random() % 4,
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
  return plan;
}

static void same_verdicts(void) {
  for (int round = 0; round < 300; round++) {
    struct trap_plan *plan = random_plan();
    const struct sock_filter *filter;
    unsigned short length;
    CHECK(trap_plan_build_filter(plan, &filter, &length) == 0);
    CHECK(trap_plan_filter_size(plan) == length);
    int differing = 0;
    for (int i = 0; i < 700; i++) {
      struct seccomp_data data = {0};
      uint64_t nr = (uint64_t)random() % 45, args[6];
      data.arch = random_arch(&nr);
      data.nr = (int)nr;
      for (int k = 0; k < 6; k++)
        data.args[k] = args[k] = random_bits();
      int verdict = trap_plan_verdict(plan, data.arch, nr, args);
      differing += run_filter(filter, length, &data) != expected(verdict);
    }
    CHECK(differing == 0);
    trap_plan_free(plan);
  }
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
  same_verdicts();
  bounds();
  return check_report("trap plan");
}
