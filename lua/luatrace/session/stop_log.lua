--- -d: what the core reports and what becomes of it, one line a stop, on standard error.
--
--   luatrace: stop ENTRY tid 4711 pid 4711 nr 257 at 0.000123
--
-- For those who want to know what luatrace itself does; the format follows the core's structs and may change with them.

local engine = require "luatrace.engine"

local M = {}

local names = {}
for name, value in pairs(engine.kind) do names[tonumber(value)] = name end

local details = {
  ENTRY = function(stop) return (" nr %d"):format(tonumber(stop.nr)) end,
  EXIT_CALL = function(stop) return (" nr %d result %d"):format(tonumber(stop.nr), tonumber(stop.result)) end,
  SIGNAL = function(stop) return (" signal %d"):format(stop.signal) end,
  GROUP = function(stop) return (" signal %d"):format(stop.signal) end,
  BIRTH = function(stop) return (" parent %d flags %#x"):format(stop.parent, tonumber(stop.message)) end,
  EXIT = function(stop) return (" status %#x"):format(stop.status) end,
  EXEC = function(stop) return (" former tid %d"):format(tonumber(stop.message)) end,
  INTERRUPTED = function(stop) return (" signal %d"):format(stop.signal) end,
}

---@param session luatrace.Session
---@param stop any
function M.note(session, stop)
  local name = names[tonumber(stop.kind)] or ("kind %d"):format(stop.kind)
  local detail = details[name]
  local who = stop.tid ~= 0 and (" tid %d pid %d"):format(stop.tid, stop.pid) or ""
  io.stderr:write(("luatrace: stop %s%s%s at %.6f\n"):format(name, who, detail and detail(stop) or "",
    (tonumber(stop.time) - session.started) / 1e9))
end

return M
