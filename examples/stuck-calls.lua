--- Says what a stuck program is blocked in: every call that has not returned when the run ends, whose it is, and for
-- how long.
--
-- Usage: luatrace --timeout=SECONDS examples/stuck-calls.lua [stack] -- COMMAND
--        luatrace -p PID examples/stuck-calls.lua, and Ctrl-C when you have seen enough
--   stack  keep the stack of each such call as well (slower)
--
-- Captured output:
--
--   @OUTPUT@

local with_stack = arg[1] == "stack"
local waiting = {} -- tid -> what its thread is in

--- What is known of a call without touching the program again: when it is reported, the program may be gone.
local function note(call)
  local first = call.args[1]
  local fd = call.fd or call.sockfd
  local what
  if type(fd) == "table" then
    what = ("fd %d, %s %s"):format(fd.num, fd.kind or "?", fd.path or "")
  elseif type(call.pathname) == "string" then
    what = call.pathname
  else
    what = type(first) == "number" and ("0x%x"):format(first) or tostring(first)
  end
  return { name = call.name, what = what, since = call.time, pid = call.process.pid, comm = call.process.comm,
    stack = with_stack and call:stack() or {} }
end

-- Calls that can wait for something. Everything that returns at once would only slow the program down.
local blocking = "open,openat,read,readv,pread64,write,writev,recvfrom,recvmsg,sendto,sendmsg,accept,accept4," ..
  "connect,poll,ppoll,select,pselect6,epoll_wait,epoll_pwait,futex,wait4,waitid,flock,fcntl,nanosleep," ..
  "clock_nanosleep,pause,rt_sigsuspend,rt_sigtimedwait,msgrcv,msgsnd,semop,semtimedop,fsync,fdatasync"

local began

at.start(function(process) began = process.started end)

on[blocking](function(call)
  local tid = call.thread.tid
  began = began or call.time -- attached: there was no start
  waiting[tid] = note(call)
  call:run()
  waiting[tid] = nil
end)

at.finish(function(run)
  local tids = {}
  for tid in pairs(waiting) do tids[#tids + 1] = tid end
  table.sort(tids)
  for _, tid in ipairs(tids) do
    local call = waiting[tid]
    local who = ("%s (pid %d, tid %d)"):format(call.comm, call.pid, tid)
    io.stderr:write(("%s: %s(%s) for %.1f s\n"):format(who, call.name, call.what, began + run.time - call.since))
    for _, frame in ipairs(call.stack) do
      local symbol, offset = frame.symbol or "?", tonumber(frame.offset or 0)
      io.stderr:write(("    %s+0x%x (%s)\n"):format(symbol, offset, frame.module or "?"))
    end
  end
  if #tids == 0 then io.stderr:write("nothing was waiting\n") end
end)
