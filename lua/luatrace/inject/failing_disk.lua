--- A failing disk: a range of each file cannot be read, or what is written to it does not arrive.
--
--   inject.failing_disk { path = "*.db", from = 4096, to = 8191 }
--   inject.failing_disk { path = "*.db" }                            -- all of it
--   inject.failing_disk { path = "*.log", reads = false, writes = true }
--
-- Reads that touch the range give what lies before it, then EIO; so do copies inside the kernel. Writes into it
-- succeed, as they do while the page cache takes them; the next fsync of the file fails with EIO, once for each time
-- that it has been opened (with `direct = true`, and on files with O_SYNC or O_DSYNC, the write itself fails). The data
-- stays in the cache, as it would until a restart. What is mapped into memory is not seen.

local position = require "luatrace.inject.file_position"
local sync_error = require "luatrace.inject.sync_error"

return {
  about = "a range of files cannot be read (EIO), or what is written there is lost",
  options = { from = "size", to = "size", errno = "text", reads = "flag", writes = "flag", direct = "flag" },
  add = function(t, options, where)
    local from, to, errno = options.from or 0, options.to or math.huge, options.errno or "EIO"
    if to < from then error("the range ends before it begins", 0) end
    local is_path = where.path and position.path_test(where.path)
    local is_read, is_write = t.matches(position.reads, where), t.matches(position.writes, where)
    local is_copy, is_sync = t.matches(position.copies, where), t.matches("?fsync,?fdatasync", where)
    local fails_reads, fails_writes = options.reads ~= false, options.writes ~= false
    local errors = sync_error.new()

    --- What lies before the range goes through; then the error.
    local function stop_at_range(call, at)
      if at.from >= from then return call:fail(errno) end
      position.shorten(call, from - at.from)
    end

    local function touches(at) return at.count > 0 and at.from <= to and at.from + at.count > from end

    local function reads_range(at) return touches(at) and at.from < at.stat.size and from < at.stat.size end

    --- A write into the range: the cache takes it, the next fsync tells; unless it waits for the disk.
    local function write_range(call, at)
      if options.direct or position.is_synchronous(call, at.fd) then return stop_at_range(call, at) end
      errors:arise(call, at.stat.id)
    end

    if fails_reads then
      t.on[position.reads](function(call)
        local at = is_read(call) and position.of(call, false)
        if at and reads_range(at) then stop_at_range(call, at) end
      end)
    end
    t.on[position.copies](function(call)
      if not is_copy(call) then return end
      local source, target = position.of_copy(call)
      if fails_reads and source and reads_range(source) and (not is_path or is_path(source.fd)) then
        return stop_at_range(call, source)
      end
      if fails_writes and target and touches(target) and (not is_path or is_path(target.fd)) then
        write_range(call, target)
      end
    end)
    if not fails_writes then return end
    t.on[position.writes](function(call)
      local at = is_write(call) and position.of(call, true)
      if at and touches(at) then write_range(call, at) end
    end)
    t.on["?fsync,?fdatasync"](function(call)
      local fd = is_sync(call) and call:fds()[1]
      if fd and errors:is_due(call, fd) then call:fail(errno) end
    end)
  end,
}
