--- Reads what --format=json has written: one event a line, as tables. Plain Lua: no core is needed, any LuaJIT or Lua
-- 5.1 reads a trace with it.
--
--   local reader = require "luatrace.json_reader"
--   for event in reader.events("trace.json") do
--     if event.type == "call" and event.call == "openat" and event.ret ~= -1 then
--       print(event.comm, event.args.pathname)
--     end
--   end
--
-- Strings are bytes: { base16 = "ff00" } becomes them. null is `reader.null`, which prints as NULL; whole numbers
-- that no double holds stay strings of digits. An empty list and an empty object are both {}.

local M = {}

--- What JSON calls null: an argument that is NULL.
M.null = setmetatable({}, { __tostring = function() return "NULL" end })

local unescaped = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

--- UTF-8 of a code point.
local function utf8(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xc0 + math.floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return string.char(0xe0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(0xf0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local function fail(at, what) error({ at = at, what = what }, 0) end

--- A string; `at` is behind its first quote.
local function read_string(text, at)
  local parts = {}
  while true do
    local stop = text:find('["\\]', at)
    if not stop then fail(#text, "a string without an end") end
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:byte(stop) == 34 then return table.concat(parts), stop + 1 end
    local char = text:sub(stop + 1, stop + 1)
    at = stop + 2
    if char == "u" then
      local code = tonumber(text:match("^%x%x%x%x", at) or fail(stop, "a bad escape"), 16)
      at = at + 4
      local low = code >= 0xd800 and code < 0xdc00 and text:match("^\\u([dD][c-fC-F]%x%x)", at)
      if low then
        code = 0x10000 + (code - 0xd800) * 1024 + tonumber(low, 16) - 0xdc00
        at = at + 6
      end
      parts[#parts + 1] = utf8(code)
    else
      parts[#parts + 1] = unescaped[char] or char
    end
  end
end

local read

local function read_list(text, at)
  local list = {}
  at = text:find("%S", at) or fail(#text, "a list without an end")
  if text:byte(at) == 93 then return list, at + 1 end
  while true do
    local value
    value, at = read(text, at)
    list[#list + 1] = value
    local mark, after = text:match("^%s*([,%]])()", at)
    if not mark then fail(at, "no , or ] in a list") end
    at = after
    if mark == "]" then return list, at end
  end
end

local function from_hex(pair) return string.char(tonumber(pair, 16)) end

local function read_object(text, at)
  local object, count = {}, 0
  at = text:find("%S", at) or fail(#text, "an object without an end")
  if text:byte(at) == 125 then return object, at + 1 end
  while true do
    local start = text:match('^%s*"()', at)
    if not start then fail(at, "no name in an object") end
    local name, value
    name, at = read_string(text, start)
    at = text:match("^%s*:()", at) or fail(at, "no : behind a name")
    value, at = read(text, at)
    object[name], count = value, count + 1
    local mark, after = text:match("^%s*([,}])()", at)
    if not mark then fail(at, "no , or } in an object") end
    at = after
    if mark == "}" then
      -- Bytes that are no text.
      if count == 1 and type(object.base16) == "string" then return (object.base16:gsub("%x%x", from_hex)), at end
      return object, at
    end
  end
end

local words = { ["true"] = true, ["false"] = false, null = M.null }

function read(text, at)
  at = text:find("%S", at) or fail(#text, "nothing")
  local char = text:sub(at, at)
  if char == "{" then return read_object(text, at + 1) end
  if char == "[" then return read_list(text, at + 1) end
  if char == '"' then return read_string(text, at + 1) end
  local word = text:match("^%a+", at)
  if word and words[word] ~= nil then return words[word], at + #word end
  local number = text:match("^%-?%d[%d.eE+-]*", at)
  if not number or not tonumber(number) then fail(at, ("%q is no value"):format(text:sub(at, at + 9))) end
  return tonumber(number), at + #number
end

--- One line.
---@param line string
---@return table|nil event, string? message
function M.event(line)
  local ok, value, at = pcall(read, line, 1)
  if not ok then
    if type(value) ~= "table" then error(value, 0) end
    return nil, ("column %d: %s"):format(value.at, value.what)
  end
  if line:find("%S", at) then return nil, ("column %d: more than one value"):format(at) end
  if type(value) ~= "table" or value.v == nil then return nil, "this is no event of luatrace --format=json" end
  if value.v ~= 1 then return nil, ("version %s: this reader knows version 1"):format(tostring(value.v)) end
  return value
end

--- All events of a file; an error names file and line.
---@param source string|file* a path, or a file that is open
---@return fun(): table|nil
function M.events(source)
  local file, name = source, "the trace"
  if type(source) == "string" then
    local message
    file, message = io.open(source, "rb")
    if not file then error("cannot read the trace " .. message, 2) end
    name = source
  end
  local count = 0
  return function()
    local line = file:read("*l")
    if not line then
      if type(source) == "string" then file:close() end
      return nil
    end
    count = count + 1
    local event, message = M.event(line)
    if not event then error(("%s:%d: %s"):format(name, count, message), 2) end
    return event
  end
end

return M
