--- Short reads and writes: POSIX allows them at any time, few programs are ready for them.
--
--   inject.short_io { path = "*.db" }              -- a length by chance, each time
--   inject.short_io { max = 1, writes = false }    -- one byte a read
--   inject.short_io { chance = 0.1 }               -- now and then
--
-- The kernel is given a smaller count, so data, results and file positions agree. Left alone is what is never short:
-- datagrams (their rest would be lost), eventfds and their like, and writes into pipes of no more than PIPE_BUF bytes.

local descriptors = require "luatrace.sys.descriptors"
local short = require "luatrace.verbs.short"

local reads = "?read,?readv,?pread64,?preadv,?preadv2,?recv,?recvfrom"
local writes = "?write,?writev,?pwrite64,?pwritev,?pwritev2,?send,?sendto,?sendmsg,?sendfile,?sendfile64," ..
  "?copy_file_range,?splice"

local PIPE_BUF = 4096
local any_length = { file = true, memfd = true, tty = true, char = true, block = true }

return {
  about = "reads and writes move less than was asked for",
  options = { max = "count", chance = "chance", reads = "flag", writes = "flag" },
  add = function(t, options, where)
    if options.max == 0 then error("max takes 1 or more: moving nothing means the end", 0) end
    where.prob = options.chance ~= 1 and options.chance or nil
    local streams = {}

    local function is_stream(call, fd)
      local known = streams[fd.inode or false]
      if known == nil then
        local kind = descriptors.socket_kind(call.process.pid, fd.num)
        known = kind == "stream" or kind == nil
        if fd.inode then streams[fd.inode] = known end
      end
      return known
    end

    local function may_be_short(is_write)
      return function(call)
        for _, fd in ipairs(call:fds()) do
          local kind = fd.kind
          if kind == "socket" then
            if not is_stream(call, fd) then return false end
          elseif kind == "pipe" then
            if is_write and #call:fds() == 1 and (short.asked(call) or 0) <= PIPE_BUF then return false end
          elseif not any_length[kind] then
            return false
          end
        end
        return true
      end
    end

    local function add(calls, is_write)
      local here = { when = may_be_short(is_write) }
      for key, value in pairs(where) do here[key] = value end
      t.short(calls, options.max, here)
    end
    if options.reads ~= false then add(reads, false) end
    if options.writes ~= false then add(writes, true) end
  end,
}
