--- Signals everywhere: a program with a handler (a timer, SIGCHLD, SIGWINCH) sees EINTR from all that waits. Which
-- calls of a program do not go on after it?
--
-- Usage: luatrace examples/faults/eintr_storm.lua [BURST [FD]] -- COMMAND
--   BURST  so many EINTRs in a row (default 2)
--   FD     on this descriptor only
--
-- Says of each program which calls were interrupted and never made again. count_lines.c takes EINTR for the end;
-- "careful" it does not, nor does Python (PEP 475); wc reads again, but does not write again. Captured output:
--
--   $ seq 1000 | luatrace examples/faults/eintr_storm.lua 2 0 -- ./count_lines
--   0
--   count_lines: read of pipe was interrupted and not made again, exit status 0
--   $ seq 1000 | luatrace examples/faults/eintr_storm.lua 2 0 -- ./count_lines careful
--   1000
--   $ seq 1000 | luatrace examples/faults/eintr_storm.lua -- python3 -c 'import sys; print(len(list(sys.stdin)))'
--   1000
--   $ seq 1000 | luatrace examples/faults/eintr_storm.lua -- wc -l | cat
--   wc: write error
--   wc: write of pipe was interrupted and not made again, exit status 1

local calls = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,accept,accept4"

on[calls](function(call)
  local process, fd = call.process, call.fd or call.sockfd
  local what = ("%s of %s"):format(call.name, fd.kind)
  call:run()
  process.interrupted = process.interrupted or {}
  process.interrupted[what] = call.errno == "EINTR" or nil
end)

inject.eintr_storm { burst = tonumber(arg[1] or 2), fd = tonumber(arg[2]) }

at.exit(function(process)
  for what in pairs(process.interrupted or {}) do
    io.stderr:write(("%s: %s was interrupted and not made again, exit status %s\n"):format(
      process.exe:match("[^/]*$"), what, process.status))
  end
end)
