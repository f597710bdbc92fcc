--- Calls with conditions as text: what -e trace=, --inject and assertions read.
--
--   expression.parse("openat(flags=O_CREAT,path=*.conf),%network")
--     -- { { calls = "openat", where = { path = "*.conf", arg = { flags = "O_CREAT" } } }, { calls = "%network" } }
--
-- A condition is NAME=VALUE, and !=, <, <=, > and >= for numbers. NAME is one of the keys of a where-table (path, fd,
-- comm, exe, pid, buf, errno, ret, stack, nth, scope, prob, after, until, after_startup) or an argument, with its
-- fields ("addr.port"); arg.NAME is always an argument. VALUE goes to the next comma; "..." takes it as it is, {a,b} is
-- one of several.

local filter = require "luatrace.filter"

local M = {}

--- Keys of a where-table that text can give. What takes a pattern keeps its braces.
local patterns = { path = true, comm = true, exe = true, stack = true }
local keys = { path = true, fd = true, comm = true, exe = true, pid = true, buf = true, errno = true, ret = true,
  stack = true, nth = true, scope = true, prob = true, after = true, ["until"] = true, after_startup = true,
  name = true }
local flags = { after_startup = true, any_errno = true, execute = true }

--- Splits at a character that is not inside "...", (...), {...}.
---@param text string
---@param separator string one character
---@return string[]|nil parts, string? message
function M.split(text, separator)
  local parts, from, depth, quoted = {}, 1, 0, false
  local i = 1
  while i <= #text do
    local char = text:sub(i, i)
    if quoted then
      if char == "\\" then i = i + 1 elseif char == '"' then quoted = false end
    elseif char == '"' then
      quoted = true
    elseif char == "(" or char == "{" then
      depth = depth + 1
    elseif char == ")" or char == "}" then
      depth = depth - 1
      if depth < 0 then return nil, ("a %s without its counterpart"):format(char) end
    elseif char == separator and depth == 0 then
      parts[#parts + 1] = text:sub(from, i - 1)
      from = i + 1
    end
    i = i + 1
  end
  if quoted then return nil, "a \" without its counterpart" end
  if depth > 0 then return nil, "a bracket is not closed" end
  parts[#parts + 1] = text:sub(from)
  return parts
end

local function unquote(text)
  local inside = text:match('^"(.*)"$')
  if inside then return (inside:gsub("\\(.)", "%1")), true end
  return text, false
end

local function typed(text)
  local plain, quoted = unquote(text)
  if quoted then return plain end
  return tonumber(plain) or plain
end

--- {a,b} as a list.
local function value_of(name, text)
  local inside = not patterns[name] and text:match("^{(.*)}$")
  if not inside then
    if patterns[name] or name == "buf" then return (unquote(text)) end
    return typed(text)
  end
  local parts, message = M.split(inside, ",")
  if not parts then return nil, message end
  for i, part in ipairs(parts) do parts[i] = typed(part) end
  return parts
end

local function compared(operator, text)
  if operator == "=" then return nil end
  if operator == "!=" then return "!" .. (unquote(text)) end
  local number = tonumber(text)
  if not number then return nil, ("%s compares numbers, not %q"):format(operator, text) end
  if operator == "<=" then return (".." .. text) end
  if operator == ">=" then return (text .. "..") end
  if operator == "<" then return ("..%d"):format(number - 1) end
  return ("%d.."):format(number + 1)
end

--- One condition into a where-table.
---@param where table
---@param text string "path=*.c"
---@return true|nil ok, string? message
function M.condition(where, text)
  if flags[text] then
    where[text] = true
    return true
  end
  local name, operator, rest = text:match("^([%w_.]+)%s*([!<>]?=?)(.*)$")
  if not name or operator == "" or operator == "!" then
    return nil, ("%q is no condition: NAME=VALUE, such as path=*.conf or flags=O_CREAT"):format(text)
  end
  local value, message = compared(operator, rest)
  if message then return nil, message end
  if value == nil then value, message = value_of(name, rest) end
  if value == nil then return nil, message end
  if value == "" then return nil, ("%s: the value is missing"):format(name) end
  if keys[name] then
    if where[name] ~= nil then return nil, ("%s is given twice"):format(name) end
    if flags[name] then value = value == 1 or value == "true" end
    where[name] = value
    return true
  end
  name = name:match("^arg%.(.+)$") or name
  where.arg = where.arg or {}
  where.arg[tonumber(name) or name] = value
  return true
end

local function conditions(text)
  local parts, message = M.split(text, ",")
  if not parts then return nil, message end
  local where = {}
  for _, part in ipairs(parts) do
    local ok, why = M.condition(where, (part:gsub("^%s+", ""):gsub("%s+$", "")))
    if not ok then return nil, why end
  end
  return where
end

--- Classes that strace knows without the "%" as well, since before it had that.
local old_classes = { desc = true, file = true, ipc = true, memory = true, network = true, process = true,
  signal = true }

--- A set of calls as -e has it, for luatrace.filter.
---@param text string
---@return string|nil set, string? message
function M.set(text)
  if not text:find("[^!]") then return nil, "the set of calls is empty (none says so)" end
  -- A regular expression may contain commas.
  if text:find("/", 1, true) then return text end
  return (text:gsub("[^,!?@]+", function(word) return old_classes[word] and "%" .. word or nil end))
end

--- Reads an expression. Words without conditions come as one entry, first, in strace's grammar (`where` is nil).
---@param text string
---@return { calls: string, where: table? }[]|nil list, string? message
function M.parse(text)
  local list, plain = {}, {}
  -- A regular expression goes on to the end, whatever is in it.
  local head, regex = text, nil
  local at = text:find("^!?%??/") or text:find(",%??/")
  if at then
    local start = text:sub(at, at) == "," and at + 1 or at
    head, regex = text:sub(1, start - 1), text:sub(start)
    head = head:gsub(",$", "")
  end
  local words, message = {}
  if head ~= "" then
    words, message = M.split(head, ",")
    if not words then return nil, ("%s: %s"):format(text, message) end
  end
  for _, word in ipairs(words) do
    local calls, inside = word:match("^([^(]*)%((.*)%)$")
    if calls then
      if calls:sub(1, 1) == "!" then return nil, ("%s: ! takes calls without conditions"):format(word) end
      local where, why = conditions(inside)
      if not where then return nil, ("%s: %s"):format(word, why) end
      list[#list + 1] = { calls = calls == "" and "all" or calls, where = where }
    else
      plain[#plain + 1] = word
    end
  end
  if regex then plain[#plain + 1] = regex end
  if #plain > 0 then
    local calls = table.concat(plain, ",")
    table.insert(list, 1, { calls = calls })
  end
  if #list == 0 then list[1] = { calls = "" } end
  for _, item in ipairs(list) do
    local ok, why
    item.calls, why = M.set(item.calls)
    if item.calls then ok, why = filter.check(item.calls) end
    if not ok then return nil, ("%s: %s"):format(text, why) end
  end
  return list
end

return M
