--- A session's calls: handlers at work, each call from its entry to its return.
--
-- Part of luatrace.session, which it gives methods and the stops that concern calls.

local bit = require "bit"
local decode = require "luatrace.decode"
local detaching = require "luatrace.session.detaching"
local engine = require "luatrace.engine"
local event = require "luatrace.event"
local mechanism = require "luatrace.plan.mechanism"
local multiplexed = require "luatrace.decode.multiplexed"
local sys = require "luatrace.sys"

local kind, flag, op = engine.kind, engine.flag, event.op
local tonumber, rawget, rawset, type, pcall = tonumber, rawget, rawset, type, pcall
local create, resume, yield, running = coroutine.create, coroutine.resume, coroutine.yield, coroutine.running
local band = bit.band

local M = {}

--- Methods of the session, and what it does at which stop.
---@class luatrace.Session
local Session = {}
local stops = {}
M.methods, M.stops = Session, stops

-- --- tasks: one handler at work -----------------------------------------------------------------------------------

--- The body of every pooled coroutine: runs one handler after another.
local function worker(fn, argument)
  while true do
    fn(argument)
    fn, argument = yield(op.DONE)
  end
end

--- Runs a task until it waits or ends.
function Session:step(task, ...)
  rawset(task.call, "task", task)
  return self:arrange(task, resume(task.co, ...))
end

--- A task has ended, or says what it waits for: that is arranged here.
function Session:arrange(task, ok, what, a, b)
  local call = task.call
  if not ok then return self:script_error(what, task.co) end
  if what == op.DONE then
    rawset(call, "task", nil)
    local idle = self.idle
    idle[#idle + 1] = task
    task.call = nil
    return self:advance(call)
  elseif what == op.RUN then
    local waiters = rawget(call, "waiters")
    if not waiters then
      waiters = {}
      rawset(call, "waiters", waiters)
    end
    waiters[#waiters + 1] = task
    return self:advance(call)
  elseif what == op.SLEEP then
    self.timers:add(tonumber(sys.monotonic()) + a * 1e9, task)
  elseif what == op.HOLD then
    -- Released before it held (from another thread's handler): the value is there already.
    local early = rawget(call, "released")
    if early then
      rawset(call, "released", nil)
      return self:step(task, early.value)
    end
    rawset(call, "holding", task)
  elseif what == op.INJECT then
    local started, message, name = self.tracer:inject(call.id, a, b)
    if not started then return self:step(task, nil, name or message) end
    rawset(call, "injecting", task)
  else
    return self:script_error("a handler called coroutine.yield: use call:sleep or call:hold to wait", task.co)
  end
end

--- A task that has nothing to do.
function Session:idle_task()
  local idle = self.idle
  local n = #idle
  if n == 0 then return { co = create(worker) } end
  local task = idle[n]
  idle[n] = nil
  return task
end

--- Runs a handler: within the loop's own coroutine where that is the running one (see `drive`), else in another.
function Session:start_task(fn, call)
  local driver = self.driver
  if not driver or running() ~= driver.co then
    local task = self:idle_task()
    task.call = call
    return self:step(task, fn, call)
  end
  driver.call = call
  rawset(call, "task", driver)
  fn(call)
  -- Has it waited? Then the loop runs elsewhere, and whoever has woken this task (`step`) goes on with the call.
  if self.driver ~= driver then return end
  driver.call = nil
  rawset(call, "task", nil)
  return self:advance(call)
end

function Session:release(call, value)
  local task = rawget(call, "holding")
  if not task then
    rawset(call, "released", { value = value })
    return
  end
  rawset(call, "holding", nil)
  -- Not from inside the releasing handler: at the next turn of the loop.
  self.timers:add(0, { call = call, resume_with = value, task = task })
end

--- Ends what handlers wait for: a signal cannot reach a thread that one of them holds.
function Session:wake_all()
  self.timers:hasten(function(task) return task.co and task.call end)
  for _, call in pairs(self.threads) do
    if rawget(call, "holding") then self:release(call) end
  end
end

--- The handler that holds a call in front of the kernel or behind it; nil while the kernel is at work.
local function held_by(call)
  local task, waiters = rawget(call, "task"), rawget(call, "waiters")
  if task and not rawget(call, "dead") and not (waiters and waiters[#waiters] == task) then return task end
end

--- Who holds a thread in its call, in words: a rule, or a handler by its place; nil while nobody of luatrace's does.
---@param tracee integer
---@return string|nil holder, luatrace.Call? call
function Session:holder(tracee)
  local call = self.threads[tracee]
  if not call or not held_by(call) then return nil end
  local handler = call.phase == "entry" and call.handlers[call.next_handler - 1]
  if type(handler) == "table" then return ("%s at %s"):format(handler.rule.title, handler.rule.at), call end
  if not handler then return "a handler", call end
  local info = debug.getinfo(handler, "S")
  return ("the handler at %s:%d"):format(info.short_src, info.linedefined), call
end

--- The program has been told to end: a handler that holds the same call so many seconds later waits in a loop of its
-- own, which would never let the signal through.
function Session:kill_if_held(seconds)
  local held = {}
  for _, call in pairs(self.threads) do held[call] = held_by(call) end
  if not next(held) then return end
  self.timers:add(tonumber(sys.monotonic()) + seconds * 1e9, { run = function()
    for call, task in pairs(held) do
      if held_by(call) == task and task.call == call then return self:kill_all(9) end
    end
  end })
end

-- --- one call from entry to return --------------------------------------------------------------------------------

--- Goes on with a call whose current handler waits for the kernel or has ended.
function Session:advance(call)
  if self.failed then return end
  if call.phase == "entry" then
    local handlers = call.handlers
    local index = call.next_handler
    while index <= #handlers and not rawget(call, "answered") do
      local handler = handlers[index]
      index = index + 1
      rawset(call, "next_handler", index)
      if type(handler) == "function" then return self:start_task(handler, call) end
      -- A rule: most calls are none of its business, and need no coroutine.
      local ok, matches = pcall(handler.test, call)
      if not ok then return self:script_error(matches) end
      if matches then return self:start_task(handler.run, call) end
    end
    return self:to_kernel(call)
  end
  local waiters = rawget(call, "waiters")
  local n = waiters and #waiters or 0
  if n > 0 then
    local task = waiters[n]
    waiters[n] = nil
    return self:step(task)
  end
  return self:finish_call(call)
end

--- A trace rule shows a call, or may when it has returned: the outputs are told of it with those who asked for it.
---@return boolean changed
function Session:show(call)
  local asked = call.observers
  local all = self.with_outputs[asked]
  if not all then
    all = { wants_exit = asked.wants_exit }
    local has = {}
    for _, observer in ipairs(asked) do has[observer] = true end
    for _, observer in ipairs(self.observers) do
      if has[observer] or observer.shows_selected then
        all[#all + 1] = observer
        all.wants_exit = all.wants_exit or observer.wants_exit
      end
    end
    if #all == #asked then all = asked end
    self.with_outputs[asked], self.with_outputs[all] = all, all
  end
  if all == asked then return false end
  rawset(call, "asked", asked)
  rawset(call, "observers", all)
  return true
end

--- The call as a script has rewritten it: which one, and its arguments.
local function rewritten(call)
  local nr, raw = rawget(call, "new_nr") or tonumber(call.stop.nr), call.raw
  local row = call.row
  if row.inner and not rawget(call, "new_nr") then return multiplexed.outside(call, decode.number) end
  if rawget(call, "new_nr") then row = decode.row(call.arch.name, nr) end
  if #row >= 6 then return nr, raw end
  -- The kernel asks the filter again, whose answers were meant for the program's own calls.
  local marked = { unpack(raw, 1, 5) }
  marked[6] = mechanism.injected_mark
  return nr, marked
end

--- All entry parts have run: the call goes to the kernel, or its answer to the program.
function Session:to_kernel(call)
  local tracer, id = self.tracer, call.id
  local waiters = rawget(call, "waiters")
  local want_exit = (waiters and #waiters > 0) or (call.observers.wants_exit and not rawget(call, "exit_unwanted")) or
    rawget(call, "changes_fds")
  -- A notification has no return.
  if rawget(call, "notified") then want_exit = false end
  if rawget(call, "answered") then
    tracer:skip_call(id, call.raw_ret)
  elseif rawget(call, "changed") then
    tracer:set_call(id, rewritten(call))
  end
  local observers, by_core = call.observers, false
  for i = 1, #observers do by_core = observers[i]:entry(call, want_exit) end
  if by_core and self.core_prints then
    tracer:resume_printing(id)
    self:close_call(call)
  elseif want_exit then
    rawset(call, "phase", "running")
    tracer:resume(id, true)
  else
    tracer:resume(id, false)
    self:close_call(call)
  end
end

function Session:finish_call(call)
  local observers = call.observers
  if rawget(call, "undecided") and not rawget(call, "selected") then observers = rawget(call, "asked") end
  for i = 1, #observers do observers[i]:exit(call) end
  if self.calls_left then detaching.count(self, call) end
  self.tracer:resume(call.id, false)
  self:close_call(call)
end

function Session:close_call(call)
  if rawget(call, "failed") and call.stats then call.stats.errors = call.stats.errors + 1 end
  if self.threads[call.tracee] == call then self.threads[call.tracee] = nil end
  self.scratch:free(call)
  rawset(call, "stop", nil)
  rawset(call, "phase", "over")
end

function Session:count_call(call)
  local name = call.row.name
  local stats = rawget(self.counts, name)
  if not stats then
    stats = { count = 0, errors = 0 }
    self.counts[name] = stats
  end
  if not call.restarted then stats.count = stats.count + 1 end
  rawset(call, "nth", stats.count)
  rawset(call, "stats", stats)
end

local nobody = {}

stops[kind.ENTRY] = function(self, stop)
  local arch = engine.arch[stop.arch]
  local arch_name, nr = arch.name, tonumber(stop.nr)
  if arch_name == "x86_64" and nr >= 0x40000000 then
    arch_name = "x32"
  end
  local raw, by_pointer
  if arch_name == "i386" and multiplexed.has_inner(nr) then
    local number
    number, raw, by_pointer = multiplexed.inside(self.tracer, stop)
    nr = number or nr
  end
  local entry = self.wanted:find(arch_name, nr)
  local thread = self.tree:thread(stop.tracee)
  local fds = thread.process.fds
  if not fds.complete then fds:new_stop() end
  local call = event.new(self, stop, by_pointer and multiplexed.pointed(entry.row) or entry.row, thread)
  if raw then rawset(call, "raw", raw) end
  rawset(call, "handlers", entry.handlers)
  rawset(call, "observers", entry.observers or nobody)
  if entry.changes_fds then rawset(call, "changes_fds", true) end
  self.threads[stop.tracee] = call
  -- A restart goes on with what this thread did before.
  if call.restarted then
    rawset(call, "resumes", self.core_prints and decode.row(arch.name, tonumber(stop.message)).name or thread.last_name)
  end
  thread.last_name = entry.row.name
  self:count_call(call)
  local guard = entry.guard and entry.guard.run
  if guard and guard(self, call) then return end
  return self:advance(call)
end

--- A call whose entry the core has printed by itself, and hands over.
function Session:printed_call(stop)
  if band(stop.flags, flag.PRINTING) == 0 then return nil end
  local entry = self.wanted:find(engine.arch[stop.arch].name, tonumber(stop.nr))
  local call = event.new(self, stop, entry.row, self.tree:thread(stop.tracee))
  rawset(call, "observers", entry.observers)
  return call
end

stops[kind.PRINTED] = function(self)
  for i = 1, #self.observers do
    if self.observers[i].show then self.observers[i]:show() end
  end
end

stops[kind.EXIT_CALL] = function(self, stop)
  local call = self.threads[stop.tracee] or self:printed_call(stop)
  if not call then return self.tracer:resume(tonumber(stop.id), false) end
  rawset(call, "id", tonumber(stop.id))
  rawset(call, "stop", stop)
  rawset(call, "phase", "exit")
  rawset(call, "left", tonumber(stop.time))
  event.set_result(call, engine.exact(stop.result))
  local fds = call.thread.process.fds
  if fds.complete then fds:note_call(call) else fds:new_stop() end
  return self:advance(call)
end

stops[kind.INJECTED] = function(self, stop)
  local call = self.threads[stop.tracee]
  local task = call and rawget(call, "injecting")
  if not task then return self.tracer:resume(tonumber(stop.id), false) end
  rawset(call, "id", tonumber(stop.id))
  rawset(call, "injecting", nil)
  return self:step(task, engine.exact(stop.result))
end

return M
