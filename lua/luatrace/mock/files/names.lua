--- Calls that make, move and take away names, where one of them is mocked: nothing of it reaches the disk.
--
--   names.install(context, tree)

local bit = require "bit"
local descriptors = require "luatrace.sys.descriptors"
local files = require "luatrace.sys.files"
local place = require "luatrace.mock.files.place"
local stat = require "luatrace.mock.files.stat"
local sys = require "luatrace.sys"

local M = {}

local AT_REMOVEDIR, AT_SYMLINK_FOLLOW = 0x200, 0x400
local RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2

local function remove(tree, call, at, is_directory)
  if not at.node then return call:fail(at.errno) end
  if is_directory and at.node.kind ~= "dir" then return call:fail "ENOTDIR" end
  if not is_directory and at.node.kind == "dir" then return call:fail "EISDIR" end
  if is_directory and not tree:is_empty(at.path) then return call:fail "ENOTEMPTY" end
  tree:remove(at.path)
  call:returns(0)
end

local function mkdir(tree, call, at, mode)
  if at.node then return call:fail "EEXIST" end
  local uid, gid = stat.owner(call)
  local node, errno = tree:create(at.path,
    { kind = "dir", mode = stat.without_umask(call, mode), uid = uid, gid = gid })
  if not node then return call:fail(errno) end
  call:returns(0)
end

local function symlink(tree, call, at)
  if at.node then return call:fail "EEXIST" end
  local target = call.memory:cstring(call.args[1])
  if not target or target == "" then return call:fail(target and "ENOENT" or "EFAULT") end
  local uid, gid = stat.owner(call)
  local node, errno = tree:create(at.path, { kind = "symlink", content = target, mode = 511, uid = uid, gid = gid })
  if not node then return call:fail(errno) end
  call:returns(0)
end

--- The real file that a program moves over a mocked name: what is in it becomes the mock's.
local function adopt(tree, call, path, to)
  local link = sys.readlink(("/proc/%d/root%s"):format(call.process.pid, path))
  if link then
    tree:put(to, { kind = "symlink", content = link, mode = 511, links = 1 })
    return true
  end
  local fd = files.open(("/proc/%d/root%s"):format(call.process.pid, path), files.O_RDONLY)
  local known = fd and files.fstat(fd)
  if not known then return nil, "EXDEV" end
  local content = known.kind == "file" and files.pread(fd, known.size, 0)
  descriptors.close(fd)
  if not content then return nil, "EXDEV" end
  tree:put(to, { kind = "file", content = content, mode = known.mode, uid = known.uid, gid = known.gid,
    mtime = known.mtime, links = 1 })
  return true
end

--- May the one take the other's place?
local function may_replace(tree, node, other, path)
  if not other then return true end
  if node.kind ~= "dir" then return other.kind ~= "dir", "EISDIR" end
  if other.kind ~= "dir" then return false, "ENOTDIR" end
  return tree:is_empty(path), "ENOTEMPTY"
end

local function exchange(tree, from, to)
  local spare = to.path .. ".luatrace-exchange"
  tree:move(from.path, spare)
  tree:move(to.path, from.path)
  tree:move(spare, to.path)
  tree.nodes[spare] = nil
end

local function rename_mocked(tree, call, from, to, flags)
  if not from.node then return call:fail(from.errno) end
  if from.path == to.path then return call:returns(0) end
  if bit.band(flags, RENAME_EXCHANGE) ~= 0 then
    if not to.node then return call:fail(to.errno or "EXDEV") end
    exchange(tree, from, to)
    return call:returns(0)
  end
  if from.node.kind == "dir" and (to.path .. "/"):sub(1, #from.path + 1) == from.path .. "/" then
    return call:fail "EINVAL"
  end
  local ok, errno = may_replace(tree, from.node, to.node, to.path)
  if ok and not to.node then ok, errno = tree:may_create(to.path) end
  if not ok then return call:fail(errno) end
  if to.node then tree:remove(to.path) end
  tree:move(from.path, to.path)
  call:returns(0)
end

--- Where the arguments of rename, renameat and renameat2 are.
local function rename(tree, at)
  return function(call)
    local flags = at.flags and place.word32(call.args[at.flags]) or 0
    local from, to = place.of(tree, call, at.from_dir, at.from, false), place.of(tree, call, at.to_dir, at.to, false)
    if not from and not to then return end
    if to and to.node and bit.band(flags, RENAME_NOREPLACE) ~= 0 then return call:fail "EEXIST" end
    if from then
      to = to or { path = place.path(call, at.to_dir, at.to) }
      if not to.path then return call:fail "ENOENT" end
      return rename_mocked(tree, call, from, to, flags)
    end
    local path = place.path(call, at.from_dir, at.from)
    if to.node and to.node.kind == "dir" then return call:fail "EISDIR" end
    if bit.band(flags, RENAME_EXCHANGE) ~= 0 then return call:fail "EXDEV" end
    if not to.node then
      local ok, errno = tree:may_create(to.path)
      if not ok then return call:fail(errno) end
    end
    if not files.lstat(("/proc/%d/root%s"):format(call.process.pid, path)) then return end -- the kernel says so
    local ok, errno = adopt(tree, call, path, to.path)
    if not ok then return call:fail(errno) end
    -- The real one goes, as it would have.
    local gone
    if at.from_dir then
      gone, errno = call:inject("unlinkat", call.args[at.from_dir], call.args[at.from], 0)
    else
      gone, errno = call:inject("unlink", call.args[at.from])
    end
    if gone then call:returns(0) else call:fail(errno) end
  end
end

local function link(tree, at)
  return function(call)
    local follow = at.flags and bit.band(place.word32(call.args[at.flags]), AT_SYMLINK_FOLLOW) ~= 0 or false
    local from = place.of(tree, call, at.from_dir, at.from, follow)
    local to = place.of(tree, call, at.to_dir, at.to, false)
    if not from and not to then return end
    if not from then return call:fail(to.node and "EEXIST" or "EXDEV") end
    if not from.node then return call:fail(from.errno) end
    if from.node.kind == "dir" then return call:fail "EPERM" end
    to = to or { path = place.path(call, at.to_dir, at.to) }
    if to.node then return call:fail "EEXIST" end
    local ok, errno = tree:may_create(to.path)
    if not ok then return call:fail(errno) end
    from.node.links = from.node.links + 1
    tree:put(to.path, from.node)
    call:returns(0)
  end
end

---@param context luatrace.MockContext
---@param tree luatrace.MockTree
function M.install(context, tree)
  --- For a call with one name: what is done when it is one of ours.
  local function on(names, directory, path, fn)
    context.on(names, function(call)
      local at = place.of(tree, call, directory, path, false)
      if at then fn(call, at) end
    end)
  end
  on({ "unlink" }, nil, 1, function(call, at) remove(tree, call, at, false) end)
  on({ "rmdir" }, nil, 1, function(call, at) remove(tree, call, at, true) end)
  on({ "unlinkat" }, 1, 2, function(call, at)
    remove(tree, call, at, bit.band(place.word32(call.args[3]), AT_REMOVEDIR) ~= 0)
  end)
  on({ "mkdir" }, nil, 1, function(call, at) mkdir(tree, call, at, place.word32(call.args[2])) end)
  on({ "mkdirat" }, 1, 2, function(call, at) mkdir(tree, call, at, place.word32(call.args[3])) end)
  local function refuse(call, at) call:fail(at.node and "EEXIST" or "EPERM") end
  on({ "symlink" }, nil, 2, function(call, at) symlink(tree, call, at) end)
  on({ "symlinkat" }, 2, 3, function(call, at) symlink(tree, call, at) end)
  on({ "mknod" }, nil, 1, refuse)
  on({ "mknodat" }, 1, 2, refuse)
  context.on({ "rename" }, rename(tree, { from = 1, to = 2 }))
  context.on({ "renameat" }, rename(tree, { from_dir = 1, from = 2, to_dir = 3, to = 4 }))
  context.on({ "renameat2" }, rename(tree, { from_dir = 1, from = 2, to_dir = 3, to = 4, flags = 5 }))
  context.on({ "link" }, link(tree, { from = 1, to = 2 }))
  context.on({ "linkat" }, link(tree, { from_dir = 1, from = 2, to_dir = 3, to = 4, flags = 5 }))
end

return M
