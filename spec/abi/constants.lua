--- Compares the generated constants with what the compiler says, by static assertions: nothing is run, so -m32 needs no
-- 32-bit machine.
--
--   local result = abi.compare({ "fcntl.h" }, { { "O_CREAT", 64 }, { "O_NEW", 1 } })
--   --> { compared = 1, wrong = {}, unknown = { "O_NEW" } }
--
-- A name that the headers do not know is `unknown`, not wrong: it came from the supplement.

local abi = {}

local function read_command(command)
  local pipe = assert(io.popen("LC_ALL=C " .. command))
  local text = pipe:read "*a"
  pipe:close()
  return text
end

local function c_value(value)
  if type(value) ~= "number" then return tostring(value) end
  return value < 0 and ("(%dLL)"):format(value) or ("0x%xULL"):format(value)
end

local function includes(headers)
  local lines = {}
  for i, header in ipairs(headers) do
    local define = header:match "^D:(.*)"
    lines[i] = define and "#define " .. define:gsub("=", " ") or ("#include <%s>"):format(header)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function with_source(text, run)
  local path = os.tmpname()
  os.remove(path)
  path = path .. ".c"
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local result = run(path)
  os.remove(path)
  return result
end

--- Compares name/value pairs with the headers.
---@param headers string[]
---@param entries {[1]: string, [2]: number|ffi.cdata*}[]
---@param options string|nil for the compiler
---@return {compared: integer, wrong: string[], unknown: string[]}
function abi.compare(headers, entries, options)
  local prelude = includes(headers)
  local _, first = prelude:gsub("\n", "")
  local lines = {}
  for i, entry in ipairs(entries) do
    local name, value = entry[1], c_value(entry[2])
    -- Four bytes are compared as four: 1 << 31 is negative in C.
    lines[i] = ("_Static_assert(sizeof(%s) == 4 ? (unsigned)(%s) == (unsigned)(%s) : (unsigned long long)(%s) == "
      .. "(unsigned long long)(%s), \"luatrace\");"):format(name, name, value, name, value)
  end
  local errors = with_source(prelude .. table.concat(lines, "\n") .. "\n", function(path)
    local command = "gcc -w -std=gnu11 -D_GNU_SOURCE -ftrack-macro-expansion=0 -fmax-errors=0 -fsyntax-only %s %s 2>&1"
    return read_command(command:format(options or "", path))
  end)
  local result, failed = { wrong = {}, unknown = {} }, {}
  for line, message in errors:gmatch "%.c:(%d+):%d+: error: ([^\n]*)" do
    local entry = entries[tonumber(line) - first]
    assert(entry, message) -- an error in the headers themselves
    if not failed[entry] then
      failed[entry] = true
      local list = message:find '"luatrace"' and result.wrong or result.unknown
      list[#list + 1] = entry[1]
    end
  end
  result.compared = #entries - #result.unknown
  return result
end

--- The names of the object-like macros that a header, or several, define.
---@param header string|string[]
---@param pattern string with one capture
---@param options string|nil
---@return string[]
function abi.macros(header, pattern, options)
  local text = with_source(includes(type(header) == "table" and header or { header }), function(path)
    return read_command(("gcc -D_GNU_SOURCE -E -dM %s %s"):format(options or "", path))
  end)
  local names = {}
  for name in text:gmatch "#define ([%w_]+) [^\n]*" do
    names[#names + 1] = name:match(pattern)
  end
  return names
end

return abi
