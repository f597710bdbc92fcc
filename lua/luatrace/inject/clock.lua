--- What the faults of the clock share: the time of day that a call has read, moved by so many seconds.

local ffi = require "ffi"
local layout = require "luatrace.mock.clock.layout"
local sys = require "luatrace.sys"
local waits = require "luatrace.mock.clock.waits"

local M = {}

M.calls = "?clock_gettime,?clock_gettime64,?gettimeofday,?time"

--- CLOCK_REALTIME, its coarse form, the one of alarms, and CLOCK_TAI.
local time_of_day = { [0] = true, [5] = true, [8] = true, [11] = true }

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

--- Waits and timers that are given a time of day as their end: the program has reckoned by its own clock, the kernel
-- goes by the real one. What waits already is not hastened.
---@param t table of a fault
---@param where table
---@param real_of fun(call, seconds: number): number the real time at which it is that late for the program
function M.install_waits(t, where, real_of)
  local serving
  local time = { speed = 1 }
  function time.is_mocked(_, clock) return time_of_day[clock] == true end
  function time.to_real(_, _, moment)
    local real = math.max(0, real_of(serving, moment[1] + moment[2] / 1e9))
    return layout.split(real * 1e9)
  end
  local context = {}
  function context.on(calls, handler, part)
    local pattern = "?" .. table.concat(calls, ",?")
    local matches = t.matches(pattern, where)
    table.insert(t.registry.on, { pattern = pattern, where = "inject", verb = "inject", tests = part and part.tests,
      fn = function(call)
        if not matches(call) then return end
        serving = call
        handler(call)
      end })
  end
  waits.install(context, time)
end

--- The time of day, in seconds.
function M.now()
  local seconds, nanoseconds = sys.clock_gettime(0)
  return seconds + nanoseconds / 1e9
end

return M
