--- A full disk: so many bytes more fit, then writes are short and fail with ENOSPC until space is freed.
--
--   inject.full_disk { quota = "1M" }
--   inject.full_disk { quota = 0, path = "/var/**" }             -- full from the start, below /var
--   inject.full_disk { quota = "64K", errno = "EDQUOT" }
--
-- Counted is what is written behind the end of files and into holes: write and its like, fallocate, copy_file_range,
-- sendfile, splice. Deleting, truncating and replacing files gives back, when nobody has them open any more. Writing
-- where a file has its bytes already costs nothing, nor do pipes, sockets and devices. Without `path` or `fd` standard
-- error is spared, so that what a program complains of can be read. What is written through mmap is not seen.

local bit = require "bit"
local files = require "luatrace.sys.files"
local position = require "luatrace.inject.file_position"
local ranges = require "luatrace.inject.ranges"

local O_TRUNC, FALLOC_FL_KEEP_SIZE, RENAME_EXCHANGE = 0x200, 1, 2

local function open_flags(call)
  local flags = call.flags or type(call.how) == "table" and call.how.flags
  return flags and flags.value and tonumber(flags.value) or 0
end

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
    local under_way, nameless, holes = {}, {}, {}
    local is_write, is_copy = t.matches(position.writes, where), t.matches(position.copies, where)
    local sizing = "?ftruncate,?ftruncate64,?fallocate,?truncate,?truncate64"
    local is_sizing = t.matches(sizing, freeing_where)
    local freeing = "?unlink,?unlinkat,?rename,?renameat,?renameat2,?open,?openat,?openat2,?creat"
    local is_freeing = t.matches(freeing, freeing_where)

    --- Gives back what files without a name took, once nobody has them open any more.
    ---@return boolean some
    local function reclaim(session)
      if next(nameless) == nil then return false end
      local open, found = position.open_nameless(session), false
      for id, size in pairs(nameless) do
        if not open[id] then
          left, nameless[id], holes[id], found = left + size, nil, nil, true
        end
      end
      return found
    end

    local is_path = where.path and position.path_test(where.path)

    --- What a file has no bytes for yet.
    local function holes_of(id, size)
      local set = size > 0 and holes[id] or ranges.new()
      holes[id] = set
      return set
    end

    --- How many bytes a file takes: of holes that were there before only its blocks tell.
    local function taken_by(stat)
      local filled = stat.size - (holes[stat.id] and holes[stat.id]:overlap(0, stat.size) or 0)
      return math.min(filled, stat.blocks * 512)
    end

    --- The most of so many bytes that cost no more than there is.
    local function that_fit(count, cost_of)
      local fits, too_many = 0, count + 1
      while too_many - fits > 1 do
        local middle = math.floor((fits + too_many) / 2)
        if cost_of(middle) <= left then fits = middle else too_many = middle end
      end
      return fits
    end

    --- Lets a call write what fits, and takes off what it has written behind the end of the file and into holes.
    local function grow(call, at)
      if at.count <= 0 or at.fd.path:find("^/proc/") or at.fd.path:find("^/sys/") then return end
      local id = at.stat.id
      local file = under_way[id] or { count = 0, size = at.stat.size }
      -- Where calls that other threads are making will end: those bytes are paid.
      local size = math.max(file.size, at.stat.size)
      local from = at.appends and size or at.from
      local set = holes_of(id, size)
      local function cost_of(count)
        return math.max(0, math.min(count, from + count - size)) + set:overlap(from, from + count)
      end
      local count = at.count
      if cost_of(count) > left and reclaim(call.session) then return grow(call, at) end
      if cost_of(count) > left then
        count = that_fit(count, cost_of)
        if count == 0 then return call:fail(errno) end
        position.shorten(call, count)
      end
      local paid, filled = cost_of(count), set:copy()
      left = left - paid
      if from > size then set:add(size, from) end
      set:remove(from, from + count)
      file.count, file.size = file.count + 1, math.max(size, from + count)
      under_way[id] = file
      local moved = call:run()
      moved = type(moved) == "number" and moved or 0
      if moved < count then
        left = left + paid - math.max(0, math.min(moved, from + moved - size)) - filled:overlap(from, from + moved)
        filled:remove(0, from + moved)
        filled:remove(from + count, math.huge)
        for _, hole in ipairs(filled.list) do set:add(hole[1], hole[2]) end
        if moved == 0 then set:remove(size, from) end
      end
      file.count = file.count - 1
      if file.count == 0 then under_way[id] = nil end
      if at.stat.nlink == 0 then nameless[id] = taken_by(position.stat(call, at.fd) or at.stat) end
    end

    t.on[position.writes](function(call)
      local at = is_write(call) and position.of(call, true)
      if at then grow(call, at) end
    end)
    t.on[position.copies](function(call)
      if not is_copy(call) then return end
      local _, target = position.of_copy(call)
      if target and (not is_path or is_path(target.fd)) then grow(call, target) end
    end)
    t.on[sizing](function(call)
      if not is_sizing(call) then return end
      local fd = call:fds()[1]
      local path = not fd and call:paths()[1]
      local function look() return fd and position.stat(call, fd) or path and files.stat(path) end
      local before = look()
      if not before or before.kind ~= "file" then return end
      local wanted, cost = nil, 0
      if call.name == "fallocate" then
        local keeps = bit.band(tonumber(call.raw[2]), FALLOC_FL_KEEP_SIZE) ~= 0
        if keeps then return end
        local from = position.number(call, "offset")
        wanted = { from, from + position.number(call, "len") }
        cost = math.max(0, wanted[2] - math.max(from, before.size)) +
          holes_of(before.id, before.size):overlap(from, wanted[2])
      end
      -- A longer file of holes takes no blocks; only fallocate does.
      if cost > left then reclaim(call.session) end
      if cost > left then return call:fail(errno) end
      call:run()
      local after = not call.errno and look()
      if not after then return end
      if after.size < before.size then
        local gone = holes[before.id] and holes[before.id]:remove(after.size, before.size) or 0
        left = left + math.min(before.size - after.size - gone, before.blocks * 512)
      elseif wanted then
        left = left - cost
        holes_of(before.id, before.size):remove(wanted[1], wanted[2])
        if wanted[1] > before.size then holes[before.id]:add(before.size, wanted[1]) end
      elseif after.size > before.size then
        holes_of(before.id, before.size):add(before.size, after.size)
      end
    end)
    t.on[freeing](function(call)
      if not is_freeing(call) then return end
      local paths, gone = call:paths(), nil
      local name = call.name
      if name == "renameat2" and bit.band(tonumber(call.raw[5]), RENAME_EXCHANGE) ~= 0 then return end
      if name:find("^rename") then
        gone = call.process.fds:path_of(name == "rename" and -100 or tonumber(call.raw[3]), call.newpath)
      elseif name:find("^unlink") then
        gone = paths[1]
      elseif name == "creat" or bit.band(open_flags(call), O_TRUNC) ~= 0 then
        gone = paths[1]
      end
      -- What is replaced or removed is the name itself; what is opened is what it leads to.
      local opens = name:find "^open" or name == "creat"
      local stat = gone and (opens and files.stat or files.lstat)(gone)
      if not stat or stat.kind ~= "file" or stat.nlink > 1 and not opens then return end
      call:run()
      if call.errno then return end
      if opens then
        left = left + taken_by(stat)
        holes[stat.id] = nil
      else
        -- Its bytes are free when it is not open any more, too: looked at when they are needed.
        nameless[stat.id] = taken_by(stat)
      end
    end)
  end,
}
