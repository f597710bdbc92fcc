--- trace("%file", { comm = "cc1" }): these calls, and only these, are printed.

local M = { outcome = "none", notify = true }

function M.enter(_, call) rawset(call, "selected", true) end
M.leave = M.enter

return M
