--- Several runs at once in one Lua state: one tracer and one loop for all of them, open while any of them lives.
--
-- wait4 hands out the statuses of all children of a process, so two tracers would take each other's. Here one loop
-- takes each stop to the session whose tree it belongs to.
--
--   local reactor = require "luatrace.run.reactor"
--   local session = session_module.new { registry = registry, tracer = reactor.open() }
--   local started, message = reactor.start(session, { file = "/bin/ls", argv = { "ls" } }, function(run) ... end)
--   while not over do reactor.turn() end

local engine = require "luatrace.engine"
local watched_fds = require "luatrace.session.watched_fds"

local kind = engine.kind

local M = {}

local tracer
local sessions = {} -- by the number of their tree: { session =, over = function }
local alive = 0
local serving = false

--- The tracer of all runs that are alive; opened for the first.
---@return luatrace.Tracer
function M.open()
  tracer = tracer or engine.open { want = engine.want.SIGNALS + engine.want.START }
  return tracer
end

--- Closes the tracer when nobody uses it: after the last run, or when a first one could not be started.
function M.close_if_idle()
  if tracer and alive == 0 then
    tracer:close()
    tracer = nil
    sessions = {}
  end
end

--- Is a handler of one of these runs at work?
---@return boolean
function M.is_serving() return serving end

--- Starts a session's program.
---@param session luatrace.Session made with this tracer
---@param program table as of Session:spawn
---@param over fun(run: table, failure: any) called when all its processes have ended
---@return true|nil, string? message, string? errno, string? step
function M.start(session, program, over)
  local started, message, name, step = session:spawn(program)
  if not started then
    M.close_if_idle()
    return nil, message, name, step
  end
  sessions[session.root_tree] = { session = session, over = over }
  alive = alive + 1
  return true
end

local function with_traceback(problem)
  if type(problem) == "table" then return problem end
  return tostring(problem) .. debug.traceback("", 2)
end

--- Calls of the runs' own code: an error in it ends its run, and is that run's alone.
local function guarded(entry, fn, ...)
  local session = entry.session
  serving = true
  local ok, result = xpcall(fn, with_traceback, ...)
  serving = false
  if ok then return result end
  entry.failure = entry.failure or result
  session.failed = true
  session:kill_all(9)
end

local function finish(tree, entry)
  sessions[tree] = nil
  alive = alive - 1
  local session = entry.session
  local run = guarded(entry, session.finish, session) or session.run or {}
  entry.over(run, entry.failure)
end

--- One stop of one run.
function M.turn()
  local limit = -1
  for tree, entry in pairs(sessions) do
    -- Stops of one may have ended another: a tree without a tracee is over.
    if tracer:count(tree) == 0 then
      finish(tree, entry)
      return M.close_if_idle()
    end
    local wait = guarded(entry, entry.session.turn, entry.session) or -1
    if wait >= 0 and (limit < 0 or wait < limit) then limit = wait end
  end
  if alive == 0 then return M.close_if_idle() end
  local stop = tracer:next(limit)
  if stop.kind == kind.READY then
    local ok, message = pcall(watched_fds.serve, tracer)
    -- Whose it was is not known: all end with it.
    for _, each in pairs(ok and {} or sessions) do guarded(each, error, message, 0) end
    return
  end
  local tree = stop.tree
  local entry = sessions[tree]
  if entry then
    guarded(entry, entry.session.serve, entry.session, stop)
  elseif tree ~= 0 then
    tracer:resume(tonumber(stop.id), false, stop.signal)
  end
end

return M
