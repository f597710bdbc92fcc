--- Structs, arrays, single cells of memory, and types that depend on the call.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local ffi = require "ffi"
local quote = require "luatrace.text.quote"
local M = require "luatrace.types.base"

local internal = M.internal
local cast = internal.cast
local exact, hex, takes = internal.exact, internal.hex, internal.takes
local sibling, siblings_of, IN, same = internal.sibling, internal.siblings_of, internal.IN, internal.same
local shown, clamp, lazily = internal.shown, internal.clamp, internal.lazily

local function field_size(field_type, arch)
  local size = field_type.size
  if size == "long" then return arch.pointer_size end
  if type(size) == "function" then return size(arch) end
  return size
end

local function field_align(field_type, arch)
  local align = field_type.align
  if type(align) == "function" then return align(arch) end
  align = align or field_size(field_type, arch)
  -- The i386 ABI aligns 64-bit integers in structs to 4.
  return arch.bits == 32 and align > 4 and 4 or align
end

local function load_field(field_type, call, pointer_to, offset)
  if field_type.load_from then return field_type.load_from(call, pointer_to + offset) end
  local ctype = field_type.ctype
  if not ctype then
    if call.arch.pointer_size == 8 then
      ctype = field_type.signed and "const int64_t *" or "const uint64_t *"
    else
      ctype = field_type.signed and "const int32_t *" or "const uint32_t *"
    end
  end
  local raw = cast(ctype, pointer_to + offset)[0]
  return type(raw) == "cdata" and exact(raw) or raw
end

local store_types = { [1] = "uint8_t *", [2] = "uint16_t *", [4] = "uint32_t *", [8] = "uint64_t *" }

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

local function make_struct(self, definition)
  local layouts = {}
  self.definition, self.shape = definition, "struct"
  local by_name, place_of, types_of_fields = {}, {}, {}
  for i, field in ipairs(definition) do
    by_name[field[1]], place_of[field[1]] = field, i
    types_of_fields[i] = field[2]
  end
  self.siblings = siblings_of(types_of_fields, by_name)
  if definition.sized_by then self.siblings[#self.siblings + 1] = definition.sized_by end
  --- In the order of the text, which is not always that of the memory.
  local in_text = definition
  if definition.shown then
    in_text = {}
    for i, name in ipairs(definition.shown) do
      in_text[i] = by_name[name] or error(("struct: there is no field %s to show"):format(name), 2)
    end
  end
  local function layout(arch)
    local known = layouts[arch.bits]
    if known then return known end
    local offset, widest, offsets = 0, 1, {}
    for i, field in ipairs(definition) do
      local align = definition.packed and 1 or field_align(field[2], arch)
      if align > widest then widest = align end
      offset = math.ceil(offset / align) * align
      offsets[i] = offset
      offset = offset + field_size(field[2], arch)
    end
    known = { offsets = offsets, size = math.ceil(offset / widest) * widest, align = widest }
    layouts[arch.bits] = known
    return known
  end
  function self.size(arch) return layout(arch).size end
  function self.align(arch) return layout(arch).align end
  --- The offset of each field, for the ABI spec.
  function self.offsets(arch)
    local found = {}
    for i, field in ipairs(definition) do found[field[1]] = layout(arch).offsets[i] end
    return found
  end
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
  --- The fields of a struct that was fetched are loaded when they are asked for: most texts show few of them.
  local Fields = { __index = function(value, name)
    local place = place_of[name]
    if not place then return nil end
    local call, bytes, field_type = rawget(value, 1), rawget(value, 2), definition[place][2]
    local offset = layout(call.arch).offsets[place]
    if offset + field_size(field_type, call.arch) > #bytes then return nil end
    local loaded = load_field(field_type, call, cast("const uint8_t *", bytes), offset)
    value[name] = loaded
    return loaded
  end }
  function self.fetch(call, address, scope)
    local size = layout(call.arch).size
    local known = size
    -- A struct that says its own size: as much of it as both sides know.
    if definition.sized_by then
      local given = clamp(sibling(call, scope, definition.sized_by))
      if given < (definition.smallest or 0) then return nil end
      known = math.min(size, given)
    end
    local bytes = call.memory:read(address, known)
    if not bytes or #bytes < known then return nil end
    return setmetatable({ outer = scope, address = address, [1] = call, [2] = bytes }, Fields)
  end
  --- What a newer caller has put behind the fields that are known here.
  local function put_rest(out, call, value, scope)
    local size = layout(call.arch).size
    local given = clamp(sibling(call, scope, definition.sized_by))
    if given <= size then return end
    local limit = math.min(given - size, 4096)
    local bytes = call.memory:read(value.address + size, limit)
    if not bytes or #bytes < limit then return out:put(", ???") end
    if bytes:find("[^%z]") then
      out:put((", /* bytes %d..%d */ "):format(size, given - 1))
      quote.put_hex(out, bytes, shown(call))
    end
  end
  local function put_field(out, call, field, value)
    out:put(field[1], "=")
    field[2].text(out, call, value[field[1]], value)
  end
  function self.text(out, call, value, scope)
    if definition.text then return definition.text(out, call, value, scope) end
    value.outer = scope
    out:put("{")
    local first = true
    local brief = definition.brief and not (call.text_options and call.text_options.verbose)
    for i = 1, #in_text do
      local field = in_text[i]
      local wanted = not field[2].is_hidden
      -- A field is read from memory only when it is to be seen.
      if wanted and brief then wanted = definition.brief[field[1]] end
      if wanted and value[field[1]] == nil then wanted = false end
      if wanted and field.when then wanted = field.when(value, call) end
      if wanted and type(wanted) == "function" then wanted = wanted(value) end
      if wanted then
        if not first then out:put(", ") end
        first = false
        put_field(out, call, field, value)
      end
    end
    if brief then out:put(", ...") end
    if definition.sized_by and value.address then put_rest(out, call, value, scope) end
    out:put("}")
  end
  --- Fields are read when they are asked for; those of nested structs too.
  local View = {}
  View.__index = function(view, key)
    local loaded, field = rawget(view, "loaded"), by_name[key]
    if field then
      -- Kept apart: a field in the view itself would be assigned without the tracee hearing of it.
      local known = rawget(view, "known")
      if not known then
        known = {}
        rawset(view, "known", known)
      end
      local result = known[key]
      if result ~= nil then return result end
      local raw = loaded[key]
      if raw == nil then return nil end
      local field_type = field[2]
      result = (field_type.value or field_type.read)(view.call, raw, loaded)
      known[key] = result
      return result
    end
    local extra = definition.also and definition.also[key]
    return extra and extra(loaded, view.call) or nil
  end
  --- A field of what the call reads is changed in a copy, which the call then reads instead; the program's own stays.
  View.__newindex = function(view, key, new)
    local field = by_name[key]
    if not field then error(("there is no field %q here"):format(tostring(key)), 2) end
    local call, loaded = view.call, view.loaded
    local encoded = field[2].encode(call, new, key)
    local size, places = field_size(field[2], call.arch), layout(call.arch)
    local box = ffi.new("uint8_t[8]")
    cast(store_types[size], box)[0] = type(encoded) == "number" and cast("int64_t", encoded) or encoded
    local offset
    for i = 1, #definition do
      if definition[i] == field then offset = places.offsets[i] end
    end
    local argument = rawget(view, "argument")
    if argument then loaded.address = M.move_argument(call, argument, loaded.address, places.size) end
    local ok, message, name = call.memory:write(loaded.address + offset, ffi.string(box, size))
    if not ok then error(("%s cannot be written: %s (%s)"):format(key, message, name), 2) end
    loaded[key] = field[2].load and field[2].load(call, encoded) or encoded
    local known = rawget(view, "known")
    if known then known[key] = nil end
  end
  function self.value(call, value, scope)
    value.outer = scope
    return setmetatable({ loaded = value, call = call }, View)
  end
  self.read = self.value
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
  for _, field in ipairs(definition) do
    if field[2].direction or field[2].has_pointers then self.has_pointers = true end
  end
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
  function self.capacity(call) return layout(call.arch).size end
  --- From a table of fields; what it leaves out is zero.
  function self.bytes_of(call, fields, what)
    if type(fields) == "string" then return fields end
    if type(fields) ~= "table" then takes(what, "a table of fields or the bytes", fields) end
    if getmetatable(fields) == View then
      return (call.memory:read(fields.loaded.address, layout(call.arch).size))
    end
    local places = layout(call.arch)
    local box = ffi.new("uint8_t[?]", places.size)
    local known = {}
    for i, field in ipairs(definition) do
      known[field[1]] = true
      if fields[field[1]] ~= nil then
        local size = field_size(field[2], call.arch)
        local encoded = field[2].encode(call, fields[field[1]], what .. "." .. field[1])
        cast(store_types[size], box + places.offsets[i])[0] = type(encoded) == "number" and cast("int64_t", encoded)
          or encoded
      end
    end
    for name in pairs(fields) do
      if not known[name] then error(("%s has no field %q"):format(what, tostring(name)), 0) end
    end
    return ffi.string(box, places.size)
  end
end

--- A struct: fields in memory order, laid out as the ABI of the call's architecture says.
-- definition: list of {"name", type, when =}; `brief`: names printed before ", ..."; `shown`: names in the order of
-- the text; `sized_by`: the sibling that says how many bytes the caller knows of, at least `smallest`; `text`: prints
-- it all
---@param definition table
function M.struct(definition) return lazily(make_struct, definition) end

local MAX_ELEMENTS = 1024

local function make_array(self, element, count)
  self.siblings = siblings_of({ element }, nil)
  if type(count) == "string" then self.siblings[#self.siblings + 1] = count end
  local function elements(call, scope)
    return type(count) == "number" and count or clamp(sibling(call, scope, count))
  end
  local function element_size(call) return field_size(element, call.arch) end
  function self.fetch(call, address, scope)
    local n = elements(call, scope)
    if n == 0 then return { n = 0, total = 0 } end
    local size = element_size(call)
    local wanted = math.min(n, MAX_ELEMENTS)
    local bytes = call.memory:read(address, wanted * size)
    if not bytes then return nil end
    local got = math.floor(#bytes / size)
    if got == 0 then return nil end
    local base = cast("const uint8_t *", bytes)
    local list = { n = got, total = n, address = address, at_fault = got < wanted }
    for i = 1, got do
      list[i] = load_field(element, call, base, (i - 1) * size)
      if type(list[i]) == "table" then
        list[i].outer = scope
        list[i].address = address + (i - 1) * size
      end
    end
    return list
  end
  function self.text(out, call, list, scope)
    out:put("[")
    local limit = call.text_options and call.text_options.verbose and math.huge or shown(call)
    for i = 1, list.n do
      if i > 1 then out:put(", ") end
      if i > limit then
        out:put("...")
        break
      end
      element.text(out, call, list[i], scope)
    end
    if list.at_fault and list.n <= limit then
      out:put(", ... /* ", hex(list.address + list.n * element_size(call)), " */")
    elseif list.n < list.total and list.n <= limit then
      out:put(", ...")
    end
    out:put("]")
  end
  function self.value(call, list, scope)
    local result = {}
    for i = 1, list.n do
      result[i] = element.value and element.value(call, list[i], scope) or element.read(call, list[i], scope)
    end
    return result
  end
  function self.plain(call, list, scope)
    if list.n == 0 then return M.empty_list end
    local result = {}
    for i = 1, list.n do result[i] = element.plain(call, list[i], scope) end
    return result
  end
  function self.extents(call, address, scope, add)
    local n = elements(call, scope)
    if n == 0 then return end
    add(address, n * element_size(call))
    if not element.has_pointers then return end
    local list = self.fetch(call, address, scope)
    for i = 1, list and list.n or 0 do element.extents_inside(call, list[i], add) end
  end
  function self.capacity(call) return clamp(sibling(call, nil, count)) * element_size(call) end
  function self.bytes_of(call, value, what)
    if type(value) == "string" then return value end
    if type(value) ~= "table" then takes(what, "a list or the bytes", value) end
    local parts = {}
    for i, item in ipairs(value) do
      if element.bytes_of then
        parts[i] = element.bytes_of(call, item, ("%s[%d]"):format(what, i))
      else
        local size = element_size(call)
        local box = ffi.new("uint8_t[8]")
        local encoded = element.encode(call, item, what)
        cast(store_types[size], box)[0] = type(encoded) == "number" and cast("int64_t", encoded) or encoded
        parts[i] = ffi.string(box, size)
      end
    end
    return table.concat(parts)
  end
end

--- Elements one after the other, as many as the sibling says.
---@param element table
---@param count string|integer
---@param options { limit: integer? }|nil
function M.array(element, count) return lazily(make_array, element, count) end

local function make_cell(self, of)
  self.role = of.role
  function self.fetch(call, address)
    local size = field_size(of, call.arch)
    local bytes = call.memory:read(address, size)
    if not bytes or #bytes < size then return nil end
    return load_field(of, call, cast("const uint8_t *", bytes), 0)
  end
  function self.value(call, value, scope) return of.read(call, value, scope) end
  function self.text(out, call, value, scope)
    out:put("[")
    of.text(out, call, value, scope)
    out:put("]")
  end
  function self.plain(call, value, scope) return of.plain(call, value, scope) end
  function self.extents(call, address, _, add) add(address, field_size(of, call.arch)) end
  function self.capacity(call) return field_size(of, call.arch) end
  function self.bytes_of(call, value, what)
    local size = field_size(of, call.arch)
    local box = ffi.new("uint8_t[8]")
    local encoded = of.encode(call, value, what)
    cast(store_types[size], box)[0] = type(encoded) == "number" and cast("int64_t", encoded) or encoded
    return ffi.string(box, size)
  end
end

--- One number in memory, printed in brackets: the lengths and results that calls hand back.
---@param of table an integer type
function M.cell(of) return lazily(make_cell, of) end

local function make_by(self, choose, late, siblings)
  local function delegate(method)
    return function(a, b, c, d)
      -- text(out, call, value, scope); all others (call, value, scope)
      if method == "text" then return choose(b, d).text(a, b, c, d) end
      return choose(a, c)[method](a, b, c, d)
    end
  end
  self.size, self.siblings = "long", siblings
  self.late = late and function(call)
    local chosen = choose(call)
    if type(chosen.late) == "function" then return chosen.late(call) end
    return chosen.late
  end
  for _, method in ipairs { "load", "read", "plain", "text", "encode" } do self[method] = delegate(method) end
  function self.extents(call, value, scope, add)
    local chosen = choose(call, scope)
    if chosen.extents then return chosen.extents(call, value, scope, add) end
  end
  --- Where the memory is that a direction gives: only the chosen type knows.
  function self.chosen(call) return choose(call) end
  function self.assign(call, raw, value, what)
    local chosen = choose(call)
    if chosen.assign then return chosen.assign(call, raw, value, what) end
    return chosen.encode(call, value, what)
  end
end

--- A type whose kind depends on the call: choose(call, scope) gives the type.
---@param choose fun(call: table, scope: table|nil): table
---@param late boolean|nil may it be late? Then it is where the chosen type is
---@param siblings string[]|nil
function M.by(choose, late, siblings) return lazily(make_by, choose, late, siblings) end

local function no_extents() end
local function no_capacity() return 0 end
local function as_bytes(_, value, what)
  if type(value) ~= "string" then takes(what, "a string of bytes", value) end
  return value
end

--- A pointee made of its own functions: fetch and text at least.
function M.custom(fields)
  fields.value = fields.value or same
  fields.plain = fields.plain or same
  fields.extents = fields.extents or no_extents
  fields.capacity = fields.capacity or no_capacity
  fields.bytes_of = fields.bytes_of or as_bytes
  return fields
end

internal.field_size, internal.field_align, internal.load_field = field_size, field_align, load_field

return M
