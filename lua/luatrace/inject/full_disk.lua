--- A full disk: so many bytes more fit, then writes are short and fail with ENOSPC until space is freed.
--
--   inject.full_disk { quota = "1M" }
--   inject.full_disk { quota = 0, path = "/var/**" }             -- full from the start, below /var
--   inject.full_disk { quota = "64K", errno = "EDQUOT" }
--
-- Counted is what makes files larger: write and its like, ftruncate, fallocate, copy_file_range, sendfile. Deleting,
-- truncating and replacing files gives back. Writing where a file has its bytes already costs nothing, nor do pipes,
-- sockets and devices. Without `path` or `fd` standard error is spared, so that what a program complains of can be
-- read. What is written through mmap is not seen.

local bit = require "bit"
local files = require "luatrace.sys.files"
local position = require "luatrace.inject.file_position"

local O_TRUNC, FALLOC_FL_KEEP_SIZE = 0x200, 1

return {
  about = "so many bytes fit, then ENOSPC until space is freed",
  options = { quota = "size", errno = "text" },
  required = { "quota" },
  add = function(t, options, where)
    if not where.path and not where.fd then where.fd = { "0..1", "3.." } end
    local freeing_where = { path = where.path, comm = where.comm, exe = where.exe, pid = where.pid,
      after_startup = where.after_startup }
    local left, errno = options.quota, options.errno or "ENOSPC"
    if errno ~= "ENOSPC" and errno ~= "EDQUOT" then error("errno takes ENOSPC or EDQUOT", 0) end
    local extending = "?copy_file_range,?sendfile"
    local is_write, is_copy = t.matches(position.writes, where), t.matches(extending, where)
    local sizing = "?ftruncate,?ftruncate64,?fallocate,?truncate,?truncate64"
    local is_sizing = t.matches(sizing, freeing_where)
    local freeing = "?unlink,?unlinkat,?rename,?renameat,?renameat2,?open,?openat,?openat2,?creat"
    local is_freeing = t.matches(freeing, freeing_where)

    --- Lets a call grow a file by what fits; runs it, and takes off what it has grown.
    local function grow(call, stat_of, from, count, fd_size)
      local growth = math.max(0, from + count - fd_size)
      if growth > left then
        local fits = count - (growth - left)
        if fits <= 0 then return call:fail(errno) end
        position.shorten(call, fits)
      end
      call:run()
      local after = stat_of()
      if not call.errno and after then left = left - math.max(0, after.size - fd_size) end
    end

    t.on[position.writes](function(call)
      local at = is_write(call) and position.of(call, true)
      if at and at.count > 0 then
        grow(call, function() return position.stat(call, at.fd) end, at.from, at.count, at.stat.size)
      end
    end)
    t.on[extending](function(call)
      local at = is_copy(call) and position.of_copy(call)
      if at and at.count > 0 then
        grow(call, function() return position.stat(call, at.fd) end, at.from, at.count, at.stat.size)
      end
    end)
    t.on[sizing](function(call)
      if not is_sizing(call) then return end
      local fd = call:fds()[1]
      local path = not fd and call:paths()[1]
      local function look() return fd and position.stat(call, fd) or path and files.stat(path) end
      local before = look()
      if not before or before.kind ~= "file" then return end
      local wanted
      if call.name == "fallocate" then
        local keeps = bit.band(tonumber(call.raw[2]), FALLOC_FL_KEEP_SIZE) ~= 0
        if keeps then return end
        wanted = tonumber(call.raw[3]) + tonumber(call.raw[4])
      end
      -- A longer file of holes takes no blocks; only fallocate does.
      if wanted and wanted - before.size > left then return call:fail(errno) end
      call:run()
      local after = not call.errno and look()
      if after and (wanted or after.size < before.size) then left = left + before.size - after.size end
    end)
    t.on[freeing](function(call)
      if not is_freeing(call) then return end
      local paths, gone = call:paths(), nil
      local name = call.name
      if name:find("^rename") then
        gone = call.process.fds:path_of(name == "rename" and -100 or tonumber(call.raw[3]), call.newpath)
      elseif name:find("^unlink") then
        gone = paths[1]
      elseif name == "creat" or call.flags and call.flags.value and
        bit.band(tonumber(call.flags.value), O_TRUNC) ~= 0 then
        gone = paths[1]
      end
      local stat = gone and (name:find("^unlink") and files.lstat or files.stat)(gone)
      if not stat or stat.kind ~= "file" or stat.nlink > 1 and not name:find("open") and name ~= "creat" then return end
      call:run()
      if not call.errno then left = left + stat.size end
    end)
  end,
}
