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
    if options.rate and options.rate <= 0 then error("rate takes more than 0", 0) end
    local matches, rate = t.matches(clock.calls, where), options.rate or 1
    local function offset_of(call)
      return (options.offset or 0) + (call.entered - call.session.started) / 1e9 * (rate - 1)
    end
    t.on[clock.calls](function(call)
      if matches(call) and clock.reads(call) then clock.move(call, offset_of(call)) end
    end)
    clock.install_waits(t, where, function(call, seconds)
      local now = clock.now()
      return now + (seconds - now - offset_of(call)) / rate
    end)
  end,
}
