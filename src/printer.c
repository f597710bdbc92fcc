#include "printer.h"

#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracee_memory.h"

enum { CALLS = 512, FULL = 65536, MAX_KEY = 64, MAX_TEXTS = 8192, MAX_SHOWN = 4096, DIRENTS_PIECE = 32768 };

/* A program, with all that it points to. */
struct program {
  struct program *next; /* of the same call, for another value of its variant argument */
  struct print_op *ops;
  char *strings;
  const char *name;
  uint32_t count, late;
  uint32_t result, result_set;
  uint32_t variant, value;
};

struct text {
  struct text *next;
  uint32_t hash, set, size, length;
  char bytes[]; /* the key, then the text */
};

struct printer {
  struct print_output output;
  size_t room;
  bool show_tid;
  uint32_t column;
  struct program *programs[CALLS];
  struct text *texts[1024];
  uint32_t text_count;
  char memory[DIRENTS_PIECE + 1];
};

/* --- known texts ----------------------------------------------------------------------------------------------- */

static uint32_t hash_of(uint32_t set, const void *key, uint32_t size) {
  uint64_t hash = 0x9e3779b97f4a7c15u * (set + 1);
  uint64_t word;
  for (; size >= 8; size -= 8, key = (const char *)key + 8) {
    memcpy(&word, key, 8);
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
  }
  for (; size; size--, key = (const char *)key + 1)
    hash = (hash ^ *(const unsigned char *)key) * 0x100000001b3u;
  return (uint32_t)(hash ^ hash >> 32);
}

static const struct text *find_text(const struct printer *printer, uint32_t set, const void *key, uint32_t size) {
  uint32_t hash = hash_of(set, key, size);
  for (const struct text *text = printer->texts[hash % 1024]; text; text = text->next)
    if (text->hash == hash && text->set == set && text->size == size && memcmp(text->bytes, key, size) == 0)
      return text;
  return NULL;
}

int tracer_print_text(struct tracer *tracer, uint32_t set, const void *key, uint32_t size, const char *text,
                      uint32_t length) {
  struct printer *printer = tracer->printer;
  if (!printer || size > MAX_KEY) return -EINVAL;
  if (find_text(printer, set, key, size)) return 0;
  /* Programs choose the numbers: what cannot be remembered is printed by Lua each time. */
  if (printer->text_count >= MAX_TEXTS) return -ENOSPC;
  struct text *known = malloc(sizeof *known + size + length);
  if (!known) return -ENOMEM;
  *known = (struct text){.hash = hash_of(set, key, size), .set = set, .size = size, .length = length};
  memcpy(known->bytes, key, size);
  memcpy(known->bytes + size, text, length);
  known->next = printer->texts[known->hash % 1024];
  printer->texts[known->hash % 1024] = known;
  printer->text_count++;
  return 0;
}

/* --- output ---------------------------------------------------------------------------------------------------- */

/* Never without room: entry and exit reserve what a line can take. */
static bool reserve(struct printer *printer, size_t more) {
  size_t wanted = (size_t)printer->output.length + more;
  if (wanted <= printer->room) return true;
  size_t room = printer->room * 2 > wanted ? printer->room * 2 : wanted;
  char *grown = realloc(printer->output.bytes, room);
  if (!grown) return false;
  printer->output.bytes = grown;
  printer->room = room;
  return true;
}

static void put(struct printer *printer, const char *bytes, size_t length) {
  memcpy(printer->output.bytes + printer->output.length, bytes, length);
  printer->output.length += (int64_t)length;
}

static void put_string(struct printer *printer, const char *string) { put(printer, string, strlen(string)); }

static void put_u64(struct printer *printer, uint64_t value) {
  char digits[20], *first = digits + sizeof digits;
  do
    *--first = (char)('0' + value % 10);
  while (value /= 10);
  put(printer, first, (size_t)(digits + sizeof digits - first));
}

static void put_i64(struct printer *printer, int64_t value) {
  if (value < 0) put(printer, "-", 1);
  put_u64(printer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_hex(struct printer *printer, uint64_t value, const char *zero) {
  if (!value) return put_string(printer, zero);
  char digits[16], *first = digits + sizeof digits;
  for (; value; value >>= 4)
    *--first = "0123456789abcdef"[value & 15];
  put(printer, "0x", 2);
  put(printer, first, (size_t)(digits + sizeof digits - first));
}

/* As quote.lua has it: C escapes, octal for the rest, with all its digits where a digit follows. */
static void put_quoted(struct printer *printer, const char *bytes, size_t length, bool more) {
  static const char named[32] = {['\n'] = 'n', ['\t'] = 't', ['\r'] = 'r', ['\v'] = 'v', ['\f'] = 'f'};
  char *to = printer->output.bytes + printer->output.length, *start = to;
  *to++ = '"';
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)bytes[i];
    if (byte >= 32 && byte < 127) {
      if (byte == '"' || byte == '\\') *to++ = '\\';
      *to++ = (char)byte;
      continue;
    }
    *to++ = '\\';
    if (byte < 32 && named[byte]) {
      *to++ = named[byte];
      continue;
    }
    bool all = i + 1 < length && bytes[i + 1] >= '0' && bytes[i + 1] <= '7';
    if (all || byte >= 64) *to++ = (char)('0' + (byte >> 6));
    if (all || byte >= 8) *to++ = (char)('0' + (byte >> 3 & 7));
    *to++ = (char)('0' + (byte & 7));
  }
  *to++ = '"';
  printer->output.length += to - start;
  if (more) put(printer, "...", 3);
}

static void put_hex_bytes(struct printer *printer, const char *bytes, size_t length, bool more) {
  char *to = printer->output.bytes + printer->output.length, *start = to;
  *to++ = '"';
  for (size_t i = 0; i < length; i++) {
    unsigned char byte = (unsigned char)bytes[i];
    *to++ = '\\';
    *to++ = 'x';
    *to++ = "0123456789abcdef"[byte >> 4];
    *to++ = "0123456789abcdef"[byte & 15];
  }
  *to++ = '"';
  printer->output.length += to - start;
  if (more) put(printer, "...", 3);
}

static bool put_text(struct printer *printer, uint32_t set, const void *key, uint32_t size) {
  const struct text *text = find_text(printer, set, key, size);
  if (!text || !reserve(printer, text->length)) return false;
  put(printer, text->bytes + size, text->length);
  return true;
}

static bool put_number_text(struct printer *printer, uint32_t set, uint64_t value) {
  return put_text(printer, set, &value, sizeof value);
}

/* --- arguments ------------------------------------------------------------------------------------------------- */

struct printing {
  struct tracer *tracer;
  struct tracee *tracee;
  struct printer *printer;
  bool failed;
};

static int64_t read_memory(const struct printing *p, tracee_addr from, uint64_t size) {
  return tracee_memory_read(p->tracer, p->tracee, from, p->printer->memory, size);
}

static bool print_string(const struct printing *p, const struct print_op *op, uint64_t address) {
  struct printer *printer = p->printer;
  int64_t got =
      tracee_memory_read_cstring(p->tracer, p->tracee, address, printer->memory, (uint64_t)op->limit + 1, NULL);
  if (got < 0) return false;
  if (!reserve(printer, (size_t)got * 4 + 16)) return false;
  bool more = got > (int64_t)op->limit;
  put_quoted(printer, printer->memory, more ? op->limit : (size_t)got, more);
  return true;
}

static bool print_bytes(const struct printing *p, const struct print_op *op, uint64_t address) {
  struct printer *printer = p->printer;
  const struct tracer_stop *stop = &p->tracee->stop;
  uint64_t size = stop->args[op->length];
  if (op->of_result && (uint64_t)stop->result < size) size = (uint64_t)stop->result;
  uint64_t wanted = size > op->limit ? (uint64_t)op->limit + 1 : size;
  if ((int64_t)size < 0 || (wanted && read_memory(p, address, wanted) != (int64_t)wanted)) return false;
  if (!reserve(printer, wanted * 4 + 16)) return false;
  bool more = size > op->limit;
  (op->kind == PRINT_HEX_BYTES ? put_hex_bytes : put_quoted)(printer, printer->memory, more ? op->limit : size, more);
  return true;
}

static bool print_array(const struct printing *p, const struct print_op *op, uint64_t address) {
  const struct tracer_stop *stop = &p->tracee->stop;
  uint64_t count = op->length == PRINT_OF_RESULT ? (uint64_t)stop->result : stop->args[op->length];
  if (count > MAX_KEY / op->limit) return false;
  uint32_t size = (uint32_t)count * op->limit;
  if (size && read_memory(p, address, size) != size) return false;
  return put_text(p->printer, op->set, p->printer->memory, size);
}

static bool print_timespec(const struct printing *p, uint64_t address) {
  struct printer *printer = p->printer;
  uint64_t parts[2];
  if (read_memory(p, address, sizeof parts) != sizeof parts || !reserve(printer, 128)) return false;
  memcpy(parts, printer->memory, sizeof parts);
  put_string(printer, "{tv_sec=");
  put_i64(printer, (int64_t)parts[0]);
  put_string(printer, ", tv_nsec=");
  put_u64(printer, parts[1]);
  put(printer, "}", 1);
  return true;
}

/* Where struct stat of x86-64 has its mode, its size and, of devices, their number. */
enum { STAT_MODE = 24, STAT_RDEV = 40, STAT_SIZE = 48, STAT_LENGTH = 144, PERMISSIONS = 0777 };

static bool print_stat(const struct printing *p, const struct print_op *op, uint64_t address) {
  struct printer *printer = p->printer;
  uint32_t mode;
  int64_t size;
  if (read_memory(p, address, STAT_LENGTH) != STAT_LENGTH) return false;
  memcpy(&mode, printer->memory + STAT_MODE, sizeof mode);
  memcpy(&size, printer->memory + STAT_SIZE, sizeof size);
  if ((mode & 0xf000) == 0x2000 || (mode & 0xf000) == 0x6000) {
    uint64_t device[2] = {mode};
    memcpy(&device[1], printer->memory + STAT_RDEV, sizeof device[1]);
    return put_text(printer, op->set, device, sizeof device);
  }
  if (!reserve(printer, 128)) return false;
  put_string(printer, "{st_mode=");
  if (!put_number_text(printer, op->set, mode & ~(uint32_t)PERMISSIONS) || !reserve(printer, 64)) return false;
  printer->output.length += sprintf(printer->output.bytes + printer->output.length, "%#03o", mode & PERMISSIONS);
  put_string(printer, ", st_size=");
  put_i64(printer, size);
  put_string(printer, ", ...}");
  return true;
}

static bool print_dirents(const struct printing *p, uint64_t address) {
  struct printer *printer = p->printer;
  int64_t size = p->tracee->stop.result;
  uint64_t entries = 0;
  if (size > DIRENTS_PIECE || (size && read_memory(p, address, (uint64_t)size) != size)) return false;
  /* After inode and offset comes the entry's length. */
  for (int64_t at = 0; at + 19 <= size; entries++) {
    uint16_t length;
    memcpy(&length, printer->memory + at + 16, sizeof length);
    if (length < 19) break;
    at += length;
  }
  put_hex(printer, address, "0");
  put_string(printer, " /* ");
  put_u64(printer, entries);
  put_string(printer, " entries */");
  return true;
}

static bool print_pointed_to(const struct printing *p, const struct print_op *op, uint64_t address) {
  struct printer *printer = p->printer;
  if (!address) {
    put_string(printer, "NULL");
    return true;
  }
  if (op->of_result && p->failed) {
    put_hex(printer, address, "0");
    return true;
  }
  switch (op->kind) {
  case PRINT_STRING:
    return print_string(p, op, address);
  case PRINT_BYTES:
  case PRINT_HEX_BYTES:
    return print_bytes(p, op, address);
  case PRINT_ARRAY:
    return print_array(p, op, address);
  case PRINT_TIMESPEC:
    return print_timespec(p, address);
  case PRINT_STAT:
    return print_stat(p, op, address);
  case PRINT_DIRENTS:
    return print_dirents(p, address);
  case PRINT_CONTENT:
    return read_memory(p, address, op->length) == op->length && put_text(printer, op->set, printer->memory, op->length);
  default:
    return false;
  }
}

static void put_number(struct printer *printer, uint32_t kind, uint64_t value) {
  switch (kind) {
  case PRINT_I32:
    return put_i64(printer, (int32_t)value);
  case PRINT_U32:
    return put_u64(printer, (uint32_t)value);
  case PRINT_I64:
    return put_i64(printer, (int64_t)value);
  case PRINT_U64:
    return put_u64(printer, value);
  case PRINT_HEX:
    return put_hex(printer, value, "0");
  case PRINT_HEX32:
    return put_hex(printer, (uint32_t)value, "0");
  default:
    return put_hex(printer, value, "NULL");
  }
}

static bool print_op(const struct printing *p, const struct print_op *op) {
  const uint64_t *args = p->tracee->stop.args;
  struct printer *printer = p->printer;
  if (op->when != PRINT_NO_ARGUMENT) {
    const struct text *used = find_text(printer, op->when_set, &args[op->when], sizeof args[0]);
    if (!used || !used->length) return used;
  }
  if (!reserve(printer, strlen(op->before) + 128)) return false;
  put_string(printer, op->before);
  uint64_t value = args[op->argument];
  if (op->kind == PRINT_NAMED) {
    if (!put_number_text(printer, op->set, (uint32_t)value)) put_i64(printer, (int32_t)value);
    return true;
  }
  if (op->kind == PRINT_TEXT32) return put_number_text(printer, op->set, (uint32_t)value);
  if (op->kind == PRINT_TEXT64) return put_number_text(printer, op->set, value);
  if (op->kind > PRINT_TEXT64) return print_pointed_to(p, op, value);
  put_number(printer, op->kind, value);
  return true;
}

static bool print_ops(const struct printing *p, const struct program *program, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++)
    if (!print_op(p, &program->ops[i])) return false;
  return true;
}

/* --- lines ----------------------------------------------------------------------------------------------------- */

static void begin_line(struct printer *printer, const struct tracee *tracee) {
  struct print_output *output = &printer->output;
  if (output->open) put_string(printer, " <unfinished ...>\n");
  output->open = 0;
  output->line = output->length;
  if (!printer->show_tid) return;
  put_i64(printer, tracee->tid);
  while (output->length - output->line < 5)
    put(printer, " ", 1);
  put(printer, " ", 1);
}

static const struct program *program_of(const struct tracer *tracer, const struct tracee *tracee) {
  const struct tracer_stop *stop = &tracee->stop;
  if (!tracer->printer || stop->arch != AUDIT_ARCH_X86_64 || stop->nr >= CALLS) return NULL;
  const struct program *program = tracer->printer->programs[stop->nr];
  while (program && program->variant != PRINT_NO_ARGUMENT && (uint32_t)stop->args[program->variant] != program->value)
    program = program->next;
  return program;
}

bool printer_entry(struct tracer *tracer, struct tracee *tracee) {
  const struct program *program = program_of(tracer, tracee);
  if (!program) return false;
  struct printer *printer = tracer->printer;
  const struct printing p = {.tracer = tracer, .tracee = tracee, .printer = printer};
  const struct print_output before = printer->output;
  if (!reserve(printer, 256)) return false;
  if (printer->output.length == 0) tracer_note_unwritten(tracer);
  begin_line(printer, tracee);
  put_string(printer, program->name);
  put(printer, "(", 1);
  if (!print_ops(&p, program, 0, program->late) || !reserve(printer, 64)) {
    /* As if nothing had been: bytes may have moved. */
    char *bytes = printer->output.bytes;
    printer->output = before;
    printer->output.bytes = bytes;
    return false;
  }
  if (program->late > 0 && program->late < program->count) put(printer, ", ", 2);
  printer->output.open = tracee->number;
  tracee->printing = true;
  return true;
}

static bool print_exit(const struct printing *p, const struct program *program) {
  struct printer *printer = p->printer;
  struct print_output *output = &printer->output;
  const struct tracer_stop *stop = &p->tracee->stop;
  if (!reserve(printer, 512 + printer->column)) return false;
  if (output->open != p->tracee->number) {
    begin_line(printer, p->tracee);
    put_string(printer, "<... ");
    put_string(printer, program->name);
    put_string(printer, " resumed>");
  }
  output->open = 0;
  if (!print_ops(p, program, program->late, program->count)) return false;
  if (!reserve(printer, 128 + printer->column)) return false;
  put(printer, ") ", 2);
  while (output->length - output->line < (int64_t)printer->column)
    put(printer, " ", 1);
  put(printer, "= ", 2);
  if (p->failed && !put_number_text(printer, 0, (uint64_t)stop->result)) return false;
  if (!p->failed && program->result == PRINT_TEXT64) {
    if (!put_number_text(printer, program->result_set, (uint64_t)stop->result)) return false;
  } else if (!p->failed) {
    put_number(printer, program->result, (uint64_t)stop->result);
  }
  if (!reserve(printer, 1)) return false;
  put(printer, "\n", 1);
  return true;
}

bool printer_exit(struct tracer *tracer, struct tracee *tracee) {
  const struct program *program = program_of(tracer, tracee);
  struct printer *printer = tracer->printer;
  int64_t result = tracee->stop.result;
  const struct printing p = {
      .tracer = tracer, .tracee = tracee, .printer = printer, .failed = result < 0 && result >= -4095};
  const struct print_output before = printer->output;
  if (printer->output.length == 0) tracer_note_unwritten(tracer);
  if (program && print_exit(&p, program)) {
    tracee->printing = false;
    return true;
  }
  char *bytes = printer->output.bytes;
  printer->output = before;
  printer->output.bytes = bytes;
  return false;
}

bool printer_is_full(const struct tracer *tracer) { return tracer->printer && tracer->printer->output.length > FULL; }

/* --- api.h ----------------------------------------------------------------------------------------------------- */

struct print_output *tracer_print_start(struct tracer *tracer, uint32_t show_tid, uint32_t column) {
  struct printer *printer = tracer->printer ? tracer->printer : calloc(1, sizeof *printer);
  if (!printer) return NULL;
  printer->show_tid = show_tid;
  printer->column = column;
  tracer->printer = printer;
  return &printer->output;
}

static void program_free(struct program *program) {
  free(program->ops);
  free(program->strings);
  free(program);
}

static bool is_valid(const struct print_program *given) {
  if (given->count > PRINT_MAX_OPS || given->late > given->count) return false;
  if (given->result > PRINT_ADDRESS && given->result != PRINT_TEXT64) return false;
  if (given->variant > 5 && given->variant != PRINT_NO_ARGUMENT) return false;
  for (uint32_t i = 0; i < given->count; i++) {
    const struct print_op *op = &given->ops[i];
    if (op->kind > PRINT_NULL || op->argument > 5 || (op->when > 5 && op->when != PRINT_NO_ARGUMENT)) return false;
    bool is_bytes = op->kind == PRINT_BYTES || op->kind == PRINT_HEX_BYTES;
    if (is_bytes && op->length > 5) return false;
    if (op->kind == PRINT_ARRAY && (op->length > 5 && op->length != PRINT_OF_RESULT)) return false;
    if (op->kind == PRINT_ARRAY && op->limit == 0) return false;
    if (op->kind == PRINT_CONTENT && op->length > MAX_KEY) return false;
    if (op->limit >= MAX_SHOWN + 1u) return false;
  }
  return true;
}

int tracer_print_program(struct tracer *tracer, uint32_t nr, const struct print_program *given) {
  if (!tracer->printer || nr >= CALLS || !is_valid(given)) return -EINVAL;
  size_t size = strlen(given->name) + 1;
  for (uint32_t i = 0; i < given->count; i++)
    size += strlen(given->ops[i].before) + 1;
  struct program *program = calloc(1, sizeof *program);
  if (!program) return -ENOMEM;
  program->ops = malloc((given->count + 1) * sizeof *program->ops);
  char *string = program->strings = malloc(size);
  if (!program->ops || !string) {
    program_free(program);
    return -ENOMEM;
  }
  program->name = string;
  string = stpcpy(string, given->name) + 1;
  for (uint32_t i = 0; i < given->count; i++) {
    program->ops[i] = given->ops[i];
    program->ops[i].before = string;
    string = stpcpy(string, given->ops[i].before) + 1;
  }
  program->count = given->count;
  program->late = given->late;
  program->result = given->result;
  program->result_set = given->result_set;
  program->variant = given->variant;
  program->value = given->value;
  program->next = tracer->printer->programs[nr];
  tracer->printer->programs[nr] = program;
  return 0;
}

void printer_free(struct printer *printer) {
  if (!printer) return;
  for (uint32_t nr = 0; nr < CALLS; nr++)
    for (struct program *program = printer->programs[nr], *next; program; program = next) {
      next = program->next;
      program_free(program);
    }
  for (uint32_t i = 0; i < 1024; i++)
    for (struct text *text = printer->texts[i], *next; text; text = next) {
      next = text->next;
      free(text);
    }
  free(printer->output.bytes);
  free(printer);
}
