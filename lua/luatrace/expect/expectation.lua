--- What all expectations share: where the test stated it, which calls it hears of, how it says why it does not hold.
--
-- An expectation is a property (one file of luatrace/expect each) at work. A property is a table with
--
--   start(e, ...)               reads the arguments, sets e.title, and names its calls with e:hear(pattern)
--   entered(e, record, call)    one of them was entered; `call` is the live one, nil in a recorded run
--   returned(e, record, call)   it has returned, or will never
--   birth, exec, exit_process   life of processes: (e, stop, thread), (e, stop, process, node), (the same)
--   verdict(e, run)             at the end: nothing, or e:failed(message, { record, ... })
--   stacks = "all"              it wants the stack of each call that it hears of, not only of those that it notes
--   live = true                 it looks at the program while it runs: not to be had of a recorded run

local event = require "luatrace.event"
local filter = require "luatrace.filter"
local glob = require "luatrace.filter.glob"
local quote = require "luatrace.text.quote"
local recorded_calls = require "luatrace.run.recorded_calls"
local script_place = require "luatrace.event.script_place"

local M = {}

--- How many calls a failure shows.
local SHOWN = 5

---@class luatrace.Expectation
---@field title string how the test wrote it: 'expect("fsync"):before("rename")'
---@field where string file:line of the test
---@field patterns string[] sets of calls that it hears of
---@field matchers luatrace.Matcher[] its where-tables
local Expectation = {}
Expectation.__index = Expectation
M.Expectation = Expectation

--- As failures begin: where it was stated, and how.
function Expectation:__tostring() return ("%s: %s"):format(self.where, self.title) end

---@class luatrace.ExpectationFailure
---@field where string file:line of the test
---@field title string
---@field message string
---@field calls table[] recorded calls; the field `note` of { call, note = } says what is wrong with one

--- file:line of whoever called luatrace, however deep in luatrace we are.
---@return string where, integer level for error()
function M.caller()
  local level = script_place.level(2)
  local info = debug.getinfo(level, "Sl")
  if not info then return "?", 1 end
  local file = info.source:match("^@(.*)$") or info.short_src
  return ("%s:%d"):format(file, info.currentline), level - 1
end

--- A mistake in the test: said with its line.
function Expectation:misuse(message) error(("%s: %s"):format(self.where or M.caller(), message), 0) end

--- Hears of these calls from now on.
---@param pattern string a set as of on[...]
---@return table<string, true> names
function Expectation:hear(pattern)
  local names = M.names_of(pattern, self)
  table.insert(self.patterns, pattern)
  for name in pairs(names) do self.names[name] = true end
  return names
end

--- The names of a set; a misspelt one is a mistake in the test.
function M.names_of(pattern, expectation)
  if type(pattern) ~= "string" then
    expectation:misuse(("%s takes a set of calls such as \"write,%%network\", not a %s"):format(expectation.verb,
      type(pattern)))
  end
  local ok, message = filter.check(pattern)
  if not ok then expectation:misuse(("%s: %s"):format(expectation.verb, message)) end
  return recorded_calls.names(pattern)
end

--- Options that the property has not are a mistake in the test.
---@param options table|nil
---@param known table<string, any>
function Expectation:check_fields(options, known)
  if options == nil then return end
  local list = {}
  for name in pairs(known) do list[#list + 1] = name end
  table.sort(list)
  if type(options) ~= "table" then
    self:misuse(("%s takes a table with %s, not a %s"):format(self.verb, table.concat(list, ", "), type(options)))
  end
  for name in pairs(options) do
    if not known[name] then
      self:misuse(("%s has no option %s: it takes %s"):format(self.verb, tostring(name), table.concat(list, ", ")))
    end
  end
end

--- A where-table as a function of a recorded call; `at` "entry": it must be decided when the call is entered.
---@param calls string
---@param where table|nil
---@param at "entry"|nil
---@return fun(call: luatrace.RecordedCall): boolean
function Expectation:matcher(calls, where, at)
  local matches, message, made = recorded_calls.matcher(calls, where)
  if not matches then self:misuse(("%s: %s"):format(self.verb, message)) end
  if where and where.stack then self.stacks = "all" end
  if at == "entry" and made.needs_exit then
    self:misuse(("%s: the call must be told at its entry: not by what it returns"):format(self.verb))
  end
  table.insert(self.matchers, made)
  return matches
end

--- Why one of its where-tables could hold for no call, so that the verdict says little of the program; nil: they could.
---@return string|nil
function Expectation:why_never()
  for _, made in ipairs(self.matchers) do
    local why = made:why_never()
    if why then return why end
  end
end

--- A pattern for paths as a function.
---@param pattern string
---@return fun(path: string): boolean
function Expectation:glob(pattern)
  local matches, message = glob.compile(type(pattern) == "string" and pattern or "")
  if not matches then self:misuse(("%s: %s is no pattern: %s"):format(self.verb, tostring(pattern), message)) end
  return matches
end

--- Any of several patterns; none at all matches nothing.
---@param patterns string|string[]|nil
---@return fun(path: string|nil): boolean
function Expectation:globs(patterns)
  local tests = {}
  for i, pattern in ipairs(type(patterns) == "table" and patterns or { patterns }) do tests[i] = self:glob(pattern) end
  return function(path)
    for i = 1, #tests do
      if path and tests[i](path) then return true end
    end
    return false
  end
end

--- { path = "*.db" } for titles.
local function show_value(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts, keys = {}, {}
  for i, item in ipairs(value) do parts[i] = show_value(item) end
  for key in pairs(value) do
    if type(key) ~= "number" then keys[#keys + 1] = tostring(key) end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = ("%s = %s"):format(quote.key(key), show_value(value[key])) end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end
M.show_value = show_value

--- 'verb("a", { path = "b" })' for titles.
function M.show_call(name, ...)
  local parts = {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if value ~= nil then parts[#parts + 1] = show_value(value) end
  end
  return ("%s(%s)"):format(name, table.concat(parts, ", "))
end

--- A failure of this expectation.
---@param message string
---@param calls table[]|nil recorded calls, or { call, note = "..." }
---@return luatrace.ExpectationFailure
function Expectation:failed(message, calls)
  return M.failure { where = self.where, title = self.title, message = message, calls = calls or {},
    expectation = self }
end

--- Takes down the stack of the call that is being told of: it will be evidence.
---@param record luatrace.RecordedCall
---@return luatrace.RecordedCall record
function Expectation:keep(record)
  local call = self.current
  if call and call.phase ~= "over" and not record.frames and rawget(record.process, "exe") then
    record.frames = call:stack()
  end
  return record
end

--- Keeps the first calls of a kind, and how many there were.
---@param list table
---@param record table a recorded call, or { call, note = }
function Expectation:note(list, record)
  list.count = (list.count or 0) + 1
  if #list < SHOWN then
    list[#list + 1] = record
    self:keep(record[1] or record)
  end
end

local function who(call)
  local process = call.process
  return ("[%s, pid %d]"):format(process.comm or "?", process.pid)
end

--- A failure in words: first line, then each call with its stack.
---@param failure luatrace.ExpectationFailure
---@return string
function M.describe(failure)
  local lines = { ("%s: %s: %s"):format(failure.where, failure.title, failure.message) }
  local count = failure.calls.count or #failure.calls
  for i = 1, math.min(#failure.calls, SHOWN) do
    local item = failure.calls[i]
    local call, note = item, nil
    if item[1] then call, note = item[1], item.note end
    lines[#lines + 1] = ("    %s  %s%s"):format(call.text, who(call), note and "  <- " .. note or "")
    for _, frame in ipairs(recorded_calls.stack_lines(call)) do lines[#lines + 1] = "        at " .. frame end
  end
  if count > math.min(#failure.calls, SHOWN) then
    lines[#lines + 1] = ("    ... and %d more"):format(count - math.min(#failure.calls, SHOWN))
  end
  return table.concat(lines, "\n")
end

local failure_meta = { __tostring = M.describe }

--- Failures tell themselves: tostring(failure).
---@param fields table where, title, message, calls
---@return luatrace.ExpectationFailure
function M.failure(fields) return setmetatable(fields, failure_meta) end

--- Makes an expectation of a property.
---@param property table
---@param verb string its name, for titles and messages
---@return luatrace.Expectation
function M.new(property, verb, ...)
  if not property.__index then
    property.__index, property.__tostring = property, Expectation.__tostring
    setmetatable(property, Expectation)
  end
  local self = setmetatable({ verb = verb, where = M.caller(), patterns = {}, names = {}, matchers = {} }, property)
  self.title = M.show_call(verb, ...)
  self:start(...)
  return self
end

M.misuse = event.misuse

return M
