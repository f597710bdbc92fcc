--- no_fd_leaks{ allow = { "/var/log/*" } }: when a process ends it has closed what it opened.
--
-- What a process was given at its birth or exec is not its own; 0, 1 and 2 may stay. Looked at when a process calls
-- exit_group: one that is killed is not judged. allow: globs of what may stay open.

local sys = require "luatrace.sys"

local M = { live = true, stacks = "all" }

local opening = "?open,?openat,?openat2,?creat,?dup,?dup2,?dup3,?fcntl,?socket,?socketpair,?accept,?accept4,?pipe," ..
  "?pipe2,?epoll_create,?epoll_create1,?eventfd,?eventfd2,?timerfd_create,?signalfd,?signalfd4,?memfd_create," ..
  "?inotify_init,?inotify_init1,?pidfd_open"

---@param options { allow: string[]|string }|nil
function M:start(options)
  self:check_fields(options, { allow = true })
  self:hear "exit_group,exit"
  self.opening = self:hear(opening)
  self.opened, self.given, self.leaks = {}, {}, {}
  self.is_allowed = self:globs(options and options.allow)
end

--- What is open now: number -> what it is open on.
local function open_now(pid)
  local open = {}
  for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(pid)) or {}) do
    open[tonumber(name)] = sys.readlink(("/proc/%d/fd/%s"):format(pid, name))
  end
  return open
end

function M:birth(stop, thread)
  if stop.tid == stop.pid then self.given[thread.process] = open_now(stop.pid) end
end

function M:exec(_, process) self.given[process] = open_now(process.pid) end

local function key(record, num) return record.process.number .. ":" .. num end

function M:returned(record)
  if not self.opening[record.name] or record.failed or record.ret == nil then return end
  local list = record.pipefd or record.sv
  if type(list) == "table" then
    for _, num in ipairs(list) do self.opened[key(record, num)] = record end
  else
    self.opened[key(record, record.ret)] = record
  end
end

function M:entered(record, call)
  if record.name ~= "exit_group" and not (record.name == "exit" and call.process.thread_count == 1) then return end
  local given, numbers = self.given[call.process] or {}, {}
  local open = open_now(call.process.pid)
  for num, path in pairs(open) do
    if num > 2 and given[num] ~= path and not self.is_allowed(path) then numbers[#numbers + 1] = num end
  end
  table.sort(numbers)
  for _, num in ipairs(numbers) do
    local opener = self.opened[key(record, num)] or record
    self:note(self.leaks, { opener, note = ("%d is still open at the end (%s)"):format(num, open[num]) })
  end
end

function M:verdict()
  local count = self.leaks.count
  if count then
    return self:failed(("%d descriptor%s never closed"):format(count, count == 1 and " was" or "s were"), self.leaks)
  end
end

return M
