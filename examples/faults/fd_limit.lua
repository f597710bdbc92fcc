--- Descriptors run out: what does a program do when open, accept or pipe fail with EMFILE? Many servers end, or call
-- accept again and again without pause, since the connection is still waiting.
--
-- Usage: luatrace examples/faults/fd_limit.lua MAX [CALLS] -- COMMAND
--   MAX    the number of descriptors that the program may have
--   CALLS  say so when it has failed so often in a row (default 100): it spins
--
-- accept_loop.py ends, or, "patient", closes its oldest connection. Captured output:
--
--   $ luatrace examples/faults/fd_limit.lua 15 -- python3 accept_loop.py 2>&1 | tail -1
--   OSError: [Errno 24] Too many open files
--   $ luatrace examples/faults/fd_limit.lua 15 -- python3 accept_loop.py patient
--   served 8
--   $ luatrace examples/faults/fd_limit.lua 4 -- sort -m /etc/passwd /etc/group /etc/hosts
--   sort: open failed: /etc/group: Too many open files

local max, patience = tonumber(arg[1]), tonumber(arg[2] or 100)
if not max then error("usage: luatrace examples/faults/fd_limit.lua MAX [CALLS] -- COMMAND", 0) end

on["accept,accept4"](function(call)
  call:run()
  local process = call.process
  process.in_a_row = call.errno == "EMFILE" and (process.in_a_row or 0) + 1 or 0
  if process.in_a_row == patience then
    io.stderr:write(("%s spins: %d accepts have failed in a row\n"):format(process.comm, patience))
    call:kill()
  end
end)

inject.fd_limit { max = max }
