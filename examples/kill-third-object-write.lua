--- Kills the program that makes the third write to an object file, at the onset of that write: what a crash or the
-- out-of-memory killer does to a build at the worst moment. Does the next build recover?
--
-- Usage: luatrace examples/kill-third-object-write.lua [N [PATTERN]] -- COMMAND
--   N        which write to a matching file kills its writer (default 3)
--   PATTERN  a Lua pattern for the file's path (default "%.o$")
--
-- kill-third-object-write/ has the same small project with two makefiles, which differ in one line: broken.mk lacks
-- .DELETE_ON_ERROR. Captured output:
--
--   $ luatrace examples/kill-third-object-write.lua -- make -f broken.mk
--   gcc -O1 -Wall -Wextra -Werror -S -o - main.c | as -o main.o -
--   killed as (pid 20347) at write 3 to /tmp/ex/cap/main.o
--   Killed
--   make: *** [rules.mk:10: main.o] Error 137
--   $ make -f broken.mk
--   gcc -O1 -Wall -Wextra -Werror -S -o - greet.c | as -o greet.o -
--   gcc -o hello main.o greet.o
--   main.o: file not recognized: file format not recognized
--   collect2: error: ld returned 1 exit status
--   make: *** [rules.mk:7: hello] Error 1
--   $ rm main.o greet.o
--   $ luatrace examples/kill-third-object-write.lua -- make -f good.mk
--   gcc -O1 -Wall -Wextra -Werror -S -o - main.c | as -o main.o -
--   killed as (pid 20371) at write 3 to /tmp/ex/cap/main.o
--   Killed
--   make: *** [rules.mk:10: main.o] Error 137
--   make: *** Deleting file 'main.o'
--   $ make -f good.mk
--   gcc -O1 -Wall -Wextra -Werror -S -o - main.c | as -o main.o -
--   gcc -O1 -Wall -Wextra -Werror -S -o - greet.c | as -o greet.o -
--   gcc -o hello main.o greet.o

local nth = tonumber(arg[1] or 3)
local pattern = arg[2] or "%.o$"
local writes = 0

watch["write,pwrite64,writev"](function(call)
  local path = call.fd.path
  if not path or not path:find(pattern) then return end
  writes = writes + 1
  if writes == nth then
    local process = call.process
    io.stderr:write(("killed %s (pid %d) at write %d to %s\n"):format(process.comm, process.pid, writes, path))
    call:kill() -- before it has run: none of its bytes reaches the file
  end
end)

at.finish(function()
  if writes < nth then io.stderr:write(("nobody was killed: there were %d such writes\n"):format(writes)) end
end)
