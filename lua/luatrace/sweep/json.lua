--- JSON, both ways, for what the sweep writes and reads again: journals, reports, the talk with its workers.
-- Strings are bytes: what is no ASCII is written as \u00XX, byte by byte, and read back so.
--
--   json.decode(json.encode { a = { 1, 2 } }).a[2]     -- 2

local buffer = require "string.buffer"

local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(char) return escapes[char] or ("\\u%04x"):format(char:byte()) end

local put

local function put_table(out, value)
  if #value > 0 or next(value) == nil and getmetatable(value) == M.array then
    out:put("[")
    for i = 1, #value do
      if i > 1 then out:put(",") end
      put(out, value[i])
    end
    return out:put("]")
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  out:put("{")
  for i, key in ipairs(keys) do
    if i > 1 then out:put(",") end
    out:put('"', tostring(key):gsub('[%c"\\\127-\255]', escape), '":')
    put(out, value[key])
  end
  return out:put("}")
end

function put(out, value)
  local kind = type(value)
  if kind == "string" then
    out:put('"', (value:gsub('[%c"\\\127-\255]', escape)), '"')
  elseif kind == "table" then
    put_table(out, value)
  elseif kind == "number" then
    if value ~= value or value == math.huge or value == -math.huge then
      out:put("null")
    else
      out:put(value % 1 == 0 and math.abs(value) < 2 ^ 53 and ("%d"):format(value) or ("%.14g"):format(value))
    end
  else
    out:put(value == nil and "null" or tostring(value))
  end
end

--- Marks a table that is a list even when it is empty.
M.array = {}

---@param value any tables, strings, numbers, booleans
---@return string
function M.encode(value)
  local out = buffer.new()
  put(out, value)
  return out:tostring()
end

local named = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function utf8(code)
  if code < 0x100 then return string.char(code) end
  if code < 0x800 then return string.char(0xc0 + math.floor(code / 64), 0x80 + code % 64) end
  return string.char(0xe0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local parse

local function fail(at, what) error({ json = ("%s at byte %d"):format(what, at) }, 0) end

local function parse_string(text, at)
  local finish = at
  while true do
    finish = text:find('["\\]', finish)
    if not finish then fail(at, "unfinished string") end
    if text:sub(finish, finish) == '"' then break end
    finish = finish + 2
  end
  local parts = {}
  while true do
    local escaped = text:find("\\", at, true)
    if not escaped or escaped >= finish then break end
    parts[#parts + 1] = text:sub(at, escaped - 1)
    local char = text:sub(escaped + 1, escaped + 1)
    local code = char == "u" and tonumber(text:sub(escaped + 2, escaped + 5), 16)
    parts[#parts + 1] = code and utf8(code) or named[char] or char
    at = escaped + (code and 6 or 2)
  end
  parts[#parts + 1] = text:sub(at, finish - 1)
  return table.concat(parts), finish + 1
end

local literals = { ["true"] = true, ["false"] = false }

function parse(text, at, depth)
  if depth > 200 then fail(at, "nested too deeply") end
  at = text:find("%S", at) or fail(at, "nothing")
  local char = text:sub(at, at)
  if char == '"' then return parse_string(text, at + 1) end
  if char == "{" or char == "[" then
    local result, closing = {}, char == "{" and "}" or "]"
    at = text:find("%S", at + 1) or fail(at, "unfinished")
    if text:sub(at, at) == closing then return result, at + 1 end
    while true do
      local key, value
      if closing == "}" then
        at = text:find("%S", at)
        if not at or text:sub(at, at) ~= '"' then fail(at or #text, "a key is missing") end
        key, at = parse_string(text, at + 1)
        at = text:match("^%s*:()", at) or fail(at, "':' is missing")
      else
        key = #result + 1
      end
      value, at = parse(text, at, depth + 1)
      result[key] = value
      local separator, after = text:match("^%s*([,%]}])()", at)
      if separator == closing then return result, after end
      if separator ~= "," then fail(at, "',' is missing") end
      at = after
    end
  end
  local word, after = text:match("^([%w.+-]+)()", at)
  if not word then fail(at, "nonsense") end
  if word == "null" then return nil, after end
  if literals[word] ~= nil then return literals[word], after end
  local number = tonumber(word)
  if not number then fail(at, "nonsense") end
  return number, after
end

---@param text string
---@return any value nil and a message when it is no JSON
function M.decode(text)
  local ok, value, after = pcall(parse, text, 1, 0)
  if not ok then
    if type(value) == "table" and value.json then return nil, value.json end
    error(value, 0)
  end
  if text:find("%S", after) then return nil, ("something follows at byte %d"):format(after) end
  return value
end

return M
