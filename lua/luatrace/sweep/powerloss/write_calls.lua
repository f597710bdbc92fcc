--- The calls that write_log.lua records, one handler a family. Each takes the log's lock, looks before, lets the call
-- run, looks after, and appends what happened.
--
-- Calls that fail have no effect and leave no op. Paths are resolved by the kernel, through the calling thread's own
-- /proc entries (its working directory, root and descriptors), at the moment of the call.

local bit = require "bit"
local call_view = require "luatrace.sweep.powerloss.call_view"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local name_calls = require "luatrace.sweep.powerloss.name_calls"
local sys = require "luatrace.sys"

local band = bit.band
local M = {}

local int, offset_at, string_at, number_behind, proc, fd_path, reachable, open_on, fdinfo, outside = call_view.int,
  call_view.offset_at, call_view.string_at, call_view.number_behind, call_view.proc, call_view.fd_path,
  call_view.reachable, call_view.open_on, call_view.fdinfo, call_view.outside

local AT_FDCWD = call_view.AT_FDCWD
local O_ACCMODE, O_DSYNC, O_SYNC, O_APPEND = 3, 0x1000, 0x101000, 0x400
local RWF_DSYNC, RWF_SYNC, RWF_APPEND = 2, 4, 0x10

-- --- data -----------------------------------------------------------------------------------------------------------

--- The op for one write, its data read back.
local function add_write(log, call, num, node, offset, size, sync)
  local bytes = log:read_back(node, fd_path(call, num), offset, size)
  if not bytes or bytes == "" then return end
  log:add(call, { kind = "write", node = node, offset = offset, bytes = bytes, sync = sync })
  log:refresh_mapped(node)
end

--- What vectors of buffers hold, up to `limit` bytes.
local function vector_bytes(call, address, count, limit)
  if call.arch.bits == 32 or limit <= 0 then return "" end
  local list = call.memory:read(address, math.min(count, 1024) * 16)
  local parts = {}
  local words = ffi.cast("const uint64_t *", list or "")
  for i = 0, #(list or "") / 16 - 1 do
    local size = math.min(tonumber(words[2 * i + 1]), limit)
    if size > 0 then parts[#parts + 1] = call.memory:read(tonumber(words[2 * i]), size) or "" end
    limit = limit - size
    if limit <= 0 then break end
  end
  return table.concat(parts)
end

--- What the world was told by a write to something that is not a file of ours.
local function announce(log, call, stream, bytes_of)
  -- Its place is where it began: the world may have it from then on.
  local op = log:add(call, { kind = "announce", stream = stream, bytes = "" })
  local count = call:run()
  op.bytes = count and bytes_of(call, count) or ""
end

--- The same for our own capture of standard output or error: a file, so what was written is read back from it.
local function announce_output(log, call, num, id)
  local op = log:add(call, { kind = "announce", stream = log.streams[id], bytes = "" })
  local count = call:run()
  if not count or count <= 0 then return end
  local pos = fdinfo(call, num)
  local fd = log:reader(id, fd_path(call, num))
  op.bytes = fd and files.pread(fd, count, pos - count) or ""
end

local function sync_flag(flags, rwf)
  if band(flags, O_SYNC) == O_SYNC or band(rwf, RWF_SYNC) ~= 0 then return "all" end
  if band(flags, O_DSYNC) ~= 0 or band(rwf, RWF_DSYNC) ~= 0 then return "data" end
end

--- write and all its relations. how: { fd = argument index, offset = function(call) -> number|nil, rwf = index,
-- bytes = function(call, count), blocks = true }
local function writes(log, how)
  return function(call)
    local num = int(call, how.fd)
    local node, stat = open_on(log, call, num)
    if not node or node.kind ~= "file" then
      if not stat then return end
      if stat.kind == "socket" then return announce(log, call, "socket", how.bytes) end
      if not log.streams[stat.id] then
        if stat.kind == "file" then outside(log, call, num) end
        return
      end
      if not how.blocks then log:enter(call) end
      announce_output(log, call, num, stat.id)
      if not how.blocks then log:leave() end
      return
    end
    -- From a pipe it may have to wait: then others go first.
    if not how.blocks then log:enter(call) end
    local before = how.offset and how.offset(call)
    local rwf = how.rwf and int(call, how.rwf) or 0
    local count = call:run()
    if count and count > 0 then
      local pos, flags = fdinfo(call, num)
      local offset = before and before >= 0 and before or pos - count
      -- Linux appends whatever the offset says.
      if before and before >= 0 and (band(flags, O_APPEND) ~= 0 or band(rwf, RWF_APPEND) ~= 0) then
        offset = files.stat(fd_path(call, num)).size - count
      end
      add_write(log, call, num, node, offset, count, sync_flag(flags, rwf))
    end
    if not how.blocks then log:leave() end
  end
end

local function plain_bytes(call, count) return call.memory:read(call.raw[2], count) or "" end
local function iov_bytes(call, count) return vector_bytes(call, call.raw[2], call.raw[3], count) end
local function no_bytes() return "" end

local function message_bytes(call, count)
  local header = call.memory:read(call.raw[2], 56)
  if not header or #header < 56 then return "" end
  local words = ffi.cast("const uint64_t *", header)
  return vector_bytes(call, tonumber(words[2]), tonumber(words[3]), count)
end

local function at(i) return function(call) return offset_at(call, i) end end
local function behind(i) return function(call) return number_behind(call, i) end end

local write_family = {
  write = { fd = 1, bytes = plain_bytes },
  writev = { fd = 1, bytes = iov_bytes },
  pwrite64 = { fd = 1, offset = at(4), bytes = plain_bytes },
  pwritev = { fd = 1, offset = at(4), bytes = iov_bytes },
  pwritev2 = { fd = 1, offset = at(4), rwf = 6, bytes = iov_bytes },
  sendfile = { fd = 1, bytes = no_bytes, blocks = true },
  ["?sendfile64"] = { fd = 1, bytes = no_bytes, blocks = true },
  copy_file_range = { fd = 3, offset = behind(4), bytes = no_bytes },
  splice = { fd = 3, offset = behind(4), bytes = no_bytes, blocks = true },
  ["?send"] = { fd = 1, bytes = plain_bytes },
  sendto = { fd = 1, bytes = plain_bytes },
  sendmsg = { fd = 1, bytes = message_bytes },
  sendmmsg = { fd = 1, bytes = no_bytes },
}

local function truncates(log, by_path)
  return function(call)
    local path = by_path and reachable(call, AT_FDCWD, string_at(call, 1) or "") or fd_path(call, int(call, 1))
    local stat = files.stat(path)
    local node = stat and log.by_id[stat.id]
    if not node then return end
    log:enter(call)
    stat = files.stat(path) or stat
    if call:run() then
      local after = files.stat(path)
      if after then log:add_truncate(call, node, stat.size, after.size) end
    end
    log:leave()
  end
end

local FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_COLLAPSE, FALLOC_ZERO, FALLOC_INSERT = 1, 2, 8, 0x10, 0x20

--- All of a file anew: what cannot be said as a write.
local function replace(log, call, node, path)
  local stat = files.stat(path)
  local bytes = stat and log:read_back(node, path, 0, stat.size)
  if bytes then log:add(call, { kind = "replace", node = node, bytes = bytes }) end
  log:refresh_mapped(node)
end

local function fallocate(log)
  return function(call)
    local num = int(call, 1)
    local node, stat = open_on(log, call, num)
    if not node then return end
    log:enter(call)
    local mode, offset = int(call, 2), offset_at(call, 3)
    local length = offset_at(call, call.arch.bits == 32 and 5 or 4)
    stat = files.stat(fd_path(call, num)) or stat
    if call:run() then
      local after = files.stat(fd_path(call, num))
      if band(mode, FALLOC_COLLAPSE + FALLOC_INSERT) ~= 0 then
        replace(log, call, node, fd_path(call, num))
      else
        if band(mode, FALLOC_PUNCH_HOLE + FALLOC_ZERO) ~= 0 and offset < stat.size then
          log:add(call, { kind = "zero", node = node, offset = offset, length = math.min(length, stat.size - offset) })
          log:refresh_mapped(node)
        end
        if after and after.size > stat.size and band(mode, FALLOC_KEEP_SIZE) == 0 then
          log:add(call, { kind = "allocate", node = node, from = stat.size, size = after.size })
          log:refresh_mapped(node)
        end
      end
    end
    log:leave()
  end
end

local FICLONE, FICLONERANGE, FIDEDUPERANGE = 0x40049409, 0x4020940d, 0xc0189436

local function ioctl(log)
  return function(call)
    local request = call.raw[2]
    if request ~= FICLONE and request ~= FICLONERANGE and request ~= FIDEDUPERANGE then return end
    local node = open_on(log, call, int(call, 1))
    if not node or request == FIDEDUPERANGE then return end
    log:enter(call)
    if call:run() then replace(log, call, node, fd_path(call, int(call, 1))) end
    log:leave()
  end
end

-- --- sync -----------------------------------------------------------------------------------------------------------

local function syncs(log, how)
  return function(call)
    local node
    if how.fd then
      node = open_on(log, call, int(call, how.fd))
      if not node then return end
    end
    log:enter(call)
    if next(log.mapped) then log:compare_mapped(call) end
    if call:run() or how.always then
      log:add(call, { kind = "sync", node = not how.everything and node or nil, data_only = how.data_only })
    end
    log:leave()
  end
end

--- The node behind an address of the calling process.
local function mapped_at(log, call, address)
  local maps = sys.read_file(proc(call, "maps")) or ""
  for from, to, major, minor, inode in maps:gmatch("(%x+)%-(%x+) %S+ %x+ (%x+):(%x+) (%d+)") do
    if address >= tonumber(from, 16) and address < tonumber(to, 16) then
      return log.by_id[("%d:%d:%s"):format(tonumber(major, 16), tonumber(minor, 16), inode)]
    end
  end
end

local MS_SYNC, MAP_SHARED_MASK, MAP_SHARED, MAP_SHARED_VALIDATE, PROT_WRITE = 4, 0x0f, 1, 3, 2

local function msync(log)
  return function(call)
    if band(int(call, 3), MS_SYNC) == 0 or type(call.raw[1]) ~= "number" then return end
    local node = mapped_at(log, call, call.raw[1])
    if not node then return end
    log:enter(call)
    log:compare_mapped(call)
    if call:run() then log:add(call, { kind = "sync", node = node, data_only = true }) end
    log:leave()
  end
end

local function mmap(log)
  return function(call)
    -- The old call of 32-bit programs keeps its arguments in memory; nobody has used it for decades.
    if call.name == "mmap" and call.arch.bits == 32 then return end
    local kind = band(int(call, 4), MAP_SHARED_MASK)
    local num = int(call, 5)
    if num < 0 or kind ~= MAP_SHARED and kind ~= MAP_SHARED_VALIDATE then return end
    local node = open_on(log, call, num)
    if not node then return end
    local _, flags = fdinfo(call, num)
    -- One that is read-only now may be made writable later, when the descriptor allows it.
    if band(flags, O_ACCMODE) ~= 2 then return end
    if band(int(call, 3), PROT_WRITE) ~= 0 then log:map(node, fd_path(call, num)) end
    log.shared = log.shared or band(int(call, 3), PROT_WRITE) == 0
  end
end

local function mprotect(log)
  return function(call)
    if not log.shared or band(int(call, 3), PROT_WRITE) == 0 or type(call.raw[1]) ~= "number" then return end
    local node = mapped_at(log, call, call.raw[1])
    if node then log:map(node, proc(call, "root") .. log.directory .. "/" .. log:path_of(node)) end
  end
end

-- --- closing --------------------------------------------------------------------------------------------------------

--- Does any living process still have the node open for writing?
local function still_open(process, node_id)
  for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(process.pid)) or {}) do
    local stat = files.stat(("/proc/%d/fd/%s"):format(process.pid, name))
    if stat and stat.id == node_id then return true end
  end
  return false
end

--- After anything that closes descriptors: files that had been cut to nothing and are open no more.
local function note_closed(log, session, call)
  if not log.cut then return end
  log.cut = nil
  for id, node in pairs(log.by_id) do
    if node.cut_to_zero then
      local seen, open = {}, false
      for _, thread in pairs(session.tree.threads) do
        if not seen[thread.process] then
          seen[thread.process] = true
          open = open or still_open(thread.process, id)
        end
      end
      if open then
        log.cut = true
      else
        node.cut_to_zero = nil
        log:add(call, { kind = "flush", call = call and call.name or "exit", node = node })
      end
    end
  end
end

local function closes(log)
  return function(call)
    if not log.cut then return end
    log:enter(call)
    call:run()
    note_closed(log, call.session, call)
    log:leave()
  end
end

-- --- all together ---------------------------------------------------------------------------------------------------

local sync_family = {
  fsync = { fd = 1 },
  fdatasync = { fd = 1, data_only = true },
  syncfs = { fd = 1, everything = true },
  sync = { everything = true, always = true },
}

--- Puts the handlers into a script's environment.
---@param log luatrace.WriteLog
---@param environment table
---@return table observer
function M.install(log, environment)
  local on = environment.on
  log.device = (files.stat(log.directory) or {}).device
  for name, how in pairs(write_family) do on[name](writes(log, how)) end
  for name, how in pairs(sync_family) do on[name](syncs(log, how)) end
  name_calls.install(log, on)
  on["truncate,?truncate64"](truncates(log, true))
  on["ftruncate,?ftruncate64"](truncates(log, false))
  on.fallocate(fallocate(log))
  on.ioctl(ioctl(log))
  on.msync(msync(log))
  on["mmap,?mmap2"](mmap(log))
  on.mprotect(mprotect(log))
  -- What a mapping holds must be seen before it goes.
  on.munmap(function(call)
    if not next(log.mapped) then return end
    log:enter(call)
    log:compare_mapped(call)
    log:leave()
  end)
  on["close,dup2,dup3,close_range"](closes(log))
  on.io_uring_setup(function(call)
    log:miss("io_uring", ("%s uses io_uring: what it writes through the ring is not seen"):format(
      call.process.comm or "the program"))
  end)
  log.interrupted = function(call)
    log:miss("killed", ("a thread was killed inside %s: whether that took effect is not known"):format(call.name))
  end
  local nothing = function() end
  local observer = { entry = nothing, exit = nothing, signal = nothing, group = nothing, exec = nothing,
    finish = nothing }
  function observer.exit_process(_, _, _, call)
    if call then log:thread_died(call) end
  end
  observer.superseded = observer.exit_process
  function observer.attach(_, session)
    environment.at.exit(function(process)
      if next(log.mapped) then log:compare_mapped(nil) end
      note_closed(log, session, nil)
      if process.number == "0" then
        log:add(nil, { kind = "exit", call = "exit", status = process.status, signal = process.signal,
          process = "0", pid = process.pid })
      end
    end)
  end
  return observer
end

return M
