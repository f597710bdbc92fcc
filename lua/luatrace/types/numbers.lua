--- Integers, ids, modes, devices: what fits into a register and is a number.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local bit = require "bit"
local buffer = require "string.buffer"
local constants = require "luatrace.constants"
local pids = require "luatrace.tracee.pids"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local band, bor, tobit = bit.band, bit.bor, bit.tobit
local cast = internal.cast
local exact, u64, hex = internal.exact, internal.u64, internal.hex
local decimal, number_of = internal.decimal, internal.number_of

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

local function text_pointer(out, _, value)
  if value == 0 then out:put("NULL") else out:put(hex(value)) end
end

--- With --normalize addresses are told by their look.
local function plain_hex(call, value)
  if call.text_options and call.text_options.normal and value ~= 0 then return hex(value) end
  return plain_number(call, value)
end

local function integer(fields)
  fields.load = fields.load or load_i64
  if fields.text == text_hex or fields.text == text_pointer then fields.plain = fields.plain or plain_hex end
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
--- Where memory begins that a call is about; 0 is NULL in text, and the number 0 for scripts.
M.place = integer { load = load_u64, text = text_pointer, size = "long" }
--- A number, printed when the call has returned.
M.xlong_late = integer { load = load_u64, text = text_hex, size = "long", late = true }
M.octal = integer { load = load_u32, text = text_octal, size = 4, ctype = "const uint32_t *" }
--- Padding and what nobody wants to see.
M.hidden = function(of) return setmetatable({ is_hidden = true }, { __index = of }) end

local function read_address(_, value) return value == 0 and M.NULL or value end

--- An address whose target is not described.
M.address = integer { load = load_u64, text = text_pointer, size = "long", read = read_address,
  encode = function(_, value, what)
    if value == M.NULL or value == nil then return 0 end
    return number_of(what, value, "an address")
  end }

--- The same, printed when the call has returned.
M.address_late = setmetatable({ late = true }, { __index = M.address })

--- A process or thread id; with -Y the command behind it, with --decode-pids=pidns the id it has in our namespace.
local function text_pid(kind)
  return function(out, call, value)
    local normal = call.text_options and call.text_options.normal
    out:put(normal and normal:pid(value) or decimal(value))
    local decoded = call.text_options and call.text_options.decode_pids
    if not decoded or kind == "none" or not call.process or value <= 0 then return end
    local ours = value
    if decoded.pidns then
      ours = pids.translate(call.process.pid, value, kind)
      if ours and ours ~= value then out:put((" /* %d in strace's PID NS */"):format(ours)) end
    end
    local name = decoded.comm and (kind == "tgid" or kind == "tid") and ours and pids.comm(ours)
    if name then out:put("<", quote.path(name), ">") end
  end
end
local function plain_pid(call, value)
  local normal = call.text_options and call.text_options.normal
  return normal and normal:pid_plain(value) or value
end
local function id_of(kind)
  return integer { load = load_i32, size = 4, ctype = "const int32_t *", text = text_pid(kind), plain = plain_pid }
end
M.pid, M.tid, M.pgid, M.sid = id_of "tgid", id_of "tid", id_of "pgid", id_of "sid"
--- A process id as it is printed, for texts made of strings.
---@return string
function M.pid_string(call, value)
  local options = call.text_options
  if not options or not (options.decode_pids or options.normal) then return decimal(value) end
  local out = buffer.new()
  M.pid.text(out, call, value)
  return out:tostring()
end
--- The same where nothing but the number is printed, as strace has it (what wait4 returns).
M.pid_number = id_of "none"

--- A user, a group.
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
    local text = kind ~= 0 and (name or ("%#o"):format(kind)) .. "|" or ""
    for _, pair in ipairs { { 0x800, "S_ISUID" }, { 0x400, "S_ISGID" }, { 0x200, "S_ISVTX" } } do
      if band(value, pair[1]) ~= 0 then text = text .. pair[2] .. "|" end
    end
    text = text .. ("%#03o"):format(band(value, 0x1ff))
    out:put(style.now.constants == "abbrev" and text or style.described(("%#03o"):format(value), text))
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
  local text = "makedev(" .. hex(major) .. ", " .. hex(minor) .. ")"
  out:put(style.now.constants == "abbrev" and text or style.described(hex(value), text))
end }
M.dev64 = setmetatable({ size = 8, ctype = "const uint64_t *", load = load_u64 }, { __index = M.dev })

internal.load_i32, internal.load_u32 = load_i32, load_u32
internal.load_i64, internal.load_u64 = load_i64, load_u64
internal.same, internal.siblings_of, internal.named_siblings = same, siblings_of, named_siblings
internal.plain_number, internal.integer, internal.text_pointer = plain_number, integer, text_pointer

return M
