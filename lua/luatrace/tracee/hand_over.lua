--- Puts a descriptor of luatrace's into a traced process, which then has it as if it had opened it itself: the lowest
-- free number, or in the place of one that it has.
--
-- A socket pair is made inside the process, luatrace takes one end of it (pidfd_getfd) and sends the descriptor
-- through: nothing in the file system is needed, so it works under chroot, in other namespaces and for other users.
--
--   local fd, errno = hand_over.give(call, our_fd, { cloexec = true })     -- from a handler
--   hand_over.give(call, our_fd, { at = 5 })                               -- in place of its 5

local ffi = require "ffi"
local descriptors = require "luatrace.sys.descriptors"
local scratch = require "luatrace.tracee.scratch"

local M = {}

local AF_UNIX, SOCK_DGRAM_CLOEXEC = 1, 0x80002
local MSG_CMSG_CLOEXEC, MSG_DONTWAIT = 0x40000000, 0x40
local O_CLOEXEC = 0x80000

--- struct msghdr, iovec and cmsghdr as the process has them: where our parts of the room are.
local layouts = {
  [64] = { word = "uint64_t", control_size = 24, fd_at = 16 },
  [32] = { word = "uint32_t", control_size = 16, fd_at = 12 },
}

--- Room for all that recvmsg needs; returns the addresses of the message and of its control data.
local function new_message(call)
  local layout = layouts[call.arch.bits]
  local size = ffi.sizeof(layout.word)
  local words = ffi.new(layout.word .. "[16]")
  local room = call.memory:alloc(size * 16 + layout.control_size)
  if not room then return nil end
  local iov, byte, control = room + size * 8, room + size * 12, room + size * 16
  -- name, its length, iov, their number, control, its size, flags
  words[2], words[3], words[4], words[5] = iov, 1, control, layout.control_size
  words[8], words[9] = byte, 1
  if call.memory:write(room, ffi.string(words, size * 16)) ~= size * 16 then return nil end
  return room, control + layout.fd_at
end

local function read_i32(call, address, count)
  local bytes = call.memory:read(address, 4 * count)
  if not bytes or #bytes < 4 * count then return nil end
  local words = ffi.cast("const int32_t *", bytes)
  return words[0], count > 1 and words[1] or nil
end

--- Receives the descriptor in the process; returns its number there.
local function receive(call, socket)
  local message, at = new_message(call)
  if not message then return nil, "ENOMEM" end
  local got, failure = call:inject("recvmsg", socket, message, MSG_CMSG_CLOEXEC + MSG_DONTWAIT)
  if not got then return nil, failure end
  local fd = read_i32(call, at, 1)
  -- No control data: the process has no free number.
  local size = ffi.sizeof(layouts[call.arch.bits].word)
  local control_size = read_i32(call, message + size * 5, 1)
  if not fd or control_size == 0 then return nil, "EMFILE" end
  return fd
end

---@param call luatrace.Call the handler's
---@param our_fd integer stays ours as well
---@param options { cloexec: boolean?, at: integer? }
---@return integer|nil fd its number in the process, string? errno
function M.give(call, our_fd, options)
  if not scratch.may_inject(call) then
    call.session:notice("hand-over", ("%s (pid %d) has a seccomp filter of its own: nothing can be handed over to it")
      :format(call.process.comm or "a program", call.process.pid))
    return nil, "EPERM"
  end
  local room = call.memory:alloc(8)
  if not room then return nil, "ENOMEM" end
  local made, failure = call:inject("socketpair", AF_UNIX, SOCK_DGRAM_CLOEXEC, 0, room)
  if not made then return nil, failure end
  local one, other = read_i32(call, room, 2)
  local ours, _, name = descriptors.take(call.process.pid, other)
  call:inject("close", other)
  local fd
  if ours then
    local sent
    sent, _, name = descriptors.send_descriptor(ours, our_fd)
    if sent then fd, name = receive(call, one) end
    descriptors.close(ours)
  end
  if not fd then
    call:inject("close", one)
    return nil, name
  end
  -- What came has not the lowest free number: the socket that it came through has.
  local target = options.at or one
  local put
  put, name = call:inject("dup3", fd, target, options.cloexec and O_CLOEXEC or 0)
  call:inject("close", fd)
  if options.at or not put then call:inject("close", one) end
  if not put then return nil, name end
  return target
end

return M
