--- What /proc tells of threads without stopping them: their state, how often they have run, the call that they wait in.
--
--   for _, thread in ipairs(look.threads(4711)) do
--     print(thread.tid, thread.state, thread.switches, thread.nr, thread.args and thread.args[0])
--   end

local ffi = require "ffi"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.StuckThread
---@field pid integer
---@field tid integer
---@field comm string
---@field state string one letter: R running, S sleeping, D in a sleep that no signal ends, T stopped, Z ended
---@field parent integer
---@field switches integer how often it has been taken from or given up a processor: it changes when the thread has run
---@field nr integer|nil of the call that it waits in; nil when it is in none
---@field args any uint64_t[6]
---@field sp any|nil
---@field ip any|nil
---@field wchan string|nil the kernel's function that it sleeps in, where the kernel says

local function number(hex)
  local digits = hex:match("^0x(%x+)$")
  if not digits then return 0ULL end
  digits = ("0"):rep(16 - #digits) .. digits
  return ffi.cast("uint64_t", tonumber(digits:sub(1, 8), 16)) * 4294967296ULL + tonumber(digits:sub(9), 16)
end

local function read(tid, name, pid) return sys.read_file(("/proc/%d/task/%d/%s"):format(pid or tid, tid, name)) end

--- How often a thread has run, and its state; nil when it is gone.
---@return integer|nil switches, string state
function M.pulse(pid, tid)
  local text = read(tid, "status", pid)
  if not text then return nil end
  local switches = 0
  for count in text:gmatch("ctxt_switches:%s*(%d+)") do switches = switches + tonumber(count) end
  return switches, text:match("\nState:%s*(%a)") or "?"
end

--- The call that a thread waits in.
local function add_call(thread)
  local text = read(thread.tid, "syscall", thread.pid)
  local words = {}
  for word in (text or ""):gmatch("%S+") do words[#words + 1] = word end
  local nr = tonumber(words[1])
  if not nr or nr < 0 then return end
  thread.nr = nr
  thread.args = ffi.new("uint64_t[6]")
  for i = 0, 5 do thread.args[i] = number(words[i + 2] or "0x0") end
  thread.sp, thread.ip = number(words[8] or "0x0"), number(words[9] or "0x0")
end

---@return luatrace.StuckThread|nil
function M.thread(pid, tid)
  local stat = read(tid, "stat", pid)
  local comm, state, parent = (stat or ""):match("^%d+ %((.*)%) (%a) (%d+)")
  if not comm then return nil end
  local thread = { pid = pid, tid = tid, comm = comm, state = state, parent = tonumber(parent) }
  thread.switches = M.pulse(pid, tid)
  if state ~= "R" and state ~= "Z" then
    add_call(thread)
    local wchan = read(tid, "wchan", pid)
    if wchan and wchan ~= "0" and wchan ~= "" then thread.wchan = wchan end
  end
  return thread
end

--- All threads of a process, the first one first; empty when it is gone.
---@return luatrace.StuckThread[]
function M.threads(pid)
  local tids = {}
  for _, name in ipairs(sys.list_dir(("/proc/%d/task"):format(pid)) or {}) do tids[#tids + 1] = tonumber(name) end
  table.sort(tids)
  local list = {}
  for _, tid in ipairs(tids) do list[#list + 1] = M.thread(pid, tid) end
  return list
end

local ELF_CLASS_32 = 1

--- The kernel's number of a process's architecture, from the class of its program file.
function M.architecture(pid)
  local file = io.open(("/proc/%d/exe"):format(pid), "rb")
  local class = file and file:read(5)
  if file then file:close() end
  return class and #class == 5 and class:byte(5) == ELF_CLASS_32 and 0x40000003 or 0xC000003E
end

return M
