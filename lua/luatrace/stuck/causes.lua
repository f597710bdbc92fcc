--- Why a thread waits: what its call is for, and who could end the wait. One function a kind of call, by name.
--
--   local causes = require "luatrace.stuck.causes"
--   local lines, waits_for = causes.of(thread, call, context)
--   -- { "reads from pipe:[4711], which 4712 (cat), fd 1 can write to" }, { 4712 }
--
-- thread: see look.lua; call: a luatrace.Call made of it; context: { peers =, threads = by tid, processes = by pid }.
-- waits_for: the thread that alone can end the wait, { tid }, or the process, { pid, process = true }; for the search
-- of
-- circles.

local bit = require "bit"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local formats = require "luatrace.sentences.formats"
local sys = require "luatrace.sys"
local types = require "luatrace.types"

local M = {}

local function i32(value) return tonumber(ffi.cast("int32_t", value)) end

local function fd_of(thread, call, num)
  local fd = call.process.fds:get(num)
  if fd then fd.pid = thread.pid end
  return fd
end

--- "fd 3, pipe:[4711]".
local function name_of(num, fd)
  return fd and ("fd %d, %s"):format(num, formats.show_path(fd.path)) or ("fd %d, which is not open"):format(num)
end

--- The only process that could end a wait, if there is one: its first thread stands for it.
local function single(thread, holders)
  local pid
  for _, holder in ipairs(holders) do
    if pid and holder.pid ~= pid then return nil end
    pid = holder.pid
  end
  return pid and pid ~= thread.pid and { pid, process = true } or nil
end

--- What data come from, or go to, at a descriptor.
local function transfer(thread, call, context, num, reads)
  local fd = fd_of(thread, call, num)
  if not fd then return { name_of(num, fd) }, nil end
  local kind = fd.kind
  local is_fifo = kind == "file" and (files.stat(("/proc/%d/fd/%d"):format(thread.pid, num)) or {}).kind == "fifo"
  if kind == "pipe" or is_fifo then
    local others = reads and context.peers:writers(fd.path) or context.peers:readers(fd.path)
    local foreign = {}
    for _, holder in ipairs(others) do
      if holder.pid ~= thread.pid then foreign[#foreign + 1] = holder end
    end
    local what = name_of(num, fd) .. (reads and ": it is empty; " or ": it is full; ")
    if #foreign > 0 then
      return { what .. context.peers:list(foreign) .. (reads and " can write to it" or " can read from it") },
        #foreign == #others and single(thread, foreign) or nil
    elseif #others > 0 then
      return { what .. "only this process itself has its other end" }, { thread.pid, process = true }
    end
    return { what .. "nobody that can be looked at has its other end" }, nil
  elseif kind == "socket" then
    local text, others = context.peers:socket_peer(fd)
    local line = ("fd %d, %s"):format(num, text)
    if others and #others > 0 then
      return { line .. ": at the other end is " .. context.peers:list(others) }, single(thread, others)
    end
    return { line }, nil
  elseif kind == "tty" then
    return { name_of(num, fd) .. (reads and ": waits for somebody to type" or ": its output is held up") }, nil
  end
  return { name_of(num, fd) }, nil
end

local causes = {}

local function reads(thread, call, context) return transfer(thread, call, context, i32(thread.args[0]), true) end
local function writes(thread, call, context) return transfer(thread, call, context, i32(thread.args[0]), false) end
for name in ("read readv pread64 preadv preadv2 recvfrom recvmsg recvmmsg recv"):gmatch("%S+") do
  causes[name] = reads
end
for name in ("write writev pwrite64 pwritev pwritev2 sendto sendmsg sendmmsg send"):gmatch("%S+") do
  causes[name] = writes
end

local function accepts(thread, call, context)
  local num = i32(thread.args[0])
  local fd = fd_of(thread, call, num)
  local text = fd and fd.kind == "socket" and context.peers:socket_peer(fd) or name_of(num, fd)
  return { ("fd %d, %s: waits for somebody to connect"):format(num, text) }, nil
end
causes.accept, causes.accept4 = accepts, accepts

function causes.connect(_, call)
  local where = formats.peer(call, call.addr)
  return { where and ("waits for %s to accept or refuse"):format(where) or "waits for the other side" }, nil
end

local function opens(_, call)
  local path = formats.absolute(call, "pathname")
  if not path then return {}, nil end
  local stat = files.stat(("/proc/%d/root%s"):format(call.process.pid, path))
  if stat and stat.kind == "fifo" then
    local flags = call.flags and call.flags.value or 0
    return { ("%s is a FIFO: waits for somebody who opens it for %s"):format(formats.show_path(path),
      bit.band(flags, 3) == 0 and "writing" or "reading") }, nil
  end
  return { formats.show_path(path) }, nil
end
causes.open, causes.openat = opens, opens

-- --- children -------------------------------------------------------------------------------------------------------

local function waits_for_children(thread, context, pid)
  local children = context.peers:children(thread.pid)
  if pid > 0 then return { "waits for " .. context.peers:who(pid) .. " to end" }, { pid, process = true } end
  if #children == 0 then return { "waits for a child, but has none" }, nil end
  local words = {}
  for i, child in ipairs(children) do
    words[i] = context.peers:who(child)
    if i == 6 and children[7] then
      words[7] = ("%d more"):format(#children - 6)
      break
    end
  end
  return { ("waits for %s to end: %s"):format(#children == 1 and "its child" or "one of its children",
    table.concat(words, ", ")) }, #children == 1 and { children[1], process = true } or nil
end

function causes.wait4(thread, _, context) return waits_for_children(thread, context, i32(thread.args[0])) end
causes.waitpid = causes.wait4
function causes.waitid(thread, _, context)
  local P_PID = 1
  return waits_for_children(thread, context, thread.args[0] == P_PID and i32(thread.args[1]) or -1)
end
local function vforks(thread, _, context)
  local children = context.peers:children(thread.pid)
  local child = children[#children]
  return { child and "waits for its child " .. context.peers:who(child) .. " to execute a program or to end" or
    "waits for its child" }, nil
end
causes.vfork = vforks
causes.clone = function(thread, call, context)
  return vforks(thread, call, context)
end
causes.clone3 = causes.clone

-- --- futexes --------------------------------------------------------------------------------------------------------

local FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI2 = 0, 6, 9, 13
local FUTEX_TID_MASK = 0x3fffffff

--- Other threads of the process that wait for the same word.
local function companions(thread, context)
  local list = {}
  for _, other in pairs(context.threads) do
    if other.pid == thread.pid and other ~= thread and other.call_name == "futex" and other.args and
      other.args[0] == thread.args[0] then
      list[#list + 1] = other.tid
    end
  end
  table.sort(list)
  return list
end

function causes.futex(thread, call, context)
  local operation = bit.band(i32(thread.args[1]), 0x7f)
  local address, expected = thread.args[0], i32(thread.args[2])
  local bytes = call.memory:read(address, 12)
  local word = bytes and #bytes >= 4 and tonumber(ffi.cast("const uint32_t *", bytes)[0])
  local place = types.hex(address)
  local function in_process(tid)
    local other = tid and context.threads[tid]
    return other and other.pid == thread.pid and tid ~= thread.tid
  end
  if operation == FUTEX_LOCK_PI or operation == FUTEX_LOCK_PI2 then
    local owner = word and bit.band(word, FUTEX_TID_MASK)
    return { ("wants the lock %s, which thread %d holds"):format(place, owner or 0) }, { owner }
  end
  if operation == FUTEX_WAIT or operation == FUTEX_WAIT_BITSET then
    -- pthread_join waits for the word that the kernel clears when the thread ends: until then it is its tid.
    if word == expected and in_process(word) then
      return { ("waits for thread %d to end (pthread_join)"):format(word) }, { word }
    end
    -- glibc's mutexes: 2 means locked and waited for; behind lock and count is the owner's tid.
    local owner = bytes and #bytes >= 12 and expected == 2 and word == 2 and ffi.cast("const int32_t *", bytes)[2]
    if owner == thread.tid then
      return { ("wants the mutex %s, which it holds itself"):format(place) }, { owner }
    elseif owner and in_process(owner) then
      return { ("wants the mutex %s, which thread %d holds"):format(place, owner) }, { owner }
    end
  end
  local others = companions(thread, context)
  local line = ("waits for another thread at the futex %s (a condition, a semaphore, a lock)"):format(place)
  if #others > 0 then line = line .. ("; so do %d more of its threads"):format(#others) end
  return { line }, nil
end

-- --- several descriptors --------------------------------------------------------------------------------------------

local function each(thread, call, context, numbers)
  local lines, waits_for = {}, nil
  for i, item in ipairs(numbers) do
    if i > 16 then
      lines[#lines + 1] = ("and %d more"):format(#numbers - 16)
      break
    end
    local some, one = transfer(thread, call, context, item[1], item[2])
    for _, line in ipairs(some) do lines[#lines + 1] = line end
    waits_for = #numbers == 1 and one or nil
  end
  return lines, waits_for
end

local POLLOUT = 4

local function polls(thread, call, context)
  local count = math.min(tonumber(thread.args[1]), 4096)
  local bytes = count > 0 and call.memory:read(thread.args[0], count * 8)
  local numbers = {}
  for at = 0, #(bytes or "") - 8, 8 do
    local base = ffi.cast("const uint8_t *", bytes) + at
    local num, events = ffi.cast("const int32_t *", base)[0], ffi.cast("const int16_t *", base + 4)[0]
    if num >= 0 then numbers[#numbers + 1] = { num, bit.band(events, POLLOUT) == 0 } end
  end
  return each(thread, call, context, numbers)
end
causes.poll, causes.ppoll = polls, polls

local function selects(thread, call, context)
  local highest = math.min(i32(thread.args[0]), 4096)
  local numbers = {}
  for which = 1, 2 do
    local bytes = thread.args[which] ~= 0 and highest > 0 and call.memory:read(thread.args[which],
      math.ceil(highest / 64) * 8)
    for num = 0, bytes and highest - 1 or -1 do
      local byte = bytes:byte(math.floor(num / 8) + 1)
      if byte and bit.band(byte, bit.lshift(1, num % 8)) ~= 0 then numbers[#numbers + 1] = { num, which == 1 } end
    end
  end
  return each(thread, call, context, numbers)
end
causes.select, causes.pselect6 = selects, selects

local EPOLLOUT = 4

local function epolls(thread, call, context)
  local num = i32(thread.args[0])
  local text = sys.read_file(("/proc/%d/fdinfo/%d"):format(thread.pid, num)) or ""
  local numbers = {}
  for target, events in text:gmatch("tfd:%s*(%d+)%s+events:%s*(%x+)") do
    events = tonumber(events, 16)
    numbers[#numbers + 1] = { tonumber(target), bit.band(events, 1) ~= 0 or bit.band(events, EPOLLOUT) == 0 }
  end
  if #numbers == 0 then return { ("the waiting set fd %d is empty"):format(num) }, nil end
  return each(thread, call, context, numbers)
end
causes.epoll_wait, causes.epoll_pwait, causes.epoll_pwait2 = epolls, epolls, epolls

-- --- locks, time, signals -------------------------------------------------------------------------------------------

local function locks(thread, call, context)
  local num = i32(thread.args[0])
  local owner, kind = context.peers:lock_owner(thread.pid)
  local line = ("wants a lock of %s"):format(name_of(num, fd_of(thread, call, num)))
  if owner and owner > 0 then
    return { ("%s, which %s has (%s)"):format(line, context.peers:who(owner), kind) }, { owner, process = true }
  end
  return { line }, nil
end
causes.flock = locks
function causes.fcntl(thread, call, context)
  local F_SETLKW, F_OFD_SETLKW = 7, 38
  local command = i32(thread.args[1])
  if command == F_SETLKW or command == F_OFD_SETLKW then return locks(thread, call, context) end
  return {}, nil
end

local function sleeps() return { "sleeps: nothing but time, or a signal, ends that" }, nil end
causes.nanosleep, causes.clock_nanosleep = sleeps, sleeps
local function awaits_signal() return { "waits for a signal" }, nil end
causes.pause, causes.rt_sigsuspend, causes.rt_sigtimedwait = awaits_signal, awaits_signal, awaits_signal
function causes.restart_syscall() return { "goes on with a call that a stop had interrupted" }, nil end
for _, name in ipairs { "fsync", "fdatasync", "syncfs" } do
  causes[name] = function(thread, call)
    local num = i32(thread.args[0])
    return { name_of(num, fd_of(thread, call, num)) .. ": waits for the disk" }, nil
  end
end
function causes.msgrcv(thread) return { ("message queue %d is empty"):format(i32(thread.args[0])) }, nil end
function causes.msgsnd(thread) return { ("message queue %d is full"):format(i32(thread.args[0])) }, nil end
local function semaphores(thread) return { ("waits at the semaphores of set %d"):format(i32(thread.args[0])) }, nil end
causes.semop, causes.semtimedop = semaphores, semaphores

local states = { R = "is not in a call: it computes", T = "is stopped by a signal (SIGSTOP, SIGTSTP, ...)",
  Z = "has ended; other threads of the process go on", D = nil, t = "is stopped by its tracer" }

---@param thread luatrace.StuckThread
---@param call luatrace.Call|nil
---@param context table
---@return string[] lines, integer[]|nil waits_for
function M.of(thread, call, context)
  local state = states[thread.state]
  if state then return { state }, nil end
  if not call then return { "is not in a call" }, nil end
  local cause = causes[call.row.name]
  local lines, waits_for = {}, nil
  if cause then
    lines, waits_for = cause(thread, call, context)
  else
    for i = 1, #call.row do
      if call.row[i].type.role == "fd" then
        lines, waits_for = transfer(thread, call, context, i32(thread.args[i - 1]), true)
        break
      end
    end
  end
  if thread.state == "D" then
    lines[#lines + 1] = "in a sleep that no signal ends" .. (thread.wchan and ": " .. thread.wchan or "")
  end
  return lines, waits_for
end

return M
