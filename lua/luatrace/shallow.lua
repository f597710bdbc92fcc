--- Copies of tables, one level deep: what is inside is shared.
--
--   local once = shallow.copy(point)
--   once.fault = nil                    -- point.fault stays

local M = {}

---@generic T: table
---@param from T
---@return T copy without the metatable
function M.copy(from)
  local to = {}
  for key, value in pairs(from) do to[key] = value end
  return to
end

return M
