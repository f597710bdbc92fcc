--- What a script sees of a struct: fields that are read when they are asked for, and assigned in the tracee's memory.
-- A part of luatrace.types.structs.

local M = require "luatrace.types.base"

local internal = M.internal
local field_size, number_bytes, IN = internal.field_size, internal.number_bytes, internal.IN

--- Before the call: gives an in-argument memory of its own, once, and says where. What the program has there stays.
---@param call table
---@param i integer the argument
---@param address any where it is now
---@param length integer
---@return any address
function M.move_argument(call, i, address, length)
  local argument_type = call.row[i].type
  if argument_type.chosen then argument_type = argument_type.chosen(call) end
  if call.phase ~= "entry" or argument_type.direction ~= IN then return address end
  local moved = call.moved_arguments
  if moved and moved[i] == address then return address end
  local bytes = call.memory:read(address, length) or ""
  local target, message, name = call.memory:alloc(length)
  if not target then error(("no scratch memory: %s (%s)"):format(message, name), 3) end
  call.memory:write(target, bytes)
  moved = moved or {}
  moved[i] = target
  call.moved_arguments = moved
  call:set_raw(i, target)
  return target
end

--- The value of a field that is there; nil when its memory was not.
local function value_of(view, key, field_type)
  -- Kept apart: a field in the view itself would be assigned without the tracee hearing of it.
  local known = rawget(view, "known")
  if not known then
    known = {}
    rawset(view, "known", known)
  end
  local value = known[key]
  if value ~= nil then return value end
  local loaded = rawget(view, "loaded")
  local raw = loaded[key]
  if raw == nil then return nil end
  value = (field_type.value or field_type.read)(view.call, raw, loaded)
  known[key] = value
  return value
end

--- Where the struct is that may be changed: a copy that the call reads instead, the program's own stays.
local function changeable(view, size)
  local part, loaded = rawget(view, "part"), view.loaded
  if part then return changeable(part.whole, part.size) + part.offset end
  local argument = rawget(view, "argument")
  if argument then loaded.address = M.move_argument(view.call, argument, loaded.address, size) end
  return loaded.address
end

--- The metatable of a struct's views. A view has the `call`, the fields as `loaded`, and where it is an argument, its
-- place as `argument`; where it is a field of another, its place there as `part`.
---@param definition table see M.struct
---@param by_name table<string, table> the fields
---@param place_of table<string, integer> their places in the definition
---@param layout fun(arch: table): table
local function view_of(definition, by_name, place_of, layout)
  local View = {}
  --- Those of nested structs too are read when they are asked for.
  function View.__index(view, key)
    local field = by_name[key]
    if field then
      local value = value_of(view, key, field[2])
      if field[2].bytes_of and type(value) == "table" and rawget(value, "loaded") and not rawget(value, "part") then
        local places = layout(view.call.arch)
        rawset(value, "part", { whole = view, offset = places.offsets[place_of[key]], size = places.size })
      end
      return value
    end
    local extra = definition.also and definition.also[key]
    return extra and extra(rawget(view, "loaded"), view.call) or nil
  end
  function View.__newindex(view, key, new)
    local field = by_name[key]
    if not field then error(("there is no field %q here"):format(tostring(key)), 2) end
    local call, loaded, field_type = view.call, view.loaded, field[2]
    local encoded = not field_type.bytes_of and field_type.encode(call, new, key)
    local bytes = encoded and number_bytes(encoded, field_size(field_type, call.arch))
      or field_type.bytes_of(call, new, key)
    local places = layout(call.arch)
    local address = changeable(view, places.size) + places.offsets[place_of[key]]
    local ok, message, name = call.memory:write(address, bytes)
    if not ok then error(("%s cannot be written: %s (%s)"):format(key, message, name), 2) end
    if encoded then
      loaded[key] = field_type.load and field_type.load(call, encoded) or encoded
    else
      loaded[key] = field_type.fetch(call, address, loaded)
    end
    local known = rawget(view, "known")
    if known then known[key] = nil end
  end
  return View
end

return view_of
