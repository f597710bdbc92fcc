--- A connection breaks in the middle of a reply: does the client notice, does it go on where it was, and does it leave
-- half a file behind as if it were whole?
--
-- Usage: luatrace examples/faults/connection_reset.lua AFTER [TIMES] -- COMMAND
--   AFTER  so many bytes are read from the connection first: 1000, "64K"
--   TIMES  so many connections break (default 1)
--
-- shop.py is a web server for one command; its pages have 2000 bytes. Captured output:
--
--   $ F=examples/faults
--   $ python3 $F/shop.py luatrace $F/connection_reset.lua 1000 -- \
--       wget -q --waitretry=0 -O page http://localhost:PORT/; wc -c page
--   wget met a reset connection; it opened another, exit status 0
--   2000 page
--   $ python3 $F/shop.py luatrace $F/connection_reset.lua 1000 -- curl -sS -o page http://localhost:PORT/; wc -c page
--   curl: (56) Recv failure: Connection reset by peer
--   curl met a reset connection; exit status 56
--   886 page

local after, times = tonumber(arg[1]) or arg[1], tonumber(arg[2] or 1)
if not after then error("usage: luatrace examples/faults/connection_reset.lua AFTER [TIMES] -- COMMAND", 0) end

on["read,readv,recvfrom,recvmsg,write,sendto,sendmsg"](function(call)
  call:run()
  if call.errno == "ECONNRESET" then call.process.was_reset = true end
end)

on.connect(function(call)
  if call.process.was_reset then call.process.tried_again = true end
end)

inject.connection_reset { after = after, times = times }

at.exit(function(process)
  if not process.was_reset then return end
  io.stderr:write(("%s met a reset connection; %sexit status %s\n"):format(process.exe:match("[^/]*$"),
    process.tried_again and "it opened another, " or "", process.status))
end)
