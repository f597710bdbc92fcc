--- The progress bar of a sweep on a terminal: how far, how fast, how long still, what was found.

local sys = require "luatrace.sys"

local M = {}

local WIDTH, EVERY = 24, 0.1

local function clock(seconds)
  if seconds < 60 then return ("%d s"):format(math.ceil(seconds)) end
  return ("%d:%02d min"):format(math.floor(seconds / 60), math.floor(seconds % 60))
end

---@param out file*
---@return { show: fun(state: table), clear: fun() }
function M.new(out)
  local last = 0
  local bar = {}
  function bar.show(state)
    local at = tonumber(sys.monotonic()) / 1e9
    if at - last < EVERY and state.done < state.total then return end
    last = at
    local share = state.total > 0 and state.done / state.total or 1
    local full = math.floor(share * WIDTH)
    local left = state.done > 5 and state.seconds / state.done * (state.total - state.done)
    out:write(("\r\27[K[%s%s] %d/%d %s, %d found%s"):format(("#"):rep(full), ("."):rep(WIDTH - full), state.done,
      state.total, state.phase, state.found, left and ", " .. clock(left) .. " left" or ""))
    out:flush()
  end
  function bar.clear()
    if last > 0 then
      out:write("\r\27[K")
      out:flush()
    end
  end
  return bar
end

return M
