--- What the arguments of a call say: its path, its descriptor, its flags. Shared by those who record calls and those
-- who fail them.
--
--   arguments.path(call)            -- "/tmp/x/f" of openat(AT_FDCWD, "f"), nil for read
--   arguments.descriptor(call)      -- 1 of write(1, ...), 3 of copy_file_range(a, off, b, ...): where it writes

local bit = require "bit"

local M = {}

M.O_ACCMODE, M.O_CREAT, M.O_TRUNC, M.O_EXCL, M.O_APPEND = 3, 0x40, 0x200, 0x80, 0x400
M.MAP_ANONYMOUS = 0x20

--- A register as a C int.
---@return integer
function M.int(value) return bit.tobit(tonumber(value) % 4294967296) end
local int = M.int

local path_arguments = { "pathname", "newpath", "linkpath", "path", "filename" }

--- The path that a call names, made absolute; the last one, of two.
---@param call luatrace.Call
---@return string|nil
function M.path(call)
  local row = call.row
  for _, name in ipairs(path_arguments) do
    local index = row.index[name]
    if index then
      local text = call[name]
      -- "" is the descriptor itself (AT_EMPTY_PATH).
      if type(text) ~= "string" or text == "" then return nil end
      local before = row[index - 1]
      local dirfd = before and before.name:find("dirfd$") and int(call.raw[index - 1]) or -100
      return call.process.fds:path_of(dirfd, text)
    end
  end
end

--- Calls whose descriptor is not their first argument (where they write counts), or which have none.
local places = { copy_file_range = 3, splice = 3, sendfile = 1, sendfile64 = 1, poll = false, mmap = false,
  mmap2 = false, epoll_wait = false, epoll_pwait = false, waitid = false }

--- The number of the descriptor that a call is about.
---@param call luatrace.Call
---@return integer|nil
function M.descriptor(call)
  local place = places[call.name]
  if place == false then return nil end
  local first = call.row[1] and call.row[1].name
  if not place and (not first or not first:find("fd$") or first == "pipefd") then return nil end
  return int(call.raw[place or 1])
end

--- Where /proc shows that descriptor's file.
---@return string|nil
function M.link(call)
  local fd = M.descriptor(call)
  return fd and ("/proc/%d/fd/%d"):format(call.process.pid, fd)
end

local flags_place = { open = 2, openat = 3 }

--- The flags of open, openat, openat2 and creat.
---@return integer
function M.open_flags(call)
  if call.name == "creat" then return M.O_CREAT + M.O_TRUNC + 1 end
  if call.name == "openat2" then
    local how = call.memory:struct("open_how", call.raw[3])
    return how and tonumber(how.flags) and int(how.flags) or 0
  end
  return int(call.raw[flags_place[call.name]])
end

return M
