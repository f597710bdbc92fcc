--- Shapes that few calls have: argv, directory entries, statuses, sets of descriptors and processors.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local bit = require "bit"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local band = bit.band
local cast = internal.cast
local exact, hex = internal.exact, internal.hex
local takes, sibling, load_i32 = internal.takes, internal.sibling, internal.load_i32
local load_u32, named_siblings = internal.load_u32, internal.named_siblings
local unsigned, OUT, INOUT = internal.unsigned, internal.OUT, internal.INOUT
local pointer, shown, clamp = internal.pointer, internal.shown, internal.clamp
local PATH_MAX = internal.PATH_MAX

--- A number with names that a function knows (ioctl requests).
---@param name_of fun(value: number): string|nil
---@param otherwise fun(value: number): string
---@param number_named fun(name: string): number|nil
function M.named(name_of, otherwise, number_named)
  local self = {
    text = function(out, _, value)
      local text = name_of(value) or otherwise(value)
      out:put(style.now.constants == "abbrev" and text or style.described(hex(value), text))
    end,
    read = function(_, value) return name_of(value) or value end,
    plain = function(_, value) return name_of(value) or otherwise(value) end,
    encode = function(_, value, what)
      if type(value) == "number" then return value end
      return number_named(value) or takes(what, "a name or a number", value)
    end,
  }
  self.shape, self.own_text = "named", self.text
  return setmetatable(self, { __index = M.u32 })
end

--- A futex operation: FUTEX_WAIT|FUTEX_PRIVATE_FLAG is written with the flags after the operation's name.
function M.futex_op(names)
  local PRIVATE, REALTIME = 128, 256
  local self = setmetatable({
    text = function(out, call, value)
      local how = style.now.constants
      if how ~= "abbrev" then
        -- Names are not for the number without its flags: -X raw, and 0x81 /* FUTEX_WAKE_PRIVATE */.
        local name = names.read(call, band(value, 127))
        local text = type(name) == "string" and name .. (band(value, PRIVATE) ~= 0 and "_PRIVATE" or "") ..
          (band(value, REALTIME) ~= 0 and "|FUTEX_CLOCK_REALTIME" or "")
        return out:put(style.constant(hex(unsigned(value)), text or nil, "FUTEX_???"))
      end
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
  self.own_text = self.text
  return self
end

local MAX_STRINGS = 1024
--- Divides the size of a page.
local POINTERS_AHEAD = 512

--- The addresses in an array that NULL ends; nil when none can be read, `at_fault` when the end cannot.
local function pointers_until_null(call, address)
  local size, list = call.arch.pointer_size, {}
  while #list < MAX_STRINGS do
    -- Many at a time, but never past the page: there the memory may end.
    local at = address + #list * size
    local room = math.max(size, POINTERS_AHEAD - tonumber(at % POINTERS_AHEAD))
    local bytes = call.memory:read(at, room)
    if not bytes or #bytes < size then
      list.at_fault = true
      return #list > 0 and list or nil
    end
    local words = cast(size == 8 and "const uint64_t *" or "const uint32_t *", bytes)
    for i = 0, math.min(math.floor(#bytes / size), MAX_STRINGS - #list) - 1 do
      local value = size == 8 and exact(words[i]) or words[i]
      if value == 0 then return list end
      list[#list + 1] = value
    end
  end
  return list
end

--- So long may one string of argv be (MAX_ARG_STRLEN).
local MAX_STRING = 131072

local function put_string_at(out, call, address, limit)
  local bytes, truncated = call.memory:cstring(address, PATH_MAX)
  if bytes then
    quote.put_string(out, bytes, limit, truncated == true)
  else
    out:put(hex(address))
  end
end

---@param all boolean not only as many as strings are long
local function put_strings(out, call, list, all)
  out:put("[")
  local limit = shown(call)
  M.put_up_to(out, #list, all and math.huge or limit, function(_, i) put_string_at(out, call, list[i], limit) end)
  out:put("]")
end

local function put_string_count(out, list)
  out:put(hex(list.address), (" /* %d var%s%s */"):format(#list, #list == 1 and "" or "s",
    list.at_fault and ", unterminated" or ""))
end

--- Each string, and in the place of one that cannot be read its address.
local function read_strings(call, list)
  local result = {}
  for i, address in ipairs(list) do result[i] = call.memory:cstring(address, MAX_STRING) or address end
  return result
end

local function plain_strings(call, list)
  if #list == 0 then return M.empty_list end
  local result = {}
  for i, address in ipairs(list) do result[i] = call.memory:cstring(address, MAX_STRING) or hex(address) end
  return result
end

local function add_strings(call, address, _, add)
  local list = pointers_until_null(call, address) or {}
  add(address, (#list + 1) * call.arch.pointer_size)
  for _, string_address in ipairs(list) do
    local bytes = call.memory:cstring(string_address, MAX_STRING)
    if bytes then add(string_address, #bytes + 1) end
  end
end

--- A NULL-terminated array of strings (argv). With `how` "count" only how many there are is printed (envp).
---@param how "count"|nil
function M.strings(how)
  local counted = how == "count"
  return M.custom {
    fetch = function(call, address)
      local list = pointers_until_null(call, address)
      if list then list.address = address end
      return list
    end,
    text = function(out, call, list)
      if counted and not (call.text_options and call.text_options.verbose) then return put_string_count(out, list) end
      put_strings(out, call, list, counted)
    end,
    value = read_strings,
    plain = plain_strings,
    extents = add_strings,
    bytes_of = function(_, _, what) error(what .. " cannot be assigned: write the strings to call.memory:alloc", 0) end,
  }
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
    local function name(number) return style.constant(tostring(number), constants.signals.by_value[number]) end
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
    local options = call.text_options
    local hidden = options and options.addresses_only and not inner.is_bytes
    local value = not hidden and when(call) and inner.fetch(call, address, scope)
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
    local options = call.text_options
    local value = not (options and options.addresses_only) and inner.fetch(call, address) or nil
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

return M
