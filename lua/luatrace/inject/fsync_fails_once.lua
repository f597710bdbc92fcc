--- fsync fails once for each file and then says that all is well, as Linux does: the pages that could not be written
-- are marked clean, and nobody hears of them again.
--
--   inject.fsync_fails_once { path = "*.db" }
--   inject.fsync_fails_once { errno = "ENOSPC", nth = 3 }     -- the third fsync of each file
--
-- After the failure fsync returns 0 without doing anything: a program that tries again and goes on believes its data to
-- be safe.

return {
  about = "fsync fails once for each file, and then lies",
  options = { errno = "text", nth = "count" },
  add = function(t, options, where)
    local matches = t.matches("?fsync,?fdatasync", where)
    local files = {}
    t.on["?fsync,?fdatasync"](function(call)
      if not matches(call) then return end
      local path = call:paths()[1] or call.process.number .. ":" .. call.raw[1]
      local file = files[path] or { count = 0 }
      files[path] = file
      file.count = file.count + 1
      local wanted = options.nth or 1
      if file.count == wanted then return call:fail(options.errno or "EIO") end
      if file.count > wanted then call:returns(0) end
    end)
  end,
}
