--- The rows of all calls, in rooms by subject. To add a call, add a row to its room; the schema is in schema.lua.
--
--   local row = require("luatrace.syscalls").find("x86_64", "openat")

local schema = require "luatrace.schema"

local M = {}

local rooms = { "file", "fd", "memory", "network", "process", "signal", "time", "poll", "xattr", "ipc", "mount",
  "system", "sched", "trace", "messages" }
local i386_rooms = { "i386", "i386_old" }

local function load_rooms(names)
  local rows = {}
  for _, room in ipairs(names) do
    for name, row in pairs(require("luatrace.syscalls." .. room)) do
      if rows[name] then error(("table of calls: %s stands in two rooms"):format(name)) end
      rows[name] = schema.check(name, row)
    end
  end
  return rows
end

local common, i386

--- The row of a call on an architecture; nil when there is none.
---@param arch "x86_64"|"i386"
---@param name string
---@return table|nil
function M.find(arch, name)
  common = common or load_rooms(rooms)
  if arch == "i386" then
    i386 = i386 or load_rooms(i386_rooms)
    if i386[name] then return i386[name] end
  end
  return common[name]
end

return M
