--- The one source of chance: every decision that a run makes at random comes from its seed.
--
--   local random = require("luatrace.random").new(42)
--   random()        -- 0 <= x < 1
--   random(6)       -- 1..6
--   random(10, 20)  -- 10..20

local bit = require "bit"
local bxor, lshift, rshift, tobit = bit.bxor, bit.lshift, bit.rshift, bit.tobit

local M = {}

--- xorshift128 (Marsaglia 2003): small, good enough for faults, the same on every machine.
---@param seed integer
---@return fun(m?: integer, n?: integer): number
function M.new(seed)
  local x, y, z, w = tobit(seed), tobit(seed * 1812433253 + 1), tobit(362436069), tobit(521288629)
  local function next_word()
    local t = bxor(x, lshift(x, 11))
    x, y, z = y, z, w
    w = bxor(bxor(w, rshift(w, 19)), bxor(t, rshift(t, 8)))
    return w
  end
  for _ = 1, 16 do next_word() end
  return function(m, n)
    local unit = (next_word() % 4294967296) / 4294967296
    if not m then return unit end
    if not n then m, n = 1, m end
    if n < m then error("random: the interval is empty", 2) end
    return m + math.floor(unit * (n - m + 1))
  end
end

return M
