--- Power loss as one of a sweep's faults: powerloss.lua's states and findings in the terms of the sweep's report.
--
--   local outcome, message = outage.run(sweep, "ext4")     -- outcome.family, counts, findings, runs, warnings

local fixture = require "luatrace.sweep.fixture"
local powerloss = require "luatrace.sweep.powerloss"
local script = require "luatrace.script"
local processes = require "luatrace.sys.processes"

local M = {}

--- A Lua checker gets what it gets after any other run, as far as a dead machine can tell.
local function adapted(sweep)
  local setting, clean = sweep.setting, sweep.clean
  local check = setting.check
  if not check then return nil end
  if check.command then return check.command end
  local before = setting.image.state
  return function(view)
    local exit = view.announced.exit
    return check.fn { dir = view.directory, powerloss = true, announced = view.announced, run = view.run,
      status = exit, success = exit == clean.status, stdout = view.announced.stdout, stderr = view.announced.stderr,
      files = fixture.snapshot(view.directory), before = before }
  end
end

local function words(setting)
  local command = { unpack(setting.command) }
  if command[1]:find("/", 1, true) then command[1] = setting.program.file end
  return command
end

--- The code that makes a state again, to look at.
local function code_of(sweep, model, finding)
  local list = {}
  for i, word in ipairs(words(sweep.setting)) do list[i] = ("%q"):format(word) end
  local from = sweep.setting.fixture
  return ([[
local record = assert(powerloss.record { cmd = { %s }%s })
assert(powerloss.write(record, { model = %q, state = %q, directory = "crashed" }))
record:close()
print "what the power loss left is in ./crashed"
]]):format(table.concat(list, ", "), from and (", fixture = %q"):format(from) or "", model, finding.state.name)
end

local function finding_of(sweep, model, found)
  local item = found.state.space and found.message
  local details = { { path = "<check>", what = "check", now = item } }
  if not sweep.setting.check then details[1] = { what = "rule", now = item } end
  return { verdict = "DESTROYED", call = "powerloss", family = "powerloss=" .. model, fault = model,
    title = found.title, frames = found.lines, details = details,
    ending = ("state %s under %s"):format(found.state.name, model),
    runs = found.count, confirmed = found.runs, stderr = found.output, ids = { "powerloss:" .. found.state.name },
    code = code_of(sweep, model, found) }
end

--- Who says mark(text): a function, or a file with handlers.
local function marker(given)
  if type(given) ~= "string" then return given end
  return function(environment, mark)
    environment.mark = mark
    local ok, message = script.run({ file = given }, environment)
    if not ok then error(message, 0) end
  end
end

--- Records the command and checks what power losses may leave of it.
---@param sweep luatrace.Sweep after its runs
---@param model "posix"|"ext4"|"btrfs"
---@param on_progress fun(done: integer, failed: integer)|nil
---@return table|nil outcome, string? message
function M.run(sweep, model, on_progress)
  local setting = sweep.setting
  -- The program must not inherit that we read our signals from a descriptor.
  processes.unblock_signals()
  local called, record, message = pcall(powerloss.record, { cmd = words(setting), fixture = setting.fixture,
    stdin = setting.program.stdin, script = marker(setting.script), timeout = math.max(60, sweep.timeout) })
  if sweep.interrupt then processes.block_signals() end
  if not called then return nil, tostring(record) end
  if not record then return nil, message end
  if #record.outside > 0 then
    record:close()
    return nil, ("%s writes outside the fixture: %s"):format(setting.command[1], table.concat(record.outside, ", "))
  end
  local budget = setting.budget
  local report
  report, message = powerloss.check(record, { model = model, check = adapted(sweep), jobs = sweep.workers,
    budget = next(budget) and { states = budget.runs, seconds = budget.seconds } or nil,
    env = { LUATRACE_STATUS = "", LUATRACE_SUCCESS = "0", LUATRACE_POWERLOSS = model }, progress = on_progress,
    stop = function()
      sweep:look_for_signal()
      return sweep.interrupted
    end })
  record:close()
  if not report then return nil, message end
  local family = "powerloss=" .. model
  local outcome = { family = family, states = report.states, complete = report.exhausted, stopped = report.stopped,
    counts = { tolerated = report.states - report.failed, DESTROYED = report.failed > 0 and report.failed or nil },
    findings = {}, warnings = {}, runs = {} }
  if report.states == report.failed then outcome.counts.tolerated = nil end
  -- For lists of runs: one for all that is well, one a cause.
  outcome.runs[1] = { id = "powerloss", verdict = "tolerated", call = "powerloss", family = family,
    fault = ("%d of %d states are good"):format(report.states - report.failed, report.states) }
  for i, found in ipairs(report.findings) do
    local finding = finding_of(sweep, model, found)
    outcome.findings[i] = finding
    outcome.runs[i + 1] = { id = finding.ids[1], verdict = finding.verdict, call = "powerloss", family = family,
      fault = found.title }
  end
  for _, text in ipairs(report.unseen) do outcome.warnings[#outcome.warnings + 1] = "power loss: " .. text end
  if not report.exhausted and not report.stopped then
    outcome.warnings[#outcome.warnings + 1] = ("power loss: %d states checked, there are more (--budget)"):format(
      report.states)
  end
  return outcome
end

return M
