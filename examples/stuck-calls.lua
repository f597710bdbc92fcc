--- Says what a stuck program is blocked in: every call that has not returned when the run ends, whose it is, and for
-- how long (without a script: luatrace --stuck, which also says who could end the wait).
--
-- Usage: luatrace --timeout=SECONDS examples/stuck-calls.lua [stack] -- COMMAND
--        luatrace -p PID examples/stuck-calls.lua, and Ctrl-C when you have seen enough
--   stack  keep the stack of each such call as well (slower)
--
-- Captured output:
--
--   $ luatrace --timeout=2 examples/stuck-calls.lua -- sh -c 'cat fifo | sort'; echo $?
--   sh (pid 23733, tid 23733): wait4(any child) for 2.0 s
--   cat (pid 23734, tid 23734): openat(fifo) for 2.0 s
--   sort (pid 23735, tid 23735): read(fd 0, pipe pipe:[112994]) for 2.0 s
--   124

local with_stack = arg[1] == "stack"
local waiting = {} -- tid -> what its thread is in

--- What is known of a call without touching the program again: when it is reported, the program may be gone.
local function note(call)
  local first = call.args[1]
  local fd = call.fd or call.sockfd
  local what
  if type(fd) == "table" then
    what = ("fd %d, %s %s"):format(fd.num, fd.kind or "?", fd.path or "")
  elseif call.name == "wait4" then
    what = call.pid == -1 and "any child" or ("child %d"):format(call.pid)
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
      local name, offset = frame.symbol or "?", frame.symbol and frame.offset or frame.module_offset or 0
      io.stderr:write(("    %s+0x%x (%s)\n"):format(name, offset, frame.module or "?"))
    end
  end
  if #tids == 0 then io.stderr:write("nothing was waiting\n") end
end)
