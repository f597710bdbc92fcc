--- EINTR storms: every call that a signal may interrupt is interrupted, several times in a row, before it goes through.
--
--   inject.eintr_storm {}                    -- three times each
--   inject.eintr_storm { burst = 1, chance = 0.5 }
--
-- As if a handler without SA_RESTART had run each time. What does not wait is left alone, since no signal interrupts
-- it: regular files, /dev/null and its like, descriptors with O_NONBLOCK, timeouts of zero. So are connect and sleeps,
-- whose EINTR means that something has begun and goes on.

local bit = require "bit"
local burst = require "luatrace.inject.burst"

local calls = "?read,?readv,?write,?writev,?recv,?recvfrom,?recvmsg,?recvmmsg,?recvmmsg_time64," ..
  "?send,?sendto,?sendmsg,?sendmmsg,?accept,?accept4,?poll,?ppoll,?ppoll_time64,?select,?_newselect,?pselect6," ..
  "?pselect6_time64,?epoll_wait,?epoll_pwait,?epoll_pwait2,?wait4,?waitpid,?waitid,?msgrcv,?msgsnd,?semop," ..
  "?semtimedop,?semtimedop_time64,?flock"

local O_NONBLOCK, MSG_DONTWAIT, IPC_NOWAIT, LOCK_NB, WNOHANG = 0x800, 0x40, 0x800, 4, 1
--- Flags by which a call says that it will not wait: in which argument, which bit.
local does_not_wait = { wait4 = { 3, WNOHANG }, waitpid = { 3, WNOHANG }, waitid = { 4, WNOHANG },
  flock = { 2, LOCK_NB }, msgrcv = { 5, IPC_NOWAIT }, msgsnd = { 4, IPC_NOWAIT }, recv = { 4, MSG_DONTWAIT },
  recvfrom = { 4, MSG_DONTWAIT }, recvmsg = { 3, MSG_DONTWAIT }, recvmmsg = { 4, MSG_DONTWAIT },
  recvmmsg_time64 = { 4, MSG_DONTWAIT }, send = { 4, MSG_DONTWAIT }, sendto = { 4, MSG_DONTWAIT },
  sendmsg = { 3, MSG_DONTWAIT }, sendmmsg = { 4, MSG_DONTWAIT } }
--- Timeouts in milliseconds.
local timeouts = { poll = 3, epoll_wait = 4, epoll_pwait = 4 }
--- Timeouts that a pointer leads to.
local pointers = { ppoll = 3, ppoll_time64 = 3, select = 5, _newselect = 5, pselect6 = 5, pselect6_time64 = 5,
  epoll_pwait2 = 4 }
--- Calls on descriptors that wait whatever O_NONBLOCK says.
local waits_anyway = { flock = true, epoll_wait = true, epoll_pwait = true, epoll_pwait2 = true }

local function may_wait(call)
  local name = call.name
  local flag = does_not_wait[name]
  if flag and bit.band(tonumber(call.raw[flag[1]]), flag[2]) ~= 0 then return false end
  local timeout = timeouts[name]
  if timeout and tonumber(call.raw[timeout]) % 2 ^ 32 == 0 then return false end
  local pointer = pointers[name] and call.raw[pointers[name]]
  if pointer and pointer ~= 0 then
    local wide = call.arch.pointer_size == 8 or name:find "_time64$"
    local time = call.memory:read(pointer, wide and 16 or 8)
    if time and not time:find "[^%z]" then return false end
  end
  local fd = not waits_anyway[name] and call:fds()[1]
  if not fd then return true end
  return fd.kind ~= "char" and fd.kind ~= "file" and bit.band(fd.flags or 0, O_NONBLOCK) == 0
end

return {
  about = "calls that wait fail with EINTR, in bursts",
  options = { burst = "count", chance = "chance" },
  add = function(t, options, where)
    local fails, by_thread = burst.new(t, options), setmetatable({}, { __mode = "k" })
    where.when = function(call)
      if not may_wait(call) then return false end
      local counts = by_thread[call.thread]
      if not counts then
        counts = {}
        by_thread[call.thread] = counts
      end
      return fails(counts, call.name)
    end
    t.fail(calls, "EINTR", where)
  end,
}
