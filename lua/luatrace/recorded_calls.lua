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
local where_module = require "luatrace.expect.where"
local string_buffer = require "string.buffer"
local sys = require "luatrace.sys"
local types = require "luatrace.types"

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
---@field path string|nil absolute path of the file that it names, or that its descriptor is open on
---@field text string as strace prints it, with what descriptors are open on
---@field injected boolean|nil the answer is luatrace's own
local Call = {}
Call.__index = Call
Call.__tostring = function(call) return call.text or call.name end

--- The stack of the calling thread, innermost frame first.
---@return { ip: any, symbol: string?, offset: integer?, module: string?, module_offset: integer? }[]
function Call:stack()
  return self.frames or misuse("stacks were not recorded: run with record = { calls = ..., stack = true }")
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

--- A descriptor as it was then.
local Fd = {}
Fd.__index = function(fd, key)
  if key ~= "kind" then return nil end
  local path = rawget(fd, "path")
  local kind = path and (sys.file_kind(path) or "file")
  rawset(fd, "kind", kind)
  return kind
end
Fd.__tostring = function(fd) return tostring(fd.num) end
Fd.__eq = function(a, b) return a.num == b.num end

local function freeze_fd(fd, process)
  local num = fd.num
  local known = num >= 0 and process.fds:get(num) or nil
  return setmetatable({ num = num, path = known and known.path, kind = known and rawget(known, "kind"),
    inode = known and known.inode, deleted = known and known.deleted }, Fd)
end

--- An argument's value without the program behind it.
local function freeze(call, i, bytes)
  local argument = call.row[i]
  local value = call[argument.name]
  local kind = type(value)
  if kind == "string" then return #value > bytes and value:sub(1, bytes) or value end
  if kind ~= "table" then return value end
  if argument.type.role == "fd" then return freeze_fd(value, call.process) end
  if getmetatable(value) and value.has and rawget(value, "value") then return value end -- flags
  return decode.plain(call, i)
end

local AT_FDCWD = -100

--- The file that a path argument names.
local function absolute(call, i)
  local argument = call.row[i]
  local path = call[argument.name]
  if type(path) ~= "string" then return nil end
  local dirfd = argument.type.dirfd
  dirfd = dirfd and types.load.i32(nil, call.raw[call.row.index[dirfd]]) or AT_FDCWD
  return call.process.fds:path_of(dirfd, path)
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
  local matches, message = where_module.compile(where, pattern)
  if not matches then misuse("calls:where: " .. message) end
  local found = new_list(self)
  for _, call in ipairs(self) do
    if (not set or set[call.name]) and matches(call) then found[#found + 1] = call end
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

-- --- the recorder ---------------------------------------------------------------------------------------------------

---@class luatrace.CallRecorder
local Recorder = {}
Recorder.__index = Recorder

M.default_max, M.default_bytes = 10000, 4096

--- An observer of a session that writes calls down, and tells listeners of each.
---@param options table recorded: set of names that are kept; told: set of names that listeners hear of; calls: what is
-- trapped; processes: recorded_processes; max, bytes, stack; listeners
---@return luatrace.CallRecorder
function M.recorder(options)
  local self = setmetatable(options, Recorder)
  self.max, self.bytes = self.max or M.default_max, self.bytes or M.default_bytes
  self.list = new_list()
  self.list.recorded = options.recorded
  self.wants_exit = true
  self.listeners = self.listeners or {}
  self.tail, self.tail_next, self.seen = {}, 1, 0
  self.draft = string_buffer.new()
  return self
end

local text_options = { decode_fds = 1, string_limit = 32 }

--- Text as strace has it, at entry what is known and at exit the rest.
local function draft(self, call, phase)
  local out, before = self.draft, rawget(call, "text_options")
  out:reset()
  rawset(call, "text_options", text_options)
  if phase == "entry" then out:put(call.row.name, "(") end
  decode.text_args(call, out, phase)
  if phase == "exit" then
    out:put(") = ")
    if call.phase == "exit" or rawget(call, "answered") then decode.text_result(call, out) else out:put("?") end
    if rawget(call, "tampered") then out:put(" (INJECTED)") end
  end
  rawset(call, "text_options", before)
  return out:tostring()
end

--- Values that the call will have changed when it returns are taken then.
local function is_late(argument_type, phase)
  if argument_type.direction == "out" or argument_type.late then return phase == "entry" end
  return false
end

local function take_arguments(self, call, record, phase)
  local row = call.row
  for i = 1, #row do
    local argument = row[i]
    local known = record[argument.name] ~= nil or is_late(argument.type, phase)
    if not known and (not argument.when or argument.when(call)) then
      -- Never over what a record has of its own.
      local name = Call[argument.name] and "arg_" .. argument.name or argument.name
      record[name] = freeze(call, i, self.bytes)
      if argument.type.role == "path" then
        local path = absolute(call, i)
        record.all_paths = record.all_paths or {}
        table.insert(record.all_paths, path)
        record.path_of = record.path_of or {}
        record.path_of[argument.name] = path
      end
    end
  end
end

--- The file that a call is about: what it names, else what its descriptor is open on.
local function main_path(record)
  if record.all_paths and record.all_paths[1] then return record.all_paths[1] end
  local row = record.row
  for i = 1, #row do
    local value = row[i].type.role == "fd" and record[row[i].name]
    if value and value.path then return value.path end
  end
end

local function keep(self, record)
  self.seen = self.seen + 1
  local list, half = self.list, math.ceil(self.max / 2)
  if #list < half then
    list[#list + 1] = record
    return
  end
  local room = self.max - half
  if room > 0 then
    self.tail[self.tail_next] = record
    self.tail_next = self.tail_next % room + 1
  end
end

local function tell(self, what, record, call)
  for i = 1, #self.listeners do
    local listener = self.listeners[i]
    if listener[what] and listener.names[record.name] then listener[what](listener, record, call) end
  end
end

function Recorder:entry(call, want_exit)
  local name = call.row.name
  local recorded, told = self.recorded[name], self.told and self.told[name]
  if not recorded and not told then return end
  local raw = call.raw
  local record = setmetatable({ name = name, row = call.row, args = { unpack(raw, 1, 6) }, time = call.entered / 1e9,
    nth = rawget(call, "nth"), restarted = call.restarted or nil, process = self.processes:image(call.process),
    thread = { tid = call.thread.tid, number = call.thread.number } }, Call)
  take_arguments(self, call, record, "entry")
  record.path = main_path(record)
  record.text = draft(self, call, "entry")
  if self.stack or told then
    local stack_of = self.stack == true or told and self.stack ~= false
    -- Before its first exec the program is still luatrace.
    if stack_of and rawget(record.process, "exe") then record.frames = call:stack() end
  end
  rawset(call, "record", record)
  if recorded then keep(self, record) end
  if told then tell(self, "entered", record, call) end
  if not want_exit then self:exit(call) end
end

function Recorder:exit(call)
  local record = rawget(call, "record")
  if not record then return end
  rawset(call, "record", nil)
  record.failed = call.failed or nil
  record.ret, record.errno, record.raw_ret = call.ret, call.errno, call.raw_ret
  record.injected = rawget(call, "tampered")
  local left = rawget(call, "left")
  record.duration = left and (left - call.entered) / 1e9 or call.raw_ret ~= nil and 0 or nil
  if call.phase == "exit" and not call.failed then take_arguments(self, call, record, "exit") end
  record.text = record.text .. draft(self, call, "exit")
  if self.told and self.told[record.name] then tell(self, "returned", record, call) end
end

--- A call that its thread did not survive; exit_group for one.
function Recorder:cut_short(call)
  local record = call and rawget(call, "record")
  if not record then return end
  rawset(call, "record", nil)
  record.text = record.text .. (record.name:find("^exit") and ") = ?" or " <unfinished ...>) = ?")
  if self.told and self.told[record.name] then tell(self, "returned", record) end
end

function Recorder:birth(stop, thread)
  self.processes:birth(stop, thread)
  for _, listener in ipairs(self.listeners) do
    if listener.birth then listener:birth(stop, thread) end
  end
end

function Recorder:exec(stop, process)
  self.processes:exec(stop, process)
  for _, listener in ipairs(self.listeners) do
    if listener.exec then listener:exec(stop, process, self.processes:node(process)) end
  end
end

function Recorder:exit_process(stop, thread, call)
  self:cut_short(call)
  self.processes:exit_process(stop, thread)
  for _, listener in ipairs(self.listeners) do
    if listener.exit_process and thread.tid == thread.process.pid then
      listener:exit_process(stop, thread.process, self.processes:node(thread.process))
    end
  end
end

function Recorder:superseded(_, _, call) self:cut_short(call) end

function Recorder:signal(stop, signal)
  for _, listener in ipairs(self.listeners) do
    if listener.signal then listener:signal(stop, signal) end
  end
end

function Recorder.group() end

--- The list is whole now.
function Recorder:finish()
  local list, room = self.list, self.max - math.ceil(self.max / 2)
  list.dropped = self.seen - #list - #self.tail
  if room > 0 and #self.tail == room then
    for i = 0, room - 1 do list[#list + 1] = self.tail[(self.tail_next - 1 + i) % room + 1] end
  else
    for _, record in ipairs(self.tail) do list[#list + 1] = record end
  end
  self.tail = {}
end

return M
