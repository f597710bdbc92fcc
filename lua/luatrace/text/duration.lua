--- Times as people write them, with a unit or without.
--
--   duration.seconds "200ms"          -- 0.2
--   duration.seconds(5)               -- 5
--   duration.seconds("5", "us")       -- 5e-6: what a number alone means

local M = {}

local units = { s = 1, ms = 1e-3, us = 1e-6, ns = 1e-9, m = 60, min = 60, h = 3600, d = 86400 }

---@param value any a number, or text
---@param unit string|nil of a number alone; default "s"
---@return number|nil seconds nil when it is no time
function M.seconds(value, unit)
  if type(value) == "number" then return value * units[unit or "s"] end
  if type(value) ~= "string" then return nil end
  local number, given = value:match("^(%-?%d*%.?%d*)%s*(%a*)$")
  number = tonumber(number)
  local scale = units[given == "" and (unit or "s") or given]
  return number and scale and number * scale or nil
end

return M
