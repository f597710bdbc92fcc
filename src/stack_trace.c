#include "stack_trace.h"

#include <elf.h>         /* Elf64_* */
#include <errno.h>       /* ESRCH */
#include <fcntl.h>       /* open */
#include <linux/audit.h> /* AUDIT_ARCH_I386 */
#include <stdio.h>       /* sscanf, snprintf */
#include <stdlib.h>      /* malloc, free */
#include <string.h>      /* strdup, memcmp */
#include <unistd.h>      /* read, close */

#include "elf_symbols.h"    /* names */
#include "gate.h"           /* gate_program_ip */
#include "mapping.h"        /* mapping_* */
#include "tracee.h"         /* struct tracee, struct process */
#include "tracee_memory.h"  /* tracee_memory_read */
#include "unwind_library.h" /* struct unwind_library, unw_* types */

/* One executable mapping of the process. */
struct mapping {
  tracee_addr start, end;
  uint64_t offset; /* into the file */
  uint64_t inode;
  char *path;         /* NULL: of no file (made by a JIT) */
  tracee_addr header; /* where the file's first page is mapped; 0: it is not */
  bool table_sought, symbols_sought;
  tracee_addr table; /* its .eh_frame_hdr */
  uint64_t table_entries;
  struct elf_symbols *symbols;
};

enum { MAPS_MAX = 16 << 20, MAPS_PIECE = 4096, CHUNK = 1024, CHUNKS = 16, SEGMENTS_MAX = 64, TABLE_MAX = 1 << 26 };

/* Words that libunwind may look at for one trace. A deep stack takes some ten thousand; unwind programs can loop. */
enum { WORDS_MAX = 500000 };

struct unwinder {
  struct unwind_library library;
  unw_addr_space_t space;
  char *maps; /* /proc/PID/maps as last read */
  size_t maps_size, maps_room;
  bool no_query;            /* the kernel has no PROCMAP_QUERY */
  struct mapping *mappings; /* sorted by address, as the kernel lists them */
  size_t mapping_count;
};

/* What libunwind sees during one trace: the stopped thread, through a small cache. */
struct view {
  const struct tracer *tracer;
  struct tracee *tracee;
  struct unwinder *unwinder;
  void *thread;   /* libunwind-ptrace's view of it */
  uint32_t words; /* looked at so far */
  struct {
    tracee_addr start;
    int64_t size; /* 0: nothing is there */
  } chunks[CHUNKS];
  unsigned char bytes[CHUNKS][CHUNK];
};

/* --- mappings --------------------------------------------------------------------------------------------------- */

static void free_mappings(struct mapping *mappings, size_t count) {
  for (size_t i = 0; i < count; i++) {
    free(mappings[i].path);
    elf_symbols_free(mappings[i].symbols);
  }
  free(mappings);
}

static struct mapping *find_mapping(const struct unwinder *unwinder, tracee_addr address) {
  size_t low = 0, high = unwinder->mapping_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (unwinder->mappings[middle].end <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low < unwinder->mapping_count && unwinder->mappings[low].start <= address ? &unwinder->mappings[low] : NULL;
}

static bool same_mapping(const struct mapping *a, const struct mapping *b) {
  if (a->start != b->start || a->end != b->end || a->offset != b->offset || a->inode != b->inode) return false;
  if (a->header != b->header || !a->path != !b->path) return false;
  return !a->path || strcmp(a->path, b->path) == 0;
}

/* One line of maps, NUL-terminated. The path is left where it is. */
static bool parse_line(char *line, struct mapping *mapping, bool *executable) {
  struct mapping_at parsed;
  int name;
  if (!mapping_parse(line, &parsed, &name)) return false;
  *executable = parsed.executable;
  *mapping = (struct mapping){.start = parsed.start, .end = parsed.end, .offset = parsed.offset, .inode = parsed.inode};
  if (name && (line[name] == '/' || line[name] == '[')) mapping->path = line + name;
  return true;
}

/* Takes the executable mappings out of `text`, which it overwrites. What was learned of those that stayed is kept. */
static void parse_maps(struct unwinder *unwinder, char *text) {
  struct mapping *mappings = NULL, line_is, first = {0};
  size_t count = 0, room = 0, kept = 0;
  bool executable;
  for (char *line = text, *end; line && *line; line = end) {
    end = strchr(line, '\n');
    if (end) *end++ = 0;
    if (!parse_line(line, &line_is, &executable)) continue;
    if (line_is.path && line_is.offset == 0) first = line_is;
    if (!executable) continue;
    if (count == room) {
      room = room ? room * 2 : 32;
      struct mapping *grown = realloc(mappings, room * sizeof *grown);
      if (!grown) break;
      mappings = grown;
    }
    if (line_is.path && first.path && first.inode == line_is.inode && strcmp(first.path, line_is.path) == 0)
      line_is.header = first.start;
    struct mapping *old = find_mapping(unwinder, line_is.start);
    if (old && same_mapping(old, &line_is)) {
      line_is = *old;
      old->path = NULL;
      old->symbols = NULL;
      kept++;
    } else if (line_is.path) {
      line_is.path = strdup(line_is.path);
    }
    mappings[count++] = line_is;
  }
  if (kept != count || kept != unwinder->mapping_count) unwinder->library.flush_cache(unwinder->space, 0, 0);
  free_mappings(unwinder->mappings, unwinder->mapping_count);
  unwinder->mappings = mappings;
  unwinder->mapping_count = count;
}

/* Reads /proc/PID/maps, and parses it when it has changed: nobody tells us when a library comes or goes. */
static void refresh_mappings(struct unwinder *unwinder, pid_t tid) {
  char path[64], piece[MAPS_PIECE];
  snprintf(path, sizeof path, "/proc/%d/maps", tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  size_t size = 0;
  bool differs = false;
  ssize_t got;
  while ((got = read(fd, piece, sizeof piece)) > 0) {
    if (unwinder->maps_room - size < sizeof piece) {
      size_t grown_room = unwinder->maps_room ? unwinder->maps_room * 2 : 4 * sizeof piece;
      char *grown = grown_room <= MAPS_MAX ? realloc(unwinder->maps, grown_room) : NULL;
      if (!grown) break;
      unwinder->maps = grown;
      unwinder->maps_room = grown_room;
    }
    char *here = unwinder->maps + size;
    size += (size_t)got;
    if (size > unwinder->maps_size || memcmp(here, piece, (size_t)got) != 0) differs = true;
    memcpy(here, piece, (size_t)got);
  }
  close(fd);
  if (!differs && got == 0 && size == unwinder->maps_size) return;
  unwinder->maps_size = 0;
  char *text = got < 0 || size == 0 ? NULL : malloc(size + 1);
  if (!text) return; /* it is dying, or we are short of memory: what we had must do */
  unwinder->maps_size = size;
  memcpy(text, unwinder->maps, size);
  text[size] = 0;
  parse_maps(unwinder, text);
  free(text);
}

/* Is this mapping, or that there is no code at the address (NULL), still true? */
static bool still_mapped(struct unwinder *unwinder, int maps, const struct mapping *mapping, tracee_addr address) {
  struct mapping_at now;
  int error = mapping_query(maps, address, &now);
  if (error == -ENOTTY) unwinder->no_query = true;
  if (error) return error == -ENOENT && !mapping;
  if (!now.executable) return !mapping;
  return mapping && now.start == mapping->start && now.end == mapping->end && now.offset == mapping->offset &&
         now.inode == mapping->inode;
}

/* Is what these frames were found with still mapped? Then they are right. */
static bool mappings_hold(struct unwinder *unwinder, pid_t tid, const struct stack_frame *frames, uint32_t count) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/maps", tid);
  int maps = open(path, O_RDONLY | O_CLOEXEC);
  if (maps < 0) return false;
  const struct mapping *last = NULL;
  bool hold = true;
  for (uint32_t i = 0; hold && i < count; i++) {
    tracee_addr address = frames[i].ip - frames[i].module_offset;
    const struct mapping *mapping = find_mapping(unwinder, address);
    if (mapping && mapping == last) continue;
    hold = still_mapped(unwinder, maps, mapping, address);
    last = mapping;
  }
  close(maps);
  return hold;
}

/* --- what libunwind asks for ------------------------------------------------------------------------------------ */

static int64_t view_read(struct view *view, tracee_addr from, void *to, uint64_t size) {
  return tracee_memory_read(view->tracer, view->tracee, from, to, size);
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write, void *data) {
  struct view *view = data;
  (void)space;
  if (write || ++view->words > WORDS_MAX) return -UNW_EINVAL;
  uint64_t within = address % CHUNK;
  if (within > CHUNK - sizeof *value)
    return view_read(view, address, value, sizeof *value) == sizeof *value ? 0 : -UNW_EINVAL;
  uint32_t slot = address / CHUNK % CHUNKS;
  tracee_addr start = address - within;
  if (view->chunks[slot].start != start || !view->chunks[slot].size) {
    int64_t got = view_read(view, start, view->bytes[slot], CHUNK);
    view->chunks[slot].start = start;
    view->chunks[slot].size = got > 0 ? got : 0;
  }
  if ((int64_t)(within + sizeof *value) > view->chunks[slot].size) return -UNW_EINVAL;
  memcpy(value, view->bytes[slot] + within, sizeof *value);
  return 0;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int write, void *data) {
  struct view *view = data;
  if (write) return -UNW_EREADONLYREG;
  int error = view->unwinder->library.thread_register(space, number, value, write, view->thread);
  if (!error && number == UNW_X86_64_RIP) *value = gate_program_ip(view->tracer, view->tracee, *value);
  return error;
}

/* Finds the mapping's .eh_frame_hdr in memory: a sorted table of where each function's unwind program is. */
static void seek_table(struct view *view, struct mapping *mapping) {
  Elf64_Ehdr header;
  Elf64_Phdr segments[SEGMENTS_MAX];
  mapping->table_sought = true;
  if (view_read(view, mapping->header, &header, sizeof header) != sizeof header) return;
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return;
  if (header.e_phentsize != sizeof *segments || header.e_phnum == 0 || header.e_phnum > SEGMENTS_MAX) return;
  int64_t size = (int64_t)(header.e_phnum * sizeof *segments);
  if (view_read(view, mapping->header + header.e_phoff, segments, (uint64_t)size) != size) return;
  const Elf64_Phdr *loaded = NULL, *table = NULL;
  for (uint16_t i = 0; i < header.e_phnum; i++) {
    if (segments[i].p_type == PT_LOAD && segments[i].p_offset < MAPS_PIECE && !loaded) loaded = &segments[i];
    if (segments[i].p_type == PT_GNU_EH_FRAME) table = &segments[i];
  }
  if (!loaded || !table) return;
  tracee_addr at = mapping->header - (loaded->p_vaddr - loaded->p_offset) + table->p_vaddr;
  struct {
    uint8_t version, pointer_encoding, count_encoding, table_encoding;
    int32_t pointer;
    uint32_t count;
  } start;
  /* What every linker writes: 32-bit values, the table's relative to itself. */
  if (view_read(view, at, &start, sizeof start) != sizeof start || start.version != 1) return;
  if (start.pointer_encoding != 0x1b || start.count_encoding != 0x03 || start.table_encoding != 0x3b) return;
  if (start.count > TABLE_MAX) return;
  mapping->table = at;
  mapping->table_entries = start.count;
}

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *info, int need_unwind_info,
                          void *data) {
  struct view *view = data;
  struct mapping *mapping = find_mapping(view->unwinder, ip);
  if (!mapping || !mapping->header) return -UNW_ENOINFO;
  if (!mapping->table_sought) seek_table(view, mapping);
  if (mapping->table_entries == 0) return -UNW_ENOINFO;
  unw_dyn_info_t table = {.start_ip = mapping->start, .end_ip = mapping->end, .format = UNW_INFO_FORMAT_REMOTE_TABLE};
  table.u.rti.segbase = mapping->table;
  table.u.rti.table_data = mapping->table + 12;
  table.u.rti.table_len = mapping->table_entries; /* an entry is one word: two 32-bit offsets */
  return view->unwinder->library.search_unwind_table(space, ip, &table, info, need_unwind_info, view);
}

static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *data) {
  (void)space, (void)info, (void)data;
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *address, void *data) {
  (void)space, (void)address, (void)data;
  return -UNW_ENOINFO;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int write, void *data) {
  (void)space, (void)number, (void)value, (void)write, (void)data;
  return -UNW_EBADREG;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *data) {
  (void)space, (void)cursor, (void)data;
  return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t space, unw_word_t ip, char *name, size_t size, unw_word_t *into, void *data) {
  (void)space, (void)ip, (void)name, (void)size, (void)into, (void)data;
  return -UNW_ENOINFO;
}

/* --- the stack -------------------------------------------------------------------------------------------------- */

void stack_trace_free(struct unwinder *unwinder) {
  if (!unwinder) return;
  free_mappings(unwinder->mappings, unwinder->mapping_count);
  free(unwinder->maps);
  if (unwinder->space) unwinder->library.destroy_space(unwinder->space);
  free(unwinder);
}

static struct unwinder *unwinder_of(struct process *process) {
  unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                               .put_unwind_info = put_unwind_info,
                               .get_dyn_info_list_addr = get_dyn_info_list_addr,
                               .access_mem = access_mem,
                               .access_reg = access_reg,
                               .access_fpreg = access_fpreg,
                               .resume = resume,
                               .get_proc_name = get_proc_name};
  if (process->unwinder) return process->unwinder;
  struct unwinder *unwinder = calloc(1, sizeof *unwinder);
  if (!unwinder) return NULL;
  bool loaded = unwind_library_load(&unwinder->library);
  unwinder->space = loaded ? unwinder->library.create_space(&accessors, 0) : NULL;
  if (!unwinder->space) {
    free(unwinder);
    return NULL;
  }
  unwinder->library.set_caching_policy(unwinder->space, UNW_CACHE_GLOBAL);
  process->unwinder = unwinder;
  return unwinder;
}

/* Walks the stack, `view` complete. A frame's module_offset becomes how far before its ip the call is: 1 for return
 * addresses, which may be the first byte of something else; 0 where the thread was interrupted. */
static uint32_t walk_view(struct view *view, struct stack_frame *frames, uint32_t capacity) {
  const struct unwind_library *library = &view->unwinder->library;
  unw_cursor_t cursor;
  if (library->init_remote(&cursor, view->unwinder->space, view)) return 0;
  bool exact = true;
  uint32_t count = 0;
  do {
    unw_word_t ip = 0, sp = 0;
    if (library->get_reg(&cursor, UNW_REG_IP, &ip) || library->get_reg(&cursor, UNW_REG_SP, &sp)) break;
    if (count > 0 && ip == 0) break;
    /* A broken chain that goes nowhere. */
    if (count > 0 && frames[count - 1].ip == ip && sp <= frames[count - 1].sp) break;
    bool signal_frame = library->is_signal_frame(&cursor) > 0;
    exact = exact || signal_frame;
    frames[count++] = (struct stack_frame){.ip = ip, .sp = sp, .module_offset = exact ? 0 : 1};
    exact = signal_frame;
  } while (count < capacity && library->step(&cursor) > 0);
  return count;
}

/* At least one frame: what the stop told. */
static uint32_t walk(const struct tracer *tracer, struct tracee *tracee, struct unwinder *unwinder,
                     struct stack_frame *frames, uint32_t capacity) {
  frames[0] = (struct stack_frame){.ip = tracee->stop.ip, .sp = tracee->stop.sp};
  /* libunwind for x86-64 cannot read 32-bit frames: the call's own address is what there is. */
  if (tracee->stop.arch == AUDIT_ARCH_I386) return 1;
  struct view view;
  view.tracer = tracer;
  view.tracee = tracee;
  view.unwinder = unwinder;
  view.words = 0;
  memset(view.chunks, 0, sizeof view.chunks);
  view.thread = unwinder->library.thread_create(tracee->tid);
  if (!view.thread) return 1;
  uint32_t count = walk_view(&view, frames, capacity);
  unwinder->library.thread_destroy(view.thread);
  return count ? count : 1;
}

/* The very file that is mapped, also when it has been deleted; by its path where the kernel does not allow that. */
static void seek_symbols(struct mapping *mapping, pid_t tid) {
  enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };
  char path[4200];
  mapping->symbols_sought = true;
  if (mapping->path[0] != '/') return;
  snprintf(path, sizeof path, "/proc/%d/map_files/%llx-%llx", tid, (unsigned long long)mapping->start,
           (unsigned long long)mapping->end);
  int fd = open(path, FLAGS);
  if (fd < 0) {
    int length = snprintf(path, sizeof path, "/proc/%d/root%s", tid, mapping->path);
    fd = length < (int)sizeof path ? open(path, FLAGS) : -1;
  }
  if (fd < 0) return;
  mapping->symbols = elf_symbols_read(fd);
  close(fd);
}

static void describe(const struct unwinder *unwinder, struct stack_frame *frame, pid_t tid) {
  uint64_t back = frame->module_offset;
  frame->module_offset = 0;
  struct mapping *mapping = find_mapping(unwinder, frame->ip - back);
  if (!mapping || !mapping->path) return;
  frame->module = mapping->path;
  frame->module_offset = frame->ip - mapping->start + mapping->offset;
  if (!mapping->symbols_sought) seek_symbols(mapping, tid);
  if (!mapping->symbols) return;
  frame->symbol = elf_symbols_find(mapping->symbols, frame->module_offset - back, &frame->symbol_offset);
  if (frame->symbol) frame->symbol_offset += back;
}

int stack_trace(const struct tracer *tracer, struct tracee *tracee, struct stack_frame *frames, uint32_t capacity) {
  if (capacity == 0) return 0;
  frames[0] = (struct stack_frame){.ip = tracee->stop.ip, .sp = tracee->stop.sp};
  if (tracer->features.foreign_proc) return 1; /* nobody tells what is mapped where */
  struct unwinder *unwinder = unwinder_of(tracee->process);
  if (!unwinder) return 1;
  uint32_t count = 0;
  /* First with the mappings that we know; they are looked up afterwards: that takes only those that mattered. */
  bool known = unwinder->maps_size > 0 && !unwinder->no_query;
  if (known) count = walk(tracer, tracee, unwinder, frames, capacity);
  if (!known || !mappings_hold(unwinder, tracee->tid, frames, count)) {
    refresh_mappings(unwinder, tracee->tid);
    count = walk(tracer, tracee, unwinder, frames, capacity);
  }
  for (uint32_t i = 0; i < count; i++)
    describe(unwinder, &frames[i], tracee->tid);
  return (int)count;
}

int tracer_stack(struct tracer *tracer, uint32_t number, struct stack_frame *frames, uint32_t capacity) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  return tracee ? stack_trace(tracer, tracee, frames, capacity) : -ESRCH;
}
