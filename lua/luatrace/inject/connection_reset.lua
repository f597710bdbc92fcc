--- The peer resets the connection after so many bytes.
--
--   inject.connection_reset { after = 1000 }                     -- of what is read
--   inject.connection_reset { after = "64K", of = "written" }    -- or "both"
--   inject.connection_reset { after = 0, times = 1 }             -- the first connection only
--
-- Up to there the data is the peer's: the last read is short. Then reads fail with ECONNRESET, writes with EPIPE and
-- SIGPIPE, as on a real connection, until the descriptor is closed.

local bit = require "bit"

local MSG_NOSIGNAL, MSG_PEEK = 0x4000, 2
local reads = "?read,?readv,?recvfrom,?recvmsg"
local writes = "?write,?writev,?sendto,?sendmsg"

local function flag_set(call, flag)
  local flags = call.row.index.flags and call.row.name:find("^[rs]e[cn][vd]") and call.flags
  return flags and type(flags.value) == "number" and bit.band(flags.value, flag) ~= 0
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
    local short = require "luatrace.verbs.short"
    local connections, resets = {}, 0

    local function connection_of(call)
      local fd = call:fds()[1]
      -- The inode names the connection, whatever its descriptor's number is, in every process.
      local key = fd.inode or call.process.number .. ":" .. fd.num
      local connection = connections[key]
      if not connection then
        connection = { left = options.after }
        connections[key] = connection
      end
      return connection
    end

    --- Has this one been reset, or is it now?
    local function is_reset(connection)
      if connection.reset or connection.spared then return connection.reset end
      if connection.left > 0 then return false end
      if options.times and resets >= options.times then
        connection.spared = true
        return false
      end
      resets = resets + 1
      connection.reset = true
      return true
    end

    local function limit(call, connection)
      local most = short.draw({ value = { min = connection.left, max = connection.left }, random = t.random }, call)
      if most then short.enter(nil, call, most) end
    end

    local function pass(call, connection, counts)
      if counts and not connection.spared then limit(call, connection) end
      local moved = call:run()
      if counts and type(moved) == "number" then connection.left = connection.left - moved end
    end

    t.on[reads](function(call)
      if not is_read(call) or flag_set(call, MSG_PEEK) then return end
      local connection = connection_of(call)
      if is_reset(connection) then
        -- The kernel tells of a reset once; then the connection is at its end.
        if connection.told then return call:returns(0) end
        connection.told = true
        return call:fail "ECONNRESET"
      end
      pass(call, connection, counted ~= "written")
    end)
    t.on[writes](function(call)
      if not is_write(call) then return end
      local connection = connection_of(call)
      if is_reset(connection) then
        if not flag_set(call, MSG_NOSIGNAL) then call:signal "SIGPIPE" end
        return call:fail "EPIPE"
      end
      pass(call, connection, counted ~= "read")
    end)
  end,
}
