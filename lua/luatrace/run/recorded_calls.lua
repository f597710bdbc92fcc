--- Calls that were written down while the program ran: `run.calls`.
--
--   local run = luatrace.run { cmd = { "sh", "-c", "echo hello >out" }, record = "openat,write,dup2" }
--   local writes = run.calls:where { call = "write", path = "*/out" }
--   print(writes:count(), writes:total "ret", writes:first().buf)      -- 1  6  "hello\n"
--   for _, call in ipairs(run.calls) do print(call.process.comm, call, call.errno) end
--
-- A recorded call has what a live one has: name, its arguments by name, ret, errno, time, duration, process, thread,
-- stack(). Descriptors keep what they were open on, structs are plain tables, buffers keep their first `bytes` bytes.
--
-- What is kept is bounded: of more than `max` calls the first and the last half. The counts (run.calls.write.count) are
-- of all; whoever asks a shortened list for a number is told so.

local decode = require "luatrace.decode"
local event = require "luatrace.event"
local filter = require "luatrace.filter"
local matcher = require "luatrace.filter.matcher"
local predicates = require "luatrace.filter.predicates"

local misuse = event.misuse

local M = {}

-- --- one call -------------------------------------------------------------------------------------------------------

---@class luatrace.RecordedCall
---@field name string
---@field ret any what the program saw; -1 when the call failed; nil when it never returned
---@field errno string|nil
---@field time number seconds of CLOCK_MONOTONIC when it was entered
---@field duration number|nil seconds
---@field process luatrace.RecordedProcess
---@field thread { tid: integer }
---@field arch "x86_64"|"i386"|"x32"
---@field path string|nil absolute path of the file that it names, or that its descriptor is open on
---@field text string as strace prints it, with what descriptors are open on
---@field injected boolean|nil the answer is luatrace's own
local Call = {}
Call.__index = Call
M.Call = Call
Call.__tostring = function(call) return call.text or call.name end

--- The stack of the calling thread, innermost frame first.
---@return { ip: any, symbol: string?, offset: integer?, module: string?, module_offset: integer? }[]
function Call:stack()
  return self.frames or misuse("stacks were not recorded: run with record = { calls = ..., stack = true }")
end

--- The files that it names and that its descriptors are open on: what predicates ask.
---@return string[]
function Call:paths()
  local row, list, taken = self.row, {}, nil
  for i = 1, #row do
    local path = row[i].type.role == "path" and self[row[i].name]
    if type(path) == "string" then
      taken = taken or row[i].type.dirfd
      local whole = self.path_of and self.path_of[row[i].name]
      list[#list + 1] = whole
      if whole ~= path and path ~= "" then list[#list + 1] = path end
    end
  end
  for _, fd in ipairs(self:fds(taken)) do list[#list + 1] = fd.path end
  return list
end

--- Its descriptors.
---@param but string|nil an argument to leave out
---@return table[]
function Call:fds(but)
  local row, list = self.row, {}
  for i = 1, #row do
    local fd = row[i].type.role == "fd" and row[i].name ~= but and self[row[i].name]
    if type(fd) == "table" and fd.num and fd.num >= 0 then list[#list + 1] = fd end
  end
  return list
end

--- The bytes that it carries, as far as they were kept.
---@return string|nil
function Call:data()
  local i = predicates.data_argument(self.row)
  local value = i and self[self.row[i].name]
  if type(value) == "table" then value = value.msg_iov end
  return type(value) == "string" and value or nil
end

--- "save+0x12 (/usr/bin/store)", a line a frame; the innermost of libc are left out.
---@param max integer|nil default 8
---@return string[]
function M.stack_lines(call, max)
  local lines = {}
  for _, frame in ipairs(call.frames or {}) do
    local module = frame.module or "?"
    if #lines > 0 or frame.symbol ~= nil and not module:find("/libc[.%-]") then
      lines[#lines + 1] = frame.symbol and ("%s+0x%x (%s)"):format(frame.symbol, frame.offset, module) or
        ("%s+0x%x"):format(module, frame.module_offset or 0)
      if #lines >= (max or 8) then break end
    end
  end
  -- The loader's own business is nobody's fault.
  if #lines > 0 and lines[#lines]:find("/ld%-linux[^/]*$") then return {} end
  -- What comes before main is the C library's.
  for i = 1, #lines do
    if lines[i]:find("^main%+") then
      for k = #lines, i + 1, -1 do lines[k] = nil end
      break
    end
  end
  return lines
end

--- A where-table as a function of recorded calls.
---@param calls string a set of calls
---@param where table|nil
---@return (fun(call: luatrace.RecordedCall): boolean)|nil matches, string? message, luatrace.Matcher? made
function M.matcher(calls, where)
  local made, message = matcher.compile(calls, where)
  if not made then return nil, message end
  return function(call)
    local set = made.sets[call.arch]
    if not set or not set[call.name] or not made:entry(call) then return false end
    return not made.needs_exit or made:exit(call)
  end, nil, made
end

-- --- lists ----------------------------------------------------------------------------------------------------------

---@class luatrace.RecordedCalls
---@field dropped integer how many calls in the middle were not kept
local Calls = {}

local no_calls = { count = 0, errors = 0 }

--- Methods, then the counts of a call by its name: run.calls.write.count.
local function index(list, key)
  local method = Calls[key]
  if method then return method end
  if type(key) ~= "string" then return nil end
  local counts = rawget(list, "counts")
  if counts then
    local known = rawget(counts, key)
    if known then return known end
    if not decode.find("x86_64", key) then return nil end
    return no_calls
  end
  local found = { count = 0, errors = 0 }
  for _, call in ipairs(list) do
    if call.name == key then
      found.count = found.count + 1
      if call.errno then found.errors = found.errors + 1 end
    end
  end
  return decode.find("x86_64", key) and found or nil
end
local list_meta = { __index = index }

list_meta.__tostring = function(list)
  local lines = {}
  for i, call in ipairs(list) do lines[i] = tostring(call) end
  return table.concat(lines, "\n")
end

--- A list of recorded calls.
---@param source table|nil whose `recorded` and `dropped` it takes on
---@return luatrace.RecordedCalls
local function new_list(source)
  return setmetatable({ dropped = source and source.dropped or 0, recorded = source and source.recorded }, list_meta)
end

local function whole(list, what)
  if list.dropped > 0 then
    misuse(("%s: %d calls were not kept (record = { max = N } keeps more; run.calls.NAME.count counts all)")
      :format(what, list.dropped))
  end
end

--- The calls for which it all holds: `call` (a set as of on[...]) and what luatrace.filter's predicates take.
---@param where table { call = "write", path = "*.db", ... }
---@return luatrace.RecordedCalls
function Calls:where(where)
  if type(where) ~= "table" then
    misuse(('calls:where takes a table such as { call = "write" }, not a %s'):format(type(where)))
  end
  local pattern = where.call or where.calls
  local set
  if pattern then
    local ok, message = filter.check(pattern)
    if not ok then misuse("calls:where: " .. message) end
    set = M.names(pattern)
    M.check_recorded(self, pattern, set, "calls:where")
  end
  local narrowed = {}
  for key, value in pairs(where) do
    if key ~= "call" and key ~= "calls" then narrowed[key] = value end
  end
  local matches, message = M.matcher(pattern or "all", narrowed)
  if not matches then misuse("calls:where: " .. message) end
  local found = new_list(self)
  for _, call in ipairs(self) do
    if matches(call) then found[#found + 1] = call end
  end
  return found
end

--- Asking for calls that were not recorded is a mistake, not zero.
function M.check_recorded(list, pattern, set, what)
  local recorded = list.recorded
  if not recorded then return end
  local missing = {}
  for name in pairs(set) do
    if not recorded[name] then missing[#missing + 1] = name end
  end
  table.sort(missing)
  -- A class has members that no program of today makes: one recorded member will do.
  local some_recorded = false
  for name in pairs(set) do some_recorded = some_recorded or recorded[name] end
  if #missing == 0 or some_recorded and pattern:find("[%%/!]") then return end
  misuse(("%s: %s %s not recorded in this run (say so with record = %q)"):format(what, table.concat(missing, ", ", 1,
    math.min(#missing, 3)), #missing == 1 and "was" or "were", pattern))
end

---@return luatrace.RecordedCall|nil
function Calls:first() return self[1] end

---@return luatrace.RecordedCall|nil
function Calls:last() return self[#self] end

---@return integer
function Calls:count()
  whole(self, "calls:count")
  return #self
end

--- The names of the calls, each once, in the order in which they came first.
---@return string[]
function Calls:names()
  local names, seen = {}, {}
  for _, call in ipairs(self) do
    if not seen[call.name] then
      seen[call.name] = true
      names[#names + 1] = call.name
    end
  end
  return names
end

--- The files that the calls name, or that their descriptors are open on, each once, in order.
---@return string[]
function Calls:paths()
  local paths, seen = {}, {}
  local function add(path)
    if path and not seen[path] then
      seen[path] = true
      paths[#paths + 1] = path
    end
  end
  for _, call in ipairs(self) do
    for _, path in ipairs(call.all_paths or {}) do add(path) end
    add(call.path)
  end
  return paths
end

--- The sum of a field over the calls that succeeded.
---@param field string "ret", "count", "duration", ...
---@return number
function Calls:total(field)
  if type(field) ~= "string" then misuse('calls:total takes the name of a field such as "ret"') end
  whole(self, "calls:total")
  local sum = 0
  for _, call in ipairs(self) do
    local value = call[field]
    if not call.failed and type(value) == "number" then
      sum = sum + value
    elseif value ~= nil and type(value) ~= "number" then
      misuse(("calls:total: %s of %s is a %s, not a number"):format(field, call.name, type(value)))
    end
  end
  return sum
end

--- All names, on any architecture, that a set of calls names.
---@param pattern string
---@return table<string, true>
function M.names(pattern)
  local all = {}
  for _, arch in ipairs { "x86_64", "i386", "x32" } do
    for name in pairs(filter.calls(pattern, arch) or {}) do all[name] = true end
  end
  return all
end

M.new_list = new_list

return M
