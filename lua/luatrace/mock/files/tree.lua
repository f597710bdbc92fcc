--- The made-up part of a file system: nodes by absolute path, over the real one.
--
-- A file node is a memfd of luatrace's, of which the program gets descriptors; a directory or a symbolic link is a
-- descriptor of one that has been removed: it has an inode, and a directory a position, but nothing in it. `false` says
-- that there is nothing by that name. A directory that is mocked itself hides the real one; all other directories are
-- real, with the mocked names among the others.
--
--   local tree = require("luatrace.mock.files.tree").new()
--   tree:add("/etc/app/main.conf", { content = "x" })
--   tree:find "/etc/app"                        -- the node; nil: none of ours; false, "ENOENT": not there

local fd_table = require "luatrace.tracee.fd_table"
local descriptors = require "luatrace.sys.descriptors"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

local O_DIRECTORY, O_RDONLY, O_PATH, O_NOFOLLOW = 0x10000, 0, 0x200000, 0x20000
--- The kernel follows so many links on one way (MAXSYMLINKS).
local MAX_LINKS = 40

---@class luatrace.MockNode
---@field kind "file"|"dir"|"symlink"
---@field path string the name that it has now, or had last
---@field mode integer permission bits
---@field uid integer|nil
---@field gid integer|nil
---@field mtime number|nil
---@field content string|nil what is in it at first; where a symbolic link leads to
---@field make (fun(path: string): string)|nil makes the content, anew for each open
---@field links integer how many names it has
---@field fd integer|nil ours

---@class luatrace.MockTree
---@field nodes table<string, luatrace.MockNode|false>
---@field names table<string, boolean> last parts of all paths, to pass quickly over those of others
---@field parents table<string, boolean> directories that have any of them
local Tree = {}
Tree.__index = Tree

---@return luatrace.MockTree
function M.new() return setmetatable({ nodes = {}, names = {}, parents = {}, made = {}, appended = {} }, Tree) end

---@return string directory, string name
local function split(path)
  local directory, name = path:match("^(.*)/([^/]*)$")
  return directory == "" and "/" or directory, name
end
M.split = split

--- Without links in the part before the last name, where that part exists.
local function canonical(path)
  local directory, name = split(path)
  local real = directory ~= "/" and descriptors.realpath(directory) or directory
  return (real == "/" and "" or real) .. "/" .. name
end

--- Enters a node, or `false`, under a name.
function Tree:put(path, node)
  self.nodes[path] = node
  if node then
    node.path = path
    if node.fd then fd_table.aliases[node.alias].path = path end
  end
  local directory, name = split(path)
  self.names[name], self.parents[directory] = true, true
  self.has_directories = self.has_directories or (node and node.kind == "dir")
  self.has_links = self.has_links or (node and node.kind == "symlink")
end

local usual_mode = { file = 420, dir = 493, symlink = 511 }

--- A name that the script has given: with what the real file has where it says nothing else.
---@param path string
---@param node table|false
function Tree:add(path, node)
  path = canonical(fd_table.clean(path))
  if not node then return self:put(path, false) end
  local real = files.lstat(path)
  if real and real.kind == "symlink" then real = files.stat(path) end
  node.kind = node.kind or "file"
  local same_kind = real and real.kind == node.kind and real
  node.mode = node.mode or same_kind and same_kind.mode or usual_mode[node.kind]
  node.uid, node.gid = node.uid or same_kind and same_kind.uid or nil, node.gid or same_kind and same_kind.gid or nil
  node.links = 1
  self:put(path, node)
  -- Directories on the way that do not exist are part of the mock.
  local directory = split(path)
  while directory ~= "/" and self.nodes[directory] == nil and not sys.file_kind(directory) do
    self:put(directory, { kind = "dir", mode = 493, links = 1 })
    directory = split(directory)
  end
end

--- Adds to what is in a file, real or mocked, whatever the script says of it later.
---@param path string
---@param text fun(): string
function Tree:append(path, text)
  self.appended[path] = text
  if self.nodes[path] == nil then self:add(path, { content = sys.read_file(path) or "" }) end
end

--- What is in a file at first.
local function first_content(self, node)
  local content = node.make and node.make(node.path) or node.content or ""
  local more = self.appended[node.path]
  if not more then return content end
  return content .. (content:find("[^\n]$") and "\n" or "") .. more()
end

--- What is by this name: a node; false and an errno when there is nothing; nil when it is none of ours.
---@return luatrace.MockNode|false|nil node, string? errno
function Tree:find(path)
  local node = self.nodes[path]
  if node then return node end
  if node == false then return false, "ENOENT" end
  local directory = split(path)
  while true do
    local above = self.nodes[directory]
    if above == false then return false, "ENOENT" end
    if above then return false, above.kind == "dir" and "ENOENT" or "ENOTDIR" end
    if directory == "/" then return nil end
    directory = split(directory)
  end
end

--- Our name for a path, when it leads to something of ours: by its text, or by links among its directories.
---@param path string absolute, cleaned
---@return string|nil
function Tree:ours(path)
  local at = 1
  while true do
    local from, to = path:find("[^/]+", at)
    if not from then return nil end
    if self.names[path:sub(from, to)] then break end
    at = to + 1
  end
  if self:find(path) ~= nil then return path end
  for from, to in path:gmatch("()[^/]+()") do
    if self.names[path:sub(from, to - 1)] then
      local above = descriptors.realpath(path:sub(1, math.max(from - 2, 1)))
      local candidate = above and (above == "/" and "" or above) .. path:sub(from - 1)
      if candidate and candidate ~= path and self:find(candidate) ~= nil then return candidate end
    end
  end
end

--- A path with the symbolic links on its way that are mocked followed.
---@param path string
---@param follow boolean also the last part
---@return string|nil path, string? errno
function Tree:resolve(path, follow)
  if not self.has_links then return path end
  for _ = 1, MAX_LINKS do
    local led
    for last in path:gmatch("[^/]+()") do
      local prefix = path:sub(1, last - 1)
      local node = self.nodes[prefix]
      if node and node.kind == "symlink" and (last <= #path or follow) then
        local target = node.content
        if target:sub(1, 1) ~= "/" then target = split(prefix) .. "/" .. target end
        led = fd_table.clean(target .. path:sub(last))
        break
      end
    end
    if not led then return path end
    path = self:ours(led) or led
  end
  return nil, "ELOOP"
end

--- May something be made by this name, where there is nothing now?
---@return boolean|nil ok, string? errno
function Tree:may_create(path)
  local directory = split(path)
  local above, errno = self:find(directory)
  if above then return above.kind == "dir" or nil, "ENOTDIR" end
  if above == false then return nil, errno end
  local kind = sys.file_kind(directory)
  return kind == "dir" or nil, kind and "ENOTDIR" or "ENOENT"
end

--- A new node by a name where there is nothing.
---@return luatrace.MockNode|nil node, string? errno
function Tree:create(path, node)
  local ok, errno = self:may_create(path)
  if not ok then return nil, errno end
  node.links = 1
  self:put(path, node)
  return node
end

--- Mocked names in a directory, sorted: all of them there are when it is mocked itself.
---@return { name: string, node: luatrace.MockNode|false }[]
function Tree:children(directory)
  local prefix = directory == "/" and "/" or directory .. "/"
  local list = {}
  for path, node in pairs(self.nodes) do
    if path:sub(1, #prefix) == prefix and not path:find("/", #prefix + 1, true) then
      list[#list + 1] = { name = path:sub(#prefix + 1), node = node }
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

function Tree:is_empty(directory)
  for _, child in ipairs(self:children(directory)) do
    if child.node then return false end
  end
  return true
end

--- Moves a node, with all that is below it, to another name.
function Tree:move(from, to)
  local node = self.nodes[from]
  if node.kind == "dir" then
    local below = {}
    for path, child in pairs(self.nodes) do
      if path:sub(1, #from + 1) == from .. "/" then below[path] = child end
    end
    for path, child in pairs(below) do
      self.nodes[path] = nil
      self:put(to .. path:sub(#from + 1), child)
    end
  end
  self:put(from, false)
  self:put(to, node)
end

--- Takes a name away.
function Tree:remove(path)
  local node = self.nodes[path]
  node.links = node.links - 1
  self:put(path, false)
end

-- --- what a node is made of -----------------------------------------------------------------------------------------

local serial = 0

local function new_name()
  serial = serial + 1
  return ("luatrace-%d-%d"):format(sys.getpid(), serial)
end

local function set_owner(node, fd)
  descriptors.chmod(fd, node.mode)
  if (node.uid or node.gid) and not descriptors.chown(fd, node.uid or -1, node.gid or -1) then
    -- Only root can: what stat shows is patched instead.
    node.owner_is_shown = true
  end
  if node.mtime then descriptors.set_mtime(fd, node.mtime) end
end

local function remember(self, node, fd, link)
  descriptors.leave_room(fd)
  fd_table.aliases[link] = { path = node.path, kind = node.kind, node = node, fd = fd }
  self.made[#self.made + 1] = { fd = fd, link = link }
  return link
end

local function new_file(self, node, content)
  local name = new_name()
  local fd, message, errno = descriptors.memfd(name)
  if not fd then return nil, message, errno end
  local ok
  ok, message, errno = files.pwrite(fd, content, 0)
  if not ok then
    descriptors.close(fd)
    return nil, message, errno
  end
  set_owner(node, fd)
  return fd, remember(self, node, fd, "/memfd:" .. name)
end

local function new_directory(self, node)
  local path, message, errno = files.make_temporary(os.getenv "TMPDIR" or "/tmp", "luatrace-")
  if not path then return nil, message, errno end
  path = descriptors.realpath(path) or path
  local fd
  fd, message, errno = files.open(path, O_DIRECTORY + O_RDONLY)
  files.rmdir(path)
  if not fd then return nil, message, errno end
  set_owner(node, fd)
  return fd, remember(self, node, fd, path)
end

--- Content that is made anew: what was made before lives as long as the program has it open.
local function forget_last(self, node)
  for i, made in ipairs(self.made) do
    if made.fd == node.fd then
      table.remove(self.made, i)
      break
    end
  end
  fd_table.aliases[node.alias].fd = nil
  descriptors.close(node.fd)
  node.fd = nil
end

local function new_symlink(self, node)
  local directory, message, errno = files.make_temporary(os.getenv "TMPDIR" or "/tmp", "luatrace-")
  if not directory then return nil, message, errno end
  directory = descriptors.realpath(directory) or directory
  local path, fd = directory .. "/link", nil
  local made
  made, message, errno = files.symlink(node.content, path)
  if made then fd, message, errno = files.open(path, O_PATH + O_NOFOLLOW) end
  files.unlink(path)
  files.rmdir(directory)
  if not fd then return nil, message, errno end
  set_owner(node, fd)
  return fd, remember(self, node, fd, path)
end

local makers = {
  dir = new_directory, symlink = new_symlink,
  file = function(self, node) return new_file(self, node, first_content(self, node)) end,
}

--- The descriptor of luatrace's that a node is, made when it is first wanted.
---@param node luatrace.MockNode
---@param is_opened boolean|nil a node that has its content made gets a new one
---@return integer|nil fd, string? message, string? errno
function Tree:fd(node, is_opened)
  if node.make and node.fd and is_opened then forget_last(self, node) end
  if not node.fd then
    local fd, link, errno = makers[node.kind](self, node)
    if not fd then return nil, link, errno end
    node.fd, node.alias = fd, link
  end
  return node.fd
end

--- What is in a file now.
---@return string|nil content, string? message, string? errno
function Tree.content(_, node)
  if not node.fd then return node.content or node.make and node.make(node.path) or "" end
  local stat = files.fstat(node.fd)
  return files.pread(node.fd, stat.size, 0)
end

--- The run is over: luatrace keeps none of it open. What is in the files can still be read.
function Tree:close()
  for path, node in pairs(self.nodes) do
    if node and node.kind == "file" and node.fd then
      node.content = self:content(node)
      node.path = path
    end
  end
  for _, node in pairs(self.nodes) do
    if node then node.fd = nil end
  end
  for _, made in ipairs(self.made) do
    descriptors.close(made.fd)
    fd_table.aliases[made.link] = nil
  end
  self.made = {}
end

return M
