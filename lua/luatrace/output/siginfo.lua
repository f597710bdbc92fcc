--- A siginfo_t as strace prints it between "--- SIGCHLD {" and "} ---".
--
--   siginfo.put(out, bytes)      -- 128 bytes, as PTRACE_GETSIGINFO gives them

local ffi = require "ffi"
local constants = require "luatrace.constants"
local types = require "luatrace.types"

local M = {}

--- Codes that mean the same for every signal, and those of one signal.
local own_codes = { SIGILL = "si_code_sigill", SIGFPE = "si_code_sigfpe", SIGSEGV = "si_code_sigsegv",
  SIGBUS = "si_code_sigbus", SIGTRAP = "si_code_sigtrap", SIGCHLD = "si_code_sigchld", SIGIO = "si_code_sigpoll",
  SIGSYS = "si_code_sigsys" }
local faults = { SIGILL = true, SIGFPE = true, SIGSEGV = true, SIGBUS = true, SIGTRAP = true }

local function code_name(signal, code)
  local set = own_codes[signal] and code > 0 and code < 0x80 and constants.enums[own_codes[signal]]
  return set and set.by_value[code] or constants.enums.si_code.by_value[code] or ("%#x"):format(code)
end

local SI_USER, SI_TKILL, SI_QUEUE, SI_TIMER, SI_KERNEL = 0, -6, -1, -2, 0x80

local function status_of(code, status)
  if code == "CLD_EXITED" then return tostring(status) end
  return constants.signals.by_value[status] or tostring(status)
end

---@param out table string.buffer
---@param bytes string
function M.put(out, bytes)
  local int = ffi.cast("const int32_t *", bytes)
  local long = ffi.cast("const uint64_t *", bytes)
  local number, errno, code = int[0], int[1], int[2]
  local signal = constants.signals.by_value[number] or tostring(number)
  local code_text = code_name(signal, code)
  out:put("{si_signo=", signal)
  if errno ~= 0 then out:put(", si_errno=", constants.errno.by_value[errno] or tostring(errno)) end
  out:put(", si_code=", code_text)
  local sent_by_kernel = code == SI_KERNEL and not faults[signal]
  if sent_by_kernel then return out:put("}") end
  if code == SI_USER or code == SI_TKILL then
    out:put((", si_pid=%d, si_uid=%d"):format(int[4], int[5]))
  elseif code == SI_QUEUE then
    out:put((", si_pid=%d, si_uid=%d, si_int=%d, si_ptr=%s"):format(int[4], int[5], int[6],
      long[3] == 0 and "NULL" or types.hex(long[3])))
  elseif code == SI_TIMER then
    out:put((", si_timerid=%s, si_overrun=%d, si_int=%d, si_ptr=%s"):format(types.hex(int[4]), int[5], int[6],
      long[3] == 0 and "NULL" or types.hex(long[3])))
  elseif signal == "SIGCHLD" then
    out:put((", si_pid=%d, si_uid=%d, si_status=%s, si_utime=%s, si_stime=%s"):format(int[4], int[5],
      status_of(code_text, int[6]), types.decimal(long[4]), types.decimal(long[5])))
  elseif faults[signal] then
    out:put(", si_addr=", long[2] == 0 and "NULL" or types.hex(long[2]))
  elseif signal == "SIGIO" then
    out:put((", si_band=%s, si_fd=%d"):format(types.decimal(long[2]), int[6]))
  elseif signal == "SIGSYS" then
    local arch = constants.enums.audit_arch.by_value[tonumber(ffi.cast("uint32_t", int[7]))] or types.hex(int[7])
    local name = constants.numbers.x86_64.by_value[int[6]]
    out:put(", si_call_addr=", types.hex(long[2]), ", si_syscall=", name and "__NR_" .. name or tostring(int[6]),
      ", si_arch=", arch)
  elseif int[4] ~= 0 or int[5] ~= 0 then
    out:put((", si_pid=%d, si_uid=%d"):format(int[4], int[5]))
  end
  out:put("}")
end

return M
