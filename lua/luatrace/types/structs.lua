--- Structs: fields in memory, loaded, shown and assigned by name.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local ffi = require "ffi"
local quote = require "luatrace.text.quote"
local view_of = require "luatrace.types.structs.view"
local M = require "luatrace.types.base"

local internal = M.internal
local cast, takes, lazily = internal.cast, internal.takes, internal.lazily
local sibling, siblings_of = internal.sibling, internal.siblings_of
local shown, clamp = internal.shown, internal.clamp
local field_size, load_field = internal.field_size, internal.load_field
local layout_of, field_bytes = internal.layout_of, internal.field_bytes

--- Every field by its name, and its place in the definition.
local function index_of(definition)
  local by_name, place_of = {}, {}
  for i, field in ipairs(definition) do by_name[field[1]], place_of[field[1]] = field, i end
  return by_name, place_of
end

--- What its fields look up outside of it.
local function outer_siblings(definition, by_name)
  local field_types = {}
  for i, field in ipairs(definition) do field_types[i] = field[2] end
  local names = siblings_of(field_types, by_name)
  if definition.sized_by then names[#names + 1] = definition.sized_by end
  return names
end

local function has_pointers(definition)
  for _, field in ipairs(definition) do
    if field[2].direction or field[2].has_pointers then return true end
  end
  return nil
end

local function add_layout(self, definition, layout)
  function self.size(arch) return layout(arch).size end
  function self.align(arch) return layout(arch).align end
  function self.capacity(call) return layout(call.arch).size end
  --- The offset of each field, for the ABI spec.
  function self.offsets(arch)
    local found = {}
    for i, field in ipairs(definition) do found[field[1]] = layout(arch).offsets[i] end
    return found
  end
end

--- The metatable of a struct that was fetched: a field is loaded when it is asked for, as most texts show few of them.
local function fetched_of(definition, place_of, layout)
  return { __index = function(value, name)
    local place = place_of[name]
    if not place then return nil end
    local call, bytes, field_type = rawget(value, 1), rawget(value, 2), definition[place][2]
    local offset = layout(call.arch).offsets[place]
    if offset + field_size(field_type, call.arch) > #bytes then return nil end
    local loaded = load_field(field_type, call, cast("const uint8_t *", bytes), offset)
    value[name] = loaded
    return loaded
  end }
end

local function add_loading(self, definition, place_of, layout)
  function self.load_from(call, bytes_pointer, outer, available)
    local places = layout(call.arch).offsets
    local value = { outer = outer }
    for i, field in ipairs(definition) do
      if not available or places[i] + field_size(field[2], call.arch) <= available then
        value[field[1]] = load_field(field[2], call, bytes_pointer, places[i])
      end
    end
    return value
  end
  local Fetched = fetched_of(definition, place_of, layout)
  function self.fetch(call, address, scope)
    local known = layout(call.arch).size
    -- A struct that says its own size: as much of it as both sides know.
    if definition.sized_by then
      local given = clamp(sibling(call, scope, definition.sized_by))
      if given < (definition.smallest or 0) then return nil end
      known = math.min(known, given)
    end
    local bytes = call.memory:read(address, known)
    if not bytes or #bytes < known then return nil end
    return setmetatable({ outer = scope, address = address, [1] = call, [2] = bytes }, Fetched)
  end
end

--- The fields in the order of the text, which is not always that of the memory.
local function text_order(definition, by_name)
  if not definition.shown then return definition end
  local ordered = {}
  for i, name in ipairs(definition.shown) do
    ordered[i] = by_name[name] or error(("struct: there is no field %s to show"):format(name), 2)
  end
  return ordered
end

--- Is a field printed? It is read from memory only when it may be.
---@param brief table<string, true|fun(value: table): boolean>|nil|false the fields that a short text has
local function is_printed(call, value, field, brief)
  if field[2].is_hidden then return false end
  local wanted = not brief or brief[field[1]]
  if not wanted or value[field[1]] == nil then return false end
  if field.when then wanted = field.when(value, call) end
  if type(wanted) == "function" then return wanted(value) end
  return wanted
end

--- What a newer caller has put behind the fields that are known here.
---@param size integer as many bytes are known here
---@param given integer as many the caller knows
local function put_rest(out, call, address, size, given)
  if given <= size then return end
  local limit = math.min(given - size, 4096)
  local bytes = call.memory:read(address + size, limit)
  if not bytes or #bytes < limit then return out:put(", ???") end
  if bytes:find("[^%z]") then
    out:put((", /* bytes %d..%d */ "):format(size, given - 1))
    quote.put_hex(out, bytes, shown(call))
  end
end

local function add_text(self, definition, by_name, layout)
  local in_text = text_order(definition, by_name)
  function self.text(out, call, value, scope)
    if definition.text then return definition.text(out, call, value, scope) end
    value.outer = scope
    out:put("{")
    local first = true
    local brief = not (call.text_options and call.text_options.verbose) and definition.brief
    for i = 1, #in_text do
      local field = in_text[i]
      if is_printed(call, value, field, brief) then
        if not first then out:put(", ") end
        first = false
        out:put(field[1], "=")
        field[2].text(out, call, value[field[1]], value)
      end
    end
    if brief then out:put(", ...") end
    if definition.sized_by and value.address then
      put_rest(out, call, value.address, layout(call.arch).size, clamp(sibling(call, scope, definition.sized_by)))
    end
    out:put("}")
  end
end

local function add_plain(self, definition)
  function self.plain(call, value, scope)
    value.outer = scope
    local result = {}
    for _, field in ipairs(definition) do
      local raw = value[field[1]]
      if raw ~= nil and not field[2].is_hidden and not (field.when and not field.when(value, call)) then
        result[field[1]] = field[2].plain(call, raw, value)
      end
    end
    return result
  end
end

local function add_extents(self, definition, layout)
  function self.extents(call, address, scope, add)
    local size = layout(call.arch).size
    if definition.sized_by then size = math.min(size, clamp(sibling(call, scope, definition.sized_by))) end
    if size > 0 then add(address, size) end
    if self.has_pointers then self.extents_inside(call, self.fetch(call, address, scope), add) end
  end
  --- What its fields point to.
  function self.extents_inside(call, value, add)
    if not value then return end
    for _, field in ipairs(definition) do
      local raw, field_type = value[field[1]], field[2]
      if raw ~= nil and field_type.has_pointers then
        raw.outer = value
        field_type.extents_inside(call, raw, add)
      elseif raw ~= nil and field_type.direction then
        field_type.extents(call, raw, value, add)
      end
    end
  end
end

--- From a table of fields; what it leaves out is zero.
local function pack(call, definition, by_name, places, fields, what)
  local box = ffi.new("uint8_t[?]", places.size)
  for i, field in ipairs(definition) do
    local name, field_type = field[1], field[2]
    if fields[name] ~= nil then
      local bytes = field_bytes(call, field_type, fields[name], what .. "." .. name)
      ffi.copy(box + places.offsets[i], bytes, math.min(#bytes, field_size(field_type, call.arch)))
    end
  end
  for name in pairs(fields) do
    if not by_name[name] then error(("%s has no field %q"):format(what, tostring(name)), 0) end
  end
  return ffi.string(box, places.size)
end

--- What a script gets, and what it may give: a view of another struct of the kind, a table of fields, bytes.
local function add_view(self, definition, by_name, place_of, layout)
  local View = view_of(definition, by_name, place_of, layout)
  function self.value(call, value, scope)
    value.outer = scope
    return setmetatable({ loaded = value, call = call }, View)
  end
  self.read = self.value
  function self.bytes_of(call, fields, what)
    if type(fields) == "string" then return fields end
    if type(fields) ~= "table" then takes(what, "a table of fields or the bytes", fields) end
    local places = layout(call.arch)
    if getmetatable(fields) == View then return (call.memory:read(fields.loaded.address, places.size)) end
    return pack(call, definition, by_name, places, fields, what)
  end
end

local function make_struct(self, definition)
  local by_name, place_of = index_of(definition)
  local layout = layout_of(definition)
  self.definition, self.shape = definition, "struct"
  self.siblings = outer_siblings(definition, by_name)
  self.has_pointers = has_pointers(definition)
  add_layout(self, definition, layout)
  add_loading(self, definition, place_of, layout)
  add_text(self, definition, by_name, layout)
  add_plain(self, definition)
  add_extents(self, definition, layout)
  add_view(self, definition, by_name, place_of, layout)
end

--- A struct: fields in memory order, laid out as the ABI of the call's architecture says.
-- definition: list of {"name", type, when =}; `brief`: names printed before ", ..."; `shown`: names in the order of
-- the text; `sized_by`: the sibling that says how many bytes the caller knows of, at least `smallest`; `text`: prints
-- it all
---@param definition table
function M.struct(definition) return lazily(make_struct, definition) end

return M
