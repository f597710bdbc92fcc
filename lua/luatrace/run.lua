--- A program run under a script, from its start to its end, with all that it printed and did: for tests.
--
--   local luatrace = require "luatrace"
--   local run = luatrace.run {
--     cmd = { "./store", "save", "key", "value" }, cwd = "/tmp/x", env = { HOME = "/tmp/x", LANG = false },
--     stdin = "some bytes", timeout = 10, record = "openat,write,fsync",
--     script = function(t)
--       t.on.fsync(function(call) call:fail "EIO" end)
--       t.never "rename"
--     end,
--   }
--   print(run.status, run.signal, run.stdout, run.stderr, run.duration, run.processes)
--   print(run.calls:where{ call = "write", path = "*.db" }:total "ret")
--
-- Expectations that the script states and that do not hold end `run` with an error that says which and why (with
-- `check = false` they are in run.failures instead). What is recorded is said by `record`: a set of calls, or { calls =
-- "...", max = 10000, bytes = 4096, stack = true }; nothing said, all calls of a run without a script, and none of one
-- with a script. Nothing else is trapped.
--
-- While a run is alive all children of this process are waited for: the status of one that was begun by io.popen may
-- be lost.
--
-- Several at once:
--
--   local a, b = luatrace.start { cmd = ... }, luatrace.start { cmd = ... }
--   a:wait()
--   luatrace.together(function() luatrace.run {...} end, function() luatrace.run {...} end)

local call_recorder = require "luatrace.run.call_recorder"
local capture = require "luatrace.run.capture"
local event = require "luatrace.event"
local expect = require "luatrace.expect"
local filter = require "luatrace.filter"
local reactor = require "luatrace.run.reactor"
local recorded_calls = require "luatrace.run.recorded_calls"
local recorded_processes = require "luatrace.run.recorded_processes"
local script = require "luatrace.script"
local session_module = require "luatrace.session"
local sys = require "luatrace.sys"

local misuse = event.misuse

local M = {}

---@class luatrace.RunOptions
---@field cmd string[]|string the program and its arguments; a string is for the shell
---@field cwd string?
---@field env table? { NAME = "value", OTHER = false }: changes to ours; a list of "NAME=value" is all there is
---@field stdin string|true|nil bytes; true: our own; nothing: /dev/null
---@field capture boolean? false: the program prints where we do
---@field merge boolean? stderr goes where stdout goes
---@field max_output integer? bytes of each stream that are kept (default 64 MiB)
---@field timeout number? seconds, then it is killed and run.timed_out is true
---@field script fun(t: table)? gets the environment of a script: t.on, t.at, t.expect, t.never, ...
---@field record string|table|false|nil what is in run.calls
---@field check boolean? false: expectations that do not hold are no error
---@field seed integer?
---@field trap "auto"|"notify"|"stop"|"ptrace"|nil
---@field hide_vdso boolean?
---@field daemons "wait"|"kill"|nil processes that outlive the program
---@field user string?

local known = { cmd = "table or string", cwd = "string", env = "table", stdin = "string or true", capture = "boolean",
  merge = "boolean", max_output = "number", timeout = "number", script = "function",
  record = "string or table or false",
  check = "boolean", seed = "number", trap = "string", hide_vdso = "boolean", daemons = "string", user = "string" }

local values = { trap = { auto = true, notify = true, stop = true, ptrace = true },
  daemons = { wait = true, kill = true } }

local function check_options(options)
  if type(options) ~= "table" then misuse('luatrace.run takes a table: luatrace.run { cmd = { "ls" } }') end
  for name, value in pairs(options) do
    local takes = known[name]
    if not takes then
      misuse(("luatrace.run: there is no option %s%s"):format(tostring(name),
        filter.did_you_mean(tostring(name), known, 1)))
    end
    local fits = takes:find(type(value), 1, true) or value == true and takes:find "true" or
      value == false and takes:find "false"
    if not fits or type(value) == "boolean" and takes:find "true" and value == false then
      misuse(("luatrace.run: %s takes a %s, not %s"):format(name, takes, tostring(value)))
    end
    local set = values[name]
    if set and not set[value] then misuse(("luatrace.run: %s = %q is not one of its values"):format(name, value)) end
  end
  local cmd = options.cmd
  if cmd == nil then misuse('luatrace.run: cmd is missing: { cmd = { "ls", "-l" } }') end
  if type(cmd) == "table" then
    if #cmd == 0 then misuse("luatrace.run: cmd is empty") end
    for i, word in ipairs(cmd) do
      if type(word) ~= "string" then misuse(("luatrace.run: cmd[%d] is a %s, not a string"):format(i, type(word))) end
    end
  end
end

--- Our environment with the changes, as "NAME=value" strings.
local function environment(env)
  if not env then return nil end
  if #env > 0 then return env end
  local list = {}
  for _, text in ipairs(sys.environ()) do
    if env[text:match("^([^=]*)=")] == nil then list[#list + 1] = text end
  end
  for name, value in pairs(env) do
    if value then list[#list + 1] = name .. "=" .. tostring(value) end
  end
  return list
end

--- What is recorded: { set of names, options }.
local function recording(options)
  local record = options.record
  if record == nil then record = options.script == nil and "all" or false end
  if record == false then return {}, {} end
  local settings = type(record) == "table" and record or { calls = record }
  local pattern = settings.calls or settings[1] or "all"
  local ok, message = filter.check(pattern)
  if not ok then misuse("luatrace.run: record: " .. message) end
  for name in pairs(settings) do
    if not ({ calls = true, max = true, bytes = true, stack = true })[name] and name ~= 1 then
      misuse(("luatrace.run: record has no %s: it takes calls, max, bytes, stack"):format(tostring(name)))
    end
  end
  return recorded_calls.names(pattern), settings, pattern
end

---@class luatrace.TestRun
---@field status integer|nil exit status
---@field signal integer|nil number of the signal that killed it
---@field timed_out boolean|nil
---@field stdout string
---@field stderr string
---@field truncated boolean|nil more was printed than is kept
---@field duration number seconds
---@field processes luatrace.RecordedProcess
---@field calls luatrace.RecordedCalls
---@field failures luatrace.ExpectationFailure[] expectations that did not hold
---@field seed integer
local Run = {}
Run.__index = Run

local tasks = setmetatable({}, { __mode = "k" }) -- coroutines of `together`

--- Waits until it is over; the others that were started go on meanwhile.
---@return luatrace.TestRun
function Run:wait()
  local task = coroutine.running()
  while not self.over do
    if task and tasks[task] then
      coroutine.yield(self)
    else
      if reactor.is_serving() then misuse("a handler cannot wait for another run: its own would stand still") end
      reactor.turn()
    end
  end
  if self.error_message and not self.told then
    self.told = true
    error(self.error_message, 0)
  end
  if self.wants_check and not self.told then
    self.told = true
    self:check()
  end
  return self
end

--- An error when an expectation that the script stated does not hold.
---@return luatrace.TestRun
function Run:check()
  if #self.failures > 0 then expect.raise(self.failures) end
  return self
end

--- run:expect("fsync"):at_least(1), run:never "connect", ...: expectations of what was recorded.
for _, name in ipairs(expect.verbs) do
  Run[name] = function(self, ...) return expect.about(self, name, ...) end
end

local launch_reasons = {
  seize = "tracing is not allowed here (a container without CAP_SYS_PTRACE, a seccomp policy, or a tracer around us)",
}

--- A command that cannot start is told with the line that asked for it.
local function cannot_start(where, program, message, step)
  return ("%s: cannot run %s: %s"):format(where, program.argv[1], launch_reasons[step] or
    step == "cwd" and ("%s: %s"):format(program.cwd, message) or message)
end

local function over(self, session, run, failure)
  self.over = true
  self.streams:finish()
  self.stdout, self.stderr, self.truncated = self.streams.stdout, self.streams.stderr, self.streams.truncated
  self.status, self.signal, self.timed_out, self.duration = run.status, run.signal, run.timed_out, run.time
  self.processes = self.recorder.processes.root
  self.calls = self.recorder.list
  self.calls.counts = session.counts
  local where = self.where
  if session.launch_errno then
    self.error_message = cannot_start(where, self.program, session.launch_message, session.launch_step)
    self.error_name = session.launch_errno
  elseif failure then
    self.error_message = failure
  elseif session.error_message then
    self.error_message = session.error_message
  else
    local expectations = self.registry.expectations or {}
    local ok, failures = pcall(expect.verdicts, expectations, self)
    if not ok then
      self.error_message = failures
      return
    end
    self.failures = failures
    -- What was promised of a program that never came to its end is not known.
    if self.timed_out and #expectations > 0 then
      table.insert(self.failures, 1, expect.failure { where = where, title = "luatrace.run", calls = {},
        message = ("the program was killed: it took longer than %g s"):format(session.options.timeout) })
    end
  end
end

--- Starts a program and returns at once; `wait` gives the run.
---@param options luatrace.RunOptions
---@return luatrace.TestRun
function M.start(options)
  check_options(options)
  expect.add_assertions()
  if reactor.is_serving() or session_module.busy then
    misuse("a handler cannot start a run: its own would stand still")
  end
  local where = expect.caller()
  local seed = options.seed or sys.random_seed()
  local registry, env = script.new { seed = seed, args = {} }
  if options.script then options.script(env) end
  local recorded, settings, pattern = recording(options)
  local recorder = call_recorder.new { recorded = recorded, max = settings.max, bytes = settings.bytes,
    stack = settings.stack, processes = recorded_processes.new() }
  expect.listen(recorder, registry.expectations or {})
  recorder.calls = expect.patterns(recorder, pattern)
  recorder.wants_exit = recorder.calls ~= nil

  local cmd = type(options.cmd) == "string" and { "sh", "-c", options.cmd } or options.cmd
  local file = sys.find_in_path(cmd[1])
  if not file then error(("%s: cannot run %s: not found in PATH"):format(where, cmd[1]), 0) end
  local program = { file = file, argv = cmd, cwd = options.cwd, env = environment(options.env), user = options.user }

  local ok, session = pcall(session_module.new, { registry = registry, observers = { recorder }, seed = seed,
    trap = options.trap, timeout = options.timeout, daemons = options.daemons, hide_vdso = options.hide_vdso,
    tracer = reactor.open() })
  if not ok then
    reactor.close_if_idle()
    error(session, 0)
  end
  local streams = capture.new { stdin = options.stdin, capture = options.capture, merge = options.merge,
    max = options.max_output or 64 * 1024 * 1024 }
  program.fds = streams.fds
  local self = setmetatable({ where = where, program = program, registry = registry, streams = streams, seed = seed,
    recorder = recorder, failures = {}, wants_check = options.check ~= false }, Run)
  local started, message, _, step = reactor.start(session, program,
    function(run, failure) over(self, session, run, failure) end)
  if not started then
    streams:finish()
    local text = cannot_start(where, program, message, step)
    if step == "seize" then
      expect.skip(text)
      error(expect.problem(text, "UNTRACEABLE"), 0)
    end
    error(text, 0)
  end
  streams:started(session.tracer)
  self.pid = session.root_pid
  return self
end

--- Runs a program to its end.
---@param options luatrace.RunOptions
---@return luatrace.TestRun
function M.run(options) return M.start(options):wait() end

--- Runs functions side by side, each in a coroutine: where one waits for its run, the others go on.
---@vararg fun(): any
---@return any ... what each returned, in order
function M.together(...)
  local functions, results, failure = { ... }, {}, nil
  local waiting = {}
  for i, fn in ipairs(functions) do
    if type(fn) ~= "function" then
      misuse(("luatrace.together: argument %d is a %s, not a function"):format(i, type(fn)))
    end
    local co = coroutine.create(fn)
    tasks[co] = true
    waiting[i] = { co = co, place = i }
  end
  while #waiting > 0 do
    for k = #waiting, 1, -1 do
      local task = waiting[k]
      if type(task.run) ~= "table" or task.run.over then
        local ok, result = coroutine.resume(task.co)
        if not ok then failure = failure or result end
        task.run = result
        if coroutine.status(task.co) == "dead" then
          results[task.place] = ok and result or nil
          table.remove(waiting, k)
        end
      end
    end
    if #waiting > 0 then reactor.turn() end
  end
  -- The others have ended as they would have: nothing is left behind.
  if failure then error(failure, 0) end
  return unpack(results, 1, #functions)
end

return M
