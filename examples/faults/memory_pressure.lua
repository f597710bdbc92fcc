--- How does a program end with less and less memory? It should say so; many die of SIGSEGV. Runs a command with half
-- the budget again and again, down to nothing.
--
-- Usage: luatrace examples/faults/memory_pressure.lua MOST COMMAND...
--   MOST  the first budget, past start-up: "32M"
--
-- render.c does not look at what malloc gives; "careful" it does; sqlite3 does. Captured output:
--
--   $ luatrace examples/faults/memory_pressure.lua 32M ./render
--    32768K: exit 0: 64 rows
--    16384K: killed by SIGSEGV
--     8192K: killed by SIGSEGV
--   ...
--   $ luatrace examples/faults/memory_pressure.lua 32M ./render careful
--    32768K: exit 0: 64 rows
--    16384K: exit 0: 62 rows
--   ...
--        0K: exit 1: render: out of memory
--   $ luatrace examples/faults/memory_pressure.lua 64K sqlite3 :memory: 'select 1'
--       64K: exit 1: Error: out of memory
--        0K: exit 1: Error: out of memory

local signals = { [6] = "SIGABRT", [7] = "SIGBUS", [9] = "SIGKILL", [11] = "SIGSEGV" }
local number, unit = (arg[1] or ""):match("^(%d+)([KMG])$")
local command = { unpack(arg, 2) }
if not number or #command == 0 then
  error("usage: luatrace examples/faults/memory_pressure.lua MOST COMMAND...", 0)
end

local budget = number * ({ K = 1024, M = 1024 ^ 2, G = 1024 ^ 3 })[unit]
local worst = 0
while true do
  local result = run { cmd = command, script = function(t) t.inject.memory_pressure { budget = budget } end }
  local said = (result.stdout .. result.stderr):match("[^\n]*")
  if result.signal then worst = 1 end
  print(("%7dK: %s"):format(budget / 1024, result.signal and "killed by " .. (signals[result.signal] or result.signal)
    or ("exit %d: %s"):format(result.status, said)))
  if budget == 0 then break end
  budget = budget > 65536 and math.floor(budget / 2) or 0
end
if worst > 0 then os.exit(worst) end
