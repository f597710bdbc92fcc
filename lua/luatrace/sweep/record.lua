--- The clean runs that all others are measured against, and the calls that one of them made.
--
--   local clean = record.clean(room, program, image, {})              -- status, state, seconds
--   local events = record.events(room, program, image, choice, {})    -- calls with their sites
--
-- An event is one call: { name, process ("0.2": the third child's child of...), thread (its ordinal in the process),
-- hit (the how-manieth call of this name there), site, frames, kind and path (of the descriptor or the name), inside
-- (the path is in the room), size, ret, failed, and what faults.lua asks for }.

local arguments = require "luatrace.sweep.call_arguments"
local bit = require "bit"
local faults = require "luatrace.sweep.faults"
local files = require "luatrace.sys.files"
local guard = require "luatrace.sweep.guard"
local runner = require "luatrace.sweep.runner"
local site_module = require "luatrace.sweep.site"

local band = bit.band

local M = {}

local MAP_SHARED, PROT_WRITE = 1, 2

local size_index = { read = 3, write = 3, pread64 = 3, pwrite64 = 3, sendto = 3, recvfrom = 3, copy_file_range = 5,
  sendfile = 4, fallocate = 4, readv = 3, writev = 3 }

local function note_open(event, call, path)
  local flags = arguments.open_flags(call)
  local there = (band(flags, arguments.O_EXCL) == 0 and files.stat or files.lstat)(path)
  if band(flags, arguments.O_CREAT) ~= 0 and not there then
    event.opens = "create"
  elseif band(flags, arguments.O_TRUNC) ~= 0 then
    event.opens = "truncate"
  else
    event.opens = band(flags, arguments.O_ACCMODE) ~= 0 and "write" or "read"
  end
  event.kind = there and there.kind or "file"
end

local function describe(call, recording)
  local room = recording.room
  local process, thread = call.process, call.thread
  local name = call.name
  local event = { name = name, process = process.number, thread = thread.ordinal or 0 }
  local key = event.process .. ":" .. event.thread .. ":" .. name
  event.hit = (recording.hits[key] or 0) + 1
  recording.hits[key] = event.hit
  event.ip, event.sp = tonumber(call.stop.ip), tonumber(call.stop.sp)
  local path = arguments.path(call)
  if path then
    event.kind = "path"
  else
    local number = arguments.descriptor(call)
    local fd = number and process.fds:get(number)
    if fd then path, event.kind = fd.path, fd.kind end
  end
  if name == "mmap" or name == "mmap2" then
    local prot, flags = arguments.int(call.raw[3]), arguments.int(call.raw[4])
    event.anonymous = band(flags, arguments.MAP_ANONYMOUS) ~= 0
    event.kind = "memory"
    if not event.anonymous then
      local fd = process.fds:get(arguments.int(call.raw[5]))
      path = fd and fd.path
      if path and band(flags, MAP_SHARED) ~= 0 and band(prot, PROT_WRITE) ~= 0 then event.shared = true end
    end
  end
  if path then
    event.path, event.inside = room:name(path)
    if faults.opens[name] then note_open(event, call, path) end
    local places = event.process .. "\0" .. path
    if faults.writes[name] then recording.written[places] = true end
    if name == "close" then event.written = recording.written[places] end
    if event.written then recording.written[places] = nil end
  end
  local at = size_index[name]
  event.size = at and tonumber(call.raw[at]) or nil
  if recording.sites then
    event.site, event.frames, event.loader = recording.sites:of(call:stack(), process.exe)
  end
  return event
end

--- Everything that may be of interest, whatever the faults: for roles (last write, first read) and for warnings.
local always = "read write pread64 pwrite64 readv writev close fsync fdatasync rename renameat renameat2 unlink " ..
  "unlinkat open openat openat2 creat mmap ftruncate truncate mkdir mkdirat link linkat symlink symlinkat chmod " ..
  "fchmod fchmodat chown fchown lchown fchownat utimensat rmdir mknod mknodat"

--- A set of calls in the words of on[...]: names that another architecture lacks are no error.
local function pattern_of(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = "?" .. name end
  table.sort(list)
  return table.concat(list, ",")
end

--- Registers what records calls; returns the list that fills.
---@param script table environment of a script
---@param room luatrace.sweep.Room
---@param choice table of faults.choose
---@param options { sites: boolean? }
---@return table[] events
function M.observe(script, room, choice, options)
  local names = faults.calls(choice)
  for name in always:gmatch("%S+") do names[name] = true end
  local recording = { room = room, hits = {}, written = {}, sites = options.sites and site_module.new() or nil }
  local events = {}
  script.on[pattern_of(names)](function(call)
    if call.restarted then return end
    local event = describe(call, recording)
    events[#events + 1] = event
    call:run()
    event.ret, event.failed = tonumber(call.ret), call.failed or nil
    event.errno = call.errno
    event.left = tonumber(call.stop.time)
    if event.shared and not event.failed then events.shared = event.path end
  end)
  return events
end

--- A run without any fault: as the program is. Calls that would write outside the room are noted.
---@return table|nil result with state, string? message
function M.clean(room, program, image, options)
  local ok, message = room:prepare(image)
  if not ok then return nil, message end
  local result, failure = runner.execute(room, program, function() end, { timeout = options.timeout })
  if not result then return nil, failure end
  result.state = room:state()
  result.stderr = room:said()
  return result
end

--- A clean run that records its calls.
---@return table[]|nil events, table|string result_or_message
function M.events(room, program, image, choice, options)
  local ok, message = room:prepare(image)
  if not ok then return nil, message end
  local events
  local outside = {}
  local result, failure = runner.execute(room, program, function(script)
    guard.watch(script, room, outside)
    events = M.observe(script, room, choice, { sites = true })
  end, { timeout = options.timeout, guarded = true })
  if not result then return nil, failure end
  events.outside = {}
  for path, name in pairs(outside) do table.insert(events.outside, ("%s (%s)"):format(path, name)) end
  table.sort(events.outside)
  result.state = room:state()
  result.stderr = room:said()
  return events, result
end

return M
