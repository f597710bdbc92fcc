--- The C core as Lua sees it; the only file that touches `ffi.C`.
--
-- Loads the declarations of src/api.h, checks that core and Lua belong together, and turns C results into the one
-- error shape: `nil, message, "ENAME"`. It knows stops and tracees, nothing of scripts.
--
--   local engine = require "luatrace.engine"
--   local tracer = engine.open {}
--   local started = tracer:spawn { file = "/bin/true", argv = { "true" }, plan = engine.new_plan() }
--   repeat local stop = tracer:next() ... tracer:resume(stop.id) until stop.kind == engine.kind.DONE

local ffi = require "ffi"
local constants = require "luatrace.constants"
local sys = require "luatrace.sys"

local tonumber, tostring = tonumber, tostring

ffi.cdef(require "luatrace.api")

local library = package.loaded["luatrace.library"]
local C = library and ffi.load(library) or ffi.C

local ABI = 12
do
  local known, abi = pcall(function() return C.tracer_abi() end)
  if not known then
    error("luatrace: the C core is not here: use build/luatrace, or put luatrace.so on package.cpath", 0)
  elseif abi ~= ABI then
    error(("luatrace: the C core has ABI %d, these Lua modules need %d: rebuild both (make)"):format(abi, ABI), 0)
  end
end

local M = {}

--- What was open when luatrace began: the program inherits these, and nothing that luatrace or a script opens later.
local inherited = {}
for _, name in ipairs(sys.list_dir("/proc/self/fd") or {}) do
  local fd = tonumber(name)
  if fd > 2 and sys.is_open(fd) then inherited[#inherited + 1] = fd end
end
table.sort(inherited)

--- Kinds of stops (enum stop_kind), by name.
M.kind = {
  NONE = C.STOP_NONE,
  DONE = C.STOP_DONE,
  INTERRUPTED = C.STOP_INTERRUPTED,
  BIRTH = C.STOP_BIRTH,
  START = C.STOP_START,
  ENTRY = C.STOP_SYSCALL_ENTRY,
  EXIT_CALL = C.STOP_SYSCALL_EXIT,
  SIGNAL = C.STOP_SIGNAL,
  GROUP = C.STOP_GROUP,
  EXEC = C.STOP_EXEC,
  INJECTED = C.STOP_INJECTED,
  EXIT = C.STOP_EXIT,
  SUPERSEDED = C.STOP_SUPERSEDED,
  READY = C.STOP_READY,
  PRINTED = C.STOP_PRINTED,
  PAUSED = C.STOP_PAUSED,
}

M.flag = {
  THREAD = C.STOP_FLAG_THREAD,
  VFORK = C.STOP_FLAG_VFORK,
  RESTARTED = C.STOP_FLAG_RESTARTED,
  ATTACHED = C.STOP_FLAG_ATTACHED,
  ROOT = C.STOP_FLAG_ROOT,
  PRINTING = C.STOP_FLAG_PRINTING,
  NOTIFY = C.STOP_FLAG_NOTIFY,
}

M.want = { START = C.WANT_START, SIGNALS = C.WANT_SIGNALS, SYSTEM_TIME = C.WANT_SYSTEM_TIME }
M.mechanism = { allow = C.MECHANISM_ALLOW, errno = C.MECHANISM_ERRNO, notify = C.MECHANISM_NOTIFY,
  stop = C.MECHANISM_STOP }
M.mode = { seccomp = C.TRAP_SECCOMP, ptrace = C.TRAP_PTRACE }

--- AUDIT_ARCH_* values of a stop, and the names that the tables use.
M.arch = {
  [0xC000003E] = { name = "x86_64", pointer_size = 8, bits = 64, audit = 0xC000003E },
  [0x40000003] = { name = "i386", pointer_size = 4, bits = 32, audit = 0x40000003 },
}

local launch_steps = { "fork", "seize", "cwd", "user", "fds", "no_new_privs", "filter", "listener", "exec" }

---@param negative integer -errno
---@return nil, string, string
local function failure(negative)
  local name = constants.errno.by_value[-negative] or ("errno " .. -negative)
  return nil, constants.errno.text and constants.errno.text[name] or name, name
end
M.failure = failure

--- A 64-bit value as Lua likes it: a number when that is exact, else the cdata itself.
---@param value any int64_t or uint64_t cdata
---@return number|any
local function exact(value)
  local number = tonumber(value)
  if number < 9007199254740992 and number > -9007199254740992 then return number end
  return value
end
M.exact = exact

--- What the running kernel offers (struct tracer_features).
---@param tries { notify: boolean?, i386: boolean? }|nil what is tried, each in a short-lived process: only then do
--- features.notify_error and features.arch_i386 tell
function M.features(tries)
  local features = ffi.new("struct tracer_features")
  C.tracer_probe(features)
  if tries and tries.notify then C.tracer_probe_notify(features) end
  if tries and tries.i386 then C.tracer_probe_i386(features) end
  return features
end

--- A trap plan: what the kernel shall do with each call.
---@class luatrace.EnginePlan
local Plan = {}
Plan.__index = Plan

---@return luatrace.EnginePlan
function M.new_plan()
  local plan = C.trap_plan_new()
  if plan == nil then error("out of memory") end
  return setmetatable({ pointer = ffi.gc(plan, C.trap_plan_free) }, Plan)
end

local entry_box = ffi.new("struct trap_entry")

--- Adds one entry; entries of the same call are tried in order.
---@param arch integer AUDIT_ARCH_*
---@param nr integer
---@param mechanism integer one of M.mechanism
---@param data integer|nil the errno of mechanism errno
---@param tests table|nil list of { arg = 0..5, op = "eq|ne|lt|le|gt|ge", value =, mask =, signed =, bits = }
---@return true|nil, string|nil, string|nil
function Plan:add(arch, nr, mechanism, data, tests)
  local count = tests and #tests or 0
  local array = count > 0 and ffi.new("struct trap_test[?]", count) or nil
  for i = 1, count do
    local test, to = tests[i], array[i - 1]
    to.arg, to.is_signed, to.bits = test.arg, test.signed and 1 or 0, test.bits or 64
    to.op = C["TRAP_TEST_" .. test.op:upper()]
    to.mask = test.mask or 0xffffffffffffffffULL
    to.value = type(test.value) == "number" and test.value < 0 and ffi.cast("int64_t", test.value) or test.value
  end
  entry_box.arch, entry_box.nr, entry_box.mechanism, entry_box.data = arch, nr, mechanism, data or 0
  entry_box.test_first, entry_box.test_count = 0, count
  local error_number = C.trap_plan_add(self.pointer, entry_box, array)
  if error_number < 0 then return failure(error_number) end
  return true
end

--- What no entry matches gets this mechanism; nothing can be added after it.
---@param mechanism integer one of M.mechanism
---@return true|nil, string|nil, string|nil
function Plan:add_rest(mechanism)
  local error_number = C.trap_plan_add_rest(self.pointer, mechanism)
  if error_number < 0 then return failure(error_number) end
  return true
end

--- A call is of interest only when one of its paths may match a pattern; the core lets others pass.
---@param arguments integer bit i: argument i, the first is 0, is a path
---@param begin string what the path, made absolute, begins with; "": anything
---@param finish string what its last part ends with
---@return true|nil, string|nil, string|nil
function Plan:add_path(arch, nr, arguments, begin, finish)
  local error_number = C.trap_plan_add_path(self.pointer, arch, nr, arguments, begin, finish)
  if error_number < 0 then return failure(error_number) end
  return true
end

--- Programs may compare those paths themselves (src/gate.h), and ask about calls by mailbox (src/mailbox.h): when all
-- has been added, before a program is launched.
---@return boolean false: no call of this plan can be treated so
function Plan:open_gate() return C.trap_plan_open_gate(self.pointer) == 0 end

--- Is this a call that programs may let go themselves, or ask about by mailbox?
---@return boolean
function Plan:gates(arch, nr) return C.trap_plan_gates(self.pointer, arch, nr) ~= 0 end

--- Would the core report a call with this path?
---@return boolean
function Plan:lets_through(arch, nr, path) return C.trap_plan_lets_through(self.pointer, arch, nr, path) ~= 0 end

--- BPF instructions of the filter.
function Plan:size()
  local size = C.trap_plan_filter_size(self.pointer)
  if size < 0 then return failure(size) end
  return size
end

--- What the plan says of one call: mechanism, data.
function Plan:verdict(arch, nr, args)
  local raw = ffi.new("uint64_t[6]")
  for i = 1, 6 do raw[i - 1] = args[i] or 0 end
  local verdict = C.trap_plan_verdict(self.pointer, arch, nr, raw)
  return verdict % 256, math.floor(verdict / 256)
end

---@class luatrace.Tracer
local Tracer = {}
Tracer.__index = Tracer

local workers = { auto = C.WORKERS_WHEN_IT_PAYS, never = C.WORKERS_NEVER, always = C.WORKERS_ALWAYS }

--- Opens a tracer. One per Lua state is enough: it can hold many programs ("trees").
---@param options table want, no_set_syscall_info, no_get_syscall_info, no_shared_cpu, memory_path, workers
---  and gate ("auto", "never" or "always")
---@return luatrace.Tracer
function M.open(options)
  local box = ffi.new("struct tracer_options")
  box.want = options.want or 0
  box.no_set_syscall_info = options.no_set_syscall_info and 1 or 0
  box.no_get_syscall_info = options.no_get_syscall_info and 1 or 0
  box.no_shared_cpu = options.no_shared_cpu and 1 or 0
  box.memory_path = options.memory_path or 0
  box.workers = workers[options.workers or "auto"]
  box.gate = options.gate == "always" and C.GATE_ALWAYS or C.GATE_WHEN_IT_PAYS -- "never" is the plan's to keep
  local pointer = C.tracer_open(box)
  if pointer == nil then error("luatrace: cannot open a tracer: out of memory") end
  return setmetatable({ pointer = ffi.gc(pointer, C.tracer_close), buffer_size = 0 }, Tracer)
end

--- What the kernel offers: what M.features() found when the tracer was opened.
function Tracer:features() return ffi.new("struct tracer_features", C.tracer_features(self.pointer)[0]) end

--- Something is in a buffer that nobody can see yet: a stop of kind PRINTED comes soon.
function Tracer:note_unwritten() C.tracer_note_unwritten(self.pointer) end

--- Kills what was spawned, lets go of what was attached, frees all.
function Tracer:close()
  if self.pointer then C.tracer_close(ffi.gc(self.pointer, nil)) end
  self.pointer = nil
end

--- Starts a program under trace.
---@param launch table file, argv, env, cwd, user, fds (three), new_group, mode, no_follow, insist_notify, plan
---@return { pid: integer, tree: integer, no_new_privs: boolean, notifies: boolean }|nil
---@return string? message, string? errno, string? step
function Tracer:spawn(launch)
  local box, result = ffi.new("struct tracer_launch"), ffi.new("struct launch_result")
  local argv, env = sys.string_array(launch.argv), launch.env and sys.string_array(launch.env)
  box.file, box.argv, box.envp = launch.file, argv, env
  box.cwd, box.user = launch.cwd, launch.user
  for i = 0, 2 do box.fds[i] = launch.fds and launch.fds[i + 1] or -1 end
  local keep = ffi.new("int32_t[?]", #inherited + 1, inherited)
  box.keep_fds, box.keep_count = keep, #inherited
  box.new_group = launch.new_group and 1 or 0
  box.mode = launch.mode or M.mode.seccomp
  box.no_follow = launch.no_follow and 1 or 0
  box.daemonize = launch.daemonize or 0
  box.fd_limit = sys.inherited_fd_limit or 0
  box.insist_notify = launch.insist_notify and 1 or 0
  box.plan = launch.plan.pointer
  local error_number = C.tracer_spawn(self.pointer, box, result)
  if error_number < 0 then
    local _, message, name = failure(error_number)
    return nil, message, name, launch_steps[result.step]
  end
  return { pid = result.pid, tree = result.tree, no_new_privs = result.no_new_privs ~= 0,
    notifies = result.notifies ~= 0, plan = launch.plan }
end

local step_box = ffi.new("uint32_t[1]")

--- Why the root of a tree did not become its program; nil when it did.
---@return string? errno, string? step, string? message
function Tracer:launch_error(tree)
  local error_number = C.tracer_launch_error(self.pointer, tree, step_box)
  if error_number == 0 then return nil end
  local _, message, name = failure(-error_number)
  return name, launch_steps[step_box[0]], message
end

--- Attaches to a process and all its threads.
---@return integer|nil tree, string? message, string? errno
function Tracer:attach(pid, plan, no_follow)
  local tree = C.tracer_attach(self.pointer, pid, plan.pointer, no_follow and 1 or 0)
  if tree < 0 then return failure(tree) end
  return tree
end

--- Waits for the next stop. The stop is the core's: see src/api.h for how long it is valid.
---@param nanoseconds number negative: no limit
function Tracer:next(nanoseconds)
  return C.tracer_next(self.pointer, nanoseconds)
end

--- Makes `next` return (READY) when one of these descriptors of ours is ready: see session/watched_fds.lua.
---@param list { fd: integer, events: integer }[] events as of poll(2); empty: none any more
---@return any watched the core's array: revents of each
function Tracer:watch(list)
  local box = ffi.new("struct tracer_watched[?]", #list + 1)
  for i = 1, #list do box[i - 1].fd, box[i - 1].events = list[i].fd, list[i].events end
  local error_number = C.tracer_watch(self.pointer, box, #list)
  if error_number < 0 then error("luatrace: cannot watch descriptors: " .. select(2, failure(error_number))) end
  self.watched = box -- the core borrows it
  return box
end

--- Lets a held tracee go on. A tracee that died meanwhile is no error: its exit is reported soon.
function Tracer:resume(stop, want_exit, signal)
  return C.tracer_resume(self.pointer, stop, want_exit and 1 or 0, signal or 0)
end

--- The same at an entry whose line the core's printer may end.
function Tracer:resume_printing(stop) return C.tracer_resume(self.pointer, stop, 3, 0) end

local args_box = ffi.new("uint64_t[6]")

local function fill(args)
  for i = 0, 5 do
    local value = args[i + 1] or 0
    -- A negative Lua number would be undefined as uint64_t: through int64_t it is two's complement.
    args_box[i] = type(value) == "number" and ffi.cast("int64_t", value) or value
  end
  return args_box
end

local function checked(result)
  if result < 0 then return failure(result) end
  return result
end

function Tracer:set_call(stop, nr, args) return checked(C.tracer_set_call(self.pointer, stop, nr, fill(args))) end
function Tracer:skip_call(stop, result) return checked(C.tracer_skip_call(self.pointer, stop, result)) end
function Tracer:set_result(stop, result) return checked(C.tracer_set_result(self.pointer, stop, result)) end
function Tracer:inject(stop, nr, args) return checked(C.tracer_inject(self.pointer, stop, nr, fill(args))) end
function Tracer:signal(tracee, signal, whole)
  return checked(C.tracer_signal(self.pointer, tracee, signal, whole and 1 or 0))
end
--- Stops a running thread where it is: PAUSED comes, or "EBUSY" when it is held or stopped already.
---@return integer|nil, string? message, string? errno
function Tracer:pause(tracee) return checked(C.tracer_pause(self.pointer, tracee)) end
function Tracer:detach(tracee) return checked(C.tracer_detach(self.pointer, tracee)) end
function Tracer:count(tree) return C.tracer_count(self.pointer, tree or 0) end
function Tracer:kill(tree, signal) return C.tracer_kill(self.pointer, tree or 0, signal) end
--- What signals to luatrace itself do: -I.
---@param how integer|nil 0 they are reported (default); 1 to them as to any program; 2 ignored; 3 with SIGTSTP
function Tracer:catch_signals(how) C.tracer_catch_signals(self.pointer, how or 0) end

--- luatrace ends at that time whatever its script does: see tracer_end_at in api.h.
---@param time number|nil nanoseconds of CLOCK_MONOTONIC; nil: not any more
---@param status integer|nil
function Tracer:end_at(time, status) C.tracer_end_at(self.pointer, time or 0, status or 0) end

--- The siginfo_t of a signal-delivery-stop as 128 bytes.
function Tracer:get_siginfo(stop)
  local box = ffi.new("uint8_t[128]")
  local error_number = C.tracer_get_siginfo(self.pointer, stop, box, 128)
  if error_number < 0 then return failure(error_number) end
  return ffi.string(box, 128)
end

-- One growing buffer for all reads: what leaves it is a Lua string.
function Tracer:_reserve(size)
  if size > self.buffer_size then
    local rounded = 4096
    while rounded < size do rounded = rounded * 2 end
    self.buffer, self.buffer_size = ffi.new("uint8_t[?]", rounded), rounded
  end
  return self.buffer
end

--- A script that asks for more in one piece has a bug, or was handed a hostile length.
M.max_read = 256 * 1024 * 1024

--- Bytes of the tracee's memory; short at a hole.
---@return string|nil bytes, string? message, string? errno
function Tracer:read(tracee, address, size)
  if size <= 0 then return "" end
  if size > M.max_read then size = M.max_read end
  local buffer = self:_reserve(size)
  local got = tonumber(C.tracer_read(self.pointer, tracee, address, buffer, size))
  if got < 0 then return failure(got) end
  return ffi.string(buffer, got)
end

local partial_box = ffi.new("uint64_t[1]")

--- A NUL-terminated string, without the NUL; at most `size` bytes (then the second result is true).
---@return string|nil bytes, boolean|string truncated_or_message, string? errno
function Tracer:read_cstring(tracee, address, size)
  local buffer = self:_reserve(size)
  local got = tonumber(C.tracer_read_cstring(self.pointer, tracee, address, buffer, size, partial_box))
  if got < 0 then return failure(got) end
  return ffi.string(buffer, got), got == size
end

---@return integer|nil written, string? message, string? errno
function Tracer:write(tracee, address, bytes)
  local put = tonumber(C.tracer_write(self.pointer, tracee, address, bytes, #bytes))
  if put < 0 then return failure(put) end
  return put
end

--- Many reads with one system call: fills `ranges[i].bytes` (nil when unreadable).
---@param ranges { [1]: any, [2]: integer, bytes: string? }[] address and size each
function Tracer:read_ranges(tracee, ranges)
  local count, total = #ranges, 0
  for i = 1, count do total = total + ranges[i][2] end
  if count == 0 or total > M.max_read then return end
  local buffer = self:_reserve(total)
  if not self.ranges or self.ranges_size < count then
    self.ranges, self.ranges_size = ffi.new("struct memory_range[?]", count + 16), count + 16
  end
  local boxes, offset = self.ranges, 0
  for i = 1, count do
    local box = boxes[i - 1]
    box.from, box.to, box.size = ranges[i][1], buffer + offset, ranges[i][2]
    offset = offset + ranges[i][2]
  end
  C.tracer_read_ranges(self.pointer, tracee, boxes, count)
  for i = 1, count do
    local got = tonumber(boxes[i - 1].result)
    ranges[i].bytes = got >= 0 and ffi.string(boxes[i - 1].to, got) or nil
  end
end

--- Calls that have a program are printed by the core: see output/printed.lua.
---@return any struct print_output
function Tracer:print_start(show_tid, column)
  local output = C.tracer_print_start(self.pointer, show_tid and 1 or 0, column)
  if output == nil then error("out of memory") end
  return output
end

local NO_ARGUMENT, OF_RESULT = C.PRINT_NO_ARGUMENT, C.PRINT_OF_RESULT

---@param nr integer
---@param program table name, result, late, and a list of ops: the fields of struct print_op, kinds by name
function Tracer:print_program(nr, program)
  local ops, box = ffi.new("struct print_op[?]", #program + 1), ffi.new("struct print_program")
  for i = 1, #program do
    local op, to = program[i], ops[i - 1]
    to.before, to.kind, to.argument = op.before, C["PRINT_" .. op.kind], op.argument
    to.when, to.when_set = op.when or NO_ARGUMENT, op.when_set or 0
    to.length = op.length == "ret" and OF_RESULT or op.length or 0
    to.of_result, to.set, to.limit = op.of_result and 1 or 0, op.set or 0, op.limit or 0
  end
  box.name, box.ops, box.count, box.late, box.result = program.name, ops, #program, program.late,
    C["PRINT_" .. program.result]
  box.result_set, box.variant, box.value = program.result_set or 0, program.variant or NO_ARGUMENT, program.value or 0
  return checked(C.tracer_print_program(self.pointer, nr, box))
end

--- Makes a text known to the core's printer.
---@param key string bytes
function Tracer:print_text(set, key, text)
  return checked(C.tracer_print_text(self.pointer, set, key, #key, text, #text))
end

local MAX_FRAMES = 256

--- The stack of a stopped tracee, innermost frame first.
---@return { ip: any, symbol: string?, offset: integer?, module: string?, module_offset: integer? }[]
function Tracer:stack(tracee)
  self.frames = self.frames or ffi.new("struct stack_frame[?]", MAX_FRAMES)
  local count = C.tracer_stack(self.pointer, tracee, self.frames, MAX_FRAMES)
  local frames = {}
  for i = 1, count do
    local frame = self.frames[i - 1]
    frames[i] = {
      ip = exact(frame.ip),
      symbol = frame.symbol ~= nil and ffi.string(frame.symbol) or nil,
      offset = frame.symbol ~= nil and tonumber(frame.symbol_offset) or nil,
      module = frame.module ~= nil and ffi.string(frame.module) or nil,
      module_offset = frame.module ~= nil and tonumber(frame.module_offset) or nil,
    }
  end
  return frames
end

--- The name of an address or a large integer: hexadecimal.
function M.hex(value)
  if type(value) == "number" then return ("0x%x"):format(value) end
  local text = tostring(ffi.cast("uint64_t", value)):gsub("ULL$", "")
  return text
end

return M
