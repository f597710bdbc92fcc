--- Nobody listens there: connect fails.
--
--   inject.connection_refused { port = 5432 }
--   inject.connection_refused { address = "10.*", errno = "ETIMEDOUT", after = "3s", times = 2 }
--
-- `errno` may be any that connect gives (ECONNREFUSED by default), `after` is how long it takes to fail, `times` how
-- often it does before connections go through. Without `port` and `address` all internet addresses are meant. Datagram
-- sockets connect as ever: nobody need listen there.
--
-- On a socket that does not wait connect says EINPROGRESS, poll that it is over, and getsockopt(SO_ERROR), or whatever
-- is done next, what has become of it.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local descriptors = require "luatrace.sys.descriptors"
local matcher = require "luatrace.filter.matcher"
local realistic = require "luatrace.rules.realistic"
local sys = require "luatrace.sys"

local O_NONBLOCK, SOL_SOCKET, SO_ERROR = 0x800, 1, 4
--- What the network tells later; all else is known at once.
local told_later = { ECONNREFUSED = true, ETIMEDOUT = true, EHOSTUNREACH = true, ENETUNREACH = true }
local transfers = "?read,?readv,?recv,?recvfrom,?recvmsg,?write,?writev,?send,?sendto,?sendmsg"

return {
  about = "connect fails with ECONNREFUSED, or another error",
  options = { port = "count", address = "text", errno = "text", after = "time", times = "count" },
  add = function(t, options, where)
    local errno, left = options.errno or "ECONNREFUSED", options.times or math.huge
    if not constants.errno.by_name[errno] then error(("there is no error %q (see errno(3))"):format(errno), 0) end
    local ok, message = realistic.check(assert(matcher.compile("connect", {})), { errno }, "connect")
    if not ok then error(message, 0) end
    where.arg = {}
    if options.port then where.arg["addr.port"] = options.port end
    if options.address then where.arg["addr.ip"] = options.address end
    if not options.port and not options.address then where.arg["addr.family"] = { "AF_INET", "AF_INET6" } end
    local is_meant = t.matches("connect", where)
    local pending = {} -- by inode: when the failure may be told

    --- Tells what has become of a connection that was in progress.
    local function settle(call, fd)
      local due = fd and fd.inode and pending[fd.inode]
      if not due then return false end
      local now = tonumber(sys.monotonic())
      if due > now then call:sleep((due - now) / 1e9) end
      pending[fd.inode] = nil
      return true
    end

    t.on.connect(function(call)
      local fd = call:fds()[1]
      if fd and fd.inode and pending[fd.inode] then
        if tonumber(sys.monotonic()) < pending[fd.inode] then return call:fail "EALREADY" end
        pending[fd.inode] = nil
        return call:fail(errno)
      end
      if left <= 0 or not is_meant(call) then return end
      if descriptors.socket_kind(call.process.pid, fd.num) ~= "stream" then return end
      left = left - 1
      if told_later[errno] and bit.band(fd.flags or 0, O_NONBLOCK) ~= 0 then
        pending[fd.inode] = tonumber(sys.monotonic()) + (options.after or 0) * 1e9
        return call:fail "EINPROGRESS"
      end
      if options.after then call:sleep(options.after) end
      call:fail(errno)
    end)
    t.on.getsockopt(function(call)
      if next(pending) == nil then return end
      if tonumber(call.raw[2]) ~= SOL_SOCKET or tonumber(call.raw[3]) ~= SO_ERROR then return end
      if not settle(call, call:fds()[1]) or not call:run() then return end
      call.memory:write(call.raw[4], ffi.string(ffi.new("int32_t[1]", constants.errno.by_name[errno]), 4))
    end)
    t.on[transfers](function(call)
      if next(pending) ~= nil and settle(call, call:fds()[1]) then call:fail(errno) end
    end)
  end,
}
