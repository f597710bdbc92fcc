--- Fields that are more than a number: fixed strings, inline arrays, signal sets.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local band, bor = bit.band, bit.bor
local exact, hex, takes = internal.exact, internal.hex, internal.takes
local sibling, load_u64, integer = internal.sibling, internal.load_u64, internal.integer
local text_pointer, set_named, clamp = internal.text_pointer, internal.set_named, internal.clamp
local field_size, field_align, load_field = internal.field_size, internal.field_align, internal.load_field

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
      out:put(style.constant(hex(value), type(value) == "number" and set_named(name).by_value[value] or nil))
    end,
    read = function(_, value) return type(value) == "number" and set_named(name).by_value[value] or value end,
    plain = function(_, value) return type(value) == "number" and set_named(name).by_value[value] or hex(value) end,
  }, { __index = M.ulong })
end

--- A set of signals: 64 bits; printed as strace does, "~" before the missing ones when most are there.
local function sigset_text(bytes)
  if not bytes:find("[^%z]") then return "[]" end
  local present, missing = {}, {}
  for signal = 1, #bytes * 8 do
    local byte = bytes:byte(math.floor((signal - 1) / 8) + 1)
    local name = constants.signals.by_value[signal]
    name = style.constant(tostring(signal), name and name:gsub("^SIG", "") or tostring(signal))
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
  value = function(_, bytes) return sigset_names(bytes) end,
  plain = function(_, bytes)
    local names = sigset_names(bytes)
    return #names > 0 and names or M.empty_list
  end })

--- A pointee: a set of signals of so many bytes.
---@param length string name of the argument
function M.sigset(length)
  return M.custom {
    siblings = { length }, shape = "array", count = length, element = { plain_bytes = 1 },
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
    local options = call.text_options
    out:put("{mask=", options and options.addresses_only and hex(address + 296) or (sigset_text(bytes)), "}")
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

return M
