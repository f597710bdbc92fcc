--- When luatrace lets go of programs before they end: --detach-on=execve, --syscall-limit, a signal to luatrace itself.
--
--   detaching.threads(session)            -- the outputs are told that every thread is let go
--   detaching.exec(session, stop)         -- an exec with --detach-on=execve: is the process on its own now?
--   session.on_interrupt = detaching.on_interrupt    -- -I 2: a fatal signal ends what was started, and then us

local M = {}

--- Tells the outputs that a thread goes on without us.
---@param session luatrace.Session
---@param tracee integer
local function say(session, tracee, thread)
  local call = session.threads[tracee]
  for _, observer in ipairs(session.observers) do
    if observer.detached then observer:detached(thread, call) end
  end
end

--- By id, as people expect a list.
local function sorted_threads(session)
  local list = {}
  for tracee, thread in pairs(session.tree.threads) do list[#list + 1] = { tracee = tracee, thread = thread } end
  table.sort(list, function(a, b) return a.thread.tid < b.thread.tid end)
  return list
end

--- All threads are let go.
---@param session luatrace.Session
function M.threads(session)
  for _, item in ipairs(sorted_threads(session)) do say(session, item.tracee, item.thread) end
end

local function let_go(session, tracee, thread)
  say(session, tracee, thread)
  session:abandon(tracee)
  session.tree:detach(tracee)
  session.tracer:detach(tracee)
end

--- Those who were attached to are not ours to kill: they are let go.
---@param session luatrace.Session
---@return boolean over nobody else is there: the run is over
function M.attached(session)
  session.attached = nil
  if not session.launched then
    M.threads(session)
    session.finished = true
    return true
  end
  for _, item in ipairs(sorted_threads(session)) do
    if item.thread.process.attached then let_go(session, item.tracee, item.thread) end
  end
  return false
end

--- A process has a new image: every exec but the one that starts the program lets it go.
---@param session luatrace.Session
---@param stop any
---@return boolean gone
function M.exec(session, stop)
  local tracee = stop.tracee
  if not session.options.detach_on_exec then return false end
  if session.launched and stop.tid == session.root_pid and not session.seen_root_exec then
    session.seen_root_exec = true
    return false
  end
  let_go(session, tracee, session.tree:thread(tracee))
  return true
end

--- One call more that an output has shown; after so many everybody is let go.
---@param session luatrace.Session
---@param call luatrace.Call
function M.count(session, call)
  if #call.observers == 0 or rawget(call, "untold") or session.calls_left == 0 then return end
  session.calls_left = session.calls_left - 1
  if session.calls_left > 0 then return end
  M.threads(session)
  session.finished_early = true
  session:let_everybody_go()
end

--- -I 2: a fatal signal goes to the program that we started, and ends us as it would have ended strace.
---@param session luatrace.Session
---@param signal integer
---@return boolean handled
function M.on_interrupt(session, signal)
  session.die_by = signal
  if not (session.attached and M.attached(session)) then
    session.fatal_signals = (session.fatal_signals or 0) + 1
    session:kill_all(session.fatal_signals > 1 and 9 or signal)
  end
  return true
end

return M
