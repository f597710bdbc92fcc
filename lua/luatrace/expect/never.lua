--- never("connect"), never("unlink", { path = "*.db" }): no such call.

local M = {}

---@param calls string
---@param where table|nil
function M:start(calls, where)
  self:hear(calls)
  self.matches = self:matcher(calls, where)
  self.found = {}
end

function M:returned(record)
  if self.matches(record) then self:note(self.found, record) end
end

function M:verdict()
  local count = self.found.count
  if not count then return end
  return self:failed(count == 1 and "it happened" or ("it happened %d times"):format(count), self.found)
end

return M
