/*
 * lua_memory.h - the memory of the binary's Lua state.
 *
 * A run of luatrace is often shorter than the page faults of its own start. Small objects come from an area that lies
 * in huge pages where the kernel has them, cut up without looking, and are used again by their size; large ones are
 * malloc's. The area is given back when the process ends, or to lua_memory_close.
 */
#ifndef LUATRACE_LUA_MEMORY_H
#define LUATRACE_LUA_MEMORY_H

#include <lua.h>

struct lua_memory;

/* NULL when memory runs out. */
struct lua_memory *lua_memory_open(void);
/* A lua_Alloc. */
void *lua_memory_alloc(void *memory, void *object, size_t old_size, size_t new_size);
/* After lua_close. */
void lua_memory_close(struct lua_memory *memory);

#endif
