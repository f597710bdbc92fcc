--- Puts one end of a socket pair in the place of a socket that the program has, and keeps the rest as it was: the
-- number, close-on-exec, non-blocking, its timeouts, and where it is registered with epoll.
--
--   local swapped, errno = swap.socket(call, 5, "stream")
--   -- swapped.fd: our end; swapped.original: a copy of the socket that was there; swapped.inode: the new one's

local bit = require "bit"
local ffi = require "ffi"
local descriptors = require "luatrace.sys.descriptors"
local files = require "luatrace.sys.files"
local hand_over = require "luatrace.tracee.hand_over"
local sys = require "luatrace.sys"

local M = {}

local O_NONBLOCK, O_CLOEXEC = 0x800, 0x80000
local F_GETFD, FD_CLOEXEC = 1, 1
local SOL_SOCKET, SO_RCVTIMEO, SO_SNDTIMEO = 1, 20, 21
local EPOLL_CTL_ADD, EPOLL_CTL_DEL = 1, 2

--- All of a process's descriptors for a socket, and its epoll descriptors.
---@return integer[] same, integer[] epolls
local function look(call, fd)
  local same, epolls, pid = {}, {}, call.process.pid
  local socket = sys.readlink(("/proc/%d/fd/%d"):format(pid, fd))
  for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(pid)) or {}) do
    local link = sys.readlink(("/proc/%d/fd/%s"):format(pid, name))
    local list = link == socket and same or link == "anon_inode:[eventpoll]" and epolls
    if list then list[#list + 1] = tonumber(name) end
  end
  return same, epolls
end

--- Where descriptors are registered: epoll descriptors, with events and data.
local function registrations(call, fds, epolls)
  local found, is_meant = {}, {}
  for _, fd in ipairs(fds) do is_meant[fd] = true end
  for _, epoll in ipairs(epolls) do
    local text = sys.read_file(("/proc/%d/fdinfo/%d"):format(call.process.pid, epoll)) or ""
    for target, events, data in text:gmatch("tfd:%s*(%d+)%s+events:%s*(%x+)%s+data:%s*(%x+)") do
      local fd = tonumber(target)
      if is_meant[fd] then
        found[#found + 1] = { epoll = epoll, fd = fd, events = tonumber(events, 16), data = data }
      end
    end
  end
  return found
end

--- struct epoll_event: packed on x86.
local function event_bytes(registration)
  local words = ffi.new("uint32_t[3]")
  local data = ("0"):rep(16 - #registration.data) .. registration.data
  words[0] = registration.events
  words[1], words[2] = tonumber(data:sub(9), 16), tonumber(data:sub(1, 8), 16)
  return ffi.string(words, 12)
end

local function register(call, list)
  for _, registration in ipairs(list) do
    local room = call.memory:alloc(12)
    if room then
      call.memory:write(room, event_bytes(registration))
      call:inject("epoll_ctl", registration.epoll, EPOLL_CTL_ADD, registration.fd, room)
    end
  end
end

--- What the program has set on the socket before.
local function copy_settings(original, theirs)
  for _, name in ipairs { SO_RCVTIMEO, SO_SNDTIMEO } do
    local value = descriptors.get_option(original, SOL_SOCKET, name, 16)
    if value then descriptors.set_option(theirs, SOL_SOCKET, name, value) end
  end
  local flags = bit.band(descriptors.flags(original) or 0, O_NONBLOCK)
  descriptors.set_flags(theirs, flags)
  return flags ~= 0
end

local function is_cloexec(call, fd)
  return bit.band(call:inject("fcntl", fd, F_GETFD, 0) or 0, FD_CLOEXEC) ~= 0
end

---@param call luatrace.Call
---@param fd integer the program's
---@param original integer a copy of its socket; stays ours
---@param kind "stream"|"datagram"
---@return { fd: integer, inode: number, is_nonblocking: boolean }|nil swapped, string? errno
function M.socket(call, fd, original, kind)
  local ours, theirs, errno = descriptors.socketpair(kind)
  if not ours then return nil, errno end
  local is_nonblocking = copy_settings(original, theirs)
  local inode = files.fstat(theirs).ino
  local same, epolls = look(call, fd)
  local registered = registrations(call, same, epolls)
  for _, registration in ipairs(registered) do
    call:inject("epoll_ctl", registration.epoll, EPOLL_CTL_DEL, registration.fd, 0)
  end
  local given
  given, errno = hand_over.give(call, theirs, { at = fd, cloexec = is_cloexec(call, fd) })
  descriptors.close(theirs)
  if not given then
    descriptors.close(ours)
    return nil, errno
  end
  -- What was dup'ed from it before is the same socket still.
  for _, copy in ipairs(same) do
    if copy ~= fd then call:inject("dup3", fd, copy, is_cloexec(call, copy) and O_CLOEXEC or 0) end
    call.process.fds:forget(copy)
  end
  register(call, registered)
  return { fd = ours, inode = inode, is_nonblocking = is_nonblocking }
end

return M
