--- Structs of 32-bit programs' oldest calls, and vectors of messages; added to those of structs.lua.

local constants = require "luatrace.constants"
local datagram = require "luatrace.structs.datagram"
local t = require "luatrace.types"

---@param M table structs so far, by name
return function(M)
  local file_mode16 = setmetatable({ size = 2, ctype = "const uint16_t *" }, { __index = t.file_mode })
  --- struct __old_kernel_stat
  M.old_stat = t.struct {
    { "st_dev", t.u16 }, { "st_ino", t.u16 }, { "st_mode", file_mode16 }, { "st_nlink", t.u16 }, { "st_uid", t.u16 },
    { "st_gid", t.u16 }, { "st_rdev", t.u16 }, { "st_size", t.u32 }, { "st_atime", t.u32 }, { "st_mtime", t.u32 },
    { "st_ctime", t.u32 }, brief = { st_mode = true, st_size = true },
  }
  local function utsname(size, last)
    local names = { "sysname", "nodename", "release", "version", "machine" }
    local definition = { brief = { sysname = true, nodename = true } }
    for i, name in ipairs(names) do definition[i] = { name, t.fixed_string(size) } end
    definition[6] = last
    return t.struct(definition)
  end
  M.old_utsname, M.oldold_utsname = utsname(65), utsname(9)

  M.mmap_args = t.struct { { "addr", t.address }, { "len", t.ulong },
    { "prot", t.flags("mmap_prot", { of = t.ulong, comment = "PROT_???" }) },
    { "flags", t.flags("mmap_flags", { enum = "mmap_type", mask = 0x0f, of = t.ulong, comment = "MAP_???" }) },
    { "fd", t.fd }, { "offset", t.xlong } }

  --- select's five arguments in memory.
  M.select_args = t.struct { { "n", t.i32 }, { "inp", t.address }, { "outp", t.address }, { "exp", t.address },
    { "tvp", t.address } }

  M.readdir_entry = t.struct { { "d_ino", t.ulong }, { "d_off", t.ulong }, { "d_reclen", t.u16 },
    { "d_name", t.fixed_string(256) } }

  local special = t.enum("utime_special", { of = t.i64 })
  M.timespec64_utime = t.struct { { "tv_sec", t.i64 }, { "tv_nsec", t.i64 }, text = function(out, call, value)
    if constants.enums.utime_special.by_value[value.tv_nsec] then return special.text(out, call, value.tv_nsec) end
    out:put("{tv_sec=", t.decimal(value.tv_sec), ", tv_nsec=", t.decimal(value.tv_nsec), "}")
    t.put_date(out, value.tv_sec, value.tv_nsec, 9)
  end }

  -- --- vectors of messages -------------------------------------------------------------------------------------------

  local function mmsghdr(received)
    local message = t.msghdr(M.sockaddr, received, datagram.printer)
    local element = t.struct { { "msg_hdr", message }, { "msg_len", t.u32 } }
    local load_from = element.load_from
    function element.load_from(call, at, outer, available)
      local value = load_from(call, at, outer, available)
      --- The length of this message is to it what the call's result is to recvmsg's.
      value.ret = value.msg_len
      return value
    end
    return element
  end
  local sent, got = mmsghdr(false), mmsghdr(true)
  function M.mmsghdr_out(count) return t.array(sent, count) end
  function M.mmsghdr_in(count) return t.array(got, count) end
  M.mmsghdr_sent, M.mmsghdr_got = sent, got
end
