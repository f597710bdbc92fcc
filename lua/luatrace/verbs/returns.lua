--- returns("unlink", 0, where): the call does not happen; the program sees this result. `execute = true`: it happens
-- first, and its result is replaced.

local M = { outcome = "required", extra = { execute = true }, notify = true }

function M.parse(outcome)
  if type(outcome) == "number" or type(outcome) == "cdata" then return outcome end
  return nil, "a number"
end

function M.check(rule)
  if rule.where.execute or rule.matcher.needs_exit then rule.after = true end
  return true
end

function M.after(rule) return rule.after end

function M.recall(text) return tonumber(text) end
function M.enter(_, call, value) call:returns(value) end
M.leave = M.enter

return M
