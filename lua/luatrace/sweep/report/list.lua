--- What a sweep would do, for --list: its runs in their order, how many each fault has, and what they will cost.

local faults = require "luatrace.sweep.faults"
local safe = require("luatrace.sweep.report.table").safe

local M = {}

--- Starting the program under trace, copying and comparing its files: what a run costs beyond the program's own time.
local OVERHEAD = 0.008

---@param listing table see luatrace.sweep, option list
---@return string
function M.render(listing)
  local lines, counts, order = {}, {}, {}
  for i, item in ipairs(listing.list) do
    local event, fault = item.event, item.point.fault
    lines[i] = ("%5d  %-11s %s#%d%s%s %s"):format(i, safe(fault.family), event.name, event.hit,
      event.path and " " .. safe(event.path) or "", event.process ~= "0" and " (process " .. event.process .. ")" or "",
      faults.title(fault))
    if not counts[fault.family] then
      counts[fault.family] = 0
      order[#order + 1] = fault.family
    end
    counts[fault.family] = counts[fault.family] + 1
  end
  local parts = {}
  for i, family in ipairs(order) do parts[i] = ("%s %d"):format(safe(family), counts[family]) end
  for _, text in ipairs(listing.warnings) do lines[#lines + 1] = "note: " .. safe(text) end
  lines[#lines + 1] = ("%d calls at %d places; %d runs: %s"):format(listing.calls, listing.sites, #listing.list,
    table.concat(parts, ", "))
  lines[#lines + 1] = ("a clean run takes %.3f s: about %.1f s by %d workers"):format(listing.seconds,
    #listing.list * (listing.seconds + OVERHEAD) / listing.workers, listing.workers)
  return table.concat(lines, "\n") .. "\n"
end

return M
