--- Does a fault: waits for its point, and makes that one call (and, when it sticks, what follows from it) fail.
--
--   inject.arm(script, { process = "0", thread = 0, call = "write", hit = 3, fault = { action = "fail",
--     errno = "ENOSPC", sticky = "disk" } })
--
-- `script` is the environment of a script: in a file that luatrace runs, `inject.arm(luatrace, ...)`. Only the calls
-- that the fault is about are trapped, so that a run costs little more than the program itself. The call is found by
-- the process (its place in the tree), the thread (its ordinal), and how many calls of that name it has made; when the
-- run has taken another way by then, nothing is done: never is the fault put elsewhere.

local arguments = require "luatrace.sweep.call_arguments"
local bit = require "bit"
local files = require "luatrace.sys.files"
local faults = require "luatrace.sweep.faults"

local M = {}

--- So many failures that the program goes on asking for are a livelock.
local LIVELOCK = 3000

local function words(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = "?" .. name end
  table.sort(list)
  return table.concat(list, ",")
end

local function union(...)
  local all = {}
  for _, set in ipairs { ... } do
    for name in pairs(set) do all[name] = true end
  end
  return all
end

local function set(text)
  local result = {}
  for word in text:gmatch("%S+") do result[word] = true end
  return result
end

local copies = set "copy_file_range sendfile sendfile64 splice"
local makes_names = set "mkdir mkdirat mknod mknodat symlink symlinkat link linkat"
local truncates = set "ftruncate truncate ftruncate64 truncate64"
local makes_descriptors = set("open openat openat2 creat socket socketpair pipe pipe2 dup accept accept4 " ..
  "epoll_create epoll_create1 eventfd eventfd2 memfd_create timerfd_create signalfd signalfd4 inotify_init " ..
  "inotify_init1")

-- --- what a call is about -------------------------------------------------------------------------------------------

--- The file that a call is about (the directory of one that is not there), and itself when it is there.
local function stat_of(call)
  local path = arguments.path(call)
  if path then
    local itself = files.stat(path)
    return itself or files.stat(path:match("^(.*)/[^/]*$") .. "/"), itself
  end
  local link = arguments.link(call)
  local stat = link and files.stat(link)
  return stat, stat
end

--- Where a read or a write begins, and how much it asks for.
local function range_of(call)
  local name = call.name
  local fd = call.process.fds:get(arguments.int(call.raw[1]))
  local count = tonumber(call.raw[3]) or 0
  if name:find("v") and name ~= "pread64" and name ~= "pwrite64" then
    count = 1 -- at least; the sum of an iovec is of no interest here
  end
  if name:find("^p") then return tonumber(call.raw[4]) or 0, count end
  if not fd then return 0, count end
  return fd.pos or 0, count, bit.band(fd.flags or 0, arguments.O_APPEND) ~= 0
end

-- --- faults that stay -----------------------------------------------------------------------------------------------

--- Bytes that the files below a directory take, in whole pages, as on a tmpfs.
---@param directory string
---@return number
function M.usage(directory)
  local pages = 0
  files.walk(directory, function(_, stat)
    if stat.kind == "file" then pages = pages + math.ceil(stat.blocks * 512 / 4096) end
  end)
  return pages * 4096
end

--- The disk is full: what would take more of it fails, until something on it is removed or cut short.
local function full_disk(state)
  local device
  local function grows(call, stat)
    if copies[call.name] then return true end
    local from, count, appends = range_of(call)
    return appends or from + count > math.max(stat.size, stat.blocks * 512)
  end
  local function frees(call, stat)
    if not stat or stat.blocks == 0 then return end
    if call:run() then state.over = true end
  end
  return union(faults.writes, faults.opens, faults.removes, makes_names, truncates, { fallocate = true }),
    function(call, is_point)
      local name = call.name
      local stat, itself = stat_of(call)
      if not stat then return is_point end
      if is_point then
        device = stat.device
        if state.work then state.used = M.usage(state.work) end
      end
      if stat.device ~= device or state.over then return false end
      if is_point or makes_names[name] then return true end
      if faults.writes[name] or name == "fallocate" then return stat.kind == "file" and grows(call, stat) end
      if faults.opens[name] then
        local flags = arguments.open_flags(call)
        if bit.band(flags, arguments.O_CREAT) ~= 0 and not itself then return true end
        if bit.band(flags, arguments.O_TRUNC) ~= 0 then frees(call, itself) end
      elseif faults.removes[name] then
        local path = arguments.path(call)
        local gone = path and files.lstat(path)
        if gone and gone.nlink == 1 then frees(call, gone) end
      else
        frees(call, stat)
      end
    end
end

--- Part of a file cannot be read, by whoever tries.
local function bad_range()
  local id, from, to
  return faults.reads, function(call, is_point)
    local stat = files.stat(arguments.link(call))
    if not stat then return is_point end
    local start, count = range_of(call)
    if is_point then
      id, from, to = stat.id, start, start + math.max(count, 1)
      return true
    end
    return stat.id == id and start < to and start + count > from
  end
end

--- The process has no descriptor left but those that it closes.
local function no_descriptors()
  local process
  local free = 0
  return union(makes_descriptors, { close = true }), function(call, is_point)
    if is_point then
      process = call.process.number
      return true
    end
    if call.process.number ~= process then return false end
    if call.name == "close" then
      if call:run() then free = free + 1 end
      return false
    end
    if free == 0 then return true end
    if call:run() then free = free - 1 end
    return false
  end
end

--- The process gets no more memory.
local function no_memory()
  local process
  return set "mmap mmap2 brk mremap", function(call, is_point)
    if is_point then process = call.process.number end
    if call.process.number ~= process then return false end
    if call.name:find("^mmap") then return bit.band(tonumber(call.raw[4]), arguments.MAP_ANONYMOUS) ~= 0 end
    return call.name ~= "brk" or call.raw[1] ~= 0
  end
end

local sticky = { disk = full_disk, range = bad_range, descriptors = no_descriptors, memory = no_memory }

-- --- the point ------------------------------------------------------------------------------------------------------

--- Answers whether a call is the point; each call must be shown once.
local function matcher(point, note)
  local hits = 0
  return function(call)
    if call.name ~= point.call or call.restarted then return false end
    if call.process.number ~= point.process or call.thread.ordinal ~= point.thread then return false end
    hits = hits + 1
    if hits ~= point.hit then return false end
    if note.verify and not note.verify(call, point) then
      note.diverged = true
      return false
    end
    return true
  end
end

local function kill_all(call)
  call.session.tracer:kill(0, 9)
  if call.phase == "entry" then call:kill() end
end

local actions = {
  fail = function(call, fault)
    if call.name == "brk" then
      -- The kernel's brk has no errors: it returns what the break is.
      call.args[1] = 0
    else
      call:fail(fault.errno)
    end
  end,
  after = function(call, fault)
    if call:run() then call:fail(fault.errno) end
  end,
  kill = kill_all,
  ["kill-after"] = function(call)
    call:run()
    kill_all(call)
  end,
  short = function(call)
    local count = tonumber(call.raw[3])
    if count > 1 then call.args[3] = math.floor(count / 2) end
  end,
}

--- Registers handlers that do a fault at its point.
---@param script table environment of a script
---@param point { process: string, thread: integer, call: string, hit: integer, fault: table }
---@param note table|nil gets reached (the call was met), injected (how often something failed), diverged;
--  note.verify(call, point) may say that this is not the call; with note.work, a directory, note.used tells how much
--  its files took when the disk was full
---@return table note
function M.arm(script, point, note)
  note = note or {}
  note.injected = 0
  local fault = point.fault
  local is_point = matcher(point, note)
  local act = actions[fault.action]
  local function inject(call)
    note.injected = note.injected + 1
    if note.injected > LIVELOCK then
      call.session.livelock = true
      call.session:notice("livelock", ("%s was tried %d times: the program is killed"):format(call.name, LIVELOCK))
      return kill_all(call)
    end
    act(call, fault)
  end
  if not fault.sticky then
    script.on[point.call](function(call)
      if not note.reached and is_point(call) then
        note.reached = true
        inject(call)
      end
    end)
    return note
  end
  local calls, concerns = sticky[fault.sticky](note)
  calls = union(calls, { [point.call] = true })
  script.on[words(calls)](function(call)
    if not note.reached then
      if not is_point(call) then return end
      note.reached = true
      concerns(call, true)
      return inject(call)
    end
    if not note.over and concerns(call, false) then inject(call) end
  end)
  return note
end

return M
