--- Output format "json": one JSON object a line, for programs. Version 1; spec/json_schema.json is its schema.
--
--   {"v":1,"type":"call","time":1234.5,"pid":10,"tid":10,"comm":"cat","call":"openat","nr":257,
--    "args":{"dirfd":-100,"pathname":"/etc/hostname","flags":["O_RDONLY"]},"ret":3,"duration":0.000012}
--   {"v":1,"type":"exit","time":1234.6,"pid":10,"tid":10,"status":0}
--
-- Integers that no double holds are strings of decimal digits. Strings are text when they are UTF-8, else
-- {"base16":"..."}. A failed call has "errno" and "ret":-1; a call that never returned has neither.

local buffer = require "string.buffer"
local bit = require "bit"
local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local footprint = require "luatrace.decode.footprint"
local json = require "luatrace.text.json"
local sink = require "luatrace.output.sink"
local status = require "luatrace.output.status"
local types = require "luatrace.types"

local rawget, escape = rawget, json.escape

local M = {}

---@class luatrace.JsonOutput
local Json = {}
Json.__index = Json

---@param options { path: string?, append: boolean?, calls: string?, stack: boolean?, paths: table?, style: table? }
-- style: of luatrace.TextStyle, which results and signals are shown (status, signals)
---@return luatrace.JsonOutput|nil, string? message
function M.open(options)
  local self = setmetatable({ calls = options.calls or "all", wants_exit = true, out = buffer.new(),
    stack = options.stack, paths = options.paths, style = options.style or {} }, Json)
  local target, message = options.sink, nil
  if not target then target, message = sink.open(options) end
  if not target then return nil, message end
  self.sink, self.normal = target, options.normal
  return self
end

--- Is this UTF-8 (RFC 3629)?
local function is_utf8(text)
  if not text:find("[\128-\255]") then return true end
  local at = 1
  while at <= #text do
    local byte = text:byte(at)
    local length = byte < 0x80 and 1 or byte >= 0xc2 and byte < 0xe0 and 2 or byte >= 0xe0 and byte < 0xf0 and 3 or
      byte >= 0xf0 and byte < 0xf5 and 4
    if not length or at + length - 1 > #text then return false end
    for i = at + 1, at + length - 1 do
      local follow = text:byte(i)
      if follow < 0x80 or follow > 0xbf then return false end
    end
    local second = text:byte(at + 1)
    if byte == 0xe0 and second < 0xa0 or byte == 0xed and second > 0x9f or byte == 0xf0 and second < 0x90 or
      byte == 0xf4 and second > 0x8f then
      return false
    end
    at = at + length
  end
  return true
end

local function put_string(out, text)
  if is_utf8(text) then
    out:put('"', (text:gsub('[%c"\\\127]', escape)), '"')
  else
    out:put('{"base16":"', (text:gsub(".", function(char) return ("%02x"):format(char:byte()) end)), '"}')
  end
end

local put_value = json.writer {
  string = put_string,
  -- As exactly as a double can be told.
  float = "%.17g",
  is_empty_list = function(value) return value == types.empty_list end,
  other = function(out, value) out:put('"', types.decimal(value), '"') end,
}
M.put_value = put_value

--- With --normalize time stands still, and ids are names.
local function begin_normal(self, kind, thread)
  self.sink:select(thread.tid)
  self.sink:begin()
  self.out:put(('{"v":1,"type":"%s","time":0,"pid":"%s","tid":"%s"'):format(kind, self.normal:pid(thread.process.pid),
    self.normal:pid(thread.tid)))
end

local function begin(self, kind, time, thread)
  if self.normal then return begin_normal(self, kind, thread) end
  self.out:put(('{"v":1,"type":"%s","time":%.9f,"pid":%d,"tid":%d'):format(kind, time / 1e9, thread.process.pid,
    thread.tid))
end

local function put_comm(out, process)
  local comm = process.comm
  if comm then
    out:put(',"comm":')
    put_string(out, comm)
  end
end

--- Arguments that are known at entry are taken down then: a call may change what they point to.
function Json:entry(call, want_exit)
  if self.paths and not self.paths:wants(call) then
    rawset(call, "untold", true)
  end
  if rawget(call, "untold") then return end
  local row, args = call.row, {}
  for i = 1, #row do
    if not row[i].when or row[i].when(call) then
      if not row[i].type.late then args[i] = { decode.plain(call, i) } end
    end
  end
  rawset(call, "plain_args", args)
  if not want_exit then self:exit(call) end
end

local function put_args(out, call)
  local row, args = call.row, rawget(call, "plain_args")
  local first = true
  out:put(',"args":{')
  for i = 1, #row do
    if not row[i].when or row[i].when(call) then
      if not first then out:put(",") end
      first = false
      put_string(out, row[i].name)
      out:put(":")
      local known = args and args[i]
      if known then put_value(out, known[1]) else put_value(out, decode.plain(call, i)) end
    end
  end
  out:put("}")
end

local function put_footprint(out, call)
  local list = footprint.whole(call)
  out:put(',"footprint":[')
  for i, range in ipairs(list) do
    if i > 1 then out:put(",") end
    out:put('{"argument":"', range.argument, '","direction":"', range.direction, '","address":"',
      types.hex(range.address), '","length":', tostring(range.length), "}")
  end
  out:put("]")
  if list.truncated then out:put(',"footprint_truncated":true') end
end

function Json:put_stack(call)
  local out = self.out
  out:put(',"stack":[')
  for i, frame in ipairs(call:stack()) do
    if i > 1 then out:put(",") end
    put_value(out, { ip = types.hex(frame.ip), symbol = frame.symbol, offset = frame.offset, module = frame.module,
      module_offset = frame.module_offset })
  end
  out:put("]")
end

function Json:exit(call)
  if rawget(call, "untold") then return end
  if not status.is_shown(self.style.status, call) then return end
  local out = self.out
  begin(self, "call", call.entered, call.thread)
  put_comm(out, call.thread.process)
  out:put(',"call":"', call.row.name, '","nr":', tostring(call.row.nr))
  if call.arch.name ~= "x86_64" then out:put(',"arch":"', call.arch.name, '"') end
  put_args(out, call)
  if call.raw_ret ~= nil then
    out:put(',"ret":')
    put_value(out, call.failed and -1 or self.normal and self.normal:ret(call) or
      call.row.returns.load(call, call.raw_ret))
    if call.failed then out:put(',"errno":"', call.errno, '"') end
  end
  if rawget(call, "left") and not self.normal then
    out:put((',"duration":%.9f'):format((call.left - call.entered) / 1e9))
  end
  if call.restarted and not self.normal then out:put(',"restarted":true') end
  if rawget(call, "tampered") then out:put(',"injected":true') end
  if rawget(call, "danger") then out:put(',"danger":"', call.danger, '"') end
  if self.stack and call.phase == "exit" then self:put_stack(call) end
  if rawget(call, "read_ranges") then put_footprint(out, call) end
  out:put("}\n")
  self.sink:ended(out)
end

function Json:signal(stop, signal)
  -- When a child's end is noticed is chance; that it ended is told anyway.
  if self.normal and signal.name == "SIGCHLD" then return end
  if self.style.signals and not self.style.signals[signal.name] then return end
  local out = self.out
  begin(self, "signal", tonumber(stop.time), signal.thread)
  out:put(',"signal":"', signal.name, '","code":', tostring(signal.info.code), "}\n")
  self.sink:ended(out)
end

function Json:group(stop, thread)
  local out, name = self.out, constants.signals.by_value[stop.signal] or tostring(stop.signal)
  if self.style.signals and not self.style.signals[name] then return end
  begin(self, "stopped", tonumber(stop.time), thread)
  out:put(',"signal":"', name, '"}\n')
  self.sink:ended(out)
end

function Json:exec(stop, process)
  local out = self.out
  begin(self, "exec", tonumber(stop.time), { process = process, tid = stop.tid })
  out:put(',"exe":')
  put_value(out, process.exe)
  out:put(',"argv":')
  put_value(out, process.argv and #process.argv > 0 and process.argv or types.empty_list)
  out:put("}\n")
  self.sink:ended(out)
end

--- A call that its thread did not survive has no result.
function Json:cut_short(call)
  local wanted = self.style.status
  if wanted and not wanted.unfinished then return end
  if call and not rawget(call, "untold") and rawget(call, "plain_args") then
    local out = self.out
    begin(self, "call", call.entered, call.thread)
    out:put(',"call":"', call.row.name, '","nr":', tostring(call.row.nr), ',"args":{')
    local first = true
    for i, known in pairs(rawget(call, "plain_args")) do
      if not first then out:put(",") end
      first = false
      put_string(out, call.row[i].name)
      out:put(":")
      put_value(out, known[1])
    end
    out:put("}}\n")
    self.sink:ended(out)
  end
end

function Json:exit_process(stop, thread, call)
  self:cut_short(call)
  local out = self.out
  begin(self, "exit", tonumber(stop.time), thread)
  local low = bit.band(stop.status, 0x7f)
  if low == 0 then
    out:put((',"status":%d}\n'):format(bit.band(bit.rshift(stop.status, 8), 0xff)))
  else
    out:put(',"signal":"', constants.signals.by_value[low] or tostring(low), '"}\n')
  end
  self.sink:ended(out)
end

function Json:superseded(stop, thread, call)
  self:cut_short(call)
  local out = self.out
  begin(self, "superseded", tonumber(stop.time), thread)
  local by = tonumber(stop.message)
  out:put(self.normal and (',"by":"%s"}\n'):format(self.normal:pid(by)) or (',"by":%d}\n'):format(by))
  self.sink:ended(out)
end

--- What has waited long enough to be written.
function Json:show() self.sink:flush(self.out) end

function Json:finish()
  self.sink:close(self.out)
  self.failed = self.failed or self.sink.failed
end

return M
