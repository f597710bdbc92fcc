--- Calls that watch, filter and ring: ptrace, seccomp, perf, bpf, io_uring, aio, userfaultfd.

local bit = require "bit"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero, fd, pid = t.i32, t.fd, t.pid

-- --- ptrace(2) ------------------------------------------------------------------------------------------------------

local P = require("luatrace.constants").enums.ptrace_request.by_name
local function request(call) return t.load.i32(nil, call.raw[1]) end
local regset = t.enum("regset_type", { of = t.ulong, comment = "NT_???" })
local word_out = t.ptr_out(t.cell(t.xlong))
local iovec = t.struct { { "iov_base", t.address }, { "iov_len", t.size } }

--- Offsets in struct user: registers by name.
local user_registers = { [64] = {}, [32] = {} }
local function name_registers(bits, names)
  local place = 0
  for name in names:gmatch "%S+" do
    user_registers[bits][place * bits / 8] = ("%d*%s"):format(bits / 8, name)
    place = place + 1
  end
end
name_registers(64, [[R15 R14 R13 R12 RBP RBX R11 R10 R9 R8 RAX RCX RDX RSI RDI ORIG_RAX RIP CS EFLAGS RSP SS FS_BASE
  GS_BASE DS ES FS GS]])
name_registers(32, "EBX ECX EDX ESI EDI EBP EAX XDS XES XFS XGS ORIG_EAX EIP XCS EFL UESP XSS")
local user_area = setmetatable({ text = function(out, call, value)
  out:put(user_registers[call.arch.bits][value] or t.hex(value))
end }, { __index = t.xlong })

local ignore_address = {}
local addresses, datas = {}, {}
local function on(names, address, data)
  for name in names:gmatch "%S+" do
    local number = P[name]
    if number then addresses[number], datas[number] = address, data end
  end
end
on("PTRACE_TRACEME", false, false)
on("PTRACE_PEEKTEXT PTRACE_PEEKDATA", t.xlong, word_out)
on("PTRACE_POKETEXT PTRACE_POKEDATA", t.xlong, t.xlong)
on("PTRACE_PEEKUSER", user_area, word_out)
on("PTRACE_POKEUSER", user_area, t.xlong)
on("PTRACE_GETREGS PTRACE_SETREGS PTRACE_GETFPREGS PTRACE_SETFPREGS PTRACE_GETFPXREGS PTRACE_SETFPXREGS", false,
  t.address)
on("PTRACE_LISTEN", false, false)
on("PTRACE_CONT PTRACE_SINGLESTEP PTRACE_SYSCALL PTRACE_DETACH PTRACE_SYSEMU PTRACE_SYSEMU_SINGLESTEP",
  t.address, t.signal)
on("PTRACE_KILL PTRACE_ATTACH PTRACE_INTERRUPT", false, false)
on("PTRACE_SEIZE PTRACE_SETOPTIONS", t.address, t.flags("ptrace_options", { of = t.ulong,
  comment = "PTRACE_O_???" }))
on("PTRACE_GETEVENTMSG", t.address, t.ptr_out(t.cell(t.ulong)))
on("PTRACE_GETSIGINFO", t.address, t.ptr_out(structs.siginfo))
on("PTRACE_SETSIGINFO", t.address, t.ptr_in(structs.siginfo))
on("PTRACE_GETREGSET PTRACE_SETREGSET", regset, t.ptr_in(iovec))
on("PTRACE_PEEKSIGINFO", t.ptr_in(structs.ptrace_peeksiginfo_args), t.address)
on("PTRACE_GETSIGMASK", t.ulong, t.ptr_out(t.sigset "addr"))
on("PTRACE_SETSIGMASK", t.ulong, t.ptr_in(t.sigset "addr"))
on("PTRACE_GET_SYSCALL_INFO", t.ulong, t.address)
on("PTRACE_SECCOMP_GET_FILTER", t.ulong, t.address)
for number, argument in pairs(addresses) do ignore_address[number] = argument == false or nil end

-- --- seccomp(2) -----------------------------------------------------------------------------------------------------

local seccomp_args = { [1] = t.ptr_in(structs.sock_fprog),
  [2] = t.ptr_in(t.cell(t.enum("seccomp_action", { of = t.u32, comment = "SECCOMP_RET_???" }))),
  [3] = t.ptr_out(structs.seccomp_notif_sizes) }
local function seccomp_op(call) return t.load.i32(nil, call.raw[1]) end

-- --- io_uring -------------------------------------------------------------------------------------------------------

local register_op = t.enum("uring_register_op", { of = t.u32, comment = "IORING_REGISTER_???" })
local register_args = {
  [0] = t.ptr_in(t.array(iovec, "nr_args")), [2] = t.ptr_in(t.array(fd, "nr_args")), [4] = t.ptr_in(t.array(fd, 1)),
  [7] = t.ptr_in(t.array(fd, 1)),
}

local timespec = t.ptr_in(structs.timespec)
local iocbs = t.ptr_in(t.array(t.ptr_in(structs.iocb), "nr"))
local events = t.ptr_out(t.array(structs.io_event, "ret"))

return {
  ptrace = { returns = t.long,
    { "op", t.enum("ptrace_request", { comment = "PTRACE_???" }) },
    { "pid", pid, when = function(call) return request(call) ~= 0 end },
    { "addr", t.by(function(call) return addresses[request(call)] or t.xlong end),
      when = function(call) return not ignore_address[request(call)] end },
    { "data", t.by(function(call) return datas[request(call)] or t.xlong end, true),
      when = function(call) return datas[request(call)] ~= false end } },

  seccomp = { returns = t.by(function(call)
    return seccomp_op(call) == 1 and bit.band(t.load.i32(nil, call.raw[2]), 8) ~= 0 and fd or t.i32
  end), { "operation", t.enum("seccomp_op", { of = t.u32, comment = "SECCOMP_SET_MODE_???" }) },
    { "flags", t.by(function(call)
      return seccomp_op(call) == 1 and t.flags("seccomp_filter_flags", { comment = "SECCOMP_FILTER_FLAG_???" }) or t.x32
    end) }, { "args", t.by(function(call) return seccomp_args[seccomp_op(call)] or t.address end, true) } },

  perf_event_open = { returns = fd, classes = "desc", { "attr", t.ptr_in(structs.perf_event_attr) },
    { "pid", t.pid_number },
    { "cpu", t.i32 }, { "group_fd", fd },
    { "flags", t.flags("perf_event_open_flags", { of = t.ulong, comment = "PERF_FLAG_???" }) } },

  bpf = { returns = t.i32, classes = "desc", { "cmd", t.enum("bpf_cmd", { comment = "BPF_???" }) },
    { "attr", t.by(function(call)
      local attr = structs.bpf_attr[t.load.i32(nil, call.raw[1])]
      return attr and t.ptr_in(attr) or t.address
    end) }, { "size", t.u32 } },

  io_uring_setup = { returns = fd, classes = "desc", { "entries", t.u32 },
    { "p", t.ptr_when(structs.io_uring_params, function() return true end) } },
  io_uring_enter = { returns = t.i32, classes = "desc signal",
    { "fd", fd }, { "to_submit", t.u32 }, { "min_complete", t.u32 },
    { "flags", t.flags("uring_enter_flags", { comment = "IORING_ENTER_???" }) },
    { "sig", t.ptr_in(t.sigset "sz") }, { "sz", t.size } },
  io_uring_register = { returns = t.i32, classes = "desc memory", { "fd", fd }, { "opcode", register_op },
    { "arg", t.by(function(call) return register_args[t.load.i32(nil, call.raw[2])] or t.address end) },
    { "nr_args", t.u32 } },

  io_setup = { returns = zero, classes = "memory",
    { "nr_events", t.u32 }, { "ctx_idp", t.ptr_out(t.cell(t.address)) } },
  io_destroy = { returns = zero, classes = "memory", { "ctx_id", t.address } },
  io_submit = { returns = t.i32, { "ctx_id", t.address }, { "nr", t.long }, { "iocbpp", iocbs } },
  io_cancel = { returns = zero, { "ctx_id", t.address }, { "iocb", t.ptr_in(structs.iocb) },
    { "result", t.ptr_out(structs.io_event) } },
  io_getevents = { returns = t.i32, { "ctx_id", t.address }, { "min_nr", t.long }, { "nr", t.long },
    { "events", events }, { "timeout", timespec } },
  io_pgetevents = { returns = t.i32, { "ctx_id", t.address }, { "min_nr", t.long }, { "nr", t.long },
    { "events", events }, { "timeout", timespec }, { "usig", t.ptr_in(structs.aio_sigset) } },

  userfaultfd = { returns = fd, classes = "desc",
    { "flags", t.flags("userfaultfd_flags", { comment = "UFFD_???" }) } },
}
