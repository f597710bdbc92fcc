--- Colours for people: whether there are any, which, and how a trace's lines are painted.
--
--   local palette = colour.choose("auto", nil)          -- nil where standard error is no terminal, or NO_COLOR is set
--   local paint = colour.painter(palette)
--   paint('openat(AT_FDCWD, "x", O_RDONLY) = -1 ENOENT (No such file or directory)\n')
--
-- Lines are painted when they are written, after all alignment: widths are those of what one sees. A painter remembers
-- where in a line it is, for lines that come in pieces.

local sys = require "luatrace.sys"

local M = {}

---@class luatrace.Palette
local palette = { off = "\27[0m", call = "\27[1m", string = "\27[32m", comment = "\27[2m", who = "\27[2m",
  result = "\27[36m", failure = "\27[31m", signal = "\27[33m", good = "\27[2m", bad = "\27[1;31m", head = "\27[1m",
  category = "\27[35m", path = "\27[32m" }
M.palette = palette

--- Is what is written to this path (nil: standard error) seen on a terminal?
---@param path string|nil
---@return boolean
function M.is_terminal(path)
  if not path or path == "/dev/stderr" then return sys.isatty(2) end
  if path == "/dev/stdout" then return sys.isatty(1) end
  return (path:find("^/dev/tty") or path:find("^/dev/pts/")) ~= nil
end

--- Columns of the terminal; nil where there is none, or it does not say.
---@param path string|nil
---@return integer|nil
function M.width(path)
  if not M.is_terminal(path) then return nil end
  return sys.terminal_width(path == "/dev/stdout" and 1 or 2)
end

--- The palette, or nil for no colours.
---@param when "auto"|"always"|"never"|nil
---@param path string|nil where the output goes; nil: standard error
---@return luatrace.Palette|nil
function M.choose(when, path)
  if when == "always" then return palette end
  if when == "never" or (os.getenv("NO_COLOR") or "") ~= "" or os.getenv("TERM") == "dumb" then return nil end
  return M.is_terminal(path) and palette or nil
end

--- Strings and comments of arguments; stops before the result. Returns what is painted, and the rest.
local function paint_arguments(p, text)
  local parts, at = {}, 1
  while true do
    local from = text:find('["/)<]', at)
    if not from then
      parts[#parts + 1] = text:sub(at)
      return table.concat(parts), ""
    end
    local char = text:sub(from, from)
    local to
    if char == '"' then
      to = from
      repeat
        to = text:find('["\\]', to + 1)
        local escaped = to and text:sub(to, to) == "\\"
        if escaped then to = to + 1 end
      until not escaped
      to = to or #text
      parts[#parts + 1] = text:sub(at, from - 1) .. p.string .. text:sub(from, to) .. p.off
    elseif char == "/" and text:find("^/%*", from) then
      to = select(2, text:find("*/", from + 2, true)) or #text
      parts[#parts + 1] = text:sub(at, from - 1) .. p.comment .. text:sub(from, to) .. p.off
    elseif char == "<" and text:find("^<unfinished %.%.%.>", from) then
      to = from + 15
      parts[#parts + 1] = text:sub(at, from - 1) .. p.comment .. text:sub(from, to) .. p.off
    elseif char == ")" and text:find("^%)%s+= ", from) then
      parts[#parts + 1] = text:sub(at, from)
      return table.concat(parts), text:sub(from + 1)
    else
      to = from
      parts[#parts + 1] = text:sub(at, to)
    end
    at = to + 1
  end
end

local function paint_result(p, text)
  local spaces, value, rest = text:match("^(%s+= )(%S+)(.*)$")
  if not value then return text end
  local danger = rest:match(" /%* danger: .* %*/$")
  if danger then rest = rest:sub(1, -1 - #danger) end
  local failed = value == "-1" and rest:find("^ E")
  local colour = failed and p.failure or p.result
  local took = rest:match(" <[%d.]+>$")
  if took then rest = rest:sub(1, -1 - #took) end
  return spaces .. colour .. value .. (failed and rest .. p.off or p.off .. rest) ..
    (took and p.comment .. took .. p.off or "") .. (danger and p.bad .. danger .. p.off or "")
end

local leaders = { "^%[pid +%d+%] ", "^%d+ +%f[%a%-+<%[%d]", "^%[P[%w.]+%] ", "^%d[%d:.]+ ", "^ +%d+%.%d+ ",
  "^%[[ %x]+%] " }

--- The beginning of a line: whose it is, when; then the call's name.
local function paint_start(p, text)
  local head = {}
  local again = true
  while again do
    again = false
    for _, pattern in ipairs(leaders) do
      local found = text:match(pattern)
      if found and found ~= "" then
        head[#head + 1] = found
        text = text:sub(#found + 1)
        again = true
        break
      end
    end
  end
  local start = #head > 0 and p.who .. table.concat(head) .. p.off or ""
  if text:find("^%-%-%- ") then return start .. p.signal .. text .. p.off, "" end
  if text:find("^%+%+%+ ") then
    local colour = text:find("^%+%+%+ exited with 0 ") and p.good or text:find("^%+%+%+ superseded") and p.signal or
      p.bad
    return start .. colour .. text .. p.off, ""
  end
  if text:find("^ [>|@] ") then return start .. p.comment .. text .. p.off, "" end
  local resumed, after = text:match("^(<%.%.%. [%w_]+ resumed>)(.*)$")
  if resumed then return start .. p.comment .. resumed .. p.off, after end
  local name, rest = text:match("^([%w_]+)(%(.*)$")
  if name then return start .. p.call .. name .. p.off, rest end
  return start, text
end

--- A function that paints what is written, piece by piece.
---@param p luatrace.Palette|nil
---@return nil|fun(text: string): string
function M.painter(p)
  if not p then return nil end
  local inside = false -- of a line
  local function piece(text)
    local start = ""
    if not inside then start, text = paint_start(p, text) end
    local arguments, result = paint_arguments(p, text)
    return start .. arguments .. paint_result(p, result)
  end
  return function(text)
    local painted = text:gsub("([^\n]*)(\n?)", function(line, ending)
      if line == "" and ending == "" then return "" end
      local done = line == "" and "" or piece(line)
      inside = ending == ""
      return done .. ending
    end)
    return painted
  end
end

return M
