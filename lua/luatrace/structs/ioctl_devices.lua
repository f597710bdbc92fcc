--- More of what ioctl's third argument is (structs/ioctl.lua): page faults in user space, file systems, block devices,
-- loops, random numbers, clocks, KVM, bridges and the interface requests that are no struct of a name and a value.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local ip = require "luatrace.text.ip"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local t = require "luatrace.types"

local hidden = t.hidden

local function always() return true end
--- Printed as the kernel has left it, or as it was given, where the call has failed.
local function both(struct) return t.ptr_when(struct, always) end
local function is_done(_, call) return call.phase == "exit" and not call.failed end

---@param M table structs so far
---@param list table<integer, table|false> of ioctl, so far
return function(M, list)
  local none, address, ulong = false, t.address, t.ulong

  -- --- userfaultfd(2) ----------------------------------------------------------------------------------------------

  local function uffd(set, comment) return t.flags(set, { of = t.u64, comment = comment }) end
  local features = uffd("uffd_features", "UFFD_FEATURE_???")
  --- Bits that are requests: 1<<_UFFDIO_COPY.
  local requests = setmetatable({ text = function(out, _, value)
    local names, parts, left = constants.enums.uffd_requests, {}, ffi.cast("uint64_t", value)
    for i = 1, #names do
      local mask = bit.lshift(1ULL, names[i][2])
      if bit.band(left, mask) ~= 0 then
        parts[#parts + 1] = "1<<" .. names[i][1]
        left = left - mask
      end
    end
    if left ~= 0 then parts[#parts + 1] = t.hex(left) end
    out:put(#parts > 0 and table.concat(parts, "|") or "0")
  end }, { __index = t.u64 })
  local range = t.struct { { "start", t.x64 }, { "len", t.x64 } }
  local api = t.struct { { "api", t.x64 }, { "features", features }, { "ioctls", requests } }
  --- What was asked for is overwritten with what there is: it is taken down before the call.
  function api.at_entry(call, at)
    local asked = at ~= 0 and api.fetch(call, at)
    if asked then rawset(call, "asked_of_userfaultfd", { api = asked.api, features = asked.features }) end
  end
  function api.definition.text(out, call, value)
    local asked = rawget(call, "asked_of_userfaultfd") or value
    local done = is_done(nil, call)
    out:put("{api=", t.hex(asked.api), ", features=")
    features.text(out, call, asked.features)
    if done then
      out:put(" => features=")
      features.text(out, call, value.features)
      out:put(", ioctls=")
      requests.text(out, call, value.ioctls)
    end
    out:put("}")
  end
  list[0xc018aa3f] = both(api)
  list[0xc020aa00] = both(t.struct { { "range", range },
    { "mode", uffd("uffd_register_mode", "UFFDIO_REGISTER_MODE_???") }, { "ioctls", requests, when = is_done } })
  list[0x8010aa01], list[0x8010aa02] = t.ptr_in(range), t.ptr_in(range)
  list[0xc028aa03] = both(t.struct { { "dst", t.x64 }, { "src", t.x64 }, { "len", t.x64 },
    { "mode", uffd("uffd_copy_mode", "UFFDIO_COPY_???") }, { "copy", t.x64, when = is_done } })
  list[0xc020aa04] = both(t.struct { { "range", range }, { "mode", uffd("uffd_zeropage_mode", "UFFDIO_ZEROPAGE_???") },
    { "zeropage", t.x64, when = is_done } })

  -- --- file systems ------------------------------------------------------------------------------------------------

  local function fsxattr(shown)
    return t.struct { { "fsx_xflags", t.flags("fs_xflags", { comment = "FS_XFLAG_???" }) }, { "fsx_extsize", t.u32 },
      { "fsx_nextents", t.u32 }, { "fsx_projid", t.x32 }, { "fsx_cowextsize", t.u32 },
      { "fsx_pad", hidden(t.fixed_bytes(8)) }, shown = shown }
  end
  list[0x801c581f] = t.ptr_out(fsxattr())
  list[0x401c5820] = t.ptr_in(fsxattr { "fsx_xflags", "fsx_extsize", "fsx_projid", "fsx_cowextsize" })
  --- Unlike other strings one shown whole, and only where structs are: -e verbose=.
  local label = setmetatable({ is_bytes = false }, { __index = t.whole_string(256) })
  list[0x81009431], list[0x41009432] = t.ptr_out(t.string_out(256)), t.ptr_in(label)
  list[0xc0045877], list[0xc0045878] = none, none
  list[0xc0185879] = t.ptr_in(t.struct { { "start", t.x64 }, { "len", t.u64 }, { "minlen", t.u64 } })
  local dedupe_info = t.struct { { "dest_fd", t.fd }, { "fd_high", hidden(t.u32) }, { "dest_offset", t.u64 },
    { "bytes_deduped", hidden(t.u64) }, { "status", hidden(t.i32) }, { "reserved", hidden(t.u32) } }
  local dedupe_infos = t.array(dedupe_info, "dest_count")
  local dedupe_size = 24
  list[0xc0189436] = t.ptr_in(t.struct { { "src_offset", t.u64 }, { "src_length", t.u64 }, { "dest_count", t.u16 },
    { "reserved1", hidden(t.u16) }, { "reserved2", hidden(t.u32) }, text = function(out, call, value)
      out:put("{src_offset=", t.decimal(value.src_offset), ", src_length=", t.decimal(value.src_length),
        ", dest_count=", t.decimal(value.dest_count), ", info=")
      local infos = dedupe_infos.fetch(call, value.address + dedupe_size, value)
      if infos then
        dedupe_infos.text(out, call, infos, value)
      else
        out:put(t.hex(value.address + dedupe_size))
      end
      out:put("}")
    end })

  -- --- block devices, loops ----------------------------------------------------------------------------------------

  local u16_out, u32_out, long_out = t.ptr_out(t.cell(t.u16)), t.ptr_out(t.cell(t.u32)), t.ptr_out(t.cell(t.long))
  list[0x1262], list[0x1264], list[0x4c08], list[0x4c09] = ulong, ulong, ulong, ulong
  list[0x1263], list[0x1265], list[0x1267], list[0x127c], list[0x127e] = long_out, long_out, u16_out, u32_out, u16_out
  list[0x40081271] = t.ptr_in(t.cell(t.i32))
  list[0x127f] = list[0x1277]
  list[0x1274], list[0x1275], list[0x1276] = none, none, none
  list[0x1269] = t.ptr_in(t.struct { { "op", t.enum("blkpg_op", { comment = "BLKPG_???" }) }, { "flags", t.i32 },
    { "datalen", t.i32 }, { "data", t.address } })
  list[0xc0481273] = both(t.struct { { "name", t.fixed_string(32), when = is_done }, { "act_mask", t.u16 },
    { "buf_size", t.u32 }, { "buf_nr", t.u32 }, { "start_lba", t.u64 }, { "end_lba", t.u64 }, { "pid", t.u32 },
    shown = { "act_mask", "buf_size", "buf_nr", "start_lba", "end_lba", "pid", "name" } })
  list[0x4c0a] = t.ptr_in(t.struct { { "fd", t.fd }, { "block_size", t.u32 }, { "info", M.loop_info64 },
    { "reserved", hidden(t.inline_array(t.u64, 8)) } })
  local loop_flags = t.flags("loop_flags", { of = t.u32, comment = "LO_FLAGS_???" })
  local loop_info = t.struct { { "lo_number", t.i32 }, { "lo_device", t.dev }, { "lo_inode", t.ulong },
    { "lo_rdevice", t.dev }, { "lo_offset", t.x32 }, { "lo_encrypt_type", M.loop_crypt },
    { "lo_encrypt_key_size", t.i32 }, { "lo_flags", loop_flags }, { "lo_name", t.fixed_string(64) },
    { "lo_encrypt_key", M.loop_key }, { "lo_init", t.inline_array(t.ulong, 2) },
    { "reserved", t.inline_array(t.u8, 4) },
    brief = { lo_number = true, lo_offset = true, lo_flags = true, lo_name = true } }
  list[0x4c02], list[0x4c03] = t.ptr_in(loop_info), t.ptr_out(loop_info)

  -- --- random numbers, clocks, watchdogs, virtual machines ---------------------------------------------------------

  list[0x40085203] = t.ptr_in(t.struct { { "entropy_count", t.i32 }, { "buf_size", t.i32 },
    text = function(out, call, value)
      out:put("{entropy_count=", t.decimal(value.entropy_count), ", buf_size=", t.decimal(value.buf_size), ", buf=")
      local limit = call.text_options and call.text_options.string_limit or 32
      local wanted = math.max(0, math.min(value.buf_size, limit + 1))
      local bytes = wanted == 0 and "" or call.memory:read(value.address + 8, wanted)
      if bytes and #bytes == wanted then quote.put(out, bytes, limit) else out:put(t.hex(value.address + 8)) end
      out:put("}")
    end })
  list[0x5207] = none
  for _, request in ipairs { 0x7001, 0x7002, 0x7003, 0x7004, 0x7005, 0x7006, 0x700f, 0x7010, 0x7014, 0x80045705 } do
    list[request] = none
  end
  list[0xae03], list[0xae41] = t.enum("kvm_cap", { of = t.ulong, comment = "KVM_CAP_???" }), t.u32
  list[0x4020ae46] = t.ptr_in(t.struct { { "slot", t.u32 }, { "flags", t.flags("kvm_mem_flags", {
    comment = "KVM_MEM_???" }) }, { "guest_phys_addr", t.x64 }, { "memory_size", t.u64 }, { "userspace_addr", t.x64 } })

  -- --- bridges and interfaces --------------------------------------------------------------------------------------

  local name = t.ptr_in(t.cstring)
  local ifindex = setmetatable({ text = function(out, _, value)
    local known = value ~= 0 and ip.interface_name(value)
    out:put(style.constant(t.decimal(value), known and ("if_nametoindex(%s)"):format(quote.string(known))))
  end }, { __index = t.i32 })
  local port = t.ptr_in(t.struct { { "ifr_name", hidden(t.fixed_bytes(16)) }, { "ifr_ifindex", ifindex } })
  list[0x89a0], list[0x89a1], list[0x89a2], list[0x89a3] = name, name, port, port
  local count = t.ptr_when(t.struct { { "ifc_len", t.i32 }, { "ifc_buf", t.address }, text = function(out, call, value)
    local size = call.arch.bits == 32 and 32 or 40
    local asked, done = rawget(call, "asked_length"), is_done(nil, call)
    out:put("{ifc_len=")
    if done then
      if asked and asked ~= value.ifc_len and value.ifc_buf ~= 0 then out:put(t.decimal(asked), " => ") end
      out:put(t.decimal(value.ifc_len))
      if value.ifc_len % size == 0 then
        out:put((" /* %d * sizeof(struct ifreq) */"):format(value.ifc_len / size))
      end
    else
      out:put(t.decimal(value.ifc_len))
    end
    out:put(", ifc_buf=")
    local n = done and value.ifc_buf ~= 0 and math.floor(value.ifc_len / size) or 0
    local bytes = n > 0 and call.memory:read(value.ifc_buf, math.min(n, 1024) * size)
    if value.ifc_buf == 0 or not bytes then
      out:put(value.ifc_buf == 0 and "NULL" or t.hex(value.ifc_buf), "}")
      return
    end
    local limit = call.text_options and call.text_options.string_limit or 32
    out:put("[")
    t.put_up_to(out, math.floor(#bytes / size), limit, function(_, i)
      local one = bytes:sub((i - 1) * size + 1, i * size)
      out:put("{ifr_name=", quote.string(one:sub(1, 16):match "^[^%z]*"), ", ifr_addr=", M.ifreq_address(one), "}")
    end)
    out:put("]}")
  end }, always)
  count.at_entry = function(call, at)
    local bytes = at ~= 0 and call.memory:read(at, 4)
    if bytes and #bytes == 4 then rawset(call, "asked_length", ffi.cast("const int32_t *", bytes)[0]) end
  end
  list[0x8912] = count
  for _, request in ipairs { 0x8906, 0x8907, 0x890b, 0x890c, 0x8911, 0x891f, 0x8920, 0x8925, 0x8926, 0x8934, 0x8935,
    0x8940, 0x8941, 0x8946, 0x8953, 0x8954, 0x8955, 0x8982, 0x8983, 0x8990 } do
    list[request] = address
  end
end
