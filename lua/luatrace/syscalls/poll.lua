--- Waiting for descriptors.

local buffer = require "string.buffer"
local t = require "luatrace.types"
local structs = require "luatrace.structs"

local zero = t.i32
local pollfds = t.ptr_in(t.array(structs.pollfd, "nfds"))
local events_out = t.ptr_out(t.array(structs.epoll_event, "ret"))
local fd_set = t.ptr_in(t.fd_set "nfds")
local timespec = t.ptr_in(structs.timespec)

--- What is left of a timeout that was given.
local function left(struct, place)
  return function(call)
    local address = t.address.load(call, call.raw[place])
    local value = address ~= 0 and struct.fetch(call, address)
    if not value then return "" end
    local text = buffer.new()
    text:put(", left ")
    struct.text(text, call, value)
    return text:tostring()
  end
end

--- select says beside its result which descriptors are ready.
local function ready(time_left)
  return function(call, value)
    if value == 0 then return "Timeout" end
    local text = buffer.new()
    for place, name in ipairs { "in", "out", "except" } do
      local argument = call.row[place + 1].type
      local address = argument.load(call, call.raw[place + 1])
      local list = address ~= 0 and argument.inner.fetch(call, address)
      if list and #list > 0 then
        text:put(#text > 0 and ", " or "", name, " ")
        argument.inner.text(text, call, list)
      end
    end
    local rest = time_left(call)
    return text:tostring() .. (#text == 0 and rest:gsub("^, ", "") or rest)
  end
end

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

local ppoll_left = left(structs.timespec, 3)
local function found_and_left(call, value)
  local what = found(call, value)
  return what and (value == 0 and what or what .. ppoll_left(call))
end

--- pselect6 has its last two arguments in a struct: six are all that fit.
local select_mask = t.struct { { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } }

local EPOLL_CTL_DEL = 2
local event_in = t.ptr_in(structs.epoll_event)
local function epoll_op(call) return t.load.i32(nil, call.raw[2]) end

return {
  poll = { returns = zero, classes = "desc", plain_comment = true, comment = found, { "fds", pollfds },
    { "nfds", t.u32 }, { "timeout", t.i32 } },
  ppoll = { returns = zero, classes = "desc", comment = found_and_left, { "fds", pollfds }, { "nfds", t.u32 },
    { "tmo_p", timespec }, { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } },
  select = { returns = zero, classes = "desc", comment = ready(left(structs.timeval, 5)),
    { "nfds", t.i32 }, { "readfds", fd_set }, { "writefds", fd_set },
    { "exceptfds", fd_set }, { "timeout", t.ptr_in(structs.timeval) } },
  pselect6 = { returns = zero, classes = "desc", comment = ready(left(structs.timespec, 5)),
    { "nfds", t.i32 }, { "readfds", fd_set }, { "writefds", fd_set },
    { "exceptfds", fd_set }, { "timeout", timespec }, { "sigmask", t.ptr_in(select_mask) } },
  epoll_create = { returns = t.fd, classes = "desc", { "size", t.i32 } },
  epoll_create1 = { returns = t.fd, classes = "desc", { "flags", t.flags("epoll_create_flags",
    { comment = "EPOLL_???" }) } },
  epoll_ctl = { returns = zero, varies_by = "op", { "epfd", t.fd_epoll },
    { "op", t.enum("epoll_ctl_op", { comment = "EPOLL_CTL_???" }) }, { "fd", t.fd }, { "event", t.by(function(call)
      return epoll_op(call) == EPOLL_CTL_DEL and t.address or event_in
    end) } },
  epoll_wait = { returns = zero, { "epfd", t.fd_epoll }, { "events", events_out }, { "maxevents", t.i32 },
    { "timeout", t.i32 } },
  epoll_pwait = { returns = zero, { "epfd", t.fd_epoll }, { "events", events_out }, { "maxevents", t.i32 },
    { "timeout", t.i32 }, { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } },
  epoll_pwait2 = { returns = zero, { "epfd", t.fd_epoll }, { "events", events_out }, { "maxevents", t.i32 },
    { "timeout", timespec }, { "sigmask", t.ptr_in(t.sigset "sigsetsize") }, { "sigsetsize", t.size } },
}
