--- A fault sweep as a test of your own: every failure of disk and machine at every place where a program saves a file,
-- and one rule for what may be there afterwards: a whole old file or a whole new one, and no success that is none.
--
-- Usage: luatrace examples/sweep-saves.lua DIRECTORY FILE COMMAND...
--   DIRECTORY  what the command works on: each run gets a copy of it
--   FILE       the file in it that the command saves
--
-- kill-fourth-byte/writer.c writes "aaaaaaaa" byte by byte, in place or beside and renamed. Captured output:
--
--   $ mkdir data; echo old >data/target
--   $ luatrace examples/sweep-saves.lua data target ./writer in-place target
--   19 runs, 2 findings
--   DESTROYED: the 1st write on target fails with EIO: target is "" (3/3)
--   DESTROYED: the 3rd openat on target returns and everything is killed: target is "" (3/3)
--   $ luatrace examples/sweep-saves.lua data target ./writer atomic target
--   24 runs, 0 findings

local directory, file = arg[1], arg[2]
if not arg[3] then error("usage: luatrace examples/sweep-saves.lua DIRECTORY FILE COMMAND...", 0) end

local function content(files) return files[file] and files[file].content end

local function whole(state)
  local now, old, new = content(state.files), content(state.before), content(state.clean)
  if now == new or not state.success and now == old then return true end
  return false, ("%s is %s"):format(file, now and ("%q"):format(now) or "gone")
end

local options = { fixture = directory, faults = "disk,kill,short", check = whole }
for i = 3, #arg do options[#options + 1] = arg[i] end
local report, message = sweep(options)
if not report then error(message, 0) end

print(("%d runs, %d findings"):format(#report.runs, #report.findings))
for _, finding in ipairs(report.findings) do
  print(("%s: %s: %s (%s)"):format(finding.verdict, finding.title, finding.details[1].now, finding.confirmed))
end
