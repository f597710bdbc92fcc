--- What a script sees of a struct: fields that are read when they are asked for, and assigned in the tracee's memory.
-- A part of luatrace.types.structs.

local M = require "luatrace.types.base"

local internal = M.internal
local cast, IN = internal.cast, internal.IN
local field_size, field_bytes, load_field = internal.field_size, internal.field_bytes, internal.load_field

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
---@param place integer its place in the definition
local function value_of(view, key, field_type, layout, place)
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
  if type(value) == "table" and rawget(value, "loaded") then
    local places = layout(view.call.arch)
    rawset(value, "part", { whole = view, offset = places.offsets[place], size = places.size })
  end
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
    if field then return value_of(view, key, field[2], layout, place_of[key]) end
    local extra = definition.also and definition.also[key]
    return extra and extra(rawget(view, "loaded"), view.call) or nil
  end
  function View.__newindex(view, key, new)
    local field = by_name[key]
    if not field then error(("there is no field %q here"):format(tostring(key)), 2) end
    local call, loaded, field_type = view.call, view.loaded, field[2]
    local bytes = field_bytes(call, field_type, new, key)
    local places = layout(call.arch)
    local address = changeable(view, places.size) + places.offsets[place_of[key]]
    local ok, message, name = call.memory:write(address, bytes)
    if not ok then error(("%s cannot be written: %s (%s)"):format(key, message, name), 2) end
    -- As the program will find it.
    local whole = call.memory:read(address, field_size(field_type, call.arch))
    loaded[key] = load_field(field_type, call, cast("const uint8_t *", whole), 0)
    local known = rawget(view, "known")
    if known then known[key] = nil end
  end
  return View
end

return view_of
