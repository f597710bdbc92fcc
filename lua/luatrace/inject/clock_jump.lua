--- The clock jumps: the time of day is set while the program runs, as by an administrator or NTP.
--
--   inject.clock_jump { by = "1h", after = "2s" }      -- two seconds after the start; by = "-1h": back
--   inject.clock_jump { by = 86400, reads = 10 }       -- when the clock has been read ten times
--
-- Only the time of day jumps: what counts up (CLOCK_MONOTONIC) and all timeouts go on, as after settimeofday; a wait
-- for a time of day that begins after the jump ends when it is that late for the program. Times of files are the real
-- ones. For a program in another time altogether there is the mock clock { at = ... }.

local clock = require "luatrace.inject.clock"

return {
  about = "the time of day jumps while the program runs",
  options = { by = "time", after = "time", reads = "count" },
  required = { "by" },
  add = function(t, options, where)
    t.hide_vdso()
    local matches, read = t.matches(clock.calls, where), 0
    local function has_jumped(call)
      return (call.entered - call.session.started) / 1e9 >= (options.after or 0) and read > (options.reads or 0)
    end
    t.on[clock.calls](function(call)
      if not matches(call) or not clock.reads(call) then return end
      read = read + 1
      if has_jumped(call) then clock.move(call, options.by) end
    end)
    clock.install_waits(t, where, function(call, seconds) return seconds - (has_jumped(call) and options.by or 0) end)
  end,
}
