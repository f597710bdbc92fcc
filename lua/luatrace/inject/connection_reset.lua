--- The peer resets the connection after so many bytes.
--
--   inject.connection_reset { after = 1000 }                     -- of what is read
--   inject.connection_reset { after = "64K", of = "written" }    -- or "both"
--   inject.connection_reset { after = 0, times = 1 }             -- the first connection only
--
-- Up to there the data is the peer's: the last read is short. Then the connection is broken in fact, for the peer, too,
-- so that poll and all that the kernel says agree: the next call fails with ECONNRESET, later reads are at the end,
-- later writes fail with EPIPE and SIGPIPE, as after a reset. Only sockets of streams have connections.

local bit = require "bit"
local descriptors = require "luatrace.sys.descriptors"
local short = require "luatrace.verbs.short"

local MSG_PEEK = 2
local reads = "?read,?readv,?recv,?recvfrom,?recvmsg"
local writes = "?write,?writev,?send,?sendto,?sendmsg"
local copies = "?sendfile,?sendfile64,?splice"

local function is_peek(call)
  local index = call.row.name:find("^recv") and call.row.index.flags
  return index and bit.band(tonumber(call.raw[index]), MSG_PEEK) ~= 0
end

--- Lets no more than so many bytes through.
local function limit(call, most)
  local drawn = short.draw({ value = { min = most, max = most } }, call)
  if drawn then short.enter(nil, call, drawn) end
  -- Of a message that is received, the kernel's words have been brought back already.
  if call.phase == "entry" then call:run() end
  return call.errno == nil and call.ret
end

return {
  about = "a connection is reset after so many bytes",
  options = { after = "size", of = "text", times = "count" },
  required = { "after" },
  add = function(t, options, where)
    local counted = options.of or "read"
    if counted ~= "read" and counted ~= "written" and counted ~= "both" then
      error("of takes read, written or both", 0)
    end
    where.fd = where.fd or "socket"
    local is_read, is_write = t.matches(reads, where), t.matches(writes, where)
    local is_copy = t.matches(copies, where)
    local connections, resets = {}, 0

    --- The inode names a connection, whatever its descriptor's number is, in every process.
    local function connection_of(call, fd)
      local key = fd.inode or call.process.number .. ":" .. fd.num
      local connection = connections[key]
      if not connection then
        local kind, domain = descriptors.socket_kind(call.process.pid, fd.num)
        connection = { left = options.after, is_internet = domain ~= "unix", spared = kind ~= "stream" }
        connections[key] = connection
      end
      return connection
    end

    --- Is it reset, or now?
    local function check(call, fd, connection)
      if connection.reset or connection.spared or connection.left > 0 then return connection.reset end
      if options.times and resets >= options.times then
        connection.spared = true
        return false
      end
      resets = resets + 1
      connection.reset = true
      descriptors.reset_connection(call.process.pid, fd.num, connection.is_internet)
      return true
    end

    local function after_reset(call, connection, is_reading)
      if is_reading and not connection.is_internet then
        -- What a Unix socket has left is gone, too. A reset is told once; then the connection is at its end.
        if connection.told then return call:returns(0) end
        connection.told = true
        return call:fail "ECONNRESET"
      end
      local _, errno = call:run()
      if is_reading and errno == "ENOTCONN" then call:returns(0) end
    end

    local function pass(call, fd, is_reading)
      local connection = connection_of(call, fd)
      if check(call, fd, connection) then return after_reset(call, connection, is_reading) end
      local counts = counted == "both" or (counted == "read") == is_reading
      if not counts or connection.spared then return end
      local moved = limit(call, connection.left)
      if type(moved) ~= "number" then return end
      connection.left = connection.left - moved
      check(call, fd, connection)
    end

    t.on[reads](function(call)
      if is_read(call) and not is_peek(call) then pass(call, call:fds()[1], true) end
    end)
    t.on[writes](function(call)
      if is_write(call) then pass(call, call:fds()[1], false) end
    end)
    t.on[copies](function(call)
      if not is_copy(call) then return end
      local target = call[call.row.index.out_fd and "out_fd" or "fd_out"]
      local source = call[call.row.index.in_fd and "in_fd" or "fd_in"]
      if target.kind == "socket" then
        pass(call, target, false)
      elseif source.kind == "socket" then
        pass(call, source, true)
      end
    end)
  end,
}
