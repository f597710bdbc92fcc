--- Where in a file a call reads or writes, and how large the file is: what the faults of disks share.

local bit = require "bit"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"
local predicates = require "luatrace.filter.predicates"
local short = require "luatrace.verbs.short"

local M = {}

M.reads = "?read,?readv,?pread64,?preadv,?preadv2"
M.writes = "?write,?writev,?pwrite64,?pwritev,?pwritev2"
M.copies = "?copy_file_range,?sendfile,?sendfile64,?splice"

local O_APPEND, O_DSYNC = 0x400, 0x1000
local RWF_DSYNC, RWF_SYNC, RWF_APPEND = 2, 4, 0x10

local function has_flag(call, flags)
  local index = call.row.index.flags
  return index ~= nil and bit.band(tonumber(call.raw[index]), flags) ~= 0
end

--- Does a write wait until its data is on the disk?
function M.is_synchronous(call, fd)
  return bit.band(fd.flags or 0, O_DSYNC) ~= 0 or call.name == "pwritev2" and has_flag(call, RWF_DSYNC + RWF_SYNC)
end

--- The file that a descriptor is open on: its size, its number of names.
---@return luatrace.Stat|nil
function M.stat(call, fd) return files.stat(("/proc/%d/fd/%d"):format(call.process.pid, fd.num)) end

--- A 64-bit argument: 32-bit programs give it in two registers.
---@return number
function M.number(call, name)
  local index = call.row.index
  local value = tonumber(call.raw[index[name]])
  if call.arch.bits == 32 and index[name .. "_high"] then
    value = value + tonumber(call.raw[index[name .. "_high"]]) * 2 ^ 32
  end
  return value
end

--- The files without a name that some process of the run has open.
---@return table<string, true> by id
function M.open_nameless(session)
  local open, seen = {}, {}
  for _, thread in pairs(session.tree.threads) do
    local pid = thread.process.pid
    for _, name in ipairs(seen[pid] and {} or sys.list_dir(("/proc/%d/fd"):format(pid)) or {}) do
      local stat = files.stat(("/proc/%d/fd/%s"):format(pid, name))
      if stat and stat.nlink == 0 then open[stat.id] = true end
    end
    seen[pid] = true
  end
  return open
end

---@param is_write boolean
---@return { fd: luatrace.ArgumentFd, from: number, count: number, stat: luatrace.Stat }|nil nil: no regular file
function M.of(call, is_write)
  local fd = call:fds()[1]
  local stat = fd and M.stat(call, fd)
  local count = short.asked(call)
  if not stat or stat.kind ~= "file" or fd.kind == "memfd" or not count then return nil end
  local from = call.row.index.offset and M.number(call, "offset")
  -- preadv2 and pwritev2 take -1 for the descriptor's own position.
  if not from or from < 0 or from >= 2 ^ 63 then from = fd.pos or 0 end
  local appends = is_write and (bit.band(fd.flags or 0, O_APPEND) ~= 0 or
    call.name == "pwritev2" and has_flag(call, RWF_APPEND))
  if appends then from = stat.size end
  return { fd = fd, from = from, count = count, stat = stat, appends = appends }
end

--- Where a copy between files reads or writes: at its offset argument, or at the descriptor's own position.
local function offset_of(call, fd, name)
  local index = call.row.index[name]
  local address = index and call.raw[index]
  if not address or address == 0 then return fd.pos or 0 end
  -- The offset of sendfile is as wide as a long.
  local size = call.name == "sendfile" and call.arch.pointer_size or 8
  local bytes = call.memory:read(address, size)
  if not bytes or #bytes < size then return fd.pos or 0 end
  return tonumber(ffi.cast(size == 8 and "const int64_t *" or "const int32_t *", bytes)[0])
end

--- The ends of a call that copies between descriptors: copy_file_range, sendfile, splice. nil for an end that is no
-- regular file; no more bytes than the source has.
---@return { fd: luatrace.ArgumentFd, from: number, count: number, stat: luatrace.Stat }|nil source, table|nil target
function M.of_copy(call)
  local is_sendfile = call.name:find("^sendfile") ~= nil
  local target, source = call[is_sendfile and "out_fd" or "fd_out"], call[is_sendfile and "in_fd" or "fd_in"]
  local stat, its = M.stat(call, target), M.stat(call, source)
  local count = short.asked(call) or 0
  local read, written
  if its and its.kind == "file" then
    local from = offset_of(call, source, is_sendfile and "offset" or "off_in")
    count = math.min(count, math.max(0, its.size - from))
    read = { fd = source, from = from, count = count, stat = its }
  end
  if stat and stat.kind == "file" then
    written = { fd = target, from = offset_of(call, target, "off_out"), count = count, stat = stat }
  end
  return read, written
end

--- A test of one descriptor for the calls that have two.
---@param pattern any a path predicate
---@return fun(fd: luatrace.Fd): boolean
function M.path_test(pattern)
  local test = predicates.path.compile(pattern)
  return function(fd) return test { paths = function() return { fd.path } end } end
end

--- Lets only the first `most` bytes of the call through.
function M.shorten(call, most)
  local limit = short.draw({ value = { min = most, max = most } }, call)
  if limit then short.enter(nil, call, limit) end
end

return M
