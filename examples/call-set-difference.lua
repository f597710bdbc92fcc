--- Which system calls does one run make that another does not? Saves the set of calls of the first run, and prints
-- the difference after the second.
--
-- Usage: luatrace examples/call-set-difference.lua save FILE -- COMMAND
--        luatrace examples/call-set-difference.lua compare FILE -- COMMAND
--   "-" marks calls that only the saved run made, "+" calls that only this one makes
--
-- Captured output:
--
--   $ luatrace examples/call-set-difference.lua save calls -- ls *.c
--   cat.c
--   greet.c
--   main.c
--   $ luatrace examples/call-set-difference.lua compare calls -- ls -l *.c
--   -rw-r--r-- 1 root root 3377 Nov 27 12:56 cat.c
--   -rw-r--r-- 1 root root  100 Nov 27 12:59 greet.c
--   -rw-r--r-- 1 root root  107 Nov 27 12:59 main.c
--   +connect
--   +getxattr
--   +lgetxattr
--   +lseek
--   +socket

local action, file = arg[1], arg[2]
if not file or (action ~= "save" and action ~= "compare") then
  error("usage: luatrace examples/call-set-difference.lua save|compare FILE -- COMMAND", 0)
end

-- Registered so that every call is counted; the counts are luatrace's own.
watch["%all"](function() end)

local function sorted_names(set)
  local names = {}
  for name in pairs(set) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function save(names)
  local out = assert(io.open(file, "w"))
  out:write(table.concat(names, "\n"), "\n")
  assert(out:close())
end

local function compare(calls)
  local before, now = {}, {}
  -- A copy: run.calls answers for every name, with a count of 0.
  for name in pairs(calls) do now[name] = true end
  for name in io.lines(file) do before[name] = true end
  for _, name in ipairs(sorted_names(before)) do
    if not now[name] then io.stderr:write("-", name, "\n") end
  end
  for _, name in ipairs(sorted_names(now)) do
    if not before[name] then io.stderr:write("+", name, "\n") end
  end
end

at.finish(function(run)
  if action == "save" then return save(sorted_names(run.calls)) end
  compare(run.calls)
end)
