--- The trap plan: what the kernel shall do with each call, made of what the script and the output asked for.
--
--   local plan = require("luatrace.plan").build(registry, observers, options)
--   plan.mode                          -- "seccomp" or "ptrace"
--   plan.wanted:find("x86_64", 257)    -- { row =, handlers =, guard = }, for the session
--   plan:explain()                     -- lines for people: each call, its mechanism, what forced it

local bit = require "bit"
local ffi = require "ffi"
local decode = require "luatrace.decode"
local engine = require "luatrace.engine"
local fd_table = require "luatrace.tracee.fd_table"
local filter = require "luatrace.filter"
local mechanism = require "luatrace.plan.mechanism"
local mock = require "luatrace.mock"
local multiplexed = require "luatrace.decode.multiplexed"
local rules = require "luatrace.rules"
local shallow = require "luatrace.shallow"

local M = {}

local CLONE_UNTRACED = 0x00800000
local X32_BIT = 0x40000000

--- The architectures a plan covers, and how the filter names them. x32 is x86-64 with bit 30 in the number.
local arches = {
  { name = "x86_64", audit = 0xC000003E, base = 0 },
  { name = "i386", audit = 0x40000003, base = 0 },
  { name = "x32", audit = 0xC000003E, base = X32_BIT },
}

-- --- guards: calls that luatrace itself must see --------------------------------------------------------------------

--- A clone with CLONE_UNTRACED would give birth to a process that nobody sees.
local function guard_clone(session, call)
  local raw = call.raw
  local flags = raw[1]
  if type(flags) == "number" and bit.band(flags, CLONE_UNTRACED) ~= 0 then
    raw[1] = flags - CLONE_UNTRACED
    rawset(call, "changed", true)
    session:notice("clone-untraced", "a process asked for an untraced child (CLONE_UNTRACED): the flag was dropped")
  end
end

--- clone3 keeps its flags in memory, where changing them would race with other threads: libc falls back on ENOSYS.
local function guard_clone3(session, call)
  local bytes = call.memory:read(call.raw[1], 8)
  if bytes and #bytes == 8 then
    local flags = ffi.cast("const uint32_t *", bytes)[0]
    if bit.band(flags, CLONE_UNTRACED) ~= 0 then
      session:notice("clone-untraced",
        "a process asked for an untraced child (CLONE_UNTRACED in clone3): the call was answered with ENOSYS")
      call:fail "ENOSYS"
    end
  end
end

local function guard_io_uring(session, call)
  if session.options.io_uring == "deny" then return call:fail "ENOSYS" end
  session:notice("io_uring", ("%s (pid %d) uses io_uring: what it does through the ring is not seen " ..
    "(--io-uring=deny answers io_uring_setup with ENOSYS)"):format(call.process.comm or "a program", call.process.pid))
end

local SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8

--- The kernel allows one listener in a tree of processes, and there it is ours.
local function guard_listener(session, call)
  local operation, flags = call.raw[1], tonumber(call.raw[2])
  local asks = operation == SECCOMP_SET_MODE_FILTER and bit.band(flags, SECCOMP_FILTER_FLAG_NEW_LISTENER) ~= 0
  if not asks or not session.notifies then return end
  local who = ("%s (pid %d)"):format(call.process.comm or "a program", call.process.pid)
  session:notice("listener", who .. " asks for a seccomp listener of its own and gets EBUSY: a tree of processes " ..
    "can have one, and luatrace has it (--trap=stop leaves it to the program)")
end

--- Parts (luatrace.plan.mechanism) that luatrace itself wants, and `run`, which is asked before all handlers.
local guards = {
  clone = { run = guard_clone, reason = "guard: CLONE_UNTRACED",
    tests = { { { arg = 0, op = "ne", mask = CLONE_UNTRACED, value = 0 } } } },
  clone3 = { run = guard_clone3, reason = "guard: CLONE_UNTRACED", notify = true },
  -- The core gives the program its own mask back before it can look at it: src/affinity.h.
  sched_getaffinity = { reason = "guard: shared processor", notify = true },
  sched_setaffinity = { reason = "guard: shared processor", notify = true },
  io_uring_setup = { run = guard_io_uring, reason = "guard: io_uring is invisible", notify = true },
}

--- Wanted where there are notifications.
local listener_guards = {
  seccomp = { run = guard_listener, reason = "guard: one listener in a tree", notify = true,
    tests = { { { arg = 0, op = "eq", value = SECCOMP_SET_MODE_FILTER, bits = 32 },
      { arg = 1, op = "ne", mask = SECCOMP_FILTER_FLAG_NEW_LISTENER, value = 0 } } } },
}

-- --- what is wanted -------------------------------------------------------------------------------------------------

--- An observer is told of the calls that it asked for (`calls`) and of no others, not of what handlers and guards
-- trap; one that asks for none is told of all that happen to be trapped.
local function tell(entry, observer)
  local observers = entry.observers
  if not observers then
    observers = { wants_exit = false }
    entry.observers = observers
  end
  observers[#observers + 1] = observer
  observers.wants_exit = observers.wants_exit or observer.wants_exit
end

local function observe(entry, observer)
  entry.observed = observer.name or "output"
  tell(entry, observer)
end

---@class luatrace.Wanted
local Wanted = {}
Wanted.__index = Wanted

local function new_wanted(observers)
  local idle, everything = {}, { handlers = {}, reasons = {}, parts = {} }
  for _, observer in ipairs(observers) do
    if not observer.calls then
      idle[#idle + 1] = observer
      everything.shows_results = everything.shows_results or observer.wants_exit
    end
  end
  return setmetatable({ x86_64 = {}, i386 = {}, x32 = {}, everything = everything, idle = idle, guards = {} }, Wanted)
end

--- What is wanted of a call. One that has no entry yet gets what is wanted of all calls: most of those never happen,
-- and numbers past the newest known call are among them, since a program may be newer than we.
local function entry_for(wanted, arch, nr)
  local entry = wanted[arch][nr]
  if not entry then
    local everything = wanted.everything
    entry = { handlers = { unpack(everything.handlers) }, reasons = { unpack(everything.reasons) },
      parts = { unpack(everything.parts) } }
    for _, observer in ipairs(wanted.idle) do tell(entry, observer) end
    for _, observer in ipairs(everything.observers or {}) do observe(entry, observer) end
    wanted[arch][nr] = entry
  end
  return entry
end

--- What is wanted of a call that has happened, its row included.
---@param arch string
---@param nr integer
---@return { row: table, handlers: function[], guard: function? }
function Wanted:find(arch, nr)
  local entry = self[arch][nr] or entry_for(self, arch, nr)
  if not entry.row then
    local row = decode.row(arch, nr)
    entry.row, entry.guard = row, entry.guard or self.guards[row.name]
    entry.changes_fds = self.sees_all_fd_calls and arch == "x86_64" and fd_table.changes(row.name)
  end
  return entry
end

--- Which calls a pattern of on[...] names, per architecture; an error when it names none at all.
local function matching(pattern, where)
  local found, unknown = {}, nil
  for _, arch in ipairs(arches) do
    local ok, set, message = pcall(filter.calls, pattern, arch.name)
    if ok and set then
      found[arch.name] = set
    elseif arch.name == "x86_64" then
      unknown = ok and message or set
    end
  end
  if next(found) == nil then
    error(("%s%s"):format(where and where .. ": " or "", unknown), 0)
  end
  return found
end

--- One more handler of a call, or an output that shows it.
---@param part table of luatrace.plan.mechanism
local function want(entry, handler, part, observer)
  local count = #entry.handlers + 1
  if handler then entry.handlers[count], entry.parts[count] = handler, part else observe(entry, observer) end
  entry.reasons[#entry.reasons + 1] = part.reason
end

--- A call inside another, whose arguments a filter cannot see (luatrace.decode.multiplexed).
local function is_inner(arch, nr) return arch == "i386" and multiplexed.is_inner(nr) end

--- A part without what a filter would have to see of the arguments.
local function untested(part)
  if not part.tests then return part end
  local copy = shallow.copy(part)
  copy.tests, copy.errno = nil, nil
  return copy
end

--- The same of every number by which a call can be made.
local function want_call(wanted, arch, name, handler, part, observer)
  for _, nr in ipairs(decode.numbers(arch, name)) do
    want(entry_for(wanted, arch, nr), handler, is_inner(arch, nr) and untested(part) or part, observer)
  end
end

--- A rule's calls, each with what the filter can say of it: tests, and an error that it can answer with by itself.
local function add_rule(wanted, rule, reason)
  local handler = rules.handler(rule)
  for arch, names in pairs(rule.matcher.sets) do
    for name in pairs(names) do
      local tests, exact = rule.matcher:scalar(arch, name)
      local row = decode.find(arch, name)
      local constant = exact and not rule.decisions and not rule.releases and rule.actions.constant
      local path_ends = not rule.decisions and rule.matcher:path_ends() or nil
      local part = { reason = reason, tests = tests, errno = constant and constant(rule, arch, name) or nil,
        is_rule = true, path_ends = path_ends, notify = rules.may_be_notified(rule, row), has_six = #row >= 6 }
      if not part.notify and not part.errno then wanted.may_inject = true end
      want_call(wanted, arch, name, handler, part)
    end
  end
end

local everything = { ["%all"] = true, all = true }

local function add_pattern(wanted, pattern, handler, part, where, observer)
  if everything[pattern] then
    want(wanted.everything, handler, part, observer)
    for _, arch in ipairs(arches) do
      for _, entry in pairs(wanted[arch.name]) do want(entry, handler, part, observer) end
    end
    return
  end
  for arch, names in pairs(matching(pattern, where)) do
    for name in pairs(names) do
      -- An observer may know for each call who asked for it.
      local reason = observer and observer.reasons and observer.reasons[name]
      want_call(wanted, arch, name, handler, reason and { reason = reason } or part, observer)
    end
  end
end

local function collect(registry, observers)
  local wanted = new_wanted(observers)
  for _, handler in ipairs(mock.in_order(registry.on)) do
    local pattern = handler.pattern
    if handler.rule then
      add_rule(wanted, handler.rule, ("%s at %s"):format(handler.rule.title, handler.where))
    else
      if handler.verb ~= "watch" then wanted.may_inject = true end
      local name = (handler.is_mock and "%s%.0s at %s" or '%s["%s"] at %s'):format(handler.verb or "on", pattern,
        handler.where)
      add_pattern(wanted, pattern, handler.fn, { reason = name, notify = handler.verb == "watch" or handler.notify,
        tests = handler.tests }, handler.where)
    end
  end
  for _, observer in ipairs(observers) do
    local name = observer.name or "output"
    if observer.calls then add_pattern(wanted, observer.calls, nil, { reason = name }, name, observer) end
  end
  return wanted
end

local function choose_mode(options, is_attach)
  if options.trap == "ptrace" then return "ptrace", "--trap=ptrace" end
  if is_attach then return "ptrace", "attach: a filter cannot be put into a running process" end
  if options.no_follow then return "ptrace", "--no-follow: an untraced child could not live with the filter" end
  if options.detach_on_exec then return "ptrace", "--detach-on=execve: nobody can leave a process its filter" end
  if options.syscall_limit then return "ptrace", "--syscall-limit: nobody can leave a process its filter" end
  if options.daemons == "detach" then return "ptrace", "--daemons=detach: nobody can leave a process its filter" end
  if options.features.seccomp_filter == 0 then return "ptrace", "this kernel has no seccomp filters" end
  return "seccomp"
end

---@class luatrace.Plan
local Plan = {}
Plan.__index = Plan

--- Builds the plan of a run.
---@param registry table handlers: see luatrace.script
---@param observers table[] output objects; `observer.calls` is the set that they want to see
---@param options table trap, no_follow, attach, features, engine_options
---@return luatrace.Plan
function M.build(registry, observers, options)
  options.features = options.features or engine.features()
  local self = setmetatable({ engine_plan = engine.new_plan() }, Plan)
  self.mode, self.mode_reason = choose_mode(options, options.attach)
  self.no_notify = mechanism.no_notify(options, self.mode)
  self.wanted = collect(registry, observers)
  self:guard(guards)
  if options.trap == "notify" then self:insist_on_notify() end
  self:fill { answer = self.mode == "seccomp" and options.trap ~= "stop", notify = not self.no_notify,
    inject = self.wanted.may_inject }
  -- Too large a filter is no failure: everything works with plain ptrace, slower.
  if self.mode == "seccomp" and not self.engine_plan:size() then
    self.mode, self.mode_reason = "ptrace", "the filter would be larger than the kernel takes"
    self:fill { answer = false, notify = false, inject = self.wanted.may_inject }
  end
  self:note_fd_calls()
  self:add_paths()
  local core = options.engine_options or {}
  if self.mode == "seccomp" and core.gate ~= "never" then self.engine_plan:open_gate() end
  return self
end

---@param which table<string, table> parts by name of the call
function Plan:guard(which)
  -- What an output shows stops anyway: the guard is found when the call happens.
  if self.wanted.everything.observed then
    for name, guard in pairs(which) do self.wanted.guards[name] = guard end
    return
  end
  for _, arch in ipairs(arches) do
    for name, guard in pairs(which) do
      local nr = decode.number(arch.name, name)
      if nr then
        local entry = entry_for(self.wanted, arch.name, nr)
        entry.guard = guard
        if #entry.reasons == 0 then entry.reasons[1] = guard.reason end
      end
    end
  end
end

--- --trap=notify: every handler is served by a notification; asking for more is its mistake.
function Plan:insist_on_notify()
  if self.no_notify then error("--trap=notify cannot be had: " .. (self.mode_reason or self.no_notify), 0) end
  local function insist(entry)
    if entry.observed or entry.observers and entry.observers.wants_exit then
      error("--trap=notify sees calls at their entry only, but the output shows results: leave --trap to luatrace", 0)
    end
    for _, part in ipairs(entry.parts) do
      if part.is_rule and not part.notify then
        error(("--trap=notify cannot serve %s: a notification has no return and rewrites nothing"):format(part.reason),
          0)
      end
      part.notify = true
    end
  end
  insist(self.wanted.everything)
  for _, arch in ipairs(arches) do
    for _, entry in pairs(self.wanted[arch.name]) do insist(entry) end
  end
end

--- Compiles what is wanted into the engine's plan.
---@param may { answer: boolean, notify: boolean } see luatrace.plan.mechanism
function Plan:fill(may)
  self.engine_plan, self.may, self.notifies = engine.new_plan(), may, false
  local function choose(entry)
    entry.mechanisms, entry.forced_by = mechanism.choose(entry, may)
    for _, item in ipairs(entry.mechanisms) do self.notifies = self.notifies or item.mechanism == "notify" end
  end
  local everything_wanted = #self.wanted.everything.reasons > 0
  if everything_wanted then choose(self.wanted.everything) end
  for _, arch in ipairs(arches) do
    for _, entry in pairs(self.wanted[arch.name]) do choose(entry) end
  end
  if self.notifies then
    self:guard(listener_guards)
    for _, arch in ipairs(arches) do choose(self.wanted[arch.name][decode.number(arch.name, "seccomp")]) end
  end
  self:add_inner(choose)
  for _, arch in ipairs(arches) do
    for nr, entry in pairs(self.wanted[arch.name]) do
      if not is_inner(arch.name, nr) then self:add(arch, nr, entry) end
    end
  end
  if everything_wanted then
    self.engine_plan:add_rest(engine.mechanism[self.wanted.everything.mechanisms[1].mechanism])
  end
end

--- The calls inside others come before what is wanted of the call around them.
function Plan:add_inner(choose)
  local i386 = arches[2]
  local around = {}
  for number, entry in pairs(self.wanted.i386) do
    if is_inner("i386", number) then
      local nr, test = multiplexed.outer(number)
      around[nr] = true
      self:add(i386, nr, entry, { test })
    end
  end
  if #self.wanted.everything.reasons == 0 then return end
  for nr in pairs(around) do choose(entry_for(self.wanted, "i386", nr)) end
end

---@param tests table|nil in place of those of the entry: of a call inside another, which luatrace never makes itself
function Plan:add(arch, nr, entry, tests)
  for _, item in ipairs(entry.mechanisms) do
    local ok, message = self.engine_plan:add(arch.audit, nr, engine.mechanism[item.mechanism], item.data or 0,
      tests or item.tests)
    if not ok then error(("trap plan: call %d of %s: %s"):format(nr, arch.name, message), 0) end
  end
end

--- When every call that changes descriptors is trapped anyway, their returns are watched too: then what a descriptor
-- is open on can be remembered instead of looked up.
function Plan:note_fd_calls()
  local wanted = self.wanted
  local rest, others = wanted.everything, wanted.x86_64
  local function falls_short(entry) return not mechanism.always_stops(entry.mechanisms or {}) end
  local rest_falls_short, some_fall_short = falls_short(rest), false
  for _, entry in pairs(others) do some_fall_short = some_fall_short or falls_short(entry) end
  if rest_falls_short or some_fall_short then
    for name in pairs(fd_table.changing_calls()) do
      local nr = decode.number("x86_64", name)
      if nr and falls_short(others[nr] or rest) then return end
    end
  end
  self.sees_all_fd_calls, wanted.sees_all_fd_calls = true, true
end

--- Where nothing but rules on paths want a call, the core looks at its paths first and wakes Lua for few.
function Plan:add_paths()
  for _, arch in ipairs(arches) do
    for nr, entry in pairs(self.wanted[arch.name]) do self:add_paths_of(arch, nr, entry) end
  end
end

function Plan:add_paths_of(arch, nr, entry)
  if #entry.parts == 0 or entry.guard or entry.observers or entry.changes_fds or is_inner(arch.name, nr) then return end
  for _, part in ipairs(entry.parts) do
    if not part.path_ends then return end
  end
  local arguments = require("luatrace.filter.subjects").path_arguments(decode.row(arch.name, nr))
  if not arguments then return end
  local mask = 0
  for _, i in ipairs(arguments) do mask = bit.bor(mask, bit.lshift(1, i)) end
  for _, part in ipairs(entry.parts) do
    for _, ends in ipairs(part.path_ends) do
      local ok, message = self.engine_plan:add_path(arch.audit, nr, mask, ends[1], ends[2])
      if not ok then error("trap plan: " .. message, 0) end
    end
  end
  entry.by_path = true
end

--- What is wanted of a call, and how it is served.
function Plan:entry(arch, nr)
  local entry = entry_for(self.wanted, arch, nr)
  if not entry.mechanisms then entry.mechanisms, entry.forced_by = mechanism.choose(entry, self.may) end
  return entry
end

--- What wants the call; what forces a stop comes first where something cheaper would do for others.
local function reasons_text(entry)
  local reasons, forced_by = entry.reasons, entry.forced_by
  if not forced_by or #reasons < 2 then return table.concat(reasons, "; ") end
  local others = {}
  for _, reason in ipairs(reasons) do
    if reason ~= forced_by then others[#others + 1] = reason end
  end
  return #others == 0 and forced_by or ("%s (forces it); %s"):format(forced_by, table.concat(others, "; "))
end

--- What may serve the call beside its mechanism, or keep it from being served at all.
---@param arch luatrace.Arch
function Plan:beside_text(arch, nr, entry)
  local gates = self.engine_plan:gates(arch, nr)
  if not entry.by_path then return gates and " (asked about by mailbox where such calls come quickly)" or "" end
  return gates and " (other paths pass in the core, or in the program by a gate)" or " (other paths pass in the core)"
end

--- The plan in lines for people: the mode, what could not be had and why, each call with its mechanism and reasons.
---@return string[]
function Plan:explain()
  local lines = {}
  lines[1] = self.mode == "seccomp" and ("mode: seccomp filter, %d instructions"):format(self.engine_plan:size())
    or "mode: stop-all (plain ptrace): " .. self.mode_reason
  local wants_notify = false
  if #self.wanted.everything.reasons > 0 then
    for _, nr in pairs(decode.names("x86_64")) do entry_for(self.wanted, "x86_64", nr) end
  end
  local rows = {}
  for nr in pairs(self.wanted.x86_64) do
    local entry = self:entry("x86_64", nr)
    if #entry.reasons > 0 then rows[#rows + 1] = { nr = nr, entry = entry } end
    for _, part in ipairs(entry.parts) do wants_notify = wants_notify or part.notify end
  end
  if self.mode == "seccomp" and wants_notify and self.no_notify then
    lines[#lines + 1] = "notify: stops in its place: " .. self.no_notify
  end
  table.sort(rows, function(a, b) return a.nr < b.nr end)
  for _, item in ipairs(rows) do
    local name = decode.row("x86_64", item.nr).name
    lines[#lines + 1] = ("%-20s %-10s %s%s"):format(name, mechanism.text(item.entry, self.mode),
      reasons_text(item.entry), self:beside_text(arches[1].audit, item.nr, item.entry))
  end
  if #rows == 0 then lines[#lines + 1] = "no call is trapped" end
  return lines
end

return M
