--- Reports of expectations for other programs: --report=tap, --report=junit:FILE, --report=json:FILE.
--
--   local write, message = report.parse "junit:result.xml"
--   write({ { title = 'never("connect")', where = "x.lua:3", failure = nil }, ... }, { command = "curl", time = 0.2 })
--
-- FILE left out, or "-": standard output. An outcome without a failure is a success.

local expectation_module = require "luatrace.expect.expectation"

local M = {}

local formats = {}

--- Control characters have no place in XML; TAP and JSON escape theirs.
local function xml(text)
  return (text:gsub("[%z\1-\8\11\12\14-\31]", "?"):gsub("[&<>\"]",
    { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

--- Test Anything Protocol 13: https://testanything.org
function formats.tap(outcomes, about)
  if about.skipped then return ("TAP version 13\n1..0 # SKIP %s\n"):format(about.skipped) end
  local lines = { "TAP version 13", ("1..%d"):format(#outcomes) }
  for i, outcome in ipairs(outcomes) do
    local title = (outcome.title .. " (" .. outcome.where .. ")"):gsub("#", "\\#"):gsub("\n", " ")
    lines[#lines + 1] = ("%s %d - %s"):format(outcome.failure and "not ok" or "ok", i, title)
    if outcome.why_never then lines[#lines + 1] = "# it has met no call: " .. outcome.why_never:gsub("\n", " ") end
    if outcome.failure then
      lines[#lines + 1] = "  ---"
      lines[#lines + 1] = "  message: |"
      for line in expectation_module.describe(outcome.failure):gmatch("[^\n]+") do
        lines[#lines + 1] = "    " .. line
      end
      lines[#lines + 1] = "  ..."
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The XML that continuous-integration servers read.
function formats.junit(outcomes, about)
  local failures = 0
  for _, outcome in ipairs(outcomes) do
    if outcome.failure then failures = failures + 1 end
  end
  local lines = { '<?xml version="1.0" encoding="UTF-8"?>',
    ('<testsuite name="luatrace" tests="%d" failures="%d" errors="0" skipped="%d" time="%.3f">'):format(
      about.skipped and 1 or #outcomes, failures, about.skipped and 1 or 0, about.time or 0) }
  if about.skipped then
    lines[#lines + 1] = ('  <testcase name="luatrace" classname="luatrace"><skipped message="%s"/></testcase>'):format(
      xml(about.skipped))
  end
  for _, outcome in ipairs(outcomes) do
    local file, line = outcome.where:match("^(.*):(%d+)$")
    local head = ('  <testcase classname="%s" name="%s" file="%s" line="%s"'):format(xml(about.command or "luatrace"),
      xml(outcome.title), xml(file or outcome.where), line or "0")
    if outcome.failure then
      lines[#lines + 1] = head .. ">"
      lines[#lines + 1] = ('    <failure message="%s">%s</failure>'):format(xml(outcome.failure.message),
        xml(expectation_module.describe(outcome.failure)))
      lines[#lines + 1] = "  </testcase>"
    else
      lines[#lines + 1] = head .. "/>"
    end
  end
  lines[#lines + 1] = "</testsuite>"
  return table.concat(lines, "\n") .. "\n"
end

--- One object: { v, command, time, skipped, expectations: [{ title, where, ok, why_never, message, calls: [{ text, pid,
-- comm, stack, note }] }] }.
function formats.json(outcomes, about)
  local json = require "luatrace.output.json"
  local recorded_calls = require "luatrace.run.recorded_calls"
  local types = require "luatrace.types"
  local list = {}
  for i, outcome in ipairs(outcomes) do
    local item = { title = outcome.title, where = outcome.where, ok = outcome.failure == nil,
      why_never = outcome.why_never }
    if outcome.failure then
      item.message = outcome.failure.message
      local calls = {}
      for k, entry in ipairs(outcome.failure.calls) do
        local call = entry[1] or entry
        local stack = recorded_calls.stack_lines(call)
        calls[k] = { text = call.text, pid = call.process.pid, comm = call.process.comm, note = entry[1] and entry.note,
          stack = #stack > 0 and stack or types.empty_list }
      end
      item.calls = #calls > 0 and calls or types.empty_list
    end
    list[i] = item
  end
  local out = require("string.buffer").new()
  json.put_value(out, { v = 1, command = about.command, time = about.time, skipped = about.skipped,
    expectations = #list > 0 and list or types.empty_list })
  out:put("\n")
  return out:tostring()
end

--- Reads --report's value: what writes the report then; nil, what the option takes.
---@param text string
---@return (fun(outcomes: table[], about: table): true|nil, string?)|nil write, string? takes
function M.parse(text)
  local name, file = text:match("^(%a+):?(.*)$")
  local format = name and formats[name]
  if not format then return nil, "tap, junit:FILE or json:FILE" end
  return function(outcomes, about)
    local report = format(outcomes, about)
    if file == "" or file == "-" then
      io.stdout:write(report)
      return io.stdout:flush()
    end
    local handle, message = io.open(file, "we")
    if not handle then return nil, message end
    local ok, why = handle:write(report)
    if ok then ok, why = handle:close() else handle:close() end
    return ok, why
  end
end

return M
