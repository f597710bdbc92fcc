--- A sweep's outcome for people: a table of faults and verdicts, then each finding with how to see it again.

local confirm = require "luatrace.sweep.confirm"
local reproduce = require "luatrace.sweep.reproduce"
local verdict = require "luatrace.sweep.verdict"

local M = {}

--- Names and output of the traced program are data: what would move the cursor is shown as \xNN.
local function safe(text)
  return (tostring(text):gsub("[%c\127]", function(c)
    return c == "\n" and "\n" or ("\\x%02x"):format(c:byte())
  end))
end
M.safe = safe

local function counts(report, lines)
  local columns = {}
  for _, word in ipairs(verdict.order) do
    for _, family in ipairs(report.families) do
      if report.counts[family][word] then
        columns[#columns + 1] = word
        break
      end
    end
  end
  local width = 12
  for _, family in ipairs(report.families) do width = math.max(width, #family) end
  local head = ("%-" .. width .. "s %6s"):format("faults", "runs")
  for _, word in ipairs(columns) do head = head .. ("  %" .. math.max(5, #word) .. "s"):format(word) end
  lines[#lines + 1] = head
  for _, family in ipairs(report.families) do
    local of_family, total = report.counts[family], 0
    for _, count in pairs(of_family) do total = total + count end
    local line = ("%-" .. width .. "s %6d"):format(safe(family), total)
    for _, word in ipairs(columns) do
      line = line .. ("  %" .. math.max(5, #word) .. "s"):format(of_family[word] or ".")
    end
    lines[#lines + 1] = line
  end
end

local SHOWN_FRAMES = 4

--- The call, and who in the program made it: the C library's own frames are the same everywhere.
local function telling_frames(frames)
  local texts, left_out = { frames[1] and safe(frames[1]) }, 0
  for i = 2, #frames do
    local in_libc = frames[i]:find("(libc.so", 1, true) or frames[i]:find("^libc%.so")
    if not in_libc and #texts < SHOWN_FRAMES then
      if left_out > 0 and #texts == 1 then texts[1] = texts[1] .. " < ..." end
      texts[#texts + 1] = safe(frames[i])
    end
    left_out = left_out + (in_libc and 1 or 0)
  end
  for i = 2, #texts == 1 and math.min(#frames, SHOWN_FRAMES) or 0 do texts[i] = safe(frames[i]) end
  return texts
end

local function one(finding, command, lines)
  lines[#lines + 1] = ""
  lines[#lines + 1] = ("%d. %s  %s; %s%s"):format(finding.number, finding.verdict, safe(finding.title), finding.ending,
    finding.confirmed and ("  [%s]"):format(finding.confirmed) or "")
  for i, item in ipairs(finding.details) do
    if i > 5 then
      lines[#lines + 1] = ("   ... and %d more"):format(#finding.details - 5)
      break
    end
    lines[#lines + 1] = "   " .. safe(confirm.detail_text(item)):gsub("\n", "\n   ")
  end
  local frames = finding.frames or {}
  if finding.call == "powerloss" then
    for i = 1, math.min(#frames, 8) do lines[#lines + 1] = "   " .. safe(frames[i]) end
  elseif #frames > 0 then
    lines[#lines + 1] = "   at " .. table.concat(telling_frames(frames), " < ")
  end
  if finding.runs > 1 then lines[#lines + 1] = ("   %d runs end so at this place"):format(finding.runs) end
  local line = reproduce.command_line(command)
  if finding.script then
    lines[#lines + 1] = ("   luatrace %s%s"):format(safe(finding.script),
      finding.call == "powerloss" and "" or " -- " .. safe(line))
  end
  if finding.strace then lines[#lines + 1] = ("   %s %s"):format(safe(finding.strace), safe(line)) end
  if finding.recipe then lines[#lines + 1] = "   " .. safe(finding.recipe) end
end

---@param report table see luatrace.sweep
---@return string
function M.render(report)
  local lines = {}
  lines[#lines + 1] = ("luatrace sweep: %s"):format(safe(reproduce.command_line(report.command)))
  lines[#lines + 1] = ("%d calls at %d places; %d of %d runs in %.1f s, %.0f a second, by %d worker%s"):format(
    report.calls, report.sites, report.ran, report.planned, report.seconds,
    report.ran / math.max(report.run_seconds, 0.001), report.workers or 1, report.workers == 1 and "" or "s")
  if report.states then lines[#lines + 1] = ("%d states that a power loss may leave"):format(report.states) end
  for _, text in ipairs(report.warnings) do lines[#lines + 1] = "note: " .. safe(text) end
  lines[#lines + 1] = ""
  counts(report, lines)
  for _, finding in ipairs(report.findings) do one(finding, report.command, lines) end
  lines[#lines + 1] = ""
  for i, text in ipairs(report.errors) do
    if i <= 5 then lines[#lines + 1] = "error: " .. safe(text) end
  end
  if report.interrupted then lines[#lines + 1] = "interrupted: --resume goes on" end
  if not report.complete and not report.interrupted then
    lines[#lines + 1] = "not all runs were made: --resume goes on"
  end
  lines[#lines + 1] = #report.findings == 0 and "nothing found" or
    ("%d finding%s"):format(#report.findings, #report.findings == 1 and "" or "s")
  return table.concat(lines, "\n") .. "\n"
end

return M
