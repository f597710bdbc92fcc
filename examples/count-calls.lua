--- A tiny `strace -c`: how often each call was made, and how often it failed.
--
-- Usage: luatrace examples/count-calls.lua [CALLS] -- COMMAND
--   CALLS  a set such as "%file" or "open,openat" (default: all)
--
-- Captured output:
--
--   @OUTPUT@

on[arg[1] or "%all"](function(call) call:run() end)

at.finish(function(run)
  local names = {}
  for name in pairs(run.calls) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    local x, y = run.calls[a].count, run.calls[b].count
    return x > y or x == y and a < b
  end)
  io.stderr:write("    calls    errors syscall\n")
  for _, name in ipairs(names) do
    local calls = run.calls[name]
    io.stderr:write(("%9d %9s %s\n"):format(calls.count, calls.errors > 0 and calls.errors or "", name))
  end
end)
