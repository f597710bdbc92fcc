--- Which programs of a build, a backup or a cron job lie about a full disk: some write fails with ENOSPC, and the
-- program ends with 0 all the same.
--
-- Usage: luatrace examples/faults/full_disk.lua [QUOTA [PATH]] -- COMMAND
--   QUOTA  so many bytes more fit (default 4K)
--   PATH   where (a pattern such as "/var/**"; default: everywhere but on standard error)
--
-- report.c never asks stdio whether its lines have arrived; "careful" it does. Captured output:
--
--   $ luatrace examples/faults/full_disk.lua 4K -- ./report list; echo $?
--   report: 22 writes failed with ENOSPC, and its exit status is 0
--   0
--   $ luatrace examples/faults/full_disk.lua 4K -- ./report careful list; echo $?
--   report: No space left on device
--   1

local failures = {}

on["%desc"](function(call)
  call:run()
  if call.errno == "ENOSPC" then failures[call.process] = (failures[call.process] or 0) + 1 end
end)

at.exit(function(process)
  local count = failures[process]
  if count and process.status == 0 then
    io.stderr:write(("%s: %d write%s failed with ENOSPC, and its exit status is 0\n"):format(
      process.exe:match("[^/]*$"), count, count == 1 and "" or "s"))
  end
end)

-- Rules and handlers are asked in the order in which they were made: the disk comes last, where the kernel is.
inject.full_disk { quota = arg[1] or "4K", path = arg[2] }
