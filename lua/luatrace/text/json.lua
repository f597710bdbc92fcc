--- JSON, both ways, for what luatrace writes and reads again: traces, journals, reports, the talk with workers. Plain
-- Lua, but for writing.
--
--   json.decode(json.encode { a = { 1, 2 } }).a[2]     -- 2
--
-- Strings are bytes: what is no ASCII is written as \u00XX, byte by byte, and read back so.

local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

--- How a byte is written in a string.
---@param char string
---@return string
function M.escape(char) return escapes[char] or ("\\u%04x"):format(char:byte()) end

local function by_text(a, b) return tostring(a) < tostring(b) end

local function sorted_keys(object)
  local keys, order = {}, nil
  for key in pairs(object) do
    keys[#keys + 1] = key
    if type(key) ~= "string" then order = by_text end
  end
  table.sort(keys, order)
  return keys
end

---@class luatrace.JsonWriting
---@field string fun(out: table, text: string) writes a string, quotes and all
---@field float string a format, for numbers that are not whole
---@field is_empty_list fun(value: table): boolean an empty table is a list, not an object
---@field other fun(out: table, value: any) writes what is of none of JSON's types

--- A function that writes values into a string.buffer.
---@param how luatrace.JsonWriting
---@return fun(out: table, value: any)
function M.writer(how)
  local put_string, float, is_empty_list, put_other = how.string, how.float, how.is_empty_list, how.other
  local put

  local function put_table(out, value)
    if #value > 0 or is_empty_list(value) then
      out:put("[")
      for i = 1, #value do
        if i > 1 then out:put(",") end
        put(out, value[i])
      end
      return out:put("]")
    end
    out:put("{")
    for i, key in ipairs(sorted_keys(value)) do
      if i > 1 then out:put(",") end
      put_string(out, tostring(key))
      out:put(":")
      put(out, value[key])
    end
    out:put("}")
  end

  function put(out, value)
    local kind = type(value)
    if value == nil then
      out:put("null")
    elseif kind == "number" then
      -- Whole numbers in full; JSON has no infinities.
      if value % 1 == 0 and value > -2 ^ 53 and value < 2 ^ 53 then
        out:put(("%d"):format(value))
      elseif value ~= value or value == math.huge or value == -math.huge then
        out:put("null")
      else
        out:put(float:format(value))
      end
    elseif kind == "boolean" then
      out:put(value and "true" or "false")
    elseif kind == "string" then
      put_string(out, value)
    elseif kind == "table" then
      put_table(out, value)
    else
      put_other(out, value)
    end
  end

  return put
end

--- Marks a table that is a list even when it is empty.
M.array = {}

local put = M.writer {
  string = function(out, text) out:put('"', (text:gsub('[%c"\\\127-\255]', M.escape)), '"') end,
  float = "%.14g",
  is_empty_list = function(value) return next(value) == nil and getmetatable(value) == M.array end,
  other = function(out, value) out:put(tostring(value)) end,
}

---@param value any tables, strings, numbers, booleans
---@return string
function M.encode(value)
  local out = require("string.buffer").new()
  put(out, value)
  return out:tostring()
end

local named = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

--- UTF-8 of a code point.
---@param code integer
---@return string
function M.utf8(code)
  local char, floor = string.char, math.floor
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xc0 + floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then return char(0xe0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64) end
  return char(0xf0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64,
    0x80 + code % 64)
end

--- As `encode` writes bytes.
local function byte_or_utf8(code) return code < 0x100 and string.char(code) or M.utf8(code) end

local function fail(at, what) error({ at = at, what = what }, 0) end

--- A \u escape, whose digits begin at `at`; a pair of them is one code point.
local function read_code(text, at)
  local code = tonumber(text:match("^%x%x%x%x", at) or fail(at, "a bad escape"), 16)
  local low = code >= 0xd800 and code < 0xdc00 and text:match("^\\u([dD][c-fC-F]%x%x)", at + 4)
  if not low then return code, at + 4 end
  return 0x10000 + (code - 0xd800) * 1024 + tonumber(low, 16) - 0xdc00, at + 10
end

--- A string; `at` is behind its first quote.
local function read_string(text, at, how)
  local parts = {}
  while true do
    local stop = text:find('["\\]', at)
    if not stop then fail(#text, "a string without an end") end
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:byte(stop) == 34 then return table.concat(parts), stop + 1 end
    local char = text:sub(stop + 1, stop + 1)
    at = stop + 2
    if char == "u" then
      local code
      code, at = read_code(text, at)
      parts[#parts + 1] = how.character(code)
    else
      parts[#parts + 1] = named[char] or char
    end
  end
end

local read

local function read_list(text, at, how, depth)
  local list, count = {}, 0
  at = text:find("%S", at) or fail(#text, "a list without an end")
  if text:byte(at) == 93 then return list, at + 1 end
  while true do
    count = count + 1
    list[count], at = read(text, at, how, depth)
    local mark, after = text:match("^%s*([,%]])()", at)
    if not mark then fail(at, "no , or ] in a list") end
    at = after
    if mark == "]" then return list, at end
  end
end

local function read_object(text, at, how, depth)
  local object = {}
  at = text:find("%S", at) or fail(#text, "an object without an end")
  if text:byte(at) == 125 then return object, at + 1 end
  while true do
    local start = text:match('^%s*"()', at)
    if not start then fail(at, "no name in an object") end
    local name
    name, at = read_string(text, start, how)
    at = text:match("^%s*:()", at) or fail(at, "no : behind a name")
    object[name], at = read(text, at, how, depth)
    local mark, after = text:match("^%s*([,}])()", at)
    if not mark then fail(at, "no , or } in an object") end
    at = after
    if mark == "}" then return how.object and how.object(object) or object, at end
  end
end

local words = { ["true"] = true, ["false"] = false }

function read(text, at, how, depth)
  if depth > 200 then fail(at, "nested too deeply") end
  at = text:find("%S", at) or fail(#text, "nothing")
  local char = text:sub(at, at)
  if char == "{" then return read_object(text, at + 1, how, depth + 1) end
  if char == "[" then return read_list(text, at + 1, how, depth + 1) end
  if char == '"' then return read_string(text, at + 1, how) end
  local word = text:match("^%a+", at)
  if word == "null" then return how.null, at + 4 end
  if word and words[word] ~= nil then return words[word], at + #word end
  local number = text:match("^%-?%d[%d.eE+-]*", at)
  if not number or not tonumber(number) then fail(at, ("%q is no value"):format(text:sub(at, at + 9))) end
  return tonumber(number), at + #number
end

---@class luatrace.JsonReading
---@field null any what null becomes; default nil
---@field character fun(code: integer): string what a \u escape becomes; default: what `encode` made it of
---@field object nil|fun(object: table): any|nil what becomes of an object; nil: what it is

local as_encoded = { character = byte_or_utf8 }

--- Reads one value.
---@param text string
---@param how luatrace.JsonReading|nil default: as `encode` has written it
---@return any value, string? message nil and a message when it is no JSON
function M.decode(text, how)
  local ok, value, after = pcall(read, text, 1, how or as_encoded, 0)
  if not ok then
    if type(value) ~= "table" then error(value, 0) end
    return nil, ("column %d: %s"):format(value.at, value.what)
  end
  if text:find("%S", after) then return nil, ("column %d: more than one value"):format(after) end
  return value
end

return M
