--- Times in a program's memory: which of the kernel's structs a call uses, and back and forth.
--
--   layout.of(call, "timespec")                 -- { size = 16, ... }: 64-bit, or a call of the *_time64 kind
--   local seconds, nanoseconds = layout.of(call, "timeval"):read(call, address)

local bit = require "bit"
local ffi = require "ffi"

local M = {}

--- One time of two words: seconds, and a fraction in so many nanoseconds.
---@class luatrace.TimeLayout
---@field size integer bytes of one time
local Layout = {}
Layout.__index = Layout

local function new(word, unit)
  local ctype = word == 8 and "int64_t[?]" or "int32_t[?]"
  return setmetatable({ size = 2 * word, word = word, unit = unit, most = 1e9 / unit, ctype = ffi.typeof(ctype),
    pointer = ffi.typeof(word == 8 and "const int64_t *" or "const int32_t *") }, Layout)
end

local layouts = {
  timespec = { [4] = new(4, 1), [8] = new(8, 1) },
  timeval = { [4] = new(4, 1000), [8] = new(8, 1000) },
}

--- Words of eight bytes in 64-bit programs, and in the newer calls of 32-bit ones.
---@param call luatrace.Call
---@param kind "timespec"|"timeval"
---@return luatrace.TimeLayout
function M.of(call, kind)
  local is_wide = call.arch.bits == 64 or call.name:find("64$") ~= nil
  return layouts[kind][is_wide and 8 or 4]
end

--- Times one behind the other, in nanoseconds since their zero as far as doubles carry, and apart.
---@param count integer
---@return { [1]: number, [2]: number }[]|nil pairs of seconds and nanoseconds; nil when unreadable
function Layout:read_all(call, address, count)
  local bytes = call.memory:read(address, self.size * count)
  if not bytes or #bytes < self.size * count then return nil end
  local words = ffi.cast(self.pointer, bytes)
  local times = {}
  for i = 1, count do
    times[i] = { tonumber(words[2 * i - 2]), tonumber(words[2 * i - 1]) * self.unit }
  end
  return times
end

--- Is it a time that the kernel takes? What is not is passed on, for the kernel to refuse.
function Layout.is_valid(_, time)
  return time[1] >= 0 and time[2] >= 0 and time[2] < 1e9
end

--- As bytes; 32-bit seconds wrap around, as they do in 2038.
---@param times { [1]: number, [2]: number }[]
---@return string
function Layout:pack(times)
  local words = self.ctype(2 * #times)
  for i = 1, #times do
    local seconds = times[i][1]
    words[2 * i - 2] = self.word == 4 and bit.tobit(seconds % 4294967296) or seconds
    words[2 * i - 1] = math.floor(times[i][2] / self.unit)
  end
  return ffi.string(words, self.size * #times)
end

--- Like pack, but never earlier: for what is waited for.
function Layout:pack_up(times)
  local rounded = {}
  for i = 1, #times do
    local seconds, nanoseconds = times[i][1], math.ceil(times[i][2] / self.unit) * self.unit
    if nanoseconds >= 1e9 then seconds, nanoseconds = seconds + 1, nanoseconds - 1e9 end
    rounded[i] = { seconds, nanoseconds }
  end
  return self:pack(rounded)
end

--- Seconds and nanoseconds of a length of time.
---@param nanoseconds number
---@return { [1]: number, [2]: number }
function M.split(nanoseconds)
  local seconds = math.floor(nanoseconds / 1e9)
  return { seconds, math.min(math.floor(nanoseconds - seconds * 1e9 + 0.5), 999999999) }
end

--- The length of time that a pair stands for, in nanoseconds.
function M.joined(time) return time[1] * 1e9 + time[2] end

return M
