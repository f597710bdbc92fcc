--- hold("connect", where): the thread waits in front of the call until somebody says `rule:release()`, or until
-- another rule fires or a time since the start has come (`["until"] = rule` or seconds).

local M = { outcome = "none", only_entry = true, notify = true }

--- Lets all go that are held.
---@param rule luatrace.Rule
function M.release(rule, value)
  local held = rule.held
  rule.held = {}
  for _, call in ipairs(held) do call:release(value) end
end

function M.check(rule)
  rule.held = {}
  rule.release = M.release
  local last = rule.matcher.before
  if last and type(last) ~= "number" then rule.waits_for = last end
  return true
end

function M.enter(rule, call)
  local last = rule.matcher.before
  if type(last) == "number" then
    return call:sleep(math.max(0, last - (call.entered - call.session.started) / 1e9))
  end
  rule.held[#rule.held + 1] = call
  call:hold()
end

return M
