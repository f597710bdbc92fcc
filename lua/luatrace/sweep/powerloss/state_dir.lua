--- A directory that is made into one crash state after another, and looked over after each use.
--
--   local place = state_dir.new(space.disk, "/dev/shm/x/slot1")
--   place:become(state.tree)          -- writes only the pages and names that differ from the state before
--   ... a checker runs in it, and may change whatever it likes ...
--   place:look_over()                 -- what it changed is made good, or written anew by the next `become`
--
-- Files are told apart by fingerprint (inode, size, mode, time of modification): every file that we write gets a time
-- in the past, so any later write shows. Shared memory on tmpfs changes files without a trace: what the program itself
-- wrote so is written anew every time.

local bit = require "bit"
local disk_module = require "luatrace.sweep.powerloss.disk"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

local PAGE = disk_module.PAGE
local ZEROS = ("\0"):rep(PAGE)

--- 2001-09-09: long ago, and never what a clock says now.
local PAST = 1000000000

---@class luatrace.StateDir
---@field directory string
local StateDir = {}
StateDir.__index = StateDir

--- Notes everything below a path as it is.
local function note_all(self, path)
  files.walk(self.directory .. (path and "/" .. path or ""), function(below, _)
    local name = path and path .. "/" .. below or below
    self.expected[name] = files.fingerprint(self.directory .. "/" .. name)
  end)
end

--- The fixture as it was.
local function start_anew(self)
  files.remove_tree(self.directory)
  local ok, message, name = files.copy_tree(self.disk.fixture, self.directory)
  if not ok then return nil, message, name end
  files.chmod(self.directory, bit.bor(self.disk.root.mode, 448))
  self.expected, self.current, self.moved = {}, {}, false
  note_all(self)
  return true
end

---@param disk luatrace.Disk
---@param directory string a new one
---@return luatrace.StateDir|nil place, string? message, string? errno
function M.new(disk, directory)
  local self = setmetatable({ disk = disk, directory = directory, written = 0 }, StateDir)
  local ok, message, name = start_anew(self)
  if not ok then return nil, message, name end
  return self
end

local function forget_below(self, path)
  local prefix = path .. "/"
  for _, set in ipairs { self.expected, self.current } do
    for name in pairs(set) do
      if name == path or name:sub(1, #prefix) == prefix then set[name] = nil end
    end
  end
end

local function remove(self, path)
  files.remove_tree(self.directory .. "/" .. path)
  forget_below(self, path)
end

local function failed(path, message) error(("cannot write %s: %s"):format(path, tostring(message)), 0) end

local function open_to_write(path, flags)
  local fd, message = files.open(path, files.O_RDWR + (flags or 0), 384)
  if not fd then
    files.chmod(path, 384)
    fd, message = files.open(path, files.O_RDWR + (flags or 0), 384)
  end
  return fd or failed(path, message)
end

local function put(self, fd, path, file, index, bytes)
  local left = file.size - index * PAGE
  if left <= 0 then return end
  if left < PAGE then bytes = bytes:sub(1, left) end
  local ok, message = files.pwrite(fd, bytes, index * PAGE)
  if not ok then failed(path, message) end
  self.written = self.written + #bytes
end

--- All of a file.
local function write_whole(self, full, node, file)
  local fd
  if node.base and file.kept > 0 then
    local ok, message = files.copy_file(self.disk.fixture .. "/" .. node.base, full)
    if not ok then failed(full, message) end
    fd = open_to_write(full)
    files.ftruncate(fd, file.kept)
  else
    fd = open_to_write(full, files.O_CREAT)
  end
  files.ftruncate(fd, file.size)
  for index, bytes in pairs(file.pages) do put(self, fd, full, file, index, bytes) end
  files.close(fd)
end

--- The pages in which two states of a file differ.
local function write_difference(self, full, node, old, file)
  local fd = open_to_write(full)
  if old.size ~= file.size then files.ftruncate(fd, file.size) end
  for index, bytes in pairs(file.pages) do
    if old.pages[index] ~= bytes then put(self, fd, full, file, index, bytes) end
  end
  for index in pairs(old.pages) do
    if not file.pages[index] then
      put(self, fd, full, file, index, index * PAGE < file.kept and self.disk:page(node, file, index) or ZEROS)
    end
  end
  files.close(fd)
end

local untouched = {}

local function become_file(self, path, node, file)
  local full = self.directory .. "/" .. path
  file = file or untouched[node]
  if not file then
    file = { size = node.size, kept = node.base and node.size or 0, pages = {} }
    untouched[node] = file
  end
  local old = self.current[path]
  local twin = self.placed[node]
  if twin then
    -- Another name of what has been written already.
    local here, there = files.lstat(full), files.lstat(self.directory .. "/" .. twin)
    if not here or here.id ~= there.id then
      remove(self, path)
      files.link(self.directory .. "/" .. twin, full)
    end
  elseif old and old.node == node and old.file.kept == file.kept and not node.ever_mapped then
    if old.file == file or self.disk:file_key(node, old.file) == self.disk:file_key(node, file) then
      self.placed[node] = path
      return
    end
    write_difference(self, full, node, old.file, file)
  else
    -- A file that is just as in the fixture, and has not been touched.
    if not old and node.base == path and self.expected[path] and not self.dirty[path] and
      self.disk:file_key(node, file) == "=" .. node.index and not node.ever_mapped then
      self.current[path], self.placed[node] = { node = node, file = file }, path
      return
    end
    remove(self, path)
    write_whole(self, full, node, file)
  end
  self.placed[node] = self.placed[node] or path
  files.chmod(full, file.mode or node.mode)
  files.set_mtime(full, PAST)
  self.dirty[path] = nil
  self.current[path] = { node = node, file = file }
  self.expected[path] = files.fingerprint(full)
end

local become_dir

local function become(self, tree, path, node)
  local full = self.directory .. "/" .. path
  local old = self.current[path]
  if node.kind == "file" then return become_file(self, path, node, tree.files[node]) end
  local mode = tree.modes and tree.modes[node] or node.mode
  if node.kind == "dir" then
    local same = old and old.node == node or not old and node.base == path and self.expected[path]
    if not same then
      remove(self, path)
      if node.base then
        files.copy_tree(self.disk.fixture .. "/" .. node.base, full)
        self.moved = true
      else
        files.mkdir(full)
      end
      note_all(self, path)
    end
    files.chmod(full, bit.bor(mode, 448))
    self.expected[path] = files.fingerprint(full)
    self.current[path] = { node = node }
    return become_dir(self, tree, path, node)
  end
  if old and old.node == node and not self.dirty[path] then return end
  if not old and node.base == path and self.expected[path] and not self.dirty[path] then
    self.current[path] = { node = node }
    return
  end
  remove(self, path)
  if node.kind == "symlink" then
    files.symlink(node.target or "", full)
  elseif node.kind == "fifo" then
    files.mkfifo(full, mode)
  else
    return
  end
  self.dirty[path] = nil
  self.current[path] = { node = node }
  self.expected[path] = files.fingerprint(full)
end

function become_dir(self, tree, path, dir)
  for _, name in ipairs(self.disk.watched[dir] or {}) do
    local below = path and path .. "/" .. name or name
    local node = disk_module.name_in(tree, dir, name)
    if node then
      become(self, tree, below, node)
    elseif self.expected[below] or self.current[below] then
      remove(self, below)
    end
  end
end

--- Makes the directory this state. Raises an error, with a message, when it cannot be written.
---@param tree luatrace.CrashTree
function StateDir:become(tree)
  self.placed = {}
  self.dirty = self.dirty or {}
  become_dir(self, tree, nil, self.disk.root)
end

--- Finds what has been changed since `become`: unknown names go, known ones are made good now or by the next `become`.
function StateDir:look_over()
  local seen, count = {}, 0
  local broken = false
  local function look(path)
    local names = sys.list_dir(path and self.directory .. "/" .. path or self.directory)
    if not names then
      broken = true
      return
    end
    for _, name in ipairs(names) do
      local below = path and path .. "/" .. name or name
      local print, kind = files.fingerprint(self.directory .. "/" .. below)
      local expected = self.expected[below]
      if not expected then
        files.remove_tree(self.directory .. "/" .. below)
      else
        seen[below] = true
        count = count + 1
        if print ~= expected then
          self.dirty[below] = true
          if self.current[below] and kind ~= "dir" then
            self.current[below] = nil
          else
            broken = true
          end
        end
        if kind == "dir" then look(below) end
      end
    end
  end
  look(nil)
  for path in pairs(self.expected) do
    if not seen[path] then
      -- What we wrote is written again when it is wanted; what is only the fixture's must come from there.
      if not self.current[path] or self.current[path].node.kind == "dir" then broken = true end
      self.expected[path], self.current[path] = nil, nil
    end
  end
  if broken then
    self.dirty = {}
    assert(start_anew(self))
  end
  return count
end

return M
