--- Shapes that few calls have: argv, vectors of buffers, directory entries, statuses, message headers.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local band = bit.band
local cast = internal.cast
local exact, hex, decimal = internal.exact, internal.hex, internal.decimal
local takes, sibling, load_i32 = internal.takes, internal.sibling, internal.load_i32
local load_u32, named_siblings, plain_number = internal.load_u32, internal.named_siblings, internal.plain_number
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
  return setmetatable({
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
end

local MAX_STRINGS = 1024
--- Divides the size of a page.
local POINTERS_AHEAD = 512

--- A NULL-terminated array of strings (argv). With `how` "count" only how many there are is printed (envp).
---@param how "count"|nil
function M.strings(how)
  local function pointers(call, address)
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
---@param printer nil|fun(call: table): function|nil what prints the content, where it is more than bytes
function M.iovec(count, valid, printer)
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
    local put = printer and not addresses_only and printer(call) or nil
    out:put("[")
    for i = 1, list.n do
      if i > 1 then out:put(", ") end
      if i > limit then
        out:put("...")
        break
      end
      local item = list[i]
      out:put("{iov_base=")
      local bytes = not addresses_only and content(call, item, not put and limit or nil)
      if item.base == 0 then
        out:put("NULL")
      elseif bytes then
        if put and bytes ~= "" then put(out, call, bytes) else quote.put(out, bytes, limit) end
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

--- struct msghdr: name, buffers, control messages.
---@param sockaddr fun(length: string): table
---@param received boolean
---@param printer nil|fun(call: table): function|nil see iovec
function M.msghdr(sockaddr, received, printer)
  local direction = received and M.ptr_out or M.ptr_in
  local name = direction(sockaddr("msg_namelen"))
  local iov = direction(M.iovec("msg_iovlen", received and "ret" or nil, printer))
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
      return style.constant(hex(unsigned(kind)), enums.scm_type.by_value[kind] or timestamps[kind], "SCM_???")
    elseif message.level == SOL_IP then
      return style.constant(hex(unsigned(kind)), enums.ip_cmsg.by_value[kind], "IP_???")
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
      local level = style.constant(hex(message.level), constants.enums.socket_level.by_value[message.level], "SOL_???")
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

return M
