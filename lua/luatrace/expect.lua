--- Expectations: what a program must, may and must not ask of the kernel.
--
-- In a script, where they fail the run (exit 123, a report on standard error):
--
--   expect("fsync"):before("rename")
--   never("connect")
--   atomic_write "/tmp/x/settings"
--
-- In busted, inside of luatrace.run{ script = function(t) t.never("connect") end }, or about a recorded run:
-- run:expect("write", { path = "*.log" }):at_least(2):check(). One file of luatrace/expect each, named as the verb.

local expectation_module = require "luatrace.expect.expectation"

local M = {}

--- Where luatrace was called from: file:line.
M.caller = expectation_module.caller
M.describe, M.failure = expectation_module.describe, expectation_module.failure

--- All verbs; a script has each of them as a global.
M.verbs = require "luatrace.expect.verbs"

local known = {}
for _, verb in ipairs(M.verbs) do known[verb] = true end

local function new(verb, ...)
  return expectation_module.new(require("luatrace.expect." .. (verb == "expect" and "calls" or verb)), verb, ...)
end

-- --- in a script ----------------------------------------------------------------------------------------------------

--- The verb as a script's function: what it states belongs to the run.
local function stated(registry, verb)
  return function(...)
    local expectation = new(verb, ...)
    registry.expectations = registry.expectations or {}
    table.insert(registry.expectations, expectation)
    return expectation
  end
end

--- What a script gets for a verb's name. `expect` is a function, and has the others as fields: expect.golden(...).
---@param registry table of the script
---@param verb string
---@return any
function M.global(registry, verb)
  if verb ~= "expect" then return stated(registry, verb) end
  return setmetatable({}, {
    __call = function(_, ...) return stated(registry, "expect")(...) end,
    __index = function(_, name)
      if not known[name] then
        error(("there is no expect.%s: it has %s"):format(tostring(name), table.concat(M.verbs, ", ", 2)), 2)
      end
      return stated(registry, name)
    end,
  })
end

-- --- while the program runs -----------------------------------------------------------------------------------------

--- Lets the recorder tell the expectations of their calls.
---@param recorder luatrace.CallRecorder
---@param expectations luatrace.Expectation[]
function M.listen(recorder, expectations)
  recorder.told, recorder.reasons = {}, {}
  recorder.listeners = expectations
  for _, expectation in ipairs(expectations) do
    local reason = ("%s at %s"):format(expectation.title, expectation.where)
    for name in pairs(expectation.names) do
      local before = recorder.reasons[name]
      recorder.reasons[name] = before and before .. "; " .. reason or reason
    end
    for name in pairs(expectation.names) do
      recorder.told[name] = (recorder.told[name] == "stack" or expectation.stacks == "all") and "stack" or true
    end
  end
end

--- The set of calls to be trapped: what is recorded, and what expectations name.
---@return string|nil
function M.patterns(recorder, recorded)
  if recorded == "all" or recorded == "%all" then return "all" end
  local names = {}
  for _, set in ipairs { recorder.recorded, recorder.told } do
    for name in pairs(set) do names["?" .. name] = true end
  end
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  return #list > 0 and table.concat(list, ",") or nil
end

-- --- at the end -----------------------------------------------------------------------------------------------------

--- An expectation's verdict. Where it could know none of the calls that it is about, standard error is told why:
-- never(...) would hold without a word.
---@return luatrace.ExpectationFailure|nil failure, string|nil why_never
local function decide(expectation, run)
  local failure, why_never = expectation:verdict(run), expectation:why_never()
  if why_never then
    io.stderr:write(("luatrace: %s: %s has met no call: %s\n"):format(expectation.where, expectation.title, why_never))
  end
  return failure, why_never
end

--- The expectations that do not hold.
---@param expectations luatrace.Expectation[]
---@param run table status, signal, processes, ...
---@return luatrace.ExpectationFailure[]
function M.verdicts(expectations, run)
  local failures = {}
  for _, expectation in ipairs(expectations) do
    local failure, why_never = decide(expectation, run)
    if M.outcomes then
      table.insert(M.outcomes, { title = expectation.title, where = expectation.where, failure = failure,
        why_never = why_never })
    end
    if failure then failures[#failures + 1] = failure end
  end
  return failures
end

--- What became of every expectation that a script stated, for --report; nothing else asks.
---@type table[]|nil
M.outcomes = nil

local problem_meta = { __tostring = function(problem) return problem.message end }

--- An error that is no mistake of the script's: the command asks what kind it is.
---@param message string
---@param kind "EXPECT"|"UNTRACEABLE"
function M.problem(message, kind) return setmetatable({ message = message, trace = "", kind = kind }, problem_meta) end

--- An error that says what did not hold: in busted a failure of the test, on the command line exit code 123.
---@param failures luatrace.ExpectationFailure[]
function M.raise(failures)
  local text = M.report(failures)
  local busted = package.loaded["busted"]
  if type(busted) == "table" and type(busted.fail) == "function" then busted.fail(text, 0) end
  error(M.problem(text, "EXPECT"), 0)
end

-- --- on the command line --------------------------------------------------------------------------------------------

--- The observer that the expectations of a script need; nothing when it states none.
---@param registry table of the script
---@return luatrace.CallRecorder|nil
function M.observer(registry)
  if not registry.expectations then return nil end
  local recorder = require("luatrace.run.call_recorder").new { recorded = {},
    processes = require("luatrace.run.recorded_processes").new() }
  M.listen(recorder, registry.expectations)
  recorder.calls = M.patterns(recorder)
  recorder.name = "expectations"
  return recorder
end

--- The end of a run of the command: tells standard error what did not hold.
---@param registry table
---@param recorder luatrace.CallRecorder
---@param run table
---@return boolean failed
function M.conclude(registry, recorder, run)
  local failures = M.verdicts(registry.expectations, { status = run.status, signal = run.signal,
    timed_out = run.timed_out, processes = recorder.processes.root, calls = recorder.list, duration = run.time })
  if #failures == 0 then return false end
  io.stderr:write(M.report(failures), "\n", ("luatrace: %d of %d expectation%s failed\n"):format(#failures,
    #registry.expectations, #registry.expectations == 1 and "" or "s"))
  return true
end

--- All failures in words.
---@param failures luatrace.ExpectationFailure[]
---@return string
function M.report(failures)
  local parts = {}
  for i, failure in ipairs(failures) do parts[i] = expectation_module.describe(failure) end
  return table.concat(parts, "\n")
end

-- --- about a recorded run -------------------------------------------------------------------------------------------

--- Hands a recorded run's calls to an expectation, in the order of what happened.
local function replay(expectation, run)
  local moments = {}
  for i, record in ipairs(run.calls) do
    if expectation.names[record.name] then
      moments[#moments + 1] = { time = record.time, order = i, what = "entered", record = record }
      moments[#moments + 1] = { time = record.time + (record.duration or math.huge), order = i + 0.5, what = "returned",
        record = record }
    end
  end
  table.sort(moments, function(a, b)
    if a.time ~= b.time then return a.time < b.time end
    return a.order < b.order
  end)
  for _, moment in ipairs(moments) do
    local tell = expectation[moment.what]
    if tell then tell(expectation, moment.record) end
  end
  for node in run.processes:all() do
    if expectation.ended then expectation:ended(node) end
  end
end

--- What luatrace.run's `run` offers: an expectation that is decided when it is asked.
---@class luatrace.RecordedExpectation
local Recorded = {}

local recorded_meta = { __index = function(self, key)
  if Recorded[key] then return Recorded[key] end
  local method = self.expectation[key]
  if type(method) ~= "function" then return method end
  -- :at_least(2), :before("rename"): the chain goes on with us.
  return function(_, ...)
    method(self.expectation, ...)
    return self
  end
end, __tostring = function(self) return tostring(self.expectation) end }

--- nil when it holds.
---@return luatrace.ExpectationFailure|nil
function Recorded:outcome()
  if self.decided then return self.result end
  local recorded_calls = require "luatrace.run.recorded_calls"
  local expectation, run = self.expectation, self.run
  for _, pattern in ipairs(expectation.patterns) do
    recorded_calls.check_recorded(run.calls, pattern, recorded_calls.names(pattern), expectation.title)
  end
  if run.calls.dropped > 0 then
    expectation:misuse(("%s cannot be decided: %d calls were not kept (record = { calls = ..., max = N } keeps more)")
      :format(expectation.title, run.calls.dropped))
  end
  replay(expectation, run)
  self.decided, self.result = true, decide(expectation, run)
  return self.result
end

--- An error when it does not hold.
function Recorded:check()
  local failure = self:outcome()
  if failure then M.raise { failure } end
  return self
end

--- An expectation about a run that is over.
---@param run luatrace.TestRun
---@param verb string
---@return luatrace.RecordedExpectation
function M.about(run, verb, ...)
  local expectation = new(verb, ...)
  if expectation.live then
    expectation:misuse(("%s looks at the program while it runs: state it in the run's script, as t.%s(...)"):format(
      verb, verb))
  end
  return setmetatable({ expectation = expectation, run = run }, recorded_meta)
end

-- --- busted -------------------------------------------------------------------------------------------------------

--- Under busted, where this machine does not let us trace, a test is not failed but skipped, with the reason.
---@param reason string
function M.skip(reason)
  local _, level = M.caller()
  local ok, environment = pcall(getfenv, level + 1)
  local pending = ok and environment.pending
  if package.loaded["busted"] and type(pending) == "function" then pending(reason) end
end

--- luassert's assertions: assert.holds(x), assert.does_not.hold(x), where x is a run (all that its script stated) or
-- run:expect(...), run:never(...) and so on.
function M.add_assertions()
  local luassert = package.loaded["luassert"]
  if type(luassert) ~= "table" or M.luassert == luassert then return end
  M.luassert = luassert
  local function holds(state, arguments)
    local subject = arguments[1]
    if type(subject) ~= "table" or not (subject.outcome or subject.failures) then
      error("assert.holds takes a run, or an expectation such as run:expect(\"fsync\")", 2)
    end
    local failures = subject.failures
    if not failures then
      local failure = subject:outcome()
      failures = failure and { failure } or {}
    end
    if #failures > 0 then
      state.failure_message = M.report(failures)
      return false
    end
    local expectation = subject.expectation
    state.failure_message = expectation and ("%s: %s: it holds"):format(expectation.where, expectation.title) or
      "all expectations of the run hold"
    return true
  end
  for _, name in ipairs { "holds", "hold" } do
    luassert:register("assertion", name, holds, "assertion.luatrace.holds", "assertion.luatrace.does_not_hold")
  end
end

return M
