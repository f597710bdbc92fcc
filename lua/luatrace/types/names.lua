--- Numbers with names: enumerations, flags, signals.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local bit = require "bit"
local constants = require "luatrace.constants"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local band, bor, bnot, tobit = bit.band, bit.bor, bit.bnot, bit.tobit
local u64, hex, decimal = internal.u64, internal.hex, internal.decimal
local takes, number_of, load_i32 = internal.takes, internal.number_of, internal.load_i32
local integer, lazily = internal.integer, internal.lazily
local plain = style.now

local function set_named(name)
  return constants.flags[name] or error(("types: there is no set of constants %q"):format(name), 3)
end

local function unknown_comment(set, comment) return " /* " .. (comment or set.prefix .. "???") .. " */" end

local function make_enum(self, name, options)
  local of = options.of or M.i32
  local set
  local function names()
    set = set or set_named(name)
    return set
  end
  function self.text(out, _, value)
    local known = names().by_value[value]
    if not known and value < 0 then known = set.by_value[value + 4294967296] end
    if known and plain.constants == "abbrev" then return out:put(known) end
    local number = value
    if of.size == 4 and type(value) == "number" and value < 0 then number = value + 4294967296 end
    if options.style == "decimal" and not known then
      out:put(decimal(value))
    else
      local comment = options.comment
      if comment == nil then comment = set.prefix .. "???" end
      out:put(style.constant(hex(number), known, comment or nil))
    end
  end
  function self.read(_, value) return names().by_value[value] or value end
  self.plain = self.read
  self.shape, self.own_text = "named", self.text
  function self.encode(_, value, what)
    if type(value) ~= "string" then return number_of(what, value, "a name or a number") end
    return names().by_name[value] or takes(what, ("a name such as %q"):format(set[1][1]), value)
  end
  return of
end

local no_options = {}

--- A value out of an enumeration; options: comment (strace's "F_???"; false: none), style "decimal" for unknown ones
-- (no comment).
---@param name string a set of luatrace.constants
---@param options { comment: string?, of: table?, style: "hex"|"decimal"? }|nil
function M.enum(name, options) return lazily(make_enum, name, options or no_options) end

--- A set of flags as a script sees it.
---@class luatrace.Flags
---@field value number
local Flags = {}
Flags.__index = Flags
Flags.__tostring = function(flags) return flags.type.string(flags.value) end
Flags.__eq = function(a, b) return a.value == b.value end

--- Is this flag set? Unknown names are an error.
---@param name string
---@return boolean
function Flags:has(name)
  local bits = self.type.bits_of(name)
  if not bits then error(("%s is none of these flags (%s)"):format(tostring(name), self.type.examples()), 2) end
  local mask = self.type.enum_mask
  if mask and band(bits, bnot(mask)) == 0 then return band(self.value, mask) == bits end
  return bits ~= 0 and band(self.value, bits) == bits
end

--- The names of the flags that are set.
---@return string[]
function Flags:names()
  local list = {}
  for name in tostring(self):gmatch("[%u_][%w_]*") do list[#list + 1] = name end
  return list
end

--- A new value with flags added or taken away: call.flags = call.flags:with "O_TRUNC"
function Flags:with(name) return setmetatable({ type = self.type, value = bor(self.value, self.type.bits_of(name) or
  error(("%s is none of these flags"):format(tostring(name)), 2)) }, Flags) end
function Flags:without(name) return setmetatable({ type = self.type, value = band(self.value,
  bnot(self.type.bits_of(name) or error(("%s is none of these flags"):format(tostring(name)), 2))) }, Flags) end

--- Bits below 2^32 as bit operations give them are signed.
local function unsigned(value) return value < 0 and value + 4294967296 or value end

local function numeral(value) return hex(type(value) == "number" and unsigned(value) or value) end

--- Appends to the names in `parts` the number that none of them covers, with a comment when it stands `alone`.
local function add_unnamed(parts, number, alone, set, options)
  parts[#parts + 1] = alone and hex(number) .. unknown_comment(set, options.comment) or hex(number)
end

--- Appends to `parts` the names of those of `from` that are set in `left`, but for the bits `except`.
---@return number left what is left then
local function take_names(parts, from, left, except)
  for i = 1, #from do
    local bits = from[i][2]
    if type(bits) == "number" and bits < 4294967296 and bits ~= 0 and band(bits, except) == 0 then
      local wanted = tobit(bits)
      if left ~= 0 and band(left, wanted) == wanted then
        parts[#parts + 1] = from[i][1]
        left = band(left, bnot(wanted))
      end
    end
  end
  return left
end

--- The same for the enumeration among the flags.
local function take_enumeration(parts, left, enum_set, options)
  local chosen = unsigned(band(left, options.mask))
  local known = enum_set.by_value[chosen]
  if known or not (options.strict or options.split) then
    parts[1] = known or hex(chosen)
    return band(left, bnot(options.mask))
  end
  return options.split and take_names(parts, enum_set, left, options.except or 0) or left
end

--- The text of a value with bits above 31: as 64-bit numbers.
local function joined_wide(value, set, enum_set, options)
  local parts, wide = {}, u64(value)
  if enum_set then
    local chosen = tonumber(band(wide, u64(options.mask)))
    parts[1] = enum_set.by_value[chosen] or hex(chosen)
    wide = band(wide, bnot(u64(options.mask)))
  end
  for i = 1, #set do
    local bits = u64(set[i][2])
    if bits ~= 0 and band(wide, bits) == bits then
      parts[#parts + 1] = set[i][1]
      wide = band(wide, bnot(bits))
    end
  end
  if wide ~= 0 then add_unnamed(parts, wide, #parts == 0, set, options) end
  return table.concat(parts, "|")
end

--- The text of a value: the names of all its flags, and numbers for what has none.
local function joined(value, set, enum_set, options)
  if type(value) ~= "number" or value >= 4294967296 or value < -2147483648 then
    return joined_wide(value, set, enum_set, options)
  end
  local parts, left = {}, value
  local shifted, number = options.shifted, nil
  if shifted then
    number = band(bit.rshift(value, shifted.shift), shifted.mask)
    left = band(left, bnot(bit.lshift(shifted.mask, shifted.shift)))
  end
  if enum_set then left = take_enumeration(parts, left, enum_set, options) end
  local from_enum = #parts
  if left == 0 and from_enum == 0 and not number then
    return not options.except and set.by_value[0] or options.zero or "0"
  end
  left = take_names(parts, set, left, options.except or 0)
  if left ~= 0 then
    add_unnamed(parts, unsigned(left), #parts == 0 or options.strict and #parts == from_enum, set, options)
  end
  if number and number ~= 0 then parts[#parts + 1] = ("%d<<%s"):format(number, shifted.name) end
  return #parts == 0 and "0" or table.concat(parts, "|")
end

--- The flags without the enumeration.
local function joined_rest(value, set, options)
  local parts = {}
  local left = take_names(parts, set, value, options.except or 0)
  if left ~= 0 then add_unnamed(parts, unsigned(left), #parts == 0, set, options) end
  return table.concat(parts, "|")
end

--- With -X, an enumeration that strace prints by itself: it has a number of its own, and so have the flags, if any.
local function described_apart(value, set, enum_set, options)
  local chosen, rest = unsigned(band(value, options.mask)), band(value, bnot(options.mask))
  local enumeration = style.constant(hex(chosen), enum_set.by_value[chosen])
  if rest == 0 then return enumeration end
  return enumeration .. "|" .. style.described(numeral(rest), joined_rest(rest, set, options))
end

--- The first few names of a set, for messages.
local function some_names(set)
  local names = {}
  for i = 1, math.min(4, #set) do names[i] = set[i][1] end
  return table.concat(names, ", ") .. (#set > 4 and ", ..." or "")
end

--- For JSON: the names in a text, and the numbers between them.
local function listed(text)
  local list = {}
  for part in text:gmatch("[^|%s]+") do
    if part:find("^%w") then list[#list + 1] = part end
  end
  return #list > 0 and list or M.empty_list
end

--- The bits of a script's text: "A|B|0x10".
local function bits_in(flags_type, text, what)
  local bits = 0
  for flag in text:gmatch("[^|%s]+") do
    local one = flags_type.bits_of(flag) or tonumber(flag)
    if not one then takes(what, "flags such as " .. flags_type.examples(), text) end
    bits = bor(bits, one)
  end
  return unsigned(bits)
end

local function make_flags(self, name, options)
  self.enum_mask = options.mask
  local set, enum_set
  local function load_sets()
    if not set then
      set = set_named(name)
      enum_set = options.enum and set_named(options.enum)
    end
  end
  --- Programs use few values, each again and again.
  local cache = {}
  function self.string(value)
    local text = type(value) == "number" and cache[value]
    if text then return text end
    load_sets()
    text = joined(value, set, enum_set, options)
    if type(value) == "number" then cache[value] = text end
    return text
  end
  function self.bits_of(flag)
    load_sets()
    local bits = set.by_name[flag]
    if bits == nil and enum_set then bits = enum_set.by_name[flag] end
    return bits
  end
  function self.examples()
    load_sets()
    return some_names(set)
  end
  --- What is printed: as self.string, or as -X wants it.
  function self.written(value)
    if plain.constants == "abbrev" then return self.string(value) end
    load_sets()
    if options.apart then return described_apart(value, set, enum_set, options) end
    return style.described(numeral(value), self.string(value))
  end
  function self.text(out, _, value) out:put(self.written(value)) end
  self.shape, self.own_text = "named", self.text
  function self.read(_, value) return setmetatable({ value = value, type = self }, Flags) end
  function self.plain(_, value)
    if value == 0 and not options.enum then return M.empty_list end
    return listed(self.string(value))
  end
  function self.encode(_, value, what)
    if type(value) == "table" and getmetatable(value) == Flags then return value.value end
    if type(value) == "string" then return bits_in(self, value, what) end
    return number_of(what, value, "flags: a string such as \"A|B\" or a number")
  end
  return options.of or M.u32
end

--- Flags joined by "|"; options: enum and mask for a part that is an enumeration (O_ACCMODE), comment, zero (what to
-- print for 0 instead of "0"), of (integer type), shifted (a part that is a number: { name =, shift =, mask = }),
-- except (names of these bits do not count), apart (with -X the enumeration's number is printed by itself).
-- Where the enumeration has no name: strict makes all of it flags, split takes the enumeration's own bits as flags.
---@param name string a set of luatrace.constants
---@param options table|nil enum, mask, comment, of, zero, strict, split, shifted
function M.flags(name, options) return lazily(make_flags, name, options or no_options) end

--- A signal number.
M.signal = integer { load = load_i32, size = 4, ctype = "const int32_t *",
  text = function(out, _, value) out:put(style.constant(decimal(value), constants.signals.by_value[value])) end,
  read = function(_, value) return constants.signals.by_value[value] or value end,
  plain = function(_, value) return constants.signals.by_value[value] or value end,
  encode = function(_, value, what)
    if type(value) == "number" then return value end
    return constants.signals.by_name[value] or takes(what, "a signal such as \"SIGTERM\"", value)
  end }

internal.set_named, internal.unsigned = set_named, unsigned

return M
