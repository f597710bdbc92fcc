--- Tests of one value, as `where` tables and `-e 'openat(flags=O_CREAT)'` have them.
--
--   local test, message = value_test.compile("O_CREAT|!O_EXCL", type)   -- flags: these set, that not
--   value_test.compile("4096..")             -- 4096 and more; "..10", "3..9" as well
--   value_test.compile({ min = 1, max = 9 }) -- the same as a table
--   value_test.compile({ 0, 1, 2 })          -- any of these
--   value_test.compile("*.conf")             -- a pattern (luatrace.filter.glob) for strings
--   test(actual)                             -- true or false
--
-- `value_test.scalar` says the same about a register, for the seccomp filter; whatever it cannot say is left to the
-- test, which is always asked as well unless the scalar is exact.

local bit = require "bit"
local glob = require "luatrace.filter.glob"
local types = require "luatrace.types"

local M = {}

--- "3..9", "3..", "..9", "0x10", "5": bounds; nil for anything else.
---@param text string
---@return number|nil min, number|nil max
function M.range(text)
  local from, to = text:match("^(.-)%.%.(.*)$")
  if not from then
    local number = tonumber(text)
    return number, number
  end
  local min, max = tonumber(from), tonumber(to)
  if from ~= "" and not min or to ~= "" and not max or not min and not max then return nil end
  return min or -math.huge, max or math.huge
end

--- A number out of whatever a field gives: an fd, flags, a 64-bit cdata.
local function number_of(actual)
  local kind = type(actual)
  if kind == "number" or kind == "cdata" then return actual end
  if kind == "table" then return actual.num or actual.value end
  if kind == "boolean" then return actual and 1 or 0 end
  return nil
end

local function in_range(min, max)
  return function(actual)
    -- 64-bit cdata would be compared as integers, and infinity is none.
    local number = tonumber(number_of(actual))
    return number ~= nil and number >= min and number <= max
  end
end

--- "A|!B": names that must be set and names that must not, with their bits.
local function flag_words(text, flags_type)
  local words = {}
  for word in text:gmatch("[^|%s]+") do
    local negated = word:sub(1, 1) == "!"
    local name = negated and word:sub(2) or word
    local bits = flags_type.bits_of(name) or tonumber(name)
    if not bits then return nil, ("%s is none of its flags (%s)"):format(name, flags_type.examples()) end
    words[#words + 1] = { name = name, bits = bits, negated = negated }
  end
  if #words == 0 then return nil, "no flag is named" end
  return words
end

--- The mask under which a flag is compared: all of an enumeration's bits when it is one of its values.
local function mask_of(word, flags_type)
  local mask = flags_type.enum_mask
  if mask and bit.band(word.bits, bit.bnot(mask)) == 0 then return mask end
  return word.bits
end

local function flags_test(text, flags_type)
  local words, message = flag_words(text, flags_type)
  if not words then return nil, message end
  return function(actual)
    local value = number_of(actual)
    if value == nil then return false end
    for i = 1, #words do
      local word = words[i]
      local holds = bit.band(value, mask_of(word, flags_type)) == bit.tobit(word.bits)
      if holds == word.negated then return false end
    end
    return true
  end
end

local function is_flags(argument_type) return argument_type and argument_type.bits_of ~= nil end
local function is_pointer(argument_type) return argument_type and argument_type.direction ~= nil end

--- Is this a type whose values are names (an enumeration, a signal)? Then the name must be one of them.
local function checked_name(text, argument_type)
  if not argument_type or is_pointer(argument_type) or is_flags(argument_type) or argument_type.role == "fd" or
    not argument_type.read or not argument_type.encode then return nil end
  local ok, value = pcall(argument_type.encode, nil, text, "the argument")
  if not ok then return nil, value end
  return value
end

local function string_test(text, argument_type)
  if is_flags(argument_type) then return flags_test(text, argument_type) end
  local negated = text:sub(1, 1) == "!"
  local plain = negated and text:sub(2) or text
  local min, max = M.range(plain)
  if min and not is_pointer(argument_type) then
    local test = in_range(min, max)
    if negated then return function(actual) return not test(actual) end end
    return test
  end
  local value, message = checked_name(plain, argument_type)
  if message then return nil, message end
  if value then
    return function(actual) return (actual == plain or number_of(actual) == value) ~= negated end
  end
  local matches, why = glob.compile(plain)
  if not matches then return nil, why end
  return function(actual)
    if type(actual) == "table" then
      -- A descriptor by its kind; flags inside a struct by a name.
      if actual.num then
        return (actual.kind == plain or actual.path ~= nil and matches(actual.path)) ~= negated
      end
      if actual.type and actual.type.bits_of and actual.type.bits_of(plain) then
        return actual:has(plain) ~= negated
      end
    end
    if type(actual) ~= "string" then return negated end
    return (actual == plain or matches(actual)) ~= negated
  end
end

--- Is it about numbers only: a number, a range, a list of those?
---@return boolean
function M.is_numeric(wanted)
  local kind = type(wanted)
  if kind == "number" or kind == "cdata" then return true end
  if kind == "string" then return (M.range((wanted:gsub("^!", "")))) ~= nil end
  if kind ~= "table" or wanted == types.NULL then return false end
  if wanted.min or wanted.max then return true end
  for _, each in ipairs(wanted) do
    if not M.is_numeric(each) then return false end
  end
  return #wanted > 0
end

--- A test of a value.
---@param wanted any number, string, { min =, max = }, list of these, function(actual)
---@param argument_type table|nil the type of the argument, for names and checks
---@return (fun(actual: any): boolean)|nil test, string? message
function M.compile(wanted, argument_type)
  local kind = type(wanted)
  if kind == "function" then return wanted end
  if kind == "boolean" then return M.compile(wanted and 1 or 0, argument_type) end
  if kind == "string" then return string_test(wanted, argument_type) end
  if kind == "number" or kind == "cdata" then
    return function(actual) return number_of(actual) == wanted end
  end
  if kind == "table" and wanted == types.NULL then return function(actual) return actual == types.NULL end end
  if kind == "table" and (wanted.min or wanted.max) then
    for key, value in pairs(wanted) do
      if key ~= "min" and key ~= "max" or type(value) ~= "number" then
        return nil, "a range is { min = NUMBER, max = NUMBER }"
      end
    end
    return in_range(wanted.min or -math.huge, wanted.max or math.huge)
  end
  if kind == "table" and #wanted > 0 then
    local tests = {}
    for i, each in ipairs(wanted) do
      local test, message = M.compile(each, argument_type)
      if not test then return nil, message end
      tests[i] = test
    end
    return function(actual)
      for i = 1, #tests do
        if tests[i](actual) then return true end
      end
      return false
    end
  end
  return nil, ("a value is a number, a name, a range such as \"4096..\", a list or a function, not %s"):format(
    kind == "table" and "an empty table" or "a " .. kind)
end

-- --- for the seccomp filter -----------------------------------------------------------------------------------------

--- Bits of the register that count, and whether the number in it is signed.
local function width(argument_type, arch)
  local size = argument_type.size
  if size == "long" then size = arch == "i386" and 4 or 8 end
  if size ~= 4 and size ~= 8 then return nil end
  local signed = argument_type.signed
  if argument_type.ctype then signed = argument_type.ctype:find("^const int") ~= nil end
  return size * 8, signed
end

local EXACT = 9007199254740992

--- Smallest and largest value of a register's type, as far as a Lua number holds them.
local function limits(bits, signed)
  if bits == 64 then return signed and -EXACT or 0, EXACT end
  if signed then return -2147483648, 2147483647 end
  return 0, 4294967295
end

--- One alternative; nil when the type has no such values: then the filter would compare something else.
local function range_tests(arg, min, max, bits, signed)
  local low, high = limits(bits, signed)
  if min > high or max < low then return nil end
  if min == max then return { { { arg = arg, op = "eq", value = min, bits = bits, signed = signed } } } end
  local tests = {}
  if min > low then tests[#tests + 1] = { arg = arg, op = "ge", value = min, bits = bits, signed = signed } end
  if max < high then tests[#tests + 1] = { arg = arg, op = "le", value = max, bits = bits, signed = signed } end
  return { tests }
end

--- What the filter can say: a list of alternatives, each a list of tests that must all hold (see engine.Plan:add).
---@param wanted any as for `compile`
---@param argument_type table
---@param arg integer 0 to 5
---@param arch string
---@return table[]|nil alternatives nil: nothing
function M.scalar(wanted, argument_type, arg, arch)
  -- What depends on the rest of the call has no width of its own.
  if is_pointer(argument_type) or argument_type.chosen or not argument_type.size then return nil end
  local bits, signed = width(argument_type, arch)
  if not bits then return nil end
  local kind = type(wanted)
  if kind == "number" then
    return range_tests(arg, wanted, wanted, bits, signed)
  elseif kind == "string" and is_flags(argument_type) then
    local tests = {}
    for _, word in ipairs(flag_words(wanted, argument_type) or {}) do
      local mask = mask_of(word, argument_type)
      if mask == 0 or mask < 0 or mask > 0xffffffff then return nil end
      tests[#tests + 1] = { arg = arg, op = word.negated and "ne" or "eq", mask = mask, value = word.bits, bits = bits }
    end
    return #tests > 0 and { tests } or nil
  elseif kind == "string" then
    local min, max = M.range(wanted)
    if min then return range_tests(arg, min, max, bits, signed) end
    local value = checked_name(wanted, argument_type)
    if type(value) == "number" then return M.scalar(value, argument_type, arg, arch) end
  elseif kind == "table" and (wanted.min or wanted.max) then
    return range_tests(arg, wanted.min or -math.huge, wanted.max or math.huge, bits, signed)
  elseif kind == "table" and #wanted > 0 then
    local all = {}
    for _, each in ipairs(wanted) do
      local alternatives = M.scalar(each, argument_type, arg, arch)
      if not alternatives then return nil end
      for _, alternative in ipairs(alternatives) do all[#all + 1] = alternative end
    end
    return all
  end
end

return M
