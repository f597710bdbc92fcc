--- A sweep's outcome as JUnit XML, as CI systems show it: one test case a run, one suite a family of faults.

local confirm = require "luatrace.sweep.confirm"
local reproduce = require "luatrace.sweep.reproduce"
local verdict = require "luatrace.sweep.verdict"

local M = {}

local entities = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;", ["'"] = "&apos;",
  ["\n"] = "&#10;" }

--- XML knows no control characters, and takes bytes for UTF-8: others are shown as \xNN.
local function xml(text)
  return (tostring(text):gsub('[%c\127-\255<>&"\']', function(c)
    return entities[c] or ("\\x%02x"):format(c:byte())
  end))
end

local function case(report, run, finding)
  local name = ("%s%s %s [%s]"):format(run.call, run.path and " on " .. run.path or "", run.fault, run.id)
  local lines = { ('    <testcase classname="%s" name="%s" time="%.3f">'):format(
    xml(reproduce.command_line(report.command)), xml(name), run.seconds or 0) }
  if verdict.finding[run.verdict] then
    local text = {}
    if finding then
      text[1] = finding.title .. "; " .. finding.ending
      for _, item in ipairs(finding.details) do text[#text + 1] = confirm.detail_text(item) end
      text[#text + 1] = finding.script and ("luatrace %s -- %s"):format(finding.script,
        reproduce.command_line(report.command))
    end
    lines[2] = ('      <failure type="%s" message="%s">%s</failure>'):format(run.verdict,
      xml(finding and finding.title or run.verdict), xml(table.concat(text, "\n")))
  elseif run.verdict == "not-reached" then
    lines[2] = '      <skipped message="not reached"/>'
  end
  lines[#lines + 1] = "    </testcase>"
  return table.concat(lines, "\n")
end

---@param report table see luatrace.sweep
---@return string
function M.render(report)
  local by_id = {}
  for _, finding in ipairs(report.findings) do
    for _, id in ipairs(finding.ids or {}) do by_id[id] = finding end
  end
  local failures, skipped = 0, 0
  local suites = {}
  for _, run in ipairs(report.runs) do
    local suite = suites[run.family] or { tests = 0, failures = 0, skipped = 0, cases = {} }
    suites[run.family] = suite
    suite.tests = suite.tests + 1
    if verdict.finding[run.verdict] then
      suite.failures, failures = suite.failures + 1, failures + 1
    elseif run.verdict == "not-reached" then
      suite.skipped, skipped = suite.skipped + 1, skipped + 1
    end
    suite.cases[#suite.cases + 1] = case(report, run, by_id[run.id])
  end
  local lines = { '<?xml version="1.0" encoding="UTF-8"?>',
    ('<testsuites name="luatrace sweep" tests="%d" failures="%d" errors="%d" skipped="%d" time="%.3f">'):format(
      #report.runs, failures, #report.errors, skipped, report.seconds) }
  for _, family in ipairs(report.families) do
    local suite = suites[family]
    if suite then
      lines[#lines + 1] = ('  <testsuite name="%s" tests="%d" failures="%d" errors="0" skipped="%d">'):format(
        xml(family), suite.tests, suite.failures, suite.skipped)
      lines[#lines + 1] = table.concat(suite.cases, "\n")
      lines[#lines + 1] = "  </testsuite>"
    end
  end
  lines[#lines + 1] = "</testsuites>"
  return table.concat(lines, "\n") .. "\n"
end

return M
