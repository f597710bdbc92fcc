--- Timers of the loop: a binary heap of (time, task), earliest first.
--
--   local timers = require("luatrace.session.timers").new()
--   timers:add(due_nanoseconds, task)
--   local due = timers:next_due()          -- or nil
--   for task in timers:expired(now) do ... end
--   timers:hasten(function(task) return task.call end)     -- these are due at once

local M = {}

---@class luatrace.Timers
local Timers = {}
Timers.__index = Timers

---@return luatrace.Timers
function M.new() return setmetatable({ n = 0 }, Timers) end

---@param due number nanoseconds of CLOCK_MONOTONIC
---@param task any
function Timers:add(due, task)
  local n = self.n + 1
  self.n = n
  local entry = { due = due, task = task }
  while n > 1 do
    local parent = math.floor(n / 2)
    if self[parent].due <= due then break end
    self[n], n = self[parent], parent
  end
  self[n] = entry
end

---@return number|nil
function Timers:next_due()
  return self.n > 0 and self[1].due or nil
end

local function pop(self)
  local first, last, n = self[1], self[self.n], self.n - 1
  self[self.n], self.n = nil, n
  if n > 0 then
    local hole = 1
    while true do
      local child = hole * 2
      if child > n then break end
      if child < n and self[child + 1].due < self[child].due then child = child + 1 end
      if self[child].due >= last.due then break end
      self[hole], hole = self[child], child
    end
    self[hole] = last
  end
  return first.task
end

--- Makes tasks due at once.
---@param which fun(task: any): any
function Timers:hasten(which)
  local entries = {}
  for i = 1, self.n do entries[i], self[i] = self[i], nil end
  self.n = 0
  for _, entry in ipairs(entries) do self:add(which(entry.task) and 0 or entry.due, entry.task) end
end

--- Iterates over the tasks that are due, taking them out.
---@param now number
function Timers:expired(now)
  return function()
    if self.n > 0 and self[1].due <= now then return pop(self) end
  end
end

return M
