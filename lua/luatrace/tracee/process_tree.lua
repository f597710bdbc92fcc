--- The processes and threads of a run, as scripts see them (`call.process`, `call.thread`).
--
-- Keyed by the core's tracee numbers, never by tids, which the kernel reuses. What /proc knows of a process is read
-- when it is first asked for, and kept for as long as the program image lasts; a finished process drops out of the
-- tree, so a run of any length does not grow by what has ended (`keep = true`: all processes stay, for reports).
--
--   local tree = require("luatrace.tracee.process_tree").new {}
--   tree:birth { tracee = 1, tid = 100, pid = 100, parent_tracee = 0, clone_flags = 0, time = 0 }
--   tree:thread(1).process.exe

local bit = require "bit"
local fd_table = require "luatrace.tracee.fd_table"
local sys = require "luatrace.sys"

local band = bit.band

local M = {}

local CLONE_VM, CLONE_FS, CLONE_FILES = 0x100, 0x200, 0x400

---@class luatrace.Process
---@field pid integer
---@field number string place in the tree: "0" is the program, "0.2" its third child
---@field exe string|nil path of the program file
---@field argv string[]|nil
---@field env table<string, string>|nil
---@field comm string|nil
---@field cwd string|nil
---@field fds luatrace.FdTable
---@field parent luatrace.Process|nil
---@field status integer|nil exit status, when it has ended by itself
---@field signal integer|nil what killed it
---@field images integer how many programs it has executed since it is traced
---@field started number|nil seconds of CLOCK_MONOTONIC
---@field ended number|nil
local Process = {}

--- NUL-separated strings.
local function split_strings(bytes)
  local list = {}
  for word in bytes:gmatch("([^%z]*)%z") do list[#list + 1] = word end
  return list
end

local function proc(process, name) return ("/proc/%d/%s"):format(process.pid, name) end

--- Of the program image: forgotten at exec.
local image = {
  exe = function(process) return (sys.readlink(proc(process, "exe"))) end,
  argv = function(process)
    local bytes = sys.read_file(proc(process, "cmdline"))
    return bytes and split_strings(bytes)
  end,
  env = function(process)
    local bytes = sys.read_file(proc(process, "environ"))
    if not bytes then return nil end
    local env = {}
    for _, text in ipairs(split_strings(bytes)) do
      local name, value = text:match("^([^=]+)=(.*)$")
      if name then env[name] = value end
    end
    return env
  end,
}

Process.__index = function(process, key)
  if Process[key] then return Process[key] end
  local read = image[key]
  if read then
    local value = read(process)
    rawset(process, key, value)
    return value
  end
  -- These two may change at any time.
  if key == "comm" then
    local text = sys.read_file(proc(process, "comm"))
    return text and text:gsub("\n$", "") or nil
  end
  if key == "cwd" then return process.fds:cwd() end
end

--- Sends a signal to the whole process.
function Process:__tostring() return ("process %d"):format(self.pid) end

---@class luatrace.Thread
---@field tid integer
---@field number integer the core's number of the tracee: never reused
---@field ordinal integer its place among the threads of its process, by birth: the first is 0
---@field process luatrace.Process

---@class luatrace.ProcessTree
local Tree = {}
Tree.__index = Tree

---@param options { keep: boolean?, sees_all_fd_calls: boolean?, on_refusal: fun(process: luatrace.Process)? }
-- on_refusal: told when we may not look at a process's descriptors
---@return luatrace.ProcessTree
function M.new(options)
  return setmetatable({ threads = {}, keep = options.keep, sees_all_fd_calls = options.sees_all_fd_calls,
    on_refusal = options.on_refusal, all = {}, roots = 0, alive = 0 }, Tree)
end

local function new_process(tree, pid, parent, time)
  local number
  if parent then
    number = ("%s.%d"):format(parent.number, parent.child_count)
    parent.child_count = parent.child_count + 1
  else
    number = tostring(tree.roots)
    tree.roots = tree.roots + 1
  end
  local process = setmetatable({ pid = pid, number = number, parent = parent, child_count = 0, thread_count = 0,
    threads_born = 0, images = 0,
    started = time and time / 1e9 }, Process)
  if tree.keep then tree.all[#tree.all + 1] = process end
  tree.alive = tree.alive + 1
  return process
end

---@param birth table tracee, tid, pid, parent_tracee, clone_flags (integers), time (nanoseconds), attached
function Tree:birth(birth)
  local parent = self.threads[birth.parent_tracee]
  local process
  if birth.tid ~= birth.pid then
    -- A thread; of an attached process its siblings may come first.
    process = parent and parent.process.pid == birth.pid and parent.process or self:find(birth.pid)
  end
  if not process then
    process = new_process(self, birth.pid, parent and parent.process, birth.time)
    rawset(process, "attached", birth.attached)
    local flags = birth.clone_flags
    if parent then
      rawset(process, "fds", parent.process.fds:child(birth.pid, band(flags, CLONE_FILES) ~= 0,
        band(flags, CLONE_FS) ~= 0))
      -- The same image as the parent's until it execs.
      for key in pairs(image) do rawset(process, key, rawget(parent.process, key)) end
      if band(flags, CLONE_VM) ~= 0 then rawset(process, "scratch", rawget(parent.process, "scratch")) end
    else
      rawset(process, "fds", fd_table.new(birth.pid, self.sees_all_fd_calls, self.on_refusal and function(pid)
        local refused = self:find(pid)
        if refused then self.on_refusal(refused) end
      end))
    end
  end
  process.thread_count = process.thread_count + 1
  self.threads[birth.tracee] = { tid = birth.tid, number = birth.tracee, process = process,
    ordinal = process.threads_born }
  process.threads_born = process.threads_born + 1
end

--- The process with this pid, among the living.
---@return luatrace.Process|nil
function Tree:find(pid)
  for _, thread in pairs(self.threads) do
    if thread.process.pid == pid then return thread.process end
  end
end

---@return luatrace.Thread
function Tree:thread(tracee) return self.threads[tracee] end

--- A new image is in place; the thread that did it has now the leader's tid.
function Tree:exec(tracee)
  local thread = self.threads[tracee]
  local process = thread.process
  thread.tid = process.pid
  for key in pairs(image) do rawset(process, key, nil) end
  process.fds:exec()
  process.images = process.images + 1
  -- Read now: exit handlers print it when /proc has forgotten it.
  rawset(process, "exe", image.exe(process))
end

--- A thread goes on without us.
function Tree:detach(tracee)
  local thread = self.threads[tracee]
  if not thread then return end
  self.threads[tracee] = nil
  thread.process.thread_count = thread.process.thread_count - 1
  if thread.process.thread_count == 0 then self.alive = self.alive - 1 end
end

--- A thread has ended. Returns its process when that has ended with it.
---@return luatrace.Process|nil
function Tree:exit(tracee, status, time)
  local thread = self.threads[tracee]
  if not thread then return nil end
  self.threads[tracee] = nil
  local process = thread.process
  process.thread_count = process.thread_count - 1
  -- The leader's status comes last, when all its threads are gone, and it is the process's.
  if thread.tid ~= process.pid then return nil end
  local low = band(status, 0x7f)
  if low == 0 then
    process.status = band(bit.rshift(status, 8), 0xff)
  else
    process.signal = low
  end
  process.ended = time / 1e9
  self.alive = self.alive - 1
  return process
end

--- An exec by another thread took the leader's place: it ends without a status.
function Tree:superseded(tracee)
  local thread = self.threads[tracee]
  if not thread then return end
  self.threads[tracee] = nil
  thread.process.thread_count = thread.process.thread_count - 1
end

return M
