#include "embedded.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

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

static int by_name(const void *name, const void *text) {
  return strcmp(name, ((const struct embedded_text *)text)->name);
}

/* How the key stands to the line: negative when its line comes earlier. The blank behind a key is less than all that
 * keys are made of. */
static int compare_key(const char *key, size_t length, const char *line, size_t line_length) {
  if (length >= line_length) {
    int order = memcmp(key, line, line_length);
    return order ? order : 1;
  }
  int order = memcmp(key, line, length);
  return order ? order : ' ' - line[length];
}

static int push_value(lua_State *L, const struct embedded_text *text, const char *key, size_t length) {
  const char *low = text->text, *high = text->text + text->size;
  while (low < high) {
    const char *line = low + (high - low) / 2;
    while (line > low && line[-1] != '\n')
      line--;
    const char *end = memchr(line, '\n', (size_t)(text->text + text->size - line));
    int order = compare_key(key, length, line, (size_t)(end - line));
    if (order == 0) {
      lua_pushlstring(L, line + length + 1, (size_t)(end - line) - length - 1);
      return 1;
    }
    if (order < 0) {
      high = line;
    } else {
      low = end + 1;
    }
  }
  return 0;
}

static int find_text(lua_State *L) {
  const struct embedded_text *text =
      bsearch(luaL_checkstring(L, 1), embedded_texts, embedded_text_count, sizeof *embedded_texts, by_name);
  if (!text) return 0;
  size_t length;
  const char *key = lua_tolstring(L, 2, &length);
  if (key) return push_value(L, text, key, length);
  lua_pushlstring(L, text->text, text->size);
  return 1;
}

static int load_find_text(lua_State *L) {
  lua_pushcfunction(L, find_text);
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
  if (!directory) {
    lua_pushcfunction(L, load_find_text);
    lua_setfield(L, -2, "luatrace.embedded_text");
  }
  for (const struct embedded_module *module = embedded_modules; !directory && module->name; module++) {
    lua_pushlightuserdata(L, (void *)module);
    lua_pushcclosure(L, load_module, 1);
    lua_setfield(L, -2, module->name);
  }
  lua_pop(L, 2);
  if (directory) prefer_directory(L, directory);
}
