--- Which mechanism of the kernel serves a call: the cheapest that can do all that is wanted of it.
--
--   allow       nobody wants it
--   errno       the filter answers: rules that always fail it alike, told by its arguments
--   notify      a seccomp notification: look at it, answer it, let it wait; Linux 5.19 or newer
--   stop-entry  a ptrace stop: all that, and rewriting it, its stack, calls of ours; its return where a handler asks
--   stop-both   the same at its return as well, because an output shows results
--   stop-all    every call stops, twice: without a filter
--
-- A part is what one handler or rule wants of a call: { reason = for people, tests = a list of lists of tests that say
-- which of the calls (nil: all), errno = the filter's own answer, notify = a notification is enough, has_six = the call
-- has six arguments }.
--
--   local list, forced_by = mechanism.choose(entry, { answer = true, notify = true })
--   list[1]                           -- { mechanism = "notify", tests = ... }: tried in this order

local engine = require "luatrace.engine"

local M = {}

--- Why notifications cannot serve a run; nil when they can, as far as can be told without trying.
---@param options table of a session: trap, features, engine_options
---@param mode string "seccomp" or "ptrace"
---@return string|nil
function M.no_notify(options, mode)
  local features, core = options.features, options.engine_options or {}
  if mode ~= "seccomp" then return "there is no filter" end
  if options.trap == "stop" then return "--trap=stop" end
  if core.no_notify then return "--kernel-without=notify" end
  if core.memory_path == 2 then return "memory could only be read by PTRACE_PEEKDATA, of a stopped thread" end
  if features.notify_error == 16 then
    return "luatrace runs under a listener itself, and the kernel allows no second one in a tree (EBUSY)"
  end
  if features.notify_error > 0 then
    return ("no listener could be made (%s)"):format((select(3, engine.failure(-features.notify_error))))
  end
  if features.seccomp_notify == 0 then return "this kernel has no seccomp user notification (Linux 5.0)" end
  if features.notify_wait_killable == 0 then
    return "signals would break off what is notified (this kernel is older than Linux 5.19)"
  end
end

--- In the last argument of calls that luatrace makes in the tracee and that have less than six: by it the filter tells
-- them from the program's own, which it may answer. 32 bits, for i386.
M.injected_mark = 0x6c756174

local not_injected = { arg = 5, op = "ne", value = M.injected_mark, bits = 32 }

--- A part's tests, and that luatrace has not made the call itself.
local function tests_of_program(tests)
  local all = {}
  for i, one in ipairs(tests or { {} }) do
    all[i] = { not_injected }
    for _, test in ipairs(one) do all[i][#all[i] + 1] = test end
  end
  return all
end

--- Appends a part's mechanism, once for each list of its tests; true when it takes every call.
local function append(list, what, tests, data)
  for _, one in ipairs(tests or { false }) do
    list[#list + 1] = { mechanism = what, data = data, tests = one or nil }
  end
  return not tests
end

--- What the kernel is to do with one call: mechanisms with their tests, in the order in which they are tried.
---@param entry table of the plan: parts, guard (a part, of luatrace itself), observed (by whom), observers
---@param may { answer: boolean, notify: boolean, inject: boolean } what there is: the filter's own answers,
-- notifications; handlers that may make calls in the tracee, which the filter must not answer
---@return { mechanism: string, data: integer?, tests: table? }[] list
---@return string|nil forced_by what needs the stop, where there is one
function M.choose(entry, may)
  local parts, guard = entry.parts, entry.guard
  local shows_results = entry.shows_results or entry.observers and entry.observers.wants_exit
  if entry.observed then return { { mechanism = "stop" } }, entry.observed end
  local list, first = {}, 1
  -- Rules in front that always answer the same need no stop; behind the first that does, everything needs it.
  while may.answer and parts[first] and parts[first].errno and not (may.inject and parts[first].has_six) do
    local part = parts[first]
    append(list, "errno", may.inject and tests_of_program(part.tests) or part.tests, part.errno)
    if not part.tests then return list end
    first = first + 1
  end
  -- For luatrace itself alone no listener is made.
  local may_notify = may.notify and #parts > 0 and not shows_results
  local stops, notifies, forced_by = {}, {}, nil
  for i = first, #parts + 1 do
    local part = parts[i] or guard
    if part and may_notify and part.notify then
      notifies[#notifies + 1] = part
    elseif part then
      stops[#stops + 1] = part
      forced_by = forced_by or part.reason
    end
  end
  -- Stops first: they serve what a notification serves, too.
  for _, part in ipairs(stops) do
    if append(list, "stop", part.tests) then return list, forced_by end
  end
  for _, part in ipairs(notifies) do
    if append(list, "notify", part.tests) then break end
  end
  return list, forced_by
end

--- Does every such call stop?
---@param list table of M.choose
function M.always_stops(list) return #list > 0 and list[1].mechanism == "stop" and not list[1].tests end

local words = { stop = "stop-entry" }

--- Are only some of its calls meant? Those that luatrace makes itself do not count.
local function is_partial(tests) return tests and not (#tests == 1 and tests[1] == not_injected) end

--- The mechanisms of a call in words: "errno?,notify", with a question mark where only some of its calls are meant.
---@param entry table of the plan, its `mechanisms` chosen
---@param mode string
function M.text(entry, mode)
  if mode ~= "seccomp" then return "stop-all" end
  if entry.observers and entry.observers.wants_exit then return "stop-both" end
  local seen, texts = {}, {}
  for _, item in ipairs(entry.mechanisms) do
    local text = (words[item.mechanism] or item.mechanism) .. (is_partial(item.tests) and "?" or "")
    if not seen[text] then texts[#texts + 1] = text end
    seen[text] = true
  end
  return table.concat(texts, ",")
end

return M
