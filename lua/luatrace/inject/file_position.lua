--- Where in a file a call reads or writes, and how large the file is: what the faults of disks share.

local bit = require "bit"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local short = require "luatrace.verbs.short"

local M = {}

M.reads = "?read,?readv,?pread64,?preadv,?preadv2"
M.writes = "?write,?writev,?pwrite64,?pwritev,?pwritev2"

local O_APPEND = 0x400

--- The file that a descriptor is open on: its size, its number of names.
---@return luatrace.Stat|nil
function M.stat(call, fd) return files.stat(("/proc/%d/fd/%d"):format(call.process.pid, fd.num)) end

---@param is_write boolean
---@return { fd: luatrace.ArgumentFd, from: number, count: number, stat: luatrace.Stat }|nil nil: no regular file
function M.of(call, is_write)
  local fd = call:fds()[1]
  local stat = fd and M.stat(call, fd)
  local count = short.asked(call)
  if not stat or stat.kind ~= "file" or fd.kind == "memfd" or not count then return nil end
  local index = call.row.index.offset or call.row.index.pos or call.row.index.pos_l
  local from
  if index then
    from = tonumber(call.raw[index])
    if call.row.index.pos_h and call.arch.bits == 32 then
      from = from + tonumber(call.raw[call.row.index.pos_h]) * 2 ^ 32
    end
  end
  -- preadv2 and pwritev2 take -1 for the descriptor's own position.
  if not from or from < 0 or from >= 2 ^ 63 then from = fd.pos or 0 end
  if is_write and bit.band(fd.flags or 0, O_APPEND) ~= 0 then from = stat.size end
  return { fd = fd, from = from, count = count, stat = stat }
end

--- Where a copy between files reads or writes: at its offset argument, or at the descriptor's own position.
local function offset_of(call, fd, name)
  local index = call.row.index[name]
  local address = index and call.raw[index]
  if not address or address == 0 then return fd.pos or 0 end
  local bytes = call.memory:read(address, 8)
  return bytes and #bytes == 8 and tonumber(ffi.cast("const int64_t *", bytes)[0]) or fd.pos or 0
end

--- The same for copy_file_range and sendfile: the target, and no more bytes than the source has.
---@return { fd: luatrace.ArgumentFd, from: number, count: number, stat: luatrace.Stat }|nil
function M.of_copy(call)
  local is_sendfile = call.name:find("^sendfile") ~= nil
  local target, source = call[is_sendfile and "out_fd" or "fd_out"], call[is_sendfile and "in_fd" or "fd_in"]
  local stat, its = M.stat(call, target), M.stat(call, source)
  if not stat or stat.kind ~= "file" then return nil end
  local count = short.asked(call) or 0
  if its and its.kind == "file" then
    local from = offset_of(call, source, is_sendfile and "offset" or "off_in")
    count = math.min(count, math.max(0, its.size - from))
  end
  return { fd = target, from = offset_of(call, target, "off_out"), count = count, stat = stat }
end

--- Lets only the first `most` bytes of the call through.
function M.shorten(call, most)
  local limit = short.draw({ value = { min = most, max = most } }, call)
  if limit then short.enter(nil, call, limit) end
end

return M
