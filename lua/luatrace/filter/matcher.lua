--- From a set of calls and a `where` table to a matcher: is this call meant?
--
--   local matcher, message = matcher.compile("openat,%network", { path = "*.db", nth = "2.." })
--   if matcher:entry(call) then ... end      -- at the call's entry
--   matcher.needs_exit                       -- the entry does not decide: errno, ret, what was read
--   if matcher:exit(call) then ... end       -- after it, where needs_exit
--
-- The order in which a matcher asks: the predicates of luatrace.filter.predicates, the cheap ones first; then after,
-- until and after_startup; then it counts, for nth, within its scope; then chance. So nth counts the calls that all
-- else holds for.

local decode = require "luatrace.decode"
local duration = require "luatrace.text.duration"
local filter = require "luatrace.filter"
local predicates = require "luatrace.filter.predicates"
local startup = require "luatrace.tracee.startup"

local M = {}

--- How many alternatives of tests the filter gets for one matcher; beyond, it is asked about every such call.
local MAX_ALTERNATIVES, MAX_TESTS = 12, 12

---@class luatrace.Matcher
---@field calls string the set it was made for
---@field sets table<string, table<string, true>> names of the calls that it can hold for, per architecture
---@field needs_exit boolean
local Matcher = {}
Matcher.__index = Matcher

--- "3", "3..", "3..9", "3..+2", "3..9+2", "3+2" (strace's): first, last, step.
---@param value any
---@return { first: integer, last: number, step: integer }|nil, string? message
local function parse_nth(value)
  local takes = "a count such as 3, \"3..\", \"3..9\" or \"3..+2\""
  if type(value) == "number" then
    if value < 1 or value % 1 ~= 0 then return nil, takes .. "; counting starts at 1" end
    return { first = value, last = value, step = 1 }
  end
  if type(value) ~= "string" then return nil, takes end
  local range, step = value:match("^([%d.]+)%+(%d*)$")
  range = range or value
  local first, dots, last = range:match("^(%d+)(%.?%.?)(%d*)$")
  if not first or dots == "." or dots == "" and last ~= "" then return nil, takes end
  local result = { first = tonumber(first), step = step and (tonumber(step) or 1) or 1 }
  if dots == ".." then
    result.last = last ~= "" and tonumber(last) or math.huge
  else
    -- strace's F+S: no end.
    result.last = step and math.huge or result.first
  end
  if result.first < 1 then return nil, takes .. "; counting starts at 1" end
  if result.last < result.first then return nil, takes .. "; the last comes before the first" end
  if result.step < 1 then return nil, takes .. "; the step is 1 or more" end
  return result
end
M.parse_nth = parse_nth

--- Counts by what `key_of` gives: an object, which is forgotten when it is gone, or a text.
local function by(key_of)
  return function()
    local counts = setmetatable({}, { __mode = "k" })
    return function(call)
      local key = key_of(call)
      local count = (counts[key] or 0) + 1
      counts[key] = count
      return count
    end
  end
end

--- What is counted together: each gives a function that counts one more and says how many.
local scopes = {
  tree = function()
    local count = 0
    return function()
      count = count + 1
      return count
    end
  end,
  process = by(function(call) return call.process end),
  thread = by(function(call) return call.thread end),
  fd = by(function(call)
    local fd = call:fds()[1]
    return call.process.number .. ":" .. (fd and fd.num or "")
  end),
  path = by(function(call) return call:paths()[1] or "" end),
  --- strace's counting for -e inject=: by thread and by call.
  tracee = by(function(call) return call.thread.number .. ":" .. call.row.name end),
}
local scope_names = { "tree", "process", "thread", "fd", "path", "tracee" }

--- What else a `where` may say: how to count, and what the verbs read themselves.
local controls = { nth = true, scope = true, prob = true, after = true, ["until"] = true, until_ = true,
  after_startup = true }

--- Rows of the calls that a set names, for checks: those of x86-64, or of i386 where it has none.
local function rows_of(sets)
  local rows = {}
  for _, arch in ipairs { "x86_64", "i386", "x32" } do
    for name in pairs(sets[arch] or {}) do rows[#rows + 1] = decode.find(arch, name) end
    if #rows > 0 then break end
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  return rows
end

local function set_of_calls(calls)
  local sets, message = {}, nil
  for _, arch in ipairs { "x86_64", "i386", "x32" } do
    local set, why = filter.calls(calls, arch)
    if set and next(set) then sets[arch] = set elseif not set then message = message or why end
  end
  if next(sets) == nil then return nil, message or ("%q names no call"):format(calls) end
  return sets
end

local function check_key(key, extra)
  if predicates[key] and predicates[key].compile or controls[key] or extra and extra[key] then return true end
  local known = {}
  for name, predicate in pairs(predicates) do
    if type(predicate) == "table" then known[name] = true end
  end
  for name in pairs(controls) do known[name] = true end
  for name in pairs(extra or {}) do known[name] = true end
  known.until_ = nil
  local near = filter.nearest(tostring(key), known)
  if #near > 0 then
    return nil, ("there is no %s (did you mean %s?)"):format(tostring(key), table.concat(near, ", "))
  end
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  table.sort(names)
  return nil, ("there is no %s; there are %s; an argument's value goes into arg = { %s = ... }"):format(tostring(key),
    table.concat(names, ", "), tostring(key))
end

--- Leaves out the calls that something cannot be asked of.
---@param fits fun(row: table): boolean
---@return boolean left is any call left?
function Matcher:keep(fits)
  local left = false
  for arch, set in pairs(self.sets) do
    for name in pairs(set) do
      if not fits(decode.find(arch, name)) then set[name] = nil end
    end
    if next(set) == nil then self.sets[arch] = nil else left = true end
  end
  return left
end

local function time_of(value, what)
  if type(value) == "number" and value >= 0 then return value end
  if type(value) == "table" and value.is_rule then return value end
  if type(value) == "string" then
    local seconds = value:find("%a$") and duration.seconds(value)
    if seconds and seconds >= 0 then return seconds end
    if value ~= "" then return value end
  end
  return nil, what .. " takes a rule, the name of one, or a time since the start such as 2 or \"500ms\""
end

--- Makes a matcher.
---@param calls string a set of calls as for on[...]
---@param where table|nil
---@param options { extra: table<string, any>?, random: (fun(): number)?, rules: table? }|nil extra: keys that somebody
-- else reads; random: for prob; rules: where `after` finds rules by name
---@return luatrace.Matcher|nil, string? message
function M.compile(calls, where, options)
  options = options or {}
  where = where or {}
  if type(where) ~= "table" then
    return nil, ("where is a table such as { path = \"*.db\" }, not a %s"):format(type(where))
  end
  local sets, message = set_of_calls(calls)
  if not sets then return nil, message end
  local self = setmetatable({ calls = calls, sets = sets, where = where, random = options.random,
    rules = options.rules or {}, needs_exit = false, at_entry = {}, at_exit = {}, seen = {} }, Matcher)
  local rows = rows_of(sets)
  local used = {}
  for key in pairs(where) do
    local ok, why = check_key(key, options.extra)
    if not ok then return nil, why end
    if type(predicates[key]) == "table" then used[#used + 1] = key end
  end
  table.sort(used, function(a, b)
    local x, y = predicates[a].cost or 5, predicates[b].cost or 5
    if x ~= y then return x < y end
    return a < b
  end)
  for _, key in ipairs(used) do
    local predicate, value, seen = predicates[key], where[key], {}
    self.seen[key] = seen
    local ok, test, why = pcall(predicate.compile, value, rows, seen)
    if not ok then test, why = nil, nil end
    if not test then return nil, why and ("%s: %s"):format(key, why) or ("%s takes %s"):format(key, predicate.takes) end
    local fits = predicate.fits
    if fits and not self:keep(function(row) return fits(row, value) end) then
      return nil, ("%s can never match: none of these calls has such an argument"):format(key)
    end
    local at = predicate.at or "entry"
    if type(at) == "function" then at = at(value, rows) end
    local list = at == "exit" and self.at_exit or self.at_entry
    list[#list + 1] = test
    if at == "exit" then self.needs_exit = true end
  end
  local ok, why = self:read_controls(where)
  if not ok then return nil, why end
  return self
end

function Matcher:read_controls(where)
  local message
  if where.nth ~= nil then
    self.nth, message = parse_nth(where.nth)
    if not self.nth then return nil, "nth takes " .. message end
  end
  if where.scope ~= nil and not scopes[where.scope] then
    return nil, ("scope takes %s, not %s"):format(table.concat(scope_names, ", "), tostring(where.scope))
  end
  self.count = scopes[where.scope or "tree"]()
  if where.prob ~= nil then
    if type(where.prob) ~= "number" or where.prob < 0 or where.prob > 1 then
      return nil, "prob takes a probability from 0 to 1"
    end
    if where.prob == 0 then return nil, "prob = 0 can never match" end
    self.prob = where.prob
  end
  if where.after == "startup" or where.after_startup then
    self.after_startup = startup.new()
  elseif where.after ~= nil then
    self.after, message = time_of(where.after, "after")
    if not self.after then return nil, message end
  end
  local last = where["until"] or where.until_
  if last ~= nil then
    self.before, message = time_of(last, "until")
    if not self.before then return nil, message end
  end
  return true
end

--- Is that moment past? A time since the start, or a rule that has fired.
local function is_past(self, moment, call)
  if type(moment) == "number" then return (call.entered - call.session.started) / 1e9 >= moment end
  local rule = type(moment) == "table" and moment or self.rules[moment]
  return rule ~= nil and rule.hits > 0
end

local function all(tests, call)
  for i = 1, #tests do
    if not tests[i](call) then return false end
  end
  return true
end

--- The last questions: after and until, then the count, then chance.
---@param call luatrace.Call
---@return boolean
function Matcher:admit(call)
  if self.after_startup and not self.after_startup(call) then return false end
  if self.after and not is_past(self, self.after, call) then return false end
  if self.before and is_past(self, self.before, call) then return false end
  local nth = self.nth
  if nth then
    local count = self.count(call)
    if count < nth.first or count > nth.last or (count - nth.first) % nth.step ~= 0 then return false end
  end
  if self.prob and self.random() >= self.prob then return false end
  return true
end

--- Do the predicates hold that can be asked at the entry? Where they are all, the count and chance decide, too.
---@param call luatrace.Call
---@return boolean
function Matcher:entry(call)
  if not all(self.at_entry, call) then return false end
  return self.needs_exit or self:admit(call)
end

--- The same without a count: nobody is told that the call has come.
---@param call luatrace.Call
---@return boolean
function Matcher:concerns(call) return all(self.at_entry, call) end

--- After the call: do those hold that had to wait for it?
---@param call luatrace.Call
---@return boolean
function Matcher:exit(call)
  return all(self.at_exit, call) and self:admit(call)
end

--- Why it has held for none of the calls that it was asked about, where that does not show in the calls themselves.
---@return string|nil
function Matcher:why_never()
  for key, seen in pairs(self.seen) do
    local why = predicates[key].why_never and predicates[key].why_never(seen)
    if why then return why end
  end
end

--- Is it decided by the filter alone: nothing but scalars, each told completely?
function Matcher:is_plain()
  return not (self.needs_exit or self.nth or self.prob or self.after or self.before or self.after_startup)
end

local function product(left, right)
  local result = {}
  for _, a in ipairs(left) do
    for _, b in ipairs(right) do
      local both = {}
      for _, test in ipairs(a) do both[#both + 1] = test end
      for _, test in ipairs(b) do both[#both + 1] = test end
      if #both > MAX_TESTS then return nil end
      result[#result + 1] = both
    end
  end
  return #result <= MAX_ALTERNATIVES and result or nil
end

--- What the seccomp filter can rule out for one call.
---@param arch string
---@param name string
---@return table[]|nil alternatives each a list of tests; nil: nothing, boolean exact nothing is left to ask in Lua
function Matcher:scalar(arch, name)
  local row = decode.find(arch, name)
  local alternatives, exact = { {} }, self:is_plain()
  for key, value in pairs(self.where) do
    local predicate = predicates[key]
    if type(predicate) == "table" then
      local told, partial
      if predicate.scalar then told, partial = predicate.scalar(value, row, arch) end
      local both = told and product(alternatives, told)
      if both then alternatives = both end
      if not both or partial then exact = false end
    end
  end
  if #alternatives == 1 and #alternatives[1] == 0 then return nil, exact end
  return alternatives, exact
end

--- By which paths the core may tell, without Lua, that the matcher holds for none of a call's: see plan.lua.
---@return { [1]: string, [2]: string }[]|nil ends of each pattern; nil: only the matcher itself can tell
function Matcher:path_ends()
  -- after_startup looks at every call that it gets.
  if not self.where.path or self.after_startup then return nil end
  return predicates.path.ends(self.where.path)
end

return M
