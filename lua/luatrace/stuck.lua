--- --stuck: what every thread is blocked in, on what file or peer, and where in the program.
--
--   luatrace: nothing has run for 0.3 s: 2 threads of 2 processes
--   stuck (process 16263): wait4(16275, ...)
--     waits for 16275 (stuck) to end
--    > /usr/lib/x86_64-linux-gnu/libc.so.6(wait4+0x13) [0xd3bd3]
--    > /tmp/stuck(main+0xf3) [0x158f]
--   stuck (process 16275): read(3, ...)
--     fd 3, pipe:[816601]: it is empty; 16263 (stuck), fd 4 can write to it
--    > /usr/lib/x86_64-linux-gnu/libc.so.6(read+0xd) [0xf82ad]
--    > /tmp/stuck(wait_in_read+0x1d) [0x13cf]
--   luatrace: deadlock: stuck (thread 16263) waits for stuck (thread 16275) waits for stuck (thread 16263)
--
-- Whether a program gets on is seen from /proc, at no cost to it: no call is trapped for this. When no thread has run
-- for
-- so long, each is stopped for a moment to look at its stack; it goes on with what it waited for. (The few calls that
-- signal(7) says fail with EINTR after a stop do so: epoll_wait, semop and their like.) A program that computes, or
-- that
-- wakes up now and then, is not stuck. Who waits for whom in a circle is said at the end.
--
--   require("luatrace.stuck").watch(session, { seconds = 2 })
--   require("luatrace.stuck").once({ 4711 }, { })           -- attach, look, let go

local ffi = require "ffi"
local causes = require "luatrace.stuck.causes"
local decode = require "luatrace.decode"
local engine = require "luatrace.engine"
local event = require "luatrace.event"
local formats = require "luatrace.sentences.formats"
local look = require "luatrace.stuck.look"
local peers = require "luatrace.stuck.peers"
local quote = require "luatrace.text.quote"
local process_tree = require "luatrace.tracee.process_tree"
local sys = require "luatrace.sys"
local types = require "luatrace.types"

local kind = engine.kind

local M = {}

--- How long threads are given to stop.
local PATIENCE = 1e9

-- --- calls ----------------------------------------------------------------------------------------------------------

--- A call as handlers see it, made of what /proc has told; nil when the thread is in none.
local function call_of(thread, session, process, tracee)
  if not thread.nr then return nil end
  local stop = ffi.new("struct tracer_stop")
  stop.arch = look.architecture(thread.pid)
  stop.nr, stop.tracee, stop.tid, stop.pid = thread.nr, tracee, thread.tid, thread.pid
  for i = 0, 5 do stop.args[i] = thread.args[i] end
  stop.sp, stop.ip = thread.sp, thread.ip
  local arch = engine.arch[stop.arch].name
  if arch == "x86_64" and thread.nr >= 0x40000000 then arch = "x32" end
  local row = decode.row(arch, thread.nr)
  thread.call_name = row.name
  return event.new(session, stop, row, { tid = thread.tid, number = tracee, process = process })
end

--- "read(0, ...)": the arguments that are known while a call waits.
local function call_text(call)
  local out = require("string.buffer").new()
  local ok = pcall(decode.text_args, call, out, "entry")
  local text = ok and out:tostring() or "..."
  if text:find(", $") then text = text .. "..." end
  if text == "" and #call.row > 0 then text = "..." end
  return ("%s(%s)"):format(call.row.name, text)
end

-- --- circles --------------------------------------------------------------------------------------------------------

--- Threads that wait for each other: each of a circle can go on only when the next one does. A process stands for its
-- thread when it has only one: others could do what is waited for.
local function circles(threads)
  local found, done, counts = {}, {}, {}
  for _, thread in ipairs(threads) do counts[thread.pid] = (counts[thread.pid] or 0) + 1 end
  local function next_of(thread)
    local target = thread.waits_for
    if not target or target.process and counts[target[1]] ~= 1 then return nil end
    return threads.by_tid[target[1]]
  end
  for _, start in ipairs(threads) do
    local path, place, at = {}, {}, start
    while at and not done[at] and not place[at.tid] do
      path[#path + 1] = at
      place[at.tid] = #path
      at = next_of(at)
    end
    if at and place[at.tid] and not done[at] then
      local words = {}
      for i = place[at.tid], #path do words[#words + 1] = ("%s (thread %d)"):format(path[i].comm, path[i].tid) end
      if #words == 1 then
        found[#found + 1] = words[1] .. " waits for itself"
      else
        words[#words + 1] = words[1]
        found[#found + 1] = table.concat(words, " waits for ")
      end
    end
    for _, thread in ipairs(path) do done[thread] = true end
  end
  return found
end

-- --- the report -----------------------------------------------------------------------------------------------------

local function put_stack(put, stack)
  for _, frame in ipairs(stack or {}) do
    put((" > %s(%s) [%s]"):format(quote.path(frame.module or ""), frame.symbol and frame.symbol .. "+" ..
      (frame.offset == 0 and "0x0" or types.hex(frame.offset)) or "", types.hex(frame.module_offset or frame.ip)))
  end
end

--- Finds out what each thread waits for, while it still does.
---@param threads luatrace.StuckThread[] with call where there is one
---@param known_peers luatrace.Peers
local function explain(threads, known_peers)
  local context = { peers = known_peers, threads = {} }
  threads.by_tid = context.threads
  for _, thread in ipairs(threads) do
    context.threads[thread.tid] = thread
    if thread.call then thread.text = call_text(thread.call) end
  end
  for _, thread in ipairs(threads) do
    local ok, lines, waits_for = pcall(causes.of, thread, thread.call, context)
    -- What a hostile program has put there must not end the report.
    if not ok then lines, waits_for = { "cannot be looked at: " .. tostring(lines) }, nil end
    if thread.holder then lines, waits_for = { "luatrace does not let it go on: " .. thread.holder }, nil end
    thread.lines, thread.waits_for = lines, waits_for
  end
end

--- All that is known, as lines.
---@param threads luatrace.StuckThread[]
---@param head string
---@param palette luatrace.Palette|nil
local function report(threads, head, palette)
  local out = {}
  local function put(line) out[#out + 1] = line end
  local function painted(colour, words) return palette and palette[colour] .. words .. palette.off or words end
  put(painted("head", head))
  for _, thread in ipairs(threads) do
    local comm = formats.show_path(thread.comm)
    local who = thread.tid == thread.pid and ("%s (process %d)"):format(comm, thread.pid) or
      ("%s (thread %d of process %d)"):format(comm, thread.tid, thread.pid)
    put(painted("call", who) .. ": " .. (thread.text or "no call"))
    for _, line in ipairs(thread.lines) do put("  " .. line) end
    put_stack(put, thread.stack)
  end
  for _, line in ipairs(circles(threads)) do put(painted("bad", "luatrace: deadlock: " .. line)) end
  return table.concat(out, "\n") .. "\n"
end

local function count_text(threads)
  local processes, n = {}, 0
  for _, thread in ipairs(threads) do
    if not processes[thread.pid] then n = n + 1 end
    processes[thread.pid] = true
  end
  local function some(count, one, many) return count == 1 and "1 " .. one or ("%d %s"):format(count, many) end
  return some(#threads, "thread", "threads") .. " of " .. some(n, "process", "processes")
end

-- --- a command, or what a session is attached to --------------------------------------------------------------------

---@class luatrace.StuckOptions
---@field seconds number how long nothing must have happened
---@field palette luatrace.Palette|nil
---@field write fun(text: string)|nil where the report goes; default: standard error
---@field reported fun()|nil called after each report

--- The processes of a session that live.
local function processes_of(session)
  local pids, seen = {}, {}
  for _, thread in pairs(session.tree.threads) do
    local pid = thread.process.pid
    if not seen[pid] then
      seen[pid] = true
      pids[#pids + 1] = pid
    end
  end
  table.sort(pids)
  return pids
end

--- What changes whenever any thread has run.
local function pulse_of(session)
  local parts = {}
  for _, pid in ipairs(processes_of(session)) do
    for _, name in ipairs(sys.list_dir(("/proc/%d/task"):format(pid)) or {}) do
      local switches, state = look.pulse(pid, tonumber(name))
      if state == "R" then return nil end
      if switches then parts[#parts + 1] = ("%s:%d"):format(name, switches) end
    end
  end
  table.sort(parts)
  return #parts > 0 and table.concat(parts, " ") or nil
end

local function write_out(text)
  io.stderr:write(text)
  io.stderr:flush()
end

--- Looks at all threads of a session: they are stopped one by one, and the report comes when all have been seen.
local function look_at_all(session, head, options, done)
  local threads, waiting, left = {}, {}, 0
  local numbers = {}
  for number, thread in pairs(session.tree.threads) do numbers[thread.tid] = number end
  for _, pid in ipairs(processes_of(session)) do
    -- Where no call is seen, nothing tells that a descriptor has become another one.
    local process = session.tree:find(pid)
    if process then process.fds:new_stop() end
    for _, thread in ipairs(look.threads(pid)) do
      threads[#threads + 1] = thread
      local number = numbers[thread.tid]
      if number then
        local call = call_of(thread, session, session.tree:thread(number).process, number)
        thread.call, thread.number = call, number
        local holder, held = session:holder(number)
        thread.holder = holder
        if held and not held.notified then thread.stack = session.tracer:stack(number) end
      end
    end
  end
  explain(threads, peers.new())
  for _, thread in ipairs(threads) do
    if thread.number and thread.state ~= "Z" and session.tracer:pause(thread.number) then
      waiting[thread.number] = thread
      left = left + 1
    end
  end
  local finished = false
  local function finish()
    if finished then return end
    finished = true
    session.on_paused = nil
    local write = options.write or write_out
    write(report(threads, head(threads), options.palette))
    done()
  end
  if left == 0 then return finish() end
  session.on_paused = function(stop)
    local thread = waiting[stop.tracee]
    if not thread then return end
    waiting[stop.tracee] = nil
    left = left - 1
    thread.stack = session.tracer:stack(stop.tracee)
    if left == 0 then finish() end
  end
  -- Some cannot be stopped: a sleep that no signal ends.
  session.timers:add(tonumber(sys.monotonic()) + PATIENCE, { run = finish })
end

--- Watches a session: reports each time that nothing has run for so long.
---@param session luatrace.Session
---@param options luatrace.StuckOptions
function M.watch(session, options)
  local period = options.seconds * 1e9
  local step = math.max(period / 8, 2e7)
  local last, since, reported
  local tick
  local function again()
    if not session.finished then session.timers:add(tonumber(sys.monotonic()) + step, { run = tick }) end
  end
  function tick()
    local now, pulse = tonumber(sys.monotonic()), pulse_of(session)
    if not pulse or pulse ~= last then
      last, since, reported = pulse, now, false
    elseif not reported and now - since >= period then
      reported = true
      return look_at_all(session, function(threads)
        return ("luatrace: nothing has run for %.1f s: %s"):format((now - since) / 1e9, count_text(threads))
      end, options, function()
        -- That they were stopped and went on is no progress of theirs.
        session.timers:add(tonumber(sys.monotonic()) + 2e7, { run = function()
          last, since = pulse_of(session), tonumber(sys.monotonic())
          again()
        end })
        if options.reported then options.reported() end
      end)
    end
    again()
  end
  tick()
end

-- --- running processes, once ----------------------------------------------------------------------------------------

--- Attaches, looks at all threads, lets go.
---@param pids integer[]
---@param options { palette: luatrace.Palette?, write: (fun(text: string))? }
---@return true|nil, string? message, string? errno, integer? pid the one that could not be attached to
function M.once(pids, options)
  local tracer = engine.open {}
  local session = { tracer = tracer, tree = process_tree.new {}, text_options = {} }
  -- Before they are stopped: afterwards some calls have been broken off.
  local threads, by_tid = {}, {}
  for _, pid in ipairs(pids) do
    for _, thread in ipairs(look.threads(pid)) do
      threads[#threads + 1], by_tid[thread.tid] = thread, thread
    end
  end
  local known_peers = peers.new()
  for _, pid in ipairs(pids) do
    local tree, message, name = tracer:attach(pid, engine.new_plan(), false)
    if not tree then
      tracer:close()
      return nil, message, name, pid
    end
  end
  local left = #threads
  local deadline = tonumber(sys.monotonic()) + PATIENCE
  while left > 0 do
    local now = tonumber(sys.monotonic())
    if now >= deadline then break end
    local stop = tracer:next(deadline - now)
    if stop.kind == kind.DONE or stop.kind == kind.INTERRUPTED then break end
    if stop.kind == kind.BIRTH then
      session.tree:birth { tracee = stop.tracee, tid = stop.tid, pid = stop.pid, parent_tracee = stop.parent,
        clone_flags = tonumber(stop.message), time = tonumber(stop.time) }
      local thread = by_tid[stop.tid]
      if thread then
        thread.call = call_of(thread, session, session.tree:thread(stop.tracee).process, stop.tracee)
        if thread.state == "T" then left = left - 1 else tracer:pause(stop.tracee) end
      end
    elseif stop.kind == kind.PAUSED then
      local thread = by_tid[stop.tid]
      if thread and not thread.stack then
        thread.stack = tracer:stack(stop.tracee)
        left = left - 1
      end
      -- Held until the end: what it points to must not change while it is looked at.
    elseif stop.kind == kind.EXIT then
      if by_tid[stop.tid] and not by_tid[stop.tid].stack then left = left - 1 end
    elseif stop.kind == kind.ENTRY or stop.kind == kind.EXIT_CALL then
      tracer:resume(tonumber(stop.id), false)
    end
  end
  explain(threads, known_peers)
  local names = {}
  for i, pid in ipairs(pids) do names[i] = tostring(pid) end
  local write = options.write or write_out
  write(report(threads, ("luatrace: process %s: %s"):format(table.concat(names, ", "), count_text(threads)),
    options.palette))
  tracer:close()
  return true
end

return M
