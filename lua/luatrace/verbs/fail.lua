--- fail("fsync", "EIO", where): the call fails with this error instead of happening.
--
-- A list of errors: one of them each time, by chance. `execute = true`: the call happens first and then fails (a lie);
-- close always does, because Linux releases the descriptor whatever it returns.

local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local filter = require "luatrace.filter"
local realistic = require "luatrace.rules.realistic"

local M = { outcome = "required", extra = { execute = true, any_errno = true }, notify = true }

--- Calls that have let go of what they were given before they fail.
local executes_anyway = { close = true }
--- The filter is in place when the program itself is executed: that one must not fail.
local starts_programs = { execve = true, execveat = true }

function M.parse(outcome)
  local list = type(outcome) == "table" and outcome or { outcome }
  local takes = "the name of an error such as \"EIO\", or a list of them"
  if #list == 0 then return nil, takes end
  for _, name in ipairs(list) do
    if type(name) ~= "string" then return nil, takes end
    if not constants.errno.by_name[name] then
      return nil, takes, ("there is no error %q%s"):format(name, filter.did_you_mean(name, constants.errno.by_name))
    end
  end
  return list
end

function M.check(rule)
  if not rule.where.any_errno then
    local ok, message = realistic.check(rule.matcher, rule.value, rule.calls, rule.where.fd)
    if not ok then return nil, message end
    rule.fits = realistic.kind_test(rule.value)
  end
  if rule.where.execute or rule.matcher.needs_exit then rule.after = true end
  return true
end

--- Where the outcome is always the same, and nothing else is asked, the seccomp filter can answer by itself.
function M.constant(rule, arch, name)
  if rule.after or #rule.value > 1 or executes_anyway[name] or starts_programs[name] then return nil end
  -- Which kind of descriptor it is, the filter cannot know.
  if rule.fits and realistic.depends_on_kind(rule.value, decode.find(arch, name)) then return nil end
  return constants.errno.by_name[rule.value[1]]
end

function M.after(rule, call) return rule.after or executes_anyway[call.row.name] end

function M.draw(rule)
  local list = rule.value
  return #list == 1 and list[1] or list[rule.random(#list)]
end

function M.enter(_, call, name) call:fail(name) end
M.leave = M.enter

return M
