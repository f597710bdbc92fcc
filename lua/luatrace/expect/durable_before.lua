--- durable_before(event, { path = "*.db", names = true }): what was written is on disk before the event.
--
--   durable_before("sendto")                                        -- no answer before the data is safe
--   durable_before({ "write", fd = 1 }, { path = "*.journal" })     -- the event is narrowed by a where-table
--   durable_before "exit"                                           -- the program's end
--
-- path: only these files count (default: all but standard output and error); names: new names of files must be on disk
-- as well, by an fsync of their directories.

local files_module = require "luatrace.expect.files"

local M = { stacks = "all" }

---@param event string|table
---@param options { path: string|nil, names: boolean|nil }|nil
function M:start(event, options)
  self:check_fields(options, { path = true, names = true })
  options = options or {}
  self:hear(files_module.calls)
  local calls, where = event, nil
  if type(event) == "table" then
    calls, where = event[1], {}
    for key, value in pairs(event) do
      if key ~= 1 then where[key] = value end
    end
  end
  self.is_end = calls == "exit"
  if self.is_end then calls = "exit_group,exit" end
  self.event = self:hear(calls)
  self.matches = self:matcher(calls, where, "entry")
  self.counts = options.path and self:globs(options.path)
  self.names_too = options.names
  self.files = files_module.new()
end

function M:entered(record)
  if self.violation or not self.event[record.name] or not self.matches(record) then return end
  if self.is_end and record.process.parent then return end
  self.happened = true
  for path, file in pairs(self.files.files) do
    local unsynced = file.unsynced
    local fd = unsynced and unsynced[files_module.writes[unsynced.name] or "fd"]
    local standard = type(fd) == "table" and fd.num <= 2
    if unsynced and (self.counts and self.counts(path) or not self.counts and not standard) then
      self.violation = self:failed(("%s was not synced"):format(path), { { unsynced, note = "not synced" }, record })
      return
    end
  end
  if not self.names_too then return end
  for path, directory in pairs(self.files.directories) do
    local change = directory.unsynced
    if change and (not self.counts or change.path and self.counts(change.path)) then
      self.violation = self:failed(("a name in %s was not synced"):format(path),
        { { change, note = "not synced" }, record })
      return
    end
  end
end

function M:returned(record) self.files:returned(record) end

function M:verdict()
  if self.violation then return self.violation end
  if not self.happened then return self:failed("the event never happened") end
end

return M
