--- Types that depend on the call.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local M = require "luatrace.types.base"

local lazily = M.internal.lazily

local function make_by(self, choose, late, siblings)
  local function delegate(method)
    return function(a, b, c, d)
      -- text(out, call, value, scope); all others (call, value, scope)
      if method == "text" then return choose(b, d).text(a, b, c, d) end
      return choose(a, c)[method](a, b, c, d)
    end
  end
  self.size, self.siblings = "long", siblings
  self.late = late and function(call)
    local chosen = choose(call)
    if type(chosen.late) == "function" then return chosen.late(call) end
    return chosen.late
  end
  for _, method in ipairs { "load", "read", "plain", "text", "encode" } do self[method] = delegate(method) end
  function self.extents(call, value, scope, add)
    local chosen = choose(call, scope)
    if chosen.extents then return chosen.extents(call, value, scope, add) end
  end
  --- Where the memory is that a direction gives: only the chosen type knows.
  function self.chosen(call) return choose(call) end
  function self.assign(call, raw, value, what)
    local chosen = choose(call)
    if chosen.assign then return chosen.assign(call, raw, value, what) end
    return chosen.encode(call, value, what)
  end
end

--- A type whose kind depends on the call: choose(call, scope) gives the type.
---@param choose fun(call: table, scope: table|nil): table
---@param late boolean|nil may it be late? Then it is where the chosen type is
---@param siblings string[]|nil
function M.by(choose, late, siblings) return lazily(make_by, choose, late, siblings) end

return M
