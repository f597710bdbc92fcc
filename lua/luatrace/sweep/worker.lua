--- A worker: a forked copy of luatrace that serves many runs, one after the other. Jobs come as JSON, a line each;
-- so do the results.
--
--   local pool = worker.pool(setting, 2)
--   pool:submit { kind = "run", id = "...", points = { ... } }
--   local result, worker = pool:next(timeout)
--
-- A worker that dies (the kernel has killed it for its memory, say) is replaced, once the pool knows what makes a new
-- one the equal of the others (`renewal`): the answer to its job says so (`died`), and comes with its successor.
--
-- Jobs: "start" (clean runs; with `record`, the calls too), "run" (points armed in a fresh room, judged),
-- "script" (the same by the text of a script), "trace" (points armed and all calls recorded: for --depth 2).

local bit = require "bit"
local checker = require "luatrace.sweep.checker"
local constants = require "luatrace.constants"
local fixture = require "luatrace.sweep.fixture"
local inject = require "luatrace.sweep.inject"
local json = require "luatrace.text.json"
local processes = require "luatrace.sys.processes"
local record = require "luatrace.sweep.record"
local room_module = require "luatrace.sweep.room"
local runner = require "luatrace.sweep.runner"
local script_module = require "luatrace.script"
local site_module = require "luatrace.sweep.site"
local sys = require "luatrace.sys"
local verdict = require "luatrace.sweep.verdict"

local M = {}

-- --- in the worker --------------------------------------------------------------------------------------------------

local jobs = {}

--- In what two clean runs differ.
function M.variation(one, other)
  local result = { unjudged = setmetatable({}, json.array) }
  for _, change in ipairs(fixture.differences(one, other)) do
    table.insert(result.unjudged, change.path)
    if not change.before or not change.after then result.names_vary = true end
  end
  return result
end

--- What clean runs are like; `record`: one of them with its calls.
function jobs.start(self, job)
  local setting = self.setting
  local events, again
  if job.record then
    -- First: it is the one that tells, and forbids, what the program would write elsewhere.
    events, again = record.events(self.room, setting.program, setting.image, setting.choice, { timeout = job.timeout })
    if not events then return { error = again } end
    if again.timed_out or #events.outside > 0 then
      return { timed_out = again.timed_out, outside = events.outside, unjudged = {} }
    end
  end
  local clean, message = record.clean(self.room, setting.program, setting.image, { timeout = job.timeout })
  if not clean then return { error = message } end
  clean.initial, clean.unjudged, clean.ignore = setting.image.state, {}, setting.ignore
  self.clean, self.clean_second = clean, math.floor(sys.realtime() / 1e9)
  local answer = { status = clean.status, signal = clean.signal, timed_out = clean.timed_out, seconds = clean.seconds,
    crashed = clean.crashed, stderr = clean.stderr, private = self.room.private, sealed = self.room.sealed,
    uses_rings = clean.uses_rings, unjudged = setmetatable({}, json.array) }
  if setting.check and not clean.timed_out then
    local check = checker.run(setting.check, self.room, clean, clean)
    answer.check = check
    self.check_seconds = check.seconds
  end
  if not job.record or clean.timed_out then return answer end
  local variation = M.variation(clean.state, again.state)
  answer.unjudged, answer.names_vary = variation.unjudged, variation.names_vary
  answer.again = { status = again.status, signal = again.signal, timed_out = again.timed_out }
  answer.events, answer.shared = events, events.shared
  -- Frames once for each site.
  local sites = {}
  for _, event in ipairs(events) do
    sites[event.site] = event.frames
    event.frames = nil
  end
  answer.sites = sites
  return answer
end

--- What is not judged: paths that differ between clean runs; all new ones, when even their names differ.
function jobs.judge(self, job)
  for _, path in ipairs(job.unjudged) do self.clean.unjudged[path] = true end
  self.clean.names_vary = self.clean.names_vary or job.names_vary
  self.timeout = job.timeout
  return {}
end

--- One more clean run: what differs from the first by now.
function jobs.again(self)
  -- The sweep has waited until the clock had gone on for the others; a successor may just have had its first.
  local rest = self.clean_second + 1.01 - sys.realtime() / 1e9
  if rest > 0 then processes.poll({}, math.ceil(rest * 1000)) end
  local clean = record.clean(self.room, self.setting.program, self.setting.image, { timeout = self.timeout })
  return clean and M.variation(self.clean.state, clean.state) or { unjudged = setmetatable({}, json.array) }
end

--- Is the call that has the right number also the right one?
local function verifier(self)
  local fixed = self.fixed
  return function(call, point)
    if not point.site then return true end
    if fixed and tonumber(call.stop.ip) == point.ip and tonumber(call.stop.sp) == point.sp then return true end
    self.sites = self.sites or site_module.new()
    return self.sites:of(call:stack(), call.process.exe) == point.site
  end
end

local function finish(self, job, result, notes, limit)
  local fault = job.points[#job.points].fault
  result.reached, result.injected = true, 0
  for _, note in ipairs(notes) do
    result.reached = result.reached and note.reached or false
    result.injected = result.injected + note.injected
  end
  result.call = job.points[#job.points].call
  result.state = self.room:state()
  result.limit = limit or self.timeout
  if self.setting.check and result.reached and not result.timed_out and not result.livelock then
    result.check = checker.run(self.setting.check, self.room, result, self.clean,
      math.max(5, 10 * (self.check_seconds or 1)))
  end
  local word, details = verdict.judge(self.clean, result, fault)
  local answer = { verdict = word, details = #details > 0 and details or nil, status = result.status,
    signal = result.signal, seconds = result.seconds, injected = result.injected, used = notes[#notes].used }
  if verdict.finding[word] then answer.stderr = self.room:said() end
  return answer
end

function jobs.run(self, job)
  local setting = self.setting
  local ok, message = self.room:prepare(setting.image)
  if not ok then return { error = message } end
  local notes = {}
  local result, failure = runner.execute(self.room, setting.program, function(script)
    for i, point in ipairs(job.points) do
      notes[i] = inject.arm(script, point, { verify = verifier(self), work = self.room.private and self.room.work })
    end
  end, { timeout = self.timeout })
  if not result then return { error = failure } end
  return finish(self, job, result, notes)
end

--- Runs the text of a script, as `luatrace SCRIPT -- command` would.
function jobs.script(self, job)
  local limit = self.timeout * (job.patience or 1)
  local ok, message = self.room:prepare(self.setting.image)
  if not ok then return { error = message } end
  local result, failure = runner.execute(self.room, self.setting.program, function(script)
    local done, problem = script_module.run({ code = job.code }, script)
    if not done then error(problem, 0) end
  end, { timeout = limit })
  if not result then return { error = failure } end
  return finish(self, job, result, { { reached = true, injected = 1 } }, limit)
end

--- The same on a disk that is really full: does it end as it did with the fault injected?
function jobs.recipe(self, job)
  local room, setting = self.room, self.setting
  if not room.private then return {} end
  room:prepare({ entries = {} })
  if not processes.mount_small(room.work, job.size) then return {} end
  local answer = {}
  -- What does not fit in the beginning is no recipe.
  if fixture.build(setting.image, room.work, room.as_root) then
    local result = runner.execute(room, setting.program, function() end, { timeout = self.timeout })
    if result then answer = finish(self, job, result, { { reached = true, injected = 1 } }) end
  end
  processes.unmount(room.work)
  return answer
end

--- Which calls does the program make when it meets these faults?
function jobs.trace(self, job)
  local setting = self.setting
  local ok, message = self.room:prepare(setting.image)
  if not ok then return { error = message } end
  local events
  local result, failure = runner.execute(self.room, setting.program, function(script)
    events = record.observe(script, self.room, setting.choice, { sites = true })
    for _, point in ipairs(job.points) do inject.arm(script, point, { verify = verifier(self) }) end
  end, { timeout = self.timeout })
  if not result then return { error = failure } end
  local list, sites, after = setmetatable({}, json.array), {}, false
  local first = job.points[1]
  for _, event in ipairs(events) do
    if after and not job.known[event.name .. event.site] and not event.loader then
      list[#list + 1] = event
      sites[event.site] = event.frames
    end
    event.frames = nil
    if event.name == first.call and event.process == first.process and event.thread == first.thread and
      event.hit == first.hit then
      after = true
    end
  end
  return { events = list, sites = sites }
end

--- A heap of so many KiB is collected.
local GARBAGE = 24 * 1024

--- `first`: jobs that make it the equal of the others, which nobody waits for.
local function serve(setting, number, input, output, first)
  -- Each run forks, after which every page that is written to is a page fault; a collector that works in small steps
  -- writes its marks all over the heap in every run (measured: twice the faults). So it works at once, and rarely.
  collectgarbage()
  collectgarbage("stop")
  local self = { setting = setting }
  self.fixed = processes.fixed_addresses()
  self.room = room_module.open(setting.base, number, { bytes = setting.image.bytes, as_root = setting.as_root,
    plain = setting.plain, keeps_tmp = setting.keeps_tmp })
  for _, job in ipairs(first) do
    local answer = jobs[job.kind](self, job)
    if answer.error then error(answer.error, 0) end
  end
  for line in processes.lines(input) do
    local job = assert(json.decode(line))
    local answer = jobs[job.kind](self, job)
    answer.id = job.id
    if not processes.write(output, json.encode(answer) .. "\n") then return end
    if collectgarbage("count") > GARBAGE then
      collectgarbage()
      collectgarbage("stop")
    end
  end
end

-- --- in the parent --------------------------------------------------------------------------------------------------

---@class luatrace.sweep.Pool
---@field renewal (fun(): table[])|nil the jobs that make a new worker the equal of the others; nil: none is replaced
---@field deaths string[] what ended those that were replaced
local Pool = {}
Pool.__index = Pool

--- Starts workers.
---@param setting table program, image, choice, base, check
---@param count integer
---@return luatrace.sweep.Pool
function M.pool(setting, count)
  local pool = setmetatable({ setting = setting, workers = {}, by_fd = {}, deaths = {}, in_a_row = 0 }, Pool)
  for number = 1, count do pool:add(number) end
  return pool
end

function Pool:add(number)
  local setting, first = self.setting, self.renewal and self.renewal() or {}
  local others = {}
  for _, worker in pairs(self.workers) do others[#others + 1] = worker end
  local worker, message = processes.fork(function(input, output)
    -- The pipes to the others: one that we held open would never end.
    for _, other in ipairs(others) do
      processes.close(other.input)
      processes.close(other.output)
    end
    serve(setting, number, input, output, first)
  end)
  if not worker then error("luatrace: cannot start a worker: " .. message, 0) end
  worker.number, worker.rest, worker.queue = number, "", {}
  self.workers[number] = worker
  self.by_fd[worker.output] = worker
  return worker
end

--- Gives a job to a worker.
function Pool.send(_, worker, job)
  worker.job = job
  -- Is it dead? Then `next` finds the end of its answers.
  processes.write(worker.input, json.encode(job) .. "\n")
end

--- So many workers that die one after the other, without any answer in between, are no accident.
local MOST_IN_A_ROW = 20

--- A worker has died over its job: the answer, and who has taken its place, if anybody.
function Pool:bury(worker)
  local cause = self:drop(worker)
  local answer = { id = worker.job.id, error = ("the worker died (%s)"):format(cause), died = worker }
  self.in_a_row = self.in_a_row + 1
  if not self.renewal or self.in_a_row > MOST_IN_A_ROW then return answer, nil end
  table.insert(self.deaths, cause)
  return answer, self:add(worker.number)
end

--- What a worker answers next; nil after the time is over, or when `other` (a descriptor) can be read.
---@param milliseconds integer
---@param other integer|nil
---@return table|nil answer, table|nil worker, boolean|nil other_is_ready
function Pool:next(milliseconds, other)
  local fds = { other }
  for _, worker in pairs(self.workers) do
    local line, rest = worker.rest:match("^([^\n]*)\n(.*)$")
    if line then
      worker.rest = rest
      return self:answer(worker, line)
    end
    if worker.job then fds[#fds + 1] = worker.output end
  end
  local ready = processes.poll(fds, milliseconds)
  if other and ready[other] then return nil, nil, true end
  for fd in pairs(ready) do
    local worker = self.by_fd[fd]
    local bytes = processes.read(fd)
    if not bytes or bytes == "" then
      return self:bury(worker)
    end
    worker.pieces = worker.pieces or {}
    table.insert(worker.pieces, bytes)
    if bytes:find("\n", 1, true) then
      local line, rest = (worker.rest .. table.concat(worker.pieces)):match("^([^\n]*)\n(.*)$")
      worker.pieces, worker.rest = nil, rest
      return self:answer(worker, line)
    end
  end
end

function Pool:answer(worker, line)
  local job = worker.job
  worker.job, self.in_a_row = nil, 0
  local answer = assert(json.decode(line))
  answer.job = job
  return answer, worker
end

--- Sends the same job to all workers and waits for all answers, by worker number.
function Pool:ask_all(job)
  local answers, waiting = {}, 0
  for _, worker in pairs(self.workers) do
    self:send(worker, job)
    waiting = waiting + 1
  end
  while waiting > 0 do
    local answer, worker = self:next(-1)
    if answer then
      if not answer.died then answers[worker.number] = answer end
      if answer.died and worker then self:send(worker, job) else waiting = waiting - 1 end
    end
  end
  return answers
end

--- Ends a worker.
---@return string cause how it ended, if it had before
function Pool:drop(worker)
  self.workers[worker.number] = nil
  self.by_fd[worker.output] = nil
  processes.close(worker.input)
  processes.close(worker.output)
  processes.kill(worker.pid, 9)
  local status = processes.wait(worker.pid)
  if not status then return "unknown" end
  local signal = bit.band(status, 0x7f)
  return signal ~= 0 and "killed by " .. (constants.signals.by_value[signal] or "signal " .. signal) or
    "status " .. bit.rshift(status, 8)
end

--- Ends all workers and whatever they run.
function Pool:close()
  for _, worker in pairs(self.workers) do self:drop(worker) end
end

return M
