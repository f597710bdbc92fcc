--- A failing disk: a range of each file cannot be read, or what is written to it does not arrive.
--
--   inject.failing_disk { path = "*.db", from = 4096, to = 8191 }
--   inject.failing_disk { path = "*.db" }                            -- all of it
--   inject.failing_disk { path = "*.log", reads = false, writes = true }
--
-- Reads that touch the range give what lies before it, then EIO. Writes into it succeed, as they do while the page
-- cache takes them; the next fsync of the file fails with EIO, once (`direct = true`: the write itself fails). What is
-- mapped into memory is not seen.

local position = require "luatrace.inject.file_position"

return {
  about = "a range of files cannot be read (EIO), or what is written there is lost",
  options = { from = "size", to = "size", errno = "text", reads = "flag", writes = "flag", direct = "flag" },
  add = function(t, options, where)
    local from, to, errno = options.from or 0, options.to or math.huge, options.errno or "EIO"
    if to < from then error("the range ends before it begins", 0) end
    local is_read, is_write = t.matches(position.reads, where), t.matches(position.writes, where)
    local is_sync = t.matches("?fsync,?fdatasync,?syncfs", where)
    local dirty = {}

    if options.reads ~= false then
      t.on[position.reads](function(call)
        local at = is_read(call) and position.of(call, false)
        if not at or at.from > to or at.from + at.count <= from or at.from >= at.stat.size then return end
        if at.from >= from then return call:fail(errno) end
        if from < at.stat.size then position.shorten(call, from - at.from) end
      end)
    end
    if options.writes == false then return end
    t.on[position.writes](function(call)
      local at = is_write(call) and position.of(call, true)
      if not at or at.from > to or at.from + at.count <= from then return end
      if options.direct then
        if at.from >= from then return call:fail(errno) end
        return position.shorten(call, from - at.from)
      end
      dirty[at.stat.id] = true
    end)
    t.on["?fsync,?fdatasync"](function(call)
      local fd = is_sync(call) and call:fds()[1]
      local stat = fd and position.stat(call, fd)
      if stat and dirty[stat.id] then
        dirty[stat.id] = nil
        call:fail(errno)
      end
    end)
  end,
}
