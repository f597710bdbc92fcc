--- What the outputs have that strace has not, from the command line: --normalize, --color, --mark, --footprint,
-- --format=human, --group-by, -c --by. outputs.lua asks here for its parts, so that strace's options stay readable
-- there.
--
--   local message = beyond.refuse(parsed)              -- options that contradict each other
--   local extras, message = beyond.extras(parsed, calls)   -- { normal =, sink =, colour =, footprint =, mark = }

local colour = require "luatrace.output.colour"

local M = {}

--- Options of lines of calls, which sentences have not.
local for_text = { { "footprint", "--footprint" }, { "pointer", "-i" }, { "number_shown", "-n" }, { "column", "-a" },
  { "argument_names", "-N" }, { "strings_hex", "-x" }, { "strings_hex_long", "--strings-in-hex" }, { "verbose", "-v" },
  { "decode_fds", "-y" }, { "decode_fds_long", "--decode-fds" }, { "decode_pids", "-Y" } }

local function refuse_human(parsed, q)
  for _, pair in ipairs(for_text) do
    if parsed[pair[1]] then return pair[2] .. " is for --format=text or json: sentences have no such thing" end
  end
  for _, keyword in ipairs { "raw", "read", "write", "abbrev", "verbose", "decode_fds" } do
    if q[keyword] then return ("-e %s= is for --format=text"):format(keyword:gsub("_", "-")) end
  end
  if parsed.group_by and (parsed.stack or parsed.stamps or parsed.relative or parsed.duration or parsed.separate) then
    return "--group-by says equal things once: -k, -t, -r, -T and -ff cannot be used with it"
  end
end

--- Options of lines, where there are none.
local for_lines = { { "normalize", "--normalize" }, { "footprint", "--footprint" }, { "mark", "--mark" },
  { "group_by", "--group-by" } }

--- Options that mean nothing together; a message that says what to leave out.
---@param parsed table luatrace.cli.options
---@param q table luatrace.cli.qualifiers
---@return string|nil message
function M.refuse(parsed, q)
  if parsed.summary_only or parsed.tree then
    for _, pair in ipairs(for_lines) do
      if parsed[pair[1]] then
        return ("%s is for lines: it cannot be used with %s"):format(pair[2], parsed.tree and "--tree" or "-c")
      end
    end
  end
  if parsed.format == "json" and parsed.color == "always" then return "--color: JSON has no colours" end
  if parsed.normalize then
    if parsed.stamps or parsed.stamps_long or parsed.relative or parsed.relative_long or parsed.duration or
      parsed.duration_long then
      return "--normalize leaves times out: it cannot be used with -t, -r or -T"
    end
    if parsed.summary then return "--normalize leaves times out: it cannot be used with -C" end
    if parsed.group_by then
      return "--normalize keeps each thread's lines in their order: it cannot be used with --group-by"
    end
  end
  if parsed.by and not (parsed.summary_only or parsed.summary) then return "--by needs -c or -C" end
  if parsed.group_by and parsed.format ~= "human" then return "--group-by needs --format=human" end
  if parsed.format == "human" then return refuse_human(parsed, q) end
end

--- What the outputs of this run share.
---@param parsed table luatrace.cli.options
---@param calls string|nil what -e trace= names
---@return table|nil extras, string? message
function M.extras(parsed, calls)
  local extras = { observers = {} }
  if parsed.format ~= "json" then
    local palette = colour.choose(parsed.color, parsed.output)
    extras.palette, extras.width = palette, colour.width(parsed.output)
    extras.paint = (parsed.format or "text") == "text" and not parsed.tree and colour.painter(palette) or nil
  end
  if parsed.normalize then
    local normal = require("luatrace.output.normalize").new { calls = calls }
    local target, message = require("luatrace.output.normal_sink").open({ path = parsed.output, append = parsed.append,
      paint = extras.paint, separate = parsed.separate, prefixed = parsed.format ~= "json" }, normal)
    if not target then return nil, message end
    extras.normal, extras.sink, parsed.normal = normal, target, normal
    extras.observers[1] = normal
  end
  if parsed.footprint then table.insert(extras.observers, require("luatrace.decode.footprint").observer()) end
  if parsed.mark then table.insert(extras.observers, require("luatrace.output.danger").observer()) end
  return extras
end

--- The output of lines: text, or sentences.
---@param options table text.open's
function M.open_lines(parsed, extras, options)
  if parsed.format ~= "human" then return require("luatrace.output.text").open(options) end
  options.group_by, options.mark, options.palette, options.normal = parsed.group_by, parsed.mark, extras.palette,
    extras.normal
  return require("luatrace.output.human").open(options)
end

--- With --normalize: no ids before the lines, no talk of children, no SIGCHLD.
---@param style luatrace.TextStyle
---@param extras table
function M.style(style, extras, human)
  if human then style.quiet.attach = true end
  if not extras.normal then return end
  style.pid = "never"
  style.quiet.attach = true
  if not style.signals then
    style.signals = setmetatable({ SIGCHLD = false }, { __index = function() return true end })
  end
end

return M
