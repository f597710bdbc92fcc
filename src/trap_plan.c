#include "trap_plan.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch_x86_64.h" /* ARCH_X32_BIT */
#include "gate_code.h"
#include "path_sieve.h"

enum section { SECTION_X86_64, SECTION_I386, SECTION_X32, SECTIONS };

/* Entries of one call, chained in the order in which they were added; 0 ends a chain, so indices start at 1. */
struct planned {
  struct trap_entry entry;
  uint32_t next;
};

struct trap_plan {
  struct planned *entries;
  uint32_t entry_count, entry_size;
  struct trap_test *tests;
  uint32_t test_count, test_size;
  uint32_t first[SECTIONS][TRAP_PLAN_NUMBERS];
  struct path_sieve **sieves; /* by section and number; NULL until there is one */
  bool gated[TRAP_PLAN_NUMBERS];
  uint32_t gate; /* the lower half of the address of gates; 0: there are none */
  uint32_t rest; /* the entry that ends all chains, and decides numbers past the last;
                                 0: none */
  struct sock_filter *filter;
  unsigned short length;
};

struct trap_plan *trap_plan_new(void) {
  struct trap_plan *plan = calloc(1, sizeof *plan);
  if (plan) plan->entry_count = 1;
  return plan;
}

void trap_plan_free(struct trap_plan *plan) {
  if (!plan) return;
  for (uint32_t i = 0; plan->sieves && i < SECTIONS * TRAP_PLAN_NUMBERS; i++)
    path_sieve_free(plan->sieves[i]);
  free(plan->sieves);
  free(plan->entries);
  free(plan->tests);
  free(plan->filter);
  free(plan);
}

/* Room for `more` elements beyond `count`; returns the array or NULL. */
static void *reserve(void *array, uint32_t *size, uint32_t count, uint32_t more, size_t element) {
  if (count + more <= *size) return array;
  uint32_t wanted = *size ? *size : 16;
  while (wanted < count + more)
    wanted *= 2;
  void *grown = realloc(array, wanted * element);
  if (grown) *size = wanted;
  return grown;
}

static int section_of(uint32_t arch, uint64_t nr) {
  if (arch == AUDIT_ARCH_I386) return SECTION_I386;
  if (arch != AUDIT_ARCH_X86_64) return -1;
  return nr & ARCH_X32_BIT ? SECTION_X32 : SECTION_X86_64;
}

static uint32_t number_in(int section, uint64_t nr) {
  return (uint32_t)nr & (section == SECTION_X32 ? ~ARCH_X32_BIT : ~0u);
}

static bool valid_test(const struct trap_test *test) {
  return test->arg < 6 && test->op <= TRAP_TEST_GE && (test->bits == 32 || test->bits == 64);
}

static void append(struct trap_plan *plan, int section, uint32_t nr, uint32_t index) {
  uint32_t *link = &plan->first[section][nr];
  while (*link)
    link = &plan->entries[*link].next;
  *link = index;
}

int trap_plan_add(struct trap_plan *plan, const struct trap_entry *entry, const struct trap_test *tests) {
  int section = section_of(entry->arch, entry->nr);
  if (plan->filter || plan->rest || section < 0 || entry->mechanism > MECHANISM_STOP || entry->data > 4095)
    return -EINVAL;
  uint32_t nr = number_in(section, entry->nr);
  if (nr >= TRAP_PLAN_NUMBERS || entry->test_count > TRAP_PLAN_MAX_TESTS) return -EINVAL;
  for (uint32_t i = 0; i < entry->test_count; i++)
    if (!valid_test(&tests[i])) return -EINVAL;

  void *entries = reserve(plan->entries, &plan->entry_size, plan->entry_count, 1, sizeof *plan->entries);
  if (!entries) return -ENOMEM;
  plan->entries = entries;
  if (entry->test_count) {
    void *grown = reserve(plan->tests, &plan->test_size, plan->test_count, entry->test_count, sizeof *plan->tests);
    if (!grown) return -ENOMEM;
    plan->tests = grown;
    memcpy(plan->tests + plan->test_count, tests, entry->test_count * sizeof *tests);
  }
  uint32_t index = plan->entry_count++;
  plan->entries[index] = (struct planned){.entry = *entry};
  plan->entries[index].entry.test_first = plan->test_count;
  plan->test_count += entry->test_count;
  append(plan, section, nr, index);
  return 0;
}

int trap_plan_add_rest(struct trap_plan *plan, uint32_t mechanism) {
  if (plan->filter || plan->rest || mechanism > MECHANISM_STOP || mechanism == MECHANISM_ERRNO) return -EINVAL;
  void *entries = reserve(plan->entries, &plan->entry_size, plan->entry_count, 1, sizeof *plan->entries);
  if (!entries) return -ENOMEM;
  plan->entries = entries;
  uint32_t index = plan->entry_count++;
  plan->entries[index] = (struct planned){.entry = {.mechanism = mechanism}};
  for (int section = 0; section < SECTIONS; section++)
    for (uint32_t nr = 0; nr < TRAP_PLAN_NUMBERS; nr++)
      append(plan, section, nr, index);
  plan->rest = index;
  return 0;
}

/* --- paths ----------------------------------------------------------------------------------------------------- */

static struct path_sieve **sieve_of(const struct trap_plan *plan, uint32_t arch, uint64_t nr) {
  int section = section_of(arch, nr);
  if (section < 0 || !plan->sieves) return NULL;
  uint32_t number = number_in(section, nr);
  return number < TRAP_PLAN_NUMBERS ? &plan->sieves[(uint32_t)section * TRAP_PLAN_NUMBERS + number] : NULL;
}

const struct path_sieve *trap_plan_sieve(const struct trap_plan *plan, uint32_t arch, uint64_t nr) {
  struct path_sieve **sieve = sieve_of(plan, arch, nr);
  return sieve ? *sieve : NULL;
}

int trap_plan_add_path(struct trap_plan *plan, uint32_t arch, uint32_t nr, uint32_t arguments, const char *begin,
                       const char *end) {
  if (!plan->sieves) plan->sieves = calloc(SECTIONS * TRAP_PLAN_NUMBERS, sizeof(struct path_sieve *));
  if (!plan->sieves) return -ENOMEM;
  struct path_sieve **sieve = sieve_of(plan, arch, nr);
  if (!sieve) return -EINVAL;
  if (!*sieve) *sieve = path_sieve_new((uint8_t)arguments);
  return *sieve ? path_sieve_add(*sieve, begin, end) : -ENOMEM;
}

int trap_plan_lets_through(const struct trap_plan *plan, uint32_t arch, uint64_t nr, const char *path) {
  const struct path_sieve *sieve = trap_plan_sieve(plan, arch, nr);
  return !sieve || path_sieve_lets_through(sieve, path);
}

/* --- gates ----------------------------------------------------------------------------------------------------- */

/* One that every address space has within reach of a jump from its libraries, address randomisation or not, and from
 * programs at fixed addresses; nobody can count on it. */
static uint32_t choose_gate(void) {
  const uint32_t lowest = 0x7a000000, pages = 0x4f00;
  uint32_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) random = (uint32_t)getpid() * 2654435769u;
  return lowest + random % pages * 4096;
}

/* Is every mechanism by which the call may be served one of these (bits by number)? */
static bool is_served_by(const struct trap_plan *plan, uint32_t nr, uint32_t mechanisms) {
  for (uint32_t i = plan->first[SECTION_X86_64][nr]; i; i = plan->entries[i].next)
    if (!(1u << plan->entries[i].entry.mechanism & mechanisms)) return false;
  return true;
}

/* Calls that do not come back as others do, or not to where they were made alone. */
static bool returns(uint32_t nr) {
  static const uint16_t others[] = {SYS_exit,  SYS_exit_group, SYS_execve, SYS_execveat,     SYS_fork,
                                    SYS_vfork, SYS_clone,      SYS_clone3, SYS_rt_sigreturn, SYS_restart_syscall};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (others[i] == nr) return false;
  return true;
}

static bool asks(const struct trap_plan *plan, uint32_t nr) {
  return plan->first[SECTION_X86_64][nr] && returns(nr) &&
         is_served_by(plan, nr, 1u << MECHANISM_ALLOW | 1u << MECHANISM_NOTIFY);
}

static bool always_asks(const struct trap_plan *plan, uint32_t nr) {
  const struct trap_entry *first = &plan->entries[plan->first[SECTION_X86_64][nr]].entry;
  return asks(plan, nr) && first->mechanism == MECHANISM_NOTIFY && first->test_count == 0;
}

struct gate_body trap_plan_gate_body(const struct trap_plan *plan, uint64_t nr) {
  return (struct gate_body){.sieve = trap_plan_sieve(plan, AUDIT_ARCH_X86_64, nr), .asks = asks(plan, (uint32_t)nr)};
}

static bool can_gate(const struct trap_plan *plan, uint32_t nr) {
  uint8_t code[GATE_BODY_SIZE];
  const struct gate_body body = trap_plan_gate_body(plan, nr);
  const struct gate_site site = {.nr = nr};
  const uint32_t all = 1u << MECHANISM_ALLOW | 1u << MECHANISM_NOTIFY | 1u << MECHANISM_STOP;
  bool gains = body.sieve ? is_served_by(plan, nr, all) : always_asks(plan, nr);
  return gains && gate_code_body(&body, &site, 0, 0, code, sizeof code) >= 0;
}

int trap_plan_open_gate(struct trap_plan *plan) {
  /* The gate is mapped by the program: nobody must see it do that. */
  if (!is_served_by(plan, SYS_mmap, 1u << MECHANISM_ALLOW)) return -ENOTSUP;
  bool any = false;
  for (uint32_t nr = 0; nr < TRAP_PLAN_NUMBERS; nr++) {
    if (!can_gate(plan, nr)) continue;
    plan->gated[nr] = any = true;
  }
  if (!any) return -ENOTSUP;
  plan->gate = choose_gate();
  free(plan->filter);
  plan->filter = NULL;
  int size = trap_plan_filter_size(plan);
  if (size < 0) plan->gate = 0;
  return size < 0 ? size : 0;
}

uint32_t trap_plan_gate(const struct trap_plan *plan) { return plan->gate; }

bool trap_plan_has_mailboxes(const struct trap_plan *plan) {
  return plan->gate && is_served_by(plan, SYS_shmat, 1u << MECHANISM_ALLOW);
}

int trap_plan_gates(const struct trap_plan *plan, uint32_t arch, uint64_t nr) {
  return plan->gate && arch == AUDIT_ARCH_X86_64 && nr < TRAP_PLAN_NUMBERS && plan->gated[nr];
}

/* --- the verdict in C ------------------------------------------------------------------------------------------ */

static bool test_holds(const struct trap_test *test, uint64_t arg) {
  uint64_t value = test->value;
  arg &= test->mask;
  if (test->bits == 32) {
    arg = (uint32_t)arg;
    value = (uint32_t)value;
    if (test->is_signed) {
      arg ^= 0x80000000u;
      value ^= 0x80000000u;
    }
  } else if (test->is_signed) {
    arg ^= 1ull << 63;
    value ^= 1ull << 63;
  }
  switch (test->op) {
  case TRAP_TEST_EQ:
    return arg == value;
  case TRAP_TEST_NE:
    return arg != value;
  case TRAP_TEST_LT:
    return arg < value;
  case TRAP_TEST_LE:
    return arg <= value;
  case TRAP_TEST_GT:
    return arg > value;
  default:
    return arg >= value;
  }
}

int trap_plan_verdict(const struct trap_plan *plan, uint32_t arch, uint64_t nr, const uint64_t args[6]) {
  int section = section_of(arch, nr);
  if (section < 0) return MECHANISM_ALLOW;
  uint32_t number = number_in(section, nr);
  for (uint32_t i = number < TRAP_PLAN_NUMBERS ? plan->first[section][number] : plan->rest; i;
       i = plan->entries[i].next) {
    const struct trap_entry *entry = &plan->entries[i].entry;
    uint32_t held = 0;
    while (held < entry->test_count &&
           test_holds(&plan->tests[entry->test_first + held], args[plan->tests[entry->test_first + held].arg]))
      held++;
    if (held == entry->test_count) return (int)(entry->mechanism | entry->data << 8);
  }
  return MECHANISM_ALLOW;
}

/* --- the filter ------------------------------------------------------------------------------------------------ */

/* Where a conditional jump of a test goes: on, to the end of the test (it holds), to the end of the entry. */
enum target { NEXT, PASS, FAIL };

struct jump {
  uint32_t at;
  enum target yes, no;
  uint32_t pass; /* address of the end of its test */
};

enum { JUMPS_PER_TEST = 3 };

struct assembler {
  const struct trap_plan *plan;
  struct sock_filter *code; /* NULL: only count */
  uint32_t length;
  struct jump jumps[TRAP_PLAN_MAX_TESTS * JUMPS_PER_TEST]; /* of the entry being emitted */
  uint32_t jump_count;
};

static void emit(struct assembler *as, unsigned code, uint32_t jt, uint32_t jf, uint32_t k) {
  if (as->code) as->code[as->length] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
  as->length++;
}

static void emit_jump(struct assembler *as, unsigned operation, uint32_t k, enum target yes, enum target no) {
  as->jumps[as->jump_count++] = (struct jump){.at = as->length, .yes = yes, .no = no};
  emit(as, BPF_JMP | operation | BPF_K, 0, 0, k);
}

static uint32_t action(const struct trap_entry *entry) {
  switch (entry->mechanism) {
  case MECHANISM_ERRNO:
    return SECCOMP_RET_ERRNO | (entry->data & SECCOMP_RET_DATA);
  case MECHANISM_NOTIFY:
    return SECCOMP_RET_USER_NOTIF;
  case MECHANISM_STOP:
    return SECCOMP_RET_TRACE;
  default:
    return SECCOMP_RET_ALLOW;
  }
}

/* Loads one half of an argument, masked, its sign bit flipped where a signed order is wanted. */
static void emit_load(struct assembler *as, const struct trap_test *test, bool high) {
  uint32_t offset = (uint32_t)offsetof(struct seccomp_data, args) + test->arg * 8u + (high ? 4u : 0u);
  uint32_t mask = (uint32_t)(high ? test->mask >> 32 : test->mask);
  emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
  if (mask != ~0u) emit(as, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
  bool top = high || test->bits == 32;
  if (test->is_signed && top && test->op > TRAP_TEST_NE) emit(as, BPF_ALU | BPF_XOR | BPF_K, 0, 0, 0x80000000u);
}

/* NE is "not EQ", LT "not GE", LE "not GT": the targets change places. */
static void emit_test(struct assembler *as, const struct trap_test *test) {
  bool wide = test->bits == 64, ordered = test->op > TRAP_TEST_NE;
  bool negated = test->op == TRAP_TEST_NE || test->op == TRAP_TEST_LT || test->op == TRAP_TEST_LE;
  uint32_t flip = test->is_signed && ordered ? 0x80000000u : 0;
  uint32_t high = (uint32_t)(test->value >> 32) ^ (wide ? flip : 0);
  uint32_t low = (uint32_t)test->value ^ (wide ? 0 : flip);
  enum target yes = negated ? FAIL : PASS, no = negated ? PASS : FAIL;
  uint32_t first = as->jump_count;
  if (wide) {
    emit_load(as, test, true);
    if (ordered) emit_jump(as, BPF_JGT, high, yes, NEXT);
    emit_jump(as, BPF_JEQ, high, NEXT, no);
  }
  emit_load(as, test, false);
  bool at_least = test->op == TRAP_TEST_GE || test->op == TRAP_TEST_LT;
  emit_jump(as, !ordered ? BPF_JEQ : at_least ? BPF_JGE : BPF_JGT, low, yes, no);
  for (uint32_t i = first; i < as->jump_count; i++)
    as->jumps[i].pass = as->length;
}

static uint8_t distance(const struct jump *jump, enum target target, uint32_t fail) {
  if (target == NEXT) return 0;
  return (uint8_t)((target == PASS ? jump->pass : fail) - jump->at - 1);
}

/* A test is at most 9 instructions and an entry has at most 16: every distance fits into the 8 bits of a jump. */
static void emit_entry(struct assembler *as, const struct trap_entry *entry) {
  as->jump_count = 0;
  for (uint32_t i = 0; i < entry->test_count; i++)
    emit_test(as, &as->plan->tests[entry->test_first + i]);
  emit(as, BPF_RET | BPF_K, 0, 0, action(entry));
  for (uint32_t i = 0; as->code && i < as->jump_count; i++) {
    const struct jump *jump = &as->jumps[i];
    as->code[jump->at].jt = distance(jump, jump->yes, as->length);
    as->code[jump->at].jf = distance(jump, jump->no, as->length);
  }
}

/* Numbers from `start` up to the next segment's are decided by the chain `first` (0: allowed). */
struct segment {
  uint32_t start;
  uint32_t first;
  bool gated; /* one number, which is allowed when it comes out of a gate */
};

/* Was the call made by that instruction of a door? */
static void emit_gate(struct assembler *as) {
  emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, instruction_pointer));
  emit(as, BPF_ALU | BPF_AND | BPF_K, 0, 0, ~(uint32_t)(GATE_DOORS_SIZE - 1) | (GATE_DOOR_SIZE - 1));
  emit(as, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, as->plan->gate | GATE_PASSED);
  emit(as, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static void emit_chain(struct assembler *as, uint32_t first) {
  for (uint32_t i = first; i; i = as->plan->entries[i].next) {
    emit_entry(as, &as->plan->entries[i].entry);
    if (!as->plan->entries[i].entry.test_count) return; /* always holds: what follows is never reached */
  }
  emit(as, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* A balanced search: number >= the middle segment's start? Distances beyond 255 go over an unconditional jump. */
static void emit_search(struct assembler *as, const struct segment *segments, uint32_t count) {
  if (count == 1) {
    if (segments[0].gated) emit_gate(as);
    emit_chain(as, segments[0].first);
    return;
  }
  uint32_t middle = count / 2;
  struct assembler dry = {.plan = as->plan};
  emit_search(&dry, segments, middle);
  bool near = dry.length <= 255;
  emit(as, BPF_JMP | BPF_JGE | BPF_K, near ? dry.length : 0, near ? 0 : 1, segments[middle].start);
  if (!near) emit(as, BPF_JMP | BPF_JA, 0, 0, dry.length);
  emit_search(as, segments, middle);
  emit_search(as, segments + middle, count - middle);
}

/* Two calls that are decided alike, without looking at arguments, share a segment. */
static bool same_verdict(const struct trap_plan *plan, uint32_t a, uint32_t b) {
  if (a == b) return true;
  if (!a || !b) return false;
  const struct trap_entry *x = &plan->entries[a].entry, *y = &plan->entries[b].entry;
  return !x->test_count && !y->test_count && action(x) == action(y);
}

static void emit_section(struct assembler *as, enum section section) {
  struct segment segments[TRAP_PLAN_NUMBERS + 1];
  uint32_t base = section == SECTION_X32 ? ARCH_X32_BIT : 0, count = 1;
  bool gates = section == SECTION_X86_64 && as->plan->gate;
  segments[0] = (struct segment){base, as->plan->first[section][0], gates && as->plan->gated[0]};
  for (uint32_t nr = 1; nr <= TRAP_PLAN_NUMBERS; nr++) {
    uint32_t first = nr < TRAP_PLAN_NUMBERS ? as->plan->first[section][nr] : as->plan->rest;
    bool gated = gates && nr < TRAP_PLAN_NUMBERS && as->plan->gated[nr];
    if (gated || segments[count - 1].gated || !same_verdict(as->plan, segments[count - 1].first, first))
      segments[count++] = (struct segment){base + nr, first, gated};
  }
  emit_search(as, segments, count);
}

static uint32_t section_length(const struct trap_plan *plan, enum section section) {
  struct assembler dry = {.plan = plan};
  emit_section(&dry, section);
  return dry.length;
}

/* Arch and number first, arguments only where a call's own entries need them: so the kernel can prove that an
 * untouched call is allowed and skip the filter for it (its action cache, Linux 5.11). */
static void emit_filter(struct assembler *as) {
  uint32_t native = section_length(as->plan, SECTION_X86_64), x32 = section_length(as->plan, SECTION_X32);
  const uint32_t arch = offsetof(struct seccomp_data, arch), nr = offsetof(struct seccomp_data, nr);
  emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, arch);
  emit(as, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
  emit(as, BPF_JMP | BPF_JA, 0, 0, 3 + native + x32);
  emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, nr);
  emit(as, BPF_JMP | BPF_JGE | BPF_K, 0, 1, ARCH_X32_BIT);
  emit(as, BPF_JMP | BPF_JA, 0, 0, native);
  emit_section(as, SECTION_X86_64);
  emit_section(as, SECTION_X32);
  emit(as, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_I386);
  emit(as, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
  emit(as, BPF_LD | BPF_W | BPF_ABS, 0, 0, nr);
  emit_section(as, SECTION_I386);
}

int trap_plan_build_filter(struct trap_plan *plan, const struct sock_filter **filter, unsigned short *length) {
  if (!plan->filter) {
    struct assembler as = {.plan = plan};
    emit_filter(&as);
    if (as.length > BPF_MAXINSNS) return -E2BIG;
    as.code = calloc(as.length, sizeof *as.code);
    if (!as.code) return -ENOMEM;
    plan->length = (unsigned short)as.length;
    as.length = 0;
    emit_filter(&as);
    plan->filter = as.code;
  }
  *filter = plan->filter;
  *length = plan->length;
  return 0;
}

bool trap_plan_notifies(const struct trap_plan *plan) {
  for (uint32_t i = 1; i < plan->entry_count; i++)
    if (plan->entries[i].entry.mechanism == MECHANISM_NOTIFY) return true;
  return false;
}

void trap_plan_stop_instead(struct sock_filter *filter, unsigned short length) {
  for (unsigned i = 0; i < length; i++)
    if (filter[i].code == (BPF_RET | BPF_K) && filter[i].k == SECCOMP_RET_USER_NOTIF) filter[i].k = SECCOMP_RET_TRACE;
}

int trap_plan_filter_size(struct trap_plan *plan) {
  const struct sock_filter *filter;
  unsigned short length;
  int error = trap_plan_build_filter(plan, &filter, &length);
  return error ? error : length;
}
