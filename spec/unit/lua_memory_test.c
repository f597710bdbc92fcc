/* Objects of all sizes, grown, shrunk and freed in any order, keep what is in them and never overlap. */
#include "lua_memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { OBJECTS = 400, ROUNDS = 60000, MAX_SIZE = 600 << 10 };

struct object {
  unsigned char *bytes;
  size_t size;
  unsigned char mark;
};

/* Most are small, as Lua's are. */
static size_t random_size(void) {
  size_t limit = (size_t)16 << random() % 16;
  return 1 + (size_t)random() % (random() % 50 ? limit : MAX_SIZE);
}

static bool is_whole(const struct object *object, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (object->bytes[i] != object->mark) return false;
  return true;
}

static void random_use(void) {
  static struct object objects[OBJECTS];
  struct lua_memory *memory = lua_memory_open();
  CHECK(memory != NULL);
  int broken = 0, unaligned = 0;
  for (int round = 0; round < ROUNDS; round++) {
    struct object *object = &objects[random() % OBJECTS];
    size_t size = random() % 3 ? random_size() : 0;
    if (!object->bytes && !size) continue;
    size_t kept = object->size < size ? object->size : size;
    broken += !is_whole(object, object->size);
    object->bytes = lua_memory_alloc(memory, object->bytes, object->size, size);
    unaligned += (uintptr_t)object->bytes % 16 != 0;
    broken += !is_whole(object, kept);
    object->size = size;
    object->mark = (unsigned char)random();
    if (size) memset(object->bytes, object->mark, size);
  }
  CHECK(broken == 0);
  CHECK(unaligned == 0);
  for (int i = 0; i < OBJECTS; i++)
    CHECK(lua_memory_alloc(memory, objects[i].bytes, objects[i].size, 0) == NULL);
  lua_memory_close(memory);
}

/* What is freed is used again: however often, memory does not grow. */
static void used_again(void) {
  struct lua_memory *memory = lua_memory_open();
  for (size_t size = 1; size < MAX_SIZE; size += 1 + size / 7) {
    void *first = lua_memory_alloc(memory, NULL, 0, size);
    lua_memory_alloc(memory, first, size, 0);
    void *second = lua_memory_alloc(memory, NULL, 0, size);
    CHECK(size > 256 << 10 || first == second);
    lua_memory_alloc(memory, second, size, 0);
  }
  lua_memory_close(memory);
}

int main(void) {
  srandom(7);
  random_use();
  used_again();
  return check_report("lua memory");
}
