--- What the faults of the clock share: the time of day that a call has read, moved by so many seconds.

local ffi = require "ffi"

local M = {}

M.calls = "?clock_gettime,?clock_gettime64,?gettimeofday,?time"

--- CLOCK_REALTIME, its coarse form, and CLOCK_TAI.
local time_of_day = { [0] = true, [5] = true, [11] = true }

--- Does this call read the time of day?
function M.reads(call)
  return not call.name:find("^clock_gettime") or time_of_day[tonumber(call.raw[1])] == true
end

--- Runs the call, and moves what it has read.
---@param call luatrace.Call
---@param offset number seconds
function M.move(call, offset)
  local result = call:run()
  if call.errno then return end
  local whole = math.floor(offset)
  if call.name == "time" then
    local address, moved = call.raw[1], result + whole
    if address ~= 0 then
      local cell = ffi.new(call.arch.pointer_size == 8 and "int64_t[1]" or "int32_t[1]", moved)
      call.memory:write(address, ffi.string(cell, call.arch.pointer_size))
    end
    return call:returns(moved)
  end
  local by_microseconds = call.name == "gettimeofday"
  local value = call[by_microseconds and "tv" or "tp"]
  if type(value) ~= "table" or not value.tv_sec then return end
  local field, scale = by_microseconds and "tv_usec" or "tv_nsec", by_microseconds and 1e6 or 1e9
  local part = value[field] + math.floor((offset - whole) * scale)
  value.tv_sec = value.tv_sec + whole + math.floor(part / scale)
  value[field] = part % scale
end

return M
