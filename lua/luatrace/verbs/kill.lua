--- kill("write", { path = "*.o", nth = 3 }) or kill("write", "SIGTERM", where): ends the process there. By default
-- before the call, which then never happens; `at = "exit"`: after it.

local constants = require "luatrace.constants"

local M = { outcome = "optional", extra = { at = true }, notify = true }

function M.parse(outcome)
  if outcome == nil then return "SIGKILL" end
  local known = constants.signals.by_name
  if type(outcome) == "string" then
    if known[outcome] then return outcome end
    if known["SIG" .. outcome] then return "SIG" .. outcome end
  end
  return nil, "a signal such as \"SIGKILL\""
end

M.placed = true

function M.enter(_, call, signal) call:kill(signal) end
M.leave = M.enter

return M
