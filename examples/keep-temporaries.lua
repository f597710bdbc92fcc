--- Keeps the temporary files of a compiler, by answering its unlink calls without doing them. No -save-temps needed,
-- and whatever else makes such files keeps them as well.
--
-- Usage: luatrace examples/keep-temporaries.lua [PATTERN] -- COMMAND
--   PATTERN  a Lua pattern for the paths to keep (default "/cc%w+%.", gcc's; "" keeps everything)
--
-- Captured output:
--
--   $ luatrace examples/keep-temporaries.lua -- gcc -o hello main.c greet.c
--   kept /tmp/ccavhbfl.cdtor.c for collect2
--   kept /tmp/ccqopH4K.cdtor.o for collect2
--   kept /tmp/ccm6Endo.res for gcc
--   kept /tmp/ccfZVqN4.o for gcc
--   kept /tmp/ccG2AbA7.o for gcc
--   kept /tmp/ccF4ZJ2e.s for gcc

local pattern = arg[1] or "/cc%w+%."

watch["unlink,unlinkat"](function(call)
  -- tostring: a bad pointer is a number, and the kernel's business.
  if not tostring(call.pathname):find(pattern) then return end
  io.stderr:write(("kept %s for %s\n"):format(call.pathname, call.process.comm))
  call:returns(0)
end)
