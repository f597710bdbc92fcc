--- What storms share: a call fails so many times in a row, then one goes through, so that programs that retry get on.
--
--   local burst = require("luatrace.inject.burst").new(t, { burst = 3, chance = 1 })
--   burst(counts, "read")      -- true: this one fails; `counts` is where the caller keeps what belongs together

local M = {}

---@param t table of a fault: see inject.lua
---@param options { burst: integer?, chance: number? }
---@return fun(counts: table, key: string): boolean
function M.new(t, options)
  local burst, chance = options.burst or 3, options.chance or 1
  return function(counts, key)
    local left = counts[key]
    if not left then left = (chance == 1 or t.random() < chance) and burst or 0 end
    counts[key] = left > 0 and left - 1 or nil
    return left > 0
  end
end

return M
