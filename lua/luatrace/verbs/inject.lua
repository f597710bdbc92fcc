--- --inject: several things that happen to one call at once, decided together; strace's order.
--
-- The outcome is a table: error, retval, syscall, signal, delay_enter, delay_exit, poke_enter, poke_exit, and what
-- luatrace adds: kill, short, corrupt. luatrace.cli.inject_option makes it of the text.

local constants = require "luatrace.constants"
local corrupt = require "luatrace.verbs.corrupt"
local fail = require "luatrace.verbs.fail"
local kill = require "luatrace.verbs.kill"
local poke = require "luatrace.verbs.poke"
local random = require "luatrace.random"
local short = require "luatrace.verbs.short"

local M = { outcome = "required", extra = { execute = true, any_errno = true } }

function M.parse(outcome) return outcome end


function M.check(rule)
  local value = rule.value
  if value.error and value.retval then return nil, "give error or retval, not both" end
  if value.syscall and not (value.error or value.retval) then
    return nil, "syscall= says what runs in the call's place: it needs error= or retval=, which say what it returns"
  end
  if next(value) == nil then
    return nil, "it says nothing to inject: error=, retval=, signal=, delay_enter=, delay_exit=, poke_enter=, " ..
      "poke_exit=, syscall=, kill, short= or corrupt="
  end
  if value.error then
    local as_fail = { matcher = rule.matcher, value = { value.error }, calls = rule.calls, where = rule.where }
    local ok, message = fail.check(as_fail)
    if not ok then return nil, message end
    rule.fits, rule.after = as_fail.fits, as_fail.after
  end
  for _, part in ipairs { { "short", short }, { "corrupt", corrupt } } do
    local name, verb = part[1], part[2]
    if value[name] and not rule.matcher:keep(verb.fits) then
      return nil, ("%s works on calls with %s"):format(name, verb.fits_what)
    end
  end
  if rule.matcher.needs_exit then
    for _, key in ipairs { "syscall", "delay_enter", "poke_enter", "short", "kill" } do
      if value[key] then
        return nil, ("errno, ret and what was read are known only after the call, and %s acts before it"):format(key)
      end
    end
    rule.after = true
  end
  if rule.where.execute then rule.after = true end
  return true
end

--- What a notification cannot do: rewrite arguments or the number, and see the return.
function M.notify(rule, row)
  local value = rule.value
  return not (value.syscall or value.short or value.corrupt or value.poke_exit or value.delay_exit or
    value.error and fail.after({}, { row = row }))
end

--- Nothing but an error: the seccomp filter may answer by itself.
function M.constant(rule, arch, name)
  local value = rule.value
  for key in pairs(value) do
    if key ~= "error" then return nil end
  end
  if not value.error then return nil end
  return fail.constant({ after = rule.after, value = { value.error }, fits = rule.fits }, arch, name)
end

--- What is left to chance comes from one number, so that the log can say it.
function M.draw(rule, call)
  local value = rule.value
  if not value.short and not value.corrupt then return true end
  if value.short and not short.draw({ value = value.short, random = rule.random }, call) then return nil end
  return rule.random(1, 2147483647)
end

function M.recall(text) return tonumber(text) or true end

--- What a part of the rule sees as its rule.
local function part(value, drawn)
  return { value = value, random = random.new(type(drawn) == "number" and drawn or 1) }
end

local function before(rule, call, drawn)
  local value = rule.value
  if value.delay_enter then
    rawset(call, "delayed", true)
    call:sleep(value.delay_enter)
  end
  if value.poke_enter then poke.enter({ value = value.poke_enter }, call) end
  local limit = value.short and short.draw(part(value.short, drawn), call)
  if limit then short.enter(rule, call, limit) end
  if value.corrupt and not corrupt.after(rule, call) then
    local changes = corrupt.draw(part(value.corrupt, drawn), call)
    if changes then corrupt.enter(rule, call, changes) end
  end
  if value.kill then return kill.enter(rule, call, value.kill) end
  if value.signal then call:signal(value.signal) end
  if value.syscall then
    call.nr = constants.numbers[call.arch.name].by_name[value.syscall]
    return
  end
  if rule.after or fail.after({}, call) and value.error then return end
  if value.error then
    call:fail(value.error)
  elseif value.retval then
    call:returns(value.retval)
  end
end

local function behind(rule, call, drawn)
  local value = rule.value
  if value.corrupt and corrupt.after(rule, call) then
    local changes = corrupt.draw(part(value.corrupt, drawn), call)
    if changes then corrupt.leave(rule, call, changes) end
  end
  if value.poke_exit then poke.leave({ value = value.poke_exit }, call) end
  if value.delay_exit then
    rawset(call, "delayed", true)
    call:sleep(value.delay_exit)
  end
  if not rawget(call, "answered") then
    local late = rule.after or value.syscall
    if value.error and (late or fail.after({}, call)) then call:fail(value.error) end
    if value.retval and late then call:returns(value.retval) end
  end
end

function M.enter(rule, call, drawn)
  before(rule, call, drawn)
  local value = rule.value
  local later = value.syscall or value.poke_exit or value.delay_exit or value.corrupt and corrupt.after(rule, call) or
    value.error and fail.after({}, call)
  if value.kill or not later then return end
  call:run()
  behind(rule, call, drawn)
end

function M.leave(rule, call, drawn)
  local value = rule.value
  if value.signal then call:signal(value.signal) end
  behind(rule, call, drawn)
end

return M
