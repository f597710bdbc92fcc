--- no_ignored_errors(calls): a program whose write, sync, rename or close failed does not go on and exit with 0.
--
-- What only asks for another try (EINTR, EAGAIN) or for another way (EXDEV of a rename, EINVAL of copy_file_range) is
-- no failure, nor is the close of a number that is not open. A write that succeeds at last is forgiven; an fsync is
-- not: after a failed one the kernel may have dropped the data, and the next one says nothing of it.

local M = {}

local watched = "?write,?pwrite64,?writev,?pwritev,?pwritev2,?sendfile,?copy_file_range,?fsync,?fdatasync,?syncfs," ..
  "?msync,?close,?ftruncate,?truncate,?fallocate,?rename,?renameat,?renameat2"

local another_try = { EINTR = true, EAGAIN = true, EINPROGRESS = true }

--- Failures that ask for another way.
local another_way = {
  close = { EBADF = true },
  copy_file_range = { EXDEV = true, EINVAL = true, EOPNOTSUPP = true, ENOSYS = true, EBADF = true },
  sendfile = { EINVAL = true, ENOSYS = true },
  fallocate = { EOPNOTSUPP = true, ENOSYS = true },
  fsync = { EINVAL = true, EROFS = true },
  fdatasync = { EINVAL = true, EROFS = true },
  rename = { EXDEV = true, ENOENT = true },
  renameat = { EXDEV = true, ENOENT = true },
  renameat2 = { EXDEV = true, ENOENT = true, EINVAL = true, EEXIST = true, ENOSYS = true },
}

local never_forgiven = { fsync = true, fdatasync = true, syncfs = true, msync = true }

---@param calls string|nil default: what writes, syncs, renames and closes
function M:start(calls)
  self:hear(calls or watched)
  self.failures, self.ignored = {}, {}
end

--- What a second try has in common with the first.
local function key(record) return record.name .. ":" .. tostring(record.path or record.args[1]) end

function M:returned(record)
  local node = record.process.node or record.process
  local of_process = self.failures[node.number]
  if not record.failed then
    if of_process and not never_forgiven[record.name] then of_process[key(record)] = nil end
    return
  end
  if another_try[record.errno] or record.errno:find("^ERESTART") then return end
  local ways = another_way[record.name]
  if ways and ways[record.errno] then return end
  of_process = of_process or {}
  self.failures[node.number] = of_process
  of_process[key(record)] = of_process[key(record)] or self:keep(record)
end

--- A process has ended.
function M:ended(node)
  local of_process = self.failures[node.number]
  if not of_process then return end
  self.failures[node.number] = nil
  if node.status ~= 0 then return end
  local list = {}
  for _, record in pairs(of_process) do list[#list + 1] = record end
  table.sort(list, function(a, b) return a.time < b.time end)
  for _, record in ipairs(list) do
    self:note(self.ignored, { record, note = record.errno .. ", and the process exited with 0" })
  end
end

function M:exit_process(_, _, node) self:ended(node) end

function M:verdict()
  local count = self.ignored.count
  if count then
    return self:failed(count == 1 and "an error was ignored" or ("%d errors were ignored"):format(count), self.ignored)
  end
end

return M
