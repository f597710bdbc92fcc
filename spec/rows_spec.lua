--- The rows of all calls: complete, laid out as the compiler lays out, and unmoved by hostile registers and memory.

local buffer = require "string.buffer"
local ffi = require "ffi"
local decode = require "luatrace.decode"
local footprint_ok, footprint = pcall(require, "luatrace.footprint")
local structs = require "luatrace.structs"

local arches = {
  x86_64 = { name = "x86_64", bits = 64, pointer_size = 8 },
  i386 = { name = "i386", bits = 32, pointer_size = 4 },
}

local function sorted_names(arch)
  local names = {}
  for name in pairs(decode.names(arch)) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- A tracee's memory that gives whatever it likes: every address may be mapped, may end early, may hold anything.
local function hostile_memory(random)
  local memory = {}
  local function bytes(n)
    local kind = random(1, 6)
    if kind == 1 then return ("\0"):rep(n) end
    if kind == 2 then return ("\255"):rep(n) end
    local block = {}
    for i = 1, math.min(n, 256) do block[i] = string.char(random(0, kind == 3 and 3 or 255)) end
    local text = table.concat(block)
    return text:rep(math.ceil(n / math.max(1, #text))):sub(1, n)
  end
  memory.largest = 0
  function memory:read(_, n)
    n = tonumber(n)
    assert(n >= 0, "a negative length was read")
    if n > self.largest then self.largest = n end
    local kind = random(1, 5)
    if kind == 1 then return nil, "Bad address", "EFAULT" end
    n = math.min(n, 65536)
    if kind == 2 then n = random(0, n) end
    return bytes(n)
  end
  function memory:cstring(address, max)
    local kind = random(1, 4)
    if kind == 1 then return nil, "Bad address", "EFAULT" end
    local text = bytes(math.min(max or 4096, random(1, 64))):match "^[^%z]*"
    return text, kind == 2, address
  end
  function memory:write() return true end
  function memory:alloc() return 0x1000 end
  return memory
end

--- More of them are tried with ROUNDS=200 busted spec/rows_spec.lua.
local ROUNDS = tonumber(os.getenv "ROUNDS") or 8

local interesting = { 0, 1, 2, 3, 7, 8, 16, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffffLL,
  0x8000000000000000ULL, 0xffffffffffffffffULL, 0xffffffffffffff9cULL, 4096, 0x5401, 0x7ffd00001000 }

local function register(random, arch)
  local value
  local kind = random(1, 3)
  if kind == 1 then
    value = interesting[random(1, #interesting)]
  elseif kind == 2 then
    value = random(0, 300)
  else
    value = ffi.cast("uint64_t", random(0, 2 ^ 31)) * 4294967296ULL + random(0, 2 ^ 31)
  end
  if arch.bits == 32 then value = tonumber(ffi.cast("uint32_t", ffi.cast("uint64_t", value))) end
  if type(value) == "cdata" then
    local number = tonumber(ffi.cast("int64_t", value))
    if number < 2 ^ 53 and number > -2 ^ 53 then return number end
    return ffi.cast("int64_t", value)
  end
  return value
end

local errors = { "EFAULT", "ENOENT", "ERESTARTSYS", "EINTR" }

local function hostile_call(arch, name, random, memory)
  local row = decode.find(arch, name)
  local raw = {}
  for i = 1, 6 do raw[i] = register(random, arches[arch]) end
  local failed = random(1, 3) == 1
  return {
    arch = arches[arch], row = row, raw = raw, phase = "entry", memory = memory, name = name, args = raw,
    failed = false, text_options = random(1, 2) == 1 and { verbose = true, string_limit = random(0, 64) } or nil,
    set_raw = function() end, will_fail = failed, result = failed and -14 or register(random, arches[arch]),
    error_name = errors[random(1, #errors)],
  }
end

local function leave(call)
  call.phase, call.failed, call.raw_ret = "exit", call.will_fail, call.result
  call.errno = call.failed and call.error_name or nil
end

--- Looks at every field of what a script gets.
local function touch(value, call, depth)
  if type(value) ~= "table" or depth > 2 then return end
  local _ = tostring(value)
  for i = 1, math.min(#value, 3) do touch(value[i], call, depth + 1) end
end

describe("rows", function()
  for arch in pairs(arches) do
    it("load, pass the schema and leave no call generic on " .. arch, function()
      local generic = {}
      for _, name in ipairs(sorted_names(arch)) do
        local row = decode.find(arch, name)
        assert.is_table(row.returns, name)
        if row.is_generic then generic[#generic + 1] = name end
      end
      assert.same({}, generic)
    end)

    it("bear any registers and any memory on " .. arch, function()
      local random = math.random
      math.randomseed(20261127)
      local out = buffer.new()
      local failures = {}
      for _, name in ipairs(sorted_names(arch)) do
        for round = 1, ROUNDS do
          local memory = hostile_memory(random)
          local call = hostile_call(arch, name, random, memory)
          local where
          local ok, failure = xpcall(function()
            for _, phase in ipairs { "entry", "exit" } do
              if phase == "exit" then leave(call) end
              where = phase .. " text"
              out:reset()
              decode.text_args(call, out, phase)
              assert(#out < 2 ^ 25, "the text has no bound: " .. #out)
              if phase == "exit" then
                where = "result"
                decode.text_result(call, out)
              end
              for i = 1, #call.row do
                where = ("%s value of %s"):format(phase, call.row[i].name)
                touch(decode.value(call, i), call, 0)
                where = ("%s plain of %s"):format(phase, call.row[i].name)
                decode.plain(call, i)
              end
              where = phase .. " footprint"
              local ranges = footprint_ok and footprint.of(call) or decode.footprint(call)
              for _, range in ipairs(ranges) do assert(tonumber(range.length) >= 0, "a negative range") end
            end
            assert(memory.largest <= 512 * 1024 * 1024, "a read without bound: " .. memory.largest)
          end, debug.traceback)
          if not ok then
            failures[#failures + 1] = ("%s, round %d, %s: %s"):format(name, round, where, failure)
            break
          end
        end
      end
      assert.equal("", table.concat(failures, "\n"))
    end)
  end
end)
