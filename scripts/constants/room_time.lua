--- Clocks and timers.

return {
  title = "Constants of clocks and timers.",

  { "enum", "clock_id", "CLOCK_", "linux/time.h",
    "CLOCK_* -CLOCK_SGI_CYCLE -CLOCK_INVALID -CLOCK_AUX* CLOCK_SGI_CYCLE" },
  { "enum", "cpuclock_name", "CPUCLOCK_", "time.h", "CPUCLOCK_PROF=0 CPUCLOCK_VIRT=1 CPUCLOCK_SCHED=2 CLOCKFD=3" },
  { "flags", "timer_flags", "TIMER_", "linux/time.h", "TIMER_ABSTIME" },
  { "flags", "timerfd_create_flags", "TFD_", "sys/timerfd.h", "TFD_CLOEXEC TFD_NONBLOCK" },
  { "flags", "timerfd_settime_flags", "TFD_TIMER_", "sys/timerfd.h", "TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET" },
  { "enum", "itimer_which", "ITIMER_", "linux/time.h", "ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF" },
  { "flags", "adjtimex_modes", "ADJ_", "sys/timex.h", [[
    ADJ_OFFSET_SS_READ ADJ_OFFSET_SINGLESHOT ADJ_OFFSET ADJ_FREQUENCY ADJ_MAXERROR ADJ_ESTERROR ADJ_STATUS ADJ_TIMECONST
    ADJ_TAI ADJ_SETOFFSET ADJ_MICRO ADJ_NANO ADJ_TICK ]] },
  { "flags", "adjtimex_status", "STA_", "sys/timex.h", "STA_* -STA_RONLY" },
  { "enum", "adjtimex_state", "TIME_", "sys/timex.h", "TIME_OK TIME_INS TIME_DEL TIME_OOP TIME_WAIT TIME_ERROR" },
}
