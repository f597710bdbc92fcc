--- Who hears that data could not be written: each opening of the file that was there at the time, once (errseq_t of
-- Linux 4.13 and later). Descriptors that were dup'ed or inherited are one opening; files opened after somebody has
-- been told hear nothing.
--
--   local errors = require("luatrace.inject.sync_error").new()
--   errors:arise(call, stat.id)                  -- the data of this file is lost
--   if errors:is_due(call, fd) then call:fail "EIO" end

local descriptors = require "luatrace.sys.descriptors"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

local Errors = {}
Errors.__index = Errors

function M.new() return setmetatable({ by_file = {} }, Errors) end

--- The file that a descriptor is open on.
---@return string|nil id
local function file_of(pid, num)
  local stat = files.stat(("/proc/%d/fd/%d"):format(pid, num))
  return stat and stat.id
end

---@param id string of luatrace.Stat
function Errors:arise(_, id) self.by_file[id] = { is_new = true } end

--- All other openings of the file in the processes of this run.
local function others(call, id, num)
  local found, seen, pid = {}, {}, call.process.pid
  for _, thread in pairs(call.session.tree.threads) do
    local other = thread.process.pid
    for _, name in ipairs(seen[other] and {} or sys.list_dir(("/proc/%d/fd"):format(other)) or {}) do
      local fd = tonumber(name)
      if file_of(other, fd) == id and descriptors.is_same_file(pid, num, other, fd) == false then
        found[#found + 1] = { pid = other, num = fd }
      end
    end
    seen[other] = true
  end
  return found
end

--- Does this fsync report it?
---@param call luatrace.Call
---@param fd luatrace.Fd
---@return boolean
function Errors:is_due(call, fd)
  if next(self.by_file) == nil then return false end
  local id = file_of(call.process.pid, fd.num)
  local sync_error = self.by_file[id]
  if not sync_error then return false end
  if sync_error.is_new then
    sync_error.is_new, sync_error.owed = nil, others(call, id, fd.num)
    return true
  end
  local owed, left = sync_error.owed, {}
  for _, opening in ipairs(owed) do
    local is_this = descriptors.is_same_file(call.process.pid, fd.num, opening.pid, opening.num)
    if not is_this then left[#left + 1] = opening end
  end
  sync_error.owed = left
  return #left < #owed
end

return M
