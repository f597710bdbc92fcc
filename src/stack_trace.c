#include "stack_trace.h"

#include <errno.h>
#include <libunwind-ptrace.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tracee.h"

/* One file mapping of the process. */
struct mapping {
  tracee_addr start, end;
  uint64_t offset; /* into the file */
  char *path;
};

/* A symbol name found earlier. */
struct symbol {
  tracee_addr ip;
  uint64_t offset;
  char *name; /* NULL: looked for and not found */
};

enum { SYMBOL_SLOTS = 1024 };

struct unwinder {
  unw_addr_space_t space;
  void *upt; /* libunwind's view of one thread */
  pid_t upt_tid;
  struct mapping *mappings; /* sorted by address, as the kernel lists them */
  size_t mapping_count;
  struct symbol symbols[SYMBOL_SLOTS]; /* hashed by ip, one deep: a cache */
};

static void forget_mappings(struct unwinder *unwinder) {
  for (size_t i = 0; i < unwinder->mapping_count; i++)
    free(unwinder->mappings[i].path);
  free(unwinder->mappings);
  unwinder->mappings = NULL;
  unwinder->mapping_count = 0;
  for (size_t i = 0; i < SYMBOL_SLOTS; i++) {
    free(unwinder->symbols[i].name);
    unwinder->symbols[i] = (struct symbol){0};
  }
}

void stack_trace_free(struct unwinder *unwinder) {
  if (!unwinder) return;
  forget_mappings(unwinder);
  if (unwinder->upt) _UPT_destroy(unwinder->upt);
  if (unwinder->space) unw_destroy_addr_space(unwinder->space);
  free(unwinder);
}

static struct unwinder *unwinder_for(struct tracee *tracee) {
  struct unwinder *unwinder = tracee->process->unwinder;
  if (!unwinder) {
    unwinder = calloc(1, sizeof *unwinder);
    if (!unwinder) return NULL;
    unwinder->space = unw_create_addr_space(&_UPT_accessors, 0);
    if (!unwinder->space) {
      free(unwinder);
      return NULL;
    }
    unw_set_caching_policy(unwinder->space, UNW_CACHE_GLOBAL);
    tracee->process->unwinder = unwinder;
  }
  if (unwinder->upt_tid != tracee->tid) {
    if (unwinder->upt) _UPT_destroy(unwinder->upt);
    unwinder->upt = _UPT_create(tracee->tid);
    unwinder->upt_tid = unwinder->upt ? tracee->tid : 0;
  }
  return unwinder->upt ? unwinder : NULL;
}

static void read_mappings(struct unwinder *unwinder, pid_t tid) {
  char path[64], *line = NULL;
  size_t size = 0, room = 0;
  snprintf(path, sizeof path, "/proc/%d/maps", tid);
  FILE *maps = fopen(path, "re");
  if (!maps) return;
  while (getline(&line, &size, maps) > 0) {
    unsigned long long start, end, offset;
    int name = 0;
    if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &start, &end, &offset, &name) < 3 || !name) continue;
    line[strcspn(line, "\n")] = 0;
    if (line[name] != '/' && line[name] != '[') continue;
    if (unwinder->mapping_count == room) {
      room = room ? room * 2 : 32;
      struct mapping *grown = realloc(unwinder->mappings, room * sizeof *grown);
      if (!grown) break;
      unwinder->mappings = grown;
    }
    char *copy = strdup(line + name);
    if (!copy) break;
    unwinder->mappings[unwinder->mapping_count++] = (struct mapping){start, end, offset, copy};
  }
  free(line);
  fclose(maps);
}

static const struct mapping *find_mapping(const struct unwinder *unwinder, tracee_addr ip) {
  size_t low = 0, high = unwinder->mapping_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (unwinder->mappings[middle].end <= ip)
      low = middle + 1;
    else
      high = middle;
  }
  return low < unwinder->mapping_count && unwinder->mappings[low].start <= ip ? &unwinder->mappings[low] : NULL;
}

static const struct symbol *symbol_at(struct unwinder *unwinder, unw_cursor_t *cursor, tracee_addr ip) {
  struct symbol *symbol = &unwinder->symbols[(ip * 0x9e3779b97f4a7c15ull) >> 54];
  if (symbol->ip == ip) return symbol;
  char name[512];
  unw_word_t offset = 0;
  free(symbol->name);
  *symbol = (struct symbol){.ip = ip};
  int error = unw_get_proc_name(cursor, name, sizeof name, &offset);
  if (error == 0 || error == -UNW_ENOMEM) {
    symbol->name = strdup(name);
    symbol->offset = offset;
  }
  return symbol;
}

static void fill(struct unwinder *unwinder, unw_cursor_t *cursor, struct stack_frame *frame) {
  const struct mapping *mapping = find_mapping(unwinder, frame->ip);
  if (mapping) {
    frame->module = mapping->path;
    frame->module_offset = frame->ip - mapping->start + mapping->offset;
  }
  const struct symbol *symbol = symbol_at(unwinder, cursor, frame->ip);
  frame->symbol = symbol->name;
  frame->symbol_offset = symbol->name ? symbol->offset : 0;
}

int tracer_stack(struct tracer *tracer, uint32_t number, struct stack_frame *frames, uint32_t capacity) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee) return -ESRCH;
  if (capacity == 0) return 0;
  frames[0] = (struct stack_frame){.ip = tracee->stop.ip, .sp = tracee->stop.sp};
  struct unwinder *unwinder = unwinder_for(tracee);
  if (!unwinder) return 1;
  if (!unwinder->mapping_count) read_mappings(unwinder, tracee->tid);
  /* libunwind for x86-64 cannot read 32-bit frames: the call's own address is what there is. */
  unw_cursor_t cursor;
  if (tracee->stop.arch == AUDIT_ARCH_I386 || unw_init_remote(&cursor, unwinder->space, unwinder->upt)) {
    const struct mapping *mapping = find_mapping(unwinder, frames[0].ip);
    if (mapping) {
      frames[0].module = mapping->path;
      frames[0].module_offset = frames[0].ip - mapping->start + mapping->offset;
    }
    return 1;
  }
  uint32_t count = 0;
  tracee_addr last_sp = 0;
  do {
    unw_word_t ip = 0, sp = 0;
    if (unw_get_reg(&cursor, UNW_REG_IP, &ip) || unw_get_reg(&cursor, UNW_REG_SP, &sp) || ip == 0) break;
    /* A broken chain that goes nowhere. */
    if (count > 0 && sp <= last_sp && frames[count - 1].ip == ip) break;
    last_sp = sp;
    frames[count] = (struct stack_frame){.ip = ip, .sp = sp};
    fill(unwinder, &cursor, &frames[count]);
    count++;
  } while (count < capacity && unw_step(&cursor) > 0);
  return count ? (int)count : 1;
}

void tracer_stack_flush(struct tracer *tracer, uint32_t number) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee || !tracee->process->unwinder) return;
  /* libunwind keeps the mapped ELF images inside its thread view: all of it is made anew. */
  stack_trace_free(tracee->process->unwinder);
  tracee->process->unwinder = NULL;
}
