--- The getrandom mock: the kernel's random bytes are made from a seed, the same in every run.
--
--   getrandom { seed = 42 }
--   getrandom {}                 -- --seed
--
-- That is what getrandom(2) and reading /dev/urandom, /dev/random and /proc/sys/kernel/random/uuid give, and what each
-- program finds at its start (AT_RANDOM: C libraries make their stack guards of it). Each thread has a sequence of its
-- own, that depends on its place in the tree of processes and not on who asks first. The processor's own random
-- numbers (RDRAND), addresses, times and process ids are not the kernel's to give here: see `clock`, `getpid` and
-- setarch -R.

local bit = require "bit"
local ffi = require "ffi"
local mock = require "luatrace.mock"
local random = require "luatrace.random"
local sys = require "luatrace.sys"

local M = {}

local AT_RANDOM, AT_RANDOM_SIZE = 25, 16

--- A number for a text: FNV-1a.
local function hash(text)
  local value = 2166136261
  for i = 1, #text do
    value = bit.bxor(bit.tobit(value), text:byte(i))
    -- times 16777619, in pieces that a double holds
    local low, high = bit.band(value, 0xffff), bit.rshift(value, 16)
    value = bit.tobit((low * 16777619 + (high * 16777619 % 65536) * 65536) % 4294967296)
  end
  return bit.band(value, 0x7fffffff)
end

--- As many bytes from a sequence.
local function bytes_of(draw, count)
  local buffer = ffi.new("uint8_t[?]", count + 1)
  for i = 0, count - 1, 2 do
    local both = draw(0, 65535)
    buffer[i], buffer[i + 1] = both % 256, math.floor(both / 256)
  end
  return ffi.string(buffer, count)
end

--- A random UUID (RFC 4122, 4.4) in the text that the kernel gives.
local function uuid(draw)
  local hex = bytes_of(draw, 16):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
  return ("%s-%s-4%s-%x%s-%s\n"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16),
    8 + tonumber(hex:sub(17, 17), 16) % 4, hex:sub(18, 20), hex:sub(21, 32))
end

local devices = { ["/dev/urandom"] = true, ["/dev/random"] = true }
local UUID = "/proc/sys/kernel/random/uuid"

--- Where a program finds its random bytes: from its auxiliary vector (getauxval(3)).
local function at_random_address(pid, word)
  local vector = sys.read_file(("/proc/%d/auxv"):format(pid))
  if not vector then return nil end
  local words = ffi.cast(word == 8 and "const uint64_t *" or "const uint32_t *", vector)
  for i = 0, #vector / word - 2, 2 do
    if words[i] == AT_RANDOM then return tonumber(words[i + 1]) end
  end
end

---@param context luatrace.MockContext
function M.new(context)
  local is_on
  ---@param options { seed: integer? }
  return function(options)
    mock.check_fields("getrandom", options, { seed = "number" })
    local seed = options.seed or context.seed
    if seed % 1 ~= 0 then mock.misuse(("getrandom: seed = %s: it takes a whole number"):format(seed)) end
    if is_on then mock.misuse("getrandom: there is a seed already") end
    is_on = true
    if not options.seed then context.registry.random_used = true end

    local function draw_of(thread)
      if not thread.getrandom then
        thread.getrandom = random.new(hash(("%.0f %s %d"):format(seed, thread.process.number, thread.ordinal)))
      end
      return thread.getrandom
    end

    -- The kernel says what is allowed; only what it gave is replaced.
    context.on({ "getrandom" }, function(call)
      local got = call:run()
      if got and got > 0 then call.buf = bytes_of(draw_of(call.thread), got) end
    end)
    for argument, calls in pairs { buf = { "read", "pread64" }, iov = { "readv", "preadv", "preadv2" } } do
      context.on(calls, function(call)
        local path = call.fd.path
        if not devices[path] and path ~= UUID then return end
        local got = call:run()
        if not got or got == 0 then return end
        local draw = draw_of(call.thread)
        if path ~= UUID then
          call[argument] = bytes_of(draw, got)
        elseif got == 37 then
          call[argument] = uuid(draw)
        end
      end)
    end
    context.on_image(function(session, stop, thread)
      local address = at_random_address(stop.pid, mock.word_size(stop))
      if address then session.tracer:write(stop.tracee, address, bytes_of(draw_of(thread), AT_RANDOM_SIZE)) end
    end)
  end
end

return M
