--- cloexec_everywhere{ allow = { "/dev/log" }, strict = true }: every descriptor above 2 is closed by an exec.
--
-- By the flag of the call that makes it (O_CLOEXEC, SOCK_CLOEXEC, ...), or by fcntl(F_SETFD) or ioctl(FIOCLEX) before
-- the process executes anything; strict: by the flag alone, since a thread may fork between the two calls. allow: globs
-- of files, "pipe*" or "socket*" for what has no name.

local bit = require "bit"

local M = { stacks = "all" }

local O_CLOEXEC, MFD_CLOEXEC, PERF_FLAG_FD_CLOEXEC = 0x80000, 1, 8

--- Which argument has the flag; false: the call has none; another number than O_CLOEXEC: { argument, flag }.
local makers = { open = 2, openat = 3, openat2 = "how", creat = false, socket = 2, socketpair = 2, accept = false,
  accept4 = 4, pipe = false, pipe2 = 2, dup = false, dup2 = false, dup3 = 3, epoll_create = false, epoll_create1 = 1,
  eventfd = false, eventfd2 = 2, timerfd_create = 2, signalfd = false, signalfd4 = 4,
  memfd_create = { 2, MFD_CLOEXEC }, inotify_init = false, inotify_init1 = 1, userfaultfd = 1,
  perf_event_open = { 5, PERF_FLAG_FD_CLOEXEC }, open_by_handle_at = 3 }

local F_DUPFD, F_SETFD, FD_CLOEXEC, FIOCLEX = 0, 2, 1, 0x5451

---@param options { allow: string[]|string|nil, strict: boolean|nil }|nil
function M:start(options)
  self:check_fields(options, { allow = true, strict = true })
  options = options or {}
  local names = { "?fcntl", "?ioctl", "?execve", "?execveat" }
  for name in pairs(makers) do names[#names + 1] = "?" .. name end
  self:hear(table.concat(names, ","))
  self.strict = options.strict
  self.open, self.bare = {}, {}
  self.is_allowed = self:globs(options.allow)
end

local function has_flag(record)
  local maker = makers[record.name]
  if maker == false then return false end
  if maker == "how" then
    local flags = type(record.how) == "table" and record.how.flags
    for _, name in ipairs(type(flags) == "table" and flags or {}) do
      if name == "O_CLOEXEC" then return true end
    end
    return false
  end
  local place, flag = maker, O_CLOEXEC
  if type(maker) == "table" then place, flag = maker[1], maker[2] end
  return bit.band(tonumber(record.args[place]), flag) ~= 0
end

local function made(self, record, num)
  if type(num) ~= "number" or num <= 2 or self.is_allowed(record.path or record.name .. ":") then return end
  local of_process = self.open[record.process.number] or {}
  self.open[record.process.number] = of_process
  local entry = { record, note = ("descriptor %d has no close-on-exec flag"):format(num) }
  if self.strict then self:note(self.bare, entry) else of_process[num] = entry end
end

function M:returned(record)
  local name = record.name
  if record.failed or record.ret == nil then return end
  local of_process = self.open[record.process.number]
  if name == "fcntl" then
    local command = bit.tobit(tonumber(record.args[2]))
    if command == F_DUPFD then
      made(self, record, record.ret)
    elseif command == F_SETFD and of_process and bit.band(tonumber(record.args[3]), FD_CLOEXEC) ~= 0 then
      of_process[bit.tobit(tonumber(record.args[1]))] = nil
    end
  elseif name == "ioctl" then
    if of_process and bit.band(tonumber(record.args[2]), 0xffffffff) == FIOCLEX then
      of_process[bit.tobit(tonumber(record.args[1]))] = nil
    end
  elseif makers[name] ~= nil and not has_flag(record) then
    local list = record.pipefd or record.sv
    if type(list) == "table" then
      for _, num in ipairs(list) do made(self, record, num) end
    else
      made(self, record, record.ret)
    end
  end
end

--- What is bare when a program is executed stays so.
function M:entered(record)
  local of_process = record.name:find("^execve") and self.open[record.process.number]
  if not of_process then return end
  for _, entry in pairs(of_process) do self:note(self.bare, entry) end
  self.open[record.process.number] = nil
end

function M:verdict()
  for _, of_process in pairs(self.open) do
    for _, entry in pairs(of_process) do self:note(self.bare, entry) end
  end
  table.sort(self.bare, function(a, b) return a[1].time < b[1].time end)
  local count = self.bare.count
  if count then
    return self:failed(("%d descriptor%s not closed by an exec"):format(count, count == 1 and " is" or "s are"),
      self.bare)
  end
end

return M
