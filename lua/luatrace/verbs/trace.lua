--- trace("%file", { comm = "cc1" }): these calls, and only these, are printed.

local M = { outcome = "none" }

function M.enter(_, call) rawset(call, "selected", true) end
M.leave = M.enter

return M
