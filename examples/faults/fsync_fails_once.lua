--- Who believes a second fsync? After one that failed Linux marks the pages clean: the next one succeeds, and the data
-- is lost ("fsyncgate", by which PostgreSQL lost data until 2018).
--
-- Usage: luatrace examples/faults/fsync_fails_once.lua [FILE] -- COMMAND
--   FILE  a pattern: "*.db" (default: all files)
--
-- commit.c tries again; "careful" it does not; SQLite rolls back. Captured output:
--
--   $ luatrace examples/faults/fsync_fails_once.lua -- ./commit log one
--   commit: fsync: Input/output error
--   committed
--   commit: fsync of log failed, the next one did not, and its exit status is 0: the data is lost
--   $ luatrace examples/faults/fsync_fails_once.lua -- ./commit careful log one
--   commit: fsync: Input/output error
--   $ sqlite3 t.db 'create table t (x)'
--   $ luatrace examples/faults/fsync_fails_once.lua t.db -- sqlite3 t.db 'insert into t values (1)'
--   Error: stepping, disk I/O error (10)

local again = {}

on["fsync,fdatasync"](function(call)
  local process, path = call.process, call.fd.path
  process.failed_syncs = process.failed_syncs or {}
  call:run()
  if call.errno then
    process.failed_syncs[path] = true
  elseif process.failed_syncs[path] then
    again[process] = path:match("[^/]*$")
  end
end)

inject.fsync_fails_once { path = arg[1] }

at.exit(function(process)
  if again[process] and process.status == 0 then
    io.stderr:write(("%s: fsync of %s failed, the next one did not, and its exit status is 0: the data is lost\n")
      :format(process.exe:match("[^/]*$"), again[process]))
  end
end)
