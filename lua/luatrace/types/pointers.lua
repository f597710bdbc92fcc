--- Pointers by direction, and what most of them lead to: bytes, strings, paths, and what has functions of its own.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local quote = require "luatrace.text.quote"
local M = require "luatrace.types.base"

local internal = M.internal
local hex, takes, number_of = internal.hex, internal.takes, internal.number_of
local sibling, load_u64, siblings_of = internal.sibling, internal.load_u64, internal.siblings_of
local named_siblings, lazily, same = internal.named_siblings, internal.lazily, internal.same

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

--- What a pointer gives a script, shows and takes: what it leads to, where that can be had.
local function read_through(direction, inner)
  return function(call, address, scope)
    if address == 0 then return M.NULL end
    if not fetchable(call, direction) then
      if call.phase == "exit" then return address end
      return nil, "it is there only after call:run()", "EAGAIN"
    end
    local value = inner.fetch(call, address, scope)
    if value == nil then return address end
    return inner.value and inner.value(call, value, scope) or value
  end
end

local function text_through(direction, inner)
  return function(out, call, address, scope)
    if address == 0 then return out:put("NULL") end
    if not inner.is_bytes then
      local options = call.text_options
      if options and options.addresses_only then return out:put(hex(address)) end
    end
    if not is_there(call, direction) then
      if call.failed and inner.text_failed then return inner.text_failed(out, call, address, scope) end
      return out:put(hex(address))
    end
    local value = inner.fetch(call, address, scope, true)
    if value == nil then return out:put(hex(address)) end
    return inner.text(out, call, value, scope)
  end
end

local function plain_through(direction, inner)
  return function(call, address, scope)
    if address == 0 then return nil end
    if not is_there(call, direction) then return hex(address) end
    local value = inner.fetch(call, address, scope)
    if value == nil then return hex(address) end
    return inner.plain(call, value, scope)
  end
end

--- Memory that no other pointer inside says otherwise of has this pointer's direction.
local function extents_through(direction, inner)
  return function(call, address, scope, add)
    if address == 0 then return end
    local written = direction ~= IN and is_there(call, OUT)
    inner.extents(call, address, scope, function(at, length, way)
      if way then return add(at, length, way) end
      if direction ~= OUT then add(at, length, "read") end
      if written then add(at, length, "written") end
    end)
  end
end

---@return any address where the bytes are, or nil, message, errno
local function write(call, address, bytes)
  local ok, message, name = call.memory:write(address, bytes)
  if not ok then return nil, message, name end
  return address
end

local function write_scratch(call, bytes)
  local address, message, name = call.memory:alloc(#bytes)
  if not address then return nil, message, name end
  return write(call, address, bytes)
end

--- Before the call a new value goes into scratch memory; after it, into the program's own, as far as there is room.
local function assign_through(direction, inner)
  return function(call, address, value, what)
    if value == M.NULL or value == nil then return 0 end
    if type(value) == "number" or type(value) == "cdata" then return value end
    local at_entry = call.phase == "entry"
    if not at_entry and direction == IN then error(what .. " can only be changed before call:run()", 0) end
    if not at_entry and address == 0 then error(what .. " is NULL: there is nowhere to write to", 0) end
    if not at_entry and inner.store then return inner.store(call, address, value, what) end
    local bytes, message, name = inner.bytes_of(call, value, what)
    if not bytes then return nil, message, name end
    if at_entry then return write_scratch(call, bytes) end
    return write(call, address, bytes:sub(1, inner.capacity(call, address)))
  end
end

local function encode_address(_, value, what) return number_of(what, value, "an address") end

local function make_pointer(self, direction, inner)
  self.load, self.size, self.direction, self.inner, self.role = load_u64, "long", direction, inner, inner.role
  self.at_entry, self.siblings, self.path_limit = inner.at_entry, siblings_of { inner }, inner.path_limit
  self.late = direction ~= IN
  self.read, self.plain = read_through(direction, inner), plain_through(direction, inner)
  self.text = text_through(direction, inner)
  self.shape, self.own_text = "pointer", self.text
  self.extents = extents_through(direction, inner)
  self.assign, self.encode = assign_through(direction, inner), encode_address
end

local function pointer(direction, inner) return lazily(make_pointer, direction, inner) end

--- A pointer of the caller's that is read when the call is entered.
---@param inner table what it points to
function M.ptr_in(inner) return pointer(IN, inner) end
--- Filled by the kernel; read when the call has succeeded.
function M.ptr_out(inner) return pointer(OUT, inner) end
--- Both: printed as the call leaves it.
function M.ptr_inout(inner) return pointer(INOUT, inner) end
local function make_change(self, inner, changed)
  make_pointer(self, INOUT, inner)
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
end

--- Both, where strace prints it before and after: "[0] => [10]" when `changed(call)`.
---@param changed fun(call: table): boolean
function M.ptr_change(inner, changed) return lazily(make_change, inner, changed) end

--- Nobody believes a length that a program gives.
local MAX_BUFFER = 256 * 1024 * 1024
local SHOWN = 32

local function shown(call) return call.text_options and call.text_options.string_limit or SHOWN end

--- The elements of a list, as many as are shown of it; what holds them is the caller's to put around them.
---@param out table
---@param n integer
---@param limit number
---@param put fun(out: table, i: integer, ...) one of them
---@vararg any for `put`
function M.put_up_to(out, n, limit, put, ...)
  for i = 1, n do
    if i > 1 then out:put(", ") end
    if i > limit then return out:put("...") end
    put(out, i, ...)
  end
end

local function clamp(length)
  length = tonumber(length)
  if length < 0 then return 0 end
  return length < MAX_BUFFER and length or MAX_BUFFER
end

local function make_bytes(self, length, valid, style)
  local function size(call, scope)
    local n = type(length) == "number" and length or clamp(type(length) == "function" and length(call) or
      sibling(call, scope, length))
    if valid and call.phase ~= "entry" then
      local got = clamp(sibling(call, scope, valid))
      if got < n then n = got end
    end
    return n
  end
  self.siblings, self.is_bytes = named_siblings(length, valid), true
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
  self.shape, self.own_text, self.length, self.valid, self.style = "bytes", self.text, length, valid, style
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
end

--- Bytes, as many as the sibling says: `length` for how many there may be, `valid` for how many there are.
---@param length string|integer|fun(call: table): integer name of a sibling, or a number
---@param valid string|nil usually "ret"
---@param style "hex"|nil how they are printed: "\\x1f" for every byte
function M.bytes(length, valid, style) return lazily(make_bytes, length, valid, style) end

local PATH_MAX = 4096

local function make_string(self, limit_of, fields)
  for key, value in pairs(fields) do self[key] = value end
  self.is_bytes = true
  function self.fetch(call, address, _, for_text)
    local bytes, truncated = call.memory:cstring(address, for_text and limit_of(call) + 1 or PATH_MAX)
    if not bytes then return nil end
    return { bytes = bytes, truncated = truncated == true }
  end
  function self.value(_, string) return string.bytes end
  function self.text(out, call, string) quote.put_string(out, string.bytes, limit_of(call), string.truncated) end
  self.shape, self.own_text, self.limit_of = "string", self.text, limit_of
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
end

local function string_type(limit_of, fields) return lazily(make_string, limit_of, fields or {}) end

--- A string ended by NUL.
M.cstring = string_type(shown)
--- A string the kernel takes so many bytes of, the NUL among them; shown whole.
---@param room integer
function M.whole_string(room)
  return string_type(function() return room - 1 end)
end
--- The name of a thread.
M.comm = M.whole_string(16)
--- The same where the kernel writes it: into so many bytes.
---@param room string|integer name of the argument, or a number
function M.string_out(room)
  return string_type(shown, { siblings = named_siblings(room), capacity = function(call)
    return type(room) == "number" and room or clamp(sibling(call, nil, room))
  end })
end
--- A path in the file system, relative to the working directory or to a descriptor argument.
M.path = M.ptr_in(string_type(function() return PATH_MAX - 1 end, { role = "path" }))
--- A name that is shown whole as a path is, and is none in the file system that a call looks at: of a queue, of what is
--- mounted.
M.whole_name = M.ptr_in(string_type(function() return PATH_MAX - 1 end))
---@param dirfd string name of the descriptor argument
function M.path_at(dirfd)
  local self = M.ptr_in(string_type(function() return PATH_MAX - 1 end, { role = "path" }))
  self.dirfd = dirfd
  return self
end

local function no_extents() end
local function no_capacity() return 0 end
local function as_bytes(_, value, what)
  if type(value) ~= "string" then takes(what, "a string of bytes", value) end
  return value
end

--- A pointee made of its own functions: fetch and text at least.
function M.custom(fields)
  fields.value = fields.value or same
  fields.plain = fields.plain or same
  fields.extents = fields.extents or no_extents
  fields.capacity = fields.capacity or no_capacity
  fields.bytes_of = fields.bytes_of or as_bytes
  return fields
end

internal.IN, internal.OUT, internal.INOUT = IN, OUT, INOUT
internal.pointer, internal.shown, internal.clamp = pointer, shown, clamp
internal.PATH_MAX = PATH_MAX

return M
