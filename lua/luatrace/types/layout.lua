--- Where the fields of a struct stand in memory, and how one is loaded and stored.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local ffi = require "ffi"
local M = require "luatrace.types.base"

local internal = M.internal
local cast, exact = internal.cast, internal.exact

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

--- A number as the bytes of a field.
local function number_bytes(number, size)
  local box = ffi.new("uint8_t[8]")
  cast(store_types[size], box)[0] = type(number) == "number" and cast("int64_t", number) or number
  return ffi.string(box, size)
end

--- What a script gives for a field or an element, as the bytes that stand in memory.
---@param what string its name, for messages
---@return string
local function field_bytes(call, field_type, value, what)
  if field_type.bytes_of then return field_type.bytes_of(call, value, what) end
  return number_bytes(field_type.encode(call, value, what), field_size(field_type, call.arch))
end

local function lay_out(definition, arch)
  local offset, widest, offsets = 0, 1, {}
  for i, field in ipairs(definition) do
    local align = definition.packed and 1 or field_align(field[2], arch)
    if align > widest then widest = align end
    offset = math.ceil(offset / align) * align
    offsets[i] = offset
    offset = offset + field_size(field[2], arch)
  end
  return { offsets = offsets, size = math.ceil(offset / widest) * widest, align = widest }
end

--- A struct's layout on an architecture, made once for 32 and once for 64 bits.
---@param definition table see M.struct
---@return fun(arch: table): { offsets: integer[], size: integer, align: integer }
local function layout_of(definition)
  local layouts = {}
  return function(arch)
    local known = layouts[arch.bits]
    if known then return known end
    known = lay_out(definition, arch)
    layouts[arch.bits] = known
    return known
  end
end

internal.field_size, internal.field_align, internal.load_field = field_size, field_align, load_field
internal.field_bytes, internal.layout_of = field_bytes, layout_of

return M
