/*
 * module.c - luatrace.so: the same core and modules for `require "luatrace"` in plain luajit and in busted.
 */
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>

#include "embedded.h" /* embedded_preload */

int luaopen_luatrace(lua_State *L);

/* The engine loads the core's symbols from here (ffi.load), wherever package.cpath found us. */
static void publish_path(lua_State *L) {
  Dl_info self;
  if (!dladdr((void *)(size_t)luaopen_luatrace, &self)) return;
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "loaded");
  lua_pushstring(L, self.dli_fname);
  lua_setfield(L, -2, "luatrace.library");
  lua_pop(L, 2);
}

int luaopen_luatrace(lua_State *L) {
  publish_path(L);
  embedded_preload(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "luatrace.init");
  lua_call(L, 1, 1);
  return 1;
}
