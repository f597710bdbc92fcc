--- A tiny `strace -c`: how often each call was made, and how often it failed.
--
-- Usage: luatrace examples/count-calls.lua [CALLS] -- COMMAND
--   CALLS  a set such as "%file" or "open,openat" (default: all)
--
-- Captured output:
--
--   $ luatrace examples/count-calls.lua -- true
--       calls    errors syscall
--           8           mmap
--           3           mprotect
--           2           close
--           2           newfstatat
--           2           openat
--           2           pread64
--           1         1 access
--           1           arch_prctl
--           1           brk
--           1           execve
--           1           exit_group
--           1           munmap
--           1           prlimit64
--           1           read
--           1           rseq
--           1           set_robust_list
--           1           set_tid_address

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
