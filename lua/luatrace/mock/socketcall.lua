--- Calls inside socketcall(2), by which 32-bit programs of older C libraries make all socket calls: a view of one that
-- looks like the call itself, for the handlers of mocks.
--
--   local inner = socketcall.inner(call, "connect")
--   inner.args[1]                    -- the socket; assigning goes into a copy of the program's words

local ffi = require "ffi"

local M = {}

--- Numbers and counts of arguments (linux/net.h).
local calls = {
  connect = { 3, 3 }, getsockname = { 6, 3 }, getpeername = { 7, 3 }, sendto = { 11, 6 }, recvfrom = { 12, 6 },
  setsockopt = { 14, 5 }, getsockopt = { 15, 5 }, sendmsg = { 16, 3 }, recvmsg = { 17, 3 },
}

--- The number of a call inside socketcall; nil for one that is not among them.
---@param name string
---@return integer|nil
function M.number(name) return calls[name] and calls[name][1] end

local Args = {}
Args.__index = function(args, i) return args.words[i - 1] end
function Args.__newindex(args, i, value)
  local call, words = args.call, args.words
  words[i - 1] = value
  args.room = args.room or call.memory:alloc(args.size)
  call.memory:write(args.room, ffi.string(words, args.size))
  call.args[2] = args.room
end

--- What is done with the call inside is done with the one around it.
local Inner = {}
Inner.__index = function(inner, key)
  local call = rawget(inner, "call")
  local value = call[key]
  if type(value) ~= "function" then return value end
  local function method(_, ...) return value(call, ...) end
  rawset(inner, key, method)
  return method
end

---@param call luatrace.Call a socketcall
---@param name string the call inside that it must be
---@return table|nil inner nil when it is another one, or its arguments cannot be read
function M.inner(call, name)
  local number, count = calls[name][1], calls[name][2]
  if call.args[1] ~= number then return nil end
  local size = 4 * count
  local bytes = call.memory:read(call.args[2], size)
  if not bytes or #bytes < size then return nil end
  local words = ffi.new("uint32_t[?]", count)
  ffi.copy(words, bytes, size)
  local args = setmetatable({}, Args)
  for key, value in pairs { call = call, words = words, size = size, room = false } do rawset(args, key, value) end
  return setmetatable({ call = call, name = name, args = args }, Inner)
end

return M
