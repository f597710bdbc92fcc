--- Where in a file a call reads or writes, and how large the file is: what the faults of disks share.

local bit = require "bit"
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

--- Lets only the first `most` bytes of the call through.
function M.shorten(call, most)
  local limit = short.draw({ value = { min = most, max = most } }, call)
  if limit then short.enter(nil, call, limit) end
end

return M
