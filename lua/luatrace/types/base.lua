--- What all types stand on: empty lists, NULL, numbers in text, siblings.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local ffi = require "ffi"

local M = {}

--- Functions that one room lends to others; no part of the vocabulary.
local internal = {}
M.internal = internal

--- ffi.cast, but that a type given by its name is read once: where code is not compiled, ffi.cast reads it each time.
local ctypes = setmetatable({}, { __index = function(known, name)
  known[name] = ffi.typeof(name)
  return known[name]
end })
local cast_to = ffi.cast
local function cast(name, value) return cast_to(ctypes[name], value) end
internal.cast = cast

--- What JSON writes as `[]`.
M.empty_list = setmetatable({}, { __tostring = function() return "[]" end })

--- NULL as a script sees it: false in no test, equal only to itself.
M.NULL = setmetatable({}, { __tostring = function() return "NULL" end, __concat = function(a, b)
  return tostring(a) .. tostring(b)
end })

--- A type that is made when one of its parts is asked for: of all the types of the tables a run needs few.
local Unmade = {
  __index = function(self, key)
    local make, a, b, c = rawget(self, 1), rawget(self, 2), rawget(self, 3), rawget(self, 4)
    setmetatable(self, nil)
    for i = 1, 4 do self[i] = nil end
    local parent = make(self, a, b, c)
    if parent then setmetatable(self, { __index = parent }) end
    return self[key]
  end,
}

---@param make fun(self: table, a: any, b: any, c: any): table|nil fills the type; may return one that it inherits from
local function lazily(make, a, b, c) return setmetatable({ make, a, b, c }, Unmade) end
internal.lazily = lazily

--- A type that is looked up when it is needed, not when the table that names it is loaded.
---@param find fun(): table
function M.later(find) return lazily(function() return find() end) end

local EXACT = 9007199254740992 -- 2^53

local function exact(value)
  local number = tonumber(value)
  if number < EXACT and number > -EXACT then return number end
  return value
end

local function u64(value)
  if type(value) == "number" and value < 0 then return cast("uint64_t", cast("int64_t", value)) end
  return cast("uint64_t", value)
end

--- Hexadecimal, as C's %#lx: "0" for zero.
function M.hex(value)
  if type(value) == "number" and value >= 0 and value < 4294967296 then
    return value == 0 and "0" or ("0x%x"):format(value)
  end
  local wide = u64(value)
  local high, low = tonumber(wide / 4294967296ULL), tonumber(wide % 4294967296ULL)
  if high == 0 then return low == 0 and "0" or ("0x%x"):format(low) end
  return ("0x%x%08x"):format(high, low)
end
local hex = M.hex

--- Decimal, whatever holds the number.
local function decimal(value)
  if type(value) == "number" then return ("%d"):format(value) end
  return (tostring(value):gsub("U?LL$", ""))
end
M.decimal = decimal

local function takes(what, kind, value)
  error(("%s takes %s, not %s"):format(what, kind, type(value) == "string" and ("%q"):format(value) or
    tostring(value)), 0)
end

local function number_of(what, value, kind)
  if type(value) == "number" or type(value) == "cdata" then return value end
  if type(value) == "table" and type(value.num) == "number" then return value.num end
  takes(what, kind or "a number", value)
end

--- The value of a sibling: a field of the innermost struct, an argument, or the call's result.
local function sibling(call, scope, name)
  while scope do
    local value = scope[name]
    if value ~= nil then return value end
    scope = scope.outer
  end
  if name == "ret" then return call.failed and 0 or call.raw_ret or 0 end
  local row = call.row
  local i = row.index[name]
  return row[i].type.load(call, call.raw[i])
end
M.sibling = sibling

internal.exact, internal.u64, internal.hex = exact, u64, hex
internal.decimal, internal.takes, internal.number_of = decimal, takes, number_of
internal.sibling = sibling

return M
