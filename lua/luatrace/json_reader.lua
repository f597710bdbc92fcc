--- Reads what --format=json has written: one event a line, as tables. Plain Lua: no core is needed, any LuaJIT or Lua
-- 5.1 reads a trace with it.
--
--   local reader = require "luatrace.json_reader"
--   for event in reader.events("trace.json") do
--     if event.type == "call" and event.call == "openat" and event.ret ~= -1 then
--       print(event.comm, event.args.pathname)
--     end
--   end
--
-- Strings are bytes: { base16 = "ff00" } becomes them. null is `reader.null`, which prints as NULL; whole numbers
-- that no double holds stay strings of digits. An empty list and an empty object are both {}.

local json = require "luatrace.text.json"

local M = {}

--- What JSON calls null: an argument that is NULL.
M.null = setmetatable({}, { __tostring = function() return "NULL" end })

local function from_hex(pair) return string.char(tonumber(pair, 16)) end

--- Bytes that are no text.
local function from_base16(object)
  if type(object.base16) ~= "string" or next(object, next(object)) ~= nil then return nil end
  return (object.base16:gsub("%x%x", from_hex))
end

local reading = { null = M.null, character = json.utf8, object = from_base16 }

--- One line.
---@param line string
---@return table|nil event, string? message
function M.event(line)
  local value, message = json.decode(line, reading)
  if message then return nil, message end
  if type(value) ~= "table" or value.v == nil then return nil, "this is no event of luatrace --format=json" end
  if value.v ~= 1 then return nil, ("version %s: this reader knows version 1"):format(tostring(value.v)) end
  return value
end

--- All events of a file; an error names file and line.
---@param source string|file* a path, or a file that is open
---@return fun(): table|nil
function M.events(source)
  local file, name = source, "the trace"
  if type(source) == "string" then
    local message
    file, message = io.open(source, "rb")
    if not file then error("cannot read the trace " .. message, 2) end
    name = source
  end
  -- What is open only for this loop must not wait for the collector.
  local function done()
    if type(source) == "string" then file:close() end
  end
  local count = 0
  return function()
    local line = file:read("*l")
    if not line then return done() end
    count = count + 1
    local event, message = M.event(line)
    if not event then
      done()
      error(("%s:%d: %s"):format(name, count, message), 2)
    end
    return event
  end
end

return M
