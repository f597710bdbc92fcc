--- Output format "summary" (-c): how often each call was made, how often it failed, how long it took.
--
--   % time     seconds  usecs/call     calls    errors syscall
--   ------ ----------- ----------- --------- --------- ----------------
--    61.05    0.000116          29         4           read
--
-- Times are by the wall clock, from entry to return. With --by=process, file, fd or thread there is a row for each of
-- those, and under it the rows of its calls:
--
--   % time     seconds  usecs/call     calls    errors file
--   ------ ----------- ----------- --------- --------- ----------------
--    61.05    0.000116          29         4           /etc/passwd
--    50.00    0.000095          95         1             read

local types = require "luatrace.types"

local M = {}

---@class luatrace.SummaryOutput
local Summary = {}
Summary.__index = Summary

---@param options { calls: string?, sort_by: string?, columns: string[]?, file: any?, by: string?, palette: table?,
-- width: integer? } by: see about.key
---@return luatrace.SummaryOutput
function M.open(options)
  return setmetatable({ calls = options.calls or "all", wants_exit = true, rows = {}, file = options.file or io.stderr,
    sort_by = options.sort_by or "time", columns = options.columns, by = options.by, palette = options.palette,
    width = options.width }, Summary)
end

local function row_of(rows, key, name)
  local row = rows[key]
  if not row then
    row = { name = name, calls = 0, errors = 0, time = 0, min = math.huge, max = 0, bytes = 0 }
    rows[key] = row
  end
  return row
end

--- What a call is about is known at its entry.
function Summary:entry(call)
  if not self.by then return end
  local key, title = require("luatrace.about").key(self.by, call)
  local group = row_of(self.rows, key, title)
  group.name, group.rows = title, group.rows or {}
  rawset(call, "summary_group", group)
end

local function count(row, call)
  row.calls = row.calls + 1
  if call.failed then
    row.errors = row.errors + 1
  elseif call.row.returns == types.count and type(call.raw_ret) == "number" then
    row.bytes = row.bytes + call.raw_ret
  end
  local took = (call.left or call.entered) - call.entered
  row.time = row.time + took
  if took < row.min then row.min = took end
  if took > row.max then row.max = took end
end

function Summary:exit(call)
  local name, group = call.row.name, rawget(call, "summary_group")
  if group then count(group, call) end
  count(row_of(group and group.rows or self.rows, name, name), call)
end

local function count_unfinished(row)
  row.calls = row.calls + 1
  if row.min == math.huge then row.min = 0 end
end

--- Calls that never return are calls, too.
function Summary:exit_process(_, _, call)
  if not call then return end
  local name, group = call.row.name, rawget(call, "summary_group")
  if group then count_unfinished(group) end
  count_unfinished(row_of(group and group.rows or self.rows, name, name))
end

function Summary:superseded(stop, thread, call) self:exit_process(stop, thread, call) end
function Summary.signal() end
function Summary.group() end
function Summary.exec() end

local function percent(row, total) return total.time > 0 and row.time * 100 / total.time or 0 end
local function seconds(value) return ("%.6f"):format(value / 1e9) end

--- Columns: title, width, text of a row. "name" is the last one and left-aligned.
local columns = {
  ["time-percent"] = { "% time", 6, function(row, total) return ("%.2f"):format(percent(row, total)) end },
  ["total-time"] = { "seconds", 11, function(row) return seconds(row.time) end },
  ["min-time"] = { "shortest", 11, function(row) return seconds(row.min == math.huge and 0 or row.min) end },
  ["max-time"] = { "longest", 11, function(row) return seconds(row.max) end },
  ["avg-time"] = { "usecs/call", 11, function(row)
    return ("%d"):format(row.calls > 0 and row.time / row.calls / 1e3 or 0)
  end },
  calls = { "calls", 9, function(row) return ("%d"):format(row.calls) end },
  errors = { "errors", 9, function(row) return row.errors > 0 and ("%d"):format(row.errors) or "" end },
  bytes = { "bytes", 11, function(row) return row.bytes > 0 and ("%d"):format(row.bytes) or "" end },
}
M.columns = columns

local standard = { "time-percent", "total-time", "avg-time", "calls", "errors" }

local alias = { count = "calls", error = "errors", syscall = "name", none = "nothing", ["total-time"] = "time",
  ["time-total"] = "time" }
local orders = {
  time = function(a, b) return a.time > b.time end,
  calls = function(a, b) return a.calls > b.calls end,
  errors = function(a, b) return a.errors > b.errors end,
  name = function(a, b) return a.name < b.name end,
  ["min-time"] = function(a, b) return a.min > b.min end,
  ["max-time"] = function(a, b) return a.max > b.max end,
  ["avg-time"] = function(a, b) return a.time / a.calls > b.time / b.calls end,
}

--- Rows in the order that was asked for; equal ones by name.
local function sorted(self, rows)
  local list = {}
  for _, row in pairs(rows) do list[#list + 1] = row end
  table.sort(list, function(a, b) return a.name < b.name end)
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
  local total = { name = "total", calls = 0, errors = 0, time = 0, min = math.huge, max = 0, bytes = 0 }
  for _, row in pairs(rows) do
    total.calls, total.errors, total.time = total.calls + row.calls, total.errors + row.errors, total.time + row.time
    total.min, total.max = math.min(total.min, row.min), math.max(total.max, row.max)
    total.bytes = total.bytes + row.bytes
  end
  return total
end

--- The end of a name is what tells it from others.
local function cut(name, room) return #name > room and "..." .. name:sub(#name - room + 4) or name end

function Summary:finish()
  local total, list, p = add_up(self.rows), sorted(self, self.rows), self.palette
  local chosen = self.columns or standard
  local room = math.huge
  if self.width then
    room = self.width
    for _, name in ipairs(chosen) do room = room - columns[name][2] - 1 end
    room = math.max(room, 16)
  end
  local lines = {}
  local function line(cell, last, separator)
    local parts = {}
    for i, name in ipairs(chosen) do
      local text = cell(columns[name])
      parts[i] = separator and text or ("%" .. columns[name][2] .. "s"):format(text)
      if p and name == "errors" and not separator and text:find("^%d") then parts[i] = p.failure .. parts[i] ..
        p.off end
    end
    parts[#parts + 1] = last
    lines[#lines + 1] = table.concat(parts, " ")
  end
  local function highlight()
    if p then lines[#lines] = p.head .. lines[#lines]:gsub("\27%[0m", "%0" .. p.head) .. p.off end
  end
  local longest = 16
  for _, row in ipairs(list) do longest = math.max(longest, math.min(#row.name, room)) end
  local function rule() line(function(column) return ("-"):rep(column[2]) end, ("-"):rep(longest), true) end
  line(function(column) return column[1] end, self.by or "syscall")
  highlight()
  rule()
  for _, row in ipairs(list) do
    line(function(column) return column[3](row, total) end, cut(row.name, room))
    if row.rows then
      highlight()
      for _, inner in ipairs(sorted(self, row.rows)) do
        line(function(column) return column[3](inner, total) end, "  " .. inner.name)
      end
    end
  end
  rule()
  line(function(column) return column[3](total, total) end, "total")
  local ok, message = self.file:write(table.concat(lines, "\n"), "\n")
  if not ok then self.failed = message end
  self.file:flush()
end

return M
