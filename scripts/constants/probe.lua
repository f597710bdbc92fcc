--- Asks the C compiler what names a header has and what they are worth.
--
--   probe.names({ "fcntl.h" }, "O_*")                   --> { "O_ACCMODE", "O_APPEND", ... }  (sorted)
--   probe.values({ "fcntl.h" }, { "O_CREAT", "nope" })  --> { O_CREAT = { value = 64LL, size = 4, unsigned = false } }
--   probe.expand("flags", "fcntl.h", "O_CREAT O_* -O_ACCMODE") --> entries in order, names not found
--
-- A name that is no integer constant there is left out: the probe drops the lines that gcc refuses and tries again.

local ffi = require "ffi"

local probe = {}

local cc = os.getenv "CC" or "gcc"
local flags = " -w -std=gnu11 -D_GNU_SOURCE -D_LARGEFILE64_SOURCE "

local function scratch()
  local name = os.tmpname()
  os.remove(name)
  return name
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function run(command)
  local pipe = assert(io.popen("LC_ALL=C " .. command, "r"))
  local text = pipe:read "*a"
  pipe:close()
  return text
end
probe.run = run

local function includes(headers)
  local lines = {}
  for _, header in ipairs(headers) do
    -- A word with a space or '#' is C text of its own: "#define X" before the header that wants it.
    lines[#lines + 1] = header:find "^#" and header or ("#include <%s>"):format(header)
  end
  return table.concat(lines, "\n") .. "\n"
end

--- "a.h b.h" -> { "a.h", "b.h" }; "D:NAME" defines NAME.
---@param text string
---@return string[]
function probe.headers(text)
  local list = {}
  for word in text:gmatch "%S+" do
    local define = word:match "^D:(.*)"
    list[#list + 1] = define and "#define " .. define:gsub("=", " ") or word
  end
  return list
end

local preprocessed = {}

--- Every object-like macro and every identifier of the headers: name -> macro body or true.
---@param headers string[]
---@return table<string, string|boolean>, table<string, string> names, function-like macros
function probe.identifiers(headers)
  local key = includes(headers)
  local found = preprocessed[key]
  if found then return found[1], found[2] end
  local path = scratch()
  write(path .. ".c", key)
  local names, calls = {}, {}
  for name in run(cc .. flags .. "-E -P " .. path .. ".c 2>/dev/null"):gmatch "[%a_][%w_]*" do names[name] = true end
  for line in run(cc .. flags .. "-E -dM " .. path .. ".c 2>/dev/null"):gmatch "[^\n]+" do
    local name, rest = line:match "^#define ([%a_][%w_]*)(.*)$"
    if rest:sub(1, 1) == "(" then
      calls[name] = rest
    else
      names[name] = rest
    end
  end
  os.remove(path .. ".c")
  preprocessed[key] = { names, calls }
  return names, calls
end

local function glob_to_pattern(glob)
  return "^" .. glob:gsub("%*", "[%%w_]*"):gsub("%?", "[%%w_]") .. "$"
end

--- The names of the headers that match a glob, sorted.
---@param headers string[]
---@param glob string
---@return string[]
function probe.names(headers, glob)
  local pattern = glob_to_pattern(glob)
  local list = {}
  for name in pairs((probe.identifiers(headers))) do
    if name:find(pattern) then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- The bit-field makes gcc refuse what is no integer constant: a string, a pointer, a double, a type.
local line_format = '{ "%s", sizeof(%s), (%s) > 0, (long long)(%s) + 0 * sizeof(struct { int x : ((%s) * 0 + 1); }) },'

--- The values of those of the names which are integer constants.
---@param headers string[]
---@param names string[]
---@return table<string, {value: ffi.cdata*, size: integer, unsigned: boolean}> `unsigned`: the top bit is no sign
---@return string|nil error what gcc says when the headers themselves do not compile
function probe.values(headers, names)
  local values = {}
  if #names == 0 then return values end
  local prelude = includes(headers) .. "#include <stdio.h>\n"
    .. "static const struct { const char *n; unsigned s, p; long long v; } t[] = {\n"
  local _, first = prelude:gsub("\n", "")
  local path = scratch()
  local live, complaint = {}, nil
  for i, name in ipairs(names) do live[i] = name end
  for _ = 1, 20 do
    local lines = {}
    for i, name in ipairs(live) do lines[i] = line_format:format(name, name, name, name, name) end
    write(path .. ".c", prelude .. table.concat(lines, "\n") .. "\n};\nint main(void) {\n"
      .. "for (unsigned i = 0; i < sizeof t / sizeof *t; i++)\n"
      .. '  printf("%s %u %u %lld\\n", t[i].n, t[i].s, t[i].p, t[i].v); }\n')
    local errors = run(cc .. flags .. "-ftrack-macro-expansion=0 -O0 -o " .. path .. " " .. path .. ".c 2>&1")
    local ok = io.open(path, "rb")
    if ok then
      ok:close()
      for name, size, positive, value in run(path):gmatch "(%S+) (%d+) (%d) (%-?%d+)" do
        local sign, digits = value:match "^(%-?)(%d+)$"
        -- 64 bits do not fit tonumber: take the digits one by one.
        local number = 0LL
        for digit in digits:gmatch "%d" do number = number * 10 + tonumber(digit) end
        number = sign == "-" and -number or number
        values[name] = { value = number, size = tonumber(size), unsigned = positive == "1" and number < 0 }
      end
      break
    end
    local bad, any = {}, false
    for line in errors:gmatch(path:gsub("%p", "%%%0") .. "%.c:(%d+):[%d:]* error") do
      local index = tonumber(line) - first
      if live[index] then bad[index], any = true, true end
    end
    if not any then
      complaint = errors:match "[^\n]*error[^\n]*" or errors
      break
    end
    local kept = {}
    for i, name in ipairs(live) do
      if not bad[i] then kept[#kept + 1] = name end
    end
    live = kept
    if #live == 0 then break end
  end
  os.remove(path)
  os.remove(path .. ".c")
  return values, complaint
end

ffi.cdef "char *strerror(int);"

--- What glibc says of each error number, in English.
---@param numbers integer[]
---@return table<integer, string>
function probe.strerror(numbers)
  local texts = {}
  for _, number in ipairs(numbers) do texts[number] = ffi.string(ffi.C.strerror(number)) end
  return texts
end

-- A wildcard leaves out what is no member but a bound or a mask. Naming it puts it in.
local function is_bound(name)
  return name:find "_MAX$" or name:find "_MASK$" or name:find "_LAST$" or name:find "^__" or name:find "_END$"
    or name:find "_NUM$" or name:find "_CNT$"
end

local function parse_number(text)
  local hex = text:match "^0x(%x+)$"
  local number, base = 0LL, hex and 16 or 10
  for digit in (hex or text):gmatch "%x" do number = number * base + tonumber(digit, 16) end
  return number
end

--- Entries of a row's names, in order. A word is NAME, NAME=VALUE (for headers that lack it), GLOB* (by value) or
-- -GLOB (not those).
---@param kind "flags"|"enum"
---@param header_text string
---@param text string
---@return {name: string, value: ffi.cdata*, size: integer}[] entries, string[] missing
function probe.expand(kind, header_text, text)
  local headers = probe.headers(header_text)
  local wanted, seen, excluded, fallback = {}, {}, {}, {}
  for word in text:gmatch "%S+" do
    if word:sub(1, 1) == "-" then excluded[#excluded + 1] = glob_to_pattern(word:sub(2)) end
  end
  local function is_excluded(name)
    for _, pattern in ipairs(excluded) do
      if name:find(pattern) then return true end
    end
  end
  local all = {}
  local function want(group, name)
    if seen[name] then return end
    seen[name] = true
    group[#group + 1] = name
    all[#all + 1] = name
  end
  -- Plain names first: a wildcard gives only what no plain word of the row names.
  for word in text:gmatch "%S+" do
    local name, value = word:match "^([%w_]+)=(%w+)$"
    name = name or word:match "^[%w_]+$"
    if name then
      local group = { name }
      seen[name] = true
      all[#all + 1] = name
      if value then
        local number = parse_number(value)
        fallback[name] = { value = number, size = 8, unsigned = number < 0 }
      end
      wanted[#wanted + 1] = group
    elseif word:sub(1, 1) ~= "-" then
      wanted[#wanted + 1] = { glob = word }
    end
  end
  for _, group in ipairs(wanted) do
    if group.glob then
      for _, name in ipairs(probe.names(headers, group.glob)) do
        if not is_excluded(name) and not is_bound(name) then want(group, name) end
      end
    end
  end
  local values, complaint = probe.values(headers, all)
  if complaint then error(header_text .. ": " .. complaint, 0) end
  local entries, missing = {}, {}
  for _, group in ipairs(wanted) do
    local part = {}
    for _, name in ipairs(group) do
      local value = values[name] or fallback[name]
      if value and values[name] and fallback[name] and value.value ~= fallback[name].value then
        local there, here = tostring(value.value), tostring(fallback[name].value)
        error(("%s is %s in %s, not %s"):format(name, there, header_text, here), 0)
      end
      if value then
        part[#part + 1] = { name = name, value = value.value, size = value.size, unsigned = value.unsigned }
      elseif not group.glob then
        missing[#missing + 1] = name
      end
    end
    if group.glob then
      table.sort(part, function(a, b)
        local x, y = a.value, b.value
        if kind == "flags" then x, y = ffi.cast("uint64_t", x), ffi.cast("uint64_t", y) end
        if x ~= y then return x < y end
        return a.name < b.name
      end)
    end
    for _, entry in ipairs(part) do entries[#entries + 1] = entry end
  end
  return entries, missing
end

return probe
