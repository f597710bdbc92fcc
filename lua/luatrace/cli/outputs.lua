--- From the command line to the outputs of a run: which, where, and what they show.
--
--   local list, message = outputs.choose(parsed, qualifiers, has_script)

local beyond = require "luatrace.cli.beyond"
local quote = require "luatrace.text.quote"
local text_style = require "luatrace.cli.text_style"
local writing = require "luatrace.text.style"

local M = {}

--- Any of these says that output is wanted, script or not.
local asks_for_output = { "format", "by", "footprint", "normalize", "mark", "tree", "output", "summary",
  "summary_only", "paths" }

--- What the decoder looks at: call.text_options.
---@param parsed table luatrace.cli.options
---@param q table luatrace.cli.qualifiers
---@return table
function M.text_options(parsed, q)
  local looks = text_style.of(parsed, q)
  return looks and looks.decoder or {}
end

--- What -c leaves no room for, as strace says it.
local without_lines = { { "pointer", "-i/--instruction-pointer" }, { "stack", "-k/--stack-traces" },
  { "number_shown", "-n/--syscall-number" }, { "relative", "-r/--relative-timestamps" },
  { "stamps", "-t/--absolute-timestamps" }, { "duration", "-T/--syscall-times" }, { "decode_fds", "-y/--decode-fds" } }

local function warn(parsed, text)
  io.stderr:write(parsed.called_as or "luatrace", ": ", text, "\n")
end

--- What is of use with others only: strace refuses some, and says of the others that they do nothing.
local function refuse_alone(parsed)
  local counts = parsed.summary_only or parsed.summary
  for _, item in ipairs(not counts and { { "summary_columns", "-U" }, { "wall_clock", "-w" } } or {}) do
    if parsed[item[1]] then return item[2] .. " is for the table of -c or -C" end
  end
  if parsed.sort_by and not counts then warn(parsed, "-S/--summary-sort-by has no effect without " ..
    "(-c/--summary-only or -C/--summary)") end
  if parsed.append and not parsed.output then
    warn(parsed, "-A/--output-append-mode has no effect without -o/--output")
  end
end

--- -P, -e trace-fds=; what a path resolves to is said, as strace says it.
local function only_of(parsed, q, style)
  if not parsed.paths and not q.trace_fds then return nil end
  if q.only then return q.only end
  local filter = require("luatrace.filter.path_filter").new(parsed.paths, q.trace_fds)
  if not style.quiet["path-resolution"] then
    for _, pair in ipairs(filter.resolved) do
      warn(parsed, ("Requested path %s resolved into %s"):format(quote.string(pair[1]), quote.string(pair[2])))
    end
  end
  q.only = filter
  return filter
end

--- -c and -C: the table, and where it goes; `lines` is the output before it, `text` whether that is plain text.
local function open_summary(parsed, q, style, extras, lines, is_text)
  local summary = require "luatrace.output.summary"
  local columns, why
  if parsed.summary_columns then columns, why = summary.parse_columns(parsed.summary_columns) end
  if why then return nil, why end
  local through, target = is_text and parsed.output and lines or nil, nil
  if not through then
    -- By itself it has the file; behind lines of another kind, standard error.
    target, why = require("luatrace.output.sink").open { path = parsed.summary_only and parsed.output or nil,
      append = parsed.append }
    if not target then return nil, why end
  end
  for _, item in ipairs(parsed.summary_only and without_lines or {}) do
    if parsed[item[1]] then
      warn(parsed, item[2] .. " has no effect with -c/--summary-only")
    end
  end
  return summary.open { calls = q.trace, sort_by = parsed.sort_by, columns = columns, sink = target, through = through,
    by = parsed.by, quiet = style.quiet.attach or not parsed.summary_only, only = only_of(parsed, q, style),
    called_as = parsed.called_as, wall_clock = parsed.wall_clock, overhead = parsed.overhead, palette = extras.palette,
    width = extras.width }
end

--- The outputs that the command line asks for.
---@param parsed table luatrace.cli.options
---@param q table luatrace.cli.qualifiers; its `trace` becomes "none" where only rules trace
---@param has_script boolean
---@param has_trace_rules boolean|nil the script chooses calls by trace(...)
---@return table[]|nil outputs, string? message
function M.choose(parsed, q, has_script, has_trace_rules)
  local wanted = not has_script and not parsed.stuck or has_trace_rules
  for _, field in ipairs(asks_for_output) do wanted = wanted or parsed[field] ~= nil end
  for key in pairs(q) do wanted = wanted or key ~= "injections" and key ~= "ignored" end
  if q.ignored then warn(parsed, q.ignored) end
  if not wanted then return {} end
  if has_trace_rules and not q.trace then q.trace = "none" end
  local message = beyond.refuse(parsed, q) or refuse_alone(parsed)
  if message then return nil, message end
  if parsed.summary_only and parsed.summary then return nil, "-c and -C cannot be given together" end
  if (parsed.follow or 0) >= 2 then parsed.separate = true end
  if parsed.separate and (parsed.summary_only or parsed.summary) then
    return nil, "-c and -C are for all processes together: they cannot be given with -ff or --output-separately"
  end
  if parsed.separate and not parsed.output then
    if (parsed.follow or 0) < 2 then return nil, "--output-separately needs -o FILE" end
    parsed.separate = nil
  end
  local looks, wrong = text_style.of(parsed, q)
  if not looks then return nil, wrong end
  writing.set(looks.writing)
  local extras, trouble = beyond.extras(parsed, q.trace)
  if not extras then return nil, trouble end
  local outputs = extras.observers
  if parsed.tree then
    local output, why = require("luatrace.output.tree").open { path = parsed.output, append = parsed.append,
      palette = extras.palette, width = extras.width }
    if not output then return nil, why end
    return { output }
  end
  if parsed.format == "json" and not parsed.summary_only then
    local output, why = require("luatrace.output.json").open { path = parsed.output, append = parsed.append,
      sink = extras.sink, normal = extras.normal,
      calls = q.trace, stack = parsed.stack, paths = only_of(parsed, q, looks.style), style = looks.style }
    if not output then return nil, why end
    outputs[#outputs + 1] = output
  elseif not parsed.summary_only then
    local style = looks.style
    beyond.style(style, extras, parsed.format == "human")
    style.only = only_of(parsed, q, style)
    local output, why = beyond.open_lines(parsed, extras, { path = parsed.output, separate = parsed.separate,
      append = parsed.append, calls = q.trace, style = style, name = parsed.called_as, sink = extras.sink,
      paint = extras.paint })
    if not output then return nil, why end
    outputs[#outputs + 1] = output
  end
  if parsed.summary_only or parsed.summary then
    local lines = outputs[#outputs]
    local is_text = (parsed.format or "text") == "text" and not parsed.summary_only
    local summary, why = open_summary(parsed, q, looks.style, extras, lines, is_text)
    if not summary then return nil, why end
    -- Where it stands at the end of the lines, it must be ready before they end.
    table.insert(outputs, summary.through and #outputs or #outputs + 1, summary)
  end
  for _, output in ipairs(outputs) do output.shows_selected = true end
  return outputs
end

return M
