#include "lua_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Sizes up to SMALL come in steps of GRAIN, then four to each doubling up to LARGEST. */
enum { GRAIN = 16, SMALL = 512, LARGEST = 256 << 10, SMALL_CLASSES = SMALL / GRAIN, CLASSES = SMALL_CLASSES + 4 * 9 };
enum { HUGE_PAGE = 2 << 20, FIRST = 2 * HUGE_PAGE, CHUNK = 1 << 20 };

struct chunk {
  struct chunk *next;
  size_t size;
};

struct lua_memory {
  struct chunk *chunks;
  char *free, *end;      /* of the chunk that is being cut up */
  void *unused[CLASSES]; /* lists of freed objects by size, chained through their first word */
};

/* A new chunk; what is left of the last one is given up. */
static int add_chunk(struct lua_memory *memory, size_t size, size_t alignment) {
  size_t whole = size + alignment;
  char *map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return -1;
  char *start = map;
  if (alignment) {
    start = (char *)(((uintptr_t)map + alignment - 1) & ~(uintptr_t)(alignment - 1));
    if (start > map) munmap(map, (size_t)(start - map));
    if (start + size < map + whole) munmap(start + size, (size_t)(map + whole - start - size));
    madvise(start, size, MADV_HUGEPAGE);
  }
  struct chunk *chunk = (struct chunk *)start;
  *chunk = (struct chunk){.next = memory->chunks, .size = size};
  memory->chunks = chunk;
  memory->free = start + GRAIN;
  memory->end = start + size;
  return 0;
}

struct lua_memory *lua_memory_open(void) {
  struct lua_memory *memory = calloc(1, sizeof *memory);
  if (!memory) return NULL;
  if (add_chunk(memory, FIRST, HUGE_PAGE)) {
    free(memory);
    return NULL;
  }
  return memory;
}

/* The size's class; rounds the size up to it. */
static unsigned class_of(size_t *size) {
  if (*size <= SMALL) {
    unsigned class = (unsigned)((*size - 1) / GRAIN);
    *size = (class + 1) * (size_t)GRAIN;
    return class;
  }
  unsigned doublings = 0;
  size_t step = SMALL / 4;
  for (; *size > step * 8; step *= 2)
    doublings++;
  unsigned quarter = (unsigned)((*size - 1) / step) - 4;
  *size = (quarter + 5) * step;
  return SMALL_CLASSES + doublings * 4 + quarter;
}

static void *take(struct lua_memory *memory, size_t size) {
  if (size > LARGEST) return malloc(size);
  unsigned class = class_of(&size);
  void *object = memory->unused[class];
  if (object) {
    memcpy(&memory->unused[class], object, sizeof object);
    return object;
  }
  if ((size_t)(memory->end - memory->free) < size && add_chunk(memory, CHUNK, 0)) return NULL;
  object = memory->free;
  memory->free += size;
  return object;
}

static void give_back(struct lua_memory *memory, void *object, size_t size) {
  if (size > LARGEST) {
    free(object);
    return;
  }
  unsigned class = class_of(&size);
  memcpy(object, &memory->unused[class], sizeof object);
  memory->unused[class] = object;
}

void *lua_memory_alloc(void *memory, void *object, size_t old_size, size_t new_size) {
  if (new_size == 0) {
    if (object) give_back(memory, object, old_size);
    return NULL;
  }
  if (!object) {
    /* The most frequent by far: a small object. */
    struct lua_memory *area = memory;
    size_t class = (new_size - 1) / GRAIN;
    if (class >= SMALL_CLASSES) return take(area, new_size);
    object = area->unused[class];
    if (object) {
      memcpy(&area->unused[class], object, sizeof object);
      return object;
    }
    new_size = (class + 1) * GRAIN;
    if ((size_t)(area->end - area->free) < new_size) return take(area, new_size);
    object = area->free;
    area->free += new_size;
    return object;
  }
  if (old_size > LARGEST && new_size > LARGEST) return realloc(object, new_size);
  size_t old_room = old_size, new_room = new_size;
  if (old_size <= LARGEST && new_size <= LARGEST && class_of(&old_room) == class_of(&new_room)) return object;
  void *moved = take(memory, new_size);
  if (!moved) return NULL;
  memcpy(moved, object, old_size < new_size ? old_size : new_size);
  give_back(memory, object, old_size);
  return moved;
}

void lua_memory_close(struct lua_memory *memory) {
  if (!memory) return;
  for (struct chunk *chunk = memory->chunks, *next; chunk; chunk = next) {
    next = chunk->next;
    munmap(chunk, chunk->size);
  }
  free(memory);
}
