--- Sentences of calls on sockets; the grammar is in sentences.lua.

local accept = "(accept|accepted) a connection< from {addr:peer}> at {sockfd}[ -> {ret}]"

return { category = "network", rows = {
  socket = "(make|made) {domain:family}< {type:kind}> socket[ -> {ret}]",
  socketpair = "(make|made) two sockets that are connected to each other[: {sv:fdpair}]",
  connect = { { function(call) return call.errno == "EINPROGRESS" end, "(connect|connected) to {addr:peer}" },
    "(connect|connected) {sockfd:fdnum}< to {addr:peer}>" },
  bind = "(bind|bound) {sockfd:fdnum} to< {addr:peer}>",
  listen = "(listen|listens) at {sockfd}",
  accept = accept, accept4 = accept,
  getsockname = "(ask|asked) for the own address of {sockfd}[<: {addr:peer}>]",
  getpeername = "(ask|asked) who is at the other end of {sockfd}[<: {addr:peer}>]",
  sendto = "(send|sent) [{ret:size} ]over {sockfd}< to {dest_addr:peer}>",
  send = "(send|sent) [{ret:size} ]over {sockfd}", recv = "(receive|received) [{ret:size} ]over {sockfd}",
  recvfrom = { { function(call) return call.raw_ret == 0 and call.raw[3] ~= 0 end,
    "(receive|found) the end of what came over {sockfd}" },
    "(receive|received) [{ret:size} ]over {sockfd}[< from {src_addr:peer}>]" },
  sendmsg = "(send|sent) [{ret:size} ]over {sockfd}", recvmsg = "(receive|received) [{ret:size} ]over {sockfd}",
  sendmmsg = "(send|sent) [{ret:number} messages ]over {sockfd}",
  recvmmsg = "(receive|received) [{ret:number} messages ]over {sockfd}",
  shutdown = "(shut|shut) down {sockfd}: {how:names}",
  setsockopt = "(set|set) the option {optname:names} of {sockfd}",
  getsockopt = "(ask|asked) for the option {optname:names} of {sockfd}",
} }
