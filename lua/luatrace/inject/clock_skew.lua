--- The clock goes wrong: the time of day runs fast or slow, or is off by a little.
--
--   inject.clock_skew { rate = 1.001 }        -- a second in a thousand too fast
--   inject.clock_skew { offset = "-5m" }      -- five minutes behind from the start
--
-- Two processes of one run can be given different clocks by `exe` or `comm`. CLOCK_MONOTONIC and timeouts are right.

local clock = require "luatrace.inject.clock"

return {
  about = "the time of day runs fast, slow or off",
  options = { rate = "number", offset = "time" },
  add = function(t, options, where)
    if not options.rate and not options.offset then error("it needs rate or offset", 0) end
    t.hide_vdso()
    local matches = t.matches(clock.calls, where)
    t.on[clock.calls](function(call)
      if not matches(call) or not clock.reads(call) then return end
      local since = (call.entered - call.session.started) / 1e9
      clock.move(call, (options.offset or 0) + since * ((options.rate or 1) - 1))
    end)
  end,
}
