--- -P and -e trace-fds=: only calls that have to do with these paths or descriptors.
--
--   local filter = path_filter.new({ "/etc/passwd", "*.conf" }, nil)       -- patterns as luatrace.filter.glob has them
--   filter:wants(call)       -- has the call named that path, or does it use a descriptor that is open on it?

local fd_set = require "luatrace.filter.fd_set"
local glob = require "luatrace.filter.glob"
local subjects = require "luatrace.filter.subjects"
local sys = require "luatrace.sys"
local types = require "luatrace.types"

local M = {}

---@class luatrace.PathFilter
local Filter = {}
Filter.__index = Filter

local AT_FDCWD = -100

---@param paths string[]|nil as given; what they resolve to counts, too
---@param fds table|nil luatrace.filter.fd_set
---@return luatrace.PathFilter
function M.new(paths, fds)
  local self = setmetatable({ set = {}, fds = fds, resolved = {} }, Filter)
  for _, path in ipairs(paths or {}) do
    -- A name with a star in it is a pattern unless there is such a file.
    local matches = glob.is_pattern(path) and not sys.file_kind(path) and glob.compile(path)
    if matches then
      self.patterns = self.patterns or {}
      table.insert(self.patterns, matches)
    end
    self.set[path] = true
    local real = sys.realpath(path)
    if real and real ~= path then
      self.set[real] = true
      self.resolved[#self.resolved + 1] = { path, real }
    end
  end
  return self
end

function Filter:wants_path(call, argument)
  local row = call.row
  local path = call[argument.name]
  if type(path) ~= "string" then return false end
  local dirfd = argument.type.dirfd and call.raw[row.index[argument.type.dirfd]] or AT_FDCWD
  if self.set[path] then return true end
  local absolute = call.process.fds:path_of(types.load.i32(nil, dirfd), path)
  return absolute and self.set[absolute] or false
end

function Filter:wants_fd(call, argument)
  local fd = call[argument.name]
  if type(fd) ~= "table" then return false end
  if fd_set.has(self.fds, fd.num) then return true end
  return next(self.set) ~= nil and fd.path and self.set[fd.path] or false
end

function Filter:matches(call)
  local paths = subjects.paths(call)
  for _, matches in ipairs(self.patterns) do
    for i = 1, #paths do
      if matches(paths[i]) then return true end
    end
  end
  return false
end

---@param call luatrace.Call
---@return boolean
function Filter:wants(call)
  local row = call.row
  if self.patterns and self:matches(call) then return true end
  for i = 1, #row do
    local role = row[i].type.role
    if role == "path" and self:wants_path(call, row[i]) or role == "fd" and self:wants_fd(call, row[i]) then
      return true
    end
  end
  return false
end

return M
