--- The vocabulary of the tables: what an argument, a struct's field or a buffer is.
--
-- A row of lua/luatrace/syscalls says `{"flags", types.flags "open_flags"}`; all that luatrace knows of that argument
-- follows from its type. A type is a table with these parts; tables of calls only ever name types, never define them:
--
--   load(call, raw, scope)      the register or field as a Lua value: number, or a cdata when that is not exact
--   read(call, value, scope)    what a script gets: a number, a name, a string, an object
--   text(out, call, value, scope)  appends what strace prints
--   plain(call, value, scope)   for JSON: strings, numbers, lists; `types.empty_list` for an empty list
--   encode(call, value, what)   a script's value as a raw number; an error says what the type takes
--   extents(call, value, scope, add)  the memory it covers: add(address, length, direction)
--   late                        its value is there only when the call has returned: true, or a function of the call
--   early(out, call, value)     of a late type: what is printed at entry already
--   at_entry(call, value)       what must be remembered at entry because the kernel overwrites it
--   siblings                    names of the arguments or fields it looks up; schema.lua checks that they exist
--   role                        "fd" or "path": what classes and rules look for
--
-- What a pointer points to (a pointee: bytes, a struct, an array, M.custom) has instead of load and read:
--
--   fetch(call, address, scope, for_text)  the memory as a Lua value; nil when it cannot be read
--   value(call, fetched, scope)   what a script gets
--   bytes_of(call, value, what)   a script's value as bytes;  capacity(call, address)  how many may be written back
--
-- `scope` is where siblings ("count", "ret") are looked up: the innermost struct's fields, then the call.
--
--   local types = require "luatrace.types"
--   local row = { returns = types.count, {"fd", types.fd}, {"buf", types.ptr_out(types.bytes("count", "ret"))} }

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.quote"

local band, bor, bnot, tobit = bit.band, bit.bor, bit.bnot, bit.tobit
local cast, tonumber, type = ffi.cast, tonumber, type

local M = {}

--- What JSON writes as `[]`.
M.empty_list = setmetatable({}, { __tostring = function() return "[]" end })

--- NULL as a script sees it: false in no test, equal only to itself.
M.NULL = setmetatable({}, { __tostring = function() return "NULL" end, __concat = function(a, b)
  return tostring(a) .. tostring(b)
end })

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

-- --- numbers --------------------------------------------------------------------------------------------------------

local function load_i32(_, raw)
  if type(raw) == "number" and raw < 2251799813685248 and raw > -2251799813685248 then return tobit(raw) end
  return tonumber(cast("int32_t", cast("uint64_t", raw)))
end

local function load_u32(_, raw)
  local value = load_i32(nil, raw)
  return value < 0 and value + 4294967296 or value
end

local function load_i64(call, raw)
  if call.arch.bits == 32 then return load_i32(call, raw) end
  if type(raw) == "number" then return raw end
  return exact(cast("int64_t", raw))
end

local function load_u64(call, raw)
  if call.arch.bits == 32 then return load_u32(call, raw) end
  if type(raw) == "number" and raw >= 0 then return raw end
  return exact(u64(raw))
end

local function same(_, value) return value end

--- The names a type made of others looks up, but for those that it has itself.
local function siblings_of(parts, own)
  local names = {}
  for _, part in ipairs(parts) do
    for _, name in ipairs(part.siblings or {}) do
      if not (own and own[name]) then names[#names + 1] = name end
    end
  end
  return names
end

local function named_siblings(...)
  local names = {}
  for i = 1, select("#", ...) do
    local name = select(i, ...)
    if type(name) == "string" then names[#names + 1] = name end
  end
  return names
end

--- JSON keeps all bits: what no double holds becomes a string.
local function plain_number(_, value)
  if type(value) == "number" then return value end
  return decimal(value)
end

local function text_decimal(out, _, value) out:put(decimal(value)) end
local function text_hex(out, _, value) out:put(hex(value)) end
local function text_octal(out, _, value) out:put(value == 0 and "0" or ("0%o"):format(value)) end

local function integer(fields)
  fields.load = fields.load or load_i64
  fields.read, fields.plain = fields.read or same, fields.plain or plain_number
  fields.text = fields.text or text_decimal
  fields.encode = fields.encode or function(_, value, what) return number_of(what, value) end
  return fields
end

--- Sizes and alignments inside structs: fixed, or "long" for what follows the pointer size.
M.i8 = integer { load = load_i32, size = 1, ctype = "const int8_t *" }
M.u8 = integer { load = load_u32, size = 1, ctype = "const uint8_t *" }
M.i16 = integer { load = load_i32, size = 2, ctype = "const int16_t *" }
M.u16 = integer { load = load_u32, size = 2, ctype = "const uint16_t *" }
M.i32 = integer { load = load_i32, size = 4, ctype = "const int32_t *" }
M.u32 = integer { load = load_u32, size = 4, ctype = "const uint32_t *" }
M.i64 = integer { size = 8, ctype = "const int64_t *" }
M.u64 = integer { load = load_u64, size = 8, ctype = "const uint64_t *" }
M.long = integer { size = "long", signed = true }
--- A long that is printed as if it had no sign (strace's habit for lengths and nanoseconds).
M.long_unsigned = integer { size = "long", signed = true,
  text = function(out, call, value) out:put(decimal(load_u64(call, value))) end }
M.ulong = integer { load = load_u64, size = "long" }
M.size = M.ulong
M.count = integer { size = "long", signed = true }
M.x32 = integer { load = load_u32, text = text_hex, size = 4, ctype = "const uint32_t *" }
M.x64 = integer { load = load_u64, text = text_hex, size = 8, ctype = "const uint64_t *" }
M.xlong = integer { load = load_u64, text = text_hex, size = "long" }
--- The same, printed when the call has returned.
M.xlong_late = integer { load = load_u64, text = text_hex, size = "long", late = true }
M.octal = integer { load = load_u32, text = text_octal, size = 4, ctype = "const uint32_t *" }
--- Padding and what nobody wants to see.
M.hidden = function(of) return setmetatable({ is_hidden = true }, { __index = of }) end

local function text_pointer(out, _, value)
  if value == 0 then out:put("NULL") else out:put(hex(value)) end
end

local function read_address(_, value) return value == 0 and M.NULL or value end

--- An address whose target is not described.
M.address = integer { load = load_u64, text = text_pointer, size = "long", read = read_address,
  encode = function(_, value, what)
    if value == M.NULL or value == nil then return 0 end
    return number_of(what, value, "an address")
  end }

--- The same, printed when the call has returned.
M.address_late = setmetatable({ late = true }, { __index = M.address })

--- A process or thread id, a user, a group.
M.pid = integer { load = load_i32, size = 4, ctype = "const int32_t *" }
M.uid = integer { load = load_i32, size = 4, ctype = "const int32_t *",
  text = function(out, _, value) out:put(value == -1 and "-1" or decimal(load_u32(nil, value))) end,
  read = function(_, value) return value == -1 and -1 or load_u32(nil, value) end }

--- A time as strace comments it: " /* 2001-09-09T01:46:40.000000005+0000 */"; nothing for zero.
---@param seconds number
---@param part number nanoseconds, or microseconds
---@param digits 9|6
function M.put_date(out, seconds, part, digits)
  seconds, part = tonumber(seconds), tonumber(part)
  if part < 0 or part >= 10 ^ digits or (seconds == 0 and part == 0) then return end
  if seconds > 67767976233532799 or seconds < -67768040609740800 then return end
  local fraction = part ~= 0 and ("." .. ("%0" .. digits .. "d"):format(part)) or ""
  out:put(" /* ", os.date("%Y-%m-%dT%H:%M:%S", seconds), fraction, os.date("%z", seconds), " */")
end

--- Seconds whose nanoseconds are in a field of their own.
---@param nanoseconds string name of that field
function M.seconds_dated(nanoseconds, of)
  return setmetatable({ siblings = { nanoseconds }, text = function(out, _, value, scope)
    out:put(decimal(value))
    M.put_date(out, value, scope[nanoseconds], 9)
  end }, { __index = of })
end

--- File permissions: octal.
M.mode = integer { load = load_u32, size = 4, ctype = "const uint32_t *",
  text = function(out, _, value) out:put(("%#03o"):format(band(value, 0xffff))) end }

local S_IFMT = 0xf000

--- Permissions with the file's type, as stat has them.
M.file_mode = integer { load = load_u32, size = 4, ctype = "const uint32_t *",
  text = function(out, _, value)
    local kind = band(value, S_IFMT)
    local name = constants.enums.file_type.by_value[kind]
    if kind ~= 0 then out:put(name or ("%#o"):format(kind), "|") end
    for _, pair in ipairs { { 0x800, "S_ISUID" }, { 0x400, "S_ISGID" }, { 0x200, "S_ISVTX" } } do
      if band(value, pair[1]) ~= 0 then out:put(pair[2], "|") end
    end
    out:put(("%#03o"):format(band(value, 0x1ff)))
  end }

local function dev_numbers(value)
  local wide = u64(value)
  local low, high = tonumber(wide % 4294967296ULL), tonumber(wide / 4294967296ULL)
  local major = bor(bit.rshift(band(low, 0xfff00), 8), band(high, 0xfffff000))
  local minor = bor(band(low, 0xff), band(bit.rshift(low, 12), 0xfff00))
  return major, minor
end

--- A device number.
M.dev = integer { load = load_u64, size = "long", text = function(out, _, value)
  local major, minor = dev_numbers(value)
  out:put("makedev(", hex(major), ", ", hex(minor), ")")
end }
M.dev64 = setmetatable({ size = 8, ctype = "const uint64_t *", load = load_u64 }, { __index = M.dev })
M.dev32 = setmetatable({ size = 4, ctype = "const uint32_t *", load = load_u32 }, { __index = M.dev })

-- --- descriptors ----------------------------------------------------------------------------------------------------

--- A descriptor as a script sees it: its number, and what it is open on when somebody asks.
---@class luatrace.ArgumentFd
---@field num integer
---@field path string|nil absolute path, or what /proc/PID/fd shows: "pipe:[1234]"
---@field kind string|nil "file", "dir", "pipe", "socket", "tty", ...
local FdValue = {}
FdValue.__index = function(fd, key)
  local known = rawget(fd, "known")
  if known == nil then
    local process = fd.process
    known = process and process.fds:get(fd.num) or false
    rawset(fd, "known", known)
  end
  return known and known[key] or nil
end
FdValue.__tostring = function(fd) return tostring(rawget(fd, "num")) end
FdValue.__eq = function(a, b) return a.num == b.num end

local function fd_value(call, num) return setmetatable({ num = num, process = call.process or false }, FdValue) end
M.fd_value = fd_value

local AT_FDCWD = -100

local function text_fd(out, call, value)
  out:put(tostring(value))
  local options = call.text_options
  if options and options.decode_fds and call.process then
    local fd = call.process.fds:get(value)
    if fd then out:put("<", quote.path(fd.path), fd.deleted and ">(deleted)" or ">") end
  end
end

M.fd = { load = load_i32, size = 4, ctype = "const int32_t *", role = "fd", read = fd_value, text = text_fd,
  plain = same, encode = function(_, value, what) return number_of(what, value, "a descriptor: a number or an fd") end }
--- The same where the call works only on one kind of descriptor.
for _, kind in ipairs { "socket", "epoll", "file", "dir" } do
  M["fd_" .. kind] = setmetatable({ fd_kind = kind }, { __index = M.fd })
end

--- A directory to start from: a descriptor or AT_FDCWD.
M.dirfd = setmetatable({ text = function(out, call, value)
  if value ~= AT_FDCWD then return text_fd(out, call, value) end
  out:put("AT_FDCWD")
  local options = call.text_options
  if options and options.decode_fds and call.process and call.process.fds:cwd() then
    out:put("<", quote.path(call.process.fds:cwd()), ">")
  end
end }, { __index = M.fd })

-- --- names for numbers ----------------------------------------------------------------------------------------------

local function set_named(name)
  return constants.flags[name] or error(("types: there is no set of constants %q"):format(name), 3)
end

local function unknown_comment(set, comment) return " /* " .. (comment or set.prefix .. "???") .. " */" end

--- A value out of an enumeration; options: comment (strace's "F_???"), style "decimal" for unknown ones (no comment).
---@param name string a set of luatrace.constants
---@param options { comment: string?, of: table?, style: "hex"|"decimal"? }|nil
function M.enum(name, options)
  options = options or {}
  local of = options.of or M.i32
  local set
  local function names()
    set = set or set_named(name)
    return set
  end
  return setmetatable({
    text = function(out, _, value)
      local known = names().by_value[value]
      if not known and value < 0 then known = set.by_value[value + 4294967296] end
      if known then return out:put(known) end
      local number = value
      if of.size == 4 and type(value) == "number" and value < 0 then number = value + 4294967296 end
      if options.style == "decimal" then
        out:put(decimal(value))
      else
        out:put(hex(number), unknown_comment(set, options.comment))
      end
    end,
    read = function(_, value) return names().by_value[value] or value end,
    plain = function(_, value) return names().by_value[value] or value end,
    encode = function(_, value, what)
      if type(value) ~= "string" then return number_of(what, value, "a name or a number") end
      return names().by_name[value] or
        takes(what, ("a name such as %q"):format(set[1][1]), value)
    end,
  }, { __index = of })
end

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

--- Flags joined by "|"; options: enum and mask for a part that is an enumeration (O_ACCMODE), comment, zero (what to
-- print for 0 instead of "0"), of (integer type), shifted (a part that is a number: { name =, shift =, mask = }),
-- except (names of these bits do not count).
-- Where the enumeration has no name: strict makes all of it flags, split takes the enumeration's own bits as flags.
---@param name string a set of luatrace.constants
---@param options table|nil enum, mask, comment, of, zero, strict, split, shifted
function M.flags(name, options)
  options = options or {}
  local of = options.of or M.u32
  local cache = {}
  local self = { enum_mask = options.mask }
  local set, enum_set
  local function load_sets()
    if not set then
      set = set_named(name)
      enum_set = options.enum and set_named(options.enum)
    end
  end
  --- The names of the bits of `set` in `left`, appended to `parts`; what is left then.
  local except = options.except or 0
  local function take(parts, from, left)
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
  --- Flags above bit 31: as 64-bit numbers.
  local function build_wide(value)
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
    if wide ~= 0 then
      parts[#parts + 1] = #parts == 0 and hex(wide) .. unknown_comment(set, options.comment) or hex(wide)
    end
    return table.concat(parts, "|")
  end
  local function build(value)
    load_sets()
    if type(value) ~= "number" or value >= 4294967296 or value < -2147483648 then return build_wide(value) end
    local parts, left = {}, value
    local shifted, number = options.shifted, nil
    if shifted then
      number = band(bit.rshift(value, shifted.shift), shifted.mask)
      left = band(left, bnot(bit.lshift(shifted.mask, shifted.shift)))
    end
    if enum_set then
      local chosen = band(left, options.mask)
      local known = enum_set.by_value[unsigned(chosen)]
      if known or not (options.strict or options.split) then
        parts[1] = known or hex(unsigned(chosen))
        left = band(left, bnot(options.mask))
      elseif options.split then
        left = take(parts, enum_set, left)
      end
    end
    local from_enum = #parts
    if left == 0 and #parts == 0 and not number then
      return not options.except and set.by_value[0] or options.zero or "0"
    end
    left = take(parts, set, left)
    if left ~= 0 then
      local rest = hex(unsigned(left))
      if #parts == 0 or options.strict and #parts == from_enum then
        rest = rest .. unknown_comment(set, options.comment)
      end
      parts[#parts + 1] = rest
    end
    if number and number ~= 0 then parts[#parts + 1] = ("%d<<%s"):format(number, shifted.name) end
    return #parts == 0 and "0" or table.concat(parts, "|")
  end
  function self.string(value)
    local text = type(value) == "number" and cache[value]
    if text then return text end
    text = build(value)
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
    local names = {}
    for i = 1, math.min(4, #set) do names[i] = set[i][1] end
    return table.concat(names, ", ") .. (#set > 4 and ", ..." or "")
  end
  function self.text(out, _, value) out:put(self.string(value)) end
  function self.read(_, value) return setmetatable({ value = value, type = self }, Flags) end
  function self.plain(_, value)
    if value == 0 and not enum_set then return M.empty_list end
    local list = {}
    for part in self.string(value):gmatch("[^|%s]+") do
      if part:find("^%w") then list[#list + 1] = part end
    end
    return #list > 0 and list or M.empty_list
  end
  function self.encode(_, value, what)
    if type(value) == "table" and getmetatable(value) == Flags then return value.value end
    if type(value) ~= "string" then return number_of(what, value, "flags: a string such as \"A|B\" or a number") end
    local bits = 0
    for flag in value:gmatch("[^|%s]+") do
      local one = self.bits_of(flag) or tonumber(flag)
      if not one then takes(what, "flags such as " .. self.examples(), value) end
      bits = bor(bits, one)
    end
    return unsigned(bits)
  end
  return setmetatable(self, { __index = of })
end

--- A signal number.
M.signal = integer { load = load_i32, size = 4, ctype = "const int32_t *",
  text = function(out, _, value) out:put(constants.signals.by_value[value] or decimal(value)) end,
  read = function(_, value) return constants.signals.by_value[value] or value end,
  plain = function(_, value) return constants.signals.by_value[value] or value end,
  encode = function(_, value, what)
    if type(value) == "number" then return value end
    return constants.signals.by_name[value] or takes(what, "a signal such as \"SIGTERM\"", value)
  end }

-- --- pointers -------------------------------------------------------------------------------------------------------

local IN, OUT, INOUT = "in", "out", "inout"

--- Out-memory is there when the call has succeeded.
local function is_there(call, direction)
  if direction == IN then return true end
  return call.phase == "exit" and not call.failed
end

local function fetchable(call, direction)
  if direction == INOUT then return true end
  return is_there(call, direction)
end

local function pointer(direction, inner)
  local self = { load = load_u64, size = "long", direction = direction, inner = inner, role = inner.role,
    at_entry = inner.at_entry,
    siblings = siblings_of { inner }, path_limit = inner.path_limit }
  self.late = direction ~= IN
  function self.read(call, address, scope)
    if address == 0 then return M.NULL end
    if not fetchable(call, direction) then
      if call.phase == "exit" then return address end
      return nil, "it is there only after call:run()", "EAGAIN"
    end
    local value = inner.fetch(call, address, scope)
    if value == nil then return address end
    return inner.value and inner.value(call, value, scope) or value
  end
  function self.text(out, call, address, scope)
    if address == 0 then return out:put("NULL") end
    if not is_there(call, direction) then
      if call.failed and inner.text_failed then return inner.text_failed(out, call, address, scope) end
      return out:put(hex(address))
    end
    local value = inner.fetch(call, address, scope, true)
    if value == nil then return out:put(hex(address)) end
    return inner.text(out, call, value, scope)
  end
  function self.plain(call, address, scope)
    if address == 0 then return nil end
    if not is_there(call, direction) then return hex(address) end
    local value = inner.fetch(call, address, scope)
    if value == nil then return hex(address) end
    return inner.plain(call, value, scope)
  end
  --- Memory that no other pointer inside says otherwise of has this pointer's direction.
  function self.extents(call, address, scope, add)
    if address == 0 then return end
    local written = direction ~= IN and is_there(call, OUT)
    inner.extents(call, address, scope, function(at, length, way)
      if way then return add(at, length, way) end
      if direction ~= OUT then add(at, length, "read") end
      if written then add(at, length, "written") end
    end)
  end
  --- Before the call a new value goes into scratch memory; after it, into the program's own.
  function self.assign(call, address, value, what)
    if value == M.NULL or value == nil then return 0 end
    if type(value) == "number" or type(value) == "cdata" then return value end
    if call.phase ~= "entry" and direction == IN then error(what .. " can only be changed before call:run()", 0) end
    if call.phase ~= "entry" and address == 0 then error(what .. " is NULL: there is nowhere to write to", 0) end
    if inner.store and call.phase ~= "entry" then return inner.store(call, address, value, what) end
    local bytes, problem, problem_name = inner.bytes_of(call, value, what)
    if not bytes then return nil, problem, problem_name end
    if call.phase == "entry" then
      local target, message, name = call.memory:alloc(#bytes)
      if not target then return nil, message, name end
      local ok, failure, code = call.memory:write(target, bytes)
      if not ok then return nil, failure, code end
      return target
    end
    local room = inner.capacity(call, address)
    if #bytes > room then bytes = bytes:sub(1, room) end
    local ok, failure, code = call.memory:write(address, bytes)
    if not ok then return nil, failure, code end
    return address
  end
  self.encode = function(_, value, what) return number_of(what, value, "an address") end
  return self
end

--- A pointer of the caller's that is read when the call is entered.
---@param inner table what it points to
function M.ptr_in(inner) return pointer(IN, inner) end
--- Filled by the kernel; read when the call has succeeded.
function M.ptr_out(inner) return pointer(OUT, inner) end
--- Both: printed as the call leaves it.
function M.ptr_inout(inner) return pointer(INOUT, inner) end
--- Both, where strace prints it before and after: "[0] => [10]" when `changed(call)`.
---@param changed fun(call: table): boolean
function M.ptr_change(inner, changed)
  local self = pointer(INOUT, inner)
  function self.early(out, call, address, scope)
    if address == 0 then return out:put("NULL") end
    local value = inner.fetch(call, address, scope, true)
    if value == nil then return out:put(hex(address)) end
    inner.text(out, call, value, scope)
  end
  function self.text(out, call, address, scope)
    if address == 0 or call.failed or not changed(call) then return end
    local value = inner.fetch(call, address, scope, true)
    if value == nil then return out:put(" => ", hex(address)) end
    out:put(" => ")
    inner.text(out, call, value, scope)
  end
  return self
end

--- Nobody believes a length that a program gives.
local MAX_BUFFER = 256 * 1024 * 1024
local SHOWN = 32

local function shown(call) return call.text_options and call.text_options.string_limit or SHOWN end

local function clamp(length)
  length = tonumber(length)
  if length < 0 then return 0 end
  return length < MAX_BUFFER and length or MAX_BUFFER
end

--- Bytes, as many as the sibling says: `length` for how many there may be, `valid` for how many there are.
---@param length string|integer|fun(call: table): integer name of a sibling, or a number
---@param valid string|nil usually "ret"
---@param style "hex"|nil how they are printed: "\\x1f" for every byte
function M.bytes(length, valid, style)
  local function size(call, scope)
    local n = type(length) == "number" and length or clamp(type(length) == "function" and length(call) or
      sibling(call, scope, length))
    if valid and call.phase ~= "entry" then
      local got = clamp(sibling(call, scope, valid))
      if got < n then n = got end
    end
    return n
  end
  local self = { siblings = named_siblings(length, valid) }
  function self.fetch(call, address, scope, for_text)
    local n = size(call, scope)
    if n == 0 then return "" end
    local limit = shown(call)
    if for_text and n > limit then
      local bytes = call.memory:read(address, limit + 1)
      return bytes and #bytes > limit and bytes or nil
    end
    local bytes = call.memory:read(address, n)
    if bytes and (#bytes == n or not for_text) then return bytes end
    return nil
  end
  local put = style == "hex" and quote.put_hex or quote.put
  function self.text(out, call, bytes) put(out, bytes, shown(call)) end
  function self.plain(_, bytes) return bytes end
  function self.extents(call, address, scope, add)
    local n = size(call, scope)
    if n > 0 then add(address, n) end
  end
  function self.capacity(call)
    if type(length) == "number" then return length end
    return clamp(type(length) == "function" and length(call) or sibling(call, nil, length))
  end
  function self.bytes_of(_, value, what)
    if type(value) ~= "string" then takes(what, "a string of bytes", value) end
    return value
  end
  return self
end

local PATH_MAX = 4096

local function string_type(limit_of, fields)
  local self = fields or {}
  function self.fetch(call, address, _, for_text)
    local bytes, truncated = call.memory:cstring(address, for_text and limit_of(call) + 1 or PATH_MAX)
    if not bytes then return nil end
    return { bytes = bytes, truncated = truncated == true }
  end
  function self.value(_, string) return string.bytes end
  function self.text(out, call, string) quote.put_string(out, string.bytes, limit_of(call), string.truncated) end
  function self.plain(_, string) return string.bytes end
  function self.extents(call, address, _, add)
    local bytes = call.memory:cstring(address, PATH_MAX)
    if bytes then add(address, #bytes + 1) end
  end
  self.capacity = self.capacity or function() return 0 end
  function self.bytes_of(_, value, what)
    if type(value) ~= "string" then takes(what, "a string", value) end
    if value:find("%z") then takes(what, "a string without NUL", value) end
    return value .. "\0"
  end
  return self
end

--- A string ended by NUL.
M.cstring = string_type(shown)
--- The name of a thread: the kernel takes 15 bytes.
M.comm = string_type(function() return 15 end)
--- The same where the kernel writes it: into so many bytes.
---@param room string|integer name of the argument, or a number
function M.string_out(room)
  return string_type(shown, { siblings = named_siblings(room), capacity = function(call)
    return type(room) == "number" and room or clamp(sibling(call, nil, room))
  end })
end
--- A path in the file system, relative to the working directory or to a descriptor argument.
M.path = M.ptr_in(string_type(function() return PATH_MAX - 1 end, { role = "path" }))
---@param dirfd string name of the descriptor argument
function M.path_at(dirfd)
  local self = M.ptr_in(string_type(function() return PATH_MAX - 1 end, { role = "path" }))
  self.dirfd = dirfd
  return self
end

-- --- structs and arrays ---------------------------------------------------------------------------------------------

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

--- A struct: fields in memory order, laid out as the ABI of the call's architecture says.
-- definition: list of {"name", type, when =}; `brief`: names printed before ", ..."; `shown`: names in the order of
-- the text; `sized_by`: the sibling that says how many bytes the caller knows of, at least `smallest`; `text`: prints
-- it all
---@param definition table
function M.struct(definition)
  local layouts = {}
  local self = { definition = definition }
  local by_name, types_of_fields = {}, {}
  for i, field in ipairs(definition) do
    by_name[field[1]] = field
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
    local value = self.load_from(call, cast("const uint8_t *", bytes), scope, known)
    value.address = address
    return value
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
      local wanted = not field[2].is_hidden and value[field[1]] ~= nil
      if wanted and brief then wanted = definition.brief[field[1]] end
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
      local raw = loaded[key]
      if raw == nil then return nil end
      local field_type = field[2]
      local result = (field_type.value or field_type.read)(view.call, raw, loaded)
      rawset(view, key, result)
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
    rawset(view, key, nil)
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
  return self
end

local MAX_ELEMENTS = 1024

--- Elements one after the other, as many as the sibling says.
---@param element table
---@param count string|integer
---@param options { limit: integer? }|nil
function M.array(element, count)
  local self = { siblings = siblings_of({ element }, nil) }
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
  return self
end

--- One number in memory, printed in brackets: the lengths and results that calls hand back.
---@param of table an integer type
function M.cell(of)
  local self = { role = of.role }
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
  return self
end

--- A type whose kind depends on the call: choose(call, scope) gives the type.
---@param choose fun(call: table, scope: table|nil): table
---@param late boolean|nil may it be late? Then it is where the chosen type is
---@param siblings string[]|nil
function M.by(choose, late, siblings)
  local function delegate(method)
    return function(a, b, c, d)
      -- text(out, call, value, scope); all others (call, value, scope)
      if method == "text" then return choose(b, d).text(a, b, c, d) end
      return choose(a, c)[method](a, b, c, d)
    end
  end
  local self = { size = "long", siblings = siblings }
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
  return self
end

--- A pointee made of its own functions: fetch and text at least.
function M.custom(fields)
  fields.value = fields.value or function(_, value) return value end
  fields.plain = fields.plain or function(_, value) return value end
  fields.extents = fields.extents or function() end
  fields.capacity = fields.capacity or function() return 0 end
  fields.bytes_of = fields.bytes_of or function(_, value, what)
    if type(value) ~= "string" then takes(what, "a string of bytes", value) end
    return value
  end
  return fields
end

-- --- fields that are more than a number -----------------------------------------------------------------------------

--- A field made of so many bytes; what(bytes) prints them.
local function inline(size, fields)
  fields.size = size
  fields.align = fields.align or 1
  fields.load_from = fields.load_from or function(_, at) return ffi.string(at, size) end
  fields.value = fields.value or function(_, value) return value end
  fields.read, fields.plain = fields.value, fields.plain or fields.value
  fields.encode = function(_, _, what) error(what .. " cannot be assigned", 0) end
  return fields
end

--- char name[n]: a string inside the struct, ended by NUL or by its end.
---@param n integer
function M.fixed_string(n)
  local function cut(_, bytes) return bytes:match("^[^%z]*") end
  return inline(n, { text = function(out, _, bytes) out:put(quote.string(cut(nil, bytes))) end, value = cut })
end

--- Bytes inside the struct.
---@param n integer
function M.fixed_bytes(n)
  return inline(n, { text = function(out, _, bytes) out:put(quote.string(bytes)) end })
end

--- Numbers inside the struct: [a, b, c].
---@param of table
---@param n integer
---@param open string|nil
---@param close string|nil
function M.inline_array(of, n, open, close)
  return {
    size = function(arch) return field_size(of, arch) * n end,
    align = function(arch) return field_align(of, arch) end,
    load_from = function(call, at)
      local list = {}
      for i = 1, n do list[i] = load_field(of, call, at, (i - 1) * field_size(of, call.arch)) end
      return list
    end,
    text = function(out, call, list)
      out:put(open or "", "[")
      for i = 1, n do
        if i > 1 then out:put(", ") end
        of.text(out, call, list[i])
      end
      out:put("]", close or "")
    end,
    value = function(_, list) return list end,
    read = function(_, list) return list end,
    plain = function(_, list) return list end,
    encode = function(_, _, what) error(what .. " cannot be assigned", 0) end,
  }
end

--- An address in a struct whose addresses are 64 bits wide on every architecture.
M.xaddress64 = integer { load = load_u64, size = 8, ctype = "const uint64_t *", text = text_pointer }

--- An address some of whose values have names: SIG_DFL, SIG_IGN.
---@param name string a set of luatrace.constants
function M.enum_address(name)
  return setmetatable({
    text = function(out, _, value)
      out:put(type(value) == "number" and set_named(name).by_value[value] or hex(value))
    end,
    read = function(_, value) return type(value) == "number" and set_named(name).by_value[value] or value end,
    plain = function(_, value) return type(value) == "number" and set_named(name).by_value[value] or hex(value) end,
  }, { __index = M.ulong })
end

--- A set of signals: 64 bits; printed as strace does, "~" before the missing ones when most are there.
local function sigset_text(bytes)
  local present, missing = {}, {}
  for signal = 1, #bytes * 8 do
    local byte = bytes:byte(math.floor((signal - 1) / 8) + 1)
    local name = (constants.signals.by_value[signal] or tostring(signal)):gsub("^SIG", "")
    local list = band(byte, bit.lshift(1, (signal - 1) % 8)) ~= 0 and present or missing
    list[#list + 1] = name
  end
  if #present > #bytes * 8 * 2 / 3 then return "~[" .. table.concat(missing, " ") .. "]" end
  return "[" .. table.concat(present, " ") .. "]", present
end

local function sigset_names(bytes)
  local names = {}
  for signal = 1, #bytes * 8 do
    if band(bytes:byte(math.floor((signal - 1) / 8) + 1), bit.lshift(1, (signal - 1) % 8)) ~= 0 then
      names[#names + 1] = constants.signals.by_value[signal] or signal
    end
  end
  return names
end

M.inline_sigset = inline(8, { align = 4, text = function(out, _, bytes) out:put((sigset_text(bytes))) end,
  value = function(_, bytes) return sigset_names(bytes) end })

--- A pointee: a set of signals of so many bytes.
---@param length string name of the argument
function M.sigset(length)
  return M.custom {
    siblings = { length },
    fetch = function(call, address, scope)
      local n = clamp(sibling(call, scope, length))
      if n == 0 or n > 128 or n % call.arch.pointer_size ~= 0 then return nil end
      local bytes = call.memory:read(address, math.min(n, 8))
      return bytes and #bytes == math.min(n, 8) and bytes or nil
    end,
    text = function(out, _, bytes) out:put((sigset_text(bytes))) end,
    value = function(_, bytes) return sigset_names(bytes) end,
    plain = function(_, bytes)
      local names = sigset_names(bytes)
      return #names > 0 and names or M.empty_list
    end,
    extents = function(call, address, scope, add)
      add(address, math.min(clamp(sibling(call, scope, length)), 8))
    end,
    capacity = function(call) return math.min(clamp(sibling(call, nil, length)), 8) end,
    bytes_of = function(_, value, what)
      if type(value) == "string" then return value end
      if type(value) ~= "table" then takes(what, "a list of signals such as { \"SIGINT\" } or the bytes", value) end
      local bytes = { 0, 0, 0, 0, 0, 0, 0, 0 }
      for _, name in ipairs(value) do
        local signal = M.signal.encode(nil, name, what)
        local at = math.floor((signal - 1) / 8) + 1
        bytes[at] = bor(bytes[at] or 0, bit.lshift(1, (signal - 1) % 8))
      end
      return string.char(unpack(bytes, 1, 8))
    end,
  }
end

--- What rt_sigreturn restores: not an argument but the frame on the stack, with the mask that was.
M.signal_frame = {
  load = function(call) return call.sp or (call.stop and exact(call.stop.sp)) or 0 end,
  read = function(call, address)
    local bytes = call.arch.bits == 64 and call.memory:read(address + 296, 8)
    return bytes and #bytes == 8 and { mask = sigset_names(bytes) } or address
  end,
  text = function(out, call, address)
    -- The mask is behind uc_flags, uc_link, uc_stack and uc_mcontext (asm/ucontext.h).
    local bytes = call.arch.bits == 64 and address ~= 0 and call.memory:read(address + 296, 8)
    if not bytes or #bytes < 8 then return end
    out:put("{mask=", (sigset_text(bytes)), "}")
  end,
  plain = function(call, address) return M.signal_frame.read(call, address) end,
  encode = function(_, _, what) error(what .. " cannot be assigned", 0) end,
}

--- i386's sigreturn: struct sigcontext is on the stack, the mask's first word in it, the rest behind the FPU's state.
M.old_signal_frame = setmetatable({
  text = function(out, call, address)
    local bytes = address ~= 0 and call.memory:read(address + 80, 4)
    if not bytes or #bytes < 4 then return end
    local rest = call.memory:read(address + 88 + 624, 4)
    out:put("{mask=", (sigset_text(bytes .. (rest and #rest == 4 and rest or ("\0"):rep(4)))), "}")
  end,
  plain = function(_, address) return hex(address) end,
  read = function(_, address) return address end,
}, { __index = M.signal_frame })

-- --- shapes that few calls have --------------------------------------------------------------------------------------

--- A number with names that a function knows (ioctl requests).
---@param name_of fun(value: number): string|nil
---@param otherwise fun(value: number): string
---@param number_named fun(name: string): number|nil
function M.named(name_of, otherwise, number_named)
  return setmetatable({
    text = function(out, _, value) out:put(name_of(value) or otherwise(value)) end,
    read = function(_, value) return name_of(value) or value end,
    plain = function(_, value) return name_of(value) or otherwise(value) end,
    encode = function(_, value, what)
      if type(value) == "number" then return value end
      return number_named(value) or takes(what, "a name or a number", value)
    end,
  }, { __index = M.u32 })
end

--- A futex operation: FUTEX_WAIT|FUTEX_PRIVATE_FLAG is written with the flags after the operation's name.
function M.futex_op(names)
  local PRIVATE, REALTIME = 128, 256
  return setmetatable({
    text = function(out, call, value)
      local flags = band(value, PRIVATE + REALTIME)
      names.text(out, call, value - flags)
      if band(flags, PRIVATE) ~= 0 then
        -- strace's names for the common pairs: FUTEX_WAIT_PRIVATE.
        out:put("_PRIVATE")
      end
      if band(flags, REALTIME) ~= 0 then out:put("|FUTEX_CLOCK_REALTIME") end
    end,
    read = function(call, value) return names.read(call, band(value, 127)) end,
    plain = function(call, value) return names.plain(call, band(value, 127)) end,
  }, { __index = names })
end

local MAX_STRINGS = 1024

--- A NULL-terminated array of strings (argv). With `how` "count" only how many there are is printed (envp).
---@param how "count"|nil
function M.strings(how)
  local function pointers(call, address)
    local size, list = call.arch.pointer_size, {}
    while #list < MAX_STRINGS do
      local bytes = call.memory:read(address + #list * size, size)
      if not bytes or #bytes < size then
        list.at_fault = true
        return #list > 0 and list or nil
      end
      local value = size == 8 and exact(cast("const uint64_t *", bytes)[0]) or cast("const uint32_t *", bytes)[0]
      if value == 0 then return list end
      list[#list + 1] = value
    end
    return list
  end
  return M.custom {
    fetch = function(call, address)
      local list = pointers(call, address)
      if list then list.address = address end
      return list
    end,
    text = function(out, call, list)
      if how == "count" and not (call.text_options and call.text_options.verbose) then
        return out:put(hex(list.address), (" /* %d var%s%s */"):format(#list, #list == 1 and "" or "s",
          list.at_fault and ", unterminated" or ""))
      end
      out:put("[")
      local limit = shown(call)
      for i, address in ipairs(list) do
        if i > 1 then out:put(", ") end
        if i > limit and how ~= "count" then
          out:put("...")
          break
        end
        local bytes, truncated = call.memory:cstring(address, PATH_MAX)
        if bytes then
          quote.put_string(out, bytes, limit, truncated == true)
        else
          out:put(hex(address))
        end
      end
      out:put("]")
    end,
    value = function(call, list)
      local result = {}
      for i, address in ipairs(list) do result[i] = call.memory:cstring(address, 131072) or address end
      return result
    end,
    plain = function(call, list)
      if #list == 0 then return M.empty_list end
      local result = {}
      for i, address in ipairs(list) do result[i] = call.memory:cstring(address, 131072) or hex(address) end
      return result
    end,
    extents = function(call, address, _, add)
      local list = pointers(call, address) or {}
      add(address, (#list + 1) * call.arch.pointer_size)
      for _, string_address in ipairs(list) do
        local bytes = call.memory:cstring(string_address, 131072)
        if bytes then add(string_address, #bytes + 1) end
      end
    end,
    bytes_of = function(_, _, what) error(what .. " cannot be assigned: write the strings to call.memory:alloc", 0) end,
  }
end

--- Scattered buffers. What a read has filled is one budget, shared out from the first on.
---@param count string name of the argument
---@param valid string|nil "ret": how many bytes there are in all
function M.iovec(count, valid)
  local MAX_IOVECS = 1024
  local function fetch(call, address, scope)
    local n = clamp(sibling(call, scope, count))
    if n == 0 then return { n = 0, total = 0 } end
    local size = call.arch.pointer_size
    local bytes = call.memory:read(address, math.min(n, MAX_IOVECS) * size * 2)
    if not bytes or #bytes < size * 2 then return nil end
    local list = { n = math.floor(#bytes / (size * 2)), total = n, address = address }
    local words = cast(size == 8 and "const uint64_t *" or "const uint32_t *", bytes)
    local budget = valid and call.phase ~= "entry" and clamp(sibling(call, scope, valid)) or nil
    for i = 1, list.n do
      local base, length = exact(words[i * 2 - 2]), exact(words[i * 2 - 1])
      local there = clamp(length)
      if budget then
        if budget < there then there = budget end
        budget = budget - there
      end
      list[i] = { base = base, length = length, valid = there }
    end
    return list
  end
  local function content(call, item, limit)
    if item.valid == 0 then return "" end
    local wanted = limit and math.min(item.valid, limit + 1) or item.valid
    local bytes = call.memory:read(item.base, wanted)
    return bytes and #bytes == wanted and bytes or nil
  end
  local function text(out, call, list, addresses_only)
    local limit = shown(call)
    out:put("[")
    for i = 1, list.n do
      if i > 1 then out:put(", ") end
      if i > limit then
        out:put("...")
        break
      end
      local item = list[i]
      out:put("{iov_base=")
      local bytes = not addresses_only and content(call, item, limit)
      if item.base == 0 then
        out:put("NULL")
      elseif bytes then
        quote.put(out, bytes, limit)
      else
        out:put(hex(item.base))
      end
      out:put(", iov_len=", decimal(item.length), "}")
    end
    if list.n < list.total and list.n <= limit then
      out:put(", ... /* ", hex(list.address + list.n * call.arch.pointer_size * 2), " */")
    end
    out:put("]")
  end
  local function given(value, what)
    if type(value) ~= "string" then takes(what, "a string of bytes: they are spread over the buffers", value) end
    return value
  end
  local self = M.custom {
    siblings = named_siblings(count, valid),
    fetch = fetch,
    text = function(out, call, list) text(out, call, list, false) end,
    --- All of it as one string, as the program meant it.
    value = function(call, list)
      local parts = {}
      for i = 1, list.n do parts[i] = content(call, list[i]) or "" end
      return table.concat(parts)
    end,
    plain = function(call, list)
      if list.n == 0 then return M.empty_list end
      local result = {}
      for i = 1, list.n do
        result[i] = { iov_base = content(call, list[i]) or hex(list[i].base), iov_len = plain_number(nil,
          list[i].length) }
      end
      return result
    end,
    extents = function(call, address, scope, add)
      local list = fetch(call, address, scope)
      if not list or list.n == 0 then return end
      add(address, list.n * call.arch.pointer_size * 2, "read")
      for i = 1, list.n do
        if list[i].valid > 0 then add(list[i].base, list[i].valid) end
      end
    end,
    --- Before the call: other buffers, as many, the first with all the bytes.
    bytes_of = function(call, value, what)
      local n = clamp(sibling(call, nil, count))
      if n < 1 or n > MAX_IOVECS then error(("%s: there are %d buffers"):format(what, n), 0) end
      local data, message, name = call.memory:alloc(math.max(#given(value, what), 1))
      if not data then return nil, message, name end
      local ok
      ok, message, name = call.memory:write(data, value)
      if not ok then return nil, message, name end
      local size = call.arch.pointer_size
      local words = ffi.new(size == 8 and "uint64_t[?]" or "uint32_t[?]", n * 2)
      words[0], words[1] = data, #value
      return ffi.string(words, n * 2 * size)
    end,
    --- After it: the program's own buffers, filled from the first on, never more than they hold.
    store = function(call, address, value, what)
      local list, at = fetch(call, address, nil), 1
      if not list then return nil, "Bad address", "EFAULT" end
      for i = 1, list.n do
        local part = given(value, what):sub(at, at + clamp(list[i].length) - 1)
        if part == "" then break end
        local ok, message, name = call.memory:write(list[i].base, part)
        if not ok then return nil, message, name end
        at = at + #part
      end
      return address
    end,
  }
  if valid then
    --- A failed readv prints where the buffers are.
    function self.text_failed(out, call, address, scope)
      local list = fetch(call, address, scope)
      if not list then return out:put(hex(address)) end
      text(out, call, list, true)
    end
  end
  return self
end

--- Directory entries (getdents64): strace prints how many.
M.dirents = M.custom {
  fetch = function(call, address)
    local n = clamp(sibling(call, nil, "ret"))
    if n == 0 then return "" end
    local bytes = call.memory:read(address, n)
    return bytes and #bytes == n and bytes or nil
  end,
  text = function(out, call, bytes)
    local n, at = 0, 0
    while at + 19 <= #bytes do
      local length = bytes:byte(at + 17) + bytes:byte(at + 18) * 256
      if length < 19 then break end
      n, at = n + 1, at + length
    end
    out:put(hex(call.raw[2]), (" /* %d entries */"):format(n))
  end,
  value = function(_, bytes)
    local list, at = {}, 0
    while at + 19 <= #bytes do
      local length = bytes:byte(at + 17) + bytes:byte(at + 18) * 256
      if length < 19 then break end
      list[#list + 1] = { name = bytes:sub(at + 20, at + length):match("^[^%z]*"),
        type = constants.enums.dirent_type.by_value[bytes:byte(at + 19)], inode = exact(cast("const uint64_t *",
          bytes:sub(at + 1, at + 8))[0]) }
      at = at + length
    end
    return list
  end,
  extents = function(call, address, _, add) add(address, clamp(sibling(call, nil, "ret"))) end,
}
M.dirents.plain = M.dirents.value

--- A wait status in memory (wait(2)).
M.wait_status = (function()
  local cell = M.cell(M.i32)
  local function describe(status)
    local low = band(status, 0x7f)
    local core = band(status, 0x80) ~= 0
    if low == 0 then
      local code = band(bit.rshift(status, 8), 0xff)
      return ("{WIFEXITED(s) && WEXITSTATUS(s) == %d}"):format(code), { exited = code }
    end
    local function name(number) return constants.signals.by_value[number] or tostring(number) end
    if band(status, 0xff) == 0x7f then
      local signal = band(bit.rshift(status, 8), 0xff)
      return ("{WIFSTOPPED(s) && WSTOPSIG(s) == %s}"):format(name(signal)), { stopped = name(signal) }
    end
    if status == 0xffff then return "{WIFCONTINUED(s)}", { continued = true } end
    return ("{WIFSIGNALED(s) && WTERMSIG(s) == %s%s}"):format(name(low), core and " && WCOREDUMP(s)" or ""),
      { signal = name(low), core = core }
  end
  return setmetatable({
    text = function(out, call, status)
      -- wait4 that found nobody leaves it as it was.
      if call.raw_ret == 0 then return out:put(hex(call.raw[2])) end
      out:put("[", (describe(status)), "]")
    end,
    plain = function(_, status) return select(2, describe(status)) end,
  }, { __index = cell })
end)()

--- A pointer whose target is filled only under a condition, even when the call fails.
---@param inner table
---@param when fun(call: table): boolean
function M.ptr_when(inner, when)
  local self = setmetatable({}, { __index = pointer(OUT, inner) })
  function self.text(out, call, address, scope)
    if address == 0 then return out:put("NULL") end
    local value = when(call) and inner.fetch(call, address, scope)
    if not value then return out:put(hex(address)) end
    return inner.text(out, call, value, scope)
  end
  function self.read(call, address, scope)
    if address == 0 then return M.NULL end
    local value = when(call) and inner.fetch(call, address, scope)
    return value and inner.value(call, value, scope) or address
  end
  return self
end

local MAX_FDS = 1024 * 1024

--- Descriptors as bits, up to the highest that the call names.
---@param highest string name of the argument
function M.fd_set(highest)
  local function fetch(call, address, scope)
    local n = math.min(clamp(sibling(call, scope, highest)), MAX_FDS)
    local bits = call.arch.bits
    local length = math.ceil(n / bits) * bits / 8
    local bytes = length > 0 and call.memory:read(address, length) or ""
    if not bytes or #bytes < length then return nil end
    local list = {}
    for num = 0, n - 1 do
      local byte = bytes:byte(math.floor(num / 8) + 1)
      if byte and band(byte, bit.lshift(1, num % 8)) ~= 0 then list[#list + 1] = num end
    end
    return list
  end
  return M.custom {
    siblings = { highest },
    fetch = fetch,
    text = function(out, call, list)
      out:put("[")
      for i, num in ipairs(list) do
        if i > 1 then out:put(" ") end
        M.fd.text(out, call, num)
      end
      out:put("]")
    end,
    plain = function(_, list) return #list > 0 and list or M.empty_list end,
    extents = function(call, address, scope, add)
      add(address, math.ceil(math.min(clamp(sibling(call, scope, highest)), MAX_FDS) / call.arch.bits) *
        call.arch.bits / 8)
    end,
  }
end

--- Processors as bits.
---@param length string name of the argument: bytes
function M.cpu_mask(length)
  return M.custom {
    siblings = named_siblings(length),
    fetch = function(call, address, scope)
      local n = math.min(clamp(sibling(call, scope, length)), 1024)
      local bytes = call.memory:read(address, n)
      if not bytes then return nil end
      local list = {}
      for cpu = 0, #bytes * 8 - 1 do
        if band(bytes:byte(math.floor(cpu / 8) + 1), bit.lshift(1, cpu % 8)) ~= 0 then list[#list + 1] = cpu end
      end
      return list
    end,
    text = function(out, _, list) out:put("[", table.concat(list, " "), "]") end,
    plain = function(_, list) return #list > 0 and list or M.empty_list end,
    extents = function(call, address, scope, add)
      add(address, math.min(clamp(sibling(call, scope, length)), 1024))
    end,
  }
end

--- A length that the caller gives and the kernel changes: [16], or [16 => 12] when it did.
M.value_result = (function()
  local inner = M.cell(M.i32)
  local self = setmetatable({}, { __index = pointer(INOUT, inner) })
  --- At entry the caller's own number is remembered: at exit it is overwritten.
  function self.text(out, call, address)
    if address == 0 then return out:put("NULL") end
    local value = inner.fetch(call, address)
    if value == nil then return out:put(hex(address)) end
    local before = call.length_before
    if call.failed or before == nil or before == value then
      out:put("[", tostring(value), "]")
    else
      out:put("[", tostring(before), " => ", tostring(value), "]")
    end
  end
  function self.at_entry(call, address)
    if address ~= 0 then rawset(call, "length_before", inner.fetch(call, address)) end
  end
  return self
end)()

--- The two halves of a 64-bit number in two registers (i386): this one and the next.
---@param index integer of the low half among the arguments
function M.pair(index)
  return setmetatable({
    load = function(call, raw)
      return exact(cast("int64_t", load_u32(nil, raw)) + cast("int64_t", load_i32(nil, call.raw[index + 1])) *
        4294967296LL)
    end,
  }, { __index = M.i64 })
end

--- The same, high half first; an argument of the low half's place.
---@param index integer of the high half among the arguments
function M.pair_high_low(index)
  return setmetatable({
    load = function(call, raw)
      return exact(cast("int64_t", load_u32(nil, raw)) + cast("int64_t", load_i32(nil, call.raw[index])) *
        4294967296LL)
    end,
  }, { __index = M.i64 })
end

--- struct msghdr: name, buffers, control messages.
---@param sockaddr fun(length: string): table
---@param received boolean
function M.msghdr(sockaddr, received)
  local direction = received and M.ptr_out or M.ptr_in
  local name = direction(sockaddr("msg_namelen"))
  local iov = direction(M.iovec("msg_iovlen", received and "ret" or nil))
  local layout = M.struct {
    { "msg_name", name }, { "msg_namelen", M.i32 }, { "msg_iov", iov }, { "msg_iovlen", M.ulong },
    { "msg_control", M.address }, { "msg_controllen", M.ulong }, { "msg_flags", M.flags("msg_flags") },
  }
  local SOL_SOCKET, SOL_IP, SCM_RIGHTS, SCM_CREDENTIALS = 1, 0, 1, 2
  local SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING, IP_TTL, IP_TOS = 29, 35, 37, 2, 1
  local timestamps = { [SO_TIMESTAMP] = "SO_TIMESTAMP_OLD", [SO_TIMESTAMPNS] = "SO_TIMESTAMPNS_OLD",
    [SO_TIMESTAMPING] = "SO_TIMESTAMPING_OLD" }
  local function control(call, value)
    local messages, length = {}, clamp(value.msg_controllen)
    if length == 0 or value.msg_control == 0 then return messages end
    local bytes = call.memory:read(value.msg_control, math.min(length, 4096))
    if not bytes then return nil end
    local word = call.arch.pointer_size
    local at = 0
    while at + word + 8 <= #bytes do
      local base = cast("const uint8_t *", bytes) + at
      local size = word == 8 and tonumber(cast("const uint64_t *", base)[0]) or cast("const uint32_t *", base)[0]
      if size < word + 8 then break end
      local level, kind = cast("const int32_t *", base + word)[0], cast("const int32_t *", base + word + 4)[0]
      messages[#messages + 1] = { level = level, type = kind, length = size,
        data = bytes:sub(at + word + 9, math.min(at + size, #bytes)) }
      at = at + math.ceil(size / word) * word
    end
    return messages
  end
  local function control_type(message)
    local kind, enums = message.type, constants.enums
    if message.level == SOL_SOCKET then
      return enums.scm_type.by_value[kind] or timestamps[kind] or hex(unsigned(kind)) .. " /* SCM_??? */"
    elseif message.level == SOL_IP then
      return enums.ip_cmsg.by_value[kind] or hex(unsigned(kind)) .. " /* IP_??? */"
    end
    return hex(unsigned(kind))
  end
  local function put_control_data(out, call, message)
    local data, kind = message.data, message.type
    if #data == 0 then return end
    out:put(", cmsg_data=")
    local numbers = cast("const int32_t *", data)
    local word = call.arch.pointer_size
    if message.level == SOL_SOCKET and kind == SCM_RIGHTS and #data >= 4 then
      out:put("[")
      for k = 0, math.floor(#data / 4) - 1 do
        if k > 0 then out:put(", ") end
        M.fd.text(out, call, numbers[k])
      end
      out:put("]")
    elseif message.level == SOL_SOCKET and kind == SCM_CREDENTIALS and #data >= 12 then
      out:put(("{pid=%d, uid=%d, gid=%d}"):format(numbers[0], numbers[1], numbers[2]))
    elseif message.level == SOL_SOCKET and (kind == SO_TIMESTAMP or kind == SO_TIMESTAMPNS) and #data >= 2 * word then
      local longs = cast(word == 8 and "const int64_t *" or "const int32_t *", data)
      out:put("{tv_sec=", decimal(exact(longs[0])), kind == SO_TIMESTAMP and ", tv_usec=" or ", tv_nsec=",
        decimal(exact(longs[1])), "}")
    elseif message.level == SOL_IP and (kind == IP_TTL or kind == IP_TOS) then
      if #data >= 4 and kind == IP_TTL then out:put("[", tostring(numbers[0]), "]") else
        out:put("[", hex(data:byte(1)), "]") end
    else
      quote.put(out, data, shown(call))
    end
  end
  local function put_control(out, call, value)
    local messages = control(call, value)
    if not messages then return out:put(hex(value.msg_control)) end
    out:put("[")
    for i, message in ipairs(messages) do
      if i > 1 then out:put(", ") end
      local level = constants.enums.socket_level.by_value[message.level] or hex(message.level) .. " /* SOL_??? */"
      out:put("{cmsg_len=", tostring(message.length), ", cmsg_level=", level, ", cmsg_type=")
      out:put(control_type(message))
      put_control_data(out, call, message)
      out:put("}")
    end
    out:put("]")
  end
  layout.definition.text = function(out, call, value, scope)
    value.outer = scope
    out:put("{msg_name=")
    name.text(out, call, value.msg_name, value)
    local before = received and rawget(call, "namelen_before")
    out:put(", msg_namelen=")
    if before and before ~= value.msg_namelen then out:put(tostring(before), " => ") end
    out:put(tostring(value.msg_namelen), ", msg_iov=")
    iov.text(out, call, value.msg_iov, value)
    out:put(", msg_iovlen=", decimal(value.msg_iovlen))
    if value.msg_control ~= 0 then
      out:put(", msg_control=")
      put_control(out, call, value)
    end
    out:put(", msg_controllen=", decimal(value.msg_controllen), ", msg_flags=")
    layout.definition[7][2].text(out, call, value.msg_flags)
    out:put("}")
  end
  if received then
    --- How long the name may be is overwritten with how long it is.
    function layout.at_entry(call, address)
      local value = address ~= 0 and layout.fetch(call, address)
      if value then rawset(call, "namelen_before", value.msg_namelen) end
    end
    function layout.text_failed(out, call, address)
      local before = rawget(call, "namelen_before")
      if before then out:put("{msg_namelen=", tostring(before), "}") else out:put(hex(address)) end
    end
  end
  layout.definition.also = { control = function(value, call) return control(call, value) end,
    data = function(value, call) return iov.read(call, value.msg_iov, value) end }
  return layout
end

M.load_field, M.field_size = load_field, field_size
M.load = { i32 = load_i32, u32 = load_u32, i64 = load_i64, u64 = load_u64 }

return M
