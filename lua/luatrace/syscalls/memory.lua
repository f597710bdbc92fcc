--- Address spaces.

local bit = require "bit"
local t = require "luatrace.types"

local address, zero = t.address, t.i32
local prot = t.flags("mmap_prot", { comment = "PROT_???" })
local mmap_flags = t.flags("mmap_flags", { enum = "mmap_type", mask = 0x0f, comment = "MAP_???",
  shifted = { name = "MAP_HUGE_SHIFT", shift = 26, mask = 0x3f } })
local MREMAP_FIXED = 2

return {
  mmap = { returns = t.address, classes = "memory desc", { "addr", address }, { "length", t.size }, { "prot", prot },
    { "flags", mmap_flags }, { "fd", t.fd }, { "offset", t.xlong } },
  munmap = { returns = zero, classes = "memory", { "addr", t.place }, { "length", t.size } },
  mprotect = { returns = zero, classes = "memory", { "addr", t.place }, { "len", t.size }, { "prot", prot } },
  mremap = { returns = t.address, classes = "memory", { "old_address", t.xlong }, { "old_size", t.size },
    { "new_size", t.size }, { "flags", t.flags("mremap_flags", { comment = "MREMAP_???" }) },
    { "new_address", t.xlong, when = function(call)
      return bit.band(t.load.u32(nil, call.raw[4]), MREMAP_FIXED) ~= 0
    end } },
  brk = { returns = t.xlong, classes = "memory", { "addr", address } },
  madvise = { returns = zero, classes = "memory", { "addr", t.place }, { "length", t.size },
    { "advice", t.enum("madvise", { comment = "MADV_???" }) } },
  msync = { returns = zero, classes = "memory", { "addr", t.place }, { "length", t.size },
    { "flags", t.flags("msync_flags", { comment = "MS_???" }) } },
  mlock = { returns = zero, classes = "memory", { "addr", t.place }, { "len", t.size } },
  munlock = { returns = zero, classes = "memory", { "addr", t.place }, { "len", t.size } },
  mlockall = { returns = zero, classes = "memory", { "flags", t.flags("mlockall_flags", { comment = "MCL_???" }) } },
  munlockall = { returns = zero, classes = "memory" },
  membarrier = { returns = t.by(function(call)
    return t.load.i32(nil, call.raw[1]) == 0 and t.x32 or t.i32
  end), comment = function(call, value)
    return t.load.i32(nil, call.raw[1]) == 0 and value ~= 0 and t.flags("membarrier_cmds").string(value) or nil
  end, { "cmd", t.enum("membarrier_cmd", { comment = "MEMBARRIER_CMD_???" }) },
    { "flags", t.flags("membarrier_flags", { comment = "MEMBARRIER_CMD_FLAG_???" }) },
    { "cpu_id", t.i32, when = function(call) return bit.band(t.load.i32(nil, call.raw[2]), 1) ~= 0 end } },
}
