-- Does a program that saves a file keep its promises? In busted, on the program that SAVE names.
--
-- Usage (from the root of the project):
--
--   gcc -o save examples/testing/save.c; gcc -o save_fixed examples/testing/save_fixed.c
--   export LUA_CPATH="$PWD/build/?.so;;"
--   SAVE=$PWD/save busted --lua=luajit examples/testing/save_spec.lua
--
-- Captured output (of the faulty one; save_fixed has 3 successes):
--
--   1 success / 2 failures / 0 errors / 0 pending : 0.219785 seconds
--
--   Failure -> examples/testing/save_spec.lua @ 44
--   saving leaves the old file or the new one, whenever the power fails
--   examples/testing/save_spec.lua:46: atomic_write("settings"): its data was not synced before the rename: after a
--   power cut it may be empty
--       write(3</tmp/lua_rmG8W4/settings.new>, "new", 3) = 3  [save, pid 22362]  <- not synced
--           at main+0xd0 (/work/save)
--       rename("settings.new", "settings") = 0  [save, pid 22362]
--           at main+0x10e (/work/save)
--
--   Failure -> examples/testing/save_spec.lua @ 51
--   saving says so when the disk is full, and leaves the old file alone
--   examples/testing/save_spec.lua:54: no_ignored_errors(): an error was ignored
--       write(3</tmp/lua_Y1Vkld/settings.new>, "new", 3) = -1 ENOSPC (No space left on device) (INJECTED)
--         [save, pid 22381]  <- ENOSPC, and the process exited with 0
--           at main+0xd0 (/work/save)

local luatrace = require "luatrace"

local save = os.getenv "SAVE" or "./save"

describe("saving", function()
  local directory
  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    os.execute("mkdir " .. directory .. " && printf old >" .. directory .. "/settings")
  end)
  after_each(function() os.execute("rm -r " .. directory) end)

  local function content() return io.open(directory .. "/settings"):read "*a" end

  it("leaves the old file or the new one, whenever the power fails", function()
    luatrace.run { cmd = { save, "settings", "new" }, cwd = directory, script = function(t)
      t.atomic_write "settings"
    end }
    assert.equal("new", content())
  end)

  it("says so when the disk is full, and leaves the old file alone", function()
    local run = luatrace.run { cmd = { save, "settings", "new" }, cwd = directory, script = function(t)
      t.fail("write", "ENOSPC", { path = "settings.new" })
      t.no_ignored_errors()
    end }
    assert.equal(1, run.status)
    assert.matches("No space left", run.stderr)
    assert.equal("old", content())
  end)

  it("names no other file and no network", function()
    luatrace.run { cmd = { save, "settings", "new" }, cwd = directory, script = function(t)
      t.only_paths { "%libraries", directory }
      t.no_network()
    end }
  end)
end)
