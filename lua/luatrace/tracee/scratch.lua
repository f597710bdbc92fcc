--- Scratch memory in tracees: room for a longer path, a struct, a buffer of ours.
--
-- A few pages, mapped into the process by an injected mmap the first time they are needed and kept; what a call takes
-- is given back when it returns. In a process with a seccomp filter of its own mmap might be fatal: there the stack
-- below the red zone serves, and in a root before its first exec, which runs in luatrace's own memory (src/launch.c).

local engine = require "luatrace.engine"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.Scratch
local Scratch = {}
Scratch.__index = Scratch

-- The x86-64 ABI lets leaf functions use 128 bytes below the stack pointer.
local RED_ZONE, STACK_ROOM = 128, 16384
local PAGES = 16 * 4096
local PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS = 3, 0x22

function M.new() return setmetatable({}, Scratch) end

local function own_filters(pid)
  local status = sys.read_file(("/proc/%s/status"):format(pid)) or ""
  return tonumber(status:match("Seccomp_filters:%s*(%d+)") or 0)
end

local inherited

--- Is it safe to inject calls? Not when the program has installed a filter beside ours, and beside those (a
-- container's) that luatrace itself runs under.
---@param call luatrace.Call
---@return boolean
function M.may_inject(call)
  inherited = inherited or own_filters "self"
  return own_filters(call.thread.tid) <= inherited + call.session.filters
end

local function from_stack(call, length)
  local used = (rawget(call, "alloc_used") or 0) + length
  if used > STACK_ROOM then return nil end
  call.alloc_used = used
  local sp = engine.exact(call.stop.sp)
  return sp - RED_ZONE - used
end

local function is_launched(call)
  return call.process.images == 0 and not call.process.parent and not call.process.attached
end

local function map(call, length)
  local name = call.arch.bits == 32 and "mmap2" or "mmap"
  local anonymous = call.arch.bits == 32 and 0xffffffff or -1
  return call:inject(name, 0, length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, anonymous, 0)
end

local function take(area, call, length)
  if next(area.users) == nil then area.used = 0 end
  if area.used + length > area.size then return nil end
  local address = area.base + area.used
  area.used = area.used + length
  area.users[call] = true
  return address
end

--- Memory of at least `length` bytes, 16-byte aligned, until the call returns.
---@param call luatrace.Call
---@param length integer
---@return number|nil address, string? message, string? errno
function Scratch.alloc(_, call, length)
  length = math.ceil(math.max(length, 1) / 16) * 16
  local address = is_launched(call) and from_stack(call, length)
  if address then return address end
  local process = call.process
  local areas = process.scratch or {}
  process.scratch = areas
  for i = 1, #areas do
    address = take(areas[i], call, length)
    if address then return address end
  end
  if M.may_inject(call) then
    local size = math.max(PAGES, math.ceil(length / 4096) * 4096)
    local base = map(call, size)
    if base then
      areas[#areas + 1] = { base = base, size = size, used = 0, users = {} }
      return take(areas[#areas], call, length)
    end
  end
  address = from_stack(call, length)
  if address then return address end
  return nil, ("no room for %d bytes of scratch memory in process %d"):format(length, process.pid), "ENOMEM"
end

--- The call has returned: what it took is free again.
function Scratch.free(_, call)
  local areas = rawget(call.thread.process, "scratch")
  if not areas then return end
  for i = 1, #areas do areas[i].users[call] = nil end
end

return M
