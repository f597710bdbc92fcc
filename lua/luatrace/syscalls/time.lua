--- Clocks, sleeping, timers.

local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero = t.i32
local clock = t.enum("clock_id", { comment = "CLOCK_???" })
local timespec_in, timespec_out = t.ptr_in(structs.timespec), t.ptr_out(structs.timespec)
--- What is left of a sleep is written only when a signal has broken it off.
local left = t.ptr_when(structs.timespec, function(call)
  return call.errno == "EINTR" or call.errno == "ERESTART_RESTARTBLOCK"
end)
local timer_flags = t.flags("timer_flags", { comment = "TIMER_???" })

return {
  nanosleep = { returns = zero, { "req", timespec_in }, { "rem", left } },
  clock_nanosleep = { returns = zero, classes = "clock_nanosleep", { "clockid", clock }, { "flags", timer_flags },
    { "request", timespec_in }, { "remain", left } },
  clock_gettime = { returns = zero, classes = "clock", { "clockid", clock }, { "tp", timespec_out } },
  clock_settime = { returns = zero, classes = "clock", { "clockid", clock }, { "tp", timespec_in } },
  clock_getres = { returns = zero, classes = "clock", { "clockid", clock }, { "res", timespec_out } },
  gettimeofday = { returns = zero, classes = "clock", { "tv", t.ptr_out(structs.timeval) },
    { "tz", t.ptr_out(structs.timezone) } },
  settimeofday = { returns = zero, classes = "clock", { "tv", t.ptr_in(structs.timeval) },
    { "tz", t.ptr_in(structs.timezone) } },
  time = { returns = t.long, classes = "clock", { "tloc", t.ptr_out(t.cell(t.long)) } },
  alarm = { returns = t.u32, { "seconds", t.u32 } },
  getitimer = { returns = zero, { "which", t.enum "itimer_which" }, { "curr_value", t.ptr_out(structs.itimerval) } },
  setitimer = { returns = zero, { "which", t.enum "itimer_which" }, { "new_value", t.ptr_in(structs.itimerval) },
    { "old_value", t.ptr_out(structs.itimerval) } },
  timerfd_create = { returns = t.fd, classes = "desc", { "clockid", clock },
    { "flags", t.flags("timerfd_create_flags", { comment = "TFD_???" }) } },
  timerfd_settime = { returns = zero, { "fd", t.fd },
    { "flags", t.flags("timerfd_settime_flags", { comment = "TFD_???" }) },
    { "new_value", t.ptr_in(structs.itimerspec) }, { "old_value", t.ptr_out(structs.itimerspec) } },
  timerfd_gettime = { returns = zero, { "fd", t.fd }, { "curr_value", t.ptr_out(structs.itimerspec) } },
}
