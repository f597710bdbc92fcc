-- Writes the C file that holds all Lua modules as bytecode, and src/api.h as text.
--
--   luajit scripts/embed.lua OUTPUT.c API.h FILE.lua...
--
-- Tables of constants, the errors of calls, their classes and which room has which call become text:
-- lua/luatrace/packed.lua.
-- Bytecode keeps its debug information: a traceback names file and line of the source.

local output, api = arg[1], arg[2]

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local function bytes(text)
  local lines = {}
  for start = 1, #text, 24 do
    local piece = { text:byte(start, start + 23) }
    lines[#lines + 1] = table.concat(piece, ",")
  end
  return table.concat(lines, ",\n")
end

--- lua/luatrace/a/b.lua is luatrace.a.b.
local function module_name(path) return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/", ".")) end

--- What ffi.cdef has to read: declarations without comments, which are most of the text.
local function declarations(text) return (text:gsub("/%*.-%*/", ""):gsub("[ \n]+", " ")) end

--- Tables that a run looks up a few lines of are embedded as text, each by itself: see lua/luatrace/packed.lua.
local function embedded_texts()
  package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
  local constants = require "luatrace.constants"
  local decode = require "luatrace.decode"
  local packed = require "luatrace.packed"
  local syscalls = require "luatrace.syscalls"
  local texts = {}
  for name in pairs(constants.index) do texts["set " .. name] = packed.set(constants.flags[name]) end
  for name, map in pairs(constants.maps()) do
    for _, direction in ipairs { "by_name", "by_value", "text" } do
      if map[direction] then texts[("map %s %s"):format(name, direction)] = packed.map(map[direction]) end
    end
  end
  for _, arch in ipairs { "x86_64", "i386" } do texts["rooms " .. arch] = packed.map(syscalls.room_names(arch)) end
  for _, arch in ipairs { "x86_64", "i386", "x32" } do texts["classes " .. arch] = packed.map(decode.classes(arch)) end
  texts.errors = packed.map(require "luatrace.syscalls.errors")
  return texts
end

--- What is in the texts.
local function is_text(path)
  return path:find("/constants/[%w_]+%.lua$") ~= nil or path:find("/syscalls/errors%.lua$") ~= nil
end

local modules = {}
for i = 3, #arg do
  local path = arg[i]
  -- The chunk's name is what error messages show: the path below the project's root.
  local chunk, message = loadstring(read(path), "@" .. path:gsub("^.*/(lua/luatrace/)", "%1"))
  if not chunk then
    io.stderr:write(message, "\n")
    os.exit(1)
  end
  if not is_text(path) then
    modules[#modules + 1] = { name = module_name(path), code = string.dump(chunk) }
  end
end

local texts, text_names = embedded_texts(), {}
for name in pairs(texts) do text_names[#text_names + 1] = name end
table.sort(text_names)

local out = { '#include "embedded.h"\n' }
for i, module in ipairs(modules) do
  out[#out + 1] = ("static const unsigned char module_%d[] = {\n%s};\n"):format(i, bytes(module.code))
end
out[#out + 1] = "const struct embedded_module embedded_modules[] = {"
for i, module in ipairs(modules) do
  out[#out + 1] = ('    {"%s", module_%d, sizeof module_%d},'):format(module.name, i, i)
end
out[#out + 1] = "    {0, 0, 0},\n};"
for i, name in ipairs(text_names) do
  out[#out + 1] = ("static const char text_%d[] = {\n%s};\n"):format(i, bytes(texts[name]))
end
out[#out + 1] = "const struct embedded_text embedded_texts[] = {"
for i, name in ipairs(text_names) do
  out[#out + 1] = ('    {"%s", text_%d, sizeof text_%d},'):format(name, i, i)
end
out[#out + 1] = ("};\nconst size_t embedded_text_count = %d;"):format(#text_names)
out[#out + 1] = ("const char embedded_api[] = {\n%s,0};"):format(bytes(declarations(read(api))))

local file = assert(io.open(output .. ".new", "w"))
assert(file:write(table.concat(out, "\n"), "\n"))
assert(file:close())
assert(os.rename(output .. ".new", output))
