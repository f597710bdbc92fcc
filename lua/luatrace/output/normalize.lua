--- What no two runs have in common, replaced by stable names, so that two runs can be compared: process and thread ids,
-- descriptors, addresses, times, temporary names, inode numbers, ephemeral ports.
--
--   P1            the program; P1.2 its second child; P1t1 its first thread; P1t1.1 that thread's first child
--   P?            a process that is not traced
--   fd3           a descriptor whose number the kernel chose; fd3@P1t1 where a thread other than the first opened it;
--                 numbers that the program chose (0, 1, 2, dup2) or whose opening was not seen stay numbers
--   addr1         an address, by first appearance in its thread (a new thread or process starts with its creator's)
--   TMP1          a file made under a temporary name (mkstemp, mkdtemp); TMP1@P1.2 made by another than the program
--   TIME          a time by a clock; constants such as {tv_sec=1, tv_nsec=500000000} stay
--   inode1 port1  by first appearance
--
-- All names follow from what one thread did, in its own order, never from the order in which threads and processes were
-- scheduled: so each thread's text is the same in each run in which it does the same. As an observer of a session it
-- comes before the outputs, and says of calls that only tell how threads met (futex, sched_yield, interrupted calls
-- that the kernel starts again) that they are not to be told.
--
--   local normal = require("luatrace.output.normalize").new()
--   normal:text(normal:stream "any key", "mmap(NULL, 8) = 0x7f0123456000")     -- "mmap(NULL, 8) = addr1"
--   normal:fd(call, 5)  normal:pid(4711)                                       -- "fd3", "P1.2"

local bit = require "bit"
local shallow = require "luatrace.shallow"
local sys = require "luatrace.sys"

local M = {}

local CLONE_FILES = 0x400
local FIRST_ADDRESS = 0x10000 -- mmap_min_addr: nothing below it is an address

---@class luatrace.Normal
local Normal = {}
Normal.__index = Normal

--- Calls that say how threads met, not what the program did.
local chance = { futex = true, sched_yield = true, futex_wait = true, futex_wake = true, futex_waitv = true }

---@param options { calls: string? }|nil calls: what was asked for by name (-e trace=) is told in any case
---@return luatrace.Normal
function M.new(options)
  local asked = {}
  for name in ((options and options.calls) or ""):gmatch("[%w_]+") do asked[name] = true end
  return setmetatable({ asked = asked, streams = {}, by_tid = {}, by_key = {}, roots = {}, temporary = {},
    wants_exit = true }, Normal)
end

-- --- streams: one a thread ------------------------------------------------------------------------------------------

local function new_stream(parent, kind)
  local stream = { threads = {}, processes = {}, temporaries = 0, is_thread = kind == "threads" }
  if parent then
    local list = parent[kind]
    list[#list + 1] = stream
    stream.name = parent.name .. (kind == "threads" and "t" or ".") .. #list
    stream.names, stream.counts = shallow.copy(parent.names), shallow.copy(parent.counts)
  else
    stream.names, stream.counts = {}, {}
  end
  return stream
end

function Normal:root(key)
  local stream = new_stream()
  self.roots[#self.roots + 1] = stream
  stream.name = "P" .. #self.roots
  stream.fds, stream.used, stream.heaps = {}, {}, {}
  if key then self.by_key[key] = stream end
  return stream
end

--- The stream of a thread of a session, or the one that is known by any other key.
---@param key any a luatrace.Thread, or what tells the streams of a text apart
---@return table stream
function Normal:stream(key)
  local number = type(key) == "table" and key.number
  if number then return self.streams[number] or self:root(key) end
  return self.by_key[key] or self:root(key)
end

function Normal:birth(stop, thread)
  local parent = self.streams[stop.parent]
  local is_thread = stop.tid ~= stop.pid
  if is_thread and not parent then parent = self.by_tid[stop.pid] end
  local stream
  if parent then
    stream = new_stream(parent, is_thread and "threads" or "processes")
    local shares = is_thread or bit.band(tonumber(stop.message), CLONE_FILES) ~= 0
    stream.fds = shares and parent.fds or shallow.copy(parent.fds)
    stream.used = is_thread and {} or shallow.copy(parent.used)
    stream.heaps = is_thread and parent.heaps or shallow.copy(parent.heaps)
  else
    stream = self:root()
  end
  stream.pid = stop.pid
  self.streams[thread.number], self.by_tid[stop.tid] = stream, stream
end

--- All streams in the order of their names: a process, its threads, its children.
---@return table[]
function Normal:all_streams()
  local list = {}
  local function walk(stream)
    list[#list + 1] = stream
    for _, thread in ipairs(stream.threads) do walk(thread) end
    for _, process in ipairs(stream.processes) do walk(process) end
  end
  for _, root in ipairs(self.roots) do walk(root) end
  return list
end

--- The name of a process or thread id; 0, 1 and -1 mean something else.
---@param number integer
---@return string
function Normal:pid(number)
  local stream = self.by_tid[number]
  if stream then return stream.name end
  if number < -1 then return "-" .. self:pid(-number) end
  return number <= 1 and tostring(number) or "P?"
end

-- --- descriptors ----------------------------------------------------------------------------------------------------

local function release(stream, num)
  local entry = stream.fds[num]
  if not entry then return end
  stream.fds[num] = nil
  -- Another thread's name is not given away again: when that would be is chance.
  if stream.used[entry.n] == entry then stream.used[entry.n] = nil end
end

local function opened(stream, num)
  release(stream, num)
  if num <= 2 then return end
  local n = 3
  while stream.used[n] do n = n + 1 end
  local entry = { n = n, name = "fd" .. n .. (stream.is_thread and "@" .. stream.name or "") }
  stream.used[n], stream.fds[num] = entry, entry
end

--- The name of a descriptor in a call.
---@param call luatrace.Call
---@param num integer
---@return string
function Normal:fd(call, num)
  local closing = rawget(call, "closing_fd")
  if closing and closing.num == num then return closing.name end
  local entry = self:stream(call.thread).fds[num]
  return entry and entry.name or tostring(num)
end

--- The same for JSON: numbers stay numbers.
function Normal:fd_plain(call, num)
  local name = self:fd(call, num)
  return tonumber(name) or name
end

function Normal:pid_plain(number)
  local name = self:pid(number)
  return tonumber(name) or name
end

local SOL_SOCKET, SCM_RIGHTS = 1, 1

--- What a call has opened or closed, when it has returned.
local effects = {
  pipe = function(stream, call)
    local fds = call.pipefd or call.sv
    if type(fds) ~= "table" then return end
    for _, fd in ipairs(fds) do opened(stream, type(fd) == "table" and fd.num or fd) end
  end,
  dup2 = function(stream, call) release(stream, call.raw_ret) end,
  close_range = function(stream, call)
    if bit.band(tonumber(call.raw[3]), 4) ~= 0 then return end
    for num in pairs(shallow.copy(stream.fds)) do
      if num >= call.raw[1] and num <= call.raw[2] then release(stream, num) end
    end
  end,
  recvmsg = function(stream, call)
    local control = type(call.msg) == "table" and call.msg.control
    for _, message in ipairs(type(control) == "table" and control or {}) do
      if message.level == SOL_SOCKET and message.type == SCM_RIGHTS then
        for at = 1, #message.data - 3, 4 do
          local a, b = message.data:byte(at, at + 1)
          opened(stream, a + b * 256)
        end
      end
    end
  end,
}
effects.pipe2, effects.socketpair, effects.dup3 = effects.pipe, effects.pipe, effects.dup2

-- --- as an observer of the session ----------------------------------------------------------------------------------

local O_CREAT, O_EXCL, GRND_NONBLOCK = 0x40, 0x80, 1

--- The part of a new file's name that chance made, if any.
local function random_part(path, mode, exclusive)
  local directory, name = path:match("^(.*/)([^/]+)$")
  if not name then directory, name = "", path end
  local stem, ending = name:match("^(.*)(%.%l%l?%l?)$")
  stem = stem and #stem >= 6 and stem or name
  local tmp = os.getenv("TMPDIR")
  local in_temporary = directory:find("^/tmp/") or directory:find("^/var/tmp/") or directory:find("^/dev/shm/") or
    tmp and directory:sub(1, #tmp + 1) == tmp .. "/"
  if in_temporary and mode % 64 == 0 then return stem, ending end
  local tail = stem:match("%w%w%w%w%w%w$")
  if not tail then return end
  -- mkstemp's mode tells it; otherwise six characters must look as if a machine had drawn them.
  if exclusive and mode == 384 or tail:find("%l") and tail:find("%u") and not tail:find("^%u%l+$") then return tail end
end

--- A file or directory is about to be made under a name that is to be free: mkstemp, mkdtemp and their like.
local function note_temporary(self, stream, call)
  local name, path = call.row.name, call.pathname
  if type(path) ~= "string" then return end
  local mode, exclusive
  if name == "mkdir" or name == "mkdirat" then
    mode = tonumber(call.mode)
    if mode ~= 448 then return end
  else
    local flags = call.flags and call.flags.value
    if type(flags) ~= "number" or bit.band(flags, O_CREAT + O_EXCL) ~= O_CREAT + O_EXCL then return end
    mode, exclusive = tonumber(call.mode), true
  end
  local part = random_part(path, mode, exclusive)
  if not part or self.temporary[part] then return end
  stream.temporaries = stream.temporaries + 1
  self.temporary[part] = "TMP" .. stream.temporaries .. (stream == self.roots[1] and "" or "@" .. stream.name)
  self.has_temporaries = true
end

--- glibc's malloc wants heaps of threads aligned to 64 MiB: it maps twice as much and gives back what is too much, or
-- asks for a hinted address first; and a thread takes over the heap of one that has ended. How many calls that takes
-- follows from where the kernel puts things and from who came first, so calls that make or grow such heaps are untold.
local HEAP, PROT_NONE, MAP_NORESERVE = 64 * 1024 * 1024, 0, 0x4000

local function is_heap_making(stream, name, raw)
  if name == "mmap" then
    stream.makes_heap = (raw[2] == HEAP or raw[2] == 2 * HEAP) and raw[3] == PROT_NONE and
      bit.band(tonumber(raw[4]), MAP_NORESERVE) ~= 0
    return stream.makes_heap
  end
  local fresh = stream.fresh_heap
  if name == "munmap" and fresh and raw[1] >= fresh.base and raw[1] < fresh.base + fresh.size then return true end
  for _, heap in ipairs(stream.heaps) do
    if raw[1] >= heap and raw[1] < heap + HEAP then return true end
  end
end

--- A heap has been mapped: its aligned part stays, what is around it is given back next.
local function note_heap(stream, raw, base)
  stream.fresh_heap = { base = base, size = raw[2] }
  local aligned = math.ceil(base / HEAP) * HEAP
  if raw[2] == 2 * HEAP or aligned == base then table.insert(stream.heaps, aligned) end
end

local heap_calls = { mmap = true, munmap = true, mprotect = true, madvise = true }
local makers = { open = true, openat = true, mkdir = true, mkdirat = true }

function Normal:entry(call)
  local stream, name = self:stream(call.thread), call.row.name
  if chance[name] and not self.asked[name] then rawset(call, "untold", true) end
  -- A signal may come in between.
  if name ~= "munmap" and name ~= "rt_sigreturn" and not rawget(call, "untold") then stream.fresh_heap = nil end
  if name == "rt_sigreturn" then
    local handlers = stream.handlers
    if handlers and table.remove(handlers) == "SIGCHLD" then rawset(call, "untold", true) end
  elseif name == "getrandom" and call.raw[3] == GRND_NONBLOCK then
    -- libc's own: how often it draws until a temporary name is free of bias is chance.
    rawset(call, "untold", true)
  elseif name == "close" then
    -- Now: as soon as the kernel runs it, another thread may get the number.
    local entry = stream.fds[call.raw[1]]
    if entry then
      rawset(call, "closing_fd", { num = call.raw[1], name = entry.name })
      release(stream, call.raw[1])
    end
  elseif name == "read" then
    local fd = call.fd
    stream.reads_random = fd and fd.kind == "char" and (fd.path or ""):find("random$") ~= nil
  elseif makers[name] then
    note_temporary(self, stream, call)
  elseif heap_calls[name] and is_heap_making(stream, name, call.raw) then
    rawset(call, "untold", true)
  end
end

function Normal:exit(call)
  if call.failed then
    if call.errno:find("^ERESTART") and call.row.name ~= "rt_sigreturn" then rawset(call, "untold", true) end
    return
  end
  if call.raw_ret == nil then return end
  local row, stream = call.row, self:stream(call.thread)
  local effect = effects[row.name]
  if effect then return effect(stream, call) end
  if row.name == "mmap" and stream.makes_heap then note_heap(stream, call.raw, call.raw_ret) end
  local returns = row.returns
  if returns.chosen then returns = returns.chosen(call) end
  if returns.role == "fd" then opened(stream, call.raw_ret) end
end

--- Is a handler there for this signal (SigCgt of /proc/PID/status)?
local function is_handled(signal)
  local text = sys.read_file(("/proc/%d/status"):format(signal.thread.tid)) or ""
  local mask = text:match("SigCgt:%s*(%x+)")
  if not mask then return false end
  local place = signal.number - 1
  local digit = tonumber(mask:sub(-1 - math.floor(place / 4), -1 - math.floor(place / 4)), 16) or 0
  return bit.band(digit, bit.lshift(1, place % 4)) ~= 0
end

function Normal:signal(_, signal)
  if not is_handled(signal) then return end
  local stream = self:stream(signal.thread)
  stream.handlers = stream.handlers or {}
  table.insert(stream.handlers, signal.name)
end

function Normal:exec(stop, process)
  -- An exec by another thread goes on under the leader's name.
  local stream = self.by_tid[process.pid] or self.streams[stop.tracee]
  self.streams[stop.tracee] = stream
  stream.handlers, stream.heaps = nil, {}
  local open = {}
  for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(process.pid)) or {}) do open[tonumber(name)] = true end
  -- A table that was shared is its own from now on.
  stream.fds = shallow.copy(stream.fds)
  for num in pairs(shallow.copy(stream.fds)) do
    if not open[num] then release(stream, num) end
  end
end

function Normal.group() end
function Normal.exit_process() end
function Normal.superseded() end
function Normal.finish() end

--- A call's result as JSON has it.
function Normal.ret(_, call)
  local returns = call.row.returns
  if returns.chosen then returns = returns.chosen(call) end
  local value = returns.load(call, call.raw_ret)
  return returns.plain(call, value)
end

-- --- text -----------------------------------------------------------------------------------------------------------

local function numbered(stream, what, key)
  local names = stream.names
  local known = names[what .. key]
  if not known then
    local count = (stream.counts[what] or 0) + 1
    known = what .. count
    stream.counts[what], names[what .. key] = count, known
  end
  return known
end

--- Numbers behind these names are a clock's, or what the machine happens to have.
local volatile = {}
for name in ([[st_ino stx_ino si_utime si_stime tms_utime tms_stime tms_cutime tms_cstime f_bfree f_bavail f_files
  f_ffree uptime freeram sharedram bufferram freeswap procs ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt
  ru_nswap ru_inblock ru_oublock ru_msgsnd ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw]]):gmatch("%S+") do
  volatile[name] = true
end
for _, prefix in ipairs { "st_", "stx_" } do
  for _, kind in ipairs { "atime", "mtime", "ctime", "btime" } do
    volatile[prefix .. kind], volatile[prefix .. kind .. "_nsec"] = true, true
  end
end
local pids = { si_pid = true, pid = true, nl_pid = true, l_pid = true }

--- Calls whose times are always a clock's.
local clocks = { clock_gettime = true, gettimeofday = true, getrusage = true, wait4 = true, getitimer = true,
  times = true, timer_gettime = true, timerfd_gettime = true, adjtimex = true, clock_adjtime = true, sysinfo = true,
  time = true }

--- A time that a person wrote: short, in whole milliseconds.
local function is_constant(seconds, part, unit)
  seconds, part = tonumber(seconds), tonumber(part)
  return seconds < 1e8 and part % (unit == "n" and 1e6 or 1e3) == 0
end

local function times(text, call_name)
  local always = clocks[call_name]
  text = text:gsub(" /%* %-?%d%d%d%d%-[%d:T.+%-]+ %*/", "")
  text = text:gsub("tv_sec=(%-?%d+), tv_([nu])sec=(%-?%d+)", function(seconds, unit, part)
    if not always and is_constant(seconds, part, unit) then return nil end
    return ("tv_sec=TIME, tv_%ssec=TIME"):format(unit)
  end)
  text = text:gsub('"tv_([nu])sec":(%-?%d+),"tv_sec":(%-?%d+)', function(unit, part, seconds)
    if not always and is_constant(seconds, part, unit) then return nil end
    return ('"tv_%ssec":"TIME","tv_sec":"TIME"'):format(unit)
  end)
  text = text:gsub('"tv_sec":(%-?%d+),"tv_(u)sec":(%-?%d+)', function(seconds, unit, part)
    if not always and is_constant(seconds, part, unit) then return nil end
    return ('"tv_sec":"TIME","tv_%ssec":"TIME"'):format(unit)
  end)
  return (text:gsub("left {tv_sec=[%w%-]+, (tv_[nu]sec)=%w+}", "left {tv_sec=TIME, %1=TIME}"))
end

--- A line of text or JSON, or a piece of one, of one thread.
---@param stream table see Normal:stream
---@param text string
---@return string
function Normal:text(stream, text)
  local call_name = text:match("^([%w_]+)%(") or text:match('"call":"([%w_]+)"')
  if call_name then stream.text_call = call_name else call_name = stream.text_call end
  if self.has_temporaries then text = text:gsub("[%w_.%-+]+", function(word)
    local known = self.temporary[word]
    if known then return known end
    local stem, ending = word:match("^(.-)(%.%l%l?%l?)$")
    if stem and self.temporary[stem] then return self.temporary[stem] .. ending end
    -- First without an ending: letters of the random part could be taken for one.
    local whole, last = word:match("^(.*)(%w%w%w%w%w%w)$")
    if last and self.temporary[last] then return whole .. self.temporary[last] end
    local head, tail, rest = word:match("^(.-)(%w%w%w%w%w%w)(%.?%l?%l?%l?)$")
    if tail and self.temporary[tail] then return head .. self.temporary[tail] .. rest end
  end) end
  text = text:gsub("0x(%x%x%x%x%x+)", function(digits)
    if digits:find("^f+$") or #digits < 6 and tonumber(digits, 16) < FIRST_ADDRESS then return nil end
    return numbered(stream, "addr", digits:gsub("^0+", ""))
  end)
  if text:find("sec", 1, true) or text:find(" /* ", 1, true) then text = times(text, call_name) end
  text = text:gsub("%f[%w_]([%w_]+)=(%-?%d+)", function(name, number)
    if volatile[name] then return name .. "=TIME" end
    if pids[name] then return name .. "=" .. self:pid(tonumber(number)) end
  end)
  text = text:gsub('"([%w_]+)":(%-?%d+)', function(name, number)
    if volatile[name] then return ('"%s":"TIME"'):format(name) end
    if name == "port" and tonumber(number) >= 32768 then
      return '"port":"' .. numbered(stream, "port", number) .. '"'
    end
  end)
  text = text:gsub("htons%((%d+)%)", function(number)
    if tonumber(number) >= 32768 then return ("htons(%s)"):format(numbered(stream, "port", number)) end
  end)
  text = text:gsub(" port (%d+)", function(number)
    if tonumber(number) >= 32768 then return " " .. numbered(stream, "port", number) end
  end)
  text = text:gsub("(%a+:%[)(%d+)%]", function(kind, inode) return kind .. numbered(stream, "inode", inode) .. "]" end)
  text = text:gsub("/proc/(%d+)", function(number)
    local other = self.by_tid[tonumber(number)]
    return other and "/proc/" .. other.name
  end)
  -- Ids that the program itself has put into words.
  text = text:gsub('"[^"]*"', function(words)
    if not words:find("%d%d%d%d") then return nil end
    return (words:gsub("%f[%d]%d%d%d%d+%f[%D]", function(digits)
      local other = self.by_tid[tonumber(digits)]
      return other and other.name
    end))
  end)
  text = text:gsub("(parent_tid=%[)(%d+)", function(head, number) return head .. self:pid(tonumber(number)) end)
  text = text:gsub("(TIOC[GS]PGRP, %[)(%d+)", function(head, number) return head .. self:pid(tonumber(number)) end)
  if call_name == "getrandom" then
    text = text:gsub('getrandom%(".-"%.*, ', "getrandom(RANDOM, "):gsub('"buf":(.-),"', '"buf":"RANDOM","')
  elseif call_name == "read" and stream.reads_random then
    text = text:gsub('^(read%([^,]+, )".-"(%.*, %d)', "%1RANDOM%2"):gsub('"buf":(.-),"', '"buf":"RANDOM","')
  elseif call_name == "time" or call_name == "times" then
    text = text:gsub("= %d+", "= TIME"):gsub('"ret":%d+', '"ret":"TIME"')
  elseif call_name == "sysinfo" then
    text = text:gsub("{uptime.*}", "{...}"):gsub('"info":{.-}', '"info":"..."')
  end
  return text
end

return M
