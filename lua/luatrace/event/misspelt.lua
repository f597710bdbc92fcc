--- Fields that no call of that name has, read by a script: nil tells nothing of a slip of the pen, so this does.
--
-- Scripts may keep notes on a call, under any name: those are no slips, once they have been given a value somewhere.

local decode = require "luatrace.decode"
local script_place = require "luatrace.event.script_place"

local M = {}

local notes = {}
--- Per row of a call: the names that have been looked at.
local looked_at = setmetatable({}, { __mode = "k" })

--- A script has given the call a note of that name.
---@param key any
function M.note(key) notes[key] = true end

local function names(call, row, computed)
  local set = { ret = true, errno = true, nr = true }
  for _, list in ipairs { row.index, computed, getmetatable(call) } do
    for name in pairs(list) do set[name] = true end
  end
  return set
end

--- Handlers of many calls ask each for what some of them have.
local function some_call_has(key)
  for name in pairs(decode.names("x86_64")) do
    if decode.find("x86_64", name).index[key] then return true end
  end
  return false
end

--- To be called where nothing has been found, by the function that the script's access runs.
---@param call luatrace.Call
---@param row table of luatrace.decode
---@param key any
---@param computed table<string, function> fields that every call has
function M.look(call, row, key, computed)
  local seen = looked_at[row]
  if not seen then
    seen = {}
    looked_at[row] = seen
  end
  if seen[key] or notes[key] or type(key) ~= "string" then return end
  local place = script_place.at(3)
  if not place then return end
  seen[key] = true
  local near = require("luatrace.filter").did_you_mean(key, names(call, row, computed), 1)
  if near ~= "" and not some_call_has(key) then
    call.session:notice(key, ("%s: call.%s is nil: %s has nothing of that name%s"):format(place, key, row.name, near))
  end
end

return M
