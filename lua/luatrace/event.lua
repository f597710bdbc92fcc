--- What a handler holds: `call`, a lazy, typed view of one system call from entry to return.
--
-- A field is read from the tracee when it is first touched, and only while the tracee is stopped: at entry, and again
-- at exit after `call:run()`. Assignments go the other way: before `run` they rewrite the call, after it they rewrite
-- what the program sees.
--
--   on.openat(function(call)
--     print(call.process.pid, call.pathname, call.flags)
--     local fd, err = call:run()
--     if err == "ENOENT" then call:returns(call:inject("dup", 3)) end
--   end)

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local engine = require "luatrace.engine"
local mechanism = require "luatrace.plan.mechanism"
local misspelt = require "luatrace.event.misspelt"
local script_place = require "luatrace.event.script_place"

local exact, tonumber, type, error, rawget, rawset = engine.exact, tonumber, type, error, rawget, rawset
local running, yield = coroutine.running, coroutine.yield

local M = {}

--- What a coroutine asks of the session when it yields: the first value.
M.op = { RUN = 1, SLEEP = 2, HOLD = 3, INJECT = 4, DONE = 5 }
local op = M.op

---@class luatrace.Call
---@field name string name of the call, as in its manual page
---@field nr integer its number
---@field args any[] the six raw arguments; assignable before `run`
---@field ret any what the program sees; -1 when the call failed; nil before it has run
---@field errno string|nil name of the error, when it failed
---@field nth integer how many calls of this name there have been in this run, this one included
---@field time number seconds (CLOCK_MONOTONIC) when it was entered
---@field process luatrace.Process
---@field thread luatrace.Thread
---@field memory luatrace.Memory
---@field restarted boolean the kernel restarts an interrupted call: not a new one
local Call = {}
M.Call = Call

--- Errors of scripts point at the script's own line, however deep in luatrace the check is.
local function misuse(message) error(message, script_place.level(2)) end
M.misuse = misuse

local function is_live(call)
  if call.phase == "over" then misuse(("this %s has ended: read and change it from its handler"):format(call.name)) end
end

--- Some things take a stopped thread. Watch handlers may not ask for them, whatever serves them, so that all
-- mechanisms do the same; under --trap=notify nobody may.
local function needs_stop(call, what)
  if rawget(call, "watching") then
    misuse(("watch.%s may look, answer, wait and kill; %s takes a stop: use on.%s"):format(call.name, what, call.name))
  elseif rawget(call, "notified") then
    misuse(("%s: %s takes a stop, and under --trap=notify there is none"):format(call.name, what))
  end
end

--- The raw argument registers, all six, as the program gave them or as they were rewritten.
function Call.raw_args(call)
  local raw = rawget(call, "raw")
  if raw then return raw end
  local args = call.stop.args
  raw = { exact(args[0]), exact(args[1]), exact(args[2]), exact(args[3]), exact(args[4]), exact(args[5]) }
  rawset(call, "raw", raw)
  return raw
end

--- Sets a raw argument register; the program gets its own back after the call.
---@param i integer 1 to 6
---@param value any
function Call:set_raw(i, value)
  is_live(self)
  if self.phase ~= "entry" then
    local argument = self.row[i]
    misuse(("%s: argument %s can only be changed before call:run()"):format(self.name, argument and argument.name or i))
  end
  needs_stop(self, "rewriting the call")
  Call.raw_args(self)[i] = value
  self.changed = true
  self.cache = nil
end

local Args = {}
Args.__index = function(args, i)
  if type(i) == "number" then return Call.raw_args(args.call)[i] end
end
Args.__newindex = function(args, i, value)
  if type(i) ~= "number" or i < 1 or i > 6 or i % 1 ~= 0 then misuse("call.args has the elements 1 to 6") end
  if type(value) ~= "number" and type(value) ~= "cdata" then
    misuse(("call.args[%d] takes a number, not a %s"):format(i, type(value)))
  end
  args.call:set_raw(i, value)
end
Args.__len = function() return 6 end

--- Results: errno values by -4095..-1, as the kernel encodes them.
local function set_result(call, raw)
  local failed = type(raw) == "number" and raw < 0 and raw >= -4095
  rawset(call, "raw_ret", raw)
  rawset(call, "failed", failed)
  rawset(call, "error_name", failed and (constants.errno.by_value[-raw] or "errno " .. -raw) or nil)
  rawset(call, "cache", nil)
end
M.set_result = set_result

local function raw_errno(name, what)
  local value = constants.errno.by_name[name]
  if not value and type(name) == "string" then
    misuse(("%s: unknown error %q: use a name of errno(3) such as \"ENOENT\""):format(what, name))
  elseif not value then
    misuse(("%s takes the name of an error such as \"ENOENT\", not a %s"):format(what, type(name)))
  end
  return value
end

local function signal_number(signal, what)
  if type(signal) == "number" and signal >= 1 and signal <= 64 then return signal end
  local value = type(signal) == "string" and
    (constants.signals.by_name[signal] or constants.signals.by_name["SIG" .. signal])
  if not value then misuse(("%s takes a signal such as \"SIGTERM\", not %s"):format(what, tostring(signal))) end
  return value
end
M.signal_number = signal_number

--- In the handler's own coroutine only: the session resumes that one, not one that the script made.
local function wait(call, what, ...)
  local task = rawget(call, "task")
  if not task or running() ~= task.co then
    misuse(("call:%s waits, so it must be called from the handler itself (not from another coroutine, and not after " ..
      "the handler has returned)"):format(what))
  end
  return yield(...)
end

--- Lets the kernel do the call and waits for its return.
---@return any result, string? errno  nil and the error's name when it failed
function Call:run()
  is_live(self)
  if rawget(self, "watching") then
    misuse(("watch.%s sees the call at its entry only: use on.%s to have its result"):format(self.name, self.name))
  end
  needs_stop(self, "its result")
  if self.phase == "exit" then
    misuse(("%s has already run: call:run() may be called once"):format(self.name))
  end
  -- Lengths that the kernel overwrites bound what may be assigned afterwards.
  if self.row.remembers then decode.remember(self) end
  wait(self, "run", op.RUN)
  if self.failed then return nil, self.error_name end
  return self.raw_ret
end

--- Before `run`: the call does not happen, the program sees `value`. After it: the program sees `value`.
---@param value number|any
function Call:returns(value)
  is_live(self)
  if value == nil then value = 0 end
  if type(value) == "boolean" then value = value and 1 or 0 end
  if type(value) == "table" and value.num then value = value.num end
  if type(value) ~= "number" and type(value) ~= "cdata" then
    misuse(("call:returns takes a number, not a %s"):format(type(value)))
  end
  self.tampered = true
  if self.phase == "exit" then
    self.session.tracer:set_result(self.id, value)
  else
    self.answered = true
  end
  set_result(self, value)
end

--- Before `run`: the call does not happen and fails with this error. After it: the program sees it fail.
---@param name string an error's name, "EIO"
function Call:fail(name)
  self:returns(-raw_errno(name, "call:fail"))
end

--- Kills the whole process; before `run` the call never happens.
---@param signal string|integer|nil default SIGKILL
function Call:kill(signal)
  is_live(self)
  local number = signal_number(signal or "SIGKILL", "call:kill")
  if self.phase == "entry" and not self.answered then
    self.answered = true
    set_result(self, -constants.errno.by_name.EINTR)
  end
  self.session.tracer:signal(self.tracee, number, true)
end

--- Sends a signal to the thread that makes the call.
---@param signal string|integer
function Call:signal(signal)
  is_live(self)
  self.session.tracer:signal(self.tracee, signal_number(signal, "call:signal"), false)
end

--- Holds this thread, and nobody else, for so many seconds; a signal to luatrace (Ctrl-C, SIGTERM) ends the wait, as
--- the thread could not receive it.
---@param seconds number
function Call:sleep(seconds)
  is_live(self)
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    misuse("call:sleep takes a number of seconds, 0 or more")
  end
  wait(self, "sleep", op.SLEEP, seconds)
end

--- Holds this thread until another handler calls `call:release(value)` on it; returns that value, or nil when a signal
--- to luatrace has ended the wait.
---@return any
function Call:hold()
  is_live(self)
  return wait(self, "hold", op.HOLD)
end

--- Lets a held call go on.
---@param value any|nil what its `hold` returns
function Call:release(value)
  self.session:release(self, value)
end

--- Runs another call in the tracee, in this thread, and returns its result.
---@param name string|integer
---@vararg any up to six raw arguments: numbers, fd objects, addresses from call.memory:alloc
---@return any result, string? errno  nil and the error's name when it failed
function Call:inject(name, ...)
  is_live(self)
  needs_stop(self, "call:inject")
  local nr, row = name
  if type(name) == "number" then
    row = decode.row(self.arch.name, name)
  else
    row = decode.find(self.arch.name, name)
    if not row then
      misuse(("call:inject: there is no call %q on %s"):format(tostring(name), self.arch.name))
    elseif row.inner then
      misuse(("call:inject: on i386 %s has no number of its own: it is made inside another call"):format(name))
    end
    nr = row.nr
  end
  local args = { ... }
  for i = 1, select("#", ...) do
    local value = args[i]
    if type(value) == "table" and value.num then
      args[i] = value.num
    elseif type(value) ~= "number" and type(value) ~= "cdata" then
      misuse(("call:inject: argument %d is a %s; it takes numbers (put bytes into call.memory:alloc)"):format(i,
        type(value)))
    end
  end
  if #row < 6 then args[6] = args[6] or mechanism.injected_mark end
  local result, failure_name = wait(self, "inject", op.INJECT, nr, args)
  if failure_name then return nil, failure_name end
  if type(result) == "number" and result < 0 and result >= -4095 then
    return nil, constants.errno.by_value[-result] or "errno " .. -result
  end
  return result
end

--- Lets the program be: from now on none of this process's calls is reported.
function Call:detach()
  is_live(self)
  self.session:detach(self)
end

--- Says that nobody needs this call's return: saves its exit stop even where the output would have wanted it, which
-- then shows the call without a result (`-e status=` calls it unavailable; `-c` counts it, without time or error). A
-- handler that waits for the result gets it all the same, and so does the table of descriptors where the call changes
-- it.
function Call:skip_exit()
  self.exit_unwanted = true
end

--- The stack of the calling thread.
---@return { ip: any, symbol: string?, offset: integer?, module: string?, module_offset: integer? }[]
function Call:stack()
  is_live(self)
  needs_stop(self, "call:stack")
  return self.session.tracer:stack(self.tracee)
end

--- The memory that the call reads (at entry) and has written (at exit).
---@return { argument: string, direction: "read"|"written", address: any, length: integer }[]
function Call:footprint()
  is_live(self)
  return decode.footprint(self)
end

--- The absolute paths that the call names or that its descriptors are open on; one that was given otherwise also as
-- it was given.
---@return string[]
function Call:paths() return require("luatrace.filter.subjects").paths(self) end

--- The descriptors among its arguments.
---@return luatrace.ArgumentFd[]
function Call:fds() return require("luatrace.filter.subjects").fds(self) end

--- The bytes that it carries: what write is given; after `run`, what read has got. nil where there are none.
---@return string|nil
function Call:data() return require("luatrace.filter.subjects").data(self) end

--- The tracee's memory, from a script.
---@class luatrace.Memory
local Memory = {}
Memory.__index = Memory

local function address_of(value, what)
  if type(value) ~= "number" and type(value) ~= "cdata" then
    misuse(("%s takes an address (a number), not a %s"):format(what, type(value)))
  end
  -- A negative number is undefined as uint64_t in C; as an address it is merely bad.
  if type(value) == "number" and value < 0 then return ffi.cast("uint64_t", ffi.cast("int64_t", value)) end
  return value
end

--- What a read gave. That the kernel refused it is said: rules on it look as if the program made no such call.
local function told(call, bytes, message, name)
  if name == "EPERM" then call.session:tell_refusal(call.process) end
  return bytes, message, name
end

---@param address number|any
---@param length integer
---@return string|nil bytes short at a hole; nil, message, "EFAULT" when even the first byte cannot be read
function Memory:read(address, length)
  local known = self.fetched and self.fetched[address]
  if known and #known >= length then return known:sub(1, length) end
  local call = self.call
  return told(call, call.session.tracer:read(call.tracee, address_of(address, "memory:read"), length))
end

---@return integer|nil written
function Memory:write(address, bytes)
  if type(bytes) ~= "string" then misuse(("memory:write takes a string of bytes, not a %s"):format(type(bytes))) end
  return self.call.session.tracer:write(self.call.tracee, address_of(address, "memory:write"), bytes)
end

---@param max integer|nil default 4096 (PATH_MAX)
---@return string|nil bytes, boolean|string truncated
function Memory:cstring(address, max)
  local known = self.fetched and self.fetched[address]
  local zero = known and known:find("\0", 1, true)
  if zero and zero <= (max or 4096) then return known:sub(1, zero - 1), false end
  local call = self.call
  return told(call, call.session.tracer:read_cstring(call.tracee, address_of(address, "memory:cstring"), max or 4096))
end

--- A struct of lua/luatrace/structs, read at an address.
---@param name string for instance "timespec"
function Memory:struct(name, address)
  return decode.read_struct(self.call, name, address_of(address, "memory:struct"))
end

--- Scratch memory in the tracee, until the call returns.
---@param length integer
---@return number address
function Memory:alloc(length)
  needs_stop(self.call, "memory:alloc")
  return self.call.session.scratch:alloc(self.call, length)
end

--- What is needed next from several places is read with one system call, and remembered until `forget`.
---@param ranges { [1]: any, [2]: integer }[] address and size each
function Memory:prefetch(ranges)
  self.call.session.tracer:read_ranges(self.call.tracee, ranges)
  local fetched = {}
  for i = 1, #ranges do
    if ranges[i].bytes then fetched[ranges[i][1]] = ranges[i].bytes end
  end
  self.fetched = fetched
end

function Memory:forget() self.fetched = nil end

local computed = {
  raw = Call.raw_args,
  args = function(call) return setmetatable({ call = call }, Args) end,
  memory = function(call) return setmetatable({ call = call }, Memory) end,
  process = function(call) return call.thread.process end,
  text_options = function(call)
    local options = call.session.text_options
    return options.by_name and options.by_name(call.row.name) or options
  end,
  name = function(call) return call.row.name end,
  time = function(call) return call.entered / 1e9 end,
}

Call.__index = function(call, key)
  local method = Call[key]
  if method then return method end
  local compute = computed[key]
  if compute then
    if key == "raw" and call.phase == "over" then return nil end
    local value = compute(call)
    rawset(call, key, value)
    return value
  end
  if key == "ret" then
    local raw = rawget(call, "raw_ret")
    if raw == nil then return nil end
    return rawget(call, "failed") and -1 or raw
  end
  if key == "errno" then return rawget(call, "error_name") end
  if key == "nr" then return rawget(call, "new_nr") or call.row.nr end
  local row = rawget(call, "row")
  local index = row and row.index[key]
  if index then
    -- Cached per phase: an out-argument has another value after the call.
    local cache = rawget(call, "cache")
    if cache and cache[index] ~= nil then return cache[index] end
    is_live(call)
    local value, message, name = decode.value(call, index)
    if value == nil then return nil, message, name end
    if not cache then
      cache = {}
      rawset(call, "cache", cache)
    end
    cache[index] = value
    return value
  end
  if row then misspelt.look(call, row, key, computed) end
end

Call.__newindex = function(call, key, value)
  if key == "ret" then return call:returns(value) end
  if key == "errno" then return call:fail(value) end
  if key == "nr" then
    if type(value) ~= "number" then misuse(("call.nr takes the number of a call, not a %s"):format(type(value))) end
    Call.raw_args(call)
    call:set_raw(1, call.raw[1])
    return rawset(call, "new_nr", value)
  end
  local index = call.row.index[key]
  -- Scripts may keep notes on a call; so does luatrace itself.
  if not index then
    misspelt.note(key)
    return rawset(call, key, value)
  end
  is_live(call)
  needs_stop(call, "assigning to " .. key)
  local ok, message, name = decode.assign(call, index, value)
  if ok == nil then
    misuse(("%s: cannot assign to %s: %s (%s)"):format(call.name, key, tostring(message), tostring(name)))
  end
  call.cache = nil
end

--- A new call at its entry stop.
---@param session table
---@param stop any the core's struct tracer_stop
---@param row table of luatrace.decode
---@param thread table of luatrace.tracee.process_tree
---@return luatrace.Call
function M.new(session, stop, row, thread)
  -- The fields of a whole life, so that the table never grows.
  return setmetatable({
    handlers = false, observers = false, nth = false, stats = false, task = false, watching = false, raw = nil,
    session = session,
    stop = stop,
    id = tonumber(stop.id),
    tracee = stop.tracee,
    arch = engine.arch[stop.arch],
    row = row,
    thread = thread,
    phase = "entry",
    entered = tonumber(stop.time),
    restarted = bit.band(stop.flags, engine.flag.RESTARTED) ~= 0,
    notified = bit.band(stop.flags, engine.flag.NOTIFY) ~= 0 or nil,
    next_handler = 1,
  }, Call)
end

return M
