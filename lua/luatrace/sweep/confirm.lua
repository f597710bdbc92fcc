--- From outcomes to findings: grouped by what broke where, run again three times, made as small as can be, and written
-- as scripts.

local faults = require "luatrace.sweep.faults"
local files = require "luatrace.sys.files"
local reproduce = require "luatrace.sweep.reproduce"
local shallow = require "luatrace.shallow"
local sys = require "luatrace.sys"
local verdict = require "luatrace.sweep.verdict"

local M = {}

local TIMES = 3
--- What seemed to hang has so much more time when it is run again: it may have waited to try once more.
local PATIENCE = 3

local severity = { DESTROYED = 1, ["SILENT-LOSS"] = 2, CRASH = 3, HANG = 4, LEFTOVER = 5 }

--- Findings of the same kind at the same place are one.
local function group(sweep)
  local groups, by_key = {}, {}
  for _, run in ipairs(sweep.runs) do
    if verdict.finding[run.verdict] then
      local event = run.item.event
      local key = ("%s %s %s %s"):format(run.verdict, event.name, event.site or "", run.item.points and "2" or "")
      local known = by_key[key]
      if not known then
        known = { verdict = run.verdict, runs = {}, rank = run.item.rank, order = run.item.order }
        by_key[key] = known
        groups[#groups + 1] = known
      end
      table.insert(known.runs, run)
    end
  end
  table.sort(groups, function(a, b)
    if severity[a.verdict] ~= severity[b.verdict] then return severity[a.verdict] < severity[b.verdict] end
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.order < b.order
  end)
  return groups
end

--- Of a group, the run to show: the simplest fault, then the earliest.
local function simplest(runs)
  local best, best_cost
  for _, run in ipairs(runs) do
    local fault = run.item.point.fault
    local cost = (fault.action == "fail" and 0 or 1) + (fault.sticky and 0.5 or 0) + run.item.order / 1e9
    if not best or cost < best_cost then best, best_cost = run, cost end
  end
  return best
end

--- Is the same fault enough when it happens only once? All are asked at the same time.
local function minimise(sweep, candidates)
  local jobs = {}
  for i, candidate in ipairs(candidates) do
    local point = candidate.points[#candidate.points]
    if point.fault.sticky then
      local once = shallow.copy(point)
      once.fault = { family = point.fault.family, action = point.fault.action, errno = point.fault.errno }
      local points = shallow.copy(candidate.points)
      points[#points] = once
      jobs[#jobs + 1] = { kind = "run", id = "minimise " .. i, points = points, candidate = i }
    end
  end
  for _, job in ipairs(jobs) do job.job = { kind = "run", id = job.id, points = job.points } end
  sweep:serve(jobs, function(job, answer)
    if answer.verdict == candidates[job.candidate].verdict then
      candidates[job.candidate].points = job.points
      candidates[job.candidate].run = answer
    end
  end)
end

--- Runs each script three times.
local function rerun(sweep, candidates)
  local jobs = {}
  for _ = 1, TIMES do
    for i, candidate in ipairs(candidates) do
      jobs[#jobs + 1] = { candidate = i, job = { kind = "script", id = "confirm " .. i, code = candidate.code,
        points = candidate.points, patience = candidate.verdict == "HANG" and PATIENCE or nil } }
    end
  end
  sweep:serve(jobs, function(job, answer)
    local candidate = candidates[job.candidate]
    candidate.tried = (candidate.tried or 0) + 1
    if answer.verdict == candidate.verdict then
      candidate.same = (candidate.same or 0) + 1
      candidate.last = answer
    end
  end)
end

--- What was seen once and never again is no finding: a machine that was busy, a race.
local function seen_again(sweep, candidates)
  local list = {}
  for _, candidate in ipairs(candidates) do
    if candidate.tried and not candidate.same then
      sweep.warnings[#sweep.warnings + 1] = candidate.verdict == "HANG" and
        ("slow, but no HANG, with %d times as long: %s"):format(PATIENCE, candidate.item.id) or
        ("seen once and not again: %s, %s"):format(candidate.verdict, candidate.item.id)
    else
      list[#list + 1] = candidate
    end
  end
  return list
end

--- Which of them a disk that is really full brings about, too: only that is told.
local function try_recipes(sweep, candidates)
  local jobs = {}
  for i, candidate in ipairs(candidates) do
    local tried = {}
    for _, run in ipairs(candidate.runs) do
      local size = reproduce.full_size(run)
      if size and not tried[size] then
        tried[size] = true
        jobs[#jobs + 1] = { candidate = i, size = size, job = { kind = "recipe", id = run.id, size = size,
          points = { run.item.point } } }
      end
    end
  end
  sweep:serve(jobs, function(job, answer)
    local candidate = candidates[job.candidate]
    if answer.verdict == candidate.verdict then candidate.size = job.size end
  end)
end

local ordinals = { [1] = "st", [2] = "nd", [3] = "rd" }

local function ordinal(n)
  local last = n % 100
  if last >= 11 and last <= 13 then return n .. "th" end
  return n .. (ordinals[n % 10] or "th")
end

--- "write number 3 to f fails with EIO"
local function title_of(point)
  local where = point.path and (" on %s"):format(point.path) or ""
  local who = point.process ~= "0" and (" of process %s"):format(point.process) or ""
  return ("the %s %s%s%s %s"):format(ordinal(point.hit), point.call, where, who, faults.title(point.fault))
end

local function detail_text(item)
  if item.what == "timeout" then return ("it did not end within %.2g s"):format(item.seconds) end
  if item.what == "livelock" then return "it tried the same call again and again" end
  if item.what == "check" then return "the checker says: " .. item.now end
  if item.what == "rule" then return item.now end
  if not item.path then return "a process died of " .. tostring(item.what) end
  if item.what == "left" then return ("%s is left behind: %s"):format(item.path, item.now) end
  if item.what == "unfinished" then
    return ("%s is left unfinished: %s; after a clean run: %s"):format(item.path, item.now, item.clean)
  end
  local text = ("%s: %s"):format(item.path, item.now)
  if item.before then text = text .. "; before: " .. item.before end
  if item.clean then text = text .. "; after a clean run: " .. item.clean end
  return text
end
M.detail_text = detail_text

local function ending(run)
  return run.signal and ("killed by signal %d"):format(run.signal) or ("exit status %s"):format(tostring(run.status))
end

local function comment(text) return "-- " .. text:gsub("\n", "\n--   ") .. "\n" end

local function header(finding, command, fixture)
  local line = reproduce.command_line(command)
  local parts = { comment(("%s: %s"):format(finding.verdict, line)), comment(finding.title .. "; " .. finding.ending) }
  for i, item in ipairs(finding.details) do
    if i <= 5 then parts[#parts + 1] = comment("  " .. detail_text(item)) end
  end
  if finding.call == "powerloss" then
    for _, text in ipairs(finding.frames) do parts[#parts + 1] = comment("  " .. text) end
    parts[#parts + 1] = comment(("Found by luatrace sweep. To have that state of the files: luatrace %s"):format(
      finding.script or "THIS"))
    return table.concat(parts)
  end
  parts[#parts + 1] = comment(("Found by luatrace sweep. In a copy of the files it works on%s, with HOME and TMPDIR " ..
    "elsewhere:\n  luatrace %s -- %s"):format(fixture and " (" .. fixture .. ")" or "", finding.script or "THIS", line))
  if finding.strace then parts[#parts + 1] = comment(("The same: %s %s"):format(finding.strace, line)) end
  if finding.recipe then parts[#parts + 1] = comment("The same without a tracer: " .. finding.recipe) end
  return table.concat(parts)
end

local function hits_of(events)
  local hits = {}
  for _, event in ipairs(events) do
    local key = ("%s:%d:%s"):format(event.process, event.thread, event.name)
    hits[key] = math.max(hits[key] or 0, event.hit)
  end
  return hits
end

local function is_alone(events)
  for _, event in ipairs(events) do
    if event.process ~= "0" then return false end
  end
  return true
end

local function file_name(number, finding)
  return ("%d-%s-%s-%s.lua"):format(number, finding.verdict:lower(), finding.call, finding.fault):gsub("[^%w.-]", "_")
end

--- Completes a finding's code with what it is about, and writes it where the sweep's scripts go.
---@param sweep luatrace.Sweep
---@param finding table
function M.write(sweep, finding)
  local setting = sweep.setting
  if sweep.output then
    if not sys.file_kind(sweep.output) then files.mkdir(sweep.output) end
    finding.script = sweep.output .. "/" .. file_name(finding.number, finding)
  end
  finding.code = header(finding, setting.command, setting.fixture) .. "\n" .. finding.code
  if not finding.script then return end
  local ok, message = files.write_file(finding.script, finding.code)
  if not ok then sweep.errors[#sweep.errors + 1] = ("cannot write %s: %s"):format(finding.script, message) end
end

--- The findings of a sweep, confirmed.
---@param sweep luatrace.Sweep
---@return table[] findings
function M.findings(sweep)
  local groups = group(sweep)
  if #groups == 0 or not next(sweep.pool.workers) then return {} end
  local stop = sweep.interrupted
  local events, setting = sweep.clean.events, sweep.setting
  local hits, alone = hits_of(events), is_alone(events)
  local candidates = {}
  for i, found in ipairs(groups) do
    local run = simplest(found.runs)
    candidates[i] = { verdict = found.verdict, run = run, item = run.item, runs = found.runs,
      points = run.item.points or { run.item.point } }
  end
  if not stop then minimise(sweep, candidates) end
  for _, candidate in ipairs(candidates) do candidate.code = reproduce.script(candidate.points, alone) end
  if not stop then
    rerun(sweep, candidates)
    candidates = seen_again(sweep, candidates)
    try_recipes(sweep, candidates)
  end
  local findings = {}
  for number, candidate in ipairs(candidates) do
    local run = candidate.last or candidate.run
    local point = candidate.points[#candidate.points]
    local event = candidate.item.event
    local finding = { number = number, verdict = candidate.verdict, call = point.call, path = point.path,
      process = point.process, thread = point.thread, hit = point.hit, site = event.site, frames = event.frames,
      fault = faults.word(point.fault), family = point.fault.family, details = run.details or {}, stderr = run.stderr,
      status = run.status, signal = run.signal, ending = ending(run), runs = #candidate.runs,
      confirmed = candidate.tried and ("%d/%d"):format(candidate.same or 0, candidate.tried), code = candidate.code,
      order = candidate.item.order }
    local titles = {}
    for i, each in ipairs(candidate.points) do titles[i] = title_of(each) end
    finding.title = table.concat(titles, ", then ")
    finding.strace = reproduce.strace(candidate.points, hits)
    finding.ids = {}
    for i, each in ipairs(candidate.runs) do finding.ids[i] = each.id end
    finding.recipe = candidate.size and reproduce.recipe(candidate.size, setting.fixture, setting.command)
    findings[number] = finding
    M.write(sweep, finding)
  end
  return findings
end

return M
