-- The promises of a program that saves a file, for the command line and shell scripts: luatrace ends with 123 and says
-- on standard error which one is not kept.
--
-- Usage: luatrace examples/testing/save.lua FILE -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/testing/save.lua settings -- ./save settings new
--   examples/testing/save.lua:17: atomic_write("settings"): its data was not synced before the rename: after a power
--   cut it may be empty
--       write(3</work/settings.new>, "new", 3) = 3  [save, pid 21557]  <- not synced
--           at main+0xd0 (/work/save)
--       rename("settings.new", "settings") = 0  [save, pid 21557]
--           at main+0x10e (/work/save)
--   luatrace: 1 of 3 expectations failed

atomic_write(arg[1])
no_ignored_errors()
no_network()
