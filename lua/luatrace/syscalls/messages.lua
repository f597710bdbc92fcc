--- Many messages with one call.

local t = require "luatrace.types"
local structs = require "luatrace.structs"

local flags = t.flags("msg_flags", { comment = "MSG_???" })

return {
  sendmmsg = { returns = t.i32, classes = "network", { "sockfd", t.fd_socket },
    { "msgvec", t.ptr_inout(structs.mmsghdr_out "vlen") }, { "vlen", t.u32 }, { "flags", flags } },
  recvmmsg = { returns = t.i32, classes = "network", { "sockfd", t.fd_socket },
    { "msgvec", t.ptr_out(structs.mmsghdr_in "ret") }, { "vlen", t.u32 }, { "flags", flags },
    { "timeout", t.ptr_in(structs.timespec) } },
}
