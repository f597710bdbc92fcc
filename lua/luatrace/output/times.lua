--- The times in a line: what it begins with (-t, -r) and how long its call took (-T).
--
--   local times = require "luatrace.output.times"
--   times.new(style):put(out, time)  -- "12:34:56 ", "(+     0.000123) ", ... as the style asks
--   times.took(out, nanoseconds, 6)  -- " <0.000123>"

local sys = require "luatrace.sys"

local M = {}

---@class luatrace.LineTimes
---@field style luatrace.TextStyle
local Times = {}
Times.__index = Times

---@param style luatrace.TextStyle stamp, relative
---@return luatrace.LineTimes
function M.new(style) return setmetatable({ style = style }, Times) end

--- Nanoseconds as seconds with so many digits behind the point.
local function fraction(nanoseconds, digits)
  if digits == 0 then return "" end
  return ("." .. ("%0" .. digits .. "d"):format(math.floor(nanoseconds / 10 ^ (9 - digits))))
end

--- Where the monotonic clock of stops stands on that of the day: looked at once, so that times in lines never go back.
function Times:find_epoch()
  local seconds, nano = sys.clock_gettime(0)
  local now = sys.monotonic()
  nano = nano - now % 1e9
  self.epoch = seconds - math.floor(now / 1e9) + math.floor(nano / 1e9)
  self.epoch_nano = nano % 1e9
end

--- The beginning of a line about what happened then.
---@param out any a string buffer
---@param time number nanoseconds of the monotonic clock
function Times:put(out, time)
  if not self.epoch then self:find_epoch() end
  local style = self.style
  local wall = style.stamp
  if wall then
    -- Seconds and nanoseconds apart: together they are more than a number holds.
    local nano = time % 1e9 + self.epoch_nano
    local seconds = math.floor(time / 1e9) + self.epoch + math.floor(nano / 1e9)
    out:put(wall.format == "unix" and ("%d"):format(seconds) or os.date("%H:%M:%S", seconds),
      fraction(nano % 1e9, wall.digits), " ")
  end
  if style.relative then
    local passed = time - (self.last_time or time)
    self.last_time = time
    local text = ("%6d"):format(math.floor(passed / 1e9)) .. fraction(passed % 1e9, style.relative)
    if wall then out:put("(+", text, ") ") else out:put(text, " ") end
  end
end

--- How long a call took.
---@param out any a string buffer
---@param nanoseconds number
---@param digits 0|3|6|9 of the seconds' fraction
function M.took(out, nanoseconds, digits)
  out:put((" <%d"):format(math.floor(nanoseconds / 1e9)), fraction(nanoseconds % 1e9, digits), ">")
end

return M
