--- The files mock: files that exist for the traced program only, and real ones that do not.
--
--   local tree = files {
--     ["/etc/passwd"] = "root:x:0:0::/:/bin/sh\nada:x:1815:1815::/home/ada:/bin/sh\n",
--     ["/etc/app/main.conf"] = { content = "debug = yes\n", mode = tonumber("600", 8), uid = 0, gid = 0, mtime = 0 },
--     ["/run/now"] = function(path) return os.date() .. "\n" end,          -- made anew at each open
--     ["/var/lib/app/"] = {},                                               -- an empty directory, whatever is there
--     ["/etc/localtime"] = { link = "/usr/share/zoneinfo/Asia/Tokyo" },
--     ["/etc/hostname"] = false,                                            -- there is no such file
--   }
--   tree:read "/etc/app/main.conf"                                          -- what the program has made of it
--
-- What the program opens are real descriptors of anonymous files (memfd), so that reading, seeking, mapping, polling,
-- duplicating and inheriting are the kernel's own; stat, access, listings and everything else that goes by a name
-- agree. What the program writes, makes, renames and removes there stays there: nothing reaches the disk.

local bit = require "bit"
local decode = require "luatrace.decode"
local descriptors = require "luatrace.sys.descriptors"
local fd_table = require "luatrace.tracee.fd_table"
local hand_over = require "luatrace.tracee.hand_over"
local listing = require "luatrace.mock.files.listing"
local mock = require "luatrace.mock"
local names = require "luatrace.mock.files.names"
local place = require "luatrace.mock.files.place"
local scratch = require "luatrace.tracee.scratch"
local stat = require "luatrace.mock.files.stat"
local sys = require "luatrace.sys"
local tree_module = require "luatrace.mock.files.tree"

local M = {}

local band, word32 = bit.band, place.word32

local O_ACCMODE, O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY, O_PATH, O_CLOEXEC = 3, 0x40, 0x80, 0x200, 0x10000, 0x200000,
  0x80000
local O_TMPFILE, O_NOFOLLOW = 0x400000, 0x20000
local AT_SYMLINK_NOFOLLOW = 0x100
--- What a file is opened once more with: the rest is about names.
local KEPT_FLAGS = bit.bor(O_ACCMODE, O_TRUNC, 0x400, 0x800, 0x1000, 0x4000, 0x101000, O_PATH, 0x8000)
local X32_BIT = 0x40000000

-- --- opening --------------------------------------------------------------------------------------------------------

local function wanted_access(flags)
  if band(flags, O_PATH) ~= 0 then return 0 end
  local accmode = band(flags, O_ACCMODE)
  local wanted = accmode == 0 and stat.READ or accmode == 1 and stat.WRITE or stat.READ + stat.WRITE
  if band(flags, O_TRUNC) ~= 0 and band(wanted, stat.WRITE) == 0 then wanted = wanted + stat.WRITE end
  return wanted
end

--- The node that an open means, made when it may be; nil and an errno.
local function node_to_open(tree, call, at, flags, mode)
  local node = at.node
  if not node then
    if at.errno ~= "ENOENT" or band(flags, O_CREAT) == 0 then return nil, at.errno end
    if at.wants_dir then return nil, "EISDIR" end
    local uid, gid = stat.owner(call)
    return tree:create(at.path,
      { kind = "file", mode = stat.without_umask(call, mode), uid = uid, gid = gid })
  end
  if band(flags, O_CREAT + O_EXCL) == O_CREAT + O_EXCL then return nil, "EEXIST" end
  if node.kind == "symlink" then return node, band(flags, O_PATH) == 0 and "ELOOP" or nil end
  if node.kind ~= "dir" then return node, band(flags, O_DIRECTORY) ~= 0 and "ENOTDIR" or nil end
  local is_written = band(flags, O_ACCMODE) ~= 0 or band(flags, O_CREAT) ~= 0
  return node, is_written and band(flags, O_PATH) == 0 and "EISDIR" or nil
end

--- A process with a seccomp filter of its own may be killed for a call of ours, but not for the one that it makes: it
-- opens luatrace's descriptor by its name in /proc.
local function open_by_name(call, opened, how, flags)
  local path = ("/proc/%d/fd/%d\0"):format(sys.getpid(), opened)
  local room = call.memory:alloc(#path)
  call.memory:write(room, path)
  call.args[how.path] = room
  if how.flags then call.args[how.flags] = band(flags, bit.bnot(O_CREAT + O_EXCL + O_NOFOLLOW)) end
  call:run()
end

--- Hands a node's file over; answers the call.
local function open_node(tree, call, at, flags, mode, how)
  local is_there = at.node ~= nil
  local node, errno = node_to_open(tree, call, at, flags, mode)
  if not node or errno and is_there then return call:fail(errno) end
  if band(flags, O_TMPFILE) ~= 0 then return call:fail "EOPNOTSUPP" end
  local fd, _, name = tree:fd(node, true)
  if not fd then return call:fail(name) end
  -- Who makes a file may write into it whatever its permissions are.
  if is_there and not stat.may(call, node, fd, wanted_access(flags)) then return call:fail "EACCES" end
  local opened
  if node.kind == "symlink" then
    opened, _, name = descriptors.duplicate(fd)
  else
    opened, _, name = descriptors.reopen(fd, band(flags, KEPT_FLAGS))
  end
  if not opened then return call:fail(name) end
  if not scratch.may_inject(call) then
    open_by_name(call, opened, how, flags)
    descriptors.close(opened)
    return
  end
  local number
  number, name = hand_over.give(call, opened, { cloexec = band(flags, O_CLOEXEC) ~= 0 })
  descriptors.close(opened)
  if number then call:returns(number) else call:fail(name) end
end

--- struct open_how: flags and mode, 64 bits each.
local function open_how(call)
  local bytes = call.memory:read(call.args[3], 16)
  if not bytes or #bytes < 16 then return nil end
  local function word(i) return bytes:byte(i) + bytes:byte(i + 1) * 256 + bytes:byte(i + 2) * 65536 end
  return word(1), word(9)
end

local function install_open(context, tree)
  local function on(name, how, flags_of)
    context.on({ name }, function(call)
      local flags, mode = flags_of(call)
      if not flags then return end
      local follow = band(flags, O_NOFOLLOW) == 0 and band(flags, O_CREAT + O_EXCL) ~= O_CREAT + O_EXCL
      local at = place.of(tree, call, how.directory, how.path, follow)
      if at then open_node(tree, call, at, flags, mode, how) end
    end)
  end
  on("open", { path = 1, flags = 2 }, function(call) return word32(call.args[2]), word32(call.args[3]) end)
  on("openat", { directory = 1, path = 2, flags = 3 }, function(call)
    return word32(call.args[3]), word32(call.args[4])
  end)
  on("openat2", { directory = 1, path = 2 }, open_how)
  on("creat", { path = 1 }, function(call) return O_CREAT + O_TRUNC + 1, word32(call.args[2]) end)
end

-- --- looking --------------------------------------------------------------------------------------------------------

local function answer_stat(tree, call, at, address, layout)
  local fd, bytes, _, errno = at.fd, nil, nil, nil
  if not fd then fd, _, errno = tree:fd(at.node) end
  if fd then bytes, _, errno = stat.bytes(at.node, fd, layout) end
  if not bytes then return call:fail(errno) end
  mock.answer(call, address, bytes)
end

local function layout_of(call) return call.arch.bits == 32 and "i386" or "x86_64" end

--- Is a symbolic link followed? Some calls say so by a flag.
local function follows(call, flags)
  return not flags or band(word32(call.args[flags]), AT_SYMLINK_NOFOLLOW) == 0
end

local function install_stat(context, tree)
  local function by_name(calls, directory, path, buffer, flags, layout)
    context.on(calls, function(call)
      local at = place.of(tree, call, directory, path, flags ~= false and follows(call, flags))
      if not at then return end
      if not at.node then return call:fail(at.errno) end
      answer_stat(tree, call, at, call.args[buffer], layout or layout_of(call))
    end)
  end
  -- The calls named stat, lstat and fstat of 32-bit programs are of another age: nobody makes them.
  by_name({ "stat@64", "stat64" }, nil, 1, 2)
  by_name({ "lstat@64", "lstat64" }, nil, 1, 2, false)
  by_name({ "newfstatat", "fstatat64" }, 1, 2, 3, 4)
  by_name({ "statx" }, 1, 2, 5, 3, "statx")
  context.on({ "fstat@64", "fstat64" }, function(call)
    local fd = call.process.fds:get(word32(call.args[1]))
    if fd and fd.mock and fd.mock.fd then answer_stat(tree, call, fd.mock, call.args[2], layout_of(call)) end
  end)
  local AT_EACCESS = 0x200
  local function access(name, directory, path, mode, flags)
    context.on({ name }, function(call)
      local at = place.of(tree, call, directory, path, follows(call, flags))
      if not at then return end
      if not at.node then return call:fail(at.errno) end
      local wanted = word32(call.args[mode])
      if band(wanted, 7) ~= wanted then return call:fail "EINVAL" end
      local as_real_user = not flags or band(word32(call.args[flags]), AT_EACCESS) == 0
      local fd, _, errno = tree:fd(at.node)
      if not fd then return call:fail(errno) end
      if not stat.may(call, at.node, fd, wanted, as_real_user) then return call:fail "EACCES" end
      call:returns(0)
    end)
  end
  access("access", nil, 1, 2)
  access("faccessat", 1, 2, 3)
  access("faccessat2", 1, 2, 3, 4)
end

-- --- links and directories ------------------------------------------------------------------------------------------

--- What a link shows, in a buffer of the program's: never longer than that is.
local function answer_link(call, text, address, size)
  text = text:sub(1, size)
  mock.answer(call, address, text, #text)
end

local function install_links(context, tree)
  local function readlink(name, directory, path)
    context.on({ name }, function(call)
      local address, size = call.args[path + 1], tonumber(call.args[path + 2])
      local at = place.of(tree, call, directory, path, false)
      if at and at.node and at.node.kind == "symlink" then return answer_link(call, at.node.content, address, size) end
      if at then return call:fail(at.node and "EINVAL" or at.errno) end
      -- /proc/self/fd/3 of a mocked file shows its name, not ours for it.
      local absolute = place.path(call, directory, path)
      if not absolute or not absolute:find("^/proc/.*/fd/%d+$") and not absolute:find("^/proc/.*/cwd$") then return end
      local got = call:run()
      local text = got and call.memory:read(address, got)
      local alias = text and fd_table.aliases[(text:gsub(" %(deleted%)$", ""))]
      if alias then answer_link(call, alias.path, address, size) end
    end)
  end
  readlink("readlink", nil, 1)
  readlink("readlinkat", 1, 2)
  context.on({ "chdir" }, function(call)
    local at = place.of(tree, call, nil, 1)
    if not at then return end
    if not at.node then return call:fail(at.errno) end
    if at.node.kind ~= "dir" then return call:fail "ENOTDIR" end
    local ours, _, errno = tree:fd(at.node)
    local fd
    if ours then fd, errno = hand_over.give(call, ours, { cloexec = true }) end
    if not fd then return call:fail(errno) end
    local went
    went, errno = call:inject("fchdir", fd)
    call:inject("close", fd)
    if went then call:returns(0) else call:fail(errno) end
  end)
  context.on({ "getcwd" }, function(call)
    if not tree.has_directories then return end
    local link = sys.readlink(("/proc/%d/cwd"):format(call.thread.tid))
    local alias = link and fd_table.aliases[(link:gsub(" %(deleted%)$", ""))]
    if not alias then return end
    if #alias.path + 1 > tonumber(call.args[2]) then return call:fail "ERANGE" end
    mock.answer(call, call.args[1], alias.path .. "\0", #alias.path + 1)
  end)
  context.on({ "getdents64" }, listing.getdents64(tree))
end

-- --- everything else that goes by a name ----------------------------------------------------------------------------

--- Calls that the kernel can do on /proc/self/fd/N as well; `name`: under this name, since that is a link. `itself`:
-- what they do on a symbolic link.
local by_descriptor = {
  chmod = { path = 1 }, fchmodat = { directory = 1, path = 2 }, fchmodat2 = { directory = 1, path = 2, flags = 4,
    itself = "EOPNOTSUPP" },
  chown = { path = 1 }, lchown = { path = 1, itself = 0, name = "chown" }, chown32 = { path = 1 },
  lchown32 = { path = 1, itself = 0, name = "chown32" }, fchownat = { directory = 1, path = 2, flags = 5, itself = 0 },
  truncate = { path = 1 }, truncate64 = { path = 1 }, utime = { path = 1 }, utimes = { path = 1 },
  futimesat = { directory = 1, path = 2 }, utimensat = { directory = 1, path = 2, flags = 4, itself = 0 },
  utimensat_time64 = { directory = 1, path = 2, flags = 4, itself = 0 }, statfs = { path = 1 }, statfs64 = { path = 1 },
  getxattr = { path = 1 }, lgetxattr = { path = 1, itself = "ENODATA", name = "getxattr" },
  setxattr = { path = 1 },
  lsetxattr = { path = 1, itself = "EPERM", name = "setxattr" }, listxattr = { path = 1 },
  llistxattr = { path = 1, itself = 0, name = "listxattr" }, removexattr = { path = 1 },
  lremovexattr = { path = 1, itself = "ENODATA", name = "removexattr" }, inotify_add_watch = { path = 2 },
  execve = { path = 1, executes = true }, execveat = { directory = 1, path = 2, executes = true },
}

local function on_descriptor(tree, call, at, how)
  local ours, _, errno = tree:fd(at.node)
  if not ours then return call:fail(errno) end
  if how.executes and (at.node.kind == "dir" or not stat.may(call, at.node, ours, stat.EXECUTE)) then
    return call:fail "EACCES"
  end
  local opened
  opened, _, errno = descriptors.reopen(ours, 0)
  if not opened then return call:fail(errno) end
  -- The interpreter of a script opens it once more.
  local is_script = how.executes and (tree:content(at.node) or ""):sub(1, 2) == "#!"
  local fd
  fd, errno = hand_over.give(call, opened, { cloexec = not is_script })
  descriptors.close(opened)
  if not fd then return call:fail(errno) end
  local path = ("/proc/self/fd/%d\0"):format(fd)
  local room = call.memory:alloc(#path)
  call.memory:write(room, path)
  call.args[how.path] = room
  if how.flags then
    call.args[how.flags] = band(word32(call.args[how.flags]), bit.bnot(AT_SYMLINK_NOFOLLOW))
  end
  if how.name then
    local nr = decode.find(call.arch.name, how.name).nr
    call.nr = call.row.nr >= X32_BIT and nr + X32_BIT or nr
  end
  local done = call:run()
  if not (done and how.executes) then call:inject("close", fd) end
end

local function install_by_descriptor(context, tree)
  for name, how in pairs(by_descriptor) do
    context.on({ name }, function(call)
      local follow = not how.name and follows(call, how.flags)
      local at = place.of(tree, call, how.directory, how.path, follow)
      if not at then return end
      if not at.node then return call:fail(at.errno) end
      if at.node.kind ~= "symlink" then return on_descriptor(tree, call, at, how) end
      if type(how.itself) == "string" then call:fail(how.itself) else call:returns(how.itself) end
    end)
  end
end

-- --- for scripts ----------------------------------------------------------------------------------------------------

local fields = { content = "string", link = "string", mode = "number", uid = "number", gid = "number",
  mtime = "number" }

--- What a script has written for one name, as a node.
local function node_for(path, value)
  local is_directory = path:sub(-1) == "/"
  if value == false then return false end
  if type(value) == "string" or type(value) == "function" then
    if is_directory then mock.misuse(("files: %s ends with a slash: a directory takes a table"):format(path)) end
    return type(value) == "string" and { content = value } or { make = value }
  end
  if type(value) ~= "table" then
    mock.misuse(("files: %s takes a string, a function, false, or a table with content, not a %s"):format(path,
      type(value)))
  end
  mock.check_fields("files: " .. path, value, fields)
  if is_directory and value.content then mock.misuse(("files: %s is a directory: it has no content"):format(path)) end
  if value.link and (is_directory or value.content or value.link == "") then
    mock.misuse(("files: %s: link = %q: a symbolic link is nothing else, and leads somewhere"):format(path, value.link))
  end
  if not is_directory and not value.content and not value.link then
    mock.misuse(("files: %s has no content (a directory's name ends with a slash)"):format(path))
  end
  if value.mode and (value.mode % 1 ~= 0 or value.mode < 0 or value.mode > 4095) then
    mock.misuse(("files: %s: mode = %s: write it as tonumber(\"644\", 8)"):format(path, value.mode))
  end
  return { content = value.content or value.link, mode = value.mode, uid = value.uid, gid = value.gid,
    mtime = value.mtime, kind = is_directory and "dir" or value.link and "symlink" or "file" }
end

--- What `files` returns.
---@class luatrace.MockFiles
local Files = {}
Files.__index = Files

--- What is in a mocked file now; after the run, what was in it at the end. Nil when there is none by that name.
---@param path string
---@return string|nil
function Files:read(path)
  local tree = self.tree
  local ours = tree:ours(fd_table.clean(path))
  ours = ours and tree:resolve(ours, true)
  local node = ours and tree:find(ours)
  if not node or node.kind ~= "file" then return nil end
  return (tree:content(node))
end

--- Names of the mocked files there are now.
---@return string[]
function Files:list()
  local list = {}
  for path, node in pairs(self.tree.nodes) do
    if node and node.kind == "file" then list[#list + 1] = path end
  end
  table.sort(list)
  return list
end

local function install(context, tree)
  install_open(context, tree)
  install_stat(context, tree)
  install_links(context, tree)
  install_by_descriptor(context, tree)
  names.install(context, tree)
  context.clean_up(function() tree:close() end)
end

---@param context luatrace.MockContext
function M.new(context)
  local made
  ---@param definitions table<string, string|table|function|false>
  ---@return luatrace.MockFiles
  return function(definitions)
    if type(definitions) ~= "table" then
      mock.misuse(("files takes a table { [\"/path\"] = \"content\" }, not a %s"):format(type(definitions)))
    end
    local nodes = {}
    for path, value in pairs(definitions) do
      if type(path) ~= "string" or path:sub(1, 1) ~= "/" or fd_table.clean(path) == "/" then
        mock.misuse(("files: %s is no absolute path"):format(type(path) == "string" and ("%q"):format(path) or
          tostring(path)))
      end
      nodes[path] = node_for(path, value)
    end
    if not made then
      made = setmetatable({ tree = tree_module.new() }, Files)
      install(context, made.tree)
    end
    -- Directories first: what is said of one holds for the files in it.
    local order = {}
    for path in pairs(nodes) do order[#order + 1] = path end
    table.sort(order)
    for _, path in ipairs(order) do made.tree:add(path, nodes[path]) end
    return made
  end
end

return M
