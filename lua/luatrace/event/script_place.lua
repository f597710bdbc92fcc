--- Where in the script we are: which of the functions that are running is the user's own.

local M = {}

local own_sources = debug.getinfo(1, "S").source:match("^(.*)event/script_place%.lua$")

local function is_ours(info) return info.what == "C" or info.source:sub(1, #own_sources) == own_sources end

--- The nearest function that is neither luatrace's nor C, as a level for `error` and debug.getinfo of the caller.
---@param first integer the level to begin with, as the caller counts
---@return integer level one above the last when there is none
function M.level(first)
  local level = first + 1
  while true do
    local info = debug.getinfo(level, "S")
    if not info or not is_ours(info) then return level - 1 end
    level = level + 1
  end
end

--- "FILE:LINE" of that function; "?" when there is none.
---@param first integer as for `level`
---@return string
function M.nearest(first)
  return M.at(M.level(first + 1)) or "?"
end

--- Is it the user's own code that has called, `level` levels up as the caller counts? Then "FILE:LINE".
---@param level integer
---@return string|nil
function M.at(level)
  local info = debug.getinfo(level + 1, "Sl")
  if info and not is_ours(info) then return ("%s:%d"):format(info.short_src, info.currentline) end
end

return M
