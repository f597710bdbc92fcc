--- What happens to a session's processes: births, programs, signals, ends.
--
-- Part of luatrace.session, which it gives methods and the stops that concern processes and threads.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local detaching = require "luatrace.session.detaching"
local engine = require "luatrace.engine"
local event = require "luatrace.event"
local vdso = require "luatrace.tracee.vdso"

local kind, flag = engine.kind, engine.flag
local tonumber, rawget, rawset = tonumber, rawget, rawset
local create, resume = coroutine.create, coroutine.resume
local band = bit.band

local M = {}

--- Methods of the session, and what it does at which stop.
---@class luatrace.Session
local Session = {}
local stops = {}
M.methods, M.stops = Session, stops

--- Calls the handlers of at.*, which cannot wait.
function Session:notify(handlers, ...)
  for i = 1, #handlers do
    local co = create(handlers[i])
    local ok, message = resume(co, ...)
    if not ok then return self:script_error(message, co) end
    if coroutine.status(co) ~= "dead" then
      return self:script_error("at.* handlers cannot wait: only on.* handlers can", co)
    end
  end
end

stops[kind.BIRTH] = function(self, stop)
  self.tree:birth { tracee = stop.tracee, tid = stop.tid, pid = stop.pid, parent_tracee = stop.parent,
    clone_flags = tonumber(stop.message), time = tonumber(stop.time), attached = band(stop.flags, flag.ATTACHED) ~= 0 }
  for i = 1, #self.observers do
    if self.observers[i].birth then self.observers[i]:birth(stop, self.tree:thread(stop.tracee)) end
  end
  for _, fn in ipairs(self.registry.on_birth or {}) do fn(self.tree:thread(stop.tracee)) end
end

stops[kind.START] = function(self, stop)
  local thread = self.tree:thread(stop.tracee)
  if band(stop.flags, flag.THREAD) ~= 0 then
    self:notify(self.registry.at.thread, thread)
  else
    self:notify(self.registry.at.fork, thread.process)
  end
  self.tracer:resume(tonumber(stop.id), false)
end

stops[kind.EXEC] = function(self, stop)
  local former = tonumber(stop.message)
  self.tree:exec(stop.tracee, former ~= 0 and former ~= stop.tid and former or nil, tonumber(stop.time))
  local process = self.tree:thread(stop.tracee).process
  process.scratch = nil
  -- Who has CAP_SYS_ADMIN has CAP_SYS_PTRACE; a look at every program for the others only.
  if self.options.features.unprivileged_needs_nnp ~= 0 then
    local lost = require("luatrace.tracee.privileges").lost(process)
    if lost then self:notice("privileges " .. (process.exe or ""), lost) end
  end
  if self.options.hide_vdso or self.registry.hide_vdso then vdso.hide(self.tracer, stop) end
  for _, fn in ipairs(self.registry.on_image or {}) do fn(self, stop, self.tree:thread(stop.tracee)) end
  local call = self.threads[stop.tracee]
  if call and rawget(call, "injecting") then rawset(call, "injecting", nil) end
  if not self.root_started and band(stop.flags, flag.ROOT) ~= 0 then
    self.root_started = true
    self:notify(self.registry.at.start, process)
  end
  self:notify(self.registry.at.exec, process)
  for i = 1, #self.observers do self.observers[i]:exec(stop, process) end
  if detaching.exec(self, stop) then return end
  self.tracer:resume(tonumber(stop.id), false)
end

--- What at.signal handlers get.
---@class luatrace.Signal
---@field name string "SIGINT"
---@field number integer
---@field process luatrace.Process
---@field thread luatrace.Thread
---@field info { code: integer, pid: integer?, uid: integer?, addr: any }
local Signal = {}
Signal.__index = function(signal, key)
  if Signal[key] then return Signal[key] end
  if key == "info" then
    local bytes = signal.session.tracer:get_siginfo(signal.id) or ("\0"):rep(128)
    local words = ffi.cast("const int32_t *", bytes)
    local info = { number = words[0], errno = words[1], code = words[2], pid = words[4], uid = words[5],
      addr = engine.exact(ffi.cast("const uint64_t *", bytes)[2]), bytes = bytes }
    rawset(signal, "info", info)
    return info
  end
end

--- The program never sees it.
function Signal:suppress() self.delivered = 0 end

--- The program gets another one instead.
---@param name string|integer
function Signal:replace(name) self.delivered = event.signal_number(name, "signal:replace") end

stops[kind.SIGNAL] = function(self, stop)
  local thread = self.tree:thread(stop.tracee)
  local signal = setmetatable({ session = self, id = tonumber(stop.id), number = stop.signal, delivered = stop.signal,
    name = constants.signals.by_value[stop.signal] or "signal " .. stop.signal, thread = thread,
    process = thread.process }, Signal)
  self:notify(self.registry.at.signal, signal)
  for i = 1, #self.observers do self.observers[i]:signal(stop, signal) end
  self.tracer:resume(tonumber(stop.id), false, signal.delivered)
end

stops[kind.GROUP] = function(self, stop)
  for i = 1, #self.observers do self.observers[i]:group(stop, self.tree:thread(stop.tracee)) end
end

--- The call, if this output has been told of it.
local function told(call, observer)
  local observers = call and call.observers
  for i = 1, observers and #observers or 0 do
    if observers[i] == observer then return call end
  end
end

--- The calls that a dead thread was in never return.
function Session:abandon(tracee)
  local call = self.threads[tracee]
  if not call then return end
  self.threads[tracee] = nil
  rawset(call, "stop", nil)
  rawset(call, "phase", "over")
  rawset(call, "dead", true)
  rawset(call, "waiters", nil)
  rawset(call, "holding", nil)
  rawset(call, "injecting", nil)
  self.scratch:free(call)
  return call
end

stops[kind.EXIT] = function(self, stop)
  local thread = self.tree:thread(stop.tracee)
  local call = self:abandon(stop.tracee) or self:printed_call(stop)
  for i = 1, #self.observers do self.observers[i]:exit_process(stop, thread, told(call, self.observers[i])) end
  local process = self.tree:exit(stop.tracee, stop.status, tonumber(stop.time))
  if stop.pid == self.root_pid and stop.tid == stop.pid then
    self.status = stop.status
    self:root_ended()
  end
  if process then self:notify(self.registry.at.exit, process) end
end

stops[kind.SUPERSEDED] = function(self, stop)
  local thread = self.tree:thread(stop.tracee)
  local call = self:abandon(stop.tracee) or self:printed_call(stop)
  for i = 1, #self.observers do self.observers[i]:superseded(stop, thread, told(call, self.observers[i])) end
  self.tree:superseded(stop.tracee, tonumber(stop.message))
end

--- --daemons: what happens to processes that outlive the program.
function Session:root_ended()
  local daemons = self.options.daemons or "wait"
  if daemons == "kill" then
    self:kill_all(9)
  elseif daemons == "detach" then
    self.tracer:detach(0)
  end
end

function Session:detach(call)
  local kept = self.tracer:detach(call.tracee)
  rawset(call, "exit_unwanted", true)
  if kept == 0 then
    self.threads[call.tracee] = nil
    rawset(call, "detached", true)
  end
  return kept
end

return M
