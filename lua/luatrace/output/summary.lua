--- Output format "summary" (-c): how often each call was made, how often it failed, how long it took.
--
--   % time     seconds  usecs/call     calls    errors syscall
--   ------ ----------- ----------- --------- --------- ----------------
--    61.05    0.000116          29         4           read
--
-- Times are by the wall clock, from entry to return.

local M = {}

---@class luatrace.SummaryOutput
local Summary = {}
Summary.__index = Summary

---@param options { calls: string?, sort_by: string?, columns: string[]?, file: any? }
---@return luatrace.SummaryOutput
function M.open(options)
  return setmetatable({ calls = options.calls or "all", wants_exit = true, rows = {}, file = options.file or io.stderr,
    sort_by = options.sort_by or "time", columns = options.columns }, Summary)
end

local function row_of(self, name)
  local row = self.rows[name]
  if not row then
    row = { name = name, calls = 0, errors = 0, time = 0, min = math.huge, max = 0 }
    self.rows[name] = row
  end
  return row
end

function Summary.entry() end

function Summary:exit(call)
  local row = row_of(self, call.row.name)
  row.calls = row.calls + 1
  if call.failed then row.errors = row.errors + 1 end
  local took = (call.left or call.entered) - call.entered
  row.time = row.time + took
  if took < row.min then row.min = took end
  if took > row.max then row.max = took end
end

--- Calls that never return are calls, too.
function Summary:exit_process(_, _, call)
  if not call then return end
  local row = row_of(self, call.row.name)
  row.calls = row.calls + 1
  if row.min == math.huge then row.min = 0 end
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

function Summary:finish()
  local list, total = {}, { name = "total", calls = 0, errors = 0, time = 0, min = math.huge, max = 0 }
  for _, row in pairs(self.rows) do
    list[#list + 1] = row
    total.calls, total.errors, total.time = total.calls + row.calls, total.errors + row.errors, total.time + row.time
    total.min, total.max = math.min(total.min, row.min), math.max(total.max, row.max)
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  local order = orders[alias[self.sort_by] or self.sort_by]
  if order then
    -- Stable: equal ones stay sorted by name.
    local place = {}
    for i, row in ipairs(list) do place[row] = i end
    table.sort(list, function(a, b)
      if order(a, b) then return true end
      if order(b, a) then return false end
      return place[a] < place[b]
    end)
  end
  local chosen = self.columns or standard
  local lines = {}
  local function line(cell, last, separator)
    local parts = {}
    for i, name in ipairs(chosen) do
      local text = cell(columns[name])
      parts[i] = separator and text or ("%" .. columns[name][2] .. "s"):format(text)
    end
    parts[#parts + 1] = last
    lines[#lines + 1] = table.concat(parts, " ")
  end
  local longest = 16
  for _, row in ipairs(list) do longest = math.max(longest, #row.name) end
  local function rule() line(function(column) return ("-"):rep(column[2]) end, ("-"):rep(longest), true) end
  line(function(column) return column[1] end, "syscall")
  rule()
  for _, row in ipairs(list) do line(function(column) return column[3](row, total) end, row.name) end
  rule()
  line(function(column) return column[3](total, total) end, "total")
  local ok, message = self.file:write(table.concat(lines, "\n"), "\n")
  if not ok then self.failed = message end
  self.file:flush()
end

return M
