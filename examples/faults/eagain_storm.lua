--- Readiness is no promise: select, poll and epoll may say "readable" and the read still finds nothing (a checksum that
-- was wrong, another thread that was faster). Does an event loop survive that, and does it spin?
--
-- Usage: luatrace examples/faults/eagain_storm.lua [BURST] -- COMMAND
--   BURST  so many EAGAINs in a row (default 3)
--
-- Captured output:
--
--   $ luatrace examples/faults/eagain_storm.lua -- python3 examples/faults/echo_client.py 2>&1 | tail -2
--   BlockingIOError: [Errno 11] Resource temporarily unavailable
--   python3.11 met EAGAIN 1 times and waited again 0 times, exit status 1
--   $ luatrace examples/faults/eagain_storm.lua -- python3 examples/faults/echo_client.py careful
--   hello
--   python3.11 met EAGAIN 3 times and waited again 3 times, exit status 0

on["read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,accept,accept4"](function(call)
  call:run()
  if call.errno == "EAGAIN" then
    local process = call.process
    process.met, process.is_told = (process.met or 0) + 1, true
  end
end)

on["select,pselect6,poll,ppoll,epoll_wait,epoll_pwait"](function(call)
  local process = call.process
  if process.is_told then process.waited, process.is_told = (process.waited or 0) + 1, nil end
end)

inject.eagain_storm { burst = tonumber(arg[1]) }

at.exit(function(process)
  if not process.met then return end
  io.stderr:write(("%s met EAGAIN %d times and waited again %d times, exit status %s\n"):format(
    process.exe:match("[^/]*$"), process.met, process.waited or 0, process.status))
end)
