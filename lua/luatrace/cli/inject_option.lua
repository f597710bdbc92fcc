--- --inject and -e inject=, -e fault=: strace's grammar, and luatrace's conditions in the same expression.
--
--   SET[(CONDITIONS)][:error=ERRNO][:retval=VALUE][:signal=SIG][:syscall=CALL][:delay_enter=TIME][:delay_exit=TIME]
--     [:poke_enter=@argN=HEX[,...]][:poke_exit=@argN=HEX[,...]][:when=FIRST[..LAST][+[STEP]]]
--     [:kill[=SIG]][:short=BYTES][:corrupt=BITS][:CONDITION]...
--
--   inject_option.rules("write(path=*.db):error=ENOSPC:when=3+", context)   -- { rule }
--
-- As in strace a time without a unit is in microseconds, `when` counts by thread and by call, and of several
-- expressions without conditions the last one that names a call holds for it.

local constants = require "luatrace.constants"
local corrupt = require "luatrace.verbs.corrupt"
local decode = require "luatrace.decode"
local duration = require "luatrace.text.duration"
local expression = require "luatrace.filter.expression"
local kill = require "luatrace.verbs.kill"
local rules = require "luatrace.rules"
local short = require "luatrace.verbs.short"

local M = {}

local function error_of(text)
  local number = tonumber(text)
  if number then
    local name = constants.errno.by_value[number]
    if name then return name end
    return nil, "an error by its name, or its number from 1 to 4095"
  end
  local name = text:upper()
  if constants.errno.by_name[name] then return name end
  return nil, "an error such as ENOSPC (see errno(3))"
end

local function delay_of(text)
  local seconds = duration.seconds(text, "us")
  if seconds and seconds >= 0 then return seconds end
  return nil, "a time: microseconds, or with a unit: 10ms, 1.5s"
end

local function signal_of(text)
  local name = constants.signals.by_value[tonumber(text)]
  local value = kill.parse(name or text:upper())
  if value then return value end
  return nil, "a signal such as SIGINT"
end

local function retval_of(text)
  local number = tonumber(text)
  if number and number % 1 == 0 then return number end
  return nil, "a number"
end

--- "@arg2=0a0b,@arg3=00": which argument's memory gets which bytes.
local function poke_of(text)
  local takes = "@argN=HEX, N from 1 to 6, an even number of hexadecimal digits; several are separated by commas"
  local list = {}
  for part in (text .. ","):gmatch("([^,]*),") do
    local number, hex = part:match("^@arg([1-6])=(%x+)$")
    if not number or #hex % 2 ~= 0 then return nil, takes end
    local bytes = hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)
    list[#list + 1] = { tonumber(number), bytes }
  end
  return list
end

--- strace lets only calls stand in that change nothing.
local function syscall_of(text)
  local row = decode.find("x86_64", text) or decode.find("i386", text)
  if not row then return nil, "the name of a call" end
  if not row.classes.pure then
    return nil, "a call that changes nothing and needs no arguments (%pure: getpid, gettid, getuid, ...)"
  end
  return text
end

local actions = {
  error = error_of, retval = retval_of, signal = signal_of, syscall = syscall_of, delay_enter = delay_of,
  delay_exit = delay_of, poke_enter = poke_of, poke_exit = poke_of,
  kill = function(text) return kill.parse(text ~= "" and text or nil) end,
  short = function(text) return short.parse(tonumber(text) or text) end,
  corrupt = function(text) return corrupt.parse(tonumber(text) or text) end,
}

local function parse_field(outcome, where, field)
  local name, value = field:match("^([%w_]+)=(.*)$")
  name = name or field
  if actions[name] then
    if not value and name ~= "kill" then return nil, name .. "= takes a value" end
    local parsed, takes = actions[name](value or "")
    if parsed == nil then return nil, ("%s= takes %s, not %q"):format(name, takes, value or "") end
    outcome[name] = parsed
    return true
  end
  if name == "when" then
    local matcher = require "luatrace.filter.matcher"
    local ok, takes = matcher.parse_nth(tonumber(value) or value or "")
    if not ok then return nil, ("when= takes %s, not %q"):format(takes, value or "") end
    where.nth, where.scope = tonumber(value) or value, where.scope or "tracee"
    return true
  end
  return expression.condition(where, field)
end

--- Has it conditions that strace has not?
local function is_plain(where)
  for key in pairs(where) do
    if key ~= "nth" and key ~= "scope" and key ~= "any_errno" then return false end
  end
  return true
end

--- As in strace, a later expression holds instead of an earlier one for the calls of both.
local function override(registry, rule)
  for _, earlier in ipairs(registry.rules) do
    if earlier.plain_inject then
      for arch, set in pairs(rule.matcher.sets) do
        for name in pairs(set) do
          if earlier.matcher.sets[arch] then earlier.matcher.sets[arch][name] = nil end
        end
      end
    end
  end
end

--- Adds what one --inject says to a registry.
---@param registry table
---@param text string
---@param context { random: function, any_errno: boolean?, option: string, fault: boolean? }
---@return true|nil ok, string? message
function M.add(registry, text, context)
  local option = context.option
  local fields, message = expression.split(text, ":")
  if not fields then return nil, ("%s: %s"):format(option, message) end
  local list
  list, message = expression.parse(table.remove(fields, 1))
  if not list then return nil, ("%s: %s"):format(option, message) end
  registry.rules = registry.rules or {}
  for _, item in ipairs(list) do
    local outcome, where = {}, {}
    for key, value in pairs(item.where or {}) do where[key] = value end
    for _, field in ipairs(fields) do
      local ok, why = parse_field(outcome, where, field)
      if not ok then return nil, ("%s%s: %s"):format(option, text, why) end
    end
    if context.fault and not outcome.error and not outcome.retval then outcome.error = "ENOSYS" end
    local plain = is_plain(where)
    local rule, why = rules.make("inject", item.calls, outcome, where, { random = context.random,
      rules = registry.rules, where = "the command line", any_errno = context.any_errno })
    if not rule then return nil, ("%s%s: %s"):format(option, text, why) end
    rule.title = option .. text
    rule.plain_inject = plain
    if plain then override(registry, rule) end
    rules.add(registry, rule)
  end
  return true
end

return M
