--- Arrays, and single cells of memory.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local M = require "luatrace.types.base"

local internal = M.internal
local cast, hex, takes, lazily = internal.cast, internal.hex, internal.takes, internal.lazily
local sibling, siblings_of = internal.sibling, internal.siblings_of
local shown, clamp, put_up_to = internal.shown, internal.clamp, M.put_up_to
local field_size, load_field, field_bytes = internal.field_size, internal.load_field, internal.field_bytes

local MAX_ELEMENTS = 1024

--- The elements at an address, as many as can be read; nil when there is none.
---@param n integer how many there are
local function fetch_elements(call, address, scope, element, n)
  if n == 0 then return { n = 0, total = 0 } end
  local size = field_size(element, call.arch)
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

local function put_element(out, i, call, list, scope, element) element.text(out, call, list[i], scope) end

local function put_elements(out, call, list, scope, element)
  out:put("[")
  local limit = call.text_options and call.text_options.verbose and math.huge or shown(call)
  put_up_to(out, list.n, limit, put_element, call, list, scope, element)
  if list.at_fault and list.n <= limit then
    out:put(", ... /* ", hex(list.address + list.n * field_size(element, call.arch)), " */")
  elseif list.n < list.total and list.n <= limit then
    out:put(", ...")
  end
  out:put("]")
end

local function make_array(self, element, count)
  self.siblings = siblings_of({ element }, nil)
  if type(count) == "string" then self.siblings[#self.siblings + 1] = count end
  local function length(call, scope)
    return type(count) == "number" and count or clamp(sibling(call, scope, count))
  end
  function self.fetch(call, address, scope)
    return fetch_elements(call, address, scope, element, length(call, scope))
  end
  function self.text(out, call, list, scope) put_elements(out, call, list, scope, element) end
  self.shape, self.element, self.count = "array", element, count
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
    local n = length(call, scope)
    if n == 0 then return end
    add(address, n * field_size(element, call.arch))
    if not element.has_pointers then return end
    local list = self.fetch(call, address, scope)
    for i = 1, list and list.n or 0 do element.extents_inside(call, list[i], add) end
  end
  function self.capacity(call) return clamp(sibling(call, nil, count)) * field_size(element, call.arch) end
  function self.bytes_of(call, value, what)
    if type(value) == "string" then return value end
    if type(value) ~= "table" then takes(what, "a list or the bytes", value) end
    local parts = {}
    for i, item in ipairs(value) do
      parts[i] = field_bytes(call, element, item, element.bytes_of and ("%s[%d]"):format(what, i) or what)
    end
    return table.concat(parts)
  end
end

--- Elements one after the other, as many as the sibling says.
---@param element table
---@param count string|integer
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
  function self.bytes_of(call, value, what) return field_bytes(call, of, value, what) end
end

--- One number in memory, printed in brackets: the lengths and results that calls hand back.
---@param of table an integer type
function M.cell(of) return lazily(make_cell, of) end

return M
