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

local SI_USER, SI_TIMER, SI_TKILL, SI_KERNEL, CLD_EXITED, SEGV_BNDERR, SEGV_PKUERR = 0, -2, -6, 0x80, 1, 3, 4

local function code_text(signal, code)
  local name = constants.enums.si_code.by_value[code]
  if not name and code > 0 and code_sets[signal] then name = constants.enums[code_sets[signal]].by_value[code] end
  return style.constant(code < 0 and t.decimal(code) or t.hex(code), name)
end

--- The fields of one siginfo_t, in the order of the text: { {name, text, plain}, ... }
local Fields = {}
Fields.__index = Fields

local function new_fields(call, bytes)
  local word = call.arch.pointer_size
  return setmetatable({ call = call, base = ffi.cast("const uint8_t *", bytes), bytes = bytes, word = word,
    first = word == 8 and 16 or 12 }, Fields)
end

function Fields:i32(at) return tonumber(ffi.cast("const int32_t *", self.base + at)[0]) end

function Fields:u32(at) return self:i32(at) % 4294967296 end

--- An unsigned long, or an address.
function Fields:pointer(at)
  return ffi.cast(self.word == 8 and "const uint64_t *" or "const uint32_t *", self.base + at)[0]
end

function Fields:add(name, text, plain) self[#self + 1] = { name, text, plain == nil and text or plain } end

function Fields:add_pointer(name, at)
  local address = self:pointer(at)
  self:add(name, address == 0 and "NULL" or t.hex(address))
end

--- The sender, where all kinds but faults have it.
function Fields:add_sender()
  local pid, uid = self:i32(self.first), self:i32(self.first + 4)
  self:add("si_pid", t.pid_string(self.call, pid), pid)
  self:add("si_uid", tostring(uid == -1 and -1 or uid % 4294967296), uid)
end

function Fields:has_sender() return self:i32(self.first) ~= 0 or self:i32(self.first + 4) ~= 0 end

--- What sigqueue(3) sends along.
function Fields:add_value(at)
  local low = self:i32(at)
  self:add("si_int", tostring(low), low)
  self:add_pointer("si_ptr", at)
end

--- Sent by a program, or for a timer or queue of its own.
function Fields:add_sent(code)
  local first = self.first
  if code == SI_TIMER then
    self:add("si_timerid", t.hex(self:u32(first)), self:i32(first))
    self:add("si_overrun", tostring(self:i32(first + 4)), self:i32(first + 4))
    return self:add_value(first + 8)
  end
  self:add_sender()
  if code ~= SI_USER and code ~= SI_TKILL and self:pointer(first + 8) ~= 0 then self:add_value(first + 8) end
end

--- Processor time, in clock ticks.
function Fields:add_time(name, at)
  local ticks = self.word == 8 and self:pointer(at) or ffi.cast("uint64_t", self:i32(at))
  self:add(name, ticks == 0 and "0" or ("%s /* %.2f s */"):format(t.decimal(ticks), tonumber(ticks) / 100))
end

function Fields:add_child(code)
  self:add_sender()
  local status = self:i32(self.first + 8)
  self:add("si_status",
    style.constant(tostring(status), code ~= CLD_EXITED and constants.signals.by_value[status] or nil))
  local times = self.first + (self.word == 8 and 16 or 12)
  self:add_time("si_utime", times)
  self:add_time("si_stime", times + self.word)
end

function Fields:add_fault(signal, code)
  local first, word = self.first, self.word
  self:add_pointer("si_addr", first)
  if signal == "SIGSEGV" and code == SEGV_BNDERR then
    self:add("si_lower", t.hex(self:pointer(first + word * 2)))
    self:add("si_upper", t.hex(self:pointer(first + word * 3)))
  elseif signal == "SIGSEGV" and code == SEGV_PKUERR then
    self:add("si_pkey", tostring(self:i32(first + word * 2)))
  end
end

function Fields:add_poll(code)
  local first, word = self.first, self.word
  self:add("si_band", t.decimal(word == 8 and ffi.cast("const int64_t *", self.base + first)[0] or self:i32(first)))
  if constants.enums.si_code_sigpoll.by_value[code] then
    local fd = self:i32(first + word)
    self:add("si_fd", tostring(fd), fd)
  end
end

--- Sent by a seccomp filter.
function Fields:add_trapped_call()
  local first, word = self.first, self.word
  local nr, audit = self:i32(first + word), self:u32(first + word + 4)
  self:add_pointer("si_call_addr", first)
  local arch = self.call.arch.bits == 32 and "i386" or "x86_64"
  local name = constants.numbers[arch].by_value[nr]
  self:add("si_syscall", style.constant(tostring(nr), name and "__NR_" .. name))
  self:add("si_arch", style.constant(t.hex(audit), constants.enums.audit_arch.by_value[audit]))
end

function Fields:add_other()
  if self:has_sender() then self:add_sender() end
  if self:pointer(self.first + 8) ~= 0 then self:add_value(self.first + 8) end
end

local function fields(call, bytes)
  local list = new_fields(call, bytes)
  local number, err, code = list:i32(0), list:i32(4), list:i32(8)
  local signal = constants.signals.by_value[number]
  list:add("si_signo", style.constant(tostring(number), signal), signal or number)
  list:add("si_code", code_text(signal, code))
  if err ~= 0 then list:add("si_errno", constants.errno.by_value[err] or tostring(err)) end
  if code <= 0 then
    list:add_sent(code)
  elseif code == SI_KERNEL and not has_address[signal] then
    if list:has_sender() then list:add_sender() end
  elseif signal == "SIGCHLD" then
    list:add_child(code)
  elseif has_address[signal] then
    list:add_fault(signal, code)
  elseif signal == "SIGIO" then
    list:add_poll(code)
  elseif signal == "SIGSYS" then
    list:add_trapped_call()
  else
    list:add_other()
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
