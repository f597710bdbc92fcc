--- short("read", 1, where): reads and writes less than was asked for, as kernels may at any time.
--
-- The outcome is the most bytes that go through: a number, a fraction of what was asked for (0.5), a range ("1..10": by
-- chance), or nothing at all: a number by chance. What the kernel is given is shortened, so that what the program is
-- told is true, and the file position, too.

local ffi = require "ffi"
local predicates = require "luatrace.filter.predicates"
local value_test = require "luatrace.filter.value_test"

local M = { outcome = "optional", only_entry = true }

--- Arguments that say how many bytes are to go through.
local counts = { "count", "len", "size", "buflen", "nbytes" }
--- Calls that move bytes without a buffer of the program's.
local movers = { sendfile = "count", sendfile64 = "count", copy_file_range = "len", splice = "len", tee = "len" }

local function count_argument(row)
  if movers[row.name] then return row.index[movers[row.name]] end
  if not predicates.data_argument(row) or row.index.flags and row.name == "recvmsg" then return nil end
  if not row.returns.signed or row.returns.role then return nil end
  for _, name in ipairs(counts) do
    if row.index[name] then return row.index[name] end
  end
end

function M.fits(row)
  return count_argument(row) ~= nil or row.index.iov ~= nil and row.index.iovcnt ~= nil or row.name == "sendmsg"
end

M.fits_what = "a number of bytes to go through (read, write, send, recv, readv, sendfile and their like)"

function M.parse(outcome)
  local takes = "a number of bytes, a fraction such as 0.5, or a range such as \"1..10\""
  if outcome == nil then return {} end
  if type(outcome) == "number" and outcome > 0 then
    if outcome < 1 then return { fraction = outcome } end
    if outcome % 1 == 0 then return { min = outcome, max = outcome } end
  elseif type(outcome) == "string" then
    local min, max = value_test.range(outcome)
    if min and min > 0 and min < 1 and min == max then return { fraction = min } end
    if min and min >= 1 and max < math.huge then return { min = min, max = max } end
  end
  return nil, takes
end

--- The vector as the program gave it: addresses and lengths, bounded as the kernel bounds them.
local function read_vector(call, address, count)
  local wide = call.arch.pointer_size == 8
  local size = wide and 16 or 8
  count = math.min(count, 1024)
  local bytes = call.memory:read(address, count * size)
  if not bytes or #bytes < size then return nil end
  local words = ffi.cast(wide and "const uint64_t *" or "const uint32_t *", bytes)
  local list, total = {}, 0
  for i = 0, math.floor(#bytes / size) - 1 do
    local length = tonumber(words[2 * i + 1])
    list[#list + 1] = { words[2 * i], length }
    total = total + length
  end
  return list, total
end

--- Puts a vector of no more than `limit` bytes into scratch memory; its address and number of elements.
local function write_vector(call, list, limit)
  local wide = call.arch.pointer_size == 8
  local short = {}
  for _, element in ipairs(list) do
    if limit <= 0 then break end
    local length = math.min(element[2], limit)
    short[#short + 1] = { element[1], length }
    limit = limit - length
  end
  local words = ffi.new(wide and "uint64_t[?]" or "uint32_t[?]", 2 * #short)
  for i, element in ipairs(short) do words[2 * i - 2], words[2 * i - 1] = element[1], element[2] end
  local bytes = ffi.string(words, #short * (wide and 16 or 8))
  local address = call.memory:alloc(#bytes)
  if not address or not call.memory:write(address, bytes) then return nil end
  return address, #short
end

--- Where the vector of a message is: address and count, and where they stand in the struct.
local function message_vector(call)
  local wide = call.arch.pointer_size == 8
  local address = call.raw[call.row.index.msg]
  local bytes = call.memory:read(address, wide and 56 or 28)
  if not bytes or #bytes < (wide and 56 or 28) then return nil end
  local words = ffi.cast(wide and "const uint64_t *" or "const uint32_t *", bytes)
  return { bytes = bytes, address = words[2], count = tonumber(words[3]), wide = wide }
end

--- How many bytes the call asks for; nil when that cannot be told.
local function asked(call)
  local row = call.row
  local at = count_argument(row)
  if at then
    -- As much as there is, for some: copy_file_range with a length of 2^63 - 1.
    local count = tonumber(call.raw[at])
    return count < 0 and 0 or count
  end
  local list, total
  if row.index.iov then
    list, total = read_vector(call, call.raw[row.index.iov], tonumber(call.raw[row.index.iovcnt]))
  elseif row.index.msg then
    local message = message_vector(call)
    if message then list, total = read_vector(call, message.address, message.count) end
  end
  return total, list
end

M.asked = asked

--- How many are to go through; nil when there is nothing to shorten.
function M.draw(rule, call)
  local total = asked(call)
  if not total or total < 2 then return nil end
  local value = rule.value
  local limit
  if value.fraction then
    limit = math.max(1, math.floor(total * value.fraction))
  elseif value.min then
    limit = value.min == value.max and value.min or rule.random(value.min, value.max)
  else
    limit = rule.random(1, total - 1)
  end
  return limit < total and limit or nil
end

function M.recall(text) return tonumber(text) end

function M.enter(_, call, limit)
  local row = call.row
  rawset(call, "tampered_args", true)
  local at = count_argument(row)
  if at then return call:set_raw(at, limit) end
  local _, list = asked(call)
  local address, count = write_vector(call, list or {}, limit)
  if not address then return end
  if row.index.iov then
    call:set_raw(row.index.iov, address)
    return call:set_raw(row.index.iovcnt, count)
  end
  local message = message_vector(call)
  local words = ffi.new(message.wide and "uint64_t[7]" or "uint32_t[7]")
  ffi.copy(words, message.bytes, #message.bytes)
  words[2], words[3] = address, count
  local bytes = ffi.string(words, #message.bytes)
  local copy = call.memory:alloc(#bytes)
  if not copy or not call.memory:write(copy, bytes) then return end
  local original = call.raw[row.index.msg]
  call:set_raw(row.index.msg, copy)
  if row.name ~= "recvmsg" or not call:run() then return end
  -- The lengths of name and control data, and the flags, are the kernel's.
  local told = call.memory:read(copy, #bytes)
  if not told or #told ~= #bytes then return end
  ffi.copy(words, told, #told)
  local was = ffi.cast(message.wide and "const uint64_t *" or "const uint32_t *", message.bytes)
  words[2], words[3] = was[2], was[3]
  call.memory:write(original, ffi.string(words, #bytes))
end

return M
