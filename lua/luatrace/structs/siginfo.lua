--- siginfo_t: what a signal brings along; which fields count depends on the signal and on its code (sigaction(2)).

local ffi = require "ffi"
local constants = require "luatrace.constants"
local style = require "luatrace.text.style"
local t = require "luatrace.types"
local f = require "luatrace.structs.fields"

local SIZE = 128

local code_sets = {
  SIGILL = "si_code_sigill", SIGFPE = "si_code_sigfpe", SIGSEGV = "si_code_sigsegv", SIGBUS = "si_code_sigbus",
  SIGTRAP = "si_code_sigtrap", SIGCHLD = "si_code_sigchld", SIGIO = "si_code_sigpoll", SIGSYS = "si_code_sigsys",
}
local has_address = { SIGILL = true, SIGFPE = true, SIGSEGV = true, SIGBUS = true }

local SI_TIMER, CLD_EXITED, SI_KERNEL = -2, 1, 0x80

local function code_text(signal, code)
  local name = constants.enums.si_code.by_value[code]
  if not name and code > 0 and code_sets[signal] then name = constants.enums[code_sets[signal]].by_value[code] end
  return style.constant(code < 0 and t.decimal(code) or t.hex(code), name)
end

--- The fields in the order of the text: { {name, text, plain}, ... }
local function fields(call, bytes)
  local base = ffi.cast("const uint8_t *", bytes)
  local word = call.arch.pointer_size
  local first = word == 8 and 16 or 12
  local function i32(at) return tonumber(ffi.cast("const int32_t *", base + at)[0]) end
  local function pointer(at)
    return word == 8 and ffi.cast("const uint64_t *", base + at)[0] or ffi.cast("const uint32_t *", base + at)[0]
  end
  local list = {}
  local function add(name, text, plain) list[#list + 1] = { name, text, plain == nil and text or plain } end
  local function add_pid_uid()
    local pid = i32(first)
    add("si_pid", t.pid_string(call, pid), pid)
    local uid = i32(first + 4)
    add("si_uid", tostring(uid == -1 and -1 or uid % 4294967296), uid)
  end
  local function add_value(at)
    local low, wide = i32(at), pointer(at)
    add("si_int", tostring(low), low)
    add("si_ptr", wide == 0 and "NULL" or t.hex(wide))
  end
  local number, code, err = i32(0), i32(8), i32(4)
  local signal = constants.signals.by_value[number]
  add("si_signo", style.constant(tostring(number), signal), signal or number)
  add("si_code", code_text(signal, code))
  if err ~= 0 then add("si_errno", constants.errno.by_value[err] or tostring(err)) end
  if code <= 0 then
    if code == SI_TIMER then
      add("si_timerid", t.hex(i32(first) % 4294967296), i32(first))
      add("si_overrun", tostring(i32(first + 4)), i32(first + 4))
      add_value(first + 8)
    else
      add_pid_uid()
      if code ~= 0 and code ~= -6 and pointer(first + 8) ~= 0 then add_value(first + 8) end
    end
  elseif code == SI_KERNEL and not has_address[signal] then
    if i32(first) ~= 0 or i32(first + 4) ~= 0 then add_pid_uid() end
  elseif signal == "SIGCHLD" then
    add_pid_uid()
    local status = i32(first + 8)
    add("si_status", style.constant(tostring(status), code ~= CLD_EXITED and constants.signals.by_value[status] or nil))
    local function long(at)
      local ticks = word == 8 and ffi.cast("const uint64_t *", base + at)[0] or ffi.cast("uint64_t", i32(at))
      if ticks == 0 then return "0" end
      return ("%s /* %.2f s */"):format(t.decimal(ticks), tonumber(ticks) / 100)
    end
    local times = word == 8 and first + 16 or first + 12
    add("si_utime", long(times))
    add("si_stime", long(times + word))
  elseif has_address[signal] then
    local address = pointer(first)
    add("si_addr", address == 0 and "NULL" or t.hex(address))
    if signal == "SIGSEGV" and code == 3 then
      add("si_lower", t.hex(pointer(first + word * 2)))
      add("si_upper", t.hex(pointer(first + word * 3)))
    elseif signal == "SIGSEGV" and code == 4 then
      add("si_pkey", tostring(i32(first + word * 2)))
    end
  elseif signal == "SIGIO" then
    local band = word == 8 and ffi.cast("const int64_t *", base + first)[0] or i32(first)
    local name = constants.enums.si_code_sigpoll.by_value[code]
    add("si_band", t.decimal(band))
    if name then add("si_fd", tostring(i32(first + word)), i32(first + word)) end
  elseif signal == "SIGSYS" then
    local address, nr, audit = pointer(first), i32(first + word), i32(first + word + 4) % 4294967296
    add("si_call_addr", address == 0 and "NULL" or t.hex(address))
    local arch = call.arch.bits == 32 and "i386" or "x86_64"
    local name = constants.numbers[arch].by_value[nr]
    add("si_syscall", style.constant(tostring(nr), name and "__NR_" .. name))
    add("si_arch", style.constant(t.hex(audit), constants.enums.audit_arch.by_value[audit]))
  else
    if i32(first) ~= 0 or i32(first + 4) ~= 0 then add_pid_uid() end
    if pointer(first + 8) ~= 0 then add_value(first + 8) end
  end
  return list
end

local View = {}
View.__index = function(view, key)
  for _, field in ipairs(fields(rawget(view, "call"), rawget(view, "bytes"))) do
    if field[1] == key then return field[3] end
  end
end

--- A pointee.
local siginfo = f.record(SIZE, function(out, call, bytes)
  if bytes:sub(1, 4) == "\0\0\0\0" then return out:put("{}") end
  out:put("{")
  for i, field in ipairs(fields(call, bytes)) do
    if i > 1 then out:put(", ") end
    out:put(field[1], "=", field[2])
  end
  out:put("}")
end, function(call, bytes)
  local result = {}
  for _, field in ipairs(fields(call, bytes)) do result[field[1]] = field[3] end
  return result
end)
siginfo.value = function(call, bytes) return setmetatable({ call = call, bytes = bytes }, View) end

return siginfo
