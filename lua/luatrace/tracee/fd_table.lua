--- The descriptors of a process: what each number is, without a readlink per event.
--
-- A number is looked up in /proc the first time somebody asks for it, and remembered. luatrace sees only the calls
-- that somebody asked for, so what is remembered holds as long as no call can have changed it: when all calls that
-- change descriptors are seen (`complete`), that is until one of them does; otherwise until the process's next stop.
--
--   local fds = require("luatrace.tracee.fd_table").new(pid)
--   fds:get(3)                         -- { num = 3, path = "/etc/passwd", kind = "file" }, or nil
--   fds:path_of(AT_FDCWD, "x/../y")    -- "/home/me/y"

local sys = require "luatrace.sys"

local M = {}

M.AT_FDCWD = -100

---@class luatrace.Fd
---@field num integer
---@field path string what it is open on: a path, "pipe:[123]", "anon_inode:[eventpoll]"
---@field kind "file"|"dir"|"pipe"|"socket"|"eventfd"|"epoll"|"timerfd"|"signalfd"|"inotify"|"memfd"|"tty"|"char"|"anon"
---@field inode integer|nil of pipes and sockets
---@field deleted boolean|nil the file has no name any more
---@field flags integer|nil status flags (fcntl), looked up when asked for
---@field pos number|nil file position, looked up when asked for
local Fd = {}

local function fdinfo(fd)
  local text = sys.read_file(("/proc/%d/fdinfo/%d"):format(fd.pid, fd.num)) or ""
  return { pos = tonumber(text:match("pos:%s*(%d+)")), flags = tonumber(text:match("flags:%s*(%d+)") or "", 8) }
end

Fd.__index = function(fd, key)
  if key == "pos" or key == "flags" then return fdinfo(fd)[key] end
  if key == "kind" then
    -- Only a look at the file itself tells a directory from a file.
    local kind = sys.file_kind(("/proc/%d/fd/%d"):format(fd.pid, fd.num)) or "file"
    rawset(fd, "kind", kind)
    return kind
  end
end
Fd.__tostring = function(fd) return tostring(fd.num) end

local anonymous = { eventpoll = "epoll", eventfd = "eventfd", timerfd = "timerfd", signalfd = "signalfd",
  inotify = "inotify" }

--- What kind a link of /proc/PID/fd tells; nil for a path in the file system.
local function kind_of(link)
  local name = link:match("^(%a+):%[")
  if name == "pipe" or name == "socket" then return name end
  local what = link:match("^anon_inode:%[?([%w_-]+)")
  if what then return anonymous[what] or "anon" end
  if link:find("^/memfd:") then return "memfd" end
  if link:find("^/dev/pts/%d") or link:find("^/dev/tty") then return "tty" end
  if link == "/dev/null" or link == "/dev/zero" or link:find("^/dev/u?random$") then return "char" end
end

--- Names that the kernel shows for files that a mock has made up, by what the program takes them for.
---@type table<string, { path: string, kind: string }>
M.aliases = {}

local function describe(pid, num, link)
  local path, deleted = link:gsub(" %(deleted%)$", "")
  local alias = M.aliases[path]
  if alias then
    return setmetatable({ pid = pid, num = num, path = alias.path, kind = alias.kind, mock = alias }, Fd)
  end
  return setmetatable({ pid = pid, num = num, path = path, kind = kind_of(link), deleted = deleted > 0 or nil,
    inode = tonumber(link:match("^%a+:%[(%d+)%]$")) }, Fd)
end

---@class luatrace.FdTable
---@field complete boolean all calls that change descriptors are seen
local Table = {}
Table.__index = Table

---@param pid integer
---@param complete boolean|nil all calls that change descriptors will be seen
---@param on_refusal fun(pid: integer)|nil told when we may not look at them
---@return luatrace.FdTable
function M.new(pid, complete, on_refusal)
  return setmetatable({ pid = pid, entries = {}, complete = complete or false, on_refusal = on_refusal }, Table)
end

--- The table of a new child: a copy, or the same one with CLONE_FILES.
---@return luatrace.FdTable
function Table:child(pid, shares_files, shares_fs)
  local child = M.new(pid, self.complete, self.on_refusal)
  if self.complete then
    if shares_files then
      child.entries = self.entries
    else
      for num, fd in pairs(self.entries) do
        child.entries[num] = setmetatable({ pid = pid, num = num, path = fd.path, kind = rawget(fd, "kind"),
          deleted = fd.deleted, inode = fd.inode, mock = fd.mock }, Fd)
      end
    end
  end
  child.shares_fs = shares_fs or nil
  return child
end

--- The descriptor with this number; nil when it is not open (or cannot be seen any more).
---@param num integer
---@return luatrace.Fd|nil
function Table:get(num)
  local fd = self.entries[num]
  if fd then return fd end
  local link, _, name = sys.readlink(("/proc/%d/fd/%d"):format(self.pid, num))
  if not link then
    if name == "EACCES" and self.on_refusal then self.on_refusal(self.pid) end
    return nil
  end
  fd = describe(self.pid, num, link)
  self.entries[num] = fd
  return fd
end

--- The same as it is now: a path may have been renamed or removed since it was remembered.
---@param num integer
---@return luatrace.Fd|nil
function Table:look(num)
  self.entries[num] = nil
  return self:get(num)
end

--- All open descriptors, by number.
---@return table<integer, luatrace.Fd>
function Table:list()
  local list = {}
  for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(self.pid)) or {}) do
    local num = tonumber(name)
    list[num] = self:get(num)
  end
  return list
end

--- The working directory.
---@return string|nil
function Table:cwd()
  if not self.directory then
    local link = sys.readlink(("/proc/%d/cwd"):format(self.pid))
    local alias = link and M.aliases[(link:gsub(" %(deleted%)$", ""))]
    self.directory = alias and alias.path or link
  end
  return self.directory
end

--- A path joined and cleaned by its text alone: links are not followed.
---@param path string
---@return string
function M.clean(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

--- The absolute path that a call means by a directory descriptor and a path.
---@param dirfd integer AT_FDCWD or a descriptor
---@param path string|nil nil or "": the descriptor itself
---@return string|nil
function Table:path_of(dirfd, path)
  if path and path:sub(1, 1) == "/" then return M.clean(path) end
  local base
  if dirfd == M.AT_FDCWD then
    base = self:cwd()
  else
    local fd = self:get(dirfd)
    base = fd and fd.path
  end
  if not base or not path or path == "" then return base end
  return M.clean(base .. "/" .. path)
end

--- The process has stopped again: unless every change is seen, what was remembered may be old.
function Table:new_stop()
  if self.complete then return end
  if next(self.entries) then self.entries = {} end
  self.directory = nil
end

--- What this number is open on has been changed behind the program's back.
---@param num integer
function Table:forget(num) self.entries[num] = nil end

--- A new program image: descriptors with CLOEXEC are gone.
function Table:exec()
  self.entries = {}
end

--- Calls after which one number, named by an argument, is something else.
local closes = { close = 1, dup2 = 2, dup3 = 2 }
--- Calls after which many may be.
local unsettles = { close_range = true, unshare = true, recvmsg = true, recvmmsg = true }
--- Calls whose result is a number that was free before.
local opens = { open = true, openat = true, openat2 = true, creat = true, dup = true, socket = true, accept = true,
  accept4 = true, epoll_create = true, epoll_create1 = true, eventfd = true, eventfd2 = true, memfd_create = true,
  timerfd_create = true, signalfd = true, signalfd4 = true, inotify_init = true, inotify_init1 = true,
  pidfd_open = true, fcntl = true, userfaultfd = true, perf_event_open = true, bpf = true, io_uring_setup = true,
  fanotify_init = true, open_by_handle_at = true, memfd_secret = true, pidfd_getfd = true, fsopen = true,
  fsmount = true, open_tree = true }

--- A call has returned: forgets what it changed.
---@param call luatrace.Call
function Table:note_call(call)
  if not self.complete then return end
  local name = call.row.name
  if closes[name] then
    self.entries[call.raw[closes[name]]] = nil
  elseif unsettles[name] then
    for num in pairs(self.entries) do self.entries[num] = nil end
  elseif opens[name] then
    if not call.failed then self.entries[call.raw_ret] = nil end
  elseif name == "chdir" or name == "fchdir" or name == "chroot" or name == "pivot_root" then
    self.directory = nil
  end
end

local changing = { chdir = true, fchdir = true, chroot = true, pivot_root = true }
for _, set in ipairs { closes, unsettles, opens } do
  for name in pairs(set) do changing[name] = true end
end

--- The calls that must be seen for `complete` to hold, by name.
---@return table<string, true>
function M.changing_calls() return changing end

---@param name string of a call
---@return boolean
function M.changes(name) return changing[name] or false end

return M
