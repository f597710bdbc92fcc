--- Power loss: what a crash of the machine may leave of a program's files, and whether that can be lived with.
--
--   local powerloss = require "luatrace.sweep.powerloss"
--   local record = assert(powerloss.record { cmd = { "sqlite3", "t.db", "delete from t" }, fixture = "dir" })
--   local report = assert(powerloss.check(record, { model = "ext4", budget = 500,
--     check = "test \"$(sqlite3 t.db 'pragma integrity_check')\" = ok" }))
--   for _, finding in ipairs(report.findings) do print(finding.title, finding.message) end
--   record:close()
--
-- `record` runs the command once, in a private copy of the fixture, and notes every call that changes files, with its
-- data, and everything that the program told the world (powerloss/write_log.lua). `states` turns that into the
-- directories that a power loss at any moment may leave, by the rules of a file-system model (crash_models.lua: posix,
-- ext4, btrfs), the likeliest first, each once (crash_states.lua). `check` makes each of them real and asks a checker.
--
-- A checker is a command (a list of words, or a text for sh) or a Lua function. The command runs in the state's
-- directory, several at a time; status 0 says that all is well. What the program had announced before the power went
-- is a promise that must be kept, so the checker gets it:
--
--   LUATRACE_ANNOUNCED          a file with what was written to standard output
--   LUATRACE_ANNOUNCED_STDERR   a file with what was written to standard error
--   LUATRACE_ANNOUNCED_SOCKET   a file with what was sent through sockets
--   LUATRACE_ANNOUNCED_MARKS    a file with the texts of mark(), one a line
--   LUATRACE_ANNOUNCED_EXIT     the program's exit status, when it had ended; else empty
--   LUATRACE_FIXTURE            the fixture as it was before the program (do not change it)
--   LUATRACE_STATE              the state's name
--
-- The function gets { directory, name, announced = { stdout, stderr, socket, marks, exit }, run } and returns true, or
-- false and a message; `run(words or text)` runs a command there and returns its status and output. Both may change the
-- directory, as a recovery does. Without a checker one rule is applied: every file of the fixture has its old content
-- or its new one (or is gone, when the program's work was to remove it).

local crash_explain = require "luatrace.sweep.powerloss.crash_explain"
local crash_models = require "luatrace.sweep.powerloss.crash_models"
local crash_states = require "luatrace.sweep.powerloss.crash_states"
local files = require "luatrace.sys.files"
local spawn = require "luatrace.sys.spawn"
local state_dir = require "luatrace.sweep.powerloss.state_dir"
local sys = require "luatrace.sys"
local write_record = require "luatrace.sweep.powerloss.write_record"

local M = {}

M.models = crash_models.models

--- Records one run of a command. See write_record.lua for the options.
---@param options { cmd: string[], fixture: string?, cwd: string?, env: table?, stdin: string?, stacks: boolean?,
--  timeout: number?, temporary: string?, script: fun(environment: table, mark: fun(text: string))? }
---@return luatrace.WriteRecord|nil record, string? message, string? errno
function M.record(options) return write_record.run(options) end

local function known_model(model, what)
  for _, name in ipairs(M.models) do
    if name == model then return model end
  end
  error(("%s: there is no file-system model %q: it takes %s"):format(what, tostring(model),
    table.concat(M.models, ", ")), 3)
end

--- The states, likeliest first, each once.
---@param record luatrace.WriteRecord
---@param options luatrace.StateOptions|nil
---@return fun(): luatrace.CrashState|nil
function M.states(record, options)
  options = options or {}
  known_model(options.model or "posix", "powerloss.states")
  return (crash_states.each(record, options))
end

-- --- one state on disk ----------------------------------------------------------------------------------------------

---@class luatrace.Slot a directory in which states are checked, one after the other
local Slot = {}
Slot.__index = Slot

local function new_slot(record, space, number)
  local base = ("%s/slot%d"):format(record.workspace, number)
  local ok, message, name = files.mkdir(base, 448)
  if not ok then return nil, message, name end
  local place
  place, message, name = state_dir.new(space.disk, base .. "/state")
  if not place then return nil, message, name end
  local output
  output, message, name = files.open(base .. "/output", files.O_RDWR + files.O_CREAT + files.O_APPEND)
  if not output then return nil, message, name end
  files.mkdir(base .. "/tmp", 448)
  return setmetatable({ base = base, place = place, output = output, directory = base .. "/state", told = {} }, Slot)
end

local streams = { stdout = "announced", stderr = "announced_stderr", socket = "announced_socket",
  marks = "announced_marks" }

--- The files that tell what had been announced, written when they change.
function Slot:announce(announced)
  for stream, file in pairs(streams) do
    local text = announced[stream]
    if stream == "marks" then text = #text > 0 and table.concat(text, "\n") .. "\n" or "" end
    if self.told[stream] ~= text then
      assert(files.write_file(("%s/%s"):format(self.base, file), text))
      self.told[stream] = text
    end
  end
end

function Slot:environment(state, announced, extra)
  local base = self.base
  local changes = { LUATRACE_ANNOUNCED = base .. "/announced", LUATRACE_ANNOUNCED_STDERR = base .. "/announced_stderr",
    LUATRACE_ANNOUNCED_SOCKET = base .. "/announced_socket", LUATRACE_ANNOUNCED_MARKS = base .. "/announced_marks",
    LUATRACE_ANNOUNCED_EXIT = announced.exit and tostring(announced.exit) or "", LUATRACE_STATE = state.name,
    LUATRACE_FIXTURE = state.space.record.fixture, HOME = self.directory, PWD = self.directory,
    TMPDIR = base .. "/tmp" }
  for name, value in pairs(extra or {}) do changes[name] = value end
  return write_record.with_environment(self.own_environment or sys.environ(), changes)
end

function Slot:take_output()
  local text = files.pread(self.output, 65536, 0) or ""
  if text ~= "" then files.ftruncate(self.output, 0) end
  return text
end

local function words_of(check) return type(check) == "string" and { "sh", "-c", check } or check end

--- Starts the checker on a state.
function Slot:start(state, options)
  self.place:become(state.tree)
  local announced = state:announced()
  self:announce(announced)
  self.state, self.started = state, sys.monotonic()
  local child, message, name = spawn.start { argv = words_of(options.check), cwd = self.directory,
    env = self:environment(state, announced, options.env), output = self.output }
  if not child then return nil, message, name end
  self.child = child
  return true
end

--- The verdict of a checker that has ended (or was ended): nil when all is well.
function Slot:verdict(timed_out, timeout)
  local child, state = self.child, self.state
  self.child, self.state = nil, nil
  spawn.kill(child)
  self.place:look_over()
  local output = self:take_output()
  if not timed_out and child.status == 0 then return nil end
  local why = timed_out and ("the checker did not end within %g seconds"):format(timeout) or
    child.signal and ("the checker was killed by signal %d"):format(child.signal) or
    ("the checker ended with status %d"):format(child.status)
  local last = output:gsub("%s+$", ""):match("[^\n]*$")
  return { state = state, status = child.status, signal = child.signal, output = output,
    message = last ~= "" and ("%s: %s"):format(why, last) or why }
end

--- A Lua function as the checker.
function Slot:ask(state, options)
  self.place:become(state.tree)
  local announced = state:announced()
  local view = { directory = self.directory, name = state.name, announced = announced, state = state }
  view.run = function(command)
    self:announce(announced)
    local child, message = spawn.start { argv = words_of(command), cwd = self.directory,
      env = self:environment(state, announced, options.env), output = self.output }
    if not child then error(message, 2) end
    local ended = spawn.wait({ child }, options.timeout)
    spawn.kill(child)
    local output = self:take_output()
    if not ended then return nil, ("%s did not end within %g seconds"):format(words_of(command)[1], options.timeout) end
    return child.status or 128 + child.signal, output
  end
  local ok, message = options.check(view)
  self.place:look_over()
  if ok then return nil end
  return { state = state, message = tostring(message or "the checker said no"), output = "" }
end

function Slot:close()
  if self.child then spawn.kill(self.child) end
  files.close(self.output)
  files.remove_tree(self.base)
end

-- --- without a checker ----------------------------------------------------------------------------------------------

--- What each file of the fixture is in a tree: a key, or false when it is gone.
local function fixture_keys(space, tree)
  local keys = {}
  for _, node in ipairs(space.record.log.nodes) do
    if node.base and node.kind == "file" then keys[node.base] = false end
  end
  space.disk:each(tree, function(path, node, file)
    if keys[path] ~= nil and node.kind == "file" then
      -- By content: who wrote it does not matter.
      keys[path] = space.disk:content(node, file)
    end
  end)
  return keys
end

--- Every file that was there is old or new.
local function old_or_new(space)
  local disk = space.disk
  local old = fixture_keys(space, disk:apply(0))
  local new = fixture_keys(space, disk:apply(#space.effects))
  local paths = {}
  for path in pairs(old) do
    if old[path] ~= new[path] then paths[#paths + 1] = path end
  end
  table.sort(paths)
  return function(state)
    local now = fixture_keys(space, state.tree)
    for _, path in ipairs(paths) do
      local content = now[path]
      if content ~= old[path] and content ~= new[path] then
        local what = not content and "is gone" or content == "" and "is empty" or
          not content:find("[^%z]") and "is all zeros" or "is neither its old self nor its new one"
        return { state = state, message = ("%s %s"):format(path, what), output = "", destroyed = path }
      end
    end
  end
end

-- --- check ----------------------------------------------------------------------------------------------------------

---@class luatrace.PowerLossFinding
---@field title string one line
---@field lines string[] what is on the disk, what is not, and who wrote it
---@field message string what the checker said
---@field output string all that it said
---@field status integer|nil of the checker
---@field state luatrace.CrashState
---@field count integer so many states fail for a like cause
---@field runs string "3/3": it failed so often of so many times

---@class luatrace.PowerLossReport
---@field model string
---@field states integer checked
---@field candidates integer looked at: many wishes are one state
---@field exhausted boolean there are no other states
---@field failed integer states that the checker refused
---@field findings luatrace.PowerLossFinding[] one a cause, fewest missing calls first
---@field seconds number
---@field unseen string[] what the record cannot show

local function cpus()
  local allowed = (sys.read_file("/proc/self/status") or ""):match("Cpus_allowed_list:%s*(%S+)") or "0"
  local count = 0
  for from, to in allowed:gmatch("(%d+)%-?(%d*)") do
    count = count + 1 + (to ~= "" and tonumber(to) - tonumber(from) or 0)
  end
  return math.max(1, count)
end

--- Runs a command checker over states, as many at a time as there are slots.
local function run_all(source, slots, options, tally)
  local failures = {}
  local idle, busy = {}, {}
  for _, slot in ipairs(slots) do idle[#idle + 1] = slot end
  local function collect(slot, timed_out)
    for i = #busy, 1, -1 do
      if busy[i] == slot then table.remove(busy, i) end
    end
    idle[#idle + 1] = slot
    local failure = slot:verdict(timed_out, options.timeout)
    if failure then
      failures[#failures + 1] = failure
      if options.on_failure then options.on_failure(failure) end
    end
    tally()
  end
  local function wait()
    local children, first = {}, math.huge
    for i, slot in ipairs(busy) do
      children[i] = slot.child
      first = math.min(first, slot.started)
    end
    local left = options.timeout - (sys.monotonic() - first) / 1e9
    local ended = spawn.wait(children, math.max(left, 0.001))
    for _, slot in ipairs(busy) do
      if slot.child == ended then return collect(slot) end
    end
    for _, slot in ipairs(busy) do
      if slot.started == first then return collect(slot, true) end
    end
  end
  while true do
    while #idle == 0 do wait() end
    local state = source()
    if not state then break end
    local slot = table.remove(idle)
    local ok, message, name = slot:start(state, options)
    if not ok then return nil, message, name end
    busy[#busy + 1] = slot
  end
  while #busy > 0 do wait() end
  return failures
end

--- Runs a Lua function (or the built-in rule, which needs no files) over states.
local function ask_all(source, ask, options, tally)
  local failures = {}
  for state in source do
    local failure = ask(state)
    if failure then
      failures[#failures + 1] = failure
      if options.on_failure then options.on_failure(failure) end
    end
    tally()
  end
  return failures
end

local function once(state)
  return function()
    local given = state
    state = nil
    return given
  end
end

local function nothing() end

--- The directories in which states are checked: none for the built-in rule, one for a function, else as many as run at
-- a time.
---@return luatrace.Slot[]|nil slots, string? message, string? errno
local function new_slots(record, space, options)
  local slots, check, own = {}, options.check, sys.environ()
  for i = 1, check == nil and 0 or type(check) == "function" and 1 or options.jobs or cpus() do
    local slot, message, name = new_slot(record, space, i)
    if not slot then
      for _, made in ipairs(slots) do made:close() end
      return nil, ("cannot make a directory for states: %s"):format(message), name
    end
    slot.own_environment = own
    slots[i] = slot
  end
  return slots
end

--- What checks states, however it does that.
---@return fun(source: function, options: table, tally: function): table[]|nil, string?, string? over
-- gives the failures, or nil, why the checker cannot run, and the errno
local function checker_over(space, slots, check)
  if check == nil then
    local rule = old_or_new(space)
    return function(source, options, tally) return ask_all(source, rule, options, tally) end
  elseif type(check) == "function" then
    return function(source, options, tally)
      return ask_all(source, function(state) return slots[1]:ask(state, options) end, options, tally)
    end
  end
  return function(source, options, tally)
    local failures, message, name = run_all(source, slots, options, tally)
    if not failures then return nil, ("cannot run the checker: %s"):format(message), name end
    return failures
  end
end

--- A checker that fails on what a run without a crash leaves says nothing of crashes.
---@return true|nil, string? message, string? errno
local function try_checker(record, space, over, quiet)
  local whole = crash_states.find(space, tostring(#record.ops))
  local failures, message, name = over(once(whole), quiet, nothing)
  if not failures then return nil, message, name end
  if #failures > 0 then
    return nil, ("the checker fails on what a run without a crash leaves: %s"):format(failures[1].message), "ECANCELED"
  end
  return true
end

--- Checks the source's states until there are no more or the caller stops it, and tells the caller of it.
---@return table[]|nil failures, string? message, string? errno
local function check_states(source, over, options, report)
  local done, failed = 0, 0
  local function next_state()
    if options.stop and options.stop() then
      report.stopped = true
      return nil
    end
    return source()
  end
  local function tally()
    done = done + 1
    if options.progress then options.progress(done, failed) end
  end
  local counting = setmetatable({ on_failure = function(failure)
    failed = failed + 1
    if options.on_failure then options.on_failure(failure) end
  end }, { __index = options })
  local failures, message, name = over(next_state, counting, tally)
  report.states = done
  return failures, message, name
end

--- Asks twice more about each finding: "3/3" says that it failed every time.
local function count_runs(findings, over, quiet)
  for _, finding in ipairs(findings) do
    local again = 1
    for _ = 1, 2 do
      local result = over(once(finding.state), quiet, nothing)
      again = again + (result and #result or 0)
    end
    finding.runs = again .. "/3"
  end
end

--- The report of a record, but for the time that it took.
---@return luatrace.PowerLossReport|nil report, string? message, string? errno
local function judge(record, source, space, over, options)
  local quiet = setmetatable({ on_failure = false }, { __index = options })
  local ok, message, name = try_checker(record, space, over, quiet)
  if not ok then return nil, message, name end
  local report = { unseen = record.unseen, outside = record.outside }
  local failures
  failures, message, name = check_states(source, over, options, report)
  if not failures then return nil, message, name end
  report.candidates, report.exhausted = space.candidates, space.exhausted
  report.failed, report.findings = #failures, crash_explain.group(failures)
  count_runs(report.findings, over, quiet)
  return report
end

--- Checks the states of a record. Before that, the checker is tried on what a run without a crash leaves.
---@param record luatrace.WriteRecord
---@param options table model ("posix"), budget (1000 states, or { states =, seconds = }), check (command or function),
--  jobs (processors), timeout (seconds of one check, default 30), env (name -> value, for the checker),
--  progress = function(done, failed), on_failure = function(failure), stop = function() -> boolean
---@return luatrace.PowerLossReport|nil report, string? message, string? errno
function M.check(record, options)
  options = setmetatable({ timeout = options.timeout or 30 }, { __index = options })
  local model = known_model(options.model or "posix", "powerloss.check")
  local check = options.check
  if check ~= nil and type(check) ~= "string" and type(check) ~= "function" and type(check) ~= "table" then
    error("powerloss.check: check takes a command (a list of words, or a text for sh) or a function", 2)
  end
  local began = sys.monotonic()
  local source, space = crash_states.each(record, { model = model, budget = options.budget or 1000 })
  local report
  local slots, message, name = new_slots(record, space, options)
  if slots then
    report, message, name = judge(record, source, space, checker_over(space, slots, check), options)
    if report then report.model, report.seconds = model, (sys.monotonic() - began) / 1e9 end
    for _, slot in ipairs(slots) do slot:close() end
  end
  space.disk:close()
  if not report then return nil, message, name end
  return report
end

--- Makes a state in a directory, to look at it: "12-without-7" of a record under a model.
---@param record luatrace.WriteRecord
---@param options { model: string?, state: string|luatrace.CrashState, directory: string }
---@return true|nil, string? message, string? errno
function M.write(record, options)
  local state = options.state
  if type(state) == "string" then
    local model = known_model(options.model or "posix", "powerloss.write")
    state = crash_states.find(crash_states.space(record, model), state)
    if not state then
      return nil, ("there is no state %q of this run under %s"):format(options.state, model), "ENOENT"
    end
  end
  if files.lstat(options.directory) then return nil, options.directory .. " exists already", "EEXIST" end
  local place, message, name = state_dir.new(state.space.disk, options.directory)
  if not place then return nil, message, name end
  place:become(state.tree)
  return true
end

return M
