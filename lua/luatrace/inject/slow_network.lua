--- A slow network: what goes through sockets takes so long, and so much goes through a second.
--
--   inject.slow_network { latency = "100ms" }
--   inject.slow_network { bandwidth = "56kB", jitter = "50ms" }
--
-- connect pays the latency once, as its handshake does. Sockets of the Unix domain are as slow as any other.

local io = "?read,?readv,?write,?writev,?recvfrom,?recvmsg,?recvmmsg,?sendto,?sendmsg,?sendmmsg,?sendfile,?splice"

return {
  about = "what goes through sockets takes time",
  options = { latency = "time", bandwidth = "size", jitter = "time" },
  add = function(t, options, where)
    local latency, bandwidth, jitter = options.latency or 0, options.bandwidth, options.jitter
    if latency == 0 and not bandwidth and not jitter then error("it needs latency, bandwidth or jitter", 0) end
    where.fd = where.fd or "socket"
    local is_io, is_connect = t.matches(io, where), t.matches("connect", where)
    local function wait() return latency + (jitter and t.random() * jitter or 0) end
    t.on[io](function(call)
      if not is_io(call) then return end
      local moved = call:run()
      if type(moved) ~= "number" or moved <= 0 then return end
      local seconds = wait() + (bandwidth and moved / bandwidth or 0)
      if seconds > 0 then call:sleep(seconds) end
    end)
    t.on.connect(function(call)
      local seconds = is_connect(call) and wait() or 0
      if seconds > 0 then call:sleep(seconds) end
    end)
  end,
}
