--- Sentences of calls on clocks and timers; the grammar is in sentences.lua.

return { category = "time", rows = {
  nanosleep = "(sleep|slept) for {req:seconds}",
  clock_nanosleep = { { function(call) return call.flags.value == 1 end,
    "(sleep|slept) until a moment of {clockid:names}" },
    "(sleep|slept) for {request:seconds}" },
  clock_gettime = "(ask|asked) for the time, {clockid:names}", gettimeofday = "(ask|asked) for the time",
  time = "(ask|asked) for the time", clock_getres = "(ask|asked) how fine {clockid:names} is",
  clock_settime = { "(set|set) the clock {clockid:names}", category = "security" },
  settimeofday = { "(set|set) the clock", category = "security" },
  adjtimex = { "(ask|asked) for, or adjusted, the clock", category = "time" },
  clock_adjtime = { "(ask|asked) for, or adjusted, the clock", category = "time" },
  alarm = { { function(call) return call.raw[1] == 0 end, "(cancel|cancelled) its alarm" },
    "(set|set) an alarm in {seconds:seconds}" },
  setitimer = "(set|set) a timer", getitimer = "(ask|asked) for a timer",
  timer_create = "(make|made) a timer", timer_settime = "(set|set) a timer", timer_delete = "(delete|deleted) a timer",
  timer_gettime = "(ask|asked) for a timer",
  timerfd_create = "(make|made) a timer[ -> {ret}]", timerfd_settime = "(set|set) the timer {fd}",
  timerfd_gettime = "(ask|asked) for the timer {fd}",
} }
