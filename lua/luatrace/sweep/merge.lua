--- One report of the reports of shards.

local shallow = require "luatrace.shallow"

local M = {}

local function same_sweep(a, b)
  return table.concat(a.command, "\0") == table.concat(b.command, "\0") and a.planned == b.planned and
    (a.faults or "") == (b.faults or "")
end

local function append(to, from)
  for _, item in ipairs(from or {}) do to[#to + 1] = item end
end

--- Findings of the same kind at the same place, found by two shards, are one.
local function merge_findings(merged, report, by_key)
  for _, finding in ipairs(report.findings or {}) do
    local key = ("%s %s %s"):format(finding.verdict, finding.call, finding.site or finding.title)
    local known = by_key[key]
    if known then
      known.runs = known.runs + finding.runs
      append(known.ids, finding.ids)
    else
      by_key[key] = finding
      finding.number = #merged.findings + 1
      merged.findings[finding.number] = finding
    end
  end
end

--- Merges reports, as read from JSON.
---@param reports table[]
---@return table|nil report, string? message
function M.merge(reports)
  local first = reports[1]
  local merged = shallow.copy(first)
  merged.runs, merged.findings, merged.warnings, merged.errors, merged.counts, merged.families = {}, {}, {}, {}, {}, {}
  merged.ran, merged.reached, merged.seconds, merged.run_seconds, merged.workers, merged.shard = 0, 0, 0, 0, 0, nil
  merged.complete = true
  local by_key, warned, seen, shards, total = {}, {}, {}, {}, nil
  for _, report in ipairs(reports) do
    if not same_sweep(first, report) then
      return nil, ("these are reports of different sweeps: %s (%d runs) and %s (%d runs)"):format(
        table.concat(first.command, " "), first.planned, table.concat(report.command, " "), report.planned)
    end
    if report.shard then
      shards[report.shard] = true
      total = tonumber(report.shard:match("/(%d+)$"))
    end
    for _, run in ipairs(report.runs) do
      if not seen[run.id] then
        seen[run.id] = true
        merged.runs[#merged.runs + 1] = run
        local of_family = merged.counts[run.family]
        if not of_family then
          of_family = {}
          merged.counts[run.family] = of_family
          merged.families[#merged.families + 1] = run.family
        end
        of_family[run.verdict] = (of_family[run.verdict] or 0) + 1
        -- Of power losses only the causes are listed, not all states.
        if run.call == "powerloss" then merged.counts[run.family] = report.counts[run.family] end
      end
    end
    merge_findings(merged, report, by_key)
    for _, text in ipairs(report.warnings or {}) do
      if not warned[text] then
        warned[text] = true
        merged.warnings[#merged.warnings + 1] = text
      end
    end
    append(merged.errors, report.errors)
    merged.states = merged.states or report.states
    -- Shards run at the same time: the slowest one counts.
    merged.seconds = math.max(merged.seconds, report.seconds)
    merged.run_seconds = math.max(merged.run_seconds, report.run_seconds or report.seconds)
    merged.workers = merged.workers + (report.workers or 1)
    merged.complete = merged.complete and report.complete
  end
  for k = 1, total or 0 do
    if not shards[("%d/%d"):format(k, total)] then
      merged.complete = false
      merged.warnings[#merged.warnings + 1] = ("shard %d/%d is missing"):format(k, total)
    end
  end
  merged.ran = 0
  for _, run in ipairs(merged.runs) do merged.ran = merged.ran + (run.call == "powerloss" and 0 or 1) end
  return merged
end

return M
