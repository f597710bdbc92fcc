--- Lists what a program opens for writing, and who in it did: what does this installer, test or build script touch?
--
-- Usage: luatrace examples/audit-opens.lua -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/audit-opens.lua -- gcc -c greet.c
--   /tmp/ccgb0evR.s (cc1)
--   /tmp/ccgb0evR.s (gcc)
--   /tmp/ex/cap/greet.o (as)

local files, order = {}, {}

--- One line for each file and program, however often it was opened.
local function note(call, path)
  if path:find("^/dev/") then return end
  local key = path .. "\0" .. call.process.comm
  if not files[key] then
    files[key] = { path = path, comm = call.process.comm, opens = 0 }
    order[#order + 1] = files[key]
  end
  files[key].opens = files[key].opens + 1
end

local function for_writing(call)
  if call.name == "creat" then return true end
  local flags = call.name == "openat2" and call.how.flags or call.flags
  return flags:has "O_WRONLY" or flags:has "O_RDWR"
end

local function absolute(call)
  local path, directory = tostring(call.pathname), call.dirfd
  if path:sub(1, 1) == "/" then return path end
  return (directory and directory.path or call.process.cwd) .. "/" .. path
end

on["open,openat,openat2,creat"](function(call)
  if not for_writing(call) then return end
  local path = absolute(call)
  if call:run() then note(call, path) end
end)

at.finish(function()
  table.sort(order, function(a, b) return a.path < b.path or a.path == b.path and a.comm < b.comm end)
  for _, file in ipairs(order) do
    local times = file.opens > 1 and (", %d times"):format(file.opens) or ""
    io.stderr:write(("%s (%s%s)\n"):format(file.path, file.comm, times))
  end
end)
