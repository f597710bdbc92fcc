#include "embedded.h"

#include <lauxlib.h>
#include <stdlib.h>

/* A module is loaded once in a Lua state, whatever becomes of package.loaded: busted forgets it after each file, and
 * C declarations cannot be made twice. */
static int load_module(lua_State *L) {
  const struct embedded_module *module = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushlightuserdata(L, (void *)module);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (!lua_isnil(L, -1)) return 1;
  if (luaL_loadbuffer(L, (const char *)module->code, module->size, module->name)) return lua_error(L);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushlightuserdata(L, (void *)module);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
  return 1;
}

static int load_api(lua_State *L) {
  lua_pushstring(L, embedded_api);
  return 1;
}

static void prefer_directory(lua_State *L, const char *directory) {
  lua_getglobal(L, "package");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;", directory, directory);
  lua_getfield(L, -2, "path");
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  lua_pop(L, 1);
}

void embedded_preload(lua_State *L) {
  const char *directory = getenv("LUATRACE_LUA_DIR");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, load_api);
  lua_setfield(L, -2, "luatrace.api");
  for (const struct embedded_module *module = embedded_modules; !directory && module->name; module++) {
    lua_pushlightuserdata(L, (void *)module);
    lua_pushcclosure(L, load_module, 1);
    lua_setfield(L, -2, module->name);
  }
  lua_pop(L, 2);
  if (directory) prefer_directory(L, directory);
}
