--- Fuzzes a program through what it reads: now and then a byte of a read buffer is changed. The same --seed changes
-- the same bytes, so that a crash can be replayed.
--
-- Usage: luatrace [--seed=N] examples/fuzz-read.lua [CHANCE [PATTERN]] -- COMMAND
--   CHANCE   of each byte to be changed (default 0.01)
--   PATTERN  only files whose path matches this Lua pattern (default: all but shared libraries, which the loader reads)
--
-- Captured output:
--
--   $ luatrace --seed=7 examples/fuzz-read.lua 0.05 greet -- cat greet.h | cat -v
--   voiM-6 ^Lreet(const charM-**who);
--   3 bytes changed in 1 reads (--seed=7)
--   $ luatrace --seed=7 examples/fuzz-read.lua 0.05 greet -- cat greet.h | cat -v
--   voiM-6 ^Lreet(const charM-**who);
--   3 bytes changed in 1 reads (--seed=7)
--   $ luatrace --seed=8 examples/fuzz-read.lua 0.05 greet -- cat greet.h | cat -v
--   void greet(const cM-nar *who);
--   1 bytes changed in 1 reads (--seed=8)

local chance = tonumber(arg[1] or 0.01)
local pattern = arg[2]
local changed, reads = 0, 0

--- Changes each byte with the given chance. Draws one number a byte: the sequence depends on nothing but the seed and
-- how much was read.
local function mutate(bytes)
  return (bytes:gsub(".", function(byte)
    if random() >= chance then return nil end
    changed = changed + 1
    return string.char((byte:byte() + random(1, 255)) % 256)
  end))
end

local function wanted(path)
  if pattern then return path:find(pattern) ~= nil end
  return not path:find("%.so")
end

on["read,pread64"](function(call)
  local path = call.fd.path or ""
  local count = call:run()
  if not count or count == 0 or not wanted(path) then return end
  reads = reads + 1
  call.buf = mutate(call.buf)
end)

-- These copy without passing through the program's memory; programs fall back to read and write.
on["copy_file_range,sendfile,splice"](function(call) call:fail "EINVAL" end)

at.finish(function(run)
  io.stderr:write(("%d bytes changed in %d reads (--seed=%s%s)\n"):format(changed, reads, tostring(script.seed),
    run.signal and (", killed by signal %d"):format(run.signal) or ""))
end)
