--- From the command line to the outputs of a run: which, where, and what they show.
--
--   local list, message = outputs.choose(parsed, has_script)

local beyond = require "luatrace.beyond"
local qualifiers = require "luatrace.qualifiers"

local M = {}

local stamp_styles = { "time", "usec", "epoch" }
local quiet_levels = {
  { attach = true, personality = true },
  { attach = true, personality = true, exit = true },
  { attach = true, personality = true, exit = true, ["path-resolution"] = true, ["thread-execve"] = true },
}

--- Any of these says that output is wanted, script or not.
local asks_for_output = { "format", "normalize", "tree", "expressions", "output", "summary", "summary_only", "paths" }

local function copy(set)
  local result = {}
  for key, value in pairs(set or {}) do result[key] = value end
  return result
end

local function style_of(parsed, q)
  local quiet = copy(quiet_levels[math.min(parsed.quiet or 0, 3)])
  for name in pairs(q.quiet or {}) do quiet[name] = true end
  local style = { column = parsed.column, stamp = stamp_styles[math.min(parsed.stamps or 0, 3)],
    relative = parsed.relative, duration = parsed.duration, pointer = parsed.pointer, number = parsed.number_shown,
    stack = parsed.stack, status = q.status, raw = q.raw, signals = q.signal, quiet = quiet,
    dump_read = q.read, dump_write = q.write }
  if parsed.separate then
    style.pid = parsed.always_pid and "always" or "never"
  elseif parsed.always_pid or (parsed.output and not parsed.no_follow) then
    style.pid = "always"
  elseif parsed.output then
    style.pid = "never"
  end
  if (parsed.quiet or 0) >= 3 then style.signals = q.signal or nil end
  return style
end

--- What the decoder looks at: call.text_options.
function M.text_options(parsed)
  local q = qualifiers.parse(parsed.expressions or {}) or {}
  local fds = q.decode_fds and next(q.decode_fds) and 1 or nil
  local unabbreviated = q.abbrev and next(q.abbrev) == nil or nil
  return { string_limit = parsed.string_limit, decode_fds = parsed.decode_fds or fds,
    verbose = parsed.verbose or unabbreviated, normal = parsed.normal,
  }
end

local function summary_columns(text)
  if not text then return nil end
  local summary = require "luatrace.output.summary"
  local list = {}
  for name in text:gmatch("[^,]+") do
    if name ~= "name" and name ~= "syscall" then
      local known = ({ count = "calls", error = "errors", time = "time-percent" })[name] or name
      if not summary.columns[known] then return nil, ("-U: there is no column %q"):format(name) end
      list[#list + 1] = known
    end
  end
  return list
end

--- What strace would do and luatrace does not yet is refused by name, never ignored.
local function unsupported(parsed, q)
  if (parsed.decode_fds or 0) > 1 then return "strace's -yy is not supported: -y shows what descriptors are open on" end
  local fds = parsed.decode_fds_value
  if fds and fds ~= "path" then return ("--decode-fds takes path, not %q"):format(fds) end
  if q.decode_fds and (q.decode_fds.socket or q.decode_fds.dev or q.decode_fds.pidfd) then
    return "-e decode-fds= takes path and nothing else"
  end
  if q.verbose then return "-e verbose= is not supported: -v shows structs in full" end
  if q.abbrev and next(q.abbrev) then return "-e abbrev= takes none (the same as -v), and nothing else" end
  if parsed.stamps_value then return "--absolute-timestamps takes no value: use -t, -tt or -ttt" end
  if parsed.quiet_value then return "--quiet takes no value: use -e quiet=SET" end
end

--- The outputs that the command line asks for.
---@param parsed table luatrace.options
---@param has_script boolean
---@return table[]|nil outputs, string? message
function M.choose(parsed, has_script)
  local wanted = not has_script
  for _, field in ipairs(asks_for_output) do wanted = wanted or parsed[field] ~= nil end
  if not wanted then return {} end
  local q, message = qualifiers.parse(parsed.expressions or {})
  if not q then return nil, message end
  message = unsupported(parsed, q) or beyond.refuse(parsed)
  if message then return nil, message end
  if (parsed.follow or 0) >= 2 then parsed.separate = true end
  if parsed.separate and not parsed.output then
    if (parsed.follow or 0) < 2 then return nil, "--output-separately needs -o FILE" end
    parsed.separate = nil
  end
  local extras, trouble = beyond.extras(parsed, q.trace)
  if not extras then return nil, trouble end
  local outputs = { extras.normal }
  if parsed.tree then
    local output, why = require("luatrace.output.tree").open { path = parsed.output, append = parsed.append,
      palette = extras.palette, width = extras.width }
    if not output then return nil, why end
    return { output }
  end
  if parsed.format == "json" and not parsed.summary_only then
    local text = require "luatrace.output.text"
    local output, why = require("luatrace.output.json").open { path = parsed.output, append = parsed.append,
      sink = extras.sink, normal = extras.normal,
      calls = q.trace, stack = parsed.stack, paths = parsed.paths and text.path_filter(parsed.paths) }
    if not output then return nil, why end
    outputs[#outputs + 1] = output
  elseif not parsed.summary_only then
    local text = require "luatrace.output.text"
    local style = style_of(parsed, q)
    beyond.style(style, extras)
    if parsed.paths then style.paths = text.path_filter(parsed.paths) end
    local output, why = text.open { path = parsed.output, separate = parsed.separate, append = parsed.append,
      calls = q.trace, style = style, name = parsed.called_as, sink = extras.sink,
      paint = extras.paint }
    if not output then return nil, why end
    outputs[#outputs + 1] = output
  end
  if parsed.summary_only or parsed.summary then
    local columns, why = summary_columns(parsed.summary_columns)
    if why then return nil, why end
    local file = io.stderr
    if parsed.output and parsed.summary_only then
      file, why = io.open(parsed.output, parsed.append and "ae" or "we")
      if not file then return nil, "cannot write to " .. why end
    end
    outputs[#outputs + 1] = require("luatrace.output.summary").open { calls = q.trace, sort_by = parsed.sort_by,
      columns = columns, file = file }
  end
  return outputs
end

return M
