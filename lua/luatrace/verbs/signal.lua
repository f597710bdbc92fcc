--- signal("read", "SIGINT", where): the thread that makes the call gets this signal. By default before the call;
-- `at = "exit"`: after it.

local kill = require "luatrace.verbs.kill"

local M = { outcome = "required", extra = { at = true }, placed = true, notify = true }

function M.parse(outcome)
  if outcome == nil then return nil, "a signal such as \"SIGINT\"" end
  return kill.parse(outcome)
end

function M.enter(_, call, signal) call:signal(signal) end
M.leave = M.enter

return M
