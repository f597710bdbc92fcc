--- No more descriptors: calls that make one fail with EMFILE while the process has so many.
--
--   inject.fd_limit { max = 20 }
--   inject.fd_limit { max = 5, errno = "ENFILE" }      -- the whole system's table is full
--
-- Unlike a low RLIMIT_NOFILE it can begin after start-up, and a process cannot see or raise it.

local calls = "?open,?openat,?openat2,?creat,?dup,?dup2,?dup3,?fcntl,?pipe,?pipe2,?socket,?socketpair,?accept," ..
  "?accept4,?epoll_create,?epoll_create1,?eventfd,?eventfd2,?timerfd_create,?signalfd4,?inotify_init,?inotify_init1," ..
  "?memfd_create,?pidfd_open"

local duplicates = { fcntl = true }
local pairs_of = { pipe = 2, pipe2 = 2, socketpair = 2 }

return {
  about = "calls that make a descriptor fail with EMFILE past so many",
  options = { max = "count", errno = "text" },
  required = { "max" },
  add = function(t, options, where)
    where.any_errno = true
    where.when = function(call)
      local name = call.name
      if duplicates[name] and not tostring(call.cmd):find("^F_DUPFD") then return false end
      if name == "dup2" or name == "dup3" then
        -- Onto a number that is open already: no more than before.
        if call.process.fds:get(tonumber(call.raw[2])) then return false end
      end
      local count = 0
      for _ in pairs(call.process.fds:list()) do count = count + 1 end
      return count + (pairs_of[name] or 1) > options.max
    end
    t.fail(calls, options.errno or "EMFILE", where)
  end,
}
