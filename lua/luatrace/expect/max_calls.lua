--- max_calls{ write = 100, ["%file"] = 500 }: so many calls at the most, of all processes together.

local M = {}

---@param limits table<string, integer> by the name of a call, or a set of calls
function M:start(limits)
  if type(limits) ~= "table" or next(limits) == nil then
    self:misuse("max_calls takes a table such as { write = 100 }")
  end
  self.limits = {}
  for calls, max in pairs(limits) do
    if type(max) ~= "number" or max < 0 then
      self:misuse(("max_calls: %s takes a number, not %s"):format(tostring(calls), tostring(max)))
    end
    table.insert(self.limits, { names = self:hear(calls), label = calls, max = max, count = 0, extra = {} })
  end
  table.sort(self.limits, function(a, b) return a.label < b.label end)
end

function M:returned(record)
  for _, limit in ipairs(self.limits) do
    if limit.names[record.name] and not record.restarted then
      limit.count = limit.count + 1
      if limit.count > limit.max then self:note(limit.extra, record) end
    end
  end
end

function M:verdict()
  for _, limit in ipairs(self.limits) do
    if limit.count > limit.max then
      return self:failed(("%d calls of %s, not at most %d; the first too many:"):format(limit.count, limit.label,
        limit.max), limit.extra)
    end
  end
end

return M
