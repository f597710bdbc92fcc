--- A slow network: what goes through sockets takes so long, and so much goes through a second.
--
--   inject.slow_network { latency = "100ms" }
--   inject.slow_network { bandwidth = "56kB", jitter = "50ms" }
--
-- connect pays the latency once, as its handshake does. The bandwidth is one for all connections, each way; what is
-- read comes in pieces, so that a program sees it trickle in. Sockets of the Unix domain are as slow as any other. Only
-- the thread that makes the call waits, also where the socket does not: a program that serves many connections from one
-- thread waits with all of them.

local descriptors = require "luatrace.sys.descriptors"
local line = require "luatrace.inject.line"
local short = require "luatrace.verbs.short"

local reads = "?read,?readv,?recv,?recvfrom,?recvmsg,?recvmmsg"
local writes = "?write,?writev,?send,?sendto,?sendmsg,?sendmmsg,?sendfile,?sendfile64,?splice"
--- How often in a second something comes in.
local PIECES = 10

return {
  about = "what goes through sockets takes time",
  options = { latency = "time", bandwidth = "size", jitter = "time" },
  add = function(t, options, where)
    local latency, bandwidth, jitter = options.latency or 0, options.bandwidth, options.jitter
    if latency == 0 and not bandwidth and not jitter then error("it needs latency, bandwidth or jitter", 0) end
    if bandwidth == 0 then error("bandwidth takes more than 0", 0) end
    where.fd = where.fd or "socket"
    local is_connect = t.matches("connect", where)
    local function wait() return latency + (jitter and t.random() * jitter or 0) end

    local function install(calls, is_reading)
      local is_meant, way = t.matches(calls, where), line.new(bandwidth)
      t.on[calls](function(call)
        if not is_meant(call) then return end
        local fd = call:fds()[1]
        if bandwidth and is_reading and descriptors.socket_kind(call.process.pid, fd.num) == "stream" then
          local most = math.max(1, math.floor(bandwidth / PIECES))
          local drawn = short.draw({ value = { min = most, max = most } }, call)
          if drawn then short.enter(nil, call, drawn) end
        end
        if call.phase == "entry" then call:run() end
        local moved = call.errno == nil and tonumber(call.ret) or 0
        if moved <= 0 then return end
        local seconds = wait() + way:wait(moved)
        if seconds > 0 then call:sleep(seconds) end
      end)
    end

    install(reads, true)
    install(writes, false)
    t.on.connect(function(call)
      local seconds = is_connect(call) and wait() or 0
      if seconds > 0 then call:sleep(seconds) end
    end)
  end,
}
