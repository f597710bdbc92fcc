--- Scattered buffers (struct iovec), and the messages that carry them (struct msghdr).
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local cast = internal.cast
local exact, hex, decimal = internal.exact, internal.hex, internal.decimal
local takes, sibling, unsigned = internal.takes, internal.sibling, internal.unsigned
local named_siblings, plain_number = internal.named_siblings, internal.plain_number
local shown, clamp, put_up_to = internal.shown, internal.clamp, M.put_up_to

local MAX_IOVECS = 1024

--- The bytes of one buffer, of a long one so many and one more; nil when they cannot be read.
local function content(call, item, limit)
  if item.valid == 0 then return "" end
  local wanted = limit and math.min(item.valid, limit + 1) or item.valid
  local bytes = call.memory:read(item.base, wanted)
  return bytes and #bytes == wanted and bytes or nil
end

local function given(value, what)
  if type(value) ~= "string" then takes(what, "a string of bytes: they are spread over the buffers", value) end
  return value
end

--- The buffers at an address, each with how many of its bytes are valid; nil when they cannot be read.
local function fetch_iovec(call, address, scope, count, valid)
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

--- Where one buffer is, or what it holds.
---@param put nil|fun(out: table, call: table, bytes: string) what prints more than bytes
local function put_base(out, call, item, limit, put, addresses_only)
  local bytes = not addresses_only and content(call, item, not put and limit or nil)
  if item.base == 0 then
    out:put("NULL")
  elseif not bytes then
    out:put(hex(item.base))
  elseif put and bytes ~= "" then
    put(out, call, bytes)
  else
    quote.put(out, bytes, limit)
  end
end

local function put_item(out, i, call, list, limit, put, addresses_only)
  out:put("{iov_base=")
  put_base(out, call, list[i], limit, put, addresses_only)
  out:put(", iov_len=", decimal(list[i].length), "}")
end

local function put_iovec(out, call, list, put, addresses_only)
  local limit = shown(call)
  out:put("[")
  put_up_to(out, list.n, limit, put_item, call, list, limit, put, addresses_only)
  if list.n < list.total and list.n <= limit then
    out:put(", ... /* ", hex(list.address + list.n * call.arch.pointer_size * 2), " */")
  end
  out:put("]")
end

--- All of it as one string, as the program meant it.
local function joined(call, list)
  local parts = {}
  for i = 1, list.n do parts[i] = content(call, list[i]) or "" end
  return table.concat(parts)
end

local function plain_iovec(call, list)
  if list.n == 0 then return M.empty_list end
  local result = {}
  for i = 1, list.n do
    local item = list[i]
    result[i] = { iov_base = content(call, item) or hex(item.base), iov_len = plain_number(nil, item.length) }
  end
  return result
end

local function add_iovec(call, list, add)
  if not list or list.n == 0 then return end
  add(list.address, list.n * call.arch.pointer_size * 2, "read")
  for i = 1, list.n do
    if list[i].valid > 0 then add(list[i].base, list[i].valid) end
  end
end

--- Before the call: `n` other buffers, the first with all the bytes.
local function new_iovec(call, n, value, what)
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
end

--- After it: the program's own buffers, filled from the first on, never more than they hold.
local function fill_iovec(call, address, list, value, what)
  if not list then return nil, "Bad address", "EFAULT" end
  local at = 1
  for i = 1, list.n do
    local part = given(value, what):sub(at, at + clamp(list[i].length) - 1)
    if part == "" then break end
    local ok, message, name = call.memory:write(list[i].base, part)
    if not ok then return nil, message, name end
    at = at + #part
  end
  return address
end

--- Scattered buffers. What a read has filled is one budget, shared out from the first on.
---@param count string name of the argument
---@param valid string|nil "ret": how many bytes there are in all
---@param printer nil|fun(call: table): function|nil what prints the content, where it is more than bytes
function M.iovec(count, valid, printer)
  local function fetch(call, address, scope) return fetch_iovec(call, address, scope, count, valid) end
  local self = M.custom {
    siblings = named_siblings(count, valid),
    fetch = fetch,
    text = function(out, call, list) put_iovec(out, call, list, printer and printer(call) or nil, false) end,
    value = joined,
    plain = plain_iovec,
    extents = function(call, address, scope, add) add_iovec(call, fetch(call, address, scope), add) end,
    bytes_of = function(call, value, what) return new_iovec(call, clamp(sibling(call, nil, count)), value, what) end,
    store = function(call, address, value, what)
      return fill_iovec(call, address, fetch(call, address, nil), value, what)
    end,
  }
  if valid then
    --- A failed readv prints where the buffers are.
    function self.text_failed(out, call, address, scope)
      local list = fetch(call, address, scope)
      if not list then return out:put(hex(address)) end
      put_iovec(out, call, list, nil, true)
    end
  end
  return self
end

-- --- messages -------------------------------------------------------------------------------------------------------

local SOL_SOCKET, SOL_IP, SCM_RIGHTS, SCM_CREDENTIALS = 1, 0, 1, 2
local SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING, IP_TTL, IP_TOS = 29, 35, 37, 2, 1
local timestamps = { [SO_TIMESTAMP] = "SO_TIMESTAMP_OLD", [SO_TIMESTAMPNS] = "SO_TIMESTAMPNS_OLD",
  [SO_TIMESTAMPING] = "SO_TIMESTAMPING_OLD" }

--- The control messages; nil when they cannot be read.
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
