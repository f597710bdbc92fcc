--- A slow server: is a client's timeout one for all it does, or one for each read, so that it waits for ever?
--
-- Usage: luatrace examples/faults/slow_network.lua BANDWIDTH [LATENCY] -- COMMAND
--   BANDWIDTH  bytes a second: 1000, "56kB"
--   LATENCY    of each connect and each transfer: "100ms"
--
-- fetch.py has a timeout of 0.5 s for each read, which is never reached; with a second argument one for all. Captured
-- output:
--
--   $ F=examples/faults
--   $ python3 $F/shop.py luatrace $F/slow_network.lua 2000 -- python3 $F/fetch.py http://localhost:PORT/
--   2000 bytes
--   python3.11 took 1.4 s, exit status 0
--   $ python3 $F/shop.py luatrace $F/slow_network.lua 2000 -- python3 $F/fetch.py http://localhost:PORT/ 0.3
--   fetch: too slow
--   python3.11 took 0.5 s, exit status 1

local bandwidth, latency = tonumber(arg[1]) or arg[1], arg[2]
if not bandwidth then error("usage: luatrace examples/faults/slow_network.lua BANDWIDTH [LATENCY] -- COMMAND", 0) end

inject.slow_network { bandwidth = bandwidth, latency = latency }

at.exit(function(process)
  io.stderr:write(("%s took %.1f s, exit status %s\n"):format(process.exe:match("[^/]*$"),
    process.ended - process.started, process.status))
end)
