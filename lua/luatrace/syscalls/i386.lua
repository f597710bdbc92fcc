--- Calls that only 32-bit programs have, and those whose arguments they pass otherwise: 64-bit numbers come in two
-- registers there.

local t = require "luatrace.types"
local structs = require "luatrace.structs"
local datagram = require "luatrace.structs.datagram"
local file = require "luatrace.syscalls.file"
local fd_rows = require "luatrace.syscalls.fd"
local memory = require "luatrace.syscalls.memory"
local shallow = require "luatrace.shallow"

local zero, fd, path = t.i32, t.fd, t.path

--- Low word here, high word in the next register.
local function low(index) return t.pair(index) end
local high = t.hidden(t.u32)
local never = function() return false end

--- The same arguments under another name; the row may have been checked already.
local function arguments(row)
  local copy = shallow.copy(row)
  copy.name, copy.index = nil, nil
  if type(row.classes) == "table" then
    local names = {}
    for class in pairs(row.classes) do names[#names + 1] = class end
    copy.classes = table.concat(names, " ")
  end
  for i = 1, #row do
    local argument = row[i]
    copy[i] = { argument.name or argument[1], argument.type or argument[2], when = argument.when,
      label = argument.label }
  end
  return copy
end

--- The offset is in pages; strace, and a script, see bytes.
local mmap2 = arguments(memory.mmap)
local PAGE = 4096
mmap2[6] = { "offset", setmetatable({
  load = function(call, raw) return t.load.u32(call, raw) * PAGE end,
  encode = function(_, value, what)
    if type(value) ~= "number" or value % PAGE ~= 0 then error(what .. " takes a multiple of 4096", 0) end
    return value / PAGE
  end,
}, { __index = t.xlong }) }

--- clone has tls before child_tid here.
local clone = arguments(require("luatrace.syscalls.process").clone)
clone[4], clone[5] = clone[5], clone[4]

--- socketcall's registers are a number and where the real arguments are: as many words as that call takes.
local socketcall_counts = { 3, 3, 3, 2, 3, 3, 3, 4, 4, 4, 6, 6, 2, 5, 5, 3, 3, 4, 5, 4 }
local socketcall_words = {}
for _, count in ipairs(socketcall_counts) do socketcall_words[count] = t.ptr_in(t.array(t.xlong, count)) end
local function socketcall_args(call)
  return socketcall_words[socketcall_counts[t.load.u32(nil, call.raw[1])] or 0] or t.address
end

local message_flags = t.flags("msg_flags", { comment = "MSG_???" })

return {
  mmap2 = mmap2,
  clone = clone,
  stat64 = { returns = zero, classes = "stat %stat", { "pathname", path }, { "statbuf", t.ptr_out(structs.stat64) } },
  lstat64 = { returns = zero, classes = "lstat %stat", { "pathname", path }, { "statbuf", t.ptr_out(structs.stat64) } },
  fstat64 = { returns = zero, classes = "fstat %stat", { "fd", fd }, { "statbuf", t.ptr_out(structs.stat64) } },
  fstatat64 = { returns = zero, classes = "fstat %stat", { "dirfd", t.dirfd }, { "pathname", t.path_at "dirfd" },
    { "statbuf", t.ptr_out(structs.stat64) }, { "flags", file.newfstatat[4].type or file.newfstatat[4][2] } },
  fcntl64 = arguments(fd_rows.fcntl),
  _llseek = { returns = zero, { "fd", fd }, { "offset_high", t.u32, when = never },
    { "offset_low", t.pair_high_low(2) }, { "result", t.ptr_out(t.cell(t.i64)) },
    { "whence", t.enum("whence", { comment = "SEEK_???" }) } },
  pread64 = { returns = t.count, { "fd", fd }, { "buf", t.ptr_out(t.bytes("count", "ret")) }, { "count", t.size },
    { "offset", low(4) }, { "offset_high", high, when = never } },
  pwrite64 = { returns = t.count, { "fd", fd }, { "buf", t.ptr_in(t.bytes "count") }, { "count", t.size },
    { "offset", low(4) }, { "offset_high", high, when = never } },
  ftruncate64 = { returns = zero, { "fd", fd }, { "length", low(2) }, { "length_high", high, when = never } },
  truncate64 = { returns = zero, { "path", path }, { "length", low(2) }, { "length_high", high, when = never } },
  getuid32 = { returns = t.i32, classes = "creds pure" }, geteuid32 = { returns = t.i32, classes = "creds pure" },
  getgid32 = { returns = t.i32, classes = "creds pure" }, getegid32 = { returns = t.i32, classes = "creds pure" },
  clock_gettime64 = { returns = zero, classes = "clock", { "clockid", t.enum "clock_id" },
    { "tp", t.ptr_out(structs.timespec64) } },
  clock_nanosleep_time64 = { returns = zero, { "clockid", t.enum "clock_id" }, { "flags", t.flags "timer_flags" },
    { "request", t.ptr_in(structs.timespec64) }, { "remain", t.address } },
  waitpid = { returns = t.pid_number, classes = "process", { "pid", t.pid }, { "wstatus", t.ptr_out(t.wait_status) },
    { "options", t.flags("wait4_options", { comment = "W???" }) } },
  socketcall = { returns = t.long, classes = "network desc",
    { "call", t.enum("socketcall", { style = "decimal" }) }, { "args", t.by(socketcall_args) } },
  send = { returns = t.count, classes = "network desc", { "sockfd", t.fd_socket },
    { "buf", t.ptr_in(datagram.bytes "len") },
    { "len", t.size }, { "flags", message_flags } },
  recv = { returns = t.count, classes = "network desc", { "sockfd", t.fd_socket },
    { "buf", t.ptr_out(datagram.bytes("len", "ret")) }, { "len", t.size }, { "flags", message_flags } },
  ugetrlimit = { returns = zero, { "resource", t.enum "rlimit_resource" }, { "rlim", t.ptr_out(structs.rlimit) } },
  futex_time64 = arguments(require("luatrace.syscalls.process").futex),
  sigreturn = { returns = t.long, classes = "signal", { "frame", t.old_signal_frame } },
}
