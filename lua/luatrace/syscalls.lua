--- The rows of all calls, in rooms by subject. To add a call, add a row to its room; the schema is in schema.lua.
--
--   local row = require("luatrace.syscalls").find("x86_64", "openat")

local packed = require "luatrace.packed"
local schema = require "luatrace.schema"

local M = {}

--- In a source tree a room is loaded when all rooms before it lack the call; the built program knows which has it.
local rooms = { "file", "fd", "memory", "process", "signal", "network", "time", "poll", "xattr", "ipc", "mount",
  "system", "sched", "trace", "messages" }
local i386_rooms = { "i386", "i386_old" }

local lists = { x86_64 = rooms, i386 = i386_rooms }
local function room(name) return require("luatrace.syscalls." .. name) end

--- Name of a call -> room, in the built program.
local room_of = {}
for arch in pairs(lists) do room_of[arch] = not packed.is_source and packed.open_map("rooms " .. arch) or nil end

--- A row is checked, and completed, when it is first asked for.
local function checked(name, row) return row.name and row or schema.check(name, row) end

local function search(arch, name)
  local known = room_of[arch]
  if known then return known[name] and checked(name, room(known[name])[name]) end
  for _, each in ipairs(lists[arch]) do
    local row = room(each)[name]
    if row then return checked(name, row) end
  end
end

--- The row of a call on an architecture; nil when there is none.
---@param arch "x86_64"|"i386"
---@param name string
---@return table|nil
function M.find(arch, name)
  return arch == "i386" and search("i386", name) or search("x86_64", name)
end

--- All rooms of an architecture's own calls, for the spec that looks for calls which stand in two.
---@param arch "x86_64"|"i386"
---@return table<string, table>[]
function M.rooms(arch)
  local list = {}
  for index, name in ipairs(lists[arch]) do
    list[index] = room(name)
    for call, row in pairs(list[index]) do checked(call, row) end
  end
  return list
end

--- Which room has which call: for the build.
---@param arch "x86_64"|"i386"
---@return table<string, string>
function M.room_names(arch)
  local names = {}
  for _, each in ipairs(lists[arch]) do
    for call in pairs(room(each)) do names[call] = names[call] or each end
  end
  return names
end

return M
