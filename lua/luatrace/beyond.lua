--- What the outputs have that strace has not, from the command line: --normalize, --color, --mark, --footprint,
-- --format=human, --group-by, -c --by. outputs.lua asks here for its parts, so that strace's options stay readable
-- there.
--
--   local message = beyond.refuse(parsed)              -- options that contradict each other
--   local extras, message = beyond.extras(parsed, calls)   -- { normal =, sink =, colour =, footprint =, mark = }

local colour = require "luatrace.output.colour"

local M = {}

--- Options that mean nothing together; a message that says what to leave out.
---@param parsed table luatrace.options
---@return string|nil message
function M.refuse(parsed)
  if parsed.normalize then
    if parsed.stamps or parsed.relative or parsed.duration then
      return "--normalize leaves times out: it cannot be used with -t, -r or -T"
    end
    if parsed.summary_only or parsed.summary or parsed.tree then
      return "--normalize is for lines: it cannot be used with -c, -C or --tree"
    end
  end
end

--- What the outputs of this run share.
---@param parsed table luatrace.options
---@param calls string|nil what -e trace= names
---@return table|nil extras, string? message
function M.extras(parsed, calls)
  local extras = {}
  if parsed.format ~= "json" then
    local palette = colour.choose(parsed.color, parsed.output)
    extras.palette, extras.width = palette, colour.width(parsed.output)
    extras.paint = (parsed.format or "text") == "text" and not parsed.tree and colour.painter(palette) or nil
  end
  if parsed.normalize then
    local normal = require("luatrace.normalize").new { calls = calls }
    local target, message = require("luatrace.output.normal_sink").open({ path = parsed.output, append = parsed.append,
      paint = extras.paint, separate = parsed.separate, prefixed = parsed.format ~= "json" }, normal)
    if not target then return nil, message end
    extras.normal, extras.sink, parsed.normal = normal, target, normal
  end
  return extras
end

--- With --normalize: no ids before the lines, no talk of children, no SIGCHLD.
---@param style luatrace.TextStyle
---@param extras table
function M.style(style, extras)
  if not extras.normal then return end
  style.pid = "never"
  style.quiet.attach = true
  if not style.signals then
    style.signals = setmetatable({ SIGCHLD = false }, { __index = function() return true end })
  end
end

return M
