--- A sweep's outcome as one HTML page that needs nothing else: what was found and how to see it again, the program's
-- calls in a row with what became of failing each, and every run.

local confirm = require "luatrace.sweep.confirm"
local reproduce = require "luatrace.sweep.reproduce"
local verdict = require "luatrace.sweep.verdict"

local M = {}

local entities = { ["<"] = "&lt;", [">"] = "&gt;", ["&"] = "&amp;", ['"'] = "&quot;", ["'"] = "&#39;", ["\n"] = "\n" }

--- Names and output of programs are data, and maybe no UTF-8.
local function html(text)
  return (tostring(text):gsub('[%c\127-\255<>&"\']', function(c)
    return entities[c] or ("\\x%02x"):format(c:byte())
  end))
end

local style = [[
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #2a7d46; --bad: #c0392b; --warn: #b9770e;
  --dim: #888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
code, pre, .mono { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .87em; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .7em; overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .left td, .left th { text-align: left; }
.scroll { overflow-x: auto; }
.chip { display: inline-block; border-radius: 4px; padding: 0 .5em; color: #fff; font-size: .85em; font-weight: 600; }
.tolerated, .clean-fail { background: var(--good); } .not-reached, .none { background: var(--dim); }
.DESTROYED, .SILENT-LOSS, .CRASH, .HANG { background: var(--bad); } .LEFTOVER { background: var(--warn); }
section { border: 1px solid var(--line); border-radius: 8px; padding: .4rem 1rem; margin: 1rem 0; }
section h3 { margin: .4rem 0; font-size: 1rem; }
.strip { display: flex; flex-wrap: wrap; gap: 2px; }
.strip a, .strip span { display: block; width: 11px; height: 18px; border-radius: 2px; opacity: .9; }
.strip .none { opacity: .3; }
.process { margin: .6rem 0 .2rem; color: var(--dim); }
details summary { cursor: pointer; }
]]

local function put(out, text, ...)
  out[#out + 1] = select("#", ...) > 0 and text:format(...) or text
end

local function chip(word) return ('<span class="chip %s">%s</span>'):format(word, word) end

local function summary(out, report)
  put(out, '<div class="scroll"><table><tr><th>faults<th>runs')
  local columns = {}
  for _, word in ipairs(verdict.order) do
    for _, family in ipairs(report.families) do
      if report.counts[family][word] then
        columns[#columns + 1] = word
        put(out, "<th>%s", word)
        break
      end
    end
  end
  for _, family in ipairs(report.families) do
    local total = 0
    for _, count in pairs(report.counts[family]) do total = total + count end
    put(out, "<tr><td>%s<td>%d", html(family), total)
    for _, word in ipairs(columns) do
      local count = report.counts[family][word]
      put(out, "<td>%s", count and (verdict.finding[word] and "<b>" .. count .. "</b>" or count) or "")
    end
  end
  put(out, "</table></div>")
end

local function difference(out, finding)
  local rows = {}
  for _, item in ipairs(finding.details) do
    if item.path and item.path ~= "<check>" then
      rows[#rows + 1] = ("<tr><td class=mono>%s<td>%s<td>%s<td>%s"):format(html(item.path),
        html(item.before or "nothing"), html(item.now or ""), html(item.clean or "nothing"))
    else
      put(out, "<p>%s</p>", html(confirm.detail_text(item)))
    end
  end
  if #rows == 0 then return end
  put(out, '<div class="scroll"><table class=left><tr><th>file<th>before<th>after this run<th>after a clean run%s' ..
    "</table></div>", table.concat(rows))
end

local function one(out, finding, command)
  put(out, '<section id="f%d"><h3>%d. %s %s</h3>', finding.number, finding.number, chip(finding.verdict),
    html(finding.title))
  put(out, "<p>%s%s; %d run%s at this place</p>", html(finding.ending),
    finding.confirmed and (", seen again in %s runs of the script"):format(finding.confirmed) or "", finding.runs,
    finding.runs == 1 and " ends so" or "s end so")
  difference(out, finding)
  if finding.stderr and finding.stderr ~= "" then
    put(out, "<p>It said:</p><pre>%s</pre>", html(finding.stderr))
  end
  local line = reproduce.command_line(command)
  if finding.call == "powerloss" then
    put(out, "<p>To have that state of the files:</p><pre>luatrace %s\n", html(finding.script or "FILE.lua"))
  else
    put(out, "<p>To see it again, in a copy of its files:</p><pre>luatrace %s -- %s\n",
      html(finding.script or "FILE.lua"), html(line))
  end
  if finding.strace then put(out, "%s %s\n", html(finding.strace), html(line)) end
  if finding.recipe then put(out, "%s\n", html(finding.recipe)) end
  put(out, "</pre><details><summary>the script</summary><pre>%s</pre></details>", html(finding.code))
  if finding.frames and #finding.frames > 0 then
    put(out, "<details open><summary>%s</summary><pre>",
      finding.call == "powerloss" and "what was on the disk" or "the stack of the call")
    for _, frame in ipairs(finding.frames) do put(out, "%s\n", html(frame)) end
    put(out, "</pre></details>")
  end
  put(out, "</section>")
end

local weight = { ["not-reached"] = 0, tolerated = 1, ["clean-fail"] = 2, LEFTOVER = 3, HANG = 4, CRASH = 5,
  ["SILENT-LOSS"] = 6, DESTROYED = 7 }

--- The calls of the clean run in their order, a box each, coloured by the worst that came of failing it or its place.
local function timeline(out, report)
  if not report.timeline or #report.timeline == 0 then return end
  local worst, anchors = {}, {}
  for _, run in ipairs(report.runs) do
    local key = run.call .. " " .. (run.site or "")
    if not worst[key] or weight[run.verdict] > weight[worst[key]] then worst[key] = run.verdict end
  end
  for _, finding in ipairs(report.findings) do
    local key = finding.call .. " " .. (finding.site or "")
    anchors[key] = anchors[key] or finding.number
  end
  put(out, "<h2>The program's calls</h2><p>In their order; red: failing this place was a finding; green: the " ..
    "program coped; grey: no fault fits.</p>")
  local process
  for _, event in ipairs(report.timeline) do
    if event.process ~= process then
      if process then put(out, "</div>") end
      process = event.process
      put(out, '<div class="process">process %s</div><div class="strip">', html(process))
    end
    local key = event.name .. " " .. (event.site or "")
    local word = not event.loader and worst[key] or "none"
    local title = ("%s#%d%s = %s%s"):format(event.name, event.hit, event.path and " " .. event.path or "",
      tostring(event.errno or event.ret), word ~= "none" and ": " .. word or "")
    if anchors[key] and word ~= "none" then
      put(out, '<a class="%s" href="#f%d" title="%s"></a>', word, anchors[key], html(title))
    else
      put(out, '<span class="%s" title="%s"></span>', word, html(title))
    end
  end
  put(out, "</div>")
end

local function all_runs(out, report)
  put(out, "<h2>All runs</h2><details><summary>%d runs</summary><div class=scroll><table class=left>" ..
    "<tr><th>call<th>file<th>fault<th>verdict<th>end<th>seconds", #report.runs)
  for _, run in ipairs(report.runs) do
    put(out, "<tr><td class=mono>%s<td class=mono>%s<td>%s<td>%s<td>%s<td>%.3f", html(run.call),
      html(run.path or ""), html(run.fault), chip(run.verdict),
      run.signal and "signal " .. run.signal or "status " .. tostring(run.status), run.seconds or 0)
  end
  put(out, "</table></div></details>")
end

---@param report table see luatrace.sweep
---@return string
function M.render(report)
  local out = {}
  local line = reproduce.command_line(report.command)
  put(out, '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">')
  put(out, "<title>luatrace sweep: %s</title><style>%s</style>", html(line), style)
  put(out, "<h1>luatrace sweep: <code>%s</code></h1>", html(line))
  put(out, "<p>%d calls at %d places; %d of %d runs in %.1f s, %.0f a second. <b>%s</b></p>", report.calls,
    report.sites, report.ran, report.planned, report.seconds, report.ran / math.max(report.run_seconds, 0.001),
    #report.findings == 0 and "Nothing found." or ("%d finding%s."):format(#report.findings,
      #report.findings == 1 and "" or "s"))
  if report.states then put(out, "<p>%d states that a power loss may leave.</p>", report.states) end
  for _, text in ipairs(report.warnings) do put(out, "<p>Note: %s</p>", html(text)) end
  for _, text in ipairs(report.errors) do put(out, "<p>Error: %s</p>", html(text)) end
  if not report.complete then put(out, "<p>Not all runs were made.</p>") end
  summary(out, report)
  if #report.findings > 0 then put(out, "<h2>Findings</h2>") end
  for _, finding in ipairs(report.findings) do one(out, finding, report.command) end
  timeline(out, report)
  all_runs(out, report)
  put(out, "</html>\n")
  return table.concat(out)
end

return M
