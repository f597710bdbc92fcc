--- A slow disk (a worn SD card, a network file system): how long does a program take there, and how much of that is
-- fsync?
--
-- Usage: luatrace examples/faults/slow_disk.lua LATENCY [PATH] -- COMMAND
--   LATENCY  of each read, write and fsync of a file: "5ms"
--   PATH     of these files only: "*.db*"
--
-- A hundred rows in a transaction each, or all in one. Captured output:
--
--   $ sqlite3 t.db 'create table t (x)'
--   $ for i in $(seq 100); do echo "insert into t values ($i);"; done >rows.sql
--   $ luatrace examples/faults/slow_disk.lua 1ms 't.db*' -- sqlite3 t.db '.read rows.sql'
--   sqlite3 took 2.29 s
--   luatrace: count("fsync,fdatasync", { after_startup = true, path = "t.db*" }): 300
--   $ luatrace examples/faults/slow_disk.lua 1ms 't.db*' -- sqlite3 t.db begin '.read rows.sql' commit
--   sqlite3 took 0.04 s
--   luatrace: count("fsync,fdatasync", { after_startup = true, path = "t.db*" }): 3

local latency, path = arg[1], arg[2]
if not latency then error("usage: luatrace examples/faults/slow_disk.lua LATENCY [PATH] -- COMMAND", 0) end

count("fsync,fdatasync", { path = path, after_startup = true })

inject.slow_disk { latency = latency, path = path }

at.exit(function(process)
  io.stderr:write(("%s took %.2f s\n"):format(process.exe:match("[^/]*$"), process.ended - process.started))
end)
