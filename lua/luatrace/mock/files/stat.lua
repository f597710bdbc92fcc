--- What stat and access say of a mocked file: from its inode, with the owner and the number of names that the mock
-- gives it.
--
--   stat.bytes(node, fd, "statx")                    -- the struct as the kernel lays it out
--   stat.may(call, node, fd, stat.READ + stat.WRITE) -- as open(2) and access(2) decide

local bit = require "bit"
local ffi = require "ffi"
local descriptors = require "luatrace.sys.descriptors"
local sys = require "luatrace.sys"

ffi.cdef [[
struct luatrace_stat_x86_64 { uint64_t dev, ino, nlink; uint32_t mode, uid, gid, pad; uint64_t rdev; int64_t size,
  blksize, blocks; uint64_t times[6]; int64_t unused[3]; };
struct luatrace_stat_i386 { uint64_t dev; uint32_t pad, short_ino, mode, nlink, uid, gid; uint32_t rdev[2]; uint32_t
  pad2; uint32_t size[2]; uint32_t blksize; uint32_t blocks[2]; uint32_t times[6]; uint32_t ino[2]; };
]]

local M = {}

M.READ, M.WRITE, M.EXECUTE = 4, 2, 1

--- As the kernel packs device numbers for programs (new_encode_dev).
local function device(major, minor)
  return bit.band(minor, 0xff) + major * 256 + (minor - bit.band(minor, 0xff)) * 4096
end

--- The struct luatrace_statx of a node, patched; valid until the next one.
local function look(node, fd)
  local box, message, errno = descriptors.statx(fd)
  if not box then return nil, message, errno end
  -- One: how many there are below is not counted (as on btrfs).
  box.nlink = node.kind == "dir" and 1 or node.links
  if node.owner_is_shown then
    box.uid, box.gid = node.uid or box.uid, node.gid or box.gid
  end
  return box
end

local pack = {}

function pack.statx(box) return ffi.string(box, ffi.sizeof(box)) end

local wide = ffi.new("struct luatrace_stat_x86_64")

function pack.x86_64(box)
  ffi.fill(wide, ffi.sizeof(wide))
  wide.dev, wide.ino, wide.nlink = device(box.dev_major, box.dev_minor), box.ino, box.nlink
  wide.mode, wide.uid, wide.gid = box.mode, box.uid, box.gid
  wide.size, wide.blksize, wide.blocks = box.size, box.blksize, box.blocks
  for i, name in ipairs { "atime", "mtime", "ctime" } do
    wide.times[2 * i - 2], wide.times[2 * i - 1] = box[name].sec, box[name].nsec
  end
  return ffi.string(wide, ffi.sizeof(wide))
end

local narrow = ffi.new("struct luatrace_stat_i386")

local function two_words(field, value)
  field[0], field[1] = value % 4294967296ULL, value / 4294967296ULL
end

function pack.i386(box)
  ffi.fill(narrow, ffi.sizeof(narrow))
  narrow.dev, narrow.short_ino = device(box.dev_major, box.dev_minor), box.ino % 4294967296ULL
  narrow.mode, narrow.nlink, narrow.uid, narrow.gid = box.mode, box.nlink, box.uid, box.gid
  narrow.blksize = box.blksize
  two_words(narrow.size, box.size)
  two_words(narrow.blocks, box.blocks)
  two_words(narrow.ino, box.ino)
  for i, name in ipairs { "atime", "mtime", "ctime" } do
    narrow.times[2 * i - 2], narrow.times[2 * i - 1] = box[name].sec % 4294967296LL, box[name].nsec
  end
  return ffi.string(narrow, 96)
end

---@param node luatrace.MockNode
---@param fd integer luatrace's
---@param layout "statx"|"x86_64"|"i386"
---@return string|nil bytes, string? message, string? errno
function M.bytes(node, fd, layout)
  local box, message, errno = look(node, fd)
  if not box then return nil, message, errno end
  return pack[layout](box)
end

--- Inode number, for listings.
function M.inode(fd)
  local box = descriptors.statx(fd)
  return box and tonumber(box.ino) or 1
end

--- Who a thread is: real, effective and file-system ids, groups.
local function ids(call)
  local status = sys.read_file(("/proc/%d/status"):format(call.thread.tid)) or ""
  local function four(name)
    local list = {}
    for number in (status:match(name .. ":([^\n]*)") or ""):gmatch("%d+") do list[#list + 1] = tonumber(number) end
    return list
  end
  local groups = {}
  for _, group in ipairs(four "Groups") do groups[group] = true end
  return four "Uid", four "Gid", groups
end

--- May this thread read, write, execute it?
---@param call luatrace.Call
---@param wanted integer sum of READ, WRITE, EXECUTE
---@param as_real_user boolean|nil access(2) asks for the real ids
---@return boolean
function M.may(call, node, fd, wanted, as_real_user)
  local box = look(node, fd)
  if not box then return false end
  local uids, gids, groups = ids(call)
  local uid, gid = uids[as_real_user and 1 or 4], gids[as_real_user and 1 or 4]
  local mode = box.mode
  if uid == 0 then
    return bit.band(wanted, M.EXECUTE) == 0 or node.kind == "dir" or bit.band(mode, 73) ~= 0
  end
  local shift = 0
  if uid == box.uid then shift = 6 elseif gid == box.gid or groups[box.gid] then shift = 3 end
  return bit.band(bit.rshift(mode, shift), wanted) == wanted
end

--- The permissions that a new file gets.
---@return integer
function M.without_umask(call, mode)
  local status = sys.read_file(("/proc/%d/status"):format(call.process.pid)) or ""
  local umask = tonumber(status:match("Umask:%s*(%d+)") or "22", 8)
  return bit.band(mode, 4095, bit.bnot(umask))
end

--- Owner and group of what this thread makes.
---@return integer uid, integer gid
function M.owner(call)
  local uids, gids = ids(call)
  return uids[4], gids[4]
end

return M
