--- The library of faults: what breaks in the real world, each as one call of a script or one option.
--
--   inject.full_disk { quota = "1M", path = "/var/**" }            -- in a script
--   luatrace --simulate full_disk:quota=1M:path=/var/** -- cmd     -- the same without one
--
-- A fault is a file of inject/, loaded by its name when it is first asked for. Each takes, beside its own options,
-- `path`, `comm`, `exe`, `pid`, `fd` (see luatrace.filter.predicates) and `startup = true`, without which the dynamic
-- loader is left alone.
--
-- HOW TO ADD ONE: a file that returns
--   { about = "one line for --simulate=help",
--     options = { quota = "size" },     -- kinds: size ("1M"), time ("200ms"), count, chance, number, text, flag
--     required = { "quota" },
--     add = function(t, options, where) ... end }
-- where `t` is the environment of a script (t.on, t.fail, t.delay, ...) and `where` what the common options say, for
-- rules and for t.matches(calls, where).

local duration = require "luatrace.text.duration"
local filter = require "luatrace.filter"

local M = {}

M.names = { "clock_jump", "clock_skew", "connection_refused", "connection_reset", "eagain_storm", "eintr_storm",
  "failing_disk", "fd_limit", "fsync_fails_once", "full_disk", "memory_pressure", "short_io", "slow_disk",
  "slow_network" }

local sizes = { [""] = 1, B = 1, K = 1024, M = 1024 ^ 2, G = 1024 ^ 3, kB = 1000, MB = 1e6, GB = 1e9, KiB = 1024,
  MiB = 1024 ^ 2, GiB = 1024 ^ 3 }

local function size_of(value)
  if type(value) == "number" then return value end
  local number, unit = tostring(value):match("^(%-?[%d.]+)%s*(%a*)$")
  return number and sizes[unit] and tonumber(number) and tonumber(number) * sizes[unit] or nil
end

--- How the kinds of options are read; nil: it is none.
local kinds = {
  size = { "a size such as 65536 or \"1M\"", size_of },
  time = { "a time such as 0.5 or \"200ms\"", duration.seconds },
  count = { "a whole number, 0 or more", function(value)
    local number = tonumber(value)
    return number and number >= 0 and number % 1 == 0 and number or nil
  end },
  chance = { "a probability from 0 to 1", function(value)
    local number = tonumber(value)
    return number and number >= 0 and number <= 1 and number or nil
  end },
  number = { "a number", tonumber },
  text = { "a text", function(value) return type(value) == "string" and value ~= "" and value or nil end },
  flag = { "true or false", function(value)
    if type(value) == "boolean" then return value end
    return ({ ["true"] = true, yes = true, ["1"] = true, ["false"] = false, no = false, ["0"] = false })[
      tostring(value)]
  end },
  any = { "anything", function(value) return value end },
}

local common = { path = "any", comm = "any", exe = "any", pid = "any", fd = "any", startup = "flag" }

local function read_options(name, fault, given)
  local known, parsed, where = {}, {}, {}
  for key, kind in pairs(common) do known[key] = kind end
  for key, kind in pairs(fault.options or {}) do known[key] = kind end
  for key, value in pairs(given) do
    local kind = known[key]
    if not kind then
      local list = {}
      for each in pairs(known) do list[#list + 1] = each end
      table.sort(list)
      return nil, ("%s has no option %s%s: it takes %s"):format(name, tostring(key),
        filter.did_you_mean(tostring(key), known, 1), table.concat(list, ", "))
    end
    local read = kinds[kind][2](value)
    if read == nil then
      return nil, ("%s: %s takes %s, not %q"):format(name, key, kinds[kind][1], tostring(value))
    end
    if common[key] and not (fault.options or {})[key] and key ~= "startup" then
      where[key] = read
    else
      parsed[key] = read
    end
  end
  for _, key in ipairs(fault.required or {}) do
    if parsed[key] == nil then
      return nil, ("%s needs %s: %s"):format(name, key, kinds[fault.options[key]][1])
    end
  end
  if not parsed.startup then where.after_startup = true end
  return parsed, where
end

local function load(name)
  for _, known in ipairs(M.names) do
    if known == name then return require("luatrace.inject." .. name) end
  end
  local set = {}
  for _, known in ipairs(M.names) do set[known] = true end
  return nil, ("there is no fault %s%s; there are %s"):format(tostring(name),
    filter.did_you_mean(tostring(name), set, 1), table.concat(M.names, ", "))
end

--- What a fault sees as its script.
local function view(environment, registry)
  return setmetatable({
    --- Is a call one of these? A function(call), for faults that are handlers.
    matches = function(calls, where)
      local made, message = require("luatrace.filter.matcher").compile(calls, where, { random = environment.random,
        rules = registry.rules })
      if not made then error(message, 0) end
      return function(call)
        local session = call.session
        return (session.root_started or call.process.attached) and made:entry(call)
      end
    end,
    registry = registry,
  }, { __index = environment })
end

--- Adds a fault.
---@param environment table of a script
---@param registry table
---@param name string
---@param given table options
---@return any|nil handle what the fault gives, or true, string? message
function M.add(environment, registry, name, given)
  local fault, message = load(name)
  if not fault then return nil, message end
  if type(given) ~= "table" then return nil, ("%s takes a table of options, not a %s"):format(name, type(given)) end
  local options, where = read_options(name, fault, given)
  if not options then return nil, where end
  local ok, handle = pcall(fault.add, view(environment, registry), options, where)
  if not ok then return nil, ("%s: %s"):format(name, (tostring(handle):gsub("^%S+: ", ""))) end
  return handle or true
end

--- The `inject` of a script: inject.NAME { options }.
---@param environment table
---@param registry table
---@return table
function M.finder(environment, registry)
  return setmetatable({}, {
    __index = function(_, name)
      return function(options)
        local handle, message = M.add(environment, registry, name, options or {})
        if not handle then error("inject." .. message, 2) end
        return handle
      end
    end,
    __newindex = function() error("inject holds the library of faults: call inject.NAME { ... }", 2) end,
  })
end

--- --simulate NAME:KEY=VALUE:...
---@param environment table
---@param registry table
---@param text string
---@return true|nil ok, string? message
function M.from_option(environment, registry, text)
  local expression = require "luatrace.filter.expression"
  local fields, message = expression.split(text, ":")
  if not fields then return nil, ("--simulate=%s: %s"):format(text, message) end
  local name, given = table.remove(fields, 1), {}
  for _, field in ipairs(fields) do
    local key, value = field:match("^([%w_]+)=(.*)$")
    if not key then key, value = field, "true" end
    given[key] = tonumber(value) or (value:gsub('^"(.*)"$', "%1"))
  end
  local handle, why = M.add(environment, registry, name, given)
  if not handle then return nil, "--simulate: " .. why end
  return true
end

--- What there is, for --simulate=help.
---@return string
function M.help()
  local lines = {}
  for _, name in ipairs(M.names) do
    local fault = require("luatrace.inject." .. name)
    local options = {}
    for key in pairs(fault.options or {}) do options[#options + 1] = key end
    table.sort(options)
    lines[#lines + 1] = ("%-20s %s"):format(name, fault.about)
    lines[#lines + 1] = ("%-20s options: %s"):format("", table.concat(options, ", "))
  end
  lines[#lines + 1] = "all of them          path, comm, exe, pid, fd; startup: the dynamic loader's calls, too"
  return table.concat(lines, "\n") .. "\n"
end

return M
