--- What -e says, as in strace: trace=, status=, signal=, quiet=, raw=, abbrev=, verbose=, read=, write=, decode-fds=,
-- decode-pids=, trace-fds=.
--
--   local q, message = qualifiers.parse { "trace=%file,!openat", "status=failed", "openat" }
--   q.trace      -- "%file,!openat": a set for luatrace.filter, or nil
--   q.status     -- { failed = true }

local constants = require "luatrace.constants"
local fd_set = require "luatrace.filter.fd_set"
local filter = require "luatrace.filter"

local M = {}

--- strace's short keywords.
local keywords = { trace = "trace", t = "trace", status = "status", signal = "signal", signals = "signal", s = "signal",
  quiet = "quiet", silent = "quiet", silence = "quiet", q = "quiet", raw = "raw", x = "raw", abbrev = "abbrev",
  a = "abbrev", verbose = "verbose", v = "verbose", read = "read", reads = "read", r = "read", write = "write",
  writes = "write", w = "write", ["decode-fds"] = "decode_fds", ["decode-fd"] = "decode_fds",
  ["decode-pids"] = "decode_pids",
  ["decode-pid"] = "decode_pids", ["trace-fds"] = "trace_fds", ["trace-fd"] = "trace_fds", fds = "trace_fds",
  fd = "trace_fds" }

--- What changes calls instead of choosing them: luatrace.cli.inject_option reads the rest.
local injecting = { inject = "-e inject=", fault = "-e fault=", ["--inject"] = "--inject=", ["--fault"] = "--fault=" }

local words = {
  status = { "successful", "failed", "unfinished", "unavailable", "detached" },
  quiet = { "attach", "exit", "path-resolution", "personality", "thread-execve" },
  decode_fds = { "path", "socket", "dev", "pidfd" },
  decode_pids = { "comm", "pidns" },
}
local synonyms = { superseded = "thread-execve" }

--- A set of known words: all, none, !x,y.
local function word_set(keyword, text)
  local known, set = words[keyword], {}
  local negated = text:sub(1, 1) == "!"
  if negated then text = text:sub(2) end
  for word in text:gmatch("[^,]+") do
    if word == "all" then
      for _, each in ipairs(known) do set[each] = true end
    elseif word ~= "none" then
      word = synonyms[word] or word
      local found
      for _, each in ipairs(known) do found = found or each == word end
      if not found then
        return nil, ("-e %s= takes %s; not %q"):format(keyword:gsub("_", "-"), table.concat(known, ", "), word)
      end
      set[word] = true
    end
  end
  if not negated then return set end
  local others = {}
  for _, each in ipairs(known) do
    if not set[each] then others[each] = true end
  end
  return others
end

local function signal_set(text)
  local set = {}
  local negated = text:sub(1, 1) == "!"
  if negated then text = text:sub(2) end
  for word in text:gmatch("[^,]+") do
    if word == "all" then
      for number = 1, 64 do set[constants.signals.by_value[number] or number] = true end
    elseif word ~= "none" then
      local upper = word:upper()
      local name = constants.signals.by_name[upper] and upper or constants.signals.by_name["SIG" .. upper] and
        "SIG" .. upper or constants.signals.by_value[tonumber(word)]
      if not name then return nil, ("-e signal=: there is no signal %q"):format(word) end
      set[name] = true
    end
  end
  if not negated then return set end
  local others = {}
  for number = 1, 64 do
    local name = constants.signals.by_value[number]
    if name and not set[name] then others[name] = true end
  end
  return others
end

--- trace=: words as in strace are a set; words with conditions become trace rules (see add_rules).
local function trace_set(result, value)
  local list, message = require("luatrace.filter.expression").parse(value)
  if not list then return nil, message end
  local set = "none"
  result.conditions = {}
  for _, item in ipairs(list) do
    if item.where then result.conditions[#result.conditions + 1] = item else set = item.calls end
  end
  return set
end

local function parse_one(result, text)
  local keyword, value = text:match("^([%w-]+)=(.*)$")
  if not keyword then keyword, value = "trace", text end
  if injecting[keyword] then
    result.injections[#result.injections + 1] = { option = injecting[keyword], text = value,
      fault = injecting[keyword]:find("fault", 1, true) ~= nil }
    return true
  end
  if keyword == "kvm" then
    if value ~= "vcpu" and value ~= "all" and value ~= "none" then
      return nil, ("-e kvm= takes vcpu, not %q"):format(value)
    end
    result.ignored = value ~= "none" and "-e kvm=vcpu is ignored: luatrace shows KVM_RUN without its exit reason" or nil
    return true
  end
  local kind = keywords[keyword]
  if not kind then return nil, ("-e %s=: there is no such keyword (luatrace --help lists them)"):format(keyword) end
  local set, message
  if kind == "trace" then
    set, message = trace_set(result, value)
    if not set then return nil, ("-e trace=%s"):format(message) end
  elseif words[kind] then
    set, message = word_set(kind, value)
  elseif kind == "signal" then
    set, message = signal_set(value)
  elseif kind == "read" or kind == "write" or kind == "trace_fds" then
    set, message = fd_set.parse(value)
    if not set then message = ("-e %s= takes descriptors, not %q"):format(keyword, message) end
  else
    set, message = require("luatrace.filter.expression").set(value)
    if set then set, message = filter.calls(set, "x86_64") end
    if not set then message = ("-e %s=%s: %s"):format(keyword, value, message) end
  end
  if not set then return nil, message end
  result[kind] = set
  return true
end

---@param expressions string[]
---@return table|nil qualifiers, string? message
function M.parse(expressions)
  local result = { injections = {} }
  for _, text in ipairs(expressions) do
    local ok, message = parse_one(result, text)
    if not ok then return nil, message end
  end
  return result
end

--- Adds what -e says of single calls to a registry: conditions of trace=, and what is injected.
---@param q table what `parse` gave
---@param registry table
---@param context { random: function, any_errno: boolean? }
---@return true|nil ok, string? message
function M.add_rules(q, registry, context)
  local rules = require "luatrace.rules"
  registry.rules = registry.rules or {}
  for _, item in ipairs(q.conditions or {}) do
    local rule, message = rules.make("trace", item.calls, nil, item.where, { random = context.random,
      rules = registry.rules, where = "-e" })
    if not rule then return nil, ("-e trace=%s: %s"):format(item.calls, message) end
    rules.add(registry, rule)
  end
  for _, injection in ipairs(q.injections) do
    local ok, message = require("luatrace.cli.inject_option").add(registry, injection.text, {
      random = context.random, any_errno = context.any_errno, option = injection.option, fault = injection.fault })
    if not ok then return nil, message end
  end
  return true
end

return M
