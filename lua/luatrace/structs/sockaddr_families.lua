--- Socket addresses that are plain structs, by family: number -> a struct whose fields follow sa_family.
--
--   families[17].struct, families[17].size      -- sockaddr_ll: counts from 20 bytes on

local bit = require "bit"
local buffer = require "string.buffer"
local ffi = require "ffi"
local ip = require "luatrace.text.ip"
local quote = require "luatrace.text.quote"
local t = require "luatrace.types"

local hidden = t.hidden

--- A number in network byte order whose names are those of a set: htons(ETH_P_IP).
local function htons(set, comment)
  local names = t.enum(set, { of = t.u32, comment = comment })
  local function swapped(value) return value % 256 * 256 + math.floor(value / 256) end
  return setmetatable({
    text = function(out, call, value)
      out:put("htons(")
      names.text(out, call, swapped(value))
      out:put(")")
    end,
    read = function(call, value) return names.read(call, swapped(value)) end,
    plain = function(call, value) return names.plain(call, swapped(value)) end,
  }, { __index = t.u16 })
end

--- The number of a network interface.
local ifindex = setmetatable({ text = function(out, _, value)
  local name = value ~= 0 and ip.interface_name(value)
  out:put(name and ("if_nametoindex(%s)"):format(quote.string(name)) or t.decimal(value))
end }, { __index = t.i32 })

--- Bytes as numbers: [0x1, 00], as many as a sibling says.
local function byte_list(n, count)
  return setmetatable({ text = function(out, _, bytes, scope)
    local shown = count and scope[count] or n
    local parts = {}
    for i = 1, math.min(shown, n) do
      local byte = bytes:byte(i)
      parts[i] = byte == 0 and "00" or ("%#x"):format(byte)
    end
    if shown > n then parts[#parts + 1] = "..." end
    out:put("[", table.concat(parts, ", "), "]")
  end }, { __index = t.fixed_bytes(n) })
end

--- Bytes in quotes, each in hexadecimal.
local function hex_bytes(n)
  return setmetatable({ text = function(out, _, bytes) quote.put_hex(out, bytes, n) end },
    { __index = t.fixed_bytes(n) })
end

local x16 = setmetatable({ size = 2, ctype = "const uint16_t *" }, { __index = t.x32 })
local x8 = setmetatable({ size = 1, ctype = "const uint8_t *" }, { __index = t.x32 })

--- A number in network byte order, as C would write it: htons(80), htonl(0x7f000001).
local function network_order(of, size, format)
  return setmetatable({ text = function(out, _, value)
    local swapped = bit.rshift(bit.bswap(value), 32 - size * 8)
    out:put(format:format(swapped < 0 and swapped + 4294967296 or swapped))
  end }, { __index = of })
end

local function is_set(field) return function(value) return value[field] ~= 0 end end

--- A number first, its names as a comment.
local crypto_names = t.flags("crypto_flags", { comment = "CRYPTO_ALG_???" })
local crypto_flags = setmetatable({ text = function(out, _, value)
  local text = crypto_names.string(value)
  out:put(text == "0" and "0" or text:find("/*", 1, true) and text or ("%s /* %s */"):format(t.hex(value), text))
end }, { __index = crypto_names })

local family = { "sa_family", hidden(t.u16) }
local XDP_SHARED_UMEM = 1
local shared_fd = setmetatable({ text = function(out, call, value, scope)
  if scope.sxdp_flags % 2 == XDP_SHARED_UMEM then return t.fd.text(out, call, value) end
  out:put(t.hex(value))
end }, { __index = t.u32 })

local families = {
  [17] = { size = 20, struct = t.struct { family, { "sll_protocol", htons("ethernet_protocol", "ETH_P_???") },
    { "sll_ifindex", ifindex }, { "sll_hatype", t.enum("arphrd", { of = t.u16, comment = "ARPHRD_???" }) },
    { "sll_pkttype", t.enum("packet_type", { of = t.u8, comment = "PACKET_???" }) }, { "sll_halen", t.u8 },
    { "sll_addr", byte_list(8, "sll_halen"), when = is_set "sll_halen" } } },
  [40] = { size = 16, struct = t.struct { family,
    { "svm_reserved1", x16, when = is_set "svm_reserved1" },
    { "svm_port", t.enum("vsock_port", { of = t.u32, comment = false }) },
    { "svm_cid", t.enum("vsock_cid", { of = t.u32, comment = false }) },
    { "svm_flags", t.flags("vsock_flags", { of = t.u8, comment = "VMADDR_FLAG_???" }) },
    { "svm_zero", hex_bytes(3), when = function(value) return value.svm_zero:find "[^%z]" ~= nil end },
    shown = { "svm_reserved1", "svm_cid", "svm_port", "svm_flags", "svm_zero" } } },
  [38] = { size = 88, struct = t.struct { family, { "salg_type", t.fixed_string(14) },
    { "salg_feat", crypto_flags },
    { "salg_mask", crypto_flags }, { "salg_name", t.fixed_string(64) } } },
  [44] = { size = 16, struct = t.struct { family, { "sxdp_flags", t.flags("xdp_flags", { of = t.u16,
    comment = "XDP_???" }) }, { "sxdp_ifindex", ifindex }, { "sxdp_queue_id", t.u32 },
    { "sxdp_shared_umem_fd", shared_fd } } },
  [3] = { size = 16, struct = t.struct { family, { "sax25_call", t.struct { { "ax25_call", hex_bytes(7) } } },
    { "sax25_ndigis", t.i32 } } },
  [4] = { size = 16, struct = t.struct { family, { "sipx_port", network_order(t.u16, 2, "htons(%u)") },
    { "sipx_network", network_order(t.u32, 4, "htonl(%#x)") }, { "sipx_node", byte_list(6) },
    { "sipx_type", setmetatable({ text = function(out, _, value) out:put(("%02x"):format(value)) end },
      { __index = t.u8 }) } } },
  [9] = { size = 18, struct = t.struct { family, { "sx25_addr", t.struct { { "x25_addr", t.fixed_string(16) } } } } },
  [39] = { size = 16, struct = t.struct { family, { "dev_idx", t.u32 }, { "target_idx", t.x32 },
    { "nfc_protocol", t.enum("nfc_address_protocol", { of = t.u32, comment = "NFC_PROTO_???" }) } } },
  [45] = { size = 12, struct = t.struct { family, { "__smctp_pad0", x16, when = is_set "__smctp_pad0" },
    { "smctp_network", t.x32 }, { "smctp_addr", t.struct { { "s_addr", x8 } } }, { "smctp_type", x8 },
    { "smctp_tag", x8 }, { "__smctp_pad1", x8, when = is_set "__smctp_pad1" } } },
  [42] = { size = 12, struct = t.struct { family, { "sq_node", t.enum("qrtr_node", { of = t.u32, comment = false }) },
    { "sq_port", t.enum("qrtr_port", { of = t.u32, comment = false }) } } },
}

local bare = { arch = { name = "x86_64", pointer_size = 8, bits = 64 } }

for _, entry in pairs(families) do
  local struct = entry.struct
  local function load(call, bytes)
    return struct.load_from(call or bare, ffi.cast("const uint8_t *", bytes))
  end
  --- ", field=value, ...": what follows the family.
  function entry.text(out, bytes, call)
    local text = buffer.new()
    struct.text(text, call or bare, load(call, bytes))
    out:put(", ", text:tostring():sub(2, -2))
  end
  --- By the fields' names without what they all begin with: protocol, ifindex, ...
  function entry.fields(bytes)
    local result = {}
    for name, value in pairs(struct.plain(bare, load(nil, bytes))) do result[name:gsub("^[^_]*_", "")] = value end
    return result
  end
end

return families
