--- The getpid mock: process and thread ids that are the same in every run.
--
--   getpid(1000)         -- the program is process 1000; its threads and children are 1001, 1002, ... in order of birth
--
-- All calls that tell or take the id of a process or thread of the program's tree translate it: getpid, gettid,
-- getppid, fork and its kin, wait and its kin, kill and its kin, groups, sessions, scheduling, limits. An id that is
-- not one of the tree's stays what it is. Real ids stay in /proc/PID, in what signals say of their sender, in
-- credentials of sockets, and in what the kernel itself writes into memory for the thread library.

local ffi = require "ffi"
local mock = require "luatrace.mock"
local place = require "luatrace.mock.files.place"

local M = {}

local word32 = place.word32
local MAX = 4194304 -- PID_MAX_LIMIT

--- Both ways between the program's ids and the kernel's.
---@class luatrace.MockIds
local Ids = {}
Ids.__index = Ids

local function new_ids(first)
  return setmetatable({ next = first, shown = {}, real = {} }, Ids)
end

--- A thread of the tree has an id from its birth on; when the kernel gives a number out again, it is a new one.
function Ids:born(tid)
  local shown, before = self.next, self.shown[tid]
  if before then self.real[before] = nil end
  self.next = shown + 1
  self.shown[tid], self.real[shown] = shown, tid
end

--- What the program sees for an id of the kernel's.
function Ids:show(tid) return self.shown[tid] or tid end

--- What the kernel is told for an id of the program's. Negative ones are groups.
function Ids:tell(id)
  if id < 0 then return -(self.real[-id] or -id) end
  return self.real[id] or id
end

-- --- calls ----------------------------------------------------------------------------------------------------------

--- Calls whose arguments and results are ids.
local calls = {
  getppid = { result = true }, getpgrp = { result = true },
  setsid = { result = true }, fork = { result = true }, vfork = { result = true }, clone = { result = true },
  clone3 = { result = true }, wait4 = { 1, result = true }, waitpid = { 1, result = true },
  getpgid = { 1, result = true }, getsid = { 1, result = true }, setpgid = { 1, 2 }, kill = { 1 }, tkill = { 1 },
  tgkill = { 1, 2 }, rt_sigqueueinfo = { 1 }, rt_tgsigqueueinfo = { 1, 2 }, pidfd_open = { 1 }, prlimit64 = { 1 },
  sched_setscheduler = { 1 }, sched_getscheduler = { 1 }, sched_setparam = { 1 }, sched_getparam = { 1 },
  sched_setattr = { 1 }, sched_getattr = { 1 }, sched_setaffinity = { 1 }, sched_getaffinity = { 1 },
  sched_rr_get_interval = { 1 }, process_vm_readv = { 1 }, process_vm_writev = { 1 }, kcmp = { 1, 2 },
  get_robust_list = { 1 }, move_pages = { 1 }, migrate_pages = { 1 },
}

local function translate(ids, how)
  return function(call)
    for _, i in ipairs(how) do
      local id = word32(call.args[i])
      local told = ids:tell(id)
      -- -1 and 0 are not ids but "all" and "mine".
      if id ~= -1 and told ~= id then call.args[i] = told end
    end
    if not how.result then return end
    local got = call:run()
    if got and ids.shown[got] then call:returns(ids.shown[got]) end
  end
end

--- getpriority, setpriority, ioprio_get: the kind says whether the next argument is an id; waitid has P_ALL first.
local by_kind = { getpriority = { 0, 1 }, setpriority = { 0, 1 }, ioprio_get = { 1, 2 }, ioprio_set = { 1, 2 },
  waitid = { 1, 2 } }

local function translate_by_kind(ids, kinds)
  return function(call)
    local kind, id = word32(call.args[1]), word32(call.args[2])
    local told = ids:tell(id)
    if (kind == kinds[1] or kind == kinds[2]) and told ~= id then call.args[2] = told end
  end
end

--- Where siginfo_t has si_pid: behind three ints, aligned as a pointer is.
local PID_AT = { [64] = 16, [32] = 12 }

local function waitid(ids)
  local arguments = translate_by_kind(ids, by_kind.waitid)
  return function(call)
    arguments(call)
    local info = call.args[3]
    if info == 0 or not call:run() then return end
    local at = info + PID_AT[call.arch.bits]
    local bytes = call.memory:read(at, 4)
    local pid = bytes and #bytes == 4 and ffi.cast("const int32_t *", bytes)[0]
    if pid and ids.shown[pid] then
      call.memory:write(at, ffi.string(ffi.new("int32_t[1]", ids.shown[pid]), 4))
    end
  end
end

local TIOCGPGRP, TIOCSPGRP, TIOCGSID = 0x540f, 0x5410, 0x5429

--- The foreground process group of a terminal.
local function ioctl(ids)
  return function(call)
    local request, address = word32(call.args[2]), call.args[3]
    local is_set = request == TIOCSPGRP
    if not is_set and request ~= TIOCGPGRP and request ~= TIOCGSID then return end
    if not is_set and not call:run() then return end
    local bytes = call.memory:read(address, 4)
    if not bytes or #bytes < 4 then return end
    local id = ffi.cast("const int32_t *", bytes)[0]
    local other = is_set and ids:tell(id) or ids:show(id)
    if other == id then return end
    local room = is_set and call.memory:alloc(4) or address
    call.memory:write(room, ffi.string(ffi.new("int32_t[1]", other), 4))
    if is_set then call.args[3] = room end
  end
end

---@param context luatrace.MockContext
function M.new(context)
  local is_on
  ---@param first integer the program's own id
  return function(first)
    if type(first) ~= "number" or first % 1 ~= 0 or first < 2 or first > MAX / 2 then
      mock.misuse(("getpid takes the id that the program shall have, a whole number from 2 to %d, not %s")
        :format(MAX / 2, tostring(first)))
    end
    if is_on then mock.misuse("getpid: the program has an id already") end
    is_on = true
    local ids = new_ids(first)
    context.on_birth(function(thread) ids:born(thread.tid) end)
    for name, how in pairs(calls) do context.on({ name }, translate(ids, how)) end
    for name, kinds in pairs(by_kind) do
      if name ~= "waitid" then context.on({ name }, translate_by_kind(ids, kinds)) end
    end
    context.on({ "waitid" }, waitid(ids))
    -- These two luatrace knows without the kernel.
    context.on({ "getpid" }, function(call) call:returns(ids:show(call.process.pid)) end, { notify = true })
    context.on({ "gettid" }, function(call) call:returns(ids:show(call.thread.tid)) end, { notify = true })
    local tests = {}
    for i, request in ipairs { TIOCGPGRP, TIOCSPGRP, TIOCGSID } do
      tests[i] = { { arg = 1, op = "eq", value = request, bits = 32 } }
    end
    context.on({ "ioctl" }, ioctl(ids), { tests = tests })
  end
end

return M
