--- no_bad_pointers(calls): no call is given an address that the program does not have (EFAULT).
--
-- All calls are stopped at for it, unless a set of them is given; what luatrace itself answered does not count.

local M = {}

---@param calls string|nil default: all
function M:start(calls)
  self:hear(calls or "all")
  self.found = {}
end

function M:returned(record)
  if record.errno == "EFAULT" and not record.injected then self:note(self.found, record) end
end

function M:verdict()
  local count = self.found.count
  if count then
    return self:failed(count == 1 and "a call was given a bad pointer" or
      ("%d calls were given bad pointers"):format(count), self.found)
  end
end

return M
