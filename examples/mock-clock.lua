--- Runs a program at another time, and lets its time pass faster: what happens after 2038, on a leap day, when a
-- certificate or a cache entry expires; tests of long timeouts that take no time.
--
-- Usage: luatrace examples/mock-clock.lua DATE [SPEED] -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/mock-clock.lua '2038-01-19 03:14:07' -- date -u
--   Tue Jan 19 03:14:07 UTC 2038
--   $ luatrace examples/mock-clock.lua '2038-01-19' 1000 -- sh -c 'date -u; sleep 3600; date -u'
--   Tue Jan 19 00:00:00 UTC 2038
--   Tue Jan 19 01:00:05 UTC 2038
--   $ luatrace examples/mock-clock.lua 2040-02-29 -- sqlite3 :memory: "select date('now', '+1 year')"
--   2041-03-01

local at, speed = arg[1], tonumber(arg[2] or 1)
if not at or not speed then error("usage: luatrace examples/mock-clock.lua DATE [SPEED] -- COMMAND", 0) end

clock { at = at, speed = speed }
