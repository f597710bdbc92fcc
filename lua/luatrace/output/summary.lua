--- Output format "summary" (-c): how often each call was made, how often it failed, how long it took.
--
--   % time     seconds  usecs/call     calls    errors syscall
--   ------ ----------- ----------- --------- --------- ----------------
--    61.05    0.000116          29         4           read
--
-- Times are what the kernel has spent on the process between entry and return; with -w by the wall clock. Calls that do
-- not return (exit_group) are not counted, as with strace; with --by they are. Those whose return nobody watched
-- (call:skip_exit) are counted, but have neither time nor error, and do not lower the average. With --by=process, file,
-- fd or thread there is a row for each of those, and under it the rows of its calls:
--
--   % time     seconds  usecs/call     calls    errors file
--   ------ ----------- ----------- --------- --------- ----------------
--    61.05    0.000116          29         4           /etc/passwd
--    50.00    0.000095          95         1             read

local buffer = require "string.buffer"
local types = require "luatrace.types"

local M = {}

local X32_BIT = 0x40000000

---@class luatrace.SummaryOutput
local Summary = {}
Summary.__index = Summary

---@class luatrace.SummaryOptions
---@field calls string|nil a set, as for all outputs
---@field sort_by string|nil
---@field columns string[]|nil see M.parse_columns
---@field sink luatrace.Sink|nil where the table goes
---@field through luatrace.TextOutput|nil the output at whose end it stands instead
---@field by string|nil see about.key
---@field only table|nil -P, -e trace-fds=: a filter with a method wants(call)
---@field wall_clock boolean|nil
---@field overhead number|nil nanoseconds that are taken off each call
---@field quiet boolean|nil no talk of children
---@field called_as string|nil
---@field palette table|nil
---@field width integer|nil

---@param options luatrace.SummaryOptions
---@return luatrace.SummaryOutput
function M.open(options)
  return setmetatable({ calls = options.calls or "all", wants_exit = true, rows = {}, sink = options.sink,
    through = options.through, sort_by = options.sort_by or "time", columns = options.columns, by = options.by,
    quiet = options.quiet or options.through ~= nil, called_as = options.called_as or "luatrace",
    wants_system_time = not options.wall_clock, overhead = options.overhead or 0, palette = options.palette,
    width = options.width, only = options.only }, Summary)
end

local function row_of(rows, key, name)
  local row = rows[key]
  if not row then
    row = { name = name, calls = 0, errors = 0, time = 0, min = math.huge, max = 0, bytes = 0, untimed = 0 }
    rows[key] = row
  end
  return row
end

--- What a call is about is known at its entry.
function Summary:entry(call, want_exit)
  if self.only and not self.only:wants(call) then rawset(call, "untold", true) end
  if self.wants_system_time then rawset(call, "system_entered", tonumber(call.stop.system_time)) end
  if self.by then
    local key, title = require("luatrace.output.about").key(self.by, call)
    local group = row_of(self.rows, key, title)
    group.name, group.rows = title, group.rows or {}
    rawset(call, "summary_group", group)
  end
  if not want_exit then self:unwatched(call) end
end

local function count(row, call, took)
  row.calls = row.calls + 1
  if call.failed then
    row.errors = row.errors + 1
  elseif call.row.returns == types.count and type(call.raw_ret) == "number" then
    row.bytes = row.bytes + call.raw_ret
  end
  row.time = row.time + took
  if took < row.min then row.min = took end
  if took > row.max then row.max = took end
end

function Summary:took(call)
  if not self.wants_system_time then return (call.left or call.entered) - call.entered end
  local entered, stop = rawget(call, "system_entered"), call.stop
  return entered and stop and tonumber(stop.system_time) - entered or 0
end

--- Calls of one name are another row on each architecture; they are listed by number where nothing else decides.
local function call_row(rows, call)
  local row = row_of(rows, call.row, call.row.name)
  row.nr, row.arch = call.row.nr, call.arch.bits == 32 and "i386" or call.row.nr >= X32_BIT and "x32" or "x86_64"
  return row
end

function Summary:exit(call)
  if rawget(call, "untold") then return end
  local group, took = rawget(call, "summary_group"), math.max(0, self:took(call) - self.overhead)
  if group then count(group, call, took) end
  count(call_row(group and group.rows or self.rows, call), call, took)
end

--- A call whose thread went on without a stop at its return: that it was made is all that is known. Of exit and
-- exit_group not even that it returns.
function Summary:unwatched(call)
  if rawget(call, "untold") or not self.by and call.row.name:find("^exit") then return end
  if rawget(call, "answered") then return self:exit(call) end
  local group = rawget(call, "summary_group")
  for _, row in ipairs { call_row(group and group.rows or self.rows, call), group } do
    row.calls, row.untimed = row.calls + 1, row.untimed + 1
  end
end

local function count_unfinished(row)
  row.calls = row.calls + 1
  if row.min == math.huge then row.min = 0 end
end

--- Who counts for whom will have the calls, too, that never return.
function Summary.exit_process(_, _, _, call)
  local group = call and rawget(call, "summary_group")
  if not group or rawget(call, "untold") then return end
  count_unfinished(group)
  count_unfinished(call_row(group.rows, call))
end

function Summary:superseded(stop, thread, call) self:exit_process(stop, thread, call) end
--- strace says this here, too.
function Summary:attached(tid, threads)
  if self.quiet then return end
  io.stderr:write(require("luatrace.output.text").attach_message(self.called_as, tid, threads))
end

function Summary:birth(stop)
  if stop.parent ~= 0 then self:attached(stop.tid, 1) end
end

function Summary.signal() end
function Summary.group() end
function Summary.exec() end

local function percent(row, total)
  if row == total then return 100 end
  return total.time > 0 and row.time * 100 / total.time or 0
end
--- Of those calls whose time is known.
local function average(row)
  local timed = row.calls - row.untimed
  return timed > 0 and row.time / timed or 0
end
local function shortest(row) return row.min == math.huge and 0 or row.min end
local function seconds(value) return ("%.6f"):format(value / 1e9) end

--- Columns: title, width, text of a row; names are aligned to the left.
local columns = {
  ["time-percent"] = { "% time", 6, function(row, total) return ("%.2f"):format(percent(row, total)) end },
  ["total-time"] = { "seconds", 11, function(row) return seconds(row.time) end },
  ["min-time"] = { "shortest", 8, function(row) return seconds(shortest(row)) end },
  ["max-time"] = { "longest", 8, function(row) return seconds(row.max) end },
  ["avg-time"] = { "usecs/call", 11, function(row) return ("%d"):format(average(row) / 1e3) end },
  calls = { "calls", 9, function(row) return ("%d"):format(row.calls) end },
  errors = { "errors", 9, function(row) return row.errors > 0 and ("%d"):format(row.errors) or "" end },
  bytes = { "bytes", 11, function(row) return row.bytes > 0 and ("%d"):format(row.bytes) or "" end },
  name = { "syscall", 16, function(row) return row.name end },
}

local standard = { "time-percent", "total-time", "avg-time", "calls", "errors", "name" }

--- strace's other words for columns.
local alias = { time = "time-percent", ["time-total"] = "total-time", shortest = "min-time", ["time-min"] = "min-time",
  longest = "max-time", ["time-max"] = "max-time", ["time-avg"] = "avg-time", count = "calls", error = "errors",
  syscall = "name", ["syscall-name"] = "name" }

--- -U: the columns in their order; the name comes last where it is not given.
---@param text string
---@return string[]|nil columns, string? message
function M.parse_columns(text)
  local list, seen = {}, {}
  for word in (text .. ","):gmatch("([^,]*),") do
    local name = alias[word] or word
    if not columns[name] then return nil, ("-U: there is no column %q"):format(word) end
    if seen[name] then return nil, ("-U: the column %q is given more than once"):format(word) end
    list[#list + 1], seen[name] = name, true
  end
  if not seen.name then list[#list + 1] = "name" end
  return list
end

--- By a field, or by what a function says of the row.
local function descending(by)
  if type(by) == "function" then return function(a, b) return by(a) > by(b) end end
  return function(a, b) return a[by] > b[by] end
end
local orders = {
  ["time-percent"] = descending "time", ["total-time"] = descending "time", calls = descending "calls",
  errors = descending "errors", ["min-time"] = descending(shortest), ["max-time"] = descending "max",
  name = function(a, b) return a.name < b.name end,
  ["avg-time"] = descending(average),
}

local function by_number(a, b)
  if a.nr and b.nr and a.nr ~= b.nr then return a.nr < b.nr end
  return a.name < b.name
end

--- Rows in the order that was asked for; equal ones by their calls' numbers.
local function sorted(self, rows)
  local list = {}
  for _, row in pairs(rows) do list[#list + 1] = row end
  table.sort(list, by_number)
  local order = orders[alias[self.sort_by] or self.sort_by]
  if order then
    local place = {}
    for i, row in ipairs(list) do place[row] = i end
    table.sort(list, function(a, b)
      if order(a, b) then return true end
      if order(b, a) then return false end
      return place[a] < place[b]
    end)
  end
  return list
end

local function add_up(rows)
  local total = { name = "total", calls = 0, errors = 0, time = 0, min = math.huge, max = 0, bytes = 0,
    untimed = 0 }
  for _, row in pairs(rows) do
    total.calls, total.errors, total.time = total.calls + row.calls, total.errors + row.errors, total.time + row.time
    total.min, total.max = math.min(total.min, row.min), math.max(total.max, row.max)
    total.bytes, total.untimed = total.bytes + row.bytes, total.untimed + row.untimed
  end
  return total
end

--- The end of a name is what tells it from others.
local function cut(name, room) return #name > room and "..." .. name:sub(#name - room + 4) or name end

--- The lines of one table.
function Summary:put_table(lines, rows)
  local total, list, p = add_up(rows), sorted(self, rows), self.palette
  local chosen = self.columns or standard
  local room = math.huge
  if self.width then
    room = self.width
    for _, name in ipairs(chosen) do room = room - (name == "name" and 0 or columns[name][2] + 1) end
    room = math.max(room, 16)
  end
  local longest = 16
  for _, row in ipairs(list) do longest = math.max(longest, math.min(#row.name + 1, room)) end
  local function line(cell)
    local parts = {}
    for i, name in ipairs(chosen) do
      local text, width = cell(columns[name], name), columns[name][2]
      if name == "name" then
        parts[i] = i == #chosen and text or ("%-" .. longest .. "s"):format(text)
      else
        parts[i] = ("%" .. width .. "s"):format(text)
        if p and name == "errors" and text:find("^%d") then parts[i] = p.failure .. parts[i] .. p.off end
      end
    end
    lines[#lines + 1] = table.concat(parts, " ")
  end
  local function put(row, prefix)
    line(function(column, name)
      local text = column[3](row, total)
      return name == "name" and prefix .. cut(text, room) or text
    end)
  end
  local function highlight()
    if p then lines[#lines] = p.head .. lines[#lines]:gsub("\27%[0m", "%0" .. p.head) .. p.off end
  end
  local function rule()
    line(function(column, name) return ("-"):rep(name == "name" and longest or column[2]) end)
  end
  line(function(column, name) return name == "name" and self.by or column[1] end)
  highlight()
  rule()
  for _, row in ipairs(list) do
    put(row, "")
    if row.rows then
      highlight()
      for _, inner in ipairs(sorted(self, row.rows)) do put(inner, "  ") end
    end
  end
  rule()
  put(total, "")
end

--- strace has a table for each architecture.
local modes = { { "x86_64" }, { "i386", "32 bit" }, { "x32", "x32" } }

function Summary:finish()
  local lines = {}
  for _, mode in ipairs(modes) do
    local rows = self.rows
    if not self.by then
      rows = {}
      for key, row in pairs(self.rows) do rows[key] = row.arch == mode[1] and row or nil end
    end
    if next(rows) ~= nil then
      if mode[2] then lines[#lines + 1] = ("System call usage summary for %s mode:"):format(mode[2]) end
      self:put_table(lines, rows)
    end
    if self.by then break end
  end
  if #lines == 0 then return end
  local text = table.concat(lines, "\n") .. "\n"
  if self.through then
    self.through.trailer = text
  else
    local out = buffer.new():put(text)
    self.sink:close(out)
    self.failed = self.sink.failed
  end
end

return M
