--- What is on disk: which data of which file has been written and not yet synced, which new names have not.
--
-- A model for properties, fed with recorded calls. Files are known by their path, links in directories resolved; a
-- rename moves what is known. A power cut is assumed to lose all that was not synced, and nothing that was.
--
--   local files = files_module.new()
--   files:returned(record)
--   files:file("/tmp/x/a").unsynced        -- the last write that no fsync has followed; nil: all is on disk
--   files:directory("/tmp/x").unsynced     -- the last change of a name in it that no fsync of it has followed

local bit = require "bit"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.ModelFiles
local Files = {}
Files.__index = Files

--- Calls by what they do; properties hear of them all.
M.writes = { write = "fd", pwrite64 = "fd", writev = "fd", pwritev = "fd", pwritev2 = "fd", sendfile = "out_fd",
  sendfile64 = "out_fd", copy_file_range = "fd_out", splice = "fd_out", ftruncate = "fd", ftruncate64 = "fd",
  fallocate = "fd" }
M.opens = { open = true, openat = true, openat2 = true, creat = true }
M.syncs = { fsync = true, fdatasync = true }
M.renames = { rename = true, renameat = true, renameat2 = true }
M.links = { link = true, linkat = true }
M.unlinks = { unlink = true, unlinkat = true }

local patterns = { "sync", "syncfs", "truncate", "truncate64" }
for _, set in ipairs { M.writes, M.opens, M.syncs, M.renames, M.links, M.unlinks } do
  for name in pairs(set) do patterns[#patterns + 1] = name end
end
table.sort(patterns)
--- All of them, as a set for e:hear.
M.calls = "?" .. table.concat(patterns, ",?")

local O_ACCMODE, O_CREAT, O_EXCL, O_TRUNC, O_DSYNC = 3, 0x40, 0x80, 0x200, 0x1000
local flag_argument = { open = 2, openat = 3 }

--- The flags of an open, as a number.
---@param record luatrace.RecordedCall
---@return integer
function M.open_flags(record)
  if record.name == "creat" then return O_CREAT + O_TRUNC + 1 end
  if record.name == "openat2" then
    local how = record.how
    local flags = type(how) == "table" and how.flags
    local value = 0
    -- JSON's plain form of flags is a list of names.
    for _, name in ipairs(type(flags) == "table" and flags or {}) do
      value = value + (({ O_WRONLY = 1, O_RDWR = 2, O_CREAT = O_CREAT, O_EXCL = O_EXCL, O_TRUNC = O_TRUNC })[name] or 0)
    end
    return value
  end
  local raw = record.args[flag_argument[record.name]]
  return bit.tobit(tonumber(raw))
end

--- Does this open let the program write, or change what is there?
function M.opens_for_writing(record)
  local flags = M.open_flags(record)
  return bit.band(flags, O_ACCMODE) ~= 0 or bit.band(flags, O_CREAT + O_TRUNC) ~= 0
end

---@return luatrace.ModelFiles
function M.new() return setmetatable({ files = {}, directories = {}, real = {}, fds = {} }, Files) end

--- The path with the links of its directory resolved: what /proc shows for a descriptor.
---@param path string absolute
---@return string
function Files:canonical(path)
  local directory, name = path:match("^(.*)/([^/]*)$")
  if not directory then return path end
  local known = self.real[directory]
  if not known then
    known = sys.realpath(directory == "" and "/" or directory) or directory
    if known == "/" then known = "" end
    self.real[directory] = known
  end
  return known .. "/" .. name
end

---@param path string canonical
function Files:file(path)
  local file = self.files[path]
  if not file then
    file = { path = path }
    self.files[path] = file
  end
  return file
end

---@param path string
function Files:directory(path)
  if path == "" then path = "/" end
  local directory = self.directories[path]
  if not directory then
    directory = { path = path }
    self.directories[path] = directory
  end
  return directory
end

---@return string
function M.directory_of(path) return path:match("^(.*)/[^/]*$") or "" end

local function fd_key(record, num) return record.process.number .. ":" .. tostring(num) end

--- Devices and the kernel's own trees keep nothing.
local function on_disk(path)
  return path:sub(1, 1) == "/" and not (path:find("^/dev/") and not path:find("^/dev/shm/") or path:find("^/proc/") or
    path:find("^/sys/"))
end

--- The file behind a descriptor of a call; nil for what is no file on a disk.
---@param record luatrace.RecordedCall
---@param argument string
function Files:of_fd(record, argument)
  local fd = record[argument]
  if type(fd) ~= "table" or not fd.path then return nil end
  local kind = rawget(fd, "kind")
  if kind and kind ~= "file" then return nil end
  if not on_disk(fd.path) then return nil end
  return self:file(fd.path), fd
end

local function note_name(self, path, record)
  self:directory(M.directory_of(path)).unsynced = record
end

local function opened(self, record)
  local path = record.path and self:canonical(record.path)
  if not path or not on_disk(path) then return end
  local flags = M.open_flags(record)
  self.fds[fd_key(record, record.ret)] = { path = path, durable = bit.band(flags, O_DSYNC) ~= 0 }
  if bit.band(flags, O_TRUNC) ~= 0 and bit.band(flags, O_ACCMODE) ~= 0 then
    local file = self:file(path)
    file.unsynced, file.written = record, file.written or record
  end
  if bit.band(flags, O_CREAT) ~= 0 and not self.files[path] then
    self:file(path).created = record
    note_name(self, path, record)
  end
end

local function written(self, record)
  local file, fd = self:of_fd(record, M.writes[record.name])
  if not file then return end
  file.written = file.written or record
  file.last_write = record
  local open = self.fds[fd_key(record, fd.num)]
  if not (open and open.durable) then file.unsynced = record end
end

--- What linkat("/proc/self/fd/3") means.
local function linked_fd(self, record)
  local num = record.oldpath and record.oldpath:match("^/proc/self/fd/(%d+)$")
  local open = num and self.fds[fd_key(record, num)]
  return open and open.path
end

local function renamed(self, record)
  local from, to = record.path_of and record.path_of.oldpath, record.path_of and record.path_of.newpath
  if not from or not to then return end
  from, to = self:canonical(from), self:canonical(to)
  local source = linked_fd(self, record) or from
  local file = self.files[source] or { path = to }
  if M.renames[record.name] then
    self.files[from] = nil
    note_name(self, from, record)
  end
  file.path, file.from = to, source
  self.files[to] = file
  note_name(self, to, record)
end

local function everything_synced(self)
  for _, file in pairs(self.files) do file.unsynced, file.synced = nil, true end
  for _, directory in pairs(self.directories) do directory.unsynced = nil end
end

--- A call has returned; failed ones change nothing.
---@param record luatrace.RecordedCall
function Files:returned(record)
  if record.failed or record.ret == nil then return end
  local name = record.name
  if M.opens[name] then
    opened(self, record)
  elseif M.writes[name] then
    written(self, record)
  elseif M.syncs[name] then
    local fd = record.fd
    local path = fd and fd.path
    if path and self.directories[path] then self.directories[path].unsynced = nil end
    if path and path:sub(1, 1) == "/" and not self.directories[path] then
      local file = self:file(path)
      file.unsynced, file.synced = nil, record
    end
  elseif name == "sync" or name == "syncfs" then
    everything_synced(self)
  elseif M.renames[name] or M.links[name] then
    renamed(self, record)
  elseif M.unlinks[name] and record.path then
    local path = self:canonical(record.path)
    self.files[path] = nil
    note_name(self, path, record)
  elseif name:find("^truncate") and record.path then
    local file = self:file(self:canonical(record.path))
    file.unsynced, file.written = record, file.written or record
  end
end

return M
