--- A slow disk: each read and write of a file takes so long, and so much goes through a second.
--
--   inject.slow_disk { latency = "10ms" }
--   inject.slow_disk { bandwidth = "1M", path = "/data/**" }     -- bytes a second
--
-- fsync and its like take the latency, too. Only the thread that makes the call waits; the bandwidth is one for all.
-- The page cache is not modelled: every call pays.

local line = require "luatrace.inject.line"

local io = "?read,?readv,?pread64,?preadv,?preadv2,?write,?writev,?pwrite64,?pwritev,?pwritev2,?copy_file_range," ..
  "?sendfile,?sendfile64,?splice"
local other = "?fsync,?fdatasync,?sync_file_range,?fallocate"

return {
  about = "reads, writes and fsyncs of files take time",
  options = { latency = "time", bandwidth = "size" },
  add = function(t, options, where)
    local latency, bandwidth = options.latency or 0, options.bandwidth
    if latency == 0 and not bandwidth then error("it needs latency or bandwidth", 0) end
    where.fd = where.fd or { "file", "dir", "block" }
    local disk = line.new(bandwidth)
    local is_io, is_sync = t.matches(io, where), t.matches(other, where)
    t.on[io](function(call)
      if not is_io(call) then return end
      local moved = call:run()
      local seconds = latency
      if type(moved) == "number" and moved > 0 then seconds = seconds + disk:wait(moved) end
      if seconds > 0 then call:sleep(seconds) end
    end)
    if latency > 0 then
      t.on[other](function(call)
        if is_sync(call) then call:sleep(latency) end
      end)
    end
  end,
}
