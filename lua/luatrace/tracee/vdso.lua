--- Hides the vDSO from a program that has just been exec'ed, so that its clocks are read by system calls.
--
-- The dynamic loader finds the vDSO by an entry of the auxiliary vector, which lies on the new stack behind argv and
-- envp (getauxval(3)); that entry becomes AT_IGNORE before the program's first instruction.
--
--   vdso.hide(tracer, stop)      -- at STOP_EXEC

local ffi = require "ffi"
local engine = require "luatrace.engine"

local M = {}

local AT_NULL, AT_IGNORE, AT_SYSINFO, AT_SYSINFO_EHDR = 0, 1, 32, 33

--- argv, envp and the auxiliary vector of a program with the largest argument list are larger than this, but who asks
-- for mocked clocks there?
local MAX_VECTOR = 2 * 1024 * 1024

---@param tracer luatrace.Tracer
---@param stop any a held STOP_EXEC, whose sp points at argc
---@return boolean hidden
function M.hide(tracer, stop)
  local word = engine.arch[stop.arch].pointer_size
  local base = engine.exact(stop.sp)
  local bytes = tracer:read(stop.tracee, base, MAX_VECTOR)
  if not bytes then return false end
  local words = ffi.cast(word == 8 and "const uint64_t *" or "const uint32_t *", bytes)
  local count = math.floor(#bytes / word)
  local at = 1 + tonumber(words[0]) + 1 -- argc, argv, NULL
  while at < count and words[at] ~= 0 do at = at + 1 end
  at = at + 1
  local ignore = word == 8 and "\1\0\0\0\0\0\0\0" or "\1\0\0\0"
  assert(ignore:byte(1) == AT_IGNORE)
  local hidden = false
  while at + 1 < count and words[at] ~= AT_NULL do
    local kind = tonumber(words[at])
    if kind == AT_SYSINFO_EHDR or (kind == AT_SYSINFO and word == 4) then
      tracer:write(stop.tracee, base + at * word, ignore)
      hidden = true
    end
    at = at + 2
  end
  return hidden
end

return M
