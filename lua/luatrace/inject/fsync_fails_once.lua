--- fsync fails once for each file and then says that all is well, as Linux does: the pages that could not be written
-- are marked clean, and nobody hears of them again.
--
--   inject.fsync_fails_once { path = "*.db" }
--   inject.fsync_fails_once { errno = "ENOSPC", nth = 3 }     -- the third fsync of each file
--
-- After the failure fsync returns 0 without doing anything: a program that tries again and goes on believes its data to
-- be safe. Where the file has been opened more than once, each opening is told once, as by Linux.

local position = require "luatrace.inject.file_position"
local sync_error = require "luatrace.inject.sync_error"

return {
  about = "fsync fails once for each file, and then lies",
  options = { errno = "text", nth = "count" },
  add = function(t, options, where)
    local matches = t.matches("?fsync,?fdatasync", where)
    local counts, errors, wanted = {}, sync_error.new(), options.nth or 1
    t.on["?fsync,?fdatasync"](function(call)
      local fd = matches(call) and call:fds()[1]
      local stat = fd and position.stat(call, fd)
      if not stat then return end
      local count = (counts[stat.id] or 0) + 1
      counts[stat.id] = count
      if count == wanted then errors:arise(call, stat.id) end
      if errors:is_due(call, fd) then return call:fail(options.errno or "EIO") end
      if count > wanted then call:returns(0) end
    end)
  end,
}
