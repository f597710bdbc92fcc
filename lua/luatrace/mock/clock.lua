--- The clock mock: what time it is for the program, and how fast it passes.
--
--   clock { at = "2038-01-19 03:14:00" }           -- then, and on from there; UTC unless it says "+01:00"
--   clock { speed = 100 }                          -- a sleep of 100 s takes one
--   local time = clock { at = 0, speed = 0.5 }
--   time:now()                                     -- seconds since 1970, for the program
--   time:advance(3600)                             -- an hour later, at once
--
-- All calls that read a clock are answered (time, gettimeofday, clock_gettime of every clock but those of processor
-- time, times, sysinfo, adjtimex), with the vDSO hidden so that they are calls; setting the time sets the mock's.
-- Sleeps, timeouts and timers are given to the kernel in real time: clock/waits.lua. Times of files, /proc/uptime and
-- the processor's own counters are the real ones.

local bit = require "bit"
local ffi = require "ffi"
local date = require "luatrace.mock.clock.date"
local layout = require "luatrace.mock.clock.layout"
local mock = require "luatrace.mock"
local sys = require "luatrace.sys"
local waits = require "luatrace.mock.clock.waits"

local M = {}

local CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_TAI, CLOCK_BOOTTIME = 0, 1, 11, 7
--- The clocks that show the time of day; those that only count; all others measure work.
local is_time_of_day = { [CLOCK_REALTIME] = true, [5] = true, [8] = true, [CLOCK_TAI] = true }
local counts = { [CLOCK_MONOTONIC] = true, [4] = true, [6] = true, [CLOCK_BOOTTIME] = true, [9] = true }

--- The program's time.
---@class luatrace.MockTime
---@field speed number
local Time = {}
Time.__index = Time

---@param at { [1]: integer, [2]: number }|nil nil: now
local function new_time(at, speed)
  return setmetatable({ at = at, speed = speed, ahead = 0, bases = {} }, Time)
end

--- From here on time is the mock's: at the program's start, or when it is first asked for.
function Time:begin()
  if self.began then return end
  self.began = sys.monotonic()
  if not self.at then self.at = { sys.clock_gettime(CLOCK_REALTIME) } end
  self.real = { sys.clock_gettime(CLOCK_REALTIME) }
  self.tai = sys.clock_gettime(CLOCK_TAI) - self.real[1]
  for clock in pairs(counts) do self.bases[clock] = { sys.clock_gettime(clock) } end
end

--- Is it a clock that this mock has? With the real speed the counting ones are left as they are.
function Time:is_mocked(clock)
  return is_time_of_day[clock] or (counts[clock] and (self.speed ~= 1 or self.ahead ~= 0)) or false
end

--- Where a clock was when the mock began: for the program, and really.
local function bases_of(self, clock)
  if counts[clock] then return self.bases[clock], self.bases[clock] end
  if clock ~= CLOCK_TAI then return self.at, self.real end
  return { self.at[1] + self.tai, self.at[2] }, { self.real[1] + self.tai, self.real[2] }
end

local function plus(base, nanoseconds)
  local part = layout.split(nanoseconds + base[2])
  return { base[1] + part[1], part[2] }
end

--- What a clock shows the program.
---@return { [1]: integer, [2]: number } seconds and nanoseconds
function Time:read(clock)
  self:begin()
  local base = bases_of(self, clock)
  return plus(base, (sys.monotonic() - self.began) * self.speed + self.ahead)
end

--- When, by the kernel's clock, a moment of the program's comes.
function Time:to_real(clock, moment)
  self:begin()
  local base, real = bases_of(self, clock)
  local later = (moment[1] - base[1]) * 1e9 + (moment[2] - base[2]) - self.ahead
  local when = plus(real, later / self.speed)
  return when[1] >= 0 and when or { 0, 0 }
end

--- The program has set its clock.
function Time:set(moment)
  self:begin()
  local passed = (sys.monotonic() - self.began) * self.speed + self.ahead
  self.at = plus(moment, -passed)
end

--- Seconds since 1970, for the program.
---@return number
function Time:now()
  return layout.joined(self:read(CLOCK_REALTIME)) / 1e9
end

--- Lets all clocks jump forward; what waits already is not hastened.
---@param seconds number
function Time:advance(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds < 0 then
    mock.misuse("clock: advance takes a number of seconds, 0 or more")
  end
  self.ahead = self.ahead + seconds * 1e9
end

-- --- calls that read and set clocks ---------------------------------------------------------------------------------

local function clock_gettime(time)
  return function(call)
    local clock = bit.tobit(call.args[1] % 4294967296)
    if not time:is_mocked(clock) then return end
    mock.answer(call, call.args[2], layout.of(call, "timespec"):pack { time:read(clock) })
  end
end

local function gettimeofday(time)
  return function(call)
    local address, zone = call.args[1], call.args[2]
    -- The kernel's time zone is nobody's business any more (gettimeofday(2)): it is UTC's.
    if zone ~= 0 and call.memory:write(zone, ("\0"):rep(8)) ~= 8 then return call:fail "EFAULT" end
    if address == 0 then return call:returns(0) end
    mock.answer(call, address, layout.of(call, "timeval"):pack { time:read(CLOCK_REALTIME) })
  end
end

local function time_call(time)
  return function(call)
    local seconds = time:read(CLOCK_REALTIME)[1]
    local of = layout.of(call, "timespec")
    if of.word == 4 then seconds = bit.tobit(seconds % 4294967296) end
    if call.args[1] == 0 then return call:returns(seconds) end
    mock.answer(call, call.args[1], of:pack({ { seconds, 0 } }):sub(1, of.word), seconds)
  end
end

--- Whoever may set the clock, or thinks so, sets the mock's: the machine's own stays as it is.
local function set_clock(time, kind, at)
  return function(call)
    if at == 2 and call.args[1] ~= CLOCK_REALTIME or call.args[at] == 0 then return end
    local of = layout.of(call, kind)
    local times = of:read_all(call, call.args[at], 1)
    if not times then return call:fail "EFAULT" end
    if not of:is_valid(times[1]) then return call:fail "EINVAL" end
    time:set(times[1])
    call:returns(0)
  end
end

--- struct timex: 64-bit programs' modes, and the time that it was.
local TIMEX_TIME, ADJ_NANO, STA_NANO, TIMEX_STATUS = 72, 0x2000, 0x2000, 40

local function adjtimex(time, at)
  return function(call)
    local address = call.args[at]
    if at == 2 and not is_time_of_day[call.args[1]] or call.arch.bits ~= 64 then return end
    local modes = call.memory:read(address, 4)
    if not modes or #modes < 4 then return end
    if bit.band(ffi.cast("const int32_t *", modes)[0], bit.bnot(ADJ_NANO)) ~= 0 then return call:fail "EPERM" end
    if not call:run() then return end
    local status = ffi.cast("const int32_t *", call.memory:read(address + TIMEX_STATUS, 4))[0]
    local kind = bit.band(status, STA_NANO) ~= 0 and "timespec" or "timeval"
    call.memory:write(address + TIMEX_TIME, layout.of(call, kind):pack { time:read(CLOCK_REALTIME) })
  end
end

local TICKS = 100 -- USER_HZ: what times(2) counts in

local function times(time)
  return function(call)
    if not time:is_mocked(CLOCK_MONOTONIC) then return end
    local ticks = call:run()
    if not ticks then return end
    local passed = layout.joined(time:read(CLOCK_BOOTTIME)) - layout.joined { sys.clock_gettime(CLOCK_BOOTTIME) }
    call:returns(math.floor(ticks + passed * TICKS / 1e9))
  end
end

local function sysinfo(time)
  return function(call)
    local address = call.args[1]
    if not time:is_mocked(CLOCK_BOOTTIME) or not call:run() then return end
    local of = layout.of(call, "timespec")
    call.memory:write(address, of:pack({ { time:read(CLOCK_BOOTTIME)[1], 0 } }):sub(1, of.word))
  end
end

-- --- for scripts ----------------------------------------------------------------------------------------------------

local function start_of(at)
  if at == nil then return nil end
  local seconds, nanoseconds = date.parse(at)
  if not seconds then
    mock.misuse(("clock: at = %s is no date: write \"2038-01-19\", \"2038-01-19 03:14:07\" (UTC), " ..
      "\"2038-01-19 03:14:07 +01:00\" or seconds since 1970"):format(type(at) == "string" and ("%q"):format(at) or at))
  end
  return { seconds, nanoseconds }
end

local function speed_of(speed)
  if speed == nil then return 1 end
  -- Beyond these, timeouts no longer fit into what the kernel takes.
  if not (speed >= 1e-6 and speed <= 1e6) then
    mock.misuse(("clock: speed = %s: it takes a number from 0.000001 to 1000000"):format(speed))
  end
  return speed
end

---@param context luatrace.MockContext
function M.new(context)
  ---@param options { at: string|number|nil, speed: number? }
  ---@return luatrace.MockTime
  return function(options)
    mock.check_fields("clock", options, { at = "string|number", speed = "number" })
    if context.registry.clock then mock.misuse("clock: there is one already: all processes have the same") end
    local time = new_time(start_of(options.at), speed_of(options.speed))
    context.registry.clock = time
    context.registry.hide_vdso = true
    context.at("start", function() time:begin() end)
    local at_once = { notify = true }
    context.on({ "clock_gettime", "clock_gettime64" }, clock_gettime(time), at_once)
    context.on({ "gettimeofday" }, gettimeofday(time), at_once)
    context.on({ "time" }, time_call(time), at_once)
    context.on({ "clock_settime", "clock_settime64" }, set_clock(time, "timespec", 2), at_once)
    context.on({ "settimeofday" }, set_clock(time, "timeval", 1), at_once)
    context.on({ "adjtimex" }, adjtimex(time, 1))
    context.on({ "clock_adjtime" }, adjtimex(time, 2))
    context.on({ "times" }, times(time))
    context.on({ "sysinfo" }, sysinfo(time))
    waits.install(context, time)
    return time
  end
end

return M
