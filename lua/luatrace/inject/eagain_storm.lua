--- EAGAIN storms: non-blocking descriptors are not ready, several times in a row, whatever poll has said.
--
--   inject.eagain_storm { burst = 2 }
--
-- Only descriptors with O_NONBLOCK, and calls with MSG_DONTWAIT. A program that waits for edges (EPOLLET) and believes
-- EAGAIN waits for an edge that never comes: leave such ones out with `fd` or `comm`.

local bit = require "bit"
local burst = require "luatrace.inject.burst"

local O_NONBLOCK, MSG_DONTWAIT = 0x800, 0x40
local calls = "?read,?readv,?write,?writev,?recv,?recvfrom,?recvmsg,?recvmmsg,?recvmmsg_time64," ..
  "?send,?sendto,?sendmsg,?sendmmsg,?accept,?accept4"

local function does_not_block(call)
  local fd = call:fds()[1]
  if not fd then return false end
  local flags = call.row.index.flags and call.row.name:find("^[rs]e[cn][vd]") and call.flags
  if flags and type(flags.value) == "number" and bit.band(flags.value, MSG_DONTWAIT) ~= 0 then return true end
  return bit.band(fd.flags or 0, O_NONBLOCK) ~= 0
end

return {
  about = "non-blocking descriptors give EAGAIN, in bursts",
  options = { burst = "count", chance = "chance" },
  add = function(t, options, where)
    local fails, counts = burst.new(t, options), {}
    where.when = function(call)
      if not does_not_block(call) then return false end
      return fails(counts, ("%s:%d:%s"):format(call.process.number, call:fds()[1].num, call.name))
    end
    t.fail(calls, "EAGAIN", where)
  end,
}
