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
local fd_table = require "luatrace.fd_table"
local filter = require "luatrace.filter"
local mock = require "luatrace.mock"
local rules = require "luatrace.rules"

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

local guards = {
  clone = { run = guard_clone, reason = "guard: CLONE_UNTRACED",
    tests = { { arg = 0, op = "ne", mask = CLONE_UNTRACED, value = 0 } } },
  clone3 = { run = guard_clone3, reason = "guard: CLONE_UNTRACED" },
  -- The core gives the program its own mask back before it can look at it: src/affinity.h.
  sched_getaffinity = { reason = "guard: shared processor" },
  sched_setaffinity = { reason = "guard: shared processor" },
  io_uring_setup = { run = guard_io_uring, reason = "guard: io_uring is invisible" },
}

-- --- what is wanted -------------------------------------------------------------------------------------------------

--- An observer is told of the calls that it asked for (`calls`) and of no others, not of what handlers and guards trap;
-- one that asks for none is told of all that happen to be trapped.
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
  entry.observed = true
  tell(entry, observer)
end

---@class luatrace.Wanted
local Wanted = {}
Wanted.__index = Wanted

local function new_wanted(observers)
  local idle = {}
  for _, observer in ipairs(observers) do
    if not observer.calls then idle[#idle + 1] = observer end
  end
  return setmetatable({ x86_64 = {}, i386 = {}, x32 = {}, everything = { handlers = {}, reasons = {} }, idle = idle },
    Wanted)
end

--- What is wanted of a call. One that has no entry yet gets what is wanted of all calls: most of those never happen,
-- and numbers past the newest known call are among them, since a program may be newer than we.
local function entry_for(wanted, arch, nr)
  local entry = wanted[arch][nr]
  if not entry then
    local everything = wanted.everything
    entry = { handlers = { unpack(everything.handlers) }, reasons = { unpack(everything.reasons) },
      parts = {} }
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
  if not entry.row then entry.row = decode.row(arch, nr) end
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
M.matching = matching

local function want(entry, handler, reason, observer)
  if handler then entry.handlers[#entry.handlers + 1] = handler else observe(entry, observer) end
  entry.reasons[#entry.reasons + 1] = reason
end

--- A rule's calls, each with what the filter can say of it: tests, and an error that it can answer with by itself.
local function add_rule(wanted, rule, reason)
  local handler = rules.handler(rule)
  for arch, names in pairs(rule.matcher.sets) do
    local numbers = decode.names(arch)
    for name in pairs(names) do
      local entry = entry_for(wanted, arch, numbers[name])
      local tests, exact = rule.matcher:scalar(arch, name)
      local constant = exact and not rule.decisions and not rule.releases and rule.actions.constant
      entry.handlers[#entry.handlers + 1] = handler
      entry.parts[#entry.handlers] = { tests = tests, errno = constant and constant(rule, arch, name) or nil }
      entry.reasons[#entry.reasons + 1] = reason
    end
  end
end

local everything = { ["%all"] = true, all = true }

local function add_pattern(wanted, pattern, handler, reason, where, observer)
  if everything[pattern] then
    want(wanted.everything, handler, reason, observer)
    for _, arch in ipairs(arches) do
      for _, entry in pairs(wanted[arch.name]) do want(entry, handler, reason, observer) end
    end
    return
  end
  for arch, names in pairs(matching(pattern, where)) do
    local numbers = decode.names(arch)
    for name in pairs(names) do
      local nr = numbers[name]
      if nr then want(entry_for(wanted, arch, nr), handler, reason, observer) end
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
      local name = (handler.is_mock and "%s%.0s at %s" or '%s["%s"] at %s'):format(handler.verb or "on", pattern,
        handler.where)
      add_pattern(wanted, pattern, handler.fn, name, handler.where)
    end
  end
  for _, observer in ipairs(observers) do
    local name = observer.name or "output"
    if observer.calls then add_pattern(wanted, observer.calls, nil, name, name, observer) end
  end
  return wanted
end

local function choose_mode(options, is_attach)
  if options.trap == "ptrace" then return "ptrace", "--trap=ptrace" end
  if is_attach then return "ptrace", "attach: a filter cannot be put into a running process" end
  if options.no_follow then return "ptrace", "--no-follow: an untraced child could not live with the filter" end
  if options.daemons == "detach" then return "ptrace", "--daemons=detach: nobody can leave a process its filter" end
  if not options.features.seccomp_filter then return "ptrace", "this kernel has no seccomp filters" end
  return "seccomp"
end

---@class luatrace.Plan
local Plan = {}
Plan.__index = Plan

--- Builds the plan of a run.
---@param registry table handlers: see luatrace.script
---@param observers table[] output objects; `observer.calls` is the set that they want to see
---@param options table trap, no_follow, attach, features
---@return luatrace.Plan
function M.build(registry, observers, options)
  options.features = options.features or engine.features()
  local self = setmetatable({ engine_plan = engine.new_plan() }, Plan)
  self.mode, self.mode_reason = choose_mode(options, options.attach)
  self.wanted = collect(registry, observers)
  local guarded = {}
  for _, arch in ipairs(arches) do
    for name, guard in pairs(guards) do
      local nr = decode.names(arch.name)[name]
      if nr then
        local entry = entry_for(self.wanted, arch.name, nr)
        entry.guard = guard.run
        if #entry.reasons == 0 then
          entry.reasons[1] = guard.reason
          guarded[entry] = guard
        end
      end
    end
  end
  self:fill(guarded, self.mode == "seccomp" and options.trap ~= "stop")
  self:note_fd_calls()
  -- Too large a filter is no failure: everything works with plain ptrace, slower.
  if self.mode == "seccomp" and not self.engine_plan:size() then
    self.mode, self.mode_reason = "ptrace", "the filter would be larger than the kernel takes"
    self:fill(guarded, false)
  end
  return self
end

--- What the kernel is to do with one call: mechanisms with their tests, in the order in which they are tried.
---@param entry table
---@param guard table|nil a guard that is the only one who wants this call
---@param may_answer boolean the filter may answer calls by itself
---@return { mechanism: string, data: integer?, tests: table? }[]
local function mechanisms(entry, guard, may_answer)
  if guard then return { { mechanism = "stop", tests = guard.tests } } end
  local list = {}
  local count = #entry.handlers
  if entry.observed or count == 0 then return { { mechanism = "stop" } } end
  local parts, i = entry.parts or {}, 1
  -- Rules in front that always answer the same need no stop; behind the first that does, everything needs it.
  while may_answer and i <= count and parts[i] and parts[i].errno do
    local part = parts[i]
    for _, tests in ipairs(part.tests or { false }) do
      list[#list + 1] = { mechanism = "errno", data = part.errno, tests = tests or nil }
    end
    if not part.tests then return list end
    i = i + 1
  end
  local stops = {}
  while i <= count do
    local part = parts[i]
    if not part or not part.tests then
      stops = { { mechanism = "stop" } }
      break
    end
    for _, tests in ipairs(part.tests) do stops[#stops + 1] = { mechanism = "stop", tests = tests } end
    i = i + 1
  end
  for _, stop in ipairs(stops) do list[#list + 1] = stop end
  if entry.guard and #stops > 0 and stops[1].tests then list[#list + 1] = { mechanism = "stop" } end
  return list
end

--- Compiles what is wanted into the engine's plan.
---@param guarded table<table, table> entries that only a guard wants
---@param may_answer boolean
function Plan:fill(guarded, may_answer)
  self.engine_plan = engine.new_plan()
  for _, arch in ipairs(arches) do
    for nr, entry in pairs(self.wanted[arch.name]) do
      entry.mechanisms = mechanisms(entry, guarded[entry], may_answer)
      for _, item in ipairs(entry.mechanisms) do
        local ok, message = self.engine_plan:add(arch.audit, nr, engine.mechanism[item.mechanism], item.data or 0,
          item.tests)
        if not ok then error(("trap plan: call %d of %s: %s"):format(nr, arch.name, message), 0) end
      end
    end
  end
  if #self.wanted.everything.reasons > 0 then self.engine_plan:add_rest(engine.mechanism.stop) end
end

--- When every call that changes descriptors is trapped anyway, their returns are watched too: then what a descriptor
-- is open on can be remembered instead of looked up.
function Plan:note_fd_calls()
  local entries = {}
  for _, name in ipairs(fd_table.changing_calls()) do
    local nr = decode.names("x86_64")[name]
    local entry = nr and entry_for(self.wanted, "x86_64", nr)
    if nr and (not entry or #entry.reasons == 0 or #entry.handlers == 0 and not entry.observed) then return end
    entries[#entries + 1] = entry
  end
  for _, entry in ipairs(entries) do entry.changes_fds = true end
  self.sees_all_fd_calls = true
end

local text_of = { stop = "stop-entry" }

--- The mechanisms of a call in words: "errno", "stop-entry?" where only some of its calls are trapped.
local function mechanism_text(entry)
  local seen, words = {}, {}
  for _, item in ipairs(entry.mechanisms) do
    local word = (text_of[item.mechanism] or item.mechanism) .. (item.tests and "?" or "")
    if not seen[word] then words[#words + 1] = word end
    seen[word] = true
  end
  return table.concat(words, ",")
end

--- The plan in lines for people.
---@return string[]
function Plan:explain()
  local lines = {}
  lines[1] = self.mode == "seccomp" and ("mode: seccomp filter, %d instructions"):format(self.engine_plan:size())
    or "mode: stop-all (plain ptrace): " .. self.mode_reason
  if #self.wanted.everything.reasons > 0 then
    for _, nr in pairs(decode.names("x86_64")) do
      local entry = entry_for(self.wanted, "x86_64", nr)
      entry.mechanisms = entry.mechanisms or mechanisms(entry, nil, false)
    end
  end
  local rows = {}
  for nr, entry in pairs(self.wanted.x86_64) do
    if #entry.reasons > 0 then rows[#rows + 1] = { nr = nr, entry = entry } end
  end
  table.sort(rows, function(a, b) return a.nr < b.nr end)
  for _, item in ipairs(rows) do
    local name = decode.row("x86_64", item.nr).name
    lines[#lines + 1] = ("%-20s %-10s %s"):format(name, mechanism_text(item.entry),
      table.concat(item.entry.reasons, "; "))
  end
  if #rows == 0 then lines[#lines + 1] = "no call is trapped" end
  return lines
end

return M
