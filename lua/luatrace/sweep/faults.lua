--- Which faults there are, and which of them can happen to a recorded call: data, and the one rule that errors fit the
-- kind of descriptor. How a fault is done is inject.lua's.
--
--   for _, fault in ipairs(faults.of(event, faults.choose "disk,kill")) do print(fault.family, faults.title(fault)) end
--
-- A fault is { family, action, errno?, sticky? }. Actions: "fail" (the call does not happen), "after" (it happens and
-- is reported as failed: close, fsync, rename), "kill" and "kill-after" (the whole tree, before or after the call),
-- "short" (half of the count). Sticky faults stay: "disk" (full until space is freed), "range" (that part of that file
-- cannot be read), "descriptors" (the process has no more), "memory" (the process gets no more).

local constants = require "luatrace.constants"
local filter = require "luatrace.filter"

local M = {}

local function set(words)
  local result = {}
  for word in words:gmatch("%S+") do result[word] = true end
  return result
end

local writes = "write pwrite64 writev pwritev pwritev2 copy_file_range sendfile sendfile64 splice"
local reads = "read pread64 readv preadv preadv2"
local opens = "open openat openat2 creat"
local syncs = "fsync fdatasync syncfs sync_file_range msync"
local names = "mkdir mkdirat mknod mknodat symlink symlinkat link linkat"
local renames = "rename renameat renameat2"
local removes = "unlink unlinkat rmdir"
local truncates = "ftruncate truncate ftruncate64 truncate64"
local new_descriptors = opens .. " socket socketpair pipe pipe2 dup accept accept4 epoll_create epoll_create1 " ..
  "eventfd eventfd2 memfd_create timerfd_create signalfd signalfd4 inotify_init inotify_init1"
local sends = "sendto sendmsg sendmmsg"
local receives = "recvfrom recvmsg recvmmsg"
local attributes = "chmod fchmod fchmodat chown fchown lchown fchownat utimensat utimes futimesat"

--- Calls that change what is on the disk: where a kill may leave something half done.
M.mutating = set(table.concat({ writes, names, renames, removes, truncates, syncs, attributes, opens, "fallocate" },
  " "))
M.writes, M.reads, M.opens, M.renames, M.removes, M.syncs = set(writes), set(reads), set(opens), set(renames),
  set(removes), set(syncs)

--- Does this call change a file of the fixture?
local function mutates(event)
  if not M.mutating[event.name] or not event.inside then return false end
  if M.opens[event.name] then return event.opens == "create" or event.opens == "truncate" end
  if M.writes[event.name] then return event.kind == "file" end
  return true
end

local function creates(event) return event.opens == "create" end
local function opens_existing(event) return event.opens ~= "create" end
local function is_anonymous(event) return event.anonymous end
local function is_written(event) return event.written end
local function is_several(event) return (event.size or 0) > 1 end

--- One row a fault: calls, kinds of what they are about ("any"), what happens, and when it can.
---@type { [1]: string, calls: string, kind: string, when: fun(event: table): boolean }[]
local rows = {
  { "disk", calls = writes, kind = "file", action = "fail", errno = "ENOSPC", sticky = "disk", inside = true },
  { "disk", calls = writes, kind = "file", action = "fail", errno = "EIO", inside = true },
  { "disk", calls = "fallocate", kind = "file", action = "fail", errno = "ENOSPC", sticky = "disk", inside = true },
  { "disk", calls = opens, kind = "any", action = "fail", errno = "ENOSPC", sticky = "disk", when = creates,
    inside = true },
  { "disk", calls = opens, kind = "any", action = "fail", errno = "EACCES", inside = true },
  { "disk", calls = names, kind = "any", action = "fail", errno = "ENOSPC", sticky = "disk", inside = true },
  { "disk", calls = renames, kind = "any", action = "fail", errno = "ENOSPC", inside = true },
  { "disk", calls = renames, kind = "any", action = "after", errno = "EIO", inside = true },
  { "disk", calls = removes, kind = "any", action = "fail", errno = "EIO", inside = true },
  { "disk", calls = truncates, kind = "any", action = "fail", errno = "EIO", inside = true },
  { "disk", calls = syncs, kind = "any", action = "after", errno = "EIO", inside = true },
  { "disk", calls = "close", kind = "file", action = "after", errno = "EIO", when = is_written, inside = true },
  { "disk", calls = attributes, kind = "any", action = "fail", errno = "EPERM", inside = true },
  { "read", calls = reads, kind = "file", action = "fail", errno = "EIO", sticky = "range" },
  { "read", calls = opens, kind = "any", action = "fail", errno = "EIO", when = opens_existing },
  { "read", calls = "getdents64 getdents", kind = "dir", action = "fail", errno = "EIO" },
  { "read", calls = "readlink readlinkat", kind = "any", action = "fail", errno = "EIO" },
  -- What an open file is, is in memory: no disk is asked.
  { "read", calls = "stat lstat newfstatat statx stat64 lstat64 fstatat64", kind = "path", action = "fail",
    errno = "EIO", inside = true },
  { "network", calls = "socket socketpair", kind = "any", action = "fail", errno = "ENOBUFS" },
  { "network", calls = "connect", kind = "socket", action = "fail", errno = "ECONNREFUSED" },
  { "network", calls = "connect", kind = "socket", action = "fail", errno = "ETIMEDOUT" },
  { "network", calls = "bind listen", kind = "socket", action = "fail", errno = "EADDRINUSE" },
  { "network", calls = "accept accept4", kind = "socket", action = "fail", errno = "ECONNABORTED" },
  { "network", calls = sends .. " " .. writes, kind = "socket", action = "fail", errno = "ECONNRESET" },
  { "network", calls = receives .. " " .. reads, kind = "socket", action = "fail", errno = "ECONNRESET" },
  { "network", calls = receives .. " " .. reads, kind = "socket", action = "fail", errno = "ETIMEDOUT" },
  { "memory", calls = "mmap mmap2", kind = "any", action = "fail", errno = "ENOMEM", sticky = "memory",
    when = is_anonymous },
  { "memory", calls = "brk mremap", kind = "any", action = "fail", errno = "ENOMEM", sticky = "memory" },
  { "memory", calls = "execve execveat", kind = "any", action = "fail", errno = "ENOMEM" },
  { "memory", calls = "clone clone3 fork vfork", kind = "any", action = "fail", errno = "EAGAIN" },
  { "descriptors", calls = new_descriptors, kind = "any", action = "fail", errno = "EMFILE", sticky = "descriptors" },
  { "kill", calls = "%mutating", kind = "any", action = "kill" },
  { "kill", calls = "%mutating", kind = "any", action = "kill-after" },
  { "short", calls = "read pread64 write pwrite64", kind = "file", action = "short", when = is_several },
  { "short", calls = "read write recvfrom sendto", kind = "pipe", action = "short", when = is_several },
  { "short", calls = "read write recvfrom sendto", kind = "socket", action = "short", when = is_several },
  { "eintr", calls = reads .. " " .. writes, kind = "pipe", action = "fail", errno = "EINTR" },
  { "eintr", calls = reads .. " " .. writes, kind = "tty", action = "fail", errno = "EINTR" },
  { "eintr", calls = table.concat({ reads, writes, sends, receives, "connect accept accept4" }, " "), kind = "socket",
    action = "fail", errno = "EINTR" },
  { "eintr", calls = "wait4 waitid poll ppoll select pselect6 epoll_wait epoll_pwait nanosleep clock_nanosleep " ..
    "flock semop semtimedop", kind = "any", action = "fail", errno = "EINTR" },
}
for _, row in ipairs(rows) do
  row.mutating = row.calls == "%mutating"
  row.set = row.mutating and M.mutating or set(row.calls)
end

--- The families, in the order in which they are listed, and what each is.
M.families = {
  { "disk", "full disk, write errors: ENOSPC, EIO, EACCES, EPERM" },
  { "read", "what cannot be read: EIO" },
  { "network", "connections that fail: ECONNRESET, ECONNREFUSED, ETIMEDOUT, ..." },
  { "memory", "no more memory or processes: ENOMEM, EAGAIN" },
  { "descriptors", "no more descriptors: EMFILE" },
  { "kill", "SIGKILL before and after each call that changes a file" },
  { "short", "short reads and writes" },
  { "eintr", "interrupted calls: EINTR" },
}
local is_family = {}
for _, family in ipairs(M.families) do is_family[family[1]] = true end

--- Reads the value of --faults: families and NAME=ERRNO, with commas.
---@param text string|nil nil: all families
---@return { families: table<string, true>, own: table[], powerloss: string? }|nil, string? message
function M.choose(text)
  local choice = { families = {}, own = {} }
  if not text then
    for name in pairs(is_family) do choice.families[name] = true end
    return choice
  end
  for word in (text .. ","):gmatch("([^,]*),") do
    local call, errno = word:match("^(.-)=(.*)$")
    local model = word:match("^powerloss$") and "posix" or word:match("^powerloss=(.*)$")
    if model then
      if model ~= "posix" and model ~= "ext4" and model ~= "btrfs" then
        return nil, ("--faults: powerloss is powerloss=posix, =ext4 or =btrfs, not %q"):format(word)
      end
      choice.powerloss = model
    elseif is_family[word] then
      choice.families[word] = true
    elseif call then
      local names_of, message = filter.calls(call, "x86_64")
      if not names_of then return nil, "--faults: " .. message end
      if not constants.errno.by_name[errno] then
        return nil, ("--faults: %s: there is no error %q%s"):format(word, errno,
          filter.did_you_mean(errno, constants.errno.by_name))
      end
      choice.own[#choice.own + 1] = { word, set = names_of, kind = "any", action = "fail", errno = errno, own = true }
    else
      return nil, ("--faults: there is no family %q%s; there are disk, read, network, memory, descriptors, kill, " ..
        "short, eintr, powerloss and CALL=ERRNO"):format(word, filter.did_you_mean(word, is_family, 1))
    end
  end
  return choice
end

local function fits(row, event)
  if not row.set[event.name] then return false end
  if row.own then return true end
  if row.mutating and not mutates(event) then return false end
  if row.kind ~= "any" and row.kind ~= event.kind then return false end
  if row.inside and not event.inside then return false end
  return not row.when or row.when(event) and true or false
end

--- The faults that may happen to a recorded call.
---@param event table see record.lua
---@param choice table see choose
---@return table[]
function M.of(event, choice)
  local list = {}
  if event.loader or event.failed or event.path == "<stderr>" then return list end
  -- How the program itself is started is no call of its.
  if event.process == "0" and event.hit == 1 and event.name == "execve" then return list end
  for _, row in ipairs(rows) do
    if choice.families[row[1]] and fits(row, event) then
      list[#list + 1] = { family = row[1], action = row.action, errno = row.errno, sticky = row.sticky }
    end
  end
  for _, row in ipairs(choice.own) do
    if fits(row, event) then list[#list + 1] = { family = row[1], action = "fail", errno = row.errno } end
  end
  return list
end

--- All calls that a choice may need to see.
---@return table<string, true>
function M.calls(choice)
  local result = {}
  for _, row in ipairs(rows) do
    if choice.families[row[1]] then
      for name in pairs(row.set) do result[name] = true end
    end
  end
  for _, row in ipairs(choice.own) do
    for name in pairs(row.set) do result[name] = true end
  end
  return result
end

local stays = { disk = "and the disk stays full", range = "and so does that part of the file from then on",
  descriptors = "and the process has no more descriptors", memory = "and the process gets no more memory" }

--- A fault in words that follow the name of a call.
---@return string
function M.title(fault)
  local action = fault.action
  if action == "kill" then return "is where everything is killed" end
  if action == "kill-after" then return "returns and everything is killed" end
  if action == "short" then return "does half of what it was asked for" end
  if action == "after" then return ("happens and reports %s"):format(fault.errno) end
  return ("fails with %s%s"):format(fault.errno, fault.sticky and ", " .. stays[fault.sticky] or "")
end

--- A fault in a word, for names of files and tests.
function M.word(fault)
  if fault.action == "after" then return "late-" .. fault.errno end
  return (fault.errno or fault.action) .. (fault.sticky and "-" .. fault.sticky or "")
end

return M
