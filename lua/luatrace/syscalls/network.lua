--- Sockets.

local t = require "luatrace.types"
local structs = require "luatrace.structs"
local constants = require "luatrace.constants"

local zero, sock = t.i32, t.fd_socket
local family = t.enum("socket_family", { comment = "AF_???" })
local address_in = t.ptr_in(structs.sockaddr "addrlen")
local address_out = t.ptr_out(structs.sockaddr "addrlen")
local length_inout = t.value_result
local msg_flags = t.flags("msg_flags", { comment = "MSG_???" })

local SOCK_TYPE_MASK = 0xf
local socket_type = t.flags("socket_type_flags", { enum = "socket_type", mask = SOCK_TYPE_MASK, comment = "SOCK_???" })

--- The protocol's names depend on the family.
local protocol_sets = { [2] = "inet_protocol", [10] = "inet_protocol", [16] = "netlink_family" }
local protocol = t.by(function(call)
  local set = protocol_sets[t.load.i32(nil, call.raw[1])]
  return set and t.enum(set, { comment = "IPPROTO_???" }) or t.i32
end)

--- Options by level (socket(7), tcp(7), ip(7), ipv6(7)).
local option_sets = { [1] = "socket_option", [6] = "tcp_option", [0] = "ip_option", [41] = "ipv6_option",
  [17] = "udp_option", [263] = "packet_option", [270] = "netlink_option" }
local option = t.by(function(call)
  local set = option_sets[t.load.i32(nil, call.raw[2])]
  return set and t.enum(set, { comment = "SO_???" }) or t.x32
end)

local SOL_SOCKET, SO_LINGER, SO_PEERCRED, SO_ERROR = 1, 13, 17, 4
local errors = t.custom {
  fetch = function(call, address) return t.cell(t.i32).fetch(call, address) end,
  text = function(out, _, value) out:put("[", constants.errno.by_value[value] or tostring(value), "]") end,
}

--- What an option's value is: by its size, but for the structs that have one of their own.
local function option_value(direction, length_of)
  local integer_cell, bytes = direction(t.cell(t.i32)), direction(t.bytes(length_of))
  local linger, cred, so_error = direction(structs.linger), direction(structs.ucred), direction(errors)
  return t.by(function(call)
    local level, name = t.load.i32(nil, call.raw[2]), t.load.i32(nil, call.raw[3])
    if level == SOL_SOCKET then
      if name == SO_LINGER then return linger end
      if name == SO_PEERCRED then return cred end
      if name == SO_ERROR then return so_error end
    end
    local size
    if length_of == "optlen" and call.row.name == "setsockopt" then
      size = t.load.i32(nil, call.raw[5])
    else
      local cell = call.memory:read(call.raw[5], 4)
      size = cell and #cell == 4 and require("ffi").cast("const int32_t *", cell)[0] or 0
    end
    return size == 4 and integer_cell or bytes
  end, direction == t.ptr_out)
end

local message_in = t.ptr_in(t.msghdr(structs.sockaddr, false))
local message_out = t.ptr_out(t.msghdr(structs.sockaddr, true))

return {
  socket = { returns = t.fd, classes = "network", { "domain", family }, { "type", socket_type },
    { "protocol", protocol } },
  socketpair = { returns = zero, classes = "network", { "domain", family }, { "type", socket_type },
    { "protocol", protocol }, { "sv", t.ptr_out(t.array(t.fd, 2)) } },
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
  sendto = { returns = t.count, classes = "network", { "sockfd", sock }, { "buf", t.ptr_in(t.bytes "len") },
    { "len", t.size }, { "flags", msg_flags }, { "dest_addr", t.ptr_in(structs.sockaddr "addrlen") },
    { "addrlen", t.i32 } },
  recvfrom = { returns = t.count, classes = "network", { "sockfd", sock }, { "buf", t.ptr_out(t.bytes("len", "ret")) },
    { "len", t.size }, { "flags", msg_flags }, { "src_addr", t.ptr_out(structs.sockaddr "addrlen") },
    { "addrlen", length_inout } },
  sendmsg = { returns = t.count, classes = "network", { "sockfd", sock }, { "msg", message_in },
    { "flags", msg_flags } },
  recvmsg = { returns = t.count, classes = "network", { "sockfd", sock }, { "msg", message_out },
    { "flags", msg_flags } },
  shutdown = { returns = zero, classes = "network", { "sockfd", sock },
    { "how", t.enum("shutdown_how", { comment = "SHUT_???" }) } },
  setsockopt = { returns = zero, classes = "network", { "sockfd", sock },
    { "level", t.enum("socket_level", { comment = "SOL_???" }) }, { "optname", option },
    { "optval", option_value(t.ptr_in, "optlen") }, { "optlen", t.i32 } },
  getsockopt = { returns = zero, classes = "network", { "sockfd", sock },
    { "level", t.enum("socket_level", { comment = "SOL_???" }) }, { "optname", option },
    { "optval", option_value(t.ptr_out, "optlen") }, { "optlen", length_inout } },
}
