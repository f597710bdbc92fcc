--- Short reads and writes: POSIX allows them at any time, few programs are ready for them.
--
--   inject.short_io { path = "*.db" }              -- a length by chance, each time
--   inject.short_io { max = 1, writes = false }    -- one byte a read
--   inject.short_io { chance = 0.1 }               -- now and then
--
-- The kernel is given a smaller count, so data, results and file positions agree.

local reads = "?read,?readv,?pread64,?preadv,?preadv2,?recvfrom"
local writes = "?write,?writev,?pwrite64,?pwritev,?pwritev2,?sendto,?sendmsg,?sendfile,?copy_file_range,?splice"

return {
  about = "reads and writes move less than was asked for",
  options = { max = "count", chance = "chance", reads = "flag", writes = "flag" },
  add = function(t, options, where)
    where.prob = options.chance ~= 1 and options.chance or nil
    local function copy()
      local result = {}
      for key, value in pairs(where) do result[key] = value end
      return result
    end
    if options.reads ~= false then t.short(reads, options.max, copy()) end
    if options.writes ~= false then t.short(writes, options.max, copy()) end
  end,
}
