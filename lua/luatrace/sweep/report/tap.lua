--- A sweep's outcome in the Test Anything Protocol (version 13): one test a run, and diagnostics for what was found.

local confirm = require "luatrace.sweep.confirm"
local verdict = require "luatrace.sweep.verdict"

local M = {}

--- "#" begins a directive, line ends end the line.
local function plain(text) return (tostring(text):gsub("[%c\127]", "?"):gsub("#", "\\#")) end

---@param report table see luatrace.sweep
---@return string
function M.render(report)
  local by_id = {}
  for _, finding in ipairs(report.findings) do
    for _, id in ipairs(finding.ids or {}) do by_id[id] = finding end
  end
  local lines = { "TAP version 13", ("1..%d"):format(#report.runs) }
  for i, run in ipairs(report.runs) do
    local failed = verdict.finding[run.verdict]
    lines[#lines + 1] = ("%s %d - %s%s %s [%s]: %s%s"):format(failed and "not ok" or "ok", i, plain(run.call),
      run.path and " on " .. plain(run.path) or "", plain(run.fault), plain(run.id), run.verdict,
      run.verdict == "not-reached" and " # SKIP not reached" or "")
    local finding = failed and by_id[run.id]
    if finding then
      lines[#lines + 1] = ("  # finding %d: %s; %s"):format(finding.number, plain(finding.title), finding.ending)
      for _, item in ipairs(finding.details) do lines[#lines + 1] = "  # " .. plain(confirm.detail_text(item)) end
    end
  end
  for _, text in ipairs(report.errors) do lines[#lines + 1] = "# error: " .. plain(text) end
  if not report.complete then lines[#lines + 1] = "# not all runs were made" end
  return table.concat(lines, "\n") .. "\n"
end

return M
