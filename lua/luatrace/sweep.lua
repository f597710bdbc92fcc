--- luatrace sweep: gives a command every failure that could happen to it, one a run, and finds those that make it lose
-- data, hang, crash or lie about success.
--
--   local sweep = require "luatrace.sweep"
--   local report, message = sweep.run { "sort", "-o", "f", "f", fixture = "spec/data", faults = "disk" }
--   for _, finding in ipairs(report.findings) do print(finding.verdict, finding.title, finding.script) end
--
-- How: two clean runs, one with all its calls and their stacks (record.lua); from them a plan, the likely bugs first
-- (points.lua, faults.lua); each run in a private copy of the fixture, by forked workers on all processors (worker.lua,
-- room.lua, runner.lua, inject.lua); each outcome judged against the clean runs (verdict.lua, checker.lua); each
-- finding run again and written as a script (confirm.lua, reproduce.lua); reports (report/).

local bit = require "bit"
local confirm = require "luatrace.sweep.confirm"
local faults = require "luatrace.sweep.faults"
local files = require "luatrace.sys.files"
local journal = require "luatrace.sweep.journal"
local outage = require "luatrace.sweep.outage"
local points = require "luatrace.sweep.points"
local processes = require "luatrace.sys.processes"
local second = require "luatrace.sweep.second"
local setting_module = require "luatrace.sweep.setting"
local sys = require "luatrace.sys"
local verdict = require "luatrace.sweep.verdict"
local worker_module = require "luatrace.sweep.worker"

local M = {}

--- A clean run that takes longer than this does not end.
local CLEAN_LIMIT = 60

---@class luatrace.SweepOptions
---@field [integer] string the command
---@field fixture string|nil directory that each run gets a copy of, and runs in
---@field faults string|nil families and CALL=ERRNO, with commas; default all
---@field check string|fun(state: table): boolean, string|nil
---@field ignore string[]|nil globs of files that are not judged
---@field jobs integer|nil default: a worker a processor
---@field timeout number|nil seconds; default ten times the clean run
---@field budget string|nil "200" runs or "30s"
---@field depth integer|nil 2: a second fault around the code that handled the first
---@field shard string|nil "K/N"
---@field resume boolean|nil
---@field output string|nil directory of scripts and the journal
---@field yes boolean|nil copy a huge fixture
---@field plain boolean|nil no namespaces, even where they are allowed
---@field stdin string|nil file
---@field script string|fun(script: table, mark: fun(text: string))|nil for powerloss: who says mark(text)
---@field on_progress fun(state: table)|nil
---@field interrupt integer|nil descriptor that can be read when the sweep shall end

--- Which shard a run belongs to: by its name, so that all machines agree.
local function shard_of(id, count)
  local hash = 0
  for i = 1, #id do hash = (bit.bxor(hash, id:byte(i)) * 16777619) % 4294967296 end
  return hash % count + 1
end

--- Where rooms are made: not in /tmp, so that runs may have a /tmp of their own.
local function make_base()
  local name = "luatrace-sweep-"
  return files.make_temporary("/var/tmp", name) or files.make_temporary(os.getenv("TMPDIR") or "/tmp", name)
end

local function ending(run)
  if run.signal then return ("signal %d"):format(run.signal) end
  return ("status %s"):format(tostring(run.status))
end

--- A file that the command names as seen from here, where it does not run: told, since its own message tells of a file
-- that is there.
local function missing_file(setting)
  for i = 2, #setting.command do
    local word = setting.command[i]
    local is_here = word:find("^[^/-]") and sys.file_kind(word)
    if is_here and not (setting.fixture and sys.file_kind(setting.fixture .. "/" .. word)) then
      return ("\n(%s is here, but runs start in %s: name its whole path, or make it part of --fixture=DIR)"):format(
        word, setting.fixture and "a copy of the fixture" or "an empty directory")
    end
  end
  return ""
end

--- What the clean runs say against a sweep.
local function objections(clean, setting)
  local name = setting.command[1]
  if clean.error then return clean.error end
  if clean.timed_out then
    return ("%s did not end within %g s in a clean run: a sweep needs a command that ends"):format(name, setting.limit)
  end
  if clean.outside and #clean.outside > 0 then
    return ("%s writes outside the fixture: %s (runs may write into the fixture, HOME and TMPDIR only)"):format(name,
      table.concat(clean.outside, ", "))
  end
  if clean.signal then
    return ("%s was killed by signal %d in a clean run%s"):format(name, clean.signal,
      clean.stderr ~= "" and ": " .. clean.stderr or "")
  end
  if clean.status ~= 0 and not setting.expects_failure then
    return ("%s ended with status %d in a clean run, without any fault (--expect-failure if that is meant)%s%s"):format(
      name, clean.status, clean.stderr ~= "" and ":\n" .. clean.stderr:gsub("\n$", "") or "", missing_file(setting))
  end
  local again = clean.again
  if again and (again.status ~= clean.status or again.signal ~= clean.signal) then
    return ("two clean runs of %s ended differently: %s and %s"):format(name, ending(clean), ending(again))
  end
  if clean.check and not clean.check.ok then
    return ("the checker finds fault with a clean run: %s"):format(clean.check.text)
  end
end

local function warnings(clean)
  local list = {}
  if #clean.unjudged > 0 then
    list[#list + 1] = ("clean runs differ in %s%s: not judged"):format(table.concat(clean.unjudged, ", ", 1,
      math.min(6, #clean.unjudged)), #clean.unjudged > 6 and (" and %d more"):format(#clean.unjudged - 6) or "")
  end
  if clean.names_vary then list[#list + 1] = "new files have other names in each run: only what was there is judged" end
  if clean.shared then
    list[#list + 1] = ("%s is written through a shared mapping: such writes are not seen"):format(clean.shared)
  end
  if clean.uses_rings then list[#list + 1] = "the program uses io_uring: what goes through it is not seen" end
  return list
end

local function now() return tonumber(sys.monotonic()) / 1e9 end

--- The time of day: when its second changes, programs write other things.
local function clock() return tonumber(sys.realtime()) / 1e9 end

--- One sweep from here on.
---@class luatrace.Sweep
local Sweep = {}
Sweep.__index = Sweep

--- The job that tells a worker what is not judged.
---@param paths string[]
function Sweep:judgement(paths)
  return { kind = "judge", unjudged = paths, names_vary = self.clean.names_vary, timeout = self.timeout }
end

--- The clean runs, by all workers; the first one's have the calls.
function Sweep:start(options)
  local setting = self.setting
  local count = options.jobs or processes.processors()
  self.pool = worker_module.pool(setting, count)
  local limit = options.timeout and math.max(options.timeout, 1) or CLEAN_LIMIT
  -- One alone: only it says whether all may start.
  setting.limit = limit
  self.pool:send(self.pool.workers[1], { kind = "start", record = true, timeout = limit })
  local clean = self:next()
  if not clean then return nil, "interrupted" end
  local message = objections(clean, setting)
  if message then return nil, message end
  self.clean, self.clean_second = clean, math.floor(clock())
  self.timeout = options.timeout or math.max(1, 10 * clean.seconds)
  self.pool.renewal = function() return { { kind = "start", timeout = limit }, self:judgement(clean.unjudged) } end
  for number, worker in pairs(self.pool.workers) do
    if number ~= 1 then self.pool:send(worker, { kind = "start", timeout = limit }) end
  end
  for _ = 2, count do
    local answer, worker = self:next()
    if not answer then return nil, "interrupted" end
    -- Who has taken the place of a dead one starts by himself.
    if answer.error and not (answer.died and worker) then return nil, answer.error end
  end
  self.pool:ask_all(self:judgement(clean.unjudged))
  for _, event in ipairs(clean.events) do event.frames = clean.sites[event.site] end
  self.plan = points.plan(clean.events, setting.choice)
  return true
end

--- Takes down the signal that has told the sweep to end, if one has.
function Sweep:look_for_signal()
  local signal = self.interrupt and processes.caught_signal(self.interrupt)
  if signal then self.interrupted, self.signal = true, signal end
end

--- The next answer; nil when the sweep shall end.
function Sweep:next()
  while true do
    local limit = -1
    if self.deadline then limit = math.max(0, math.ceil((self.deadline - now()) * 1000)) end
    local answer, worker, other = self.pool:next(limit, self.interrupt)
    if answer then return answer, worker end
    if other then
      self:look_for_signal()
      if self.interrupted then return nil end
    end
    if self.deadline and now() >= self.deadline then
      self.out_of_time = true
      return nil
    end
  end
end

--- Serves a list of jobs by all workers, from the one at `first` on; `done(job, answer)` after each. Stops early when
-- interrupted, or when `enough()`. What a worker has died over is given to its successor once: it may be what kills.
---@return boolean whole, integer next the first that was not served
function Sweep:serve(jobs, done, first, enough)
  local at, waiting, tried = first or 1, 0, {}
  local function give(worker, item)
    self.pool:send(worker, item.job or item)
    worker.item = item
    waiting = waiting + 1
  end
  local function feed(worker)
    if at > #jobs or self.interrupted or self.out_of_time or enough and enough() then return end
    at = at + 1
    give(worker, jobs[at - 1])
  end
  for _, worker in pairs(self.pool.workers) do feed(worker) end
  while waiting > 0 do
    local answer, worker = self:next()
    if not answer then return false, at end
    waiting = waiting - 1
    local item = (answer.died or worker).item
    if not answer.died then
      done(item, answer)
      feed(worker)
    elseif worker and not tried[item] then
      tried[item] = true
      give(worker, item)
    else
      self.errors[#self.errors + 1] = ("%s: %s"):format(tostring(answer.id), answer.error)
      self.lost = true
      if worker then feed(worker) end
      if not next(self.pool.workers) then return false, at end
    end
  end
  return at > #jobs, at
end

--- Which of the planned runs this sweep makes: its shard, what is not done yet, its budget.
function Sweep:chosen()
  local list = {}
  local shard, budget = self.setting.shard, self.setting.budget
  for _, item in ipairs(self.plan) do
    if (not shard or shard_of(item.id, shard.n) == shard.k) and not self.done[item.id] then
      if budget.runs and #list >= budget.runs then
        self.cut = true
        break
      end
      list[#list + 1] = item
    end
  end
  return list
end

local function job_of(item) return { kind = "run", id = item.id, points = item.points or { item.point } } end

--- Notes the outcome of a run.
function Sweep:note(item, answer)
  if answer.error then
    self.errors[#self.errors + 1] = ("%s: %s"):format(item.id, answer.error)
    return
  end
  local run = { id = item.id, verdict = answer.verdict, status = answer.status, signal = answer.signal,
    seconds = answer.seconds, details = answer.details, stderr = answer.stderr, used = answer.used }
  self:keep(item, run)
  if self.journal then self.journal:put(run) end
end

function Sweep:keep(item, run)
  run.item = item
  self.done[item.id] = run
  self.runs[#self.runs + 1] = run
  self.found = (self.found or 0) + (verdict.finding[run.verdict] and 1 or 0)
  if run.verdict == "DESTROYED" or run.verdict == "SILENT-LOSS" then self.first = self.first or now() - self.began end
end

function Sweep:progress(total, phase)
  if self.on_progress then
    self.on_progress { phase = phase, done = #self.runs, total = total, found = self.found or 0,
      seconds = now() - self.began }
  end
end

--- One more clean run, by all workers, when the clock has gone on a second: what differs by then is not judged, and
-- what was found before that was known is run again.
---@return table[] items to run again
function Sweep:look_again()
  local rest = self.clean_second + 1.01 - clock()
  if rest > 0 then
    processes.poll({}, math.ceil(rest * 1000))
    self.waited = rest
  end
  local paths, names_vary = {}, self.clean.names_vary
  for _, answer in pairs(self.pool:ask_all { kind = "again" }) do
    for _, path in ipairs(answer.unjudged or {}) do paths[path] = true end
    names_vary = names_vary or answer.names_vary
  end
  local known, list = {}, {}
  for _, path in ipairs(self.clean.unjudged) do known[path] = true end
  for path in pairs(paths) do
    if not known[path] then list[#list + 1] = path end
  end
  if #list == 0 then return {} end
  table.sort(list)
  for _, path in ipairs(list) do table.insert(self.clean.unjudged, path) end
  self.clean.names_vary = names_vary
  self.pool:ask_all(self:judgement(list))
  self.warnings = warnings(self.clean)
  local items, kept = {}, {}
  for _, run in ipairs(self.runs) do
    if verdict.finding[run.verdict] then
      items[#items + 1] = run.item
      -- What a journal told has not been run by us.
      run.item.job = run.item.job or job_of(run.item)
      self.done[run.id] = nil
    else
      kept[#kept + 1] = run
    end
  end
  self.runs, self.found = kept, 0
  return items
end

function Sweep:run_plan()
  local began = now()
  local list = self:chosen()
  local total = #self.runs + #list
  for _, item in ipairs(list) do item.job = job_of(item) end
  self:progress(total, "runs")
  local function done(item, answer)
    self:note(item, answer)
    self:progress(total, "runs")
  end
  local whole, at = self:serve(list, done, 1, function() return clock() > self.clean_second + 1.01 end)
  if not self.interrupted and not self.out_of_time and (not whole or (self.found or 0) > 0) then
    for _, item in ipairs(self:look_again()) do list[#list + 1] = item end
    whole = self:serve(list, done, at)
  end
  if self.setting.depth == 2 and whole then
    local more = second.plan(self)
    total, self.more = total + #more, #more
    whole = self:serve(more, function(item, answer)
      self:note(item, answer)
      self:progress(total, "runs with two faults")
    end)
  end
  if not next(self.pool.workers) then self.errors[#self.errors + 1] = "no worker is left: each has died" end
  self.complete = whole and not self.cut and not self.lost
  self.run_seconds = now() - began - (self.waited or 0)
end

--- What was done before, read from the journal.
function Sweep:resume(lines)
  local by_id = {}
  for _, item in ipairs(self.plan) do by_id[item.id] = item end
  for _, run in ipairs(lines) do
    local item = by_id[run.id]
    if item and not self.done[run.id] then self:keep(item, run) end
  end
end

--- --faults powerloss: what the machine's death may leave. No worker is needed for it, and none may be there: their
-- ends would reach the tracer.
function Sweep:lose_power()
  self.pool:close()
  local outcome, message = outage.run(self, self.setting.choice.powerloss, self.on_progress and function(done, failed)
    self.on_progress { phase = "states after a power loss", done = done, total = done, found = failed,
      seconds = now() - self.began }
  end)
  if not outcome then return nil, "power loss: " .. message end
  self.outcome = outcome
  for _, finding in ipairs(outcome.findings) do
    finding.number = #self.findings + 1
    self.findings[finding.number] = finding
    confirm.write(self, finding)
  end
  for _, text in ipairs(outcome.warnings) do table.insert(self.warnings, text) end
  self.complete = self.complete and not outcome.stopped
  return true
end

function Sweep:report()
  local setting, clean = self.setting, self.clean
  local deaths = self.pool.deaths
  if #deaths > 0 then
    table.insert(self.warnings, ("%d worker%s died and %s replaced (%s)"):format(#deaths, #deaths == 1 and "" or "s",
      #deaths == 1 and "was" or "were", table.concat(deaths, ", ", 1, math.min(#deaths, 3))))
  end
  local counts, families = {}, {}
  local reached = 0
  for _, run in ipairs(self.runs) do
    local family = run.item.point.fault.family
    if not counts[family] then
      counts[family] = {}
      families[#families + 1] = family
    end
    counts[family][run.verdict] = (counts[family][run.verdict] or 0) + 1
    if run.verdict ~= "not-reached" then reached = reached + 1 end
  end
  local outcome = self.outcome
  if outcome then
    families[#families + 1] = outcome.family
    counts[outcome.family] = outcome.counts
  end
  local runs = {}
  for i, run in ipairs(self.runs) do
    runs[i] = { id = run.id, verdict = run.verdict, status = run.status, signal = run.signal, seconds = run.seconds,
      call = run.item.event.name, path = run.item.event.path, family = run.item.point.fault.family,
      fault = faults.title(run.item.point.fault), site = run.item.event.site }
  end
  for _, run in ipairs(outcome and outcome.runs or {}) do runs[#runs + 1] = run end
  return { version = 1, command = setting.command, fixture = setting.fixture, faults = setting.faults_text,
    clean = { status = clean.status, seconds = clean.seconds }, calls = #clean.events,
    sites = points.count_sites(clean.events), planned = #self.plan + (self.more or 0), ran = #self.runs,
    reached = reached, seconds = now() - self.began, run_seconds = self.run_seconds, first_finding = self.first,
    workers = self.workers, complete = self.complete, interrupted = self.interrupted, signal = self.signal,
    shard = setting.shard and ("%d/%d"):format(setting.shard.k, setting.shard.n), counts = counts, families = families,
    findings = self.findings, runs = runs, warnings = self.warnings, errors = self.errors, output = self.output,
    states = outcome and outcome.states, timeline = self:timeline(), private = clean.private, sealed = clean.sealed }
end

local TIMELINE = 3000

function Sweep:timeline()
  local list = {}
  for i, event in ipairs(self.clean.events) do
    if i > TIMELINE then break end
    list[i] = { name = event.name, process = event.process, path = event.path, ret = event.ret, errno = event.errno,
      size = event.size, site = event.site, hit = event.hit, thread = event.thread, loader = event.loader or nil }
  end
  return list
end

--- The plan in numbers, for --list.
function Sweep:listing()
  local list = self:chosen()
  return { list = list, sites = points.count_sites(self.clean.events), calls = #self.clean.events,
    seconds = self.clean.seconds, workers = self.workers, clean = self.clean, warnings = self.warnings }
end

local function go(self, options)
  self.began = now()
  local ok, message = self:start(options)
  if not ok then return nil, message end
  self.warnings = warnings(self.clean)
  self.workers = options.jobs or processes.processors()
  if options.list then return self:listing() end
  local lines
  if self.output then
    self.journal, message, lines = journal.open(self.output, self.setting, options.resume)
    if not self.journal then return nil, message end
  end
  if lines then self:resume(lines) end
  if self.setting.budget.seconds then self.deadline = now() + self.setting.budget.seconds end
  self:run_plan()
  self.deadline = nil
  self.findings = confirm.findings(self)
  local shard = self.setting.shard
  if self.setting.choice.powerloss and not self.interrupted and (not shard or shard.k == 1) then
    ok, message = self:lose_power()
    if not ok then return nil, message end
  end
  if self.journal then self.journal:close(self.complete and #self.findings == 0) end
  return self:report()
end

--- Sweeps a command.
---@param options luatrace.SweepOptions
---@return table|nil report, string? message, integer? signal that ended it before there was anything to report
function M.run(options)
  -- src/main.c has stopped the collector; runs make garbage.
  collectgarbage("restart", -1)
  local setting, message = setting_module.new(options)
  if not setting then return nil, message end
  local base
  base, message = make_base()
  if not base then return nil, "cannot make a directory for the runs: " .. message end
  setting.base = base
  local self = setmetatable({ setting = setting, done = {}, runs = {}, errors = {}, interrupt = options.interrupt,
    on_progress = options.on_progress, output = options.output }, Sweep)
  local called, report, failure = pcall(go, self, options)
  if self.pool then self.pool:close() end
  files.remove_tree(base)
  if not called then error(report, 0) end
  return report, failure, self.signal
end

return setmetatable(M, { __call = function(_, options) return M.run(options) end })
