--- The rows of all calls, in rooms by subject. To add a call, add a row to its room; the schema is in schema.lua.
--
--   local row = require("luatrace.syscalls").find("x86_64", "openat")

local schema = require "luatrace.schema"

local M = {}

--- In the order of how often they are needed: a room is loaded only when all rooms before it lack the call.
local rooms = { "file", "fd", "memory", "process", "signal", "network", "time", "poll", "xattr", "ipc", "mount",
  "system", "sched", "trace", "messages" }
local i386_rooms = { "i386", "i386_old" }

local lists = { x86_64 = rooms, i386 = i386_rooms }
--- Rooms that are loaded already, in order.
local loaded = { x86_64 = {}, i386 = {} }

local function room(arch, index)
  local known = loaded[arch][index]
  if not known then
    known = require("luatrace.syscalls." .. lists[arch][index])
    loaded[arch][index] = known
  end
  return known
end

--- A row is checked, and completed, when it is first asked for.
local function checked(name, row) return row.name and row or schema.check(name, row) end

local function search(arch, name)
  for index = 1, #lists[arch] do
    local row = room(arch, index)[name]
    if row then return checked(name, row) end
  end
end

--- The row of a call on an architecture; nil when there is none.
---@param arch "x86_64"|"i386"
---@param name string
---@return table|nil
function M.find(arch, name)
  -- The i386 rooms are made of checked rows of the others.
  if arch == "i386" and not loaded.i386[1] then M.rooms("x86_64") end
  return arch == "i386" and search("i386", name) or search("x86_64", name)
end

--- All rooms of an architecture's own calls, for the spec that looks for calls which stand in two.
---@param arch "x86_64"|"i386"
---@return table<string, table>[]
function M.rooms(arch)
  local list = {}
  for index = 1, #lists[arch] do
    list[index] = room(arch, index)
    for name, row in pairs(list[index]) do checked(name, row) end
  end
  return list
end

return M
