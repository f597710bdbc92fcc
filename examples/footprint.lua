--- The memory that each call of a program reads and writes: the bytes that a tool which interposes system calls, or
-- checks a program's memory, has to know about.
--
-- Usage: luatrace examples/footprint.lua [CALLS] -- COMMAND
--   CALLS  a set such as "read,write" (default: all)
--
-- Captured output:
--
--   $ luatrace examples/footprint.lua read,write,openat -- cat greet.h | cat
--   openat
--     read     pathname 0x7f67f9d630b1+17
--   openat
--     read     pathname 0x7f67f9d301e0+32
--   read
--     written  buf 0x7ffeb4002508+832
--   openat
--     read     pathname 0x7ffeb40039a4+8
--   read
--     written  buf 0x7f67f9b1e000+29
--   void greet(const char *who);
--   write
--     read     buf 0x7f67f9b1e000+29
--        read   written bytes of memory
--          57         0 openat
--           0       861 read
--          29         0 write

local totals = {}

local function line(range)
  return ("  %-8s %s %s+%s\n"):format(range.direction, range.argument or "?", ("0x%x"):format(tonumber(range.address)),
    tostring(range.length))
end

on[arg[1] or "%all"](function(call)
  local text = {}
  local total = totals[call.name] or { read = 0, written = 0 }
  totals[call.name] = total
  -- What it reads is known before it runs, what it has written after.
  for _, range in ipairs(call:footprint()) do
    if range.direction == "read" then
      total.read = total.read + tonumber(range.length)
      text[#text + 1] = line(range)
    end
  end
  call:run()
  for _, range in ipairs(call:footprint()) do
    if range.direction == "written" then
      total.written = total.written + tonumber(range.length)
      text[#text + 1] = line(range)
    end
  end
  if #text > 0 then io.stderr:write(call.name, "\n", table.concat(text)) end
end)

at.finish(function()
  local names = {}
  for name in pairs(totals) do names[#names + 1] = name end
  table.sort(names)
  io.stderr:write("     read   written bytes of memory\n")
  for _, name in ipairs(names) do
    io.stderr:write(("%9d %9d %s\n"):format(totals[name].read, totals[name].written, name))
  end
end)
