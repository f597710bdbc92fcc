--- What a program does to the files below a directory, in the order in which the kernel did it, with the data.
--
--   local log = write_log.new(directory)          -- its tree as it is now: log.nodes
--   log:install(environment)                      -- handlers (write_calls.lua) into a script's environment
--   ... run ...
--   log.ops[7]                                    -- { call = "pwrite64", kind = "write", node =, bytes =, ... }
--
-- A *node* is a file, directory or link, known by device and inode: no name is trusted for longer than one call. The
-- recorded calls exclude each other (the second waits at its entry until the first has returned), so that the log has
-- the kernel's own order over all threads and processes, and so that what a call did can be read back from the file
-- itself: offsets shared over dup and fork, O_APPEND, sendfile and reflinks need no model of ours.
--
-- Kinds of ops, and their fields:
--
--   write     node, offset, bytes, sync ("data", "all" with O_DSYNC, O_SYNC), mapped (seen late: see below)
--   truncate  node, size, from                       allocate  node, size (fallocate made it larger)
--   zero      node, offset, length                   replace   node, bytes (all of it)
--   create    dir, name, node                        link      dir, name, node
--   unlink    dir, name, node (rmdir too)            rename    from_dir, from_name, dir, name, node, replaced, exchange
--   chmod     node, mode                             flush     node: the last writer of a truncated file closed it
--   sync      node (nil: everything), data_only      announce  stream ("stdout", "stderr", "socket"), bytes
--   exit      status, signal (of the program)        mark      text
--
-- Every op has `call` (its system call), `process` (place in the tree, "0.1"), `pid`, and `stack` when asked for.
--
-- Writes through shared memory are no calls. Files mapped so are compared with what is known of them at every recorded
-- call: what changed becomes a write that is `mapped`, so its time and the order within it are only known to lie
-- between two calls. `log.unseen` says so, as it says that io_uring was used; what the end of the run shows to have
-- changed without having been seen is listed there too.

local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

local PAGE = 4096

--- A recording that needs more than this is cut off, and says so.
M.max_bytes = 512 * 1024 * 1024

---@class luatrace.Node
---@field index integer
---@field kind "file"|"dir"|"symlink"|"fifo"
---@field base string|nil its path in the fixture, when it was there from the start
---@field size number at the start; 0 of what the program made
---@field mode integer
---@field target string|nil of symbolic links
---@field names table<string, luatrace.Node>|nil of directories, at the start
---@field parent luatrace.Node|nil
---@field name string|nil

---@class luatrace.WriteLog
---@field ops table[]
---@field nodes luatrace.Node[] nodes[1] is the directory itself
---@field unseen string[] what is known to be missing
---@field outside table<string, boolean> files elsewhere that were written or made
local Log = {}
Log.__index = Log

function Log:add_node(id, fields)
  fields.index = #self.nodes + 1
  self.nodes[fields.index] = fields
  if id then self.by_id[id] = fields end
  return fields
end

--- Reads the tree as it is.
---@param directory string
---@param options { stacks: boolean? }|nil
---@return luatrace.WriteLog|nil log, string? message, string? errno
function M.new(directory, options)
  local root, message, name = files.stat(directory)
  if not root then return nil, ("%s: %s"):format(directory, message), name end
  local self = setmetatable({ directory = directory, options = options or {}, ops = {}, nodes = {}, by_id = {},
    unseen = {}, said = {}, outside = {}, waiting = {}, readers = {}, reader_count = 0, mapped = {}, bytes = 0,
    streams = {} }, Log)
  local top = self:add_node(root.id, { kind = "dir", mode = root.mode, base = "", names = {}, size = 0 })
  local directories = { [""] = top }
  local ok, problem, errno = files.walk(directory, function(path, stat)
    local node = self.by_id[stat.id]
    local parent = directories[path:match("^(.*)/[^/]*$") or ""]
    local entry = path:match("[^/]*$")
    if not node then
      node = self:add_node(stat.id, { kind = stat.kind, mode = stat.mode, base = path, size = stat.size,
        parent = parent, name = entry })
      if stat.kind == "dir" then
        node.names, node.size = {}, 0
        directories[path] = node
      elseif stat.kind == "symlink" then
        node.target = sys.readlink(directory .. "/" .. path)
      end
    end
    parent.names[entry] = node
  end)
  if not ok then return nil, problem, errno end
  return self
end

--- Something that the record cannot show, said once.
function Log:miss(key, text)
  if self.said[key] then return end
  self.said[key] = true
  self.unseen[#self.unseen + 1] = text
end

--- A node's path below the directory, as it is named now.
---@return string
function Log.path_of(_, node)
  local parts = {}
  if not node.parent and node.index > 1 then return "(a file without a name)" end
  while node and node.parent do
    table.insert(parts, 1, node.name)
    node = node.parent
  end
  return #parts > 0 and table.concat(parts, "/") or "."
end

--- The path of a name in a directory.
---@return string
function Log:path_in(dir, name)
  local parent = self:path_of(dir)
  return parent == "." and name or parent .. "/" .. name
end

-- --- one at a time --------------------------------------------------------------------------------------------------

--- Waits until no other recorded call is in the kernel. For calls that cannot block for long: on files, not on pipes.
function Log:enter(call)
  while self.owner do
    self.waiting[#self.waiting + 1] = call
    call:hold()
    if self.woken == call then self.woken = nil end
  end
  self.owner = call
end

local function wake(self)
  local call = table.remove(self.waiting, 1)
  self.woken = call
  if call then call:release() end
end

function Log:leave()
  self.owner = nil
  wake(self)
end

--- A thread died in a call: it will never come back to `leave`. Looked at as an observer of the session.
function Log:thread_died(call)
  for i = #self.waiting, 1, -1 do
    if self.waiting[i] == call then table.remove(self.waiting, i) end
  end
  if self.owner == call then
    self.owner = nil
    if self.interrupted then self.interrupted(call) end
    wake(self)
  elseif self.woken == call then
    wake(self)
  end
end

-- --- ops ------------------------------------------------------------------------------------------------------------

--- Appends an op. What shared memory has changed until now comes before it.
function Log:add(call, op)
  if next(self.mapped) and op.kind ~= "chmod" and not op.mapped then self:compare_mapped(call) end
  op.index = #self.ops + 1
  if call then
    op.call = op.call or call.name
    op.process = call.process.number
    op.pid = call.process.pid
    if self.options.stacks and not op.stack and call.stop then op.stack = call:stack() end
  end
  -- Names as they are now: reports are made when they have long changed.
  if op.node then op.path = op.path or self:path_of(op.node) end
  self.ops[op.index] = op
  return op
end

--- A descriptor of ours on a node's data, kept: bytes are read back from it.
function Log:reader(node, path)
  local fd = self.readers[node]
  if fd then return fd end
  local message, name
  fd, message, name = files.open(path, files.O_RDONLY)
  if not fd then return nil, message, name end
  if self.reader_count >= 200 then
    local other, old = next(self.readers)
    files.close(old)
    self.readers[other] = nil
    self.reader_count = self.reader_count - 1
  end
  self.readers[node], self.reader_count = fd, self.reader_count + 1
  return fd
end

--- The bytes that are in the file now; nil when they cannot be read, or there are too many already.
function Log:read_back(node, path, offset, size)
  if self.bytes + size > M.max_bytes then
    self:miss("bytes", ("more than %d MiB were written: what came later is not in the record"):format(
      M.max_bytes / 1048576))
    return nil
  end
  local fd, message = self:reader(node, path)
  local bytes = fd and files.pread(fd, size, offset)
  if not bytes then
    self:miss("unreadable " .. node.index, ("what was written to %s could not be read back: %s"):format(
      self:path_of(node), message or "?"))
    return nil
  end
  self.bytes = self.bytes + #bytes
  return bytes
end

--- A file's size may have changed.
function Log:add_truncate(call, node, before, after)
  if before == after then return end
  self:add(call, { kind = "truncate", node = node, from = before, size = after })
  -- ext4 and btrfs write out what is in such a file when it is closed: see `flush`.
  if after == 0 then
    node.cut_to_zero = true
    self.cut = true
  end
  self:refresh_mapped(node)
end

-- --- shared memory --------------------------------------------------------------------------------------------------

local function pages_of(fd, size)
  local pages = {}
  for index = 0, math.ceil(size / PAGE) - 1 do pages[index] = files.pread(fd, PAGE, index * PAGE) or "" end
  return pages
end

--- A file has been mapped for shared writing: from now on it is compared at every recorded call.
function Log:map(node, path)
  if self.mapped[node] then return end
  self:miss("mapped " .. node.index, ("%s is written through shared memory (mmap): such writes are not calls; they " ..
    "are noticed at the next recorded call, in no known order"):format(self:path_of(node)))
  local fd = self:reader(node, path)
  local stat = fd and files.fstat(fd)
  if not stat or stat.size > 64 * 1048576 then return end
  -- A descriptor of its own: readers may be closed for others' sake.
  fd = files.open(path, files.O_RDONLY)
  node.ever_mapped = true
  self.mapped[node] = { fd = fd, size = stat.size, pages = pages_of(fd, stat.size) }
end

--- The file was changed by a call: what is known of it is read again.
function Log:refresh_mapped(node)
  local known = self.mapped[node]
  if not known then return end
  known.size = files.fstat(known.fd).size
  known.pages = pages_of(known.fd, known.size)
end

--- Changes of mapped files since the last look become ops.
function Log:compare_mapped(call)
  for node, known in pairs(self.mapped) do
    local size = files.fstat(known.fd).size
    for index = 0, math.ceil(math.min(size, known.size) / PAGE) - 1 do
      local bytes = files.pread(known.fd, PAGE, index * PAGE) or ""
      if bytes ~= known.pages[index] and #bytes == #known.pages[index] then
        known.pages[index] = bytes
        self.bytes = self.bytes + #bytes
        self:add(nil, { kind = "write", call = "memory", mapped = true, node = node, offset = index * PAGE,
          bytes = bytes, process = call and call.process.number, pid = call and call.process.pid })
      end
    end
  end
end

-- --- the end --------------------------------------------------------------------------------------------------------

--- Closes what was opened for reading back.
function Log:close()
  for node, fd in pairs(self.readers) do
    files.close(fd)
    self.readers[node] = nil
  end
  for node, known in pairs(self.mapped) do
    files.close(known.fd)
    self.mapped[node] = nil
  end
end

--- The handlers, into a script's environment (see luatrace.script), and what watches for threads that die.
---@param environment table
---@return table observer for the session's options
function Log:install(environment)
  return require("luatrace.sweep.powerloss.write_calls").install(self, environment)
end

return M
