--- A tracee's memory for specs of the decoder: what was put at an address can be read, all else is a hole.
--
--   local memory = fake_memory.new { [0x1000] = "/etc/passwd\0" }
--   memory:cstring(0x1000)             -- "/etc/passwd"
--   memory:read(0x1000, 100)           -- 12 bytes: short at the hole behind them
--   memory:read(0x9000, 4)             -- nil, "Bad address", "EFAULT"
--   memory:write(0x1000, "x")          -- written bytes can be read back; memory.written lists the writes
--
-- Like the real one (event.lua): read, cstring, write, alloc. Scratch memory lies at 0x70000000 and above.

local ffi = require "ffi"

local M = {}

local Memory = {}
Memory.__index = Memory

local SCRATCH = 0x70000000

--- Addresses above 2^53 are holes: no spec needs them as keys.
local function number_of(address)
  local value = type(address) == "number" and address or tonumber(ffi.cast("uint64_t", address))
  return value < 9007199254740992 and value or nil
end

---@param contents table<number, string>|nil bytes by address
function M.new(contents)
  local memory = setmetatable({ bytes = {}, written = {}, reads = 0, next_scratch = SCRATCH }, Memory)
  for address, bytes in pairs(contents or {}) do memory:put(address, bytes) end
  return memory
end

--- Puts bytes there, as the kernel or the program would.
function Memory:put(address, bytes)
  for i = 1, #bytes do self.bytes[address + i - 1] = bytes:byte(i) end
end

---@return string|nil bytes, string? message, string? errno
function Memory:read(address, length)
  self.reads = self.reads + 1
  if length <= 0 then return "" end
  local from, list = number_of(address), {}
  for i = 1, from and math.min(tonumber(length), 1048576) or 0 do
    local byte = self.bytes[from + i - 1]
    if not byte then break end
    list[i] = string.char(byte)
  end
  if #list == 0 then return nil, "Bad address", "EFAULT" end
  return table.concat(list)
end

---@return string|nil bytes, boolean|string truncated
function Memory:cstring(address, max)
  self.reads = self.reads + 1
  local from, list = number_of(address), {}
  max = max or 4096
  while from and #list < max do
    local byte = self.bytes[from + #list]
    if not byte then return nil, "Bad address", "EFAULT" end
    if byte == 0 then return table.concat(list), false end
    list[#list + 1] = string.char(byte)
  end
  if not from then return nil, "Bad address", "EFAULT" end
  return table.concat(list), true
end

function Memory:write(address, bytes)
  local from = number_of(address)
  if not from or from < 4096 then return nil, "Bad address", "EFAULT" end
  self:put(from, bytes)
  self.written[#self.written + 1] = { address = from, bytes = bytes }
  return #bytes
end

function Memory:alloc(length)
  local address = self.next_scratch
  self.next_scratch = address + math.ceil(length / 16) * 16
  return address
end

return M
