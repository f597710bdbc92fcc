--- sock_diag(7): requests and answers about sockets, by the family that they are about.

local t = require "luatrace.types"
local ip = require "luatrace.text.ip"
local p = require "luatrace.structs.netlink.parts"
local link = require "luatrace.structs.netlink.link"

local AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET = 1, 2, 10, 16, 17
local family = link.family

--- Bits that are states: 1<<TCP_LISTEN.
local states = { text = function(out, _, value)
  local names, parts, left = require("luatrace.constants").enums.socket_state.by_value, {}, value
  for state = 1, 31 do
    local bit_value = 2 ^ state
    if names[state] and math.floor(value / bit_value) % 2 == 1 then
      parts[#parts + 1] = "1<<" .. names[state]
      left = left - bit_value
    end
  end
  if left ~= 0 then parts[#parts + 1] = t.hex(left) end
  out:put(#parts > 0 and table.concat(parts, "|") or "0")
end }
--- What is asked for beside the struct: bit n - 1 stands for attribute n.
local extensions = setmetatable({ text = function(out, _, value)
  local names, parts = require("luatrace.constants").enums.inet_diag_attr.by_value, {}
  for i = 0, 7 do
    if math.floor(value / 2 ^ i) % 2 == 1 then parts[#parts + 1] = ("1<<(%s-1)"):format(names[i + 1]) end
  end
  out:put(#parts > 0 and table.concat(parts, "|") or "0")
end }, { __index = t.u8 })
local state_set = setmetatable(states, { __index = t.u32 })
local state = t.enum("socket_state", { of = t.u8, comment = "TCP_???" })
local show = function(set, comment) return t.flags(set, { comment = comment }) end

--- struct inet_diag_sockid: addresses of the family around it.
local sockid = t.struct { { "idiag_sport", p.port_type }, { "idiag_dport", p.port_type },
  { "idiag_src", t.fixed_bytes(16) }, { "idiag_dst", t.fixed_bytes(16) }, { "idiag_if", p.ifindex_type },
  { "idiag_cookie", t.inline_array(t.u32, 2) },
  text = function(out, call, value, scope)
    local of = scope.sdiag_family or scope.idiag_family
    out:put("{idiag_sport=")
    p.port_type.text(out, call, value.idiag_sport)
    out:put(", idiag_dport=")
    p.port_type.text(out, call, value.idiag_dport)
    for _, name in ipairs { "idiag_src", "idiag_dst" } do
      if of == AF_INET then
        out:put(", ", name, '=inet_addr("', ip.v4(value[name]), '")')
      else
        out:put(', inet_pton(AF_INET6, "', ip.v6(value[name]), '", &', name, ")")
      end
    end
    out:put(", idiag_if=")
    p.ifindex_type.text(out, call, value.idiag_if)
    out:put((", idiag_cookie=[%s, %s]}"):format(t.decimal(value.idiag_cookie[1]), t.decimal(value.idiag_cookie[2])))
  end }

local protocol = t.enum("inet_protocol", { of = t.u8, comment = "IPPROTO_???" })
local cookie = function(name) return { name, t.inline_array(t.u32, 2) } end

local inet_request = p.message(t.struct { { "sdiag_family", family }, { "sdiag_protocol", protocol },
  { "idiag_ext", extensions }, { "pad", t.hidden(t.u8) }, { "idiag_states", state_set }, { "id", sockid } },
  p.attributes(nil, nil))

local meminfo = {}
for name in ("idiag_rmem idiag_wmem idiag_fmem idiag_tmem"):gmatch("%S+") do
  meminfo[#meminfo + 1] = { name, t.u32 }
end

--- INET_DIAG_SOCKOPT: two bytes of bits.
local socket_bits = { "recverr", "is_icsk", "freebind", "hdrincl", "mc_loop", "transparent", "mc_all", "nodefrag",
  "bind_address_no_port", "recverr_rfc4884", "defer_connect" }
local sockopt = { text = function(out, call, bytes)
  if #bytes < 2 then return p.hex.text(out, call, bytes) end
  local value, parts = bytes:byte(1) + bytes:byte(2) * 256, {}
  for i, name in ipairs(socket_bits) do
    if math.floor(value / 2 ^ (i - 1)) % 2 == 1 then parts[#parts + 1] = name .. "=1" end
  end
  out:put("{", table.concat(parts, ", "), "}")
end }
local tclass = { text = function(out, _, bytes) out:put(t.hex(bytes:byte(1))) end }
local inet_answer = p.message(t.struct { { "idiag_family", family }, { "idiag_state", state },
  { "idiag_timer", t.u8 }, { "idiag_retrans", t.u8 }, { "id", sockid }, { "idiag_expires", t.u32 },
  { "idiag_rqueue", t.u32 }, { "idiag_wqueue", t.u32 }, { "idiag_uid", t.u32 }, { "idiag_inode", t.u32 } },
  p.attributes("inet_diag_attr", "INET_DIAG_???", { INET_DIAG_MEMINFO = p.struct(t.struct(meminfo)),
    INET_DIAG_CONG = p.string, INET_DIAG_TOS = tclass, INET_DIAG_TCLASS = tclass,
    INET_DIAG_SHUTDOWN = p.u8, INET_DIAG_SKV6ONLY = p.u8, INET_DIAG_MARK = p.u32, INET_DIAG_CLASS_ID = p.u32,
    INET_DIAG_CGROUP_ID = p.u64, INET_DIAG_PROTOCOL = p.number(protocol), INET_DIAG_SOCKOPT = sockopt,
    INET_DIAG_SKMEMINFO = p.indexed("sk_meminfo", "SK_MEMINFO_???", t.u32) }))

local unix_name = { text = function(out, call, bytes)
  if bytes:byte(1) == 0 then
    out:put("@")
    bytes = bytes:sub(2)
  end
  p.bytes.text(out, call, bytes)
end }
local kind = t.enum("socket_type", { of = t.u8, comment = "SOCK_???" })
local unix_request = p.message(t.struct { { "sdiag_family", family }, { "sdiag_protocol", t.u8 },
  { "pad", t.hidden(t.u16) }, { "udiag_states", state_set }, { "udiag_ino", t.u32 },
  { "udiag_show", show("unix_diag_show", "UDIAG_SHOW_???") }, cookie "udiag_cookie" })
local unix_answer = p.message(t.struct { { "udiag_family", family }, { "udiag_type", kind }, { "udiag_state", state },
  { "pad", t.hidden(t.u8) }, { "udiag_ino", t.u32 }, cookie "udiag_cookie" },
  p.attributes("unix_diag_attr", "UNIX_DIAG_???", { UNIX_DIAG_NAME = unix_name, UNIX_DIAG_PEER = p.u32,
    UNIX_DIAG_VFS = p.struct(t.struct { { "udiag_vfs_ino", t.u32 },
      { "udiag_vfs_dev", setmetatable({ text = function(out, call, value)
        -- The kernel's own encoding of a device: 12 bits major, 20 bits minor.
        t.dev.text(out, call, math.floor(value / 1048576) * 256 + value % 256)
      end }, { __index = t.u32 }) } }),
    UNIX_DIAG_RQLEN = p.struct(t.struct { { "udiag_rqueue", t.u32 }, { "udiag_wqueue", t.u32 } }),
    UNIX_DIAG_SHUTDOWN = p.u8, UNIX_DIAG_UID = p.u32 }))

local netlink_names = t.enum("netlink_family", { of = t.u8, comment = "NETLINK_???" })
local NDIAG_PROTO_ALL = 255
local netlink_protocol = setmetatable({ text = function(out, call, value)
  if value == NDIAG_PROTO_ALL then return out:put("NDIAG_PROTO_ALL") end
  netlink_names.text(out, call, value)
end }, { __index = t.u8 })
local memory = p.indexed("sk_meminfo", "SK_MEMINFO_???", t.u32)
--- Multicast groups as bits, in longs.
local groups = { text = function(out, call, bytes)
  local parts = {}
  for at = 1, #bytes - 3, 4 do
    local a, b, c, d = bytes:byte(at, at + 3)
    parts[#parts + 1] = t.hex(a + b * 256 + c * 65536 + d * 16777216)
  end
  if #parts == 0 then return p.hex.text(out, call, bytes) end
  out:put("[", table.concat(parts, ", "), "]")
end }
local netlink_request = p.message(t.struct { { "sdiag_family", family }, { "sdiag_protocol", netlink_protocol },
  { "pad", t.hidden(t.u16) }, { "ndiag_ino", t.u32 }, { "ndiag_show", show("netlink_diag_show", "NDIAG_SHOW_???") },
  cookie "ndiag_cookie" })
local netlink_answer = p.message(t.struct { { "ndiag_family", family }, { "ndiag_type", kind },
  { "ndiag_protocol", netlink_protocol },
  { "ndiag_state", state },
  { "ndiag_portid", t.u32 }, { "ndiag_dst_portid", t.u32 }, { "ndiag_dst_group", t.u32 }, { "ndiag_ino", t.u32 },
  cookie "ndiag_cookie" }, p.attributes("netlink_diag_attr", "NETLINK_DIAG_???", { NETLINK_DIAG_MEMINFO = memory,
    NETLINK_DIAG_GROUPS = groups }))
local packet_request = p.message(t.struct { { "sdiag_family", family }, { "sdiag_protocol", t.u8 },
  { "pad", t.hidden(t.u16) }, { "pdiag_ino", t.u32 }, { "pdiag_show", show("packet_diag_show", "PACKET_SHOW_???") },
  cookie "pdiag_cookie" })
local packet_answer = p.message(t.struct { { "pdiag_family", family }, { "pdiag_type", kind }, { "pdiag_num", t.u16 },
  { "pdiag_ino", t.u32 }, cookie "pdiag_cookie" }, p.attributes(nil, nil))

local requests = { [AF_UNIX] = unix_request, [AF_INET] = inet_request, [AF_INET6] = inet_request,
  [AF_NETLINK] = netlink_request, [AF_PACKET] = packet_request }
local answers = { [AF_UNIX] = unix_answer, [AF_INET] = inet_answer, [AF_INET6] = inet_answer,
  [AF_NETLINK] = netlink_answer, [AF_PACKET] = packet_answer }

--- The payload of SOCK_DIAG_BY_FAMILY.
return { text = function(out, call, bytes, context)
  local part = (context.is_request and requests or answers)[bytes:byte(1)]
  if part then return part.text(out, call, bytes, context) end
  out:put(context.is_request and "{sdiag_family=" or "{family=")
  family.text(out, call, bytes:byte(1))
  if #bytes > 1 then
    out:put(", data=")
    p.hex.text(out, call, bytes:sub(2))
  end
  out:put("}")
end }
