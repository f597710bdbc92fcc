-- Writes the C file that holds all Lua modules as bytecode, and src/api.h as text.
--
--   luajit scripts/embed.lua OUTPUT.c API.h FILE.lua...
--
-- Rooms of constants become text on the way: lua/luatrace/constants/packed.lua.
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

local packed = assert(loadfile("lua/luatrace/constants/packed.lua"))()

--- Rooms of constants are embedded as text: see packed.lua. Anything else stays as it is.
local function compact(path, text)
  local room = path:match("/constants/([%w_]+)%.lua$")
  if not room or room == "index" or room == "packed" then return text end
  local data = assert(loadstring(text))()
  local lines = {}
  for name, value in pairs(data) do
    if value.kind then
      lines[#lines + 1] = ("%s = %q,"):format(name, packed.set(value))
    elseif room == "ioctl" then
      lines[#lines + 1] = ("%s = %q,"):format(name, packed.map(value))
    else
      return text
    end
  end
  table.sort(lines)
  return "return {" .. table.concat(lines, "\n") .. "}"
end

local modules = {}
for i = 3, #arg do
  local path = arg[i]
  -- The chunk's name is what error messages show: the path below the project's root.
  local chunk, message = loadstring(compact(path, read(path)), "@" .. path:gsub("^.*/(lua/luatrace/)", "%1"))
  if not chunk then
    io.stderr:write(message, "\n")
    os.exit(1)
  end
  modules[#modules + 1] = { name = module_name(path), code = string.dump(chunk) }
end

local out = { '#include "embedded.h"\n' }
for i, module in ipairs(modules) do
  out[#out + 1] = ("static const unsigned char module_%d[] = {\n%s};\n"):format(i, bytes(module.code))
end
out[#out + 1] = "const struct embedded_module embedded_modules[] = {"
for i, module in ipairs(modules) do
  out[#out + 1] = ('    {"%s", module_%d, sizeof module_%d},'):format(module.name, i, i)
end
out[#out + 1] = "    {0, 0, 0},\n};"
out[#out + 1] = ("const char embedded_api[] = {\n%s,0};"):format(bytes(declarations(read(api))))

local file = assert(io.open(output .. ".new", "w"))
assert(file:write(table.concat(out, "\n"), "\n"))
assert(file:close())
assert(os.rename(output .. ".new", output))
