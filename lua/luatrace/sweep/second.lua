--- --depth 2: a second fault, only where the code runs that handled the first. A program that survives every single
-- failure may still have error paths that nobody has tried.

local faults = require "luatrace.sweep.faults"
local points = require "luatrace.sweep.points"

local M = {}

--- So many second calls are tried for each first fault.
local MOST = 12

local handled = { tolerated = true, ["clean-fail"] = true }

--- First faults worth a second: one a site and error, those that the program handled, and that let it go on.
local function firsts(sweep)
  local list, seen = {}, {}
  for _, run in ipairs(sweep.runs) do
    local item = run.item
    local action = item.point.fault.action
    local key = ("%s %s %s"):format(item.event.name, item.event.site or "", faults.word(item.point.fault))
    if handled[run.verdict] and action ~= "kill" and action ~= "kill-after" and not item.points and not seen[key] then
      seen[key] = true
      list[#list + 1] = item
    end
  end
  return list
end

--- The runs with two faults.
---@param sweep luatrace.Sweep after all runs with one
---@return table[] plan
function M.plan(sweep)
  local known = {}
  for _, event in ipairs(sweep.clean.events) do known[event.name .. event.site] = true end
  local jobs = {}
  for _, item in ipairs(firsts(sweep)) do
    jobs[#jobs + 1] = { item = item, job = { kind = "trace", id = item.id, points = { item.point }, known = known } }
  end
  local plan, seen = {}, {}
  sweep:serve(jobs, function(entry, answer)
    local taken = 0
    for _, event in ipairs(answer.events or {}) do
      event.frames = answer.sites[event.site]
      for _, fault in ipairs(faults.of(event, sweep.setting.choice)) do
        local key = ("%s %s %s"):format(event.name, event.site, faults.word(fault))
        if not seen[key] and taken < MOST then
          seen[key] = true
          taken = taken + 1
          local run = points.run_of(event, fault, entry.item.rank, entry.item.order)
          run.id = entry.item.id .. "+" .. run.id
          run.points = { entry.item.point, run.point }
          run.job = { kind = "run", id = run.id, points = run.points }
          plan[#plan + 1] = run
        end
      end
    end
  end)
  return plan
end

return M
