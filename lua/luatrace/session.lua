--- One run: a program (or an attached process) under a script, from its start to its end.
--
-- The session owns the loop. It asks the engine for the next stop, runs the handlers that want it, each in a coroutine
-- of its own, and lets the tracee go on when nobody waits any more. Handlers of one call nest: they start in the order
-- in which they were registered, each from where the one before said `call:run()` or ended, and go on after the call
-- in the reverse order; the last one registered is nearest to the kernel. One that answers the call (`returns`,
-- `fail`, `kill`) keeps it from all that follow.
--
--   local session = require("luatrace.session").new { registry = registry, seed = 1 }
--   session:spawn { file = "/bin/ls", argv = { "ls" } }
--   local run = session:loop()        -- run.status, run.signal, run.calls.openat.count

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local detaching = require "luatrace.detaching"
local engine = require "luatrace.engine"
local event = require "luatrace.event"
local plan = require "luatrace.plan"
local process_tree = require "luatrace.process_tree"
local rules = require "luatrace.rules"
local scratch = require "luatrace.scratch"
local sys = require "luatrace.sys"
local timers = require "luatrace.timers"
local vdso = require "luatrace.vdso"
local watched_fds = require "luatrace.watched_fds"

local kind, flag, op = engine.kind, engine.flag, event.op
local tonumber, rawget, rawset, type, pcall = tonumber, rawget, rawset, type, pcall
local create, resume, yield, running = coroutine.create, coroutine.resume, coroutine.yield, coroutine.running
local band = bit.band

local M = {}

---@class luatrace.Session
local Session = {}
Session.__index = Session

--- Per-call statistics; a call that never happened counts as zero.
local Calls = { __index = function() return { count = 0, errors = 0 } end }

---@class luatrace.SessionOptions
---@field registry table handlers: see luatrace.script
---@field observers table[]? output: objects with methods entry, exit, signal, group, exec, exit_process,
-- superseded, finish
---@field on_error "kill"|"detach"|nil what happens to the program when the script fails
---@field trap "auto"|"notify"|"stop"|"ptrace"|nil
---@field no_follow boolean?
---@field daemons "wait"|"detach"|"kill"|nil
---@field engine_options table? see engine.open
---@field timeout number? seconds
---@field tracer luatrace.Tracer? one that others use too: only what belongs to this session's tree is touched

--- Does no script look on?
local function nothing_registered(registry)
  if #registry.on > 0 or registry.runs_itself or next(registry.rules or {}) then return false end
  for _, handlers in pairs(registry.at) do
    if #handlers > 0 then return false end
  end
  return true
end

---@param options luatrace.SessionOptions
---@return luatrace.Session
function M.new(options)
  local registry = options.registry
  local self = setmetatable({
    options = options,
    registry = registry,
    observers = options.observers or {},
    text_options = options.text_options or {},
    timers = timers.new(),
    with_outputs = {},
    idle = {},
    threads = {},
    scratch = scratch.new(),
    filters = 0,
    counts = setmetatable({}, Calls),
    started = tonumber(sys.monotonic()),
  }, Session)
  self.calls_left = options.syscall_limit
  self.deadline = options.timeout and self.started + options.timeout * 1e9
  local want = 0
  if #registry.at.signal > 0 or #self.observers > 0 then want = want + engine.want.SIGNALS end
  if #registry.at.fork > 0 or #registry.at.thread > 0 then want = want + engine.want.START end
  for _, observer in ipairs(self.observers) do
    if observer.wants_system_time then want = bit.bor(want, engine.want.SYSTEM_TIME) end
  end
  local engine_options = { want = want }
  for key, value in pairs(options.engine_options or {}) do engine_options[key] = value end
  -- Runs at the same time share one tracer (reactor.lua): wait4 would hand each the others' statuses.
  self.tracer = options.tracer or engine.open(engine_options)
  local resolved, unresolved = rules.resolve(registry)
  if not resolved then error(unresolved, 0) end
  for _, rule in ipairs(registry.rules or {}) do rule.decisions = options.decisions end
  self.plan = plan.build(registry, self.observers, options)
  self.tree = process_tree.new { keep = options.keep_tree, sees_all_fd_calls = self.plan.sees_all_fd_calls }
  self.wanted = self.plan.wanted
  local only = #self.observers == 1 and not options.tracer and nothing_registered(registry) and self.observers[1]
  if only and only.let_core_print then
    self.core_prints = only:let_core_print(self.tracer, self.text_options)
  end
  return self
end

--- Starts the program.
---@param program table file, argv, env, cwd, user, fds, new_group: see engine
---@return true|nil, string? message, string? errno, string? step
function Session:spawn(program)
  local mode = self.plan.mode
  program.mode = engine.mode[mode]
  program.no_follow = self.options.no_follow
  program.plan = self.plan.engine_plan
  program.daemonize = self.options.daemonize
  program.insist_notify = self.options.trap == "notify"
  local started, message, name, step = self.tracer:spawn(program)
  if not started then return nil, message, name, step end
  self.root_pid, self.root_tree = started.pid, started.tree
  if mode == "seccomp" then self.filters = self.filters + 1 end
  self.no_new_privs = started.no_new_privs
  self.notifies = started.notifies
  return true
end

--- Attaches to a running process.
---@return true|nil, string? message, string? errno
function Session:attach(pid)
  local tree, message, name = self.tracer:attach(pid, self.plan.engine_plan, self.options.no_follow)
  if not tree then return nil, message, name end
  self.root_pid, self.root_tree = pid, tree
  self.attached = true
  if self.registry.hide_vdso then
    self:notice("vdso", "the vDSO cannot be hidden from a process that runs already: it reads its clocks without calls")
  end
  return true
end

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
    tracer:set_call(id, rawget(call, "new_nr") or call.stop.nr, call.raw)
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

local stops = {}
local nobody = {}

stops[kind.ENTRY] = function(self, stop)
  local arch = engine.arch[stop.arch]
  local arch_name, nr = arch.name, tonumber(stop.nr)
  if arch_name == "x86_64" and nr >= 0x40000000 then
    arch_name = "x32"
  end
  local entry = self.wanted:find(arch_name, nr)
  local thread = self.tree:thread(stop.tracee)
  local fds = thread.process.fds
  if not fds.complete then fds:new_stop() end
  local call = event.new(self, stop, entry.row, thread)
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
  for i = 1, #self.observers do self.observers[i]:take_printed() end
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

-- --- lifecycle ----------------------------------------------------------------------------------------------------

local function protected(self, handlers, ...)
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
    clone_flags = tonumber(stop.message), time = tonumber(stop.time) }
  for i = 1, #self.observers do
    if self.observers[i].birth then self.observers[i]:birth(stop, self.tree:thread(stop.tracee)) end
  end
  for _, fn in ipairs(self.registry.on_birth or {}) do fn(self.tree:thread(stop.tracee)) end
end

stops[kind.START] = function(self, stop)
  local thread = self.tree:thread(stop.tracee)
  if band(stop.flags, flag.THREAD) ~= 0 then
    protected(self, self.registry.at.thread, thread)
  else
    protected(self, self.registry.at.fork, thread.process)
  end
  self.tracer:resume(tonumber(stop.id), false)
end

stops[kind.EXEC] = function(self, stop)
  local former = tonumber(stop.message)
  self.tree:exec(stop.tracee, former ~= 0 and former ~= stop.tid and former or nil, tonumber(stop.time))
  local process = self.tree:thread(stop.tracee).process
  process.scratch = nil
  if self.options.hide_vdso or self.registry.hide_vdso then vdso.hide(self.tracer, stop) end
  for _, fn in ipairs(self.registry.on_image or {}) do fn(self, stop, self.tree:thread(stop.tracee)) end
  local call = self.threads[stop.tracee]
  if call and rawget(call, "injecting") then rawset(call, "injecting", nil) end
  if not self.root_started and band(stop.flags, flag.ROOT) ~= 0 then
    self.root_started = true
    protected(self, self.registry.at.start, process)
  end
  protected(self, self.registry.at.exec, process)
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
  protected(self, self.registry.at.signal, signal)
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
  if process then protected(self, self.registry.at.exit, process) end
end

stops[kind.SUPERSEDED] = function(self, stop)
  local thread = self.tree:thread(stop.tracee)
  local call = self:abandon(stop.tracee) or self:printed_call(stop)
  for i = 1, #self.observers do self.observers[i]:superseded(stop, thread, told(call, self.observers[i])) end
  self.tree:superseded(stop.tracee, tonumber(stop.message))
end

--- Something that the user should know, said once each.
function Session:notice(key, text)
  self.notices = self.notices or {}
  if self.notices[key] or (self.options.quiet or 0) > 0 then return end
  self.notices[key] = text
  io.stderr:write("luatrace: ", text, "\n")
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

-- --- ends and errors ----------------------------------------------------------------------------------------------

--- An error in the script: said once, with where it was; then the program is killed or let go.
function Session:script_error(message, co)
  if self.failed then return end
  self.failed = true
  if type(message) == "table" and message.luatrace_exit then
    self.exit_code = message.luatrace_exit
  else
    local trace = co and debug.traceback(co) or ""
    self.error_message = M.script_traceback(tostring(message), trace)
    self.exit_code = 125
  end
  if self.options.on_error == "detach" or self.attached then
    self:let_everybody_go()
  else
    self:kill_all(9)
  end
end

--- Only the script's own lines: where in luatrace it was noticed helps nobody.
function M.script_traceback(message, trace)
  local lines = {}
  for line in trace:gmatch("[^\n]+") do
    if line:find("^%s+%S") and not line:find("luatrace/", 1, true) and not line:find("[C]:", 1, true) and
      not line:find("[string \"luatrace", 1, true) and not line:find("[builtin", 1, true) then
      lines[#lines + 1] = line
    end
  end
  -- One line is the place that the message names already.
  if #lines <= 1 then return message end
  return message .. "\nstack traceback:\n" .. table.concat(lines, "\n")
end

--- The program goes on without us, as far as the filter allows: a minimal tracer stays while it lives.
function Session:let_everybody_go()
  self.tracer:detach(0)
  for tracee, call in pairs(self.threads) do
    rawset(call, "phase", "over")
    self.tracer:resume(call.id, false)
    self.threads[tracee] = nil
  end
end

stops[kind.INTERRUPTED] = function(self, stop)
  local signal = stop.signal
  self.interrupted = signal
  if self.on_interrupt and self.on_interrupt(self, signal) then return end
  if self.attached then
    detaching.threads(self)
    self.finished = true
  elseif signal ~= 2 and signal ~= 3 then
    -- SIGINT and SIGQUIT come from the terminal and have reached the program as well: it decides.
    self:kill_all(signal == 1 and 1 or 15)
    self.terminated = (self.terminated or 0) + 1
    if self.terminated > 1 then self:kill_all(9) end
  else
    self.keyboard = (self.keyboard or 0) + 1
    if self.keyboard >= 3 then self:kill_all(9) end
  end
end

stops[kind.NONE] = function() end

--- Somebody wanted to look at a thread where it is: see stuck.lua.
stops[kind.PAUSED] = function(self, stop)
  if self.on_paused then self.on_paused(stop) end
  self.tracer:resume(tonumber(stop.id), false)
end

stops[kind.READY] = function(self) watched_fds.serve(self.tracer) end

--- Signals everybody in this run.
function Session:kill_all(signal) self.tracer:kill(self.options.tracer and self.root_tree or 0, signal) end

--- Serves what is due by the clock, and says how long the loop may wait then.
---@return number nanoseconds, or -1: no limit
function Session:turn()
  local timer_heap = self.timers
  local due, deadline = timer_heap:next_due(), self.deadline
  if not due and not deadline then return -1 end
  local now = tonumber(sys.monotonic())
  for task in timer_heap:expired(now) do self:timer(task) end
  due = timer_heap:next_due()
  if deadline and now >= deadline then
    self.timed_out = true
    self.deadline, deadline = nil, nil
    self:kill_all(9)
  end
  if deadline and (not due or deadline < due) then due = deadline end
  if not due then return -1 end
  return due > now and due - now or 0
end

--- Serves one stop.
function Session:serve(stop)
  local what = stop.kind
  if self.options.debug then require("luatrace.stop_log").note(self, stop) end
  if self.failed and what ~= kind.EXIT then return self:serve_after_failure(stop, what) end
  return stops[what](self, stop)
end

--- The loop, as a task of its own: most handlers do not wait, and are called here like any function, which LuaJIT
-- compiles. One that does wait keeps this coroutine, and the loop goes on in another: then this one is no driver any
-- more, and returns when its handler has.
local function drive(self)
  local me, tracer, DONE = self.driver, self.tracer, kind.DONE
  while not self.finished do
    local limit = self:turn()
    if self.driver ~= me then return end
    local stop = tracer:next(limit)
    if stop.kind == DONE then break end
    self:serve(stop)
    if self.driver ~= me then return end
  end
  self.over = true
end

--- Serves stops until all is over.
---@return { status: integer?, signal: integer?, calls: table, time: number }
function Session:loop()
  M.busy = true -- wait4 is ours: no other run in this process (run.lua)
  while not self.over do
    local driver = self:idle_task()
    self.driver = driver
    local ok, what, a, b = resume(driver.co, drive, self)
    self.driver = nil
    if not ok and not driver.call then error(debug.traceback(driver.co, tostring(what)), 0) end
    if not self.over then self:arrange(driver, ok, what, a, b) end
  end
  M.busy = nil
  return self:finish()
end

--- After a script error nothing of the script runs: stops that were on their way are passed through.
function Session:serve_after_failure(stop, what)
  if what == kind.BIRTH then
    stops[what](self, stop)
  elseif what == kind.SIGNAL then
    self.tracer:resume(tonumber(stop.id), false, stop.signal)
  elseif what ~= kind.GROUP and what ~= kind.SUPERSEDED and what ~= kind.NONE and what ~= kind.INTERRUPTED and
    what ~= kind.READY then
    self.tracer:resume(tonumber(stop.id), false)
  end
end

function Session:timer(task)
  if self.failed then return end
  if task.run then return task.run() end
  if task.task then
    if rawget(task.call, "dead") then return end
    return self:step(task.task, task.resume_with)
  end
  if not task.call or rawget(task.call, "dead") then return end
  return self:step(task)
end

--- A program that never became one: its child has told why.
function Session:ask_for_launch_failure()
  if not self.root_tree or self.attached then return end
  local name, step, message = self.tracer:launch_error(self.root_tree)
  if name and not self.root_started then
    self.launch_errno, self.launch_step, self.launch_message = name, step, message
    self.failed = true
  end
end

function Session:finish()
  local run = { calls = self.counts, time = (tonumber(sys.monotonic()) - self.started) / 1e9, processes = self.tree,
    timed_out = self.timed_out, seed = self.options.seed }
  if self.status then
    local low = band(self.status, 0x7f)
    if low == 0 then run.status = band(bit.rshift(self.status, 8), 0xff) else run.signal = low end
  end
  self.run = run
  self:ask_for_launch_failure()
  if not self.failed then
    protected(self, self.registry.at.finish, run)
    rules.finish(self.registry)
  end
  for i = 1, #self.observers do self.observers[i]:finish(run) end
  -- What mocks have open, also after an error.
  for _, clean_up in ipairs(self.registry.clean_up or {}) do clean_up() end
  if not self.options.tracer then self.tracer:close() end
  return run
end

return M
