--- count("write", where): counts; the number is in the rule (`rule.hits`) and printed when the run ends.

local M = { outcome = "none", notify = true }

function M.finish(rule)
  io.stderr:write(("luatrace: %s: %d\n"):format(rule.title, rule.hits))
end

function M.enter() end
function M.leave() end

return M
