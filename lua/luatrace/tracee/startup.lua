--- Is a program past its start-up? Until the dynamic loader has handed over to the program, its calls are the
-- loader's: faults there make every program fail in the same dull way (`after_startup` in a rule).
--
--   local is_past = require("luatrace.tracee.startup").new()
--   if is_past(call) then ... end
--
-- The loader's own calls come from its text. Constructors of libraries run below it, too: their stacks begin in the
-- loader, those of the program in the program's own _start. Once past, a program stays so until it executes another.

local M = {}

--- The part of a module's name that says it is a dynamic loader (glibc, musl).
local function is_loader(module)
  local name = module and module:match("[^/]*$")
  return name ~= nil and (name:find("^ld[-.]") ~= nil or name:find("^ld%-musl") ~= nil)
end

---@return fun(call: luatrace.Call): boolean
function M.new()
  -- By process and program: an exec starts anew.
  local past = setmetatable({}, { __mode = "k" })
  return function(call)
    local process = call.process
    local images = process.images or 0
    if past[process] == images then return true end
    local stack = call:stack()
    for i = 1, #stack do
      if is_loader(stack[i].module) then return false end
    end
    if #stack == 0 then return false end
    past[process] = images
    return true
  end
end

return M
