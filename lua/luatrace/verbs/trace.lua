--- trace("%file", { comm = "cc1" }): these calls are printed; where nothing else asks for output, only these.

local M = { outcome = "none" }

--- What the outputs show it for is known only after the call: until then they take it down.
function M.pending(call)
  if call.session:show(call) then rawset(call, "undecided", true) end
end

function M.enter(_, call)
  rawset(call, "selected", true)
  call.session:show(call)
end

function M.leave(_, call) rawset(call, "selected", true) end

return M
