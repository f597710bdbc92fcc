--- Sockets.

local bit = require "bit"
local ffi = require "ffi"
local t = require "luatrace.types"
local structs = require "luatrace.structs"
local constants = require "luatrace.constants"
local datagram = require "luatrace.structs.datagram"

local zero, sock = t.i32, t.fd_socket
local family = t.enum("socket_family", { comment = "AF_???" })
local address_in = t.ptr_in(structs.sockaddr "addrlen")
local address_out = t.ptr_out(structs.sockaddr "addrlen")
local length_inout = t.value_result
local level_name = t.enum("socket_level", { comment = "SOL_??" })
local msg_flags = t.flags("msg_flags", { comment = "MSG_???" })

local SOCK_TYPE_MASK = 0xf
local socket_type = t.flags("socket_type_flags", { enum = "socket_type", mask = SOCK_TYPE_MASK, strict = true,
  apart = true, comment = "SOCK_???" })

--- The protocol's names depend on the family.
local inet_protocol = t.enum("inet_protocol", { comment = "IPPROTO_???" })
local function byte_swapped(value) return bit.rshift(bit.bswap(value), 16) end
local ethernet = t.enum("ethernet_protocol", { of = t.u32, comment = "ETH_P_???" })
local packet_protocol = setmetatable({
  text = function(out, call, value)
    out:put("htons(")
    ethernet.text(out, call, byte_swapped(value))
    out:put(")")
  end,
  read = function(call, value) return ethernet.read(call, byte_swapped(value)) end,
  plain = function(call, value) return ethernet.plain(call, byte_swapped(value)) end,
}, { __index = t.u32 })
local protocols = { [2] = inet_protocol, [10] = inet_protocol, [17] = packet_protocol,
  [16] = t.enum("netlink_family", { comment = "NETLINK_???" }) }
local protocol = t.by(function(call) return protocols[t.load.i32(nil, call.raw[1])] or t.u32 end)

--- Options by level (socket(7), tcp(7), ip(7), ipv6(7)).
local options = {}
for level, name in pairs { [1] = "socket_option SO", [6] = "tcp_option TCP", [0] = "ip_option IP",
  [41] = "ipv6_option IPV6", [17] = "udp_option UDP", [263] = "packet_option PACKET",
  [270] = "netlink_option NETLINK" } do
  local set, prefix = name:match("(%S+) (%S+)")
  options[level] = t.enum(set, { comment = prefix .. "_???" })
end
local option = t.by(function(call) return options[t.load.i32(nil, call.raw[2])] or t.u32 end)

local SOL_SOCKET, SO_LINGER, SO_PEERCRED, SO_ERROR, SO_TXREHASH = 1, 13, 17, 4, 74
local SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF = 26, 51
local errors = t.custom {
  fetch = function(call, address) return t.cell(t.i32).fetch(call, address) end,
  text = function(out, _, value)
    out:put("[", require("luatrace.text.style").constant(tostring(value), constants.errno.by_value[value]), "]")
  end,
  extents = function(_, address, _, add) add(address, 4) end,
}

--- Options of a socket that are an int, whatever length the caller gives; all others are one if they have four bytes.
local is_int = {}
for number in ([[1 2 5 6 7 8 9 10 11 12 14 15 16 18 19 27 29 30 32 33 34 35 36 37 40 41 42 43 44 45 46 49 53 56 60 63 64
  65 68 69 70 73 74 75]]):gmatch("%d+") do is_int[tonumber(number)] = true end

--- How long the value is: at exit what the kernel says, never more than there was room for.
local function option_length(call)
  if call.row.name == "setsockopt" then return t.load.i32(nil, call.raw[5]) end
  local cell = call.memory:read(call.raw[5], 4)
  local now = cell and #cell == 4 and ffi.cast("const int32_t *", cell)[0] or 0
  local before = rawget(call, "length_before")
  return before and before < now and before or now
end

local option_bytes = t.bytes(option_length)
local option_hex = t.bytes(option_length, nil, "hex")
local txrehash = t.enum("so_txrehash", { comment = "SOCK_TXREHASH_???" })
local cells = { [4] = t.cell(t.i32), [2] = t.cell(t.i16), [1] = t.cell(t.u8) }

--- What setsockopt is given.
local set_types = { linger = t.ptr_in(structs.linger),
  fprog = t.ptr_in(t.later(function() return structs.sock_fprog end)), int = t.ptr_in(cells[4]),
  bytes = t.ptr_in(option_bytes), rehash = constants.flags.so_txrehash and t.ptr_in(t.cell(txrehash)) }
local function set_value(call)
  local level, name, length = t.load.i32(nil, call.raw[2]), t.load.i32(nil, call.raw[3]), option_length(call)
  if length <= 0 then return t.address end
  if level == SOL_SOCKET then
    if name == SO_LINGER then return length < 8 and t.address or set_types.linger end
    if name == SO_ATTACH_FILTER or name == SO_ATTACH_REUSEPORT_CBPF then
      return length < 16 and t.address or set_types.fprog
    end
    if name == SO_TXREHASH and set_types.rehash then return length < 4 and t.address or set_types.rehash end
    if is_int[name] then return length < 4 and t.address or set_types.int end
  end
  return length == 4 and set_types.int or set_types.bytes
end

--- What getsockopt has been given.
local get_types = { linger = t.ptr_out(structs.linger), cred = t.ptr_out(structs.ucred), errors = t.ptr_out(errors),
  int = t.ptr_out(cells[4]), bytes = t.ptr_out(option_bytes), hex = t.ptr_out(option_hex),
  rehash = constants.flags.so_txrehash and t.ptr_out(t.cell(txrehash)) }
local function got_value(call)
  local level, name = t.load.i32(nil, call.raw[2]), t.load.i32(nil, call.raw[3])
  local length = option_length(call)
  if level == SOL_SOCKET and call.phase == "exit" and not call.failed then
    if name == SO_LINGER and length >= 8 then return get_types.linger end
    if name == SO_PEERCRED and length >= 12 then return get_types.cred end
    if name == SO_ERROR and length >= 4 then return get_types.errors end
    if name == SO_TXREHASH and length >= 4 and get_types.rehash then return get_types.rehash end
    if is_int[name] or name == SO_ERROR then return length < 4 and get_types.hex or get_types.int end
  end
  return length == 4 and get_types.int or get_types.bytes
end

local message_in = t.ptr_in(t.msghdr(structs.sockaddr, false, datagram.printer))
local message_out = t.ptr_out(t.msghdr(structs.sockaddr, true, datagram.printer))

return {
  socket = { returns = t.fd, classes = "network", { "domain", family }, { "type", socket_type },
    { "protocol", protocol } },
  socketpair = { returns = zero, classes = "network", { "domain", family }, { "type", socket_type },
    { "protocol", t.u32 }, { "sv", t.ptr_out(t.array(t.fd, 2)) } },
  connect = { returns = zero, classes = "network", { "sockfd", sock }, { "addr", address_in }, { "addrlen", t.i32 } },
  bind = { returns = zero, classes = "network", { "sockfd", sock }, { "addr", address_in }, { "addrlen", t.i32 } },
  listen = { returns = zero, classes = "network", { "sockfd", sock }, { "backlog", t.i32 } },
  accept = { returns = t.fd, classes = "network", { "sockfd", sock }, { "addr", address_out },
    { "addrlen", length_inout } },
  accept4 = { returns = t.fd, classes = "network", { "sockfd", sock }, { "addr", address_out },
    { "addrlen", length_inout }, { "flags", t.flags("accept4_flags", { comment = "SOCK_???" }) } },
  getsockname = { returns = zero, classes = "network", { "sockfd", sock }, { "addr", address_out },
    { "addrlen", length_inout } },
  getpeername = { returns = zero, classes = "network", { "sockfd", sock }, { "addr", address_out },
    { "addrlen", length_inout } },
  sendto = { returns = t.count, classes = "network", { "sockfd", sock }, { "buf", t.ptr_in(datagram.bytes "len") },
    { "len", t.size }, { "flags", msg_flags }, { "dest_addr", t.ptr_in(structs.sockaddr "addrlen") },
    { "addrlen", t.i32 } },
  recvfrom = { returns = t.count, classes = "network", { "sockfd", sock },
    { "buf", t.ptr_out(datagram.bytes("len", "ret")) },
    { "len", t.size }, { "flags", msg_flags }, { "src_addr", t.ptr_out(structs.sockaddr "addrlen") },
    { "addrlen", length_inout } },
  sendmsg = { returns = t.count, classes = "network", { "sockfd", sock }, { "msg", message_in },
    { "flags", msg_flags } },
  recvmsg = { returns = t.count, classes = "network", { "sockfd", sock }, { "msg", message_out },
    { "flags", msg_flags } },
  shutdown = { returns = zero, classes = "network", { "sockfd", sock },
    { "how", t.enum("shutdown_how", { comment = "SHUT_???" }) } },
  setsockopt = { returns = zero, classes = "network", { "sockfd", sock },
    { "level", level_name }, { "optname", option },
    { "optval", t.by(set_value) }, { "optlen", t.i32 } },
  getsockopt = { returns = zero, classes = "network", { "sockfd", sock },
    { "level", level_name }, { "optname", option },
    { "optval", t.by(got_value, true) }, { "optlen", length_inout } },
}
