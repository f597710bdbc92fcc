--- expect(calls, where): such a call happens, so often, in such an order, with such a result.
--
--   expect("fsync")                                     -- at least once
--   expect("write", { path = "*.log" }):exactly(3)      -- :at_least(n) :at_most(n) :times(n) :times(min, max)
--   expect("fsync"):before("rename", { newpath... })    -- no rename until an fsync has returned; and both happen
--   expect("close"):after("fsync")                      -- no close until an fsync has
--   expect("fsync"):between("write", "rename")          -- from each write to the next rename there is one
--   expect("openat", { path = "*.conf" }):with_result "ENOENT"   -- each one; a number, { min, max }, "ok", "failed"
--   expect("connect"):within(0.5)                       -- seconds from the start; after :after(...), from that call
--
-- Constraints of one expectation hold together.

local expectation_module = require "luatrace.expect.expectation"
local constants = require "luatrace.constants"

local M = {}

local function show(self, method, ...)
  if type(self) ~= "table" or not self.title then
    error(("write expect(...):%s(...), with a colon"):format(method), 3)
  end
  self.title = self.title .. ":" .. expectation_module.show_call(method, ...)
end

---@param calls string a set as of on[...]
---@param where table|nil
function M:start(calls, where)
  self.what = { names = self:hear(calls), matches = self:matcher(calls, where), label = calls }
  self.seen, self.checks = {}, {}
  self.count = 0
end

-- --- how often ------------------------------------------------------------------------------------------------------

local function whole(self, method, n)
  if type(n) ~= "number" or n < 0 or n % 1 ~= 0 then
    self:misuse(("%s takes a whole number, 0 or more, not %s"):format(method, tostring(n)))
  end
  return n
end

local function bounds(self, min, max)
  self.min, self.max = min or self.min, max or self.max
  if self.min and self.max and self.min > self.max then
    self:misuse(("%s can never hold: at least %d and at most %d"):format(self.title, self.min, self.max))
  end
  local order = self.before_what or self.between_what or self.after_what
  if self.max == 0 and order then self:misuse(self.title .. " can never hold: none at all, and in an order") end
  return self
end

---@param n integer
---@return luatrace.Expectation
function M:at_least(n)
  show(self, "at_least", n)
  return bounds(self, whole(self, "at_least", n))
end

---@param n integer
---@return luatrace.Expectation
function M:at_most(n)
  show(self, "at_most", n)
  return bounds(self, nil, whole(self, "at_most", n))
end

---@param n integer
---@return luatrace.Expectation
function M:exactly(n)
  show(self, "exactly", n)
  return bounds(self, whole(self, "exactly", n), n)
end

--- So often, or from so often to so often.
---@param min integer
---@param max integer|nil
---@return luatrace.Expectation
function M:times(min, max)
  show(self, "times", min, max)
  return bounds(self, whole(self, "times", min), max and whole(self, "times", max) or min)
end

-- --- in which order -------------------------------------------------------------------------------------------------

local function other(self, method, calls, where)
  local names = self:hear(calls)
  if calls == self.what.label and where == nil then
    self:misuse(("%s can never hold: %s before itself"):format(self.title, calls))
  end
  return { names = names, matches = self:matcher(calls, where), label = calls, method = method }
end

--- None of these until one of ours has returned; and both happen.
---@param calls string
---@param where table|nil
---@return luatrace.Expectation
function M:before(calls, where)
  show(self, "before", calls, where)
  self.before_what = other(self, "before", calls, where)
  return bounds(self)
end

--- None of ours until one of these has returned; and both happen.
---@param calls string
---@param where table|nil
---@return luatrace.Expectation
function M:after(calls, where)
  show(self, "after", calls, where)
  self.after_what = other(self, "after", calls, where)
  return bounds(self)
end

local function pair_of(self, calls)
  if type(calls) == "table" then return calls[1], calls end
  if type(calls) ~= "string" then
    self:misuse('between takes two sets of calls: between("write", "rename"), or { "write", path = "*.db" } for one')
  end
  return calls
end

local function without_name(where)
  if not where then return nil end
  local copy = {}
  for key, value in pairs(where) do
    if key ~= 1 then copy[key] = value end
  end
  return copy
end

--- One of ours from each call of the first kind to the next of the second.
---@param from string|table set of calls, or { set, path = ... }
---@param to string|table
---@return luatrace.Expectation
function M:between(from, to)
  show(self, "between", from, to)
  local from_calls, from_where = pair_of(self, from)
  local to_calls, to_where = pair_of(self, to)
  self.between_what = { from = other(self, "between", from_calls, without_name(from_where)),
    to = other(self, "between", to_calls, without_name(to_where)) }
  return bounds(self)
end

-- --- with what result, and when -------------------------------------------------------------------------------------

local function result_test(self, wanted)
  if type(wanted) == "number" then
    return function(call) return call.ret == wanted end
  elseif type(wanted) == "table" and type(wanted[1]) == "number" and type(wanted[2]) == "number" then
    if wanted[1] > wanted[2] then self:misuse("with_result can never hold: { min, max } with min above max") end
    return function(call) return type(call.ret) == "number" and call.ret >= wanted[1] and call.ret <= wanted[2] end
  elseif type(wanted) == "function" then
    return function(call) return wanted(call.ret, call.errno, call) end
  elseif wanted == "ok" then
    return function(call) return call.ret ~= nil and not call.errno end
  elseif wanted == "failed" then
    return function(call) return call.errno ~= nil end
  elseif type(wanted) == "string" and constants.errno.by_name[wanted] then
    return function(call) return call.errno == wanted end
  end
  self:misuse(('with_result takes a number, { min, max }, "ok", "failed", an error such as "EIO" or a function, not %s')
    :format(expectation_module.show_value(wanted)))
end

--- Each of ours has this result.
---@param wanted number|number[]|string|fun(ret: any, errno: string?, call: luatrace.RecordedCall): any
---@return luatrace.Expectation
function M:with_result(wanted)
  show(self, "with_result", wanted)
  table.insert(self.checks, { test = result_test(self, wanted), bad = {},
    message = "result is not " .. expectation_module.show_value(wanted) })
  return self
end

--- The first of ours comes so soon: from the program's start, or from the call of :after(...).
---@param seconds number
---@return luatrace.Expectation
function M:within(seconds)
  show(self, "within", seconds)
  if type(seconds) ~= "number" or seconds <= 0 then self:misuse("within takes a number of seconds above 0") end
  self.limit = seconds
  return self
end

-- --- while the program runs -----------------------------------------------------------------------------------------

local function is(what, record) return what ~= nil and what.names[record.name] and what.matches(record) end

function M:entered(record)
  -- "No B until an A has returned" is decided where B begins; a where-table that needs B's result is asked later.
  record.began_after = record.began_after or {}
  record.began_after[self] = { ours = self.count, after = self.after_seen ~= nil, open = self.open_from }
end

local function began(self, record)
  return record.began_after and record.began_after[self] or { ours = 0 }
end

function M:returned(record)
  local at_entry = began(self, record)
  if is(self.before_what, record) then
    self.before_seen = true
    if at_entry.ours == 0 and not self.too_early then self.too_early = self:keep(record) end
  end
  local between = self.between_what
  if between then
    if is(between.to, record) and at_entry.open and at_entry.open == self.open_from then
      self.uncovered = self.uncovered or {}
      self:note(self.uncovered, self.open_from)
      self:note(self.uncovered, record)
      self.open_from = nil
    elseif is(between.to, record) then
      self.to_seen = true
    end
    if is(between.from, record) then
      self.from_seen = true
      self.open_from = self:keep(record)
    end
  end
  if is(self.what, record) then
    self.count = self.count + 1
    self:note(self.seen, record)
    if self.after_what and not at_entry.after and not self.too_early then self.too_early = self:keep(record) end
    for _, check in ipairs(self.checks) do
      if not check.test(record) then self:note(check.bad, record) end
    end
    if not self.first_ours then
      self.first_ours = self:keep(record)
      self.first_reference = self.after_seen
    end
    self.open_from = nil
  end
  if is(self.after_what, record) and not self.after_seen then self.after_seen = self:keep(record) end
end

--- Calls that libc answers without the kernel.
local in_vdso = { clock_gettime = true, gettimeofday = true, time = true, getcpu = true }

local function times(n) return n == 1 and "once" or n == 2 and "twice" or ("%d times"):format(n) end

local function order_failure(self)
  local before, after, between = self.before_what, self.after_what, self.between_what
  if before and self.too_early then
    return self:failed(("%s began before any %s had returned"):format(before.label, self.what.label),
      { self.too_early, self.first_ours and { self.first_ours, note = "too late" } })
  elseif before and not self.before_seen then
    return self:failed(("no %s happened at all"):format(before.label), self.seen)
  elseif after and self.too_early then
    return self:failed(("it began before any %s had returned"):format(after.label),
      { self.too_early, self.after_seen and { self.after_seen, note = "too late" } })
  elseif between and self.uncovered then
    return self:failed(("none between a %s and the %s that followed"):format(between.from.label, between.to.label),
      self.uncovered)
  elseif between and not self.from_seen then
    return self:failed(("no %s happened at all"):format(between.from.label), self.seen)
  end
end

function M:verdict(run)
  local min = self.min or (self.max and 0 or 1)
  if self.max == 0 then min = 0 end
  if self.too_early and self.before_what and self.count == 0 then
    return self:failed(("it never happened, but %s did"):format(self.before_what.label), { self.too_early })
  end
  if self.count < min then
    local hint = in_vdso[self.what.label] and " (or it went through the vDSO: hide_vdso() makes it seen)" or ""
    return self:failed(self.count == 0 and "it never happened" .. hint or
      ("it happened %s, not at least %s"):format(times(self.count), times(min)), self.seen)
  elseif self.max and self.count > self.max then
    return self:failed(("it happened %s, not at most %s"):format(times(self.count), times(self.max)), self.seen)
  end
  local failure = order_failure(self)
  if failure then return failure end
  for _, check in ipairs(self.checks) do
    if check.bad.count then return self:failed(check.message, check.bad) end
  end
  if self.limit and self.first_ours then
    local from = self.first_reference and self.first_reference.time or run.processes.started
    local took = self.first_ours.time - from
    if took > self.limit then
      return self:failed(("the first came after %.3f s"):format(took), { self.first_ours })
    end
  end
end

return M
