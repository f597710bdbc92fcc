/* The code of a gate is run here, in this very process: which of its two calls was made shows in rcx, where the kernel
 * leaves the address behind it. The verdict must be the sieve's, or, of paths that only Lua can judge, "trapped". */
#include <linux/limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "gate_code.h"
#include "mailbox.h"

/* The gate comes behind the site, the mailbox behind the gate. */
enum { SITE = 0, BASE = 0x1000, PAGE = BASE + GATE_SIZE, MEMORY = PAGE + 0x1000, INDEX = 3 };

struct gate {
  uint8_t *memory;
  const struct path_sieve *sieve;
  uint64_t nr;
  bool asks;
};

static tracee_addr address(const struct gate *gate, size_t offset) { return (tracee_addr)(gate->memory + offset); }

static int build(struct gate *gate, const struct path_sieve *sieve, uint64_t nr) {
  static const uint8_t next[] = {0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff}; /* cmp $-4095,%rax */
  struct gate_site site = {.ip = address(gate, SITE + 2), .nr = nr};
  site.next_size = gate_code_next_size(next, sizeof next);
  memcpy(site.next, next, sizeof next);
  gate->sieve = sieve;
  gate->nr = nr;
  const tracee_addr base = address(gate, BASE);
  const tracee_addr door = gate_code_door_at(base, INDEX), body = gate_code_body_at(base, INDEX);
  const struct gate_body wanted = {.sieve = sieve, .asks = gate->asks};
  gate_code_jump(&site, body + GATE_ENTRY, gate->memory + SITE);
  gate->memory[SITE + 8] = 0xc3; /* ret */
  gate_code_door(&site, door, gate->memory + BASE + (door - base));
  return gate_code_body(&wanted, &site, base, INDEX, gate->memory + BASE + (body - base), GATE_BODY_SIZE);
}

/* Where the call came out: behind which call instruction of its door. */
static size_t call_with_result(const struct gate *gate, uint64_t nr, const void *a, const void *b, const void *c,
                               const void *d, uint64_t e, uint64_t *got) {
  uint64_t result = nr;
  tracee_addr behind;
  register const void *fourth __asm__("r10") = d;
  register uint64_t fifth __asm__("r8") = e;
  __asm__ volatile("sub $128, %%rsp\n\tcall *%[site]\n\tadd $128, %%rsp"
                   : "+a"(result), "=c"(behind)
                   : [site] "r"(gate->memory + SITE), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                   : "r11", "memory", "cc");
  *got = result;
  return behind - gate_code_door_at(address(gate, BASE), INDEX);
}

static size_t call(const struct gate *gate, uint64_t nr, const void *a, const void *b, const void *c, const void *d,
                   uint64_t e) {
  uint64_t unused;
  return call_with_result(gate, nr, a, b, c, d, e, &unused);
}

static bool passes(const struct gate *gate, const char *path) {
  size_t came_out = call(gate, gate->nr, (void *)-1, path, NULL, NULL, 0);
  CHECK(came_out == GATE_PASSED || came_out == GATE_TRAPPED);
  return came_out == GATE_PASSED;
}

/* Lua, or the sieve, has parts of such a path to take out first. */
static bool is_plain(const char *path) {
  size_t length = strlen(path);
  return length && path[length - 1] != '/' && path[length - 1] != '.' && !strstr(path, "//") && !strstr(path, "/.");
}

static struct path_sieve *sieve_of(uint8_t arguments, const char *const *ends) {
  struct path_sieve *sieve = path_sieve_new(arguments);
  for (; ends[0]; ends += 2)
    if (path_sieve_add(sieve, ends[0], ends[1])) abort();
  return sieve;
}

static void random_path(char *path, size_t size) {
  static const char alphabet[] = "//..abetc";
  size_t length = (size_t)rand() % size;
  for (size_t i = 0; i < length; i++)
    path[i] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
  path[length] = 0;
}

static void check_verdicts(struct gate *gate, const char *const *ends) {
  struct path_sieve *sieve = sieve_of(2, ends);
  CHECK(build(gate, sieve, SYS_faccessat) > 0);
  int wrong = 0, plain = 0, missed = 0;
  for (int i = 0; i < 20000; i++) {
    char path[16];
    random_path(path, sizeof path - 1);
    bool through = path_sieve_lets_through(sieve, path), passed = passes(gate, path);
    wrong += through && passed;
    if (!is_plain(path)) continue;
    plain++;
    missed += !through && !passed;
  }
  CHECK(wrong == 0);
  CHECK(plain > 1000);
  CHECK(missed == 0);
  path_sieve_free(sieve);
}

static void check_edges(struct gate *gate) {
  struct path_sieve *sieve = sieve_of(2, (const char *const[]){"/etc/", ".conf", NULL});
  build(gate, sieve, SYS_faccessat);
  CHECK(passes(gate, "/etc/passwd"));
  CHECK(!passes(gate, "/etc/a.conf"));
  CHECK(!passes(gate, ""));
  CHECK(!passes(gate, NULL));
  CHECK(!passes(gate, (const char *)0xffff)); /* without a fault */
  CHECK(!passes(gate, (const char *)(1ull << 47)));
  CHECK(!passes(gate, (const char *)-1));
  CHECK(call(gate, SYS_getppid, NULL, NULL, NULL, NULL, 0) == GATE_TRAPPED); /* another call, made there */
  CHECK(call(gate, SYS_faccessat | 1ull << 32, NULL, NULL, NULL, NULL, 0) == GATE_TRAPPED);

  /* At the end of what can be read: nothing behind the NUL is touched. */
  char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(pages + 4096, 4096);
  static const char *const at_end[] = {"a", "/", "/.", "/a/.", "/a/", "a.", "/etc/x.conf", "/etc/passwd"};
  for (size_t i = 0; i < sizeof at_end / sizeof *at_end; i++) {
    char *path = pages + 4096 - strlen(at_end[i]) - 1;
    strcpy(path, at_end[i]);
    bool passed = passes(gate, path);
    CHECK(!passed || !path_sieve_lets_through(sieve, path));
  }
  munmap(pages, 4096);

  static char longest[PATH_MAX + 2];
  memset(longest, 'a', PATH_MAX - 1);
  CHECK(passes(gate, longest));
  longest[PATH_MAX - 1] = 'a';
  CHECK(!passes(gate, longest));
  path_sieve_free(sieve);
}

static void check_two_paths(struct gate *gate) {
  struct path_sieve *sieve = sieve_of(2 | 8, (const char *const[]){"", "b", NULL});
  build(gate, sieve, SYS_linkat);
  const uint64_t invalid = 0xffff; /* flags: nothing happens */
  CHECK(call(gate, SYS_linkat, NULL, "a", NULL, "c", invalid) == GATE_PASSED);
  CHECK(call(gate, SYS_linkat, NULL, "b", NULL, "c", invalid) == GATE_TRAPPED);
  CHECK(call(gate, SYS_linkat, NULL, "a", NULL, "b", invalid) == GATE_TRAPPED);
  path_sieve_free(sieve);
}

static void check_room(struct gate *gate) {
  static char long_end[2000];
  memset(long_end, 'x', sizeof long_end - 1);
  struct path_sieve *sieve = sieve_of(2, (const char *const[]){"", long_end, NULL});
  uint8_t code[64];
  CHECK(build(gate, sieve, SYS_faccessat) < 0);
  path_sieve_free(sieve);
  sieve = sieve_of(2, (const char *const[]){"", "x", NULL});
  const struct gate_body body = {.sieve = sieve};
  const struct gate_site site = {.nr = 1};
  CHECK(gate_code_body(&body, &site, 0, 0, code, sizeof code) < 0);
  path_sieve_free(sieve);
}

/* --- questions by mailbox: a thread answers --- */

struct answering {
  struct mailbox *mailbox;
  struct mailbox_page seen; /* of the last question */
  atomic_int questions;     /* to be answered yet: with the call's first argument, or, if that is 0, to go on */
};

static void *answer(void *argument) {
  struct answering *answering = argument;
  struct mailbox *mailbox = answering->mailbox;
  while (answering->questions > 0) {
    if (!mailbox_is_asked(mailbox) || !mailbox_take(mailbox)) continue;
    memcpy(&answering->seen, mailbox->page, sizeof answering->seen);
    if (mailbox->page->args[0])
      mailbox_return(mailbox, (int64_t)mailbox->page->args[0]);
    else
      mailbox_go_on(mailbox);
    answering->questions--;
  }
  return NULL;
}

static void *lose_questions(void *argument) {
  struct answering *answering = argument;
  while (answering->questions > 0) {
    if (!mailbox_is_asked(answering->mailbox)) continue;
    mailbox_clear(answering->mailbox);
    answering->questions--;
  }
  return NULL;
}

static void set_switch(const struct gate *gate, uint32_t on) {
  memcpy(gate->memory + BASE + GATE_SWITCH, &on, sizeof on);
}

static void check_questions(struct gate *gate) {
  struct mailbox_page *page = (struct mailbox_page *)(void *)(gate->memory + PAGE);
  struct mailbox mailbox = {.page = page};
  struct answering answering = {.mailbox = &mailbox};
  pthread_t thread;
  uint64_t got;
  gate->asks = true;
  CHECK(build(gate, NULL, SYS_getppid) > 0);

  /* Nobody could answer; then nobody listens; then nobody takes the question, or takes it and does not answer. */
  CHECK(call(gate, SYS_getppid, NULL, NULL, NULL, NULL, 0) == GATE_TRAPPED);
  mailbox_listen(&mailbox, true);
  CHECK(call(gate, SYS_getppid, NULL, NULL, NULL, NULL, 0) == GATE_TRAPPED);
  set_switch(gate, 1);
  mailbox_listen(&mailbox, false);
  CHECK(call(gate, SYS_getppid, NULL, NULL, NULL, NULL, 0) == GATE_TRAPPED);
  mailbox_listen(&mailbox, true);
  CHECK(call(gate, SYS_getppid, NULL, NULL, NULL, NULL, 0) == GATE_TRAPPED);
  CHECK(page->state == MAILBOX_EMPTY && page->nr == SYS_getppid);

  /* One that is gone has not been answered. */
  answering.questions = 200;
  if (pthread_create(&thread, NULL, lose_questions, &answering)) abort();
  int passed = 0;
  while (answering.questions > 0)
    passed += call(gate, SYS_getppid, NULL, NULL, NULL, NULL, 0) != GATE_TRAPPED;
  pthread_join(thread, NULL);
  CHECK(passed == 0);

  answering.questions = 2000;
  if (pthread_create(&thread, NULL, answer, &answering)) abort();
  int wrong = 0, answered = 0;
  for (uint64_t i = 0; answering.questions > 0; i++) {
    uint64_t wish = i % 2 ? i : 0;
    size_t out = call_with_result(gate, SYS_getppid, (void *)wish, (void *)2, (void *)3, (void *)4, 5, &got);
    bool asked_in_vain = out == GATE_TRAPPED; /* the other thread did not run */
    /* What was answered with a result was no call: then rcx is anything. */
    bool returned = out != GATE_PASSED && !asked_in_vain;
    answered += !asked_in_vain;
    while (page->state == MAILBOX_TAKEN)
      sched_yield();
    if (asked_in_vain) mailbox_clear(&mailbox);
    wrong += returned != (wish != 0 && !asked_in_vain) || got != (returned ? wish : (uint64_t)getppid());
  }
  pthread_join(thread, NULL);
  CHECK(wrong == 0);
  CHECK(answered > 1000);
  const uint64_t *args = answering.seen.args;
  CHECK(args[1] == 2 && args[2] == 3 && args[3] == 4 && args[4] == 5);
  CHECK(answering.seen.ip == address(gate, SITE + 2) && answering.seen.nr == SYS_getppid);
  gate->asks = false;
}

static void check_next(void) {
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x3d, 0, 0xf0, 0xff, 0xff}, 6) == 6);
  CHECK(gate_code_next_size((const uint8_t[]){0x3d, 0, 0xf0, 0xff, 0xff}, 5) == 5);
  /* mov %rax,%rdi, and what makes the flags anew: test %rax,%rax; call; cmp */
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x89, 0xc7, 0x48, 0x85, 0xc0}, 6) == 3);
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x89, 0xc7, 0xe8, 0, 0, 0, 0}, 8) == 3);
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x89, 0xc7, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff}, 9) == 3);
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x89, 0xc7, 0x0f, 0x94, 0xc0}, 6) == 0); /* sete */
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x89, 0xc7}, 3) == 0);
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x89, 0x07}, 3) == 0); /* mov %rax,(%rdi) */
  CHECK(gate_code_next_size((const uint8_t[]){0xc3, 0x90, 0x90}, 3) == 0); /* ret */
  CHECK(gate_code_next_size((const uint8_t[]){0x48, 0x3d, 0, 0xf0, 0xff}, 5) == 0);
}

/* A door tells what it stands for. */
static void check_site(void) {
  const struct gate_site site = {
      .ip = 0x12345678, .nr = 257, .next = {0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff}, .next_size = 6};
  struct gate_site told;
  uint8_t door[GATE_DOOR_SIZE];
  gate_code_door(&site, 0x1000, door);
  gate_code_site(door, &told);
  CHECK(told.ip == site.ip && told.nr == site.nr && told.next_size == site.next_size &&
        memcmp(told.next, site.next, 6) == 0);
}

static void check_jumps(void) {
  static const uint8_t short_jump[] = {0x74, 0x03, 0x90, 0x90, 0x90, 0x90};
  CHECK(gate_code_is_jumped_to(short_jump, 6, 5, 6));
  CHECK(!gate_code_is_jumped_to(short_jump, 6, 2, 5));
  static const uint8_t back[] = {0x90, 0x90, 0xeb, 0xfc};
  CHECK(gate_code_is_jumped_to(back, 4, 0, 1));
  CHECK(!gate_code_is_jumped_to(back, 4, 1, 4));
  static const uint8_t near_jump[] = {0xe9, 0x10, 0, 0, 0};
  CHECK(gate_code_is_jumped_to(near_jump, 5, 0x15, 0x16));
  CHECK(!gate_code_is_jumped_to(near_jump, 4, 0x15, 0x16)); /* it has no end */
  static const uint8_t conditional[] = {0x0f, 0x87, 0x10, 0, 0, 0};
  CHECK(gate_code_is_jumped_to(conditional, 6, 0x16, 0x17));
  static const uint8_t far_back[] = {0x0f, 0x84, 0, 0xff, 0xff, 0xff};
  CHECK(gate_code_is_jumped_to(far_back, 6, -0xfa, -0xf9));
}

/* The plain way to ask it: at each byte. */
static bool is_jumped_to(const uint8_t *code, int64_t size, int64_t first, int64_t end) {
  for (int64_t at = 0; at + 2 <= size; at++) {
    int32_t distance = 0;
    int64_t to;
    bool conditional = code[at] == 0x0f && (code[at + 1] & 0xf0) == 0x80 && at + 6 <= size;
    if (code[at] == 0xeb || (code[at] & 0xf0) == 0x70 || (code[at] & 0xfc) == 0xe0)
      to = at + 2 + (int8_t)code[at + 1];
    else if ((code[at] == 0xe8 || code[at] == 0xe9) && at + 5 <= size)
      to = at + 5 + (memcpy(&distance, code + at + 1, 4), distance);
    else if (conditional)
      to = at + 6 + (memcpy(&distance, code + at + 2, 4), distance);
    else
      continue;
    if (to >= first && to < end) return true;
  }
  return false;
}

static void check_random_jumps(void) {
  static const uint8_t opcodes[] = {0x74, 0xeb, 0xe8, 0xe9, 0x0f, 0x84, 0x87, 0x00, 0xff, 0x10, 0x20, 0xe2};
  int wrong = 0, found = 0;
  for (int round = 0; round < 20000; round++) {
    uint8_t code[300];
    int64_t size = rand() % (int)sizeof code, first = rand() % 400 - 50, end = first + 1 + rand() % 8;
    for (int64_t i = 0; i < size; i++)
      code[i] = opcodes[(size_t)rand() % sizeof opcodes];
    bool expected = is_jumped_to(code, size, first, end);
    found += expected;
    wrong += gate_code_is_jumped_to(code, size, first, end) != expected;
  }
  CHECK(wrong == 0);
  CHECK(found > 1000 && found < 19000);
}

int main(void) {
  struct gate gate = {.memory =
                          mmap(NULL, MEMORY, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
  if (gate.memory == MAP_FAILED) abort();
  srand(1);
  check_verdicts(&gate, (const char *const[]){"", "b", NULL});
  check_verdicts(&gate, (const char *const[]){"/a", "", NULL});
  check_verdicts(&gate, (const char *const[]){"/etc/", "", "/a/b", "c", "", "tc", NULL});
  check_verdicts(&gate, (const char *const[]){"/a", "abetc", "/b", "be", NULL});
  check_edges(&gate);
  check_two_paths(&gate);
  check_room(&gate);
  check_questions(&gate);
  check_next();
  check_site();
  check_jumps();
  check_random_jumps();
  return check_report("gate_code");
}
