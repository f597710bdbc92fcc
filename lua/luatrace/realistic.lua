--- Which errors can really happen: what a call can return at all, and on what kind of descriptor.
--
-- An injected error that no kernel gives finds faults that do not exist; so rules refuse those (`any_errno = true`
-- and --any-errno let them through).

local decode = require "luatrace.decode"
local predicates = require "luatrace.predicates"

local M = {}

--- Errors of a caller's own mistake, and those of a filter or a module: every call that can fail can give them.
local anywhere = { EFAULT = true, EINVAL = true, EBADF = true, ENOSYS = true, EPERM = true, EACCES = true,
  ENOMEM = true, ENOTSOCK = true }

--- Calls that always succeed.
local never_fails = {}
for name in ([[alarm exit exit_group getegid getegid32 geteuid geteuid32 getgid getgid32 getpgrp getpid getppid gettid
  getuid getuid32 getresgid getresuid rt_sigreturn sigreturn sched_yield set_tid_address setfsgid setfsuid sync umask
  getrusage sgetmask]]):gmatch("%S+") do never_fails[name] = true end

local function set(text)
  local result = {}
  for word in text:gmatch("%S+") do result[word] = true end
  return result
end

local disk, network = set "file dir block", set "socket"
local waits = set "pipe socket tty char eventfd timerfd signalfd inotify epoll anon"

--- On data calls: the kinds of descriptors that can give an error.
local kinds = {
  ENOSPC = disk, EDQUOT = disk, EFBIG = disk, EIO = set "file dir block tty char",
  EPIPE = set "pipe socket", EAGAIN = waits, EWOULDBLOCK = waits, EINTR = waits,
  ECONNRESET = network, ECONNREFUSED = network, ENOTCONN = network, ETIMEDOUT = network, ENETDOWN = network,
  ENETUNREACH = network, EHOSTUNREACH = network, ENOBUFS = network, EMSGSIZE = network, EDESTADDRREQ = network,
  EISDIR = set "dir",
}

local function can_give(row, name)
  if not row.errors then return true end
  for _, each in ipairs(row.errors) do
    if each == name then return true end
  end
  return anywhere[name] or name == "EWOULDBLOCK" and can_give(row, "EAGAIN") or name == "EIO" and row.classes.desc
end

--- Does it depend on what the descriptor is open on, whether this call can give one of these errors?
---@param names string[]
---@param row table
---@return boolean
function M.depends_on_kind(names, row)
  if not predicates.data_argument(row) or row.classes.network then return false end
  for _, name in ipairs(names) do
    if kinds[name] then return true end
  end
  return false
end

--- A test of the descriptor's kind; nil where none of the errors depends on it.
---@param names string[]
---@return (fun(call: luatrace.Call): boolean)|nil
function M.kind_test(names)
  local some = false
  for _, name in ipairs(names) do some = some or kinds[name] ~= nil end
  if not some then return nil end
  return function(call)
    if not predicates.data_argument(call.row) or call.row.classes.network then return true end
    local fds = call:fds()
    if #fds == 0 then return true end
    for _, name in ipairs(names) do
      local allowed = kinds[name]
      if not allowed or allowed[fds[1].kind or ""] then return true end
    end
    return false
  end
end

local function first_words(list, count)
  local words = {}
  for i = 1, math.min(count, #list) do words[i] = list[i] end
  return table.concat(words, ", ") .. (#list > count and ", ..." or "")
end

--- Refuses errors that a call cannot give; a class loses the calls that cannot.
---@param matcher luatrace.Matcher
---@param names string[]
---@param calls string as the user wrote them
---@param fd any the descriptor predicate, if there is one
---@return true|nil ok, string? message
function M.check(matcher, names, calls, fd)
  local by_name = calls:find("[%%/!]") == nil and calls ~= "all"
  local left, refused, refused_name = false, nil, nil
  for arch, names_of_arch in pairs(matcher.sets) do
    for call_name in pairs(names_of_arch) do
      local row = decode.find(arch, call_name)
      for _, name in ipairs(names) do
        if never_fails[call_name] or not can_give(row, name) then
          refused, refused_name = row, name
          names_of_arch[call_name] = nil
          break
        end
      end
      left = left or names_of_arch[call_name]
    end
    if next(names_of_arch) == nil then matcher.sets[arch] = nil end
  end
  if refused and (by_name or not left) then
    if never_fails[refused.name] then
      return nil, ("%s never fails (any_errno, on the command line --any-errno, injects it all the same)")
        :format(refused.name)
    end
    return nil, ("%s cannot fail with %s; it can with %s (any_errno, on the command line --any-errno, injects it " ..
      "all the same)"):format(refused.name, refused_name, first_words(refused.errors, 12))
  end
  return M.check_kind(names, fd)
end

--- Refuses an error that the kind of descriptor asked for never gives.
function M.check_kind(names, fd)
  if type(fd) ~= "string" or not fd:find("^%l+$") then return true end
  for _, name in ipairs(names) do
    if kinds[name] and not kinds[name][fd] then
      local list = {}
      for kind in pairs(kinds[name]) do list[#list + 1] = kind end
      table.sort(list)
      return nil, ("%s never comes from a descriptor of kind %s, but from %s (any_errno injects it all the " ..
        "same)"):format(name, fd, table.concat(list, ", "))
    end
  end
  return true
end

return M
