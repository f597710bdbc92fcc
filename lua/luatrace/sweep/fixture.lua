--- The files that a run works on: an image of a directory, private copies of it, and what a run has made of a copy.
--
--   local image = fixture.read("tests/data")
--   fixture.build(image, "/tmp/copy")                  -- a copy, times and modes kept
--   local state = fixture.snapshot("/tmp/copy")        -- path -> what is there
--   fixture.same(state["f"], image.state["f"])
--
-- Small files are kept in memory, so that a copy costs a write each; large ones are copied from where they are (as a
-- reference where the file system can) and compared by a digest.

local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

--- Files up to this size are kept in memory.
local SMALL = 64 * 1024

---@class luatrace.sweep.Entry
---@field path string relative
---@field kind string
---@field mode integer
---@field size number
---@field content string|nil of a small file
---@field digest string|nil of a large one
---@field target string|nil of a link

--- Calls `visit(relative path, full path, stat)` for everything under a directory, each directory before what it has.
local function walk(directory, visit, prefix)
  local names, message, name = sys.list_dir(directory)
  if not names then return nil, ("cannot read %s: %s"):format(directory, message), name end
  table.sort(names)
  for _, entry in ipairs(names) do
    local full, path = directory .. "/" .. entry, prefix .. entry
    local stat = files.lstat(full)
    if stat then
      visit(path, full, stat)
      if stat.kind == "dir" then
        local ok, failure, failure_name = walk(full, visit, path .. "/")
        if not ok then return nil, failure, failure_name end
      end
    end
  end
  return true
end

--- How much there is: bytes, files, and what cannot be copied.
---@return { bytes: number, count: integer, odd: string[] }|nil, string? message
function M.measure(directory)
  local stat, message = files.stat(directory)
  if not stat then return nil, ("cannot read the fixture %s: %s"):format(directory, message) end
  if stat.kind ~= "dir" then return nil, ("the fixture %s is not a directory"):format(directory) end
  local found = { bytes = 0, count = 0, odd = {} }
  local ok, failure = walk(directory, function(path, _, entry)
    found.count = found.count + 1
    if entry.kind == "file" then found.bytes = found.bytes + entry.size end
    if entry.kind == "socket" or entry.kind == "char" or entry.kind == "block" then
      found.odd[#found.odd + 1] = ("%s (a %s)"):format(path, entry.kind == "socket" and entry.kind or "device")
    end
  end, "")
  if not ok then return nil, failure end
  return found
end

local function describe(path, full, stat)
  local entry = { path = path, kind = stat.kind, mode = stat.mode, size = stat.kind == "file" and stat.size or nil }
  if stat.kind == "file" then
    local problem
    if stat.size <= SMALL then
      entry.content, problem = sys.read_file(full)
    else
      entry.digest, problem = files.digest(full)
    end
    -- What we cannot read is something all the same: it has changed when it can be read.
    if problem then entry.digest = "unreadable" end
  elseif stat.kind == "symlink" then
    entry.target = sys.readlink(full)
  end
  return entry
end

---@class luatrace.sweep.Image
---@field entries luatrace.sweep.Entry[]
---@field state table<string, luatrace.sweep.Entry> the same, by path

--- The image of a directory; of an empty one for nil.
---@return luatrace.sweep.Image|nil, string? message
function M.read(directory)
  local image = { entries = {}, state = {}, bytes = 0 }
  if not directory then return image end
  local by_id, failure = {}, nil
  local ok, message = walk(directory, function(path, full, stat)
    local entry = describe(path, full, stat)
    if entry.digest == "unreadable" then failure = failure or ("cannot read %s"):format(full) end
    entry.source, entry.mtime, entry.mtime_ns = full, stat.mtime_sec, stat.mtime_nsec
    entry.uid, entry.gid = stat.uid, stat.gid
    image.bytes = image.bytes + (entry.size or 0)
    if stat.kind == "file" and stat.nlink > 1 then
      entry.link_to = by_id[stat.id]
      by_id[stat.id] = by_id[stat.id] or path
    end
    image.entries[#image.entries + 1] = entry
    image.state[path] = entry
  end, "")
  if not ok or failure then return nil, message or failure end
  return image
end

local makers = {
  dir = function(_, path) return files.mkdir(path, 448) end,
  file = function(entry, path, target)
    if entry.link_to then return files.link(target .. "/" .. entry.link_to, path) end
    if entry.content then return files.write_file(path, entry.content, 384) end
    return files.copy_file(entry.source, path)
  end,
  symlink = function(entry, path) return files.symlink(entry.target, path) end,
  fifo = function(_, path) return files.mkfifo(path) end,
}

--- Makes a copy in an empty directory. Owners are kept where we may (as root).
---@param image luatrace.sweep.Image
---@param target string a directory
---@param as_root boolean|nil
---@return true|nil, string? message
function M.build(image, target, as_root)
  for _, entry in ipairs(image.entries) do
    local path = target .. "/" .. entry.path
    local ok, message = makers[entry.kind](entry, path, target)
    if not ok then return nil, ("cannot copy the fixture: %s: %s"):format(path, message) end
    if as_root and (entry.uid ~= 0 or entry.gid ~= 0) then files.chown(path, entry.uid, entry.gid) end
    if entry.kind == "file" then
      files.chmod(path, entry.mode)
      files.set_mtime(path, entry.mtime, entry.mtime_ns)
    end
  end
  -- Directories last, the inner ones first: what is made in them changes their times, and may be forbidden.
  for i = #image.entries, 1, -1 do
    local entry = image.entries[i]
    if entry.kind == "dir" then
      files.chmod(target .. "/" .. entry.path, entry.mode)
      files.set_mtime(target .. "/" .. entry.path, entry.mtime, entry.mtime_ns)
    end
  end
  return true
end

--- What there is now in a directory, by path.
---@param directory string
---@param prefix string|nil put before every path
---@param into table|nil
---@return table<string, luatrace.sweep.Entry>
function M.snapshot(directory, prefix, into)
  local state = into or {}
  walk(directory, function(path, full, stat) state[path] = describe(path, full, stat) end, prefix or "")
  return state
end

--- Is it the same: kind, content, and where a link leads?
---@param a luatrace.sweep.Entry|nil
---@param b luatrace.sweep.Entry|nil
function M.same(a, b)
  if not a or not b then return a == b end
  return a.kind == b.kind and a.content == b.content and a.digest == b.digest and a.target == b.target
end

--- Differences between two states, by path: list of { path, before?, after?, mode? }.
---@param before table<string, luatrace.sweep.Entry>
---@param after table<string, luatrace.sweep.Entry>
---@return { path: string, before: table?, after: table?, mode: boolean? }[]
function M.differences(before, after)
  local list = {}
  for path, entry in pairs(before) do
    local now = after[path]
    if not M.same(entry, now) then
      list[#list + 1] = { path = path, before = entry, after = now }
    elseif entry.mode ~= now.mode and entry.kind ~= "symlink" then
      list[#list + 1] = { path = path, before = entry, after = now, mode = true }
    end
  end
  for path, entry in pairs(after) do
    if not before[path] then list[#list + 1] = { path = path, after = entry } end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list
end

--- An entry in a few words.
---@param entry luatrace.sweep.Entry|nil
---@return string
function M.text(entry)
  if not entry then return "nothing" end
  if entry.kind == "file" then return ("%d bytes"):format(entry.size or 0) end
  if entry.kind == "symlink" then return "a link to " .. tostring(entry.target) end
  if entry.kind == "dir" then return "a directory" end
  return "a " .. entry.kind
end

return M
