--- One step of an I/O error test in the manner of SQLite's: the Nth of the chosen calls fails. A loop over N = 1, 2, …
-- until none fails goes through every place where the program can meet the error.
--
-- Usage: luatrace examples/io-error-sweep.lua N CALLS ERROR MARK -- COMMAND
--   N      which of the calls fails
--   CALLS  a set of calls such as "write" or "write,fsync,rename"; only regular files count, not standard output
--   ERROR  what it fails with: EIO, ENOSPC
--   MARK   a file that is made when a call did fail: the loop ends when it is not there
--
-- io-error-sweep/sweep.sh is the loop, io-error-sweep/store.c a program to test: it keeps a record in a file, rightly
-- ("safe") or with unchecked writes ("careless"). Captured output:
--
--   $ cat sweep
--   LUATRACE=luatrace exec examples/io-error-sweep/sweep.sh write,fsync,rename EIO 'echo old >record' \
--     'case $(cat record) in new) test $status = 0;; old) test $status != 0;; *) false;; esac' ./store "$1" record new
--   $ sh sweep safe
--   1: write fails with EIO: exit status 1, survived
--   2: write fails with EIO: exit status 1, survived
--   3: fsync fails with EIO: exit status 1, survived
--   4: rename fails with EIO: exit status 1, survived
--   4 failures tried
--   $ sh sweep careless
--   1: write fails with EIO: exit status 0, BROKEN
--   2: write fails with EIO: exit status 0, survived
--   3: fsync fails with EIO: exit status 0, survived
--   3 failures tried

local nth, calls, failure, mark = tonumber(arg[1]), arg[2], arg[3], arg[4]
if not mark then error("usage: luatrace examples/io-error-sweep.lua N CALLS ERROR MARK -- COMMAND", 0) end
local count = 0

on[calls](function(call)
  local fd = call.fd
  if type(fd) == "table" and fd.kind ~= "file" then return end
  count = count + 1
  if count ~= nth then return end
  local file = assert(io.open(mark, "w"))
  file:write(call.name, "\n")
  assert(file:close())
  call:fail(failure)
end)
