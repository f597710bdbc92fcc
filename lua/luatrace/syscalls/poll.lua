--- Waiting for descriptors.

local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero = t.i32
local pollfds = t.ptr_in(t.array(structs.pollfd, "nfds"))
local events_out = t.ptr_out(t.array(structs.epoll_event, "ret"))
local fd_set = t.ptr_in(t.fd_set "nfds")
local timespec = t.ptr_in(structs.timespec)

--- poll says beside its result what it found.
local function found(call, value)
  if value == 0 then return "Timeout" end
  local list = pollfds.inner.fetch(call, call.raw[1])
  if not list then return nil end
  local parts = {}
  for i = 1, list.n do
    if list[i].revents ~= 0 then
      parts[#parts + 1] = ("{fd=%d, revents=%s}"):format(list[i].fd,
        structs.pollfd.definition[3][2].string(list[i].revents % 65536))
    end
  end
  return "[" .. table.concat(parts, ", ") .. "]"
end

return {
  poll = { returns = zero, classes = "desc", plain_comment = true, comment = found, { "fds", pollfds },
    { "nfds", t.u32 }, { "timeout", t.i32 } },
  ppoll = { returns = zero, classes = "desc", comment = found, { "fds", pollfds }, { "nfds", t.u32 },
    { "tmo_p", timespec }, { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } },
  select = { returns = zero, classes = "desc", { "nfds", t.i32 }, { "readfds", fd_set }, { "writefds", fd_set },
    { "exceptfds", fd_set }, { "timeout", t.ptr_in(structs.timeval) } },
  pselect6 = { returns = zero, classes = "desc", { "nfds", t.i32 }, { "readfds", fd_set }, { "writefds", fd_set },
    { "exceptfds", fd_set }, { "timeout", timespec }, { "sigmask", t.address } },
  epoll_create = { returns = t.fd, classes = "desc", { "size", t.i32 } },
  epoll_create1 = { returns = t.fd, classes = "desc", { "flags", t.flags("epoll_create_flags",
    { comment = "EPOLL_???" }) } },
  epoll_ctl = { returns = zero, { "epfd", t.fd_epoll }, { "op", t.enum("epoll_ctl_op", { comment = "EPOLL_CTL_???" }) },
    { "fd", t.fd }, { "event", t.ptr_in(structs.epoll_event) } },
  epoll_wait = { returns = zero, { "epfd", t.fd_epoll }, { "events", events_out }, { "maxevents", t.i32 },
    { "timeout", t.i32 } },
  epoll_pwait = { returns = zero, { "epfd", t.fd_epoll }, { "events", events_out }, { "maxevents", t.i32 },
    { "timeout", t.i32 }, { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } },
  epoll_pwait2 = { returns = zero, { "epfd", t.fd_epoll }, { "events", events_out }, { "maxevents", t.i32 },
    { "timeout", timespec }, { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } },
}
