--- atomic_write(path, { level = "directory" }): whoever looks, and whenever the power fails, finds the old file or the
-- new one, never a part of it.
--
-- Levels, each with what is before it:
--   "rename"      written beside the target under another name, then renamed (or linked) to it; never written in place,
--                 never unlinked first: readers and crashes of the program are safe
--   "fsync"       and the data was synced before the rename: so are power cuts (an empty file is what they leave else)
--   "directory"   and the directory was synced after the rename: when the program says that it is done, the new file is
--                 there to stay (the default)
--
-- path: a glob; a name without "/" is meant wherever it is. What is written through shared mappings is not seen.

local bit = require "bit"
local files_module = require "luatrace.expect.files"

local M = { stacks = "all" }

local levels = { rename = 1, fsync = 2, directory = 3 }

---@param path string
---@param options { level: "rename"|"fsync"|"directory" }|nil
function M:start(path, options)
  if type(path) ~= "string" then self:misuse(("atomic_write takes a path, not a %s"):format(type(path))) end
  self:check_fields(options, { level = true })
  self.level = levels[options and options.level or "directory"]
  if not self.level then
    self:misuse(('atomic_write: level is "rename", "fsync" or "directory", not %s'):format(tostring(options.level)))
  end
  self.path = path
  self.is_target = self:glob(path)
  self.files = files_module.new()
  self:hear(files_module.calls)
  self.replaced = {}
end

local function violated(self, message, calls)
  self.violation = self.violation or self:failed(message, calls)
end

--- Before the model takes the call: what it found is what counts.
local function look(self, record)
  local name, files = record.name, self.files
  if files_module.writes[name] then
    local file = files:of_fd(record, files_module.writes[name])
    if file and self.is_target(file.path) then
      violated(self, "it was written in place: a crash leaves a part of it", { record })
    elseif file then
      file.synced = nil
    end
  elseif files_module.opens[name] and record.path and self.is_target(files:canonical(record.path)) then
    if bit.band(files_module.open_flags(record), 0x200) ~= 0 then -- O_TRUNC
      violated(self, "it was emptied in place: a crash leaves nothing of it", { record })
    end
  elseif name:find("^truncate") and record.path and self.is_target(files:canonical(record.path)) then
    violated(self, "it was truncated in place", { record })
  elseif files_module.unlinks[name] and record.path and self.is_target(files:canonical(record.path)) then
    violated(self, "it was unlinked: for a while there is no file", { record })
  elseif files_module.renames[name] or files_module.links[name] then
    local from, to = record.path_of and record.path_of.oldpath, record.path_of and record.path_of.newpath
    if not to or not self.is_target(files:canonical(to)) then return end
    local source = files.files[files:canonical(from)]
    if self.level >= 2 and source and source.unsynced then
      violated(self, "its data was not synced before the rename: after a power cut it may be empty",
        { { source.unsynced, note = "not synced" }, record })
    end
    self.replaced[files_module.directory_of(files:canonical(to))] = record
    self.seen = true
  end
end

function M:returned(record)
  if not record.failed and record.ret ~= nil then look(self, record) end
  self.files:returned(record)
end

function M:verdict()
  if self.violation then return self.violation end
  if not self.seen then return self:failed("nothing was renamed to it: it was never written") end
  if self.level < 3 then return end
  for path, record in pairs(self.replaced) do
    if self.files:directory(path).unsynced then
      return self:failed(('the directory %s was not synced after the rename: after a power cut the old file may be ' ..
        'back (level = "fsync" does without)'):format(path), { record })
    end
  end
end

return M
