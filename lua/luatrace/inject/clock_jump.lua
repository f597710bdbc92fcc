--- The clock jumps: the time of day is set while the program runs, as by an administrator or NTP.
--
--   inject.clock_jump { by = "1h", after = "2s" }      -- two seconds after the start; by = "-1h": back
--   inject.clock_jump { by = 86400, reads = 10 }       -- when the clock has been read ten times
--
-- Only the time of day jumps: what counts up (CLOCK_MONOTONIC) and all timeouts go on, as after settimeofday. For a
-- program in another time altogether there is the mock clock { at = ... }.

local clock = require "luatrace.inject.clock"

return {
  about = "the time of day jumps while the program runs",
  options = { by = "time", after = "time", reads = "count" },
  required = { "by" },
  add = function(t, options, where)
    t.hide_vdso()
    local matches, read = t.matches(clock.calls, where), 0
    t.on[clock.calls](function(call)
      if not matches(call) or not clock.reads(call) then return end
      read = read + 1
      local since = (call.entered - call.session.started) / 1e9
      if since < (options.after or 0) or read <= (options.reads or 0) then return end
      clock.move(call, options.by)
    end)
  end,
}
