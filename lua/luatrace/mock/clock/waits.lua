--- The clock mock's other half: calls that wait for a time, or set a timer. What they are given in the program's time
-- is handed to the kernel in real time, and what the kernel says is left comes back in the program's.
--
--   waits.install(context, time)       -- time: luatrace.mock.clock's

local bit = require "bit"
local ffi = require "ffi"
local decode = require "luatrace.decode"
local layout = require "luatrace.mock.clock.layout"
local sys = require "luatrace.sys"

local M = {}

local CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1
local ABSOLUTE = 1 -- TIMER_ABSTIME, TFD_TIMER_ABSTIME
local X32_BIT = 0x40000000

--- Without what tells the newer calls of 32-bit programs: futex_time64 is futex.
local function base_name(call)
  local name = call.name:gsub("_time64$", ""):gsub("ettime64$", "ettime")
  return name
end

local function word32(value) return bit.tobit(tonumber(ffi.cast("uint64_t", value) % 4294967296ULL)) end

--- Puts a struct of ours in the place of an argument; false when there is no room for it.
local function replace(call, i, bytes)
  local room = call.memory:alloc(#bytes)
  if not room or call.memory:write(room, bytes) ~= #bytes then return false end
  call.args[i] = room
  return room
end

-- --- lengths of time ------------------------------------------------------------------------------------------------

--- Which argument is the timeout, of which kind; `updated`: the kernel writes there what is left; `left`: there.
local relative = {
  nanosleep = { at = 1, kind = "timespec", left = 2 },
  poll = { at = 3, kind = "ms" }, epoll_wait = { at = 4, kind = "ms" }, epoll_pwait = { at = 4, kind = "ms" },
  ppoll = { at = 3, kind = "timespec", updated = true },
  select = { at = 5, kind = "timeval", updated = true },
  _newselect = { at = 5, kind = "timeval", updated = true },
  pselect6 = { at = 5, kind = "timespec", updated = true },
  recvmmsg = { at = 5, kind = "timespec", updated = true },
  epoll_pwait2 = { at = 4, kind = "timespec" }, rt_sigtimedwait = { at = 3, kind = "timespec" },
  semtimedop = { at = 4, kind = "timespec" }, io_getevents = { at = 5, kind = "timespec" },
  io_pgetevents = { at = 5, kind = "timespec" },
}

--- What is left is the kernel's: in the program's time it is as many times longer.
local function stretch(time, call, of, from, to)
  local times = of:read_all(call, from, 1)
  if times then call.memory:write(to, of:pack { layout.split(layout.joined(times[1]) * time.speed) }) end
end

local function shorten_pointer(time, call, how)
  local address = call.args[how.at]
  if address == 0 then return end
  local of = layout.of(call, how.kind)
  local times = of:read_all(call, address, 1)
  if not times or not of:is_valid(times[1]) then return end
  local room = replace(call, how.at, of:pack_up { layout.split(layout.joined(times[1]) / time.speed) })
  if not room then return end
  if how.updated then
    call:run()
    return stretch(time, call, of, room, address)
  end
  local left = how.left and call.args[how.left]
  if not left or left == 0 then return end
  -- The kernel may write there later as well, when the sleep has been gone on with.
  call.thread.clock_left = { of = of, address = left }
  local _, failure = call:run()
  if failure == "EINTR" or failure == "ERESTART_RESTARTBLOCK" then stretch(time, call, of, left, left) end
end

local function shorten(time)
  return function(call)
    local how = relative[base_name(call)]
    if how.kind ~= "ms" then return shorten_pointer(time, call, how) end
    local ms = word32(call.args[how.at])
    if ms > 0 then call.args[how.at] = math.min(math.ceil(ms / time.speed), 0x7fffffff) end
  end
end

--- A sleep that a stop or a debugger has broken off goes on by restart_syscall.
local function restarted(time)
  return function(call)
    local left = call.thread.clock_left
    if not left or not tostring(rawget(call, "resumes")):find("nanosleep", 1, true) then return end
    local _, failure = call:run()
    if failure == "EINTR" then stretch(time, call, left.of, left.address, left.address) end
  end
end

-- --- points in time -------------------------------------------------------------------------------------------------

local function place(time, call, i, clock)
  local address = call.args[i]
  if address == 0 or not time:is_mocked(clock) then return end
  local of = layout.of(call, "timespec")
  local times = of:read_all(call, address, 1)
  if times and of:is_valid(times[1]) then replace(call, i, of:pack_up { time:to_real(clock, times[1]) }) end
end

local function clock_nanosleep(time)
  return function(call)
    local clock = word32(call.args[1])
    if not time:is_mocked(clock) then return end
    if bit.band(word32(call.args[2]), ABSOLUTE) ~= 0 then return place(time, call, 3, clock) end
    if time.speed ~= 1 then return shorten_pointer(time, call, { at = 3, kind = "timespec", left = 4 }) end
  end
end

local FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_CLOCK_REALTIME = 0, 6, 256
local FUTEX_ABSOLUTE = { [6] = true, [9] = true, [11] = true, [13] = true } -- LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI

local function futex(time)
  return function(call)
    local op = word32(call.args[2])
    local command = bit.band(op, 127)
    if command == FUTEX_WAIT then
      if time.speed ~= 1 then shorten_pointer(time, call, { at = 4, kind = "timespec" }) end
    elseif FUTEX_ABSOLUTE[command] then
      local is_real = command == FUTEX_LOCK_PI or bit.band(op, FUTEX_CLOCK_REALTIME) ~= 0
      place(time, call, 4, is_real and CLOCK_REALTIME or CLOCK_MONOTONIC)
    end
  end
end

-- --- timers ---------------------------------------------------------------------------------------------------------

--- An interval and a value, as timers have them: a length of time each, or the value a point in time.
local function timer_to_real(time, of, times, clock)
  local value = times[2]
  local is_armed = layout.joined(value) > 0
  if not is_armed then
    value = { 0, 0 }
  elseif clock then
    value = time:to_real(clock, value)
    -- Zero would disarm the timer: a moment long ago is due at once.
    if layout.joined(value) <= 0 then value = { 0, 1 } end
  else
    value = layout.split(layout.joined(value) / time.speed)
  end
  local packed = of:pack_up { layout.split(layout.joined(times[1]) / time.speed), value }
  return packed
end

local function timer_to_program(time, call, of, address)
  local times = address ~= 0 and of:read_all(call, address, 2)
  if not times then return end
  for i = 1, 2 do times[i] = layout.split(layout.joined(times[i]) * time.speed) end
  call.memory:write(address, of:pack(times))
end

--- Sets a timer whose new value is argument `i` and whose old one argument `i + 1`.
local function set_timer(time, call, i, kind, clock)
  local address, old = call.args[i], call.args[i + 1]
  local of = layout.of(call, kind)
  local times = address ~= 0 and of:read_all(call, address, 2)
  if not times or not of:is_valid(times[1]) or not of:is_valid(times[2]) then return end
  replace(call, i, timer_to_real(time, of, times, clock))
  if old ~= 0 and call:run() then timer_to_program(time, call, of, old) end
end

local function get_timer(time, call, i, kind)
  if call:run() then timer_to_program(time, call, layout.of(call, kind), call.args[i]) end
end

--- The clock that a timerfd runs by.
local function timerfd_clock(call)
  local path = ("/proc/%d/fdinfo/%d"):format(call.thread.tid, word32(call.args[1]))
  return tonumber((sys.read_file(path) or ""):match("clockid:%s*(%d+)"))
end

--- POSIX timers have numbers of their own in each process: their clocks are noted when they are made.
local function posix_clock(call)
  local clocks = rawget(call.process, "clock_timers")
  return clocks and clocks[word32(call.args[1])] or CLOCK_REALTIME
end

local function timer_create(call)
  local clock, id_address = word32(call.args[1]), call.args[3]
  if not call:run() then return end
  local bytes = call.memory:read(id_address, 4)
  if not bytes or #bytes < 4 then return end
  local clocks = rawget(call.process, "clock_timers") or {}
  rawset(call.process, "clock_timers", clocks)
  clocks[ffi.cast("const int32_t *", bytes)[0]] = clock
end

--- The same for timers of both families; `clock_of` tells their clock.
local function timer_calls(context, time, prefix, clock_of, set_at, get_at)
  context.on({ prefix .. "_settime", prefix .. "_settime64" }, function(call)
    local clock = clock_of(call)
    if not time:is_mocked(clock) then return end
    local is_absolute = bit.band(word32(call.args[2]), ABSOLUTE) ~= 0
    set_timer(time, call, set_at, "timespec", is_absolute and clock or nil)
  end)
  context.on({ prefix .. "_gettime", prefix .. "_gettime64" }, function(call)
    if time:is_mocked(clock_of(call)) then get_timer(time, call, get_at, "timespec") end
  end)
end

--- alarm counts in seconds, which are too coarse in real time: it becomes the setitimer that it is in the kernel.
local function alarm(time)
  return function(call)
    local seconds = tonumber(call.args[1]) % 4294967296
    local row = decode.find(call.arch.name, "setitimer")
    local of = layout.of(call, "timeval")
    local room = call.memory:alloc(of.size * 4)
    if not room then return end
    local zero = { 0, 0 }
    call.memory:write(room, of:pack_up { zero, layout.split(seconds * 1e9 / time.speed), zero, zero })
    call.nr = call.row.nr >= X32_BIT and row.nr + X32_BIT or row.nr
    call.args[1], call.args[2], call.args[3] = 0, room, room + of.size * 2
    if not call:run() then return end
    local times = of:read_all(call, room + of.size * 2, 2)
    if times then call:returns(math.ceil(layout.joined(times[2]) * time.speed / 1e9)) end
  end
end

-- --- timeouts of sockets --------------------------------------------------------------------------------------------

local SOL_SOCKET = 1
local SOCKET_TIMEOUTS = { [20] = true, [21] = true, [66] = "timespec64", [67] = "timespec64" }

local function is_timeout(call)
  return word32(call.args[2]) == SOL_SOCKET and SOCKET_TIMEOUTS[word32(call.args[3])]
end

local function setsockopt(time)
  return function(call)
    if not is_timeout(call) then return end
    local of = layout.of(call, "timeval")
    local times = word32(call.args[5]) >= of.size and of:read_all(call, call.args[4], 1)
    if not times or not of:is_valid(times[1]) then return end
    replace(call, 4, of:pack_up { layout.split(layout.joined(times[1]) / time.speed) })
  end
end

local function getsockopt(time)
  return function(call)
    if not is_timeout(call) then return end
    local address = call.args[4]
    if call:run() then stretch(time, call, layout.of(call, "timeval"), address, address) end
  end
end

-- --------------------------------------------------------------------------------------------------------------------

--- The filter passes what has no timeout: the tests of a call whose argument `i` is one.
local function given(i) return { tests = { { { arg = i - 1, op = "ne", value = 0 } } } } end
local function positive(i)
  return { tests = { { { arg = i - 1, op = "gt", value = 0, signed = true, bits = 32 } } } }
end
local function first_is(value) return { tests = { { { arg = 0, op = "eq", value = value, bits = 32 } } } } end

--- Options of sockets that are timeouts.
local function timeout_options()
  local tests = {}
  for name in pairs(SOCKET_TIMEOUTS) do
    tests[#tests + 1] = { { arg = 1, op = "eq", value = SOL_SOCKET, bits = 32 },
      { arg = 2, op = "eq", value = name, bits = 32 } }
  end
  return { tests = tests }
end

---@param context luatrace.MockContext
---@param time luatrace.MockTime
function M.install(context, time)
  context.on({ "clock_nanosleep", "clock_nanosleep_time64" }, clock_nanosleep(time))
  context.on({ "futex", "futex_time64" }, futex(time), given(4))
  context.on({ "futex_waitv" }, function(call) place(time, call, 4, word32(call.args[5])) end, given(4))
  context.on({ "futex_wait" }, function(call) place(time, call, 5, word32(call.args[6])) end, given(5))
  context.on({ "mq_timedsend", "mq_timedreceive", "mq_timedsend_time64", "mq_timedreceive_time64" }, function(call)
    place(time, call, 5, CLOCK_REALTIME)
  end, given(5))
  context.on({ "timer_create" }, timer_create)
  timer_calls(context, time, "timerfd", timerfd_clock, 3, 2)
  timer_calls(context, time, "timer", posix_clock, 3, 2)
  if time.speed == 1 then return end
  for name, how in pairs(relative) do
    context.on({ name, name .. "_time64" }, shorten(time), how.kind == "ms" and positive(how.at) or given(how.at))
  end
  context.on({ "restart_syscall" }, restarted(time))
  context.on({ "setitimer" }, function(call)
    if word32(call.args[1]) == 0 then set_timer(time, call, 2, "timeval") end
  end, first_is(0))
  context.on({ "getitimer" }, function(call)
    if word32(call.args[1]) == 0 then get_timer(time, call, 2, "timeval") end
  end, first_is(0))
  context.on({ "alarm" }, alarm(time))
  context.on({ "setsockopt" }, setsockopt(time), timeout_options())
  context.on({ "getsockopt" }, getsockopt(time), timeout_options())
end

return M
