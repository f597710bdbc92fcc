#include "gate_code.h"

#include <errno.h>
#include <limits.h> /* PATH_MAX */
#include <stddef.h>
#include <string.h>

#include "mailbox.h" /* struct mailbox_page */

/* --- the program's own code -------------------------------------------------------------------------------------- */

enum { CALL_SIZE = 2, SHORT_JUMP = 2, INT3 = 0xcc };

static const uint8_t call_instruction[CALL_SIZE] = {0x0f, 0x05};

bool gate_code_is_call(const uint8_t *code) { return memcmp(code, call_instruction, CALL_SIZE) == 0; }

/* cmp $imm32,%rax or %eax */
static uint8_t compare_size(const uint8_t *code, size_t size) {
  if (size >= 6 && code[0] == 0x48 && code[1] == 0x3d) return 6;
  return size >= 5 && code[0] == 0x3d ? 5 : 0;
}

/* A call instruction leaves the flags as they are, unlike the gate: test REG,REG, a comparison or a function make them
 * anew. */
static bool makes_flags(const uint8_t *code, size_t size) {
  return compare_size(code, size) || (size >= 2 && code[0] == 0x48 && code[1] == 0x85) || (size && code[0] == 0xe8);
}

/* What C libraries do first with a result: compare it with -4095, or keep it (mov %rax,REG) and compare it then. */
uint8_t gate_code_next_size(const uint8_t *code, size_t size) {
  bool keeps = size >= 3 && (code[0] == 0x48 || code[0] == 0x49) && code[1] == 0x89 && (code[2] & 0xf8) == 0xc0;
  return keeps && makes_flags(code + 3, size - 3) ? 3 : compare_size(code, size);
}

static int64_t signed32(const uint8_t *at) {
  int32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static bool is_within(int64_t at, int64_t first, int64_t end) { return at >= first && at < end; }

/* jmp, jcc, loop and jrcxz: they do not go far. */
static bool is_jumped_to_from_near(const uint8_t *code, int64_t size, int64_t first, int64_t end) {
  int64_t at = first - SHORT_JUMP - INT8_MAX, last = end - SHORT_JUMP - INT8_MIN;
  for (at = at < 0 ? 0 : at; at <= last && at + SHORT_JUMP <= size; at++) {
    uint8_t byte = code[at];
    bool is_jump = byte == 0xeb || (byte & 0xf0) == 0x70 || (byte & 0xfc) == 0xe0;
    if (is_jump && is_within(at + SHORT_JUMP + (int8_t)code[at + 1], first, end)) return true;
  }
  return false;
}

/* Four bytes that are a distance to there, behind the first byte of a call or jump, or the two of a jcc. */
static bool is_far_jump(const uint8_t *code, int64_t distance_at, int64_t first, int64_t end) {
  const uint8_t *distance = code + distance_at;
  if (!is_within(distance_at + 4 + signed32(distance), first, end)) return false;
  if (distance_at >= 1 && (distance[-1] == 0xe8 || distance[-1] == 0xe9)) return true;
  return distance_at >= 2 && distance[-2] == 0x0f && (distance[-1] & 0xf0) == 0x80;
}

/* The code of a library is megabytes: four times four places are looked at together for a distance that would fit. */
typedef uint32_t lanes __attribute__((vector_size(16)));
typedef uint32_t unaligned_lanes __attribute__((vector_size(16), aligned(1), may_alias));
enum { LANES = 4, STEP = 16 };

static bool is_jumped_to_from_afar(const uint8_t *code, int64_t size, int64_t first, int64_t end) {
  const uint32_t lowest = (uint32_t)(first - 4), count = (uint32_t)(end - first);
  lanes places = {0, 4, 8, 12};
  places -= lowest;
  int64_t at = 0;
  for (; at + STEP + LANES <= size; at += STEP, places += STEP) {
    lanes fits = {0};
    for (uint32_t shift = 0; shift < LANES; shift++) {
      lanes distances = *(const unaligned_lanes *)(code + at + shift);
      fits |= (lanes)(distances + places + shift < count);
    }
    if (!(fits[0] | fits[1] | fits[2] | fits[3])) continue;
    for (int64_t place = at; place < at + STEP; place++)
      if (is_far_jump(code, place, first, end)) return true;
  }
  for (; at + 4 <= size; at++)
    if (is_far_jump(code, at, first, end)) return true;
  return false;
}

bool gate_code_is_jumped_to(const uint8_t *code, int64_t size, int64_t first, int64_t end) {
  return is_jumped_to_from_near(code, size, first, end) || is_jumped_to_from_afar(code, size, first, end);
}

/* --- writing code ------------------------------------------------------------------------------------------------ */

struct writer {
  uint8_t *code;
  size_t size, room; /* `size` goes on beyond the room: then it does not fit */
  tracee_addr at;
};

static void put(struct writer *writer, const void *bytes, size_t count) {
  if (writer->size + count <= writer->room) memcpy(writer->code + writer->size, bytes, count);
  writer->size += count;
}

#define PUT(writer, ...) put(writer, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void put32(struct writer *writer, uint64_t value) {
  uint32_t low = (uint32_t)value;
  put(writer, &low, sizeof low);
}

/* The distance to `target` that ends a jump: from behind it. */
static void put_target(struct writer *writer, tracee_addr target) {
  put32(writer, target - (writer->at + writer->size + 4));
}

static void jump(struct writer *writer, tracee_addr target) {
  PUT(writer, 0xe9);
  put_target(writer, target);
}

enum condition { BELOW = 2, NOT_BELOW = 3, EQUAL = 4, NOT_EQUAL = 5 };

static void jump_if(struct writer *writer, enum condition condition, tracee_addr target) {
  PUT(writer, 0x0f, (uint8_t)(0x80 | condition));
  put_target(writer, target);
}

/* A jump ahead, to where `land` is called. */
static size_t jump_ahead_if(struct writer *writer, enum condition condition) {
  jump_if(writer, condition, 0);
  return writer->size;
}

static void land(struct writer *writer, size_t jumped) {
  uint32_t distance = (uint32_t)(writer->size - jumped);
  if (writer->size <= writer->room) memcpy(writer->code + jumped - sizeof distance, &distance, sizeof distance);
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

/* What a piece of text is compared with: a register that points to it, and how far from there. */
struct place {
  bool from_start; /* r11, where the path begins; else rcx, its NUL */
  int32_t offset;
};

/* Compares 1, 2 or 4 bytes. */
static void compare(struct writer *writer, struct place place, const char *text, size_t count) {
  if (count == 2) PUT(writer, 0x66);
  if (place.from_start) PUT(writer, 0x41);
  PUT(writer, count == 1 ? 0x80 : 0x81, (uint8_t)(0xb8 | (place.from_start ? 3 : 1)));
  put32(writer, (uint64_t)(int64_t)place.offset);
  put(writer, text, count);
}

/* Jumps ahead when the text there is another one; at most `most` jumps are noted. */
static void compare_text(struct writer *writer, struct place place, const char *text, size_t length, size_t *jumps,
                         size_t *count) {
  while (length) {
    size_t piece = length >= 4 ? 4 : length >= 2 ? 2 : 1;
    compare(writer, place, text, piece);
    jumps[(*count)++] = jump_ahead_if(writer, NOT_EQUAL);
    text += piece;
    length -= piece;
    place.offset += (int32_t)piece;
  }
}

/* Each end of a pattern is at most so long; what is longer does not fit into a body anyway. */
enum { LONGEST = 512, JUMPS = 2 * (LONGEST / 4 + 2) + 1 };

/* With the path's length in rax: to `other`, where calls go that are not let pass, if the pattern may match. */
static int match(struct writer *writer, const struct path_sieve_ends *ends, bool absolute, tracee_addr other) {
  size_t begin = absolute ? strlen(ends->begin) : 0, end = strlen(ends->end), jumps[JUMPS], count = 0;
  if (begin > LONGEST || end > LONGEST) return -E2BIG;
  size_t least = begin > end ? begin : end;
  if (least) {
    PUT(writer, 0x48, 0x3d); /* cmp $least,%rax */
    put32(writer, least);
    jumps[count++] = jump_ahead_if(writer, BELOW);
  }
  compare_text(writer, (struct place){true, 0}, ends->begin, begin, jumps, &count);
  compare_text(writer, (struct place){false, -(int32_t)end}, ends->end, end, jumps, &count);
  jump(writer, other);
  for (size_t i = 0; i < count; i++)
    land(writer, jumps[i]);
  return 0;
}

static int match_any(struct writer *writer, const struct path_sieve *sieve, bool absolute, tracee_addr other) {
  int error = 0;
  for (uint32_t i = 0; !error && i < path_sieve_count(sieve); i++)
    error = match(writer, path_sieve_ends(sieve, i), absolute, other);
  return error;
}

static bool has_begin(const struct path_sieve *sieve) {
  for (uint32_t i = 0; i < path_sieve_count(sieve); i++)
    if (path_sieve_ends(sieve, i)->begin[0]) return true;
  return false;
}

static void trap_if_byte(struct writer *writer, int8_t offset, char byte, tracee_addr other) {
  PUT(writer, 0x80, 0x79, (uint8_t)offset, (uint8_t)byte); /* cmpb $byte,offset(%rcx) */
  jump_if(writer, EQUAL, other);
}

/* "//", "/./" and "/../" make a path that begins in another way than it seems; so do those at its end. */
static void trap_unclean(struct writer *writer, tracee_addr other) {
  PUT(writer, 0x66, 0x81, 0x39, '/', '/'); /* cmpw $"//",(%rcx) */
  jump_if(writer, EQUAL, other);
  PUT(writer, 0x66, 0x81, 0x39, '/', '.');
  size_t no_dot = jump_ahead_if(writer, NOT_EQUAL);
  trap_if_byte(writer, 2, '/', other);
  trap_if_byte(writer, 2, '.', other);
  land(writer, no_dot);
}

/* From r11, the path's start, to its NUL, which rcx then points to. */
static void find_end(struct writer *writer, const struct path_sieve *sieve, tracee_addr other) {
  PUT(writer, 0x4c, 0x89, 0xd9); /* mov %r11,%rcx */
  PUT(writer, 0xb8);             /* mov $PATH_MAX,%eax: with its NUL, the kernel takes no longer one */
  put32(writer, PATH_MAX);
  tracee_addr again = writer->at + writer->size;
  PUT(writer, 0x80, 0x39, 0); /* cmpb $0,(%rcx) */
  size_t found = jump_ahead_if(writer, EQUAL);
  if (has_begin(sieve)) trap_unclean(writer, other);
  PUT(writer, 0x48, 0xff, 0xc1); /* inc %rcx */
  PUT(writer, 0xff, 0xc8);       /* dec %eax */
  jump_if(writer, NOT_EQUAL, again);
  jump(writer, other);
  land(writer, found);
}

/* Programs have nothing below and above. */
enum { LOWEST_PATH = 1 << 16, ADDRESS_BITS = 47 };

/* What is no pointer at all does not fault here: a fault whose signal is blocked costs the program its handler. */
static void trap_no_pointer(struct writer *writer, tracee_addr other) {
  PUT(writer, 0x49, 0x81, 0xfb); /* cmp $LOWEST_PATH,%r11 */
  put32(writer, LOWEST_PATH);
  jump_if(writer, BELOW, other);
  PUT(writer, 0x4c, 0x89, 0xd8, 0x48, 0xc1, 0xe8, ADDRESS_BITS); /* mov %r11,%rax; shr $ADDRESS_BITS,%rax */
  jump_if(writer, NOT_EQUAL, other);
}

static int look_at_path(struct writer *writer, const struct path_sieve *sieve, unsigned argument, tracee_addr other) {
  /* mov REG,%r11, of the registers in which the kernel takes arguments */
  static const uint8_t moves[6][3] = {{0x49, 0x89, 0xfb}, {0x49, 0x89, 0xf3}, {0x49, 0x89, 0xd3},
                                      {0x4d, 0x89, 0xd3}, {0x4d, 0x89, 0xc3}, {0x4d, 0x89, 0xcb}};
  put(writer, moves[argument], sizeof moves[argument]);
  trap_no_pointer(writer, other);
  find_end(writer, sieve, other);
  PUT(writer, 0x48, 0x89, 0xc8, 0x4c, 0x29, 0xd8); /* mov %rcx,%rax; sub %r11,%rax: the length */
  jump_if(writer, EQUAL, other);
  trap_if_byte(writer, -1, '/', other);
  trap_if_byte(writer, -1, '.', other);
  PUT(writer, 0x41, 0x80, 0x3b, '/'); /* cmpb $'/',(%r11) */
  size_t relative = jump_ahead_if(writer, NOT_EQUAL);
  int error = match_any(writer, sieve, true, other);
  if (error) return error;
  jump(writer, 0);
  size_t done = writer->size;
  land(writer, relative);
  error = match_any(writer, sieve, false, other);
  land(writer, done);
  return error;
}

/* --- the question ------------------------------------------------------------------------------------------------ */

/* MEMBER of the mailbox's page, as a distance from r11. */
#define AT(member) ((uint8_t)offsetof(struct mailbox_page, member))

/* So long the program looks for an answer itself, before it waits in the kernel: some 100 us. */
enum { LOOKS = 5000 };

static void put_call(struct writer *writer, const struct gate_site *site) {
  PUT(writer, 0x49, 0x89, 0x7b, AT(args[0])); /* mov %rdi,args[0](%r11) */
  PUT(writer, 0x49, 0x89, 0x73, AT(args[1])); /* %rsi */
  PUT(writer, 0x49, 0x89, 0x53, AT(args[2])); /* %rdx */
  PUT(writer, 0x4d, 0x89, 0x53, AT(args[3])); /* %r10 */
  PUT(writer, 0x4d, 0x89, 0x43, AT(args[4])); /* %r8 */
  PUT(writer, 0x4d, 0x89, 0x4b, AT(args[5])); /* %r9 */
  PUT(writer, 0x49, 0x89, 0x63, AT(sp));      /* %rsp */
  PUT(writer, 0x41, 0xc7, 0x43, AT(nr));      /* movl $nr,nr(%r11) */
  put32(writer, site->nr);
  PUT(writer, 0x48, 0xb8); /* movabs $ip,%rax */
  put(writer, &site->ip, sizeof site->ip);
  PUT(writer, 0x49, 0x89, 0x43, AT(ip)); /* mov %rax,ip(%r11) */
}

static void compare_listens(struct writer *writer) { PUT(writer, 0x41, 0x83, 0x7b, AT(listens), 1); /* cmpl $1 */ }

/* Asks, and looks for the answer. Not answered in time, the question is taken back, and the call is trapped; taken
 * meanwhile, it is trapped as well, and whoever took it knows it again. */
static void ask(struct writer *writer, const struct gate_site *site, tracee_addr base, tracee_addr trapped) {
  const tracee_addr answered = writer->at + GATE_ANSWERED;
  PUT(writer, 0x83, 0x3d); /* cmpl $0,SWITCH(%rip) */
  put32(writer, base + GATE_SWITCH - (writer->at + writer->size + 5));
  PUT(writer, 0);
  jump_if(writer, EQUAL, trapped);
  PUT(writer, 0x4c, 0x8d, 0x1d); /* lea MAILBOX(%rip),%r11 */
  put_target(writer, base + GATE_SIZE);
  compare_listens(writer);
  jump_if(writer, NOT_EQUAL, trapped);
  put_call(writer, site);
  PUT(writer, 0xb8); /* mov $MAILBOX_ASKED,%eax */
  put32(writer, MAILBOX_ASKED);
  PUT(writer, 0x41, 0x87, 0x43, AT(state)); /* xchg %eax,state(%r11): before we look whether somebody listens */
  compare_listens(writer);
  size_t nobody = jump_ahead_if(writer, NOT_EQUAL);
  PUT(writer, 0xb9); /* mov $LOOKS,%ecx */
  put32(writer, LOOKS);
  tracee_addr again = writer->at + writer->size;
  PUT(writer, 0x41, 0x8b, 0x43, AT(state)); /* mov state(%r11),%eax */
  PUT(writer, 0x83, 0xf8, MAILBOX_GO_ON);   /* cmp $MAILBOX_GO_ON,%eax */
  jump_if(writer, NOT_BELOW, answered);
  PUT(writer, 0xf3, 0x90); /* pause */
  PUT(writer, 0xff, 0xc9); /* dec %ecx */
  jump_if(writer, NOT_EQUAL, again);
  land(writer, nobody);
  PUT(writer, 0xb8); /* mov $MAILBOX_ASKED,%eax */
  put32(writer, MAILBOX_ASKED);
  PUT(writer, 0x31, 0xc9);                              /* xor %ecx,%ecx */
  PUT(writer, 0xf0, 0x41, 0x0f, 0xb1, 0x4b, AT(state)); /* lock cmpxchg %ecx,state(%r11) */
  jump_if(writer, EQUAL, trapped);
  PUT(writer, 0x83, 0xf8, MAILBOX_GO_ON); /* cmp $MAILBOX_GO_ON,%eax */
  jump_if(writer, NOT_BELOW, answered);
  jump(writer, trapped);
}

/* With the mailbox's state in eax. */
static void take_answer(struct writer *writer, const struct gate_site *site, tracee_addr door) {
  PUT(writer, 0x83, 0xf8, MAILBOX_RESULT);              /* cmp $MAILBOX_RESULT,%eax */
  PUT(writer, 0x49, 0x8b, 0x43, AT(result));            /* mov result(%r11),%rax */
  PUT(writer, 0x41, 0xc7, 0x43, AT(state), 0, 0, 0, 0); /* movl $MAILBOX_EMPTY,state(%r11) */
  jump_if(writer, EQUAL, door + GATE_PASSED);           /* GATE_CONSUMED */
  PUT(writer, 0xb8);                                    /* mov $nr,%eax */
  put32(writer, site->nr);
  jump(writer, door + GATE_PASSED - CALL_SIZE);
}

/* --- the body ---------------------------------------------------------------------------------------------------- */

static void pad(struct writer *writer, size_t size) {
  while (writer->size < size)
    PUT(writer, INT3);
}

int gate_code_body(const struct gate_body *body, const struct gate_site *site, tracee_addr base, uint32_t index,
                   uint8_t *code, size_t size) {
  const tracee_addr door = gate_code_door_at(base, index), at = gate_code_body_at(base, index);
  struct writer writer = {.code = code, .room = size, .at = at};
  ask(&writer, site, base, door + GATE_MENDED);
  if (writer.size > GATE_ANSWERED) return -E2BIG;
  pad(&writer, GATE_ANSWERED);
  take_answer(&writer, site, door);
  pad(&writer, GATE_ENTRY);
  PUT(&writer, 0x48, 0x3d); /* cmp $nr,%rax: another call may be made there */
  put32(&writer, site->nr);
  jump_if(&writer, NOT_EQUAL, door + GATE_TRAPPED - CALL_SIZE);
  const tracee_addr other = body->asks ? at : door + GATE_MENDED;
  for (unsigned argument = 0; body->sieve && argument < 6; argument++) {
    if (!(path_sieve_arguments(body->sieve) & 1u << argument)) continue;
    int error = look_at_path(&writer, body->sieve, argument, other);
    if (error) return error;
  }
  PUT(&writer, 0xb8); /* mov $nr,%eax */
  put32(&writer, site->nr);
  jump(&writer, body->sieve ? door + GATE_PASSED - CALL_SIZE : other);
  return writer.size <= size ? (int)writer.size : -E2BIG;
}

/* --- doors ------------------------------------------------------------------------------------------------------- */

void gate_code_door(const struct gate_site *site, tracee_addr door, uint8_t code[GATE_DOOR_SIZE]) {
  memset(code, INT3, GATE_DOOR_SIZE);
  struct writer writer = {.code = code, .room = GATE_MENDED, .at = door};
  put(&writer, call_instruction, CALL_SIZE); /* let pass */
  put(&writer, site->next, site->next_size);
  jump(&writer, site->ip + site->next_size);
  writer = (struct writer){.code = code + GATE_MENDED, .room = GATE_NEXT - GATE_MENDED, .at = door + GATE_MENDED};
  PUT(&writer, 0xb8); /* mov $nr,%eax */
  put32(&writer, site->nr);
  put(&writer, call_instruction, CALL_SIZE); /* trapped */
  jump(&writer, door + GATE_PASSED);
  code[GATE_NEXT] = site->next_size;
  memcpy(code + GATE_SITE, &site->ip, sizeof site->ip);
}

void gate_code_site(const uint8_t door[GATE_DOOR_SIZE], struct gate_site *site) {
  uint32_t nr; /* movl $nr,%eax */
  memcpy(&nr, door + GATE_MENDED + 1, sizeof nr);
  *site = (struct gate_site){.nr = nr, .next_size = door[GATE_NEXT] <= GATE_MAX_NEXT ? door[GATE_NEXT] : 0};
  memcpy(site->next, door + GATE_PASSED, site->next_size);
  memcpy(&site->ip, door + GATE_SITE, sizeof site->ip);
}

void gate_code_jump(const struct gate_site *site, tracee_addr body, uint8_t *code) {
  size_t size = CALL_SIZE + site->next_size;
  memset(code, INT3, size);
  struct writer writer = {.code = code, .room = size, .at = site->ip - CALL_SIZE};
  jump(&writer, body);
}

void gate_code_original(const struct gate_site *site, uint8_t *code) {
  memcpy(code, call_instruction, CALL_SIZE);
  memcpy(code + CALL_SIZE, site->next, site->next_size);
}
