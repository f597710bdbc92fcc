--- EINTR storms: every call that a signal may interrupt is interrupted, several times in a row, before it goes through.
--
--   inject.eintr_storm {}                    -- three times each
--   inject.eintr_storm { burst = 1, chance = 0.5 }
--
-- Regular files are left alone: their calls are not interrupted on Linux. Nor are connect and sleeps, whose EINTR means
-- that something has begun and goes on.

local calls = "?read,?readv,?write,?writev,?recvfrom,?recvmsg,?recvmmsg,?sendto,?sendmsg,?sendmmsg,?accept,?accept4," ..
  "?poll,?ppoll,?select,?pselect6,?epoll_wait,?epoll_pwait,?epoll_pwait2,?wait4,?waitid,?msgrcv,?msgsnd,?semop," ..
  "?semtimedop,?flock"

return {
  about = "calls that wait fail with EINTR, in bursts",
  options = { burst = "count", chance = "chance" },
  add = function(t, options, where)
    local burst, chance = options.burst or 3, options.chance or 1
    local left = setmetatable({}, { __mode = "k" })
    where.any_errno = nil
    where.when = function(call)
      local by_call = left[call.thread]
      if not by_call then
        by_call = {}
        left[call.thread] = by_call
      end
      local count = by_call[call.name]
      if not count then count = (chance == 1 or t.random() < chance) and burst or 0 end
      -- The call after a burst goes through, so that programs that retry get on.
      by_call[call.name] = count > 0 and count - 1 or nil
      return count > 0
    end
    t.fail(calls, "EINTR", where)
  end,
}
