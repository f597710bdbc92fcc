/*
 * main.c - the luatrace binary: a Lua state with all modules inside, handed the command line.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "embedded.h" /* embedded_preload */
#include "lua_memory.h"

enum { EXIT_FAILED = 125 };

static int traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  luaL_traceback(L, L, message ? message : "(error object is no string)", 1);
  return 1;
}

/* Most runs are short, and a stop leaves the compiled code anyway: compile only what is hot indeed (measured on python3,
 * git and tar: a fifth faster than with LuaJIT's default of 56). Before any module is loaded: tables are made in loops
 * that are over when they have been compiled. */
static void compile_less(lua_State *L) {
  lua_getglobal(L, "jit");
  lua_getfield(L, -1, "opt");
  lua_getfield(L, -1, "start");
  lua_pushliteral(L, "hotloop=2000");
  lua_call(L, 1, 0);
  lua_pop(L, 2);
}

int main(int argc, char **argv) {
  struct lua_memory *memory = lua_memory_open();
  /* A LuaJIT with 32-bit references takes no memory but its own. */
  lua_State *L = memory ? lua_newstate(lua_memory_alloc, memory) : NULL;
  if (!L) L = luaL_newstate();
  if (!L) {
    fputs("luatrace: out of memory\n", stderr);
    return EXIT_FAILED;
  }
  /* Nothing of what a start makes is garbage: cli.lua lets the collector go on when the program runs. */
  lua_gc(L, LUA_GCSTOP, 0);
  luaL_openlibs(L);
  compile_less(L);
  embedded_preload(L);
  lua_pushcfunction(L, traceback);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "luatrace.cli");
  int failed = lua_pcall(L, 1, 1, 1);
  if (!failed) {
    lua_getfield(L, -1, "main");
    lua_createtable(L, argc > 0 ? argc - 1 : 0, 0);
    /* [0] is the name that we were called by: "strace" has strace's defaults. */
    for (int i = 0; i < argc; i++) {
      lua_pushstring(L, argv[i]);
      lua_rawseti(L, -2, i);
    }
    failed = lua_pcall(L, 1, 2, 1);
  }
  int code = EXIT_FAILED;
  /* Giving back every object takes a millisecond: only where a script may have left something open. */
  bool close = failed || lua_toboolean(L, -1);
  if (failed)
    fprintf(stderr, "luatrace: internal error: %s\n", lua_tostring(L, -1));
  else
    code = (int)lua_tointeger(L, -2);
#ifdef __SANITIZE_ADDRESS__
  close = true; /* so that no leak is hidden */
#endif
  if (close) {
    lua_close(L);
    lua_memory_close(memory);
  }
  return code;
}
