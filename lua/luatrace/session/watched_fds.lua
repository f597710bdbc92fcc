--- Descriptors of our own that the loop waits for besides the program: its captured output, the other end of a mocked
-- connection. One set for each tracer, whoever uses it.
--
--   local watched = require("luatrace.session.watched_fds").of(tracer)
--   watched:add(fd, "in", function(ready) ... end)      -- ready: "in", "out" or "hangup"; called again and again
--   watched:remove(fd)                                   -- before it is closed
--
-- A function that fails ends the loop with its error; one that does not read what is there is called for ever.

local bit = require "bit"

local M = {}

local IN, OUT, ERR, HUP, NVAL = 1, 4, 8, 16, 32
local events_of = { ["in"] = IN, out = OUT }

---@class luatrace.WatchedFds
local Watched = {}
Watched.__index = Watched

--- The set of a tracer.
---@param tracer luatrace.Tracer
---@return luatrace.WatchedFds
function M.of(tracer)
  local known = tracer.watched_fds
  if not known then
    known = setmetatable({ tracer = tracer, list = {} }, Watched)
    tracer.watched_fds = known
  end
  return known
end

---@param fd integer
---@param what "in"|"out" what is waited for
---@param fn fun(ready: "in"|"out"|"hangup")
function Watched:add(fd, what, fn)
  table.insert(self.list, { fd = fd, events = events_of[what], fn = fn })
  self.array = self.tracer:watch(self.list)
end

---@param fd integer
function Watched:remove(fd)
  for i = #self.list, 1, -1 do
    if self.list[i].fd == fd then
      self.list[i].gone = true
      table.remove(self.list, i)
    end
  end
  if self.tracer.pointer then self.array = self.tracer:watch(self.list) end
end

--- Calls the functions of what is ready.
function Watched:serve()
  -- Functions may add and remove: what was ready is taken down first.
  local ready = {}
  for i, entry in ipairs(self.list) do
    local revents = self.array[i - 1].revents
    if revents ~= 0 then ready[#ready + 1] = { entry, revents } end
  end
  for _, item in ipairs(ready) do
    local entry, revents = item[1], item[2]
    if not entry.gone then
      local got = bit.band(revents, IN) ~= 0 and "in" or bit.band(revents, OUT) ~= 0 and "out" or
        bit.band(revents, HUP + ERR + NVAL) ~= 0 and "hangup"
      if got then entry.fn(got) end
    end
  end
end

--- The set of this tracer, served.
---@param tracer luatrace.Tracer
function M.serve(tracer) return M.of(tracer):serve() end

return M
