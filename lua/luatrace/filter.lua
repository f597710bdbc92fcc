--- One language for sets of calls: `on[...]`, rules, -e and assertions all read it here.
--
-- The grammar is that of strace's -e trace=: names separated by commas, `%class` (or `/regex`), `all`, `none`, a
-- leading `!` for everything else, a leading `?` for names that need not exist, `@64`, `@32`, `@x32` for one
-- personality; a number is the call that has it.
--
--   filter.calls("openat,%network,/^sched_", "x86_64")   -- { openat = true, connect = true, ... }

local decode = require "luatrace.decode"
local multiplexed = require "luatrace.decode.multiplexed"
local packed = require "luatrace.packed"
local sys = require "luatrace.sys"

local M = {}

local personality = { ["64"] = "x86_64", ["32"] = "i386", x32 = "x32" }

--- strace's own other names for classes.
local class_alias = { net = "network", mem = "memory", desc = "desc", file = "file" }

--- How many edits lead from one word to the other; two letters changed about are one.
local function distance(a, b)
  local rows = { [-1] = {}, [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    local row, above = { [0] = i }, rows[i - 1]
    rows[i] = row
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local value = math.min(above[j - 1] + (same and 0 or 1), above[j] + 1, row[j - 1] + 1)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        value = math.min(value, rows[i - 2][j - 2] + 1)
      end
      row[j] = value
    end
  end
  return rows[#a][#b]
end

--- The known names nearest to a misspelt one, best first, three at the most.
---@param word string
---@param names table<string, any> constants, too
---@return string[]
function M.nearest(word, names)
  local scored = {}
  for name in pairs(packed.whole(names)) do
    local d = distance(word, name)
    if d <= math.max(1, math.floor(#word / 3)) then scored[#scored + 1] = { d, name } end
  end
  table.sort(scored, function(x, y)
    if x[1] ~= y[1] then return x[1] < y[1] end
    return x[2] < y[2]
  end)
  local best = {}
  for i = 1, math.min(3, #scored) do best[i] = scored[i][2] end
  return best
end

--- What a message about a misspelt word adds: " (did you mean read, readv?)"; "" where nothing is near.
---@param word string
---@param names table<string, any>
---@param most integer|nil so many names at the most; default 3
---@return string
function M.did_you_mean(word, names, most)
  local near = M.nearest(word, names)
  if #near == 0 then return "" end
  return (" (did you mean %s?)"):format(table.concat(near, ", ", 1, math.min(most or 3, #near)))
end

local function add_class(set, class, arch)
  local names = decode.classes(arch)[class]
  for name in (names or ""):gmatch("%S+") do set[name] = true end
  return names ~= nil
end

--- All class names, for messages.
local function no_class(word)
  local names, list = {}, {}
  for class in pairs(decode.classes("x86_64")) do
    list[#list + 1] = "%" .. class
    names["%" .. class] = true
  end
  table.sort(list)
  local near = M.did_you_mean(word, names)
  return ("there is no class %s%s"):format(word, near ~= "" and near or "; there are " .. table.concat(list, " "))
end

local function add_word(set, word, arch)
  local optional = word:sub(1, 1) == "?"
  if optional then word = word:sub(2) end
  local plain, only = word:match("^(.-)@(%w+)$")
  if plain then
    if not personality[only] then return nil, ("%s: after @ comes 64, 32 or x32"):format(word) end
    if personality[only] ~= arch then return true end
    word = plain
  end
  if word == "all" or word == "%all" then
    for name in pairs(decode.names(arch)) do set[name] = true end
    return true
  end
  if word == "none" then return true end
  local bracketed = word:match("^([%%%w_]+)%(")
  if bracketed then
    return nil, ("conditions in brackets are the command line's: in a script it is %q, and a table such as %s"):format(
      bracketed, '{ path = "*.db" }')
  end
  local class = word:match("^%%(.+)$")
  if class then
    class = class_alias[class] or class
    if add_class(set, class, arch) or optional then return true end
    if decode.classes("x86_64")[class] then return true end -- a class without members on this architecture
    return nil, no_class(word)
  end
  if word:sub(1, 1) == "/" then
    local matches, message = sys.regex(word:sub(2))
    if not matches then return nil, ("%s is no regular expression: %s"):format(word, message) end
    local found = false
    for name in pairs(decode.names(arch)) do
      if matches(name) then set[name], found = true, true end
    end
    if found or optional then return true end
    return nil, ("no call matches %s"):format(word)
  end
  local number = decode.number(arch, word)
  if number then
    set[word] = true
    -- Whatever is made through it has its own name.
    if arch == "i386" and multiplexed.has_inner(number) then
      for _, name in ipairs(multiplexed.names_inside(number)) do set[name] = true end
    end
    return true
  end
  local numbered = word:find("^%d+$") and decode.name_of(arch, tonumber(word))
  if numbered then
    set[numbered] = true
    return true
  end
  if optional then return true end
  if word == "" then return nil, "the set of calls has an empty word" end
  return nil, ("there is no call %q%s"):format(word, M.did_you_mean(word, decode.names(arch)))
end

--- The calls of one architecture that a set names.
---@param text string
---@param arch "x86_64"|"i386"|"x32"
---@return table<string, true>|nil set, string? message
function M.calls(text, arch)
  local negated = text:sub(1, 1) == "!"
  if negated then text = text:sub(2) end
  local set = {}
  -- A regular expression may contain commas: it goes on to the end.
  local rest = text
  repeat
    local word
    if rest:find("^%??/") then
      word, rest = rest, nil
    else
      word, rest = rest:match("^([^,]*),?(.*)$")
      if rest == "" then rest = nil end
    end
    local ok, message = add_word(set, word, arch)
    if not ok then return nil, message end
  until not rest
  if negated then
    local others = {}
    for name in pairs(decode.names(arch)) do
      if not set[name] then others[name] = true end
    end
    return others
  end
  return set
end

--- Is this a set that names calls on some architecture?
---@param text string
---@return boolean|nil ok, string? message
function M.check(text)
  local first
  for _, arch in ipairs { "x86_64", "i386", "x32" } do
    local set, message = M.calls(text, arch)
    if set then return true end
    first = first or message
  end
  return nil, first
end

return M
