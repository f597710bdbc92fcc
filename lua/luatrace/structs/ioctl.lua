--- More of what ioctl's third argument is (structs/ioctl_terminals.lua): files, block devices, loops, network
-- interfaces.

local buffer = require "string.buffer"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local t = require "luatrace.types"

local hidden = t.hidden
local x8 = setmetatable({ size = 1, ctype = "const uint8_t *" }, { __index = t.x32 })

---@param M table structs so far, by name
return function(M)
  -- --- interfaces ----------------------------------------------------------------------------------------------------

  local NAME = 16
  local function i32(bytes, at)
    local a, b, c, d = bytes:byte(at, at + 3)
    return t.load.i32(nil, a + b * 256 + c * 65536 + d * 16777216)
  end
  --- AX.25's addresses (ARPHRD_NETROM and the like) have seven bytes.
  local address_lengths = { [0] = 7, [3] = 7 }
  local function hardware(bytes)
    local kind = bytes:byte(17) + bytes:byte(18) * 256
    local function in_hex(format, last)
      return (bytes:sub(19, last):gsub(".", function(char) return format:format(char:byte()) end))
    end
    local number, room = ('"%s"'):format(in_hex("\\x%02x", 32)), address_lengths[kind] or 6
    return ("{sa_family=%s, sa_data=%s}"):format(style.constant(t.hex(kind), constants.enums.arphrd.by_value[kind]),
      style.constant(number, in_hex("%02x:", 18 + room):sub(1, -2)))
  end
  local function socket_address(bytes)
    local family = bytes:byte(17) + bytes:byte(18) * 256
    if family == 2 then
      return ("{sa_family=AF_INET, sin_port=htons(%d), sin_addr=inet_addr(\"%d.%d.%d.%d\")}"):format(
        bytes:byte(19) * 256 + bytes:byte(20), bytes:byte(21, 24))
    end
    return ("{sa_family=%s, sa_data=%s}"):format(
      style.constant(t.hex(family), constants.enums.socket_family.by_value[family]),
      quote.string(bytes:sub(19, 32)))
  end
  M.ifreq_address = socket_address
  local function other_name(bytes) return quote.string(bytes:sub(17, 32):match "^[^%z]*") end
  local ifmap = t.struct { { "mem_start", t.xlong }, { "mem_end", t.xlong }, { "base_addr", setmetatable({ size = 2,
    ctype = "const uint16_t *" }, { __index = t.x32 }) }, { "irq", x8 }, { "dma", x8 }, { "port", x8 } }
  local function map(bytes, call)
    local out = buffer.new()
    ifmap.text(out, call, ifmap.load_from(call, ffi.cast("const uint8_t *", bytes:sub(17))))
    return out:tostring()
  end
  local function number(bytes) return tostring(i32(bytes, 17)) end
  local flag_names = t.flags("iff_flags", { comment = "IFF_???" })
  local function flags(bytes) return flag_names.written(bytes:byte(17) + bytes:byte(18) * 256) end
  --- request -> field, how it prints, "get" or "set"
  local ifreq = {
    [0x8913] = { "ifr_flags", flags, "get" }, [0x8914] = { "ifr_flags", flags, "set" },
    [0x8915] = { "ifr_addr", socket_address, "get" }, [0x8916] = { "ifr_addr", socket_address, "set" },
    [0x8917] = { "ifr_dstaddr", socket_address, "get" }, [0x8918] = { "ifr_dstaddr", socket_address, "set" },
    [0x8919] = { "ifr_broadaddr", socket_address, "get" }, [0x891a] = { "ifr_broadaddr", socket_address, "set" },
    [0x891b] = { "ifr_netmask", socket_address, "get" }, [0x891c] = { "ifr_netmask", socket_address, "set" },
    [0x891d] = { "ifr_metric", number, "get" }, [0x891e] = { "ifr_metric", number, "set" },
    [0x8921] = { "ifr_mtu", number, "get" }, [0x8922] = { "ifr_mtu", number, "set" },
    [0x8927] = { "ifr_hwaddr", hardware, "get" }, [0x8924] = { "ifr_hwaddr", hardware, "set" },
    [0x8933] = { "ifr_ifindex", number, "get" }, [0x8942] = { "ifr_qlen", number, "get" },
    [0x8943] = { "ifr_qlen", number, "set" }, [0x8923] = { "ifr_newname", other_name, "set" },
    [0x8929] = { "ifr_slave", other_name, "get" }, [0x8930] = { "ifr_slave", other_name, "set" },
    [0x8931] = { "ifr_hwaddr", hardware, "set" }, [0x8932] = { "ifr_hwaddr", hardware, "set" },
    [0x8970] = { "ifr_map", map, "get" }, [0x8971] = { "ifr_map", map, "set" },
  }
  local SIOCGIFNAME = 0x8910

  local function request_of(call) return t.load.u32(nil, call.raw[2]) end
  local interface = t.custom {
    fetch = function(call, at)
      local size = call.arch.bits == 32 and 32 or 40
      local bytes = call.memory:read(at, size)
      return bytes and #bytes == size and bytes or nil
    end,
    text = function(out, call, bytes)
      local request = request_of(call)
      local name = quote.string(bytes:sub(1, NAME):match "^[^%z]*")
      local there = call.phase ~= "entry" and not call.failed
      if request == SIOCGIFNAME then
        return out:put("{ifr_ifindex=", number(bytes), there and ", ifr_name=" or "", there and name or "", "}")
      end
      local field = ifreq[request]
      out:put("{ifr_name=", name)
      if field[3] == "set" or there then out:put(", ", field[1], "=", field[2](bytes, call)) end
      out:put("}")
    end,
    plain = function(call, bytes)
      local result = { ifr_name = bytes:sub(1, NAME):match "^[^%z]*" }
      local field = ifreq[request_of(call)]
      if field then
        local value = field[2](bytes, call)
        result[field[1]] = tonumber(value) or value
      else
        result.ifr_ifindex = i32(bytes, 17)
      end
      return result
    end,
    extents = function(call, at, _, add) add(at, call.arch.bits == 32 and 32 or 40) end,
  }
  interface.value = interface.plain
  M.ifreq = interface

  -- --- files ---------------------------------------------------------------------------------------------------------

  local fiemap_flags = t.flags("fiemap_flags", { comment = "FIEMAP_FLAG_???" })
  local extents_at, extent_size = 32, 56
  M.fiemap_extent = t.struct { { "fe_logical", t.u64 }, { "fe_physical", t.u64 }, { "fe_length", t.u64 },
    { "fe_reserved64", hidden(t.inline_array(t.u64, 2)) },
    { "fe_flags", t.flags("fiemap_extent_flags", { of = t.u32, comment = "FIEMAP_EXTENT_???" }) },
    { "fe_reserved", hidden(t.inline_array(t.u32, 3)) } }
  --- An array only where somebody wants to see it: -v.
  local function extents_text(out, call, value)
    if value.fm_extent_count == 0 or not (call.text_options and call.text_options.verbose) then return out:put "..." end
    out:put("fm_extents=[")
    for i = 1, math.min(value.fm_mapped_extents, value.fm_extent_count) do
      if i > 1 then out:put(", ") end
      local at = value.address + extents_at + (i - 1) * extent_size
      local extent = M.fiemap_extent.fetch(call, at)
      if not extent then
        out:put("... /* ", t.hex(at), " */")
        break
      end
      M.fiemap_extent.text(out, call, extent)
    end
    out:put("]")
  end
  M.fiemap = t.struct { { "fm_start", t.u64 }, { "fm_length", t.u64 }, { "fm_flags", fiemap_flags },
    { "fm_mapped_extents", t.u32 }, { "fm_extent_count", t.u32 }, { "fm_reserved", hidden(t.u32) },
    text = function(out, call, value)
      out:put("{fm_start=", t.decimal(value.fm_start), ", fm_length=", t.decimal(value.fm_length), ", fm_flags=")
      fiemap_flags.text(out, call, value.fm_flags)
      out:put(", fm_extent_count=", t.decimal(value.fm_extent_count), "}")
      if call.phase == "entry" or call.failed then return end
      out:put(" => {fm_flags=")
      fiemap_flags.text(out, call, value.fm_flags)
      out:put(", fm_mapped_extents=", t.decimal(value.fm_mapped_extents), ", ")
      extents_text(out, call, value)
      out:put("}")
    end }
  M.file_clone_range = t.struct { { "src_fd", t.fd }, { "fd_high", hidden(t.u32) }, { "src_offset", t.u64 },
    { "src_length", t.u64 }, { "dest_offset", t.u64 } }
  local key = t.fixed_bytes(32)
  M.loop_key = setmetatable({ text = function(out, call, bytes, loop)
    key.text(out, call, bytes:sub(1, loop.lo_encrypt_key_size))
  end }, { __index = key })
  M.loop_crypt = t.enum("loop_crypt", { comment = "LO_CRYPT_???" })
  M.loop_info64 = t.struct { { "lo_device", t.dev64 }, { "lo_inode", t.u64 }, { "lo_rdevice", t.dev64 },
    { "lo_offset", t.x64 }, { "lo_sizelimit", t.u64 }, { "lo_number", t.u32 }, { "lo_encrypt_type", M.loop_crypt },
    { "lo_encrypt_key_size", t.u32 }, { "lo_flags", t.flags("loop_flags", { comment = "LO_FLAGS_???" }) },
    { "lo_file_name", t.fixed_string(64) }, { "lo_crypt_name", t.fixed_string(64) },
    { "lo_encrypt_key", M.loop_key }, { "lo_init", t.inline_array(t.u64, 2) },
    brief = { lo_offset = true, lo_number = true, lo_flags = true, lo_file_name = true } }

  -- --- the requests --------------------------------------------------------------------------------------------------

  local function always() return true end
  local int_in, int_out = t.ptr_in(t.cell(t.i32)), t.ptr_out(t.cell(t.i32))
  local u32_out, long_out, u64_out = t.ptr_out(t.cell(t.u32)), t.ptr_out(t.cell(t.long)), t.ptr_out(t.cell(t.u64))
  local fs_flags = t.cell(t.flags("fs_flags", { comment = "FS_???" }))
  local requests = {
    [0x80086601] = t.ptr_out(fs_flags), [0x80046601] = t.ptr_out(fs_flags), [0x40086602] = t.ptr_in(fs_flags),
    [0x40046602] = t.ptr_in(fs_flags), [0x80087601] = long_out, [0x40049409] = t.fd,
    [0x4020940d] = t.ptr_in(M.file_clone_range), [0xc020660b] = t.ptr_when(M.fiemap, always),
    [0x80081272] = u64_out, [0x80041272] = u64_out, [0x1260] = t.ptr_out(t.cell(t.ulong)), [0x1268] = int_out,
    [0x125e] = int_out, [0x125d] = int_in, [0x80081270] = int_out, [0x127b] = u32_out, [0x1278] = u32_out,
    [0x1279] = u32_out, [0x127a] = int_out, [0x1261] = false, [0x125f] = false,
    [0x1277] = t.ptr_in(t.array(t.u64, 2)), [0x127d] = t.ptr_in(t.array(t.u64, 2)),
    [0x4c00] = t.fd, [0x4c01] = false, [0x4c04] = t.ptr_in(M.loop_info64), [0x4c05] = t.ptr_out(M.loop_info64),
    [0x4c06] = t.fd, [0x4c07] = false, [0x4c80] = t.i32, [0x4c81] = t.i32, [0x4c82] = false,
    [0x80045200] = int_out, [0x40045201] = int_in, [0x5204] = false, [0x5206] = false,
    [0xb701] = false, [0xb702] = false, [0xb703] = false, [0xb704] = t.ptr_out(t.cell(t.uid)),
    [SIOCGIFNAME] = t.ptr_when(interface, always),
    [0x8901] = int_in, [0x8902] = int_in, [0x8903] = int_out, [0x8904] = int_out, [0x8905] = int_out,
  }
  local list = M.ioctl
  for request, argument in pairs(requests) do list[request] = argument end
  for request in pairs(ifreq) do list[request] = t.ptr_when(interface, always) end
  require "luatrace.structs.ioctl_devices"(M, list)
end
