--- From the command line to how lines of text look: what begins and ends them, what is decoded, what is left out.
--
--   local looks, message = text_style.of(parsed, qualifiers)
--   looks.style      -- luatrace.TextStyle, for output/text.lua
--   looks.decoder    -- call.text_options, for types
--   looks.writing    -- luatrace.TextWriting, for text/style.lua

local M = {}

local precisions = { s = 0, ms = 3, us = 6, ns = 9 }
local PRECISIONS = "s, ms, us or ns"

--- -q, -qq, -qqq.
local quiet_levels = {
  { attach = true, personality = true },
  { attach = true, personality = true, exit = true },
  { attach = true, personality = true, exit = true, ["path-resolution"] = true, ["thread-execve"] = true },
}

--- A letter that is counted and a long name that takes a value say the same thing twice.
local exclusive = {
  { "stamps", "-t", "--absolute-timestamps" }, { "strings_hex", "-x", "--strings-in-hex" },
  { "decode_fds", "-y", "--decode-fds" }, { "daemonize", "-D", "--daemonize" },
}

---@param parsed table luatrace.cli.options
---@return true|nil, string? message
function M.check(parsed, q)
  if parsed.quiet and q.quiet then return nil, "-q and -e quiet= (--quiet) cannot be given together" end
  if parsed.decode_fds and q.decode_fds then return nil, "-y and -e decode-fds= cannot be given together" end
  if parsed.decode_pids and q.decode_pids then return nil, "-Y and --decode-pids= cannot be given together" end
  for _, item in ipairs(exclusive) do
    if parsed[item[1]] and parsed[item[1] .. "_long"] then
      return nil, ("%s and %s cannot be given together"):format(item[2], item[3])
    end
  end
  return true
end

local stamp_levels = { { format = "time", digits = 0 }, { format = "time", digits = 6 },
  { format = "unix", digits = 6 } }

--- -t, -tt, -ttt, --absolute-timestamps=[[format:]FORMAT[,[precision:]PRECISION]]
local function stamp_of(parsed)
  local text = parsed.stamps_value
  if not text then
    if parsed.stamps_long then return stamp_levels[1] end
    return parsed.stamps and stamp_levels[math.min(parsed.stamps, 3)]
  end
  local stamp = { format = "time", digits = 0 }
  for word in (text .. ","):gmatch("([^,]*),") do
    local format = word:match("^format:(.*)$") or word
    local precision = word:match("^precision:(.*)$") or word
    if format == "none" or format == "time" or format == "unix" then
      stamp.format = format
    elseif precisions[precision] then
      stamp.digits = precisions[precision]
    else
      return nil, ("--absolute-timestamps takes none, time or unix and a precision, %s: not %q"):format(PRECISIONS,
        word)
    end
  end
  return stamp.format ~= "none" and stamp or nil
end

local function precision_of(parsed, field, option)
  local text = parsed[field .. "_value"]
  if not text then return parsed[field] and precisions.us or parsed[field .. "_long"] and precisions.us end
  local digits = precisions[text]
  if not digits then return nil, ("%s takes %s, not %q"):format(option, PRECISIONS, text) end
  return digits
end

local hex_levels = { "non-ascii", "all" }
local function strings_of(parsed)
  if parsed.strings_hex_value then return parsed.strings_hex_value end
  if parsed.strings_hex_long then return "all" end
  return parsed.strings_hex and hex_levels[math.min(parsed.strings_hex, 2)]
end

--- A set, or nil when it is empty.
local function filled(set) return set and next(set) ~= nil and set or nil end

local all_fds = { path = true, socket = true, dev = true, pidfd = true }
local function decoded_fds(parsed, q)
  if q.decode_fds then return filled(q.decode_fds) end
  local count = parsed.decode_fds or parsed.decode_fds_long and 1 or 0
  return count == 1 and { path = true } or count > 1 and all_fds or nil
end

local function decoded_pids(parsed, q)
  if q.decode_pids then return filled(q.decode_pids) end
  return (parsed.decode_pids or parsed.decode_pids_long) and { comm = true } or nil
end

--- What types look at. Options that name sets of calls make it differ from call to call: by_name.
local function decoder_of(parsed, q)
  local base = { string_limit = parsed.string_limit, decode_fds = decoded_fds(parsed, q),
    decode_pids = decoded_pids(parsed, q), verbose = parsed.verbose,
    normal = parsed.normal, names = parsed.argument_names }
  local abbreviated, dereferenced = q.abbrev, q.verbose
  if not abbreviated and not dereferenced then return base end
  local known = {}
  function base.by_name(name)
    local options = known[name]
    if not options then
      options = setmetatable({}, { __index = base })
      if abbreviated then options.verbose = not abbreviated[name] end
      if dereferenced then options.addresses_only = not dereferenced[name] end
      known[name] = options
    end
    return options
  end
  return base
end

local function quiet_of(parsed, q)
  local quiet = {}
  for name in pairs(quiet_levels[math.min(parsed.quiet or parsed.quiet_long and 1 or 0, 3)] or {}) do
    quiet[name] = true
  end
  for name in pairs(q.quiet or {}) do quiet[name] = true end
  -- Who reads a file has no use for what is meant for a terminal.
  if parsed.output and not parsed.attach then quiet.attach, quiet.personality = true, true end
  return quiet
end

--- Whether lines begin with the process's id.
local function pid_of(parsed)
  if parsed.separate then return parsed.always_pid and "always" or "never" end
  if parsed.always_pid or (parsed.output and not parsed.no_follow) then return "always" end
  return parsed.output and "never" or nil
end

---@param parsed table luatrace.cli.options
---@param q table luatrace.cli.qualifiers
---@return { style: luatrace.TextStyle, decoder: table, writing: luatrace.TextWriting }|nil, string? message
function M.of(parsed, q)
  local ok, message = M.check(parsed, q)
  if not ok then return nil, message end
  local style = { column = parsed.column, pointer = parsed.pointer, number = parsed.number_shown, stack = parsed.stack,
    status = q.status, raw = q.raw, signals = q.signal, quiet = quiet_of(parsed, q), pid = pid_of(parsed),
    dump_read = q.read, dump_write = q.write, pids = decoded_pids(parsed, q) }
  style.stamp, message = stamp_of(parsed)
  if message then return nil, message end
  style.relative, message = precision_of(parsed, "relative", "--relative-timestamps")
  if message then return nil, message end
  style.duration, message = precision_of(parsed, "duration", "--syscall-times")
  if message then return nil, message end
  return { style = style, decoder = decoder_of(parsed, q),
    writing = { strings = strings_of(parsed), constants = parsed.constants } }
end

return M
