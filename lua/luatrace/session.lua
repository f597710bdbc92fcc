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
--
-- session/calls.lua has the calls, session/life.lua the processes; here are the start, the loop, errors and the end.

local bit = require "bit"
local calls = require "luatrace.session.calls"
local detaching = require "luatrace.session.detaching"
local engine = require "luatrace.engine"
local filter = require "luatrace.filter"
local life = require "luatrace.session.life"
local plan = require "luatrace.plan"
local process_tree = require "luatrace.tracee.process_tree"
local quote = require "luatrace.text.quote"
local rules = require "luatrace.rules"
local scratch = require "luatrace.tracee.scratch"
local sys = require "luatrace.sys"
local timers = require "luatrace.session.timers"
local watched_fds = require "luatrace.session.watched_fds"

local kind = engine.kind
local tonumber, rawget, rawset, type = tonumber, rawget, rawset, type
local resume = coroutine.resume
local band = bit.band

--- How long handlers may go on holding a thread when the program has been told to end.
local PATIENCE = 2 -- seconds

--- A signal to us that comes so long after the one before, in nanoseconds, is a second one.
local AGAIN = 200000000

local M = {}

---@class luatrace.Session
local Session = {}
Session.__index = Session

--- What is done at which stop: of calls, of processes, and here of the run itself.
local stops = {}
for _, part in ipairs { calls, life } do
  for name, method in pairs(part.methods) do Session[name] = method end
  for what, serve in pairs(part.stops) do stops[what] = serve end
end

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
  -- Runs at the same time share one tracer (run/reactor.lua): wait4 would hand each the others' statuses.
  self.tracer = options.tracer or engine.open(engine_options)
  local function on_unwritten() self.tracer:note_unwritten() end
  for _, observer in ipairs(self.observers) do
    if observer.sink then observer.sink.on_unwritten = on_unwritten end
  end
  local resolved, unresolved = rules.resolve(registry)
  if not resolved then error(unresolved, 0) end
  for _, rule in ipairs(registry.rules or {}) do rule.decisions = options.decisions end
  options.features = options.features or self.tracer:features()
  self.plan = plan.build(registry, self.observers, options)
  self.tree = process_tree.new { keep = options.keep_tree, sees_all_fd_calls = self.plan.sees_all_fd_calls,
    on_refusal = function(process) self:tell_refusal(process) end }
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
  self.launched = true
  if mode == "seccomp" then self.filters = self.filters + 1 end
  self:tell_proc_trouble()
  self.notifies = started.notifies
  return true
end

--- Rules that cannot match, and values that are missing, look as if the program did nothing of the kind.
function Session:tell_proc_trouble()
  local trouble = sys.proc_trouble()
  if not trouble then return end
  self:notice("proc", trouble .. ": what descriptors are open on, relative paths and command lines cannot be told, " ..
    "and rules on them do not match (mount -t proc proc /proc, or unshare --mount-proc)")
end

--- Attaches to a running process.
---@return true|nil, string? message, string? errno
function Session:attach(pid)
  local tree, message, name = self.tracer:attach(pid, self.plan.engine_plan, self.options.no_follow)
  if not tree then return nil, message, name end
  self.root_pid, self.root_tree = pid, tree
  self.attached = true
  self:tell_proc_trouble()
  if self.registry.hide_vdso then
    self:notice("vdso", "the vDSO cannot be hidden from a process that runs already: it reads its clocks without calls")
  end
  return true
end

--- Tells the outputs that a process is ours from now on.
---@param pid integer
function Session:tell_attached(pid)
  local threads = self.options.no_follow and 1 or #(sys.list_dir(("/proc/%d/task"):format(pid)) or { 1 })
  for _, observer in ipairs(self.observers) do
    if observer.attached then observer:attached(pid, threads) end
  end
end

--- The kernel does not let us read a process's memory and descriptors. Said once for a program.
---@param process luatrace.Process
function Session:tell_refusal(process)
  local name = process.comm or "?"
  self:notice("refusal " .. name, ("the memory and descriptors of %s (pid %d) cannot be read (it is not dumpable, " ..
    "and luatrace lacks CAP_SYS_PTRACE): paths and buffers of its calls cannot be told, and rules on them do not match")
    :format(quote.path(name), process.pid))
end

--- Something that the user should know, said once each.
function Session:notice(key, text)
  self.notices = self.notices or {}
  if self.notices[key] or (self.options.quiet or 0) > 0 then return end
  self.notices[key] = text
  io.stderr:write("luatrace: ", text, "\n")
end

-- --- ends and errors ----------------------------------------------------------------------------------------------

--- An error in the script: said once, with where it was; then the program is killed or let go.
function Session:script_error(message, co)
  if self.failed then return end
  self.failed = true
  local trace = co and debug.traceback(co) or ""
  self.error_message = M.script_traceback(M.error_text(message, self.registry.environment), trace)
  self.exit_code = 125
  if self.options.on_error == "detach" or self.attached and detaching.attached(self) then
    self:let_everybody_go()
  else
    self:kill_all(9)
  end
end

--- What an error says, which may be anything; a global, or a method of an expectation, that is not there has perhaps a
-- neighbour.
---@param message any
---@param environment table|nil the script's
---@return string
function M.error_text(message, environment)
  if type(message) ~= "string" then
    local is_text = type(message) == "number" or (getmetatable(message) or {}).__tostring
    return is_text and tostring(message) or ("the script called error with a %s, not with a text"):format(type(message))
  end
  local name = message:match("attempt to %w+ global '([%w_]+)' %(a nil value%)")
  if name then return message .. filter.did_you_mean(name, require("luatrace.script").names(environment or {})) end
  -- A call says itself what it has not.
  name = message:match("attempt to call method '([%w_]+)' %(a nil value%)")
  return name and message .. filter.did_you_mean(name, require "luatrace.expect.calls") or message
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
  if self.attached and detaching.attached(self) then return end
  if signal ~= 2 and signal ~= 3 then
    -- SIGINT and SIGQUIT come from the terminal and have reached the program as well: it decides.
    self:kill_all(signal == 1 and 1 or 15)
    -- timeout(1) sends its signal twice at once: to us, and to our process group.
    local again = self.terminated and stop.time - self.terminated > AGAIN
    self.terminated = self.terminated or stop.time
    if again then self:kill_all(9) end
    self:kill_if_held(PATIENCE)
    self:wake_all()
  else
    self.keyboard = (self.keyboard or 0) + 1
    if self.keyboard >= 3 then self:kill_all(9) end
    self:wake_all()
  end
end

stops[kind.NONE] = function() end

--- Somebody wanted to look at a thread where it is: see stuck.lua.
stops[kind.PAUSED] = function(self, stop)
  if self.on_paused then self.on_paused(stop) end
  self.tracer:resume(tonumber(stop.id), false)
end

stops[kind.READY] = function(self) watched_fds.serve(self.tracer) end

--- Signals everybody in this run; where it has a program of its own, not those who were attached to.
function Session:kill_all(signal) self.tracer:kill(self.launched and self.root_tree or 0, signal) end

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
    if self.attached and detaching.attached(self) then return 0 end
    self:kill_all(9)
  end
  if deadline and (not due or deadline < due) then due = deadline end
  if not due then return -1 end
  return due > now and due - now or 0
end

--- Serves one stop.
function Session:serve(stop)
  local what = stop.kind
  if self.options.debug then require("luatrace.session.stop_log").note(self, stop) end
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
  if not self.launched then return end
  local name, step, message = self.tracer:launch_error(self.root_tree)
  if name and not self.root_started then
    self.launch_errno, self.launch_step, self.launch_message = name, step, message
    self.failed = true
  end
end

function Session:finish()
  self.tracer:end_at(nil) -- the time was for the program, not for reports of it
  local run = { calls = self.counts, time = (tonumber(sys.monotonic()) - self.started) / 1e9, processes = self.tree,
    timed_out = self.timed_out, seed = self.options.seed }
  if self.status then
    local low = band(self.status, 0x7f)
    if low == 0 then run.status = band(bit.rshift(self.status, 8), 0xff) else run.signal = low end
  end
  self.run = run
  self:ask_for_launch_failure()
  if not self.failed then
    self:notify(self.registry.at.finish, run)
    rules.finish(self.registry)
  end
  for i = 1, #self.observers do self.observers[i]:finish(run) end
  -- What mocks have open, also after an error.
  for _, clean_up in ipairs(self.registry.clean_up or {}) do clean_up() end
  if not self.options.tracer then self.tracer:close() end
  return run
end

return M
