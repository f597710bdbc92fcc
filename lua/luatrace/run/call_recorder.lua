--- Writes down what a program asks of the kernel while it does so: an observer of a session that makes a list of
-- luatrace.run.recorded_calls, and tells expectations of the calls that they want to hear of.
--
--   local recorder = call_recorder.new { recorded = { write = true }, calls = "write", processes = ... }
--   session_module.new { observers = { recorder }, ... }
--   print(recorder.list:total "ret")
--
-- A call is taken down with all its values at its entry, and what it has returned at its exit: when somebody asks, the
-- program is gone.

local decode = require "luatrace.decode"
local recorded_calls = require "luatrace.run.recorded_calls"
local string_buffer = require "string.buffer"
local sys = require "luatrace.sys"
local types = require "luatrace.types"

local Call = recorded_calls.Call

local M = {}

-- --- values without the program behind them --------------------------------------------------------------------------

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

-- --- the recorder ---------------------------------------------------------------------------------------------------

---@class luatrace.CallRecorder
local Recorder = {}
Recorder.__index = Recorder

M.default_max, M.default_bytes = 10000, 4096

--- An observer of a session that writes calls down, and tells listeners of each.
---@param options table recorded: set of names that are kept; told: names that listeners hear of, "stack" where
-- they want the stack of each; calls: what is
-- trapped; processes: recorded_processes; max, bytes, stack; listeners
---@return luatrace.CallRecorder
function M.new(options)
  local self = setmetatable(options, Recorder)
  self.max, self.bytes = self.max or M.default_max, self.bytes or M.default_bytes
  self.list = recorded_calls.new_list()
  self.list.recorded = options.recorded
  self.wants_exit = true
  self.listeners = self.listeners or {}
  self.tail, self.tail_next, self.seen = {}, 1, 0
  self.moment = {} -- when the run began: predicates ask the call's session
  self.draft = string_buffer.new()
  return self
end

local text_options = { decode_fds = { path = true, socket = true }, string_limit = 32 }

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
    if listener[what] and listener.names[record.name] then
      listener.current = call
      listener[what](listener, record, call)
      listener.current = nil
    end
  end
end

--- The tables' name for the call's architecture.
local function arch_of(call)
  local name = call.arch.name
  return name == "x86_64" and call.row.nr >= 0x40000000 and "x32" or name
end

function Recorder:entry(call, want_exit)
  local name = call.row.name
  local recorded, told = self.recorded[name], self.told and self.told[name]
  if not recorded and not told then return end
  local raw = call.raw
  local record = setmetatable({ name = name, row = call.row, args = { unpack(raw, 1, 6) }, time = call.entered / 1e9,
    nth = rawget(call, "nth"), restarted = call.restarted or nil, process = self.processes:image(call.process),
    thread = { tid = call.thread.tid, number = call.thread.number }, arch = arch_of(call), session = self.moment,
    entered = call.entered }, Call)
  self.moment.started = call.session.started
  take_arguments(self, call, record, "entry")
  record.path = main_path(record)
  record.text = draft(self, call, "entry")
  -- Before its first exec the program is still luatrace.
  if (self.stack or told == "stack" and self.stack ~= false) and rawget(record.process, "exe") then
    record.frames = call:stack()
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
