--- A set of ranges of numbers, from .. to (to is not in it), that grows and shrinks.
--
--   local set = ranges.new()
--   set:add(0, 4096)
--   set:remove(1024, 2048)       -- 1024: so many were in it
--   set:overlap(0, 1500)         -- 1024

local M = {}

local Ranges = {}
Ranges.__index = Ranges

function M.new() return setmetatable({ list = {} }, Ranges) end

---@return table a copy of its own
function Ranges:copy()
  local other = M.new()
  for i, each in ipairs(self.list) do other.list[i] = { each[1], each[2] } end
  return other
end

--- How much of from .. to is in the set.
---@return number
function Ranges:overlap(from, to)
  local sum = 0
  for _, each in ipairs(self.list) do sum = sum + math.max(0, math.min(to, each[2]) - math.max(from, each[1])) end
  return sum
end

--- Takes from .. to out.
---@return number how much of it was in the set
function Ranges:remove(from, to)
  local sum, left = self:overlap(from, to), {}
  if sum == 0 then return 0 end
  for _, each in ipairs(self.list) do
    if each[1] < from then left[#left + 1] = { each[1], math.min(each[2], from) } end
    if each[2] > to then left[#left + 1] = { math.max(each[1], to), each[2] } end
  end
  self.list = left
  return sum
end

function Ranges:add(from, to)
  self:remove(from, to)
  if to > from then table.insert(self.list, { from, to }) end
end

return M
