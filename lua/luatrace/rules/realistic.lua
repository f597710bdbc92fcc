--- Which errors can really happen: what a call can return at all, and on what kind of descriptor.
--
-- An injected error that no kernel gives finds faults that do not exist; so rules refuse those (`any_errno = true`
-- and --any-errno let them through).

local decode = require "luatrace.decode"
local packed = require "luatrace.packed"
local predicates = require "luatrace.filter.predicates"

local M = {}

local manual_errors = packed.is_source and require "luatrace.syscalls.errors" or packed.open_map "errors"

--- A filter, a security module or an old kernel: every call that can fail can give these.
local anywhere = { ENOSYS = true, EPERM = true, EACCES = true, ENOMEM = true }

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

local known = {}

--- The errors of a call, from its row or from the manual pages.
---@param row table
---@return { possible: string[], mistakes: string[] }|nil errors mistakes: only a caller's own brings them; nil: nothing
-- is known of this call
function M.errors_of(row)
  local errors = known[row.name]
  if errors ~= nil then return errors or nil end
  local text = row.errors or manual_errors[row.name]
  known[row.name] = false
  if not text then return nil end
  errors = { possible = {}, mistakes = {} }
  local list = errors.possible
  for word in text:gmatch("%S+") do
    if word == "|" then list = errors.mistakes else list[#list + 1] = word end
  end
  known[row.name] = errors
  return errors
end

local function contains(list, name)
  for _, each in ipairs(list) do
    if each == name then return true end
  end
  return false
end

local function can_give(row, name)
  local errors = M.errors_of(row)
  if not errors or anywhere[name] then return true end
  if name == "EWOULDBLOCK" then name = "EAGAIN" end
  -- Any file system may fail to reach its disk.
  if name == "EIO" and (row.classes.desc or row.classes.file) then return true end
  return contains(errors.possible, name) or contains(errors.mistakes, name)
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
      "all the same)"):format(refused.name, refused_name, first_words(M.errors_of(refused).possible, 12))
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
