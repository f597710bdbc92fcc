--- The calls that change names, for write_log.lua: create, link, rename, remove; and permissions.

local bit = require "bit"
local call_view = require "luatrace.sweep.powerloss.call_view"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local band = bit.band
local int, string_at, reachable, place, fd_path, outside = call_view.int, call_view.string_at, call_view.reachable,
  call_view.place, call_view.fd_path, call_view.outside
local M = {}

local AT_FDCWD = call_view.AT_FDCWD
local O_CREAT, O_TRUNC, O_TMPFILE = 0x40, 0x200, 0x410000

--- A new node for what has just come to be at a path.
local function made(log, stat, path, where)
  local node = log:add_node(stat.id, { kind = stat.kind, mode = stat.mode, size = 0, parent = where and where.dir,
    name = where and where.name })
  if stat.kind == "dir" then node.names = {} end
  if stat.kind == "symlink" then node.target = sys.readlink(path) end
  return node
end

local function opens(log, how)
  return function(call)
    local flags
    if how.how then
      local bytes = call.memory:read(call.raw[how.how], 8)
      flags = bytes and #bytes == 8 and tonumber(ffi.cast("const uint32_t *", bytes)[0]) or 0
    else
      flags = how.flags and int(call, how.flags) or O_CREAT + O_TRUNC + 1
    end
    local temporary = band(flags, O_TMPFILE) == O_TMPFILE
    if band(flags, O_CREAT + O_TRUNC) == 0 and not temporary then return end
    local path = string_at(call, how.path)
    if not path then return end
    local full = reachable(call, how.dirfd and int(call, how.dirfd) or AT_FDCWD, path)
    local before = files.stat(full)
    -- Nothing of a file that is there, and of fifos and devices, is changed: and some of them block.
    if before and not temporary and (before.kind ~= "file" or band(flags, O_TRUNC) == 0) then return end
    log:enter(call)
    before = files.stat(full)
    local fd = call:run()
    if fd then
      local own = fd_path(call, fd)
      local stat = files.stat(own)
      if stat and (temporary or not before) then
        local real = sys.readlink(own) or ""
        local parent = files.stat(real:match("^(.*)/[^/]*$") or "")
        local dir = parent and log.by_id[parent.id]
        if temporary then
          if stat.device == log.device then made(log, stat, own) end
        elseif dir then
          local name = real:match("[^/]*$")
          log:add(call, { kind = "create", dir = dir, name = name, node = made(log, stat, own, { dir = dir,
            name = name }) })
        else
          outside(log, call, fd)
        end
      elseif stat and log.by_id[stat.id] then
        log:add_truncate(call, log.by_id[stat.id], before.size, stat.size)
      elseif stat then
        outside(log, call, fd)
      end
    end
    log:leave()
  end
end

--- What an argument names, of a path at a directory's descriptor or where the thread is.
local function named(log, call, dirfd, path)
  return place(log, call, dirfd and int(call, dirfd) or AT_FDCWD, string_at(call, path))
end

--- Calls that give or take a name in a directory of ours: `does` has the call run, and says what has come of it.
local function naming(does)
  return function(log, how)
    return function(call)
      local where = named(log, call, how.dirfd, how.path)
      if not where or not where.dir then return end
      log:enter(call)
      does(log, call, where)
      log:leave()
    end
  end
end

--- mkdir, mknod, symlink: a path where there was nothing.
local makes = naming(function(log, call, where)
  if not call:run() then return end
  local stat = files.lstat(where.path)
  if stat and (stat.kind == "file" or stat.kind == "dir" or stat.kind == "symlink" or stat.kind == "fifo") then
    log:add(call, { kind = "create", dir = where.dir, name = where.name, node = made(log, stat, where.path, where) })
  end
end)

--- A file from elsewhere on the same file system (TMPDIR) has got a name here: it is new, and written just now.
local function arrived(log, call, stat, where, replaced)
  if stat.kind == "dir" then
    return log:miss("directory " .. where.path, "a directory was renamed into this one: it is not in the states")
  end
  local node = made(log, stat, where.path, where)
  if stat.kind == "file" and stat.size > 0 then
    local bytes = log:read_back(node, where.path, 0, stat.size)
    if bytes then log:add(call, { kind = "write", node = node, offset = 0, bytes = bytes }) end
  end
  log:add(call, { kind = "link", dir = where.dir, name = where.name, node = node, replaced = replaced })
end

local links = naming(function(log, call, where)
  if not call:run() then return end
  local stat = files.lstat(where.path)
  local node = stat and log.by_id[stat.id]
  if node then
    if not node.parent then node.parent, node.name = where.dir, where.name end
    log:add(call, { kind = "link", dir = where.dir, name = where.name, node = node,
      path = log:path_in(where.dir, where.name) })
  elseif stat then
    arrived(log, call, stat, where)
  end
end)

local unlinks = naming(function(log, call, where)
  local stat = files.lstat(where.path)
  local node = stat and log.by_id[stat.id]
  if call:run() and node then
    log:add(call, { kind = "unlink", dir = where.dir, name = where.name, node = node,
      path = log:path_in(where.dir, where.name) })
  end
end)

local RENAME_EXCHANGE = 2

local function renames(log, how)
  return function(call)
    local from, to = named(log, call, how.from_fd, how.from), named(log, call, how.to_fd, how.to)
    if not from or not to or not (from.dir or to.dir) then return end
    log:enter(call)
    local source, target = files.lstat(from.path), files.lstat(to.path)
    local same = source and target and source.id == target.id
    local exchange = how.flags and band(int(call, how.flags), RENAME_EXCHANGE) ~= 0 or nil
    if call:run() and source and not same then
      local node, replaced = log.by_id[source.id], target and log.by_id[target.id]
      if not from.dir then
        arrived(log, call, source, to, replaced)
      elseif not to.dir then
        if node then
          log:add(call, { kind = "unlink", dir = from.dir, name = from.name, node = node,
            path = log:path_in(from.dir, from.name) })
        end
      elseif node then
        local old = log:path_of(node)
        node.parent, node.name = to.dir, to.name
        if exchange and replaced then replaced.parent, replaced.name = from.dir, from.name end
        log:add(call, { kind = "rename", from_dir = from.dir, from_name = from.name, dir = to.dir, name = to.name,
          node = node, replaced = replaced, exchange = exchange, from_path = old })
      end
    end
    log:leave()
  end
end

local function chmods(log, how)
  return function(call)
    local path
    if how.fd then
      path = fd_path(call, int(call, how.fd))
    else
      path = reachable(call, how.dirfd and int(call, how.dirfd) or AT_FDCWD, string_at(call, how.path) or "")
    end
    local stat = files.stat(path)
    local node = stat and log.by_id[stat.id]
    if not node then return end
    log:enter(call)
    if call:run() then
      local after = files.stat(path)
      if after and after.mode ~= stat.mode then
        log:add(call, { kind = "chmod", node = node, mode = after.mode })
      end
    end
    log:leave()
  end
end

local families = {
  { opens, { open = { path = 1, flags = 2 }, openat = { dirfd = 1, path = 2, flags = 3 },
    openat2 = { dirfd = 1, path = 2, how = 3 }, creat = { path = 1 } } },
  { makes, { mkdir = { path = 1 }, mkdirat = { dirfd = 1, path = 2 }, mknod = { path = 1 },
    mknodat = { dirfd = 1, path = 2 }, symlink = { path = 2 }, symlinkat = { dirfd = 2, path = 3 } } },
  { links, { link = { path = 2 }, linkat = { dirfd = 3, path = 4 } } },
  { unlinks, { unlink = { path = 1 }, unlinkat = { dirfd = 1, path = 2 }, rmdir = { path = 1 } } },
  { renames, { rename = { from = 1, to = 2 }, renameat = { from_fd = 1, from = 2, to_fd = 3, to = 4 },
    renameat2 = { from_fd = 1, from = 2, to_fd = 3, to = 4, flags = 5 } } },
  { chmods, { chmod = { path = 1 }, fchmod = { fd = 1 }, fchmodat = { dirfd = 1, path = 2 },
    fchmodat2 = { dirfd = 1, path = 2 } } },
}

--- Puts the handlers into a script's environment.
---@param log luatrace.WriteLog
---@param on table
function M.install(log, on)
  for _, family in ipairs(families) do
    for name, how in pairs(family[2]) do on[name](family[1](log, how)) end
  end
end

return M
