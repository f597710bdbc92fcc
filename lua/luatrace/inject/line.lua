--- Something through which only so many bytes go in a second, whoever sends them: a disk, one way of a network.
--
--   local line = require("luatrace.inject.line").new(1000)
--   call:sleep(line:wait(500))         -- half a second, and what those before us still need

local sys = require "luatrace.sys"

local M = {}

local Line = {}
Line.__index = Line

---@param bandwidth number|nil bytes a second; nil: no limit
function M.new(bandwidth) return setmetatable({ bandwidth = bandwidth, free_at = 0 }, Line) end

--- Takes the line for so many bytes.
---@return number seconds until they are through
function Line:wait(bytes)
  if not self.bandwidth then return 0 end
  local now = tonumber(sys.monotonic())
  self.free_at = math.max(now, self.free_at) + bytes / self.bandwidth * 1e9
  return (self.free_at - now) / 1e9
end

return M
