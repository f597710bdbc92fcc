--- What is in a directory that has mocked names in it: getdents64.
--
-- A directory that is mocked itself has an empty one behind its descriptor, whose position counts the names that have
-- been told. In a real one the mocked names come with the first that the kernel tells, and are left out of the others.

local ffi = require "ffi"
local scratch = require "luatrace.tracee.scratch"
local stat = require "luatrace.mock.files.stat"

local M = {}

local DT_DIR = 4
local DT = { dir = DT_DIR, file = 8, symlink = 10 }
local SEEK_SET, SEEK_CUR = 0, 1
local HEAD = 19 -- inode, next position, length, kind

--- One struct linux_dirent64.
local function entry(inode, next_position, kind, name)
  local length = math.ceil((HEAD + #name + 1) / 8) * 8
  local head = ffi.new("uint64_t[2]", inode, next_position)
  return ffi.string(head, 16) .. string.char(length % 256, math.floor(length / 256), kind) .. name ..
    ("\0"):rep(length - HEAD - #name)
end

local function entry_of(tree, child, next_position)
  local fd = tree:fd(child.node)
  return entry(fd and stat.inode(fd) or 1, next_position, DT[child.node.kind], child.name)
end

--- A mocked directory: all there is, from the position on.
local function list_mocked(tree, call, node)
  local fd, address, room = call.fd.num, call.args[2], tonumber(call.args[3] % 4294967296)
  if not scratch.may_inject(call) then return call:fail "EPERM" end
  -- Asked of the process itself: as many mocked files as descriptors may leave us none to read /proc with.
  local position = tonumber((call:inject("lseek", fd, 0, SEEK_CUR)))
  if not position then return call:fail "EIO" end
  local own = stat.inode(tree:fd(node))
  local names = { { name = "." }, { name = ".." } }
  for _, child in ipairs(tree:children(node.path)) do
    if child.node then names[#names + 1] = child end
  end
  local parts, size = {}, 0
  for i = position + 1, #names do
    local bytes = names[i].node and entry_of(tree, names[i], i) or entry(own, i, DT_DIR, names[i].name)
    if size + #bytes > room then break end
    parts[#parts + 1] = bytes
    size = size + #bytes
  end
  if #parts == 0 then
    if position < #names then return call:fail "EINVAL" end
    return call:returns(0)
  end
  local put = call.memory:write(address, table.concat(parts))
  if put ~= size then return call:fail "EFAULT" end
  call:inject("lseek", fd, position + #parts, SEEK_SET)
  call:returns(size)
end

--- What the kernel has told, without the mocked names; and the last position.
local function without(bytes, hidden)
  local parts, at, last = {}, 1, 0
  while at + HEAD <= #bytes do
    local length = bytes:byte(at + 16) + bytes:byte(at + 17) * 256
    if length < HEAD then break end
    local one = bytes:sub(at, at + length - 1)
    if not hidden[one:match("^[^%z]*", HEAD + 1)] then parts[#parts + 1] = one end
    last = ffi.cast("const int64_t *", one)[1]
    at = at + length
  end
  return table.concat(parts), last
end

--- A real directory with mocked names among the others.
local function list_real(tree, call, children)
  local fd, address, room = call.fd.num, call.args[2], tonumber(call.args[3] % 4294967296)
  local hidden, extra = {}, ""
  local is_first = (tonumber(call.fd.pos) or 0) == 0
  for _, child in ipairs(children) do
    hidden[child.name] = true
    if child.node and is_first then extra = extra .. entry_of(tree, child, 0) end
  end
  if #extra > 0 then
    if #extra + 512 > room then
      call.session:notice("mock-files-listing", ("%d mocked files in one directory are too many for a program that " ..
        "lists it in pieces of %d bytes: it sees the real ones only"):format(#children, room))
      extra = ""
    end
    call.args[3] = room - #extra
  end
  local got, failure = call:run()
  while got and got > 0 do
    local kept, last = without(call.memory:read(address, got) or "", hidden)
    if #extra > 0 then
      for _, child in ipairs(children) do
        if child.node then kept = kept .. entry_of(tree, child, last) end
      end
    end
    if #kept > 0 then
      call.memory:write(address, kept)
      return call:returns(#kept)
    end
    -- Nothing at all would mean the end: on to the next piece.
    got, failure = call:inject("getdents64", fd, address, room)
  end
  if got then call:returns(got) else call:fail(failure) end
end

---@param tree luatrace.MockTree
---@return fun(call: luatrace.Call)
function M.getdents64(tree)
  return function(call)
    local path = call.fd.path
    if not path then return end
    local node = call.fd.mock and call.fd.mock.node
    if node then
      if node.kind == "dir" then return list_mocked(tree, call, node) end
      return
    end
    if tree.parents[path] then list_real(tree, call, tree:children(path)) end
  end
end

return M
