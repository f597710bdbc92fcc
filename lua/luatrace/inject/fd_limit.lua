--- No more descriptors: calls that make one fail with EMFILE, as under a low `ulimit -n`.
--
--   inject.fd_limit { max = 20 }                       -- numbers 0 to 19
--   inject.fd_limit { max = 5, errno = "ENFILE" }      -- the system's table: for all processes of the run together
--
-- As with RLIMIT_NOFILE what counts is the number that the new descriptor would get: the lowest free one. dup2 onto one
-- beyond the limit fails with EBADF, F_DUPFD from there on with EINVAL. Unlike a low RLIMIT_NOFILE it can begin after
-- start-up, and a process cannot see or raise it.

local sys = require "luatrace.sys"

local duplicates = "?dup,?dup2,?dup3,?fcntl,?fcntl64"
local opens = "?open,?openat,?openat2,?creat,?pipe,?pipe2,?socket,?socketpair,?accept,?accept4,?epoll_create," ..
  "?epoll_create1,?eventfd,?eventfd2,?timerfd_create,?signalfd,?signalfd4,?inotify_init,?inotify_init1," ..
  "?memfd_create,?memfd_secret,?pidfd_open,?pidfd_getfd,?userfaultfd,?perf_event_open,?io_uring_setup," ..
  "?fanotify_init,?open_by_handle_at,?fsopen,?fsmount,?open_tree"

local pairs_of = { pipe = 2, pipe2 = 2, socketpair = 2 }
local F_DUPFD, F_DUPFD_CLOEXEC = 0, 1030

--- The numbers that a process has in use.
local function used_by(process)
  local used = {}
  for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(process.pid)) or {}) do used[tonumber(name)] = true end
  return used
end

--- Are there so many free numbers from `first` on, below the limit?
local function has_room(used, max, wanted, first)
  for number = first or 0, max - 1 do
    if not used[number] then
      wanted = wanted - 1
      if wanted == 0 then return true end
    end
  end
  return false
end

--- How many descriptors a call makes.
local function made_by(call)
  local name = call.name
  -- An old one gets another mask.
  if name:find "^signalfd" and tonumber(call.raw[1]) % 2 ^ 32 ~= 2 ^ 32 - 1 then return 0 end
  return pairs_of[name] or 1
end

--- How the limit of a process answers; nil: there is room.
local function answer_of(call, max, errno)
  local name, old = call.name, tonumber(call.raw[1])
  if name == "dup2" or name == "dup3" then
    local new = tonumber(call.raw[2])
    return old ~= new and new >= max and "EBADF" or nil
  end
  local used, first = used_by(call.process), 0
  if name:find "^fcntl" then
    local command = tonumber(call.raw[2])
    if command ~= F_DUPFD and command ~= F_DUPFD_CLOEXEC or not used[old] then return nil end
    first = tonumber(call.raw[3])
    if first >= max then return "EINVAL" end
  elseif name == "dup" and not used[old] then
    return nil
  end
  local wanted = made_by(call)
  return wanted > 0 and not has_room(used, max, wanted, first) and errno or nil
end

return {
  about = "calls that make a descriptor fail with EMFILE past so many",
  options = { max = "count", errno = "text" },
  required = { "max" },
  add = function(t, options, where)
    local errno = options.errno or "EMFILE"
    if errno ~= "EMFILE" and errno ~= "ENFILE" then error("errno takes EMFILE or ENFILE", 0) end
    local is_system = errno == "ENFILE"
    -- A copy of a descriptor needs no entry in the system's table.
    local calls = is_system and opens or opens .. "," .. duplicates
    local matches = t.matches(calls, where)
    t.on[calls](function(call)
      if not matches(call) then return end
      local answer
      if is_system then
        local count, seen = 0, {}
        for _, thread in pairs(call.session.tree.threads) do
          local process = thread.process
          if not seen[process] then
            for _ in pairs(used_by(process)) do count = count + 1 end
          end
          seen[process] = true
        end
        local wanted = made_by(call)
        answer = wanted > 0 and count + wanted > options.max and errno
      else
        answer = answer_of(call, options.max, errno)
      end
      if answer then call:fail(answer) end
    end)
  end,
}
