--- Rules: what shall happen to which calls, declared instead of programmed.
--
--   kill ("write",   { path = "*.o", nth = 3 })
--   fail ("fsync",   "EIO", { path = "*.db", nth = "2.." })
--   delay("connect", 0.5)
--
-- verb(calls, [outcome], [where]). The verbs are the files of luatrace/verbs, loaded by name; `calls` is a set as for
-- on[...]; `where` is read by filter/matcher.lua. A verb's call returns the rule: `rule.hits` is how often it fired.
--
-- ORDER. The rules and handlers of a call are asked in the order in which they were made. One that answers the call
-- (fail, returns, kill) keeps it from all that follow; after the call the order is reversed, as for handlers.
--
-- HOW TO ADD A VERB: a file of luatrace/verbs that returns
--   outcome   "required", "optional" or "none": the second argument
--   parse(outcome) -> value; or nil, what it takes, and perhaps what is wrong, which then is told instead
--   extra: other keys of `where` that it reads
--   check(rule) -> true, or nil, message                    placed: `at = "entry"|"exit"` says when
--   notify = true: what `enter` does, a notification can serve: it answers, waits, kills, writes memory at most
--   fits(row), fits_what: which calls it can be asked of    only_entry: it cannot wait for the result
--   after(rule, call) -> true when it acts after the call   constant(rule, arch, name) -> errno for the filter
--   draw(rule, call) -> what exactly, this time; nil: nothing to do. The default is rule.value
--   recall(text) -> the same from a log of decisions
--   enter(rule, call, drawn), leave(rule, call, drawn)      before and after the call
--   pending(call)             in front of a call that decides itself whether the rule fires
--   finish(rule)                                            when the run ends

local quote = require "luatrace.text.quote"

local M = {}

M.verbs = { "fail", "returns", "kill", "delay", "signal", "short", "corrupt", "trace", "count", "hold" }

---@class luatrace.Rule
---@field verb string
---@field calls string
---@field where table
---@field value any the outcome, as the verb has read it
---@field matcher luatrace.Matcher
---@field hits integer how often it has fired; those that the seccomp filter answers are not counted
---@field name string|nil for `after` and `until` of other rules
---@field title string for people: kill("write", { nth = 3 }) at FILE:LINE
---@field release fun(self, value)|nil hold: lets all go
local Rule = {}
Rule.__index = Rule

--- Can a notification serve the rule for this call? Not where it acts after the call, or needs a stopped thread: its
-- stack, new arguments; nor where a function of the script's may ask for that.
---@param rule luatrace.Rule
---@param row table
---@return boolean
function M.may_be_notified(rule, row)
  local verb, where = rule.actions, rule.where
  local notify = verb.notify
  if type(notify) == "function" then notify = notify(rule, row) end
  if not notify or rule.after or rule.matcher.needs_exit then return false end
  if where.stack or where.after_startup or where.when then return false end
  return not (verb.after and verb.after(rule, { row = row }))
end

local function is_list(value) return type(value) == "table" and #value > 0 end

--- The arguments after `calls`: an outcome and a where-table, or one of them.
local function split(verb, first, second)
  if verb.outcome == "none" then
    if second ~= nil then return nil, nil, "it takes calls and a where-table, no outcome" end
    return nil, first
  end
  if second ~= nil then return first, second end
  -- A lone table is the where-table, unless it is a list: fail("read", { "EIO", "EAGAIN" }).
  if type(first) == "table" and not is_list(first) then return nil, first end
  return first, nil
end

local function quoted(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "function" then return "function" end
  if type(value) ~= "table" then return tostring(value) end
  if value.is_rule then return value.name and quoted(value.name) or ("the rule at " .. value.at) end
  local parts = {}
  for i = 1, #value do parts[i] = quoted(value[i]) end
  local keys = {}
  for key in pairs(value) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do parts[#parts + 1] = ("%s = %s"):format(quote.key(key), quoted(value[key])) end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

M.quoted = quoted

local function title(verb_name, calls, outcome, where)
  local words = { quoted(calls) }
  if outcome ~= nil then words[#words + 1] = quoted(outcome) end
  if next(where) then words[#words + 1] = quoted(where) end
  return ("%s(%s)"):format(verb_name, table.concat(words, ", "))
end

--- Keys of `where` that rules and verbs read themselves.
local function extra_keys(verb)
  local extra = { name = true }
  for key in pairs(verb.extra or {}) do extra[key] = true end
  return extra
end

local places = { entry = "entry", before = "entry", exit = "exit", after = "exit" }

local function place(rule, verb)
  local at = rule.where.at
  if at ~= nil and not places[at] then return nil, "at takes \"entry\" or \"exit\"" end
  if verb.placed then rule.after = places[at] == "exit" or rule.matcher.needs_exit end
  if rule.matcher.needs_exit and (verb.only_entry or places[at] == "entry") then
    return nil, "errno, ret and what was read are known only after the call, and this acts before it"
  end
  return true
end

--- Makes a rule.
---@param verb_name string
---@param calls string
---@param outcome any
---@param where table|nil
---@param context { random: function, rules: table, where: string, any_errno: boolean? }
---@return luatrace.Rule|nil, string? message
function M.make(verb_name, calls, outcome, where, context)
  local verb = require("luatrace.verbs." .. verb_name)
  if type(calls) ~= "string" then
    return nil, ("the first argument names calls, such as \"write\" or \"%%file\"; it is a %s"):format(type(calls))
  end
  where = where == nil and {} or where
  if outcome == nil and verb.outcome == "required" then
    local _, takes = verb.parse(nil)
    return nil, "the outcome is missing: it takes " .. takes
  end
  local self = setmetatable({ is_rule = true, verb = verb_name, actions = verb, calls = calls, hits = 0,
    random = context.random, at = context.where, seen = setmetatable({}, { __mode = "k" }) }, Rule)
  local value, takes, wrong
  if verb.parse then
    value, takes, wrong = verb.parse(outcome)
    if value == nil then return nil, wrong or ("the outcome is %s, not %s"):format(takes, quoted(outcome)) end
  end
  self.value = value
  local made, message = require("luatrace.filter.matcher").compile(calls, where, { extra = extra_keys(verb),
    random = context.random, rules = context.rules })
  if not made then return nil, message end
  self.matcher, self.where = made, where
  if context.any_errno then self.where.any_errno = true end
  self.name = where.name
  self.title = title(verb_name, calls, outcome, where)
  if verb.fits and not made:keep(verb.fits) then
    return nil, ("it works on calls with %s"):format(verb.fits_what)
  end
  local ok
  ok, message = place(self, verb)
  if ok and verb.check then ok, message = verb.check(self) end
  if not ok then return nil, message end
  return self
end

--- The functions of a script's environment: fail, kill, ...
---@param registry table
---@param context { random: function, any_errno: boolean?, caller: fun(level: integer): string }
---@return table<string, function>
function M.verbs_for(registry, context)
  registry.rules = registry.rules or {}
  local environment = {}
  for _, verb_name in ipairs(M.verbs) do
    environment[verb_name] = function(calls, first, second)
      local verb = require("luatrace.verbs." .. verb_name)
      local outcome, where, wrong = split(verb, first, second)
      local rule, message
      if not wrong then
        rule, message = M.make(verb_name, calls, outcome, where, { random = context.random, rules = registry.rules,
          where = context.caller(2), any_errno = context.any_errno })
      end
      if not rule then error(("%s: %s"):format(verb_name, wrong or message), 2) end
      M.add(registry, rule)
      return rule
    end
  end
  return environment
end

--- Adds a rule to what a script has asked for.
---@param registry table
---@param rule luatrace.Rule
function M.add(registry, rule)
  local list = registry.rules
  list[#list + 1] = rule
  rule.index = #list
  if rule.name then list[rule.name] = rule end
  table.insert(registry.on, { rule = rule, pattern = rule.calls, verb = rule.verb, where = rule.at })
end

--- Rules that name others: are those there?
---@return true|nil ok, string? message
function M.resolve(registry)
  for _, rule in ipairs(registry.rules or {}) do
    for _, moment in ipairs { rule.matcher.after or false, rule.matcher.before or false } do
      if type(moment) == "string" and not registry.rules[moment] then
        return nil, ("%s: %s: there is no rule named %q (a rule gets its name by name = %q in its where-table)"):format(
          rule.at, rule.title, moment, moment)
      end
      local other = type(moment) == "string" and registry.rules[moment] or moment
      if type(other) == "table" and rule.waits_for then
        other.releases = other.releases or {}
        table.insert(other.releases, rule)
      end
    end
  end
  return true
end

-- --- at work --------------------------------------------------------------------------------------------------------

local function fire(rule)
  rule.hits = rule.hits + 1
  for _, held in ipairs(rule.releases or {}) do held:release() end
end

--- What exactly the rule does this time; nil: nothing.
local function draw(rule, call, recalled)
  if recalled ~= nil then
    local recall = rule.actions.recall
    if recall then return recall(recalled) end
    return recalled
  end
  local actions = rule.actions
  if actions.draw then return actions.draw(rule, call) end
  return rule.value == nil and true or rule.value
end

local function act(rule, call, method, address, recalled)
  local drawn = draw(rule, call, recalled)
  if drawn == nil then return end
  fire(rule)
  if rule.decisions then rule.decisions:note(rule, call, address, drawn) end
  rule.actions[method](rule, call, drawn)
end

--- A rule as the session wants it: `test` is asked at each entry, outside of any coroutine; when it says yes, `run` is
-- the handler.
---@param rule luatrace.Rule
---@return { test: fun(call): boolean, run: fun(call) }
function M.handler(rule)
  local match, actions = rule.matcher, rule.actions
  local needs_exit, after = match.needs_exit, actions.after
  local decisions = rule.decisions
  local replayed = decisions and decisions.replays
  local address, recalled

  local function test(call)
    -- The program's own start is no call of the program's.
    local session = call.session
    if not (session.root_started or call.process.attached) then return false end
    if rule.fits and not rule.fits(call) then
      if not rule.unfit and match:concerns(call) then rule.unfit = call:fds()[1].kind or "descriptor" end
      return false
    end
    if decisions then
      address = decisions:address(rule, call)
      if replayed then
        recalled = decisions:recall(address)
        return recalled ~= nil
      end
    end
    return match:entry(call)
  end

  local function run(call)
    -- Of the test just made; the next one may come while this handler waits.
    local here, value = address, recalled
    local is_after = rule.after or after and after(rule, call)
    if not is_after and not needs_exit then return act(rule, call, "enter", here, value) end
    if needs_exit and actions.pending then actions.pending(call) end
    call:run()
    if needs_exit and not replayed and not match:exit(call) then return end
    act(rule, call, "leave", here, value)
  end

  return { rule = rule, test = test, run = run }
end

--- The run has ended.
function M.finish(registry)
  for _, rule in ipairs(registry.rules or {}) do
    if rule.actions.finish then rule.actions.finish(rule) end
    -- A rule that does nothing looks like a program that copes.
    if rule.unfit and rule.hits == 0 then
      io.stderr:write(("luatrace: %s: %s never fired: its calls were on a %s, which gives no such error " ..
        "(any_errno, on the command line --any-errno, injects it all the same)\n"):format(rule.at, rule.title,
        rule.unfit))
    end
    local why = rule.hits == 0 and rule.matcher:why_never()
    if why then io.stderr:write(("luatrace: %s: %s never fired: %s\n"):format(rule.at, rule.title, why)) end
  end
end

return M
