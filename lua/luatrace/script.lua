--- What a script sees: its environment, and the registry of what it asks for.
--
-- A script gets the full Lua library and these names: on, watch, at, random, hide_vdso, script, print (checked: output
-- that fails ends the run), luatrace; and the mocks of luatrace.mock by their names.
--
--   local script = require "luatrace.script"
--   local registry, environment = script.new { seed = 1, args = {} }
--   local chunk, message = script.load("trace.lua", environment)

local expectation_verbs = require "luatrace.expect.verbs"
local filter = require "luatrace.filter"
local mock = require "luatrace.mock"
local random = require "luatrace.random"
local rules = require "luatrace.rules"

local M = {}

--- file:line of the script that called us.
local function caller_of(level)
  local info = debug.getinfo(level + 1, "Sl")
  return info and ("%s:%d"):format(info.short_src, info.currentline) or "?"
end

local function expect_function(fn, what, level)
  if type(fn) ~= "function" then
    error(("%s takes a function, not a %s"):format(what, type(fn)), level + 1)
  end
end

local function check_pattern(pattern, level)
  if pattern == "%all" or pattern == "all" then return end
  local ok, message = filter.check(pattern)
  if not ok then error(message, level + 1) end
end

--- A handler that only looks on: it cannot wait for the result, so that the cheapest mechanism may serve it.
local function watcher(fn)
  return function(call)
    rawset(call, "watching", true)
    fn(call)
    rawset(call, "watching", nil)
  end
end

--- on.openat(fn), on["%file"](fn), on["/regex"](fn), on["open,openat"](fn); `name` is "on" or "watch".
local function new_on(registry, name)
  return setmetatable({}, {
    __index = function(on, pattern)
      if type(pattern) ~= "string" then
        error(("%s[...] takes the name of a call or a set such as \"%%file\", not a %s"):format(name, type(pattern)), 2)
      end
      check_pattern(pattern, 2)
      local function register(fn)
        expect_function(fn, name .. "." .. pattern, 2)
        table.insert(registry.on, { pattern = pattern, fn = name == "watch" and watcher(fn) or fn, where = caller_of(2),
          verb = name })
      end
      rawset(on, pattern, register)
      return register
    end,
    __newindex = function(_, key)
      error(("write %s.%s(function(call) ... end), not %s.%s = ..."):format(name, key, name, key), 2)
    end,
  })
end

local lifecycle = { "start", "exec", "fork", "thread", "signal", "exit", "finish" }

local function new_at(registry)
  local at = {}
  for _, event in ipairs(lifecycle) do
    registry.at[event] = {}
    at[event] = function(fn)
      expect_function(fn, "at." .. event, 2)
      table.insert(registry.at[event], fn)
    end
  end
  return setmetatable(at, {
    __index = function(_, name)
      error(("there is no at.%s: it takes %s"):format(tostring(name), table.concat(lifecycle, ", ")), 2)
    end,
    __newindex = function(_, name)
      error(("write at.%s(function ... end), not at.%s = ..."):format(name, name), 2)
    end,
  })
end

--- print that notices when the output fails: LuaJIT's own does not.
local function checked_print(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  local ok, message = io.stdout:write(table.concat(parts, "\t"), "\n")
  if ok then ok, message = io.stdout:flush() end
  if not ok then error("cannot write to standard output: " .. tostring(message), 2) end
end

--- Chance that is remembered: the seed of a failed run is worth telling only when it was used.
local function counted_random(registry, seed)
  local next_random = random.new(seed)
  return function(m, n)
    registry.random_used = true
    return next_random(m, n)
  end
end

--- What of Lua's own library opens nothing. Who takes anything else may leave behind what only lua_close closes: a
-- program that io.popen has started, an object with a finaliser.
local opens_nothing = {}
for name in ([[assert bit collectgarbage coroutine error getmetatable ipairs math next os pairs pcall rawequal rawget
  rawset select setmetatable string table tonumber tostring type unpack xpcall]]):gmatch("%S+") do
  opens_nothing[name] = true
end

--- Names that a script may never use, and what makes them.
local lazy = {}
for _, name in ipairs(expectation_verbs) do
  lazy[name] = function(registry, verb) return require("luatrace.expect").global(registry, verb) end
end
for _, name in ipairs { "run", "start", "together" } do
  lazy[name] = function(registry, verb)
    registry.runs_itself = true
    return require("luatrace.run")[verb]
  end
end

lazy.inject = function(registry) return require("luatrace.inject").finder(registry.environment, registry) end
lazy.sweep = function(registry)
  registry.runs_itself = true
  return require("luatrace.sweep").run
end
lazy.powerloss = function(registry)
  registry.runs_itself = true
  return require "luatrace.sweep.powerloss"
end

--- A registry and the environment that fills it.
---@param options { seed: integer, args: string[], name: string? }
---@return table registry, table environment
function M.new(options)
  local registry = { on = {}, at = {}, clean_up = {} }
  local environment = {
    on = new_on(registry, "on"),
    watch = new_on(registry, "watch"),
    at = new_at(registry),
    random = counted_random(registry, options.seed),
    print = checked_print,
    --- clock_gettime, gettimeofday, time and getcpu do not enter the kernel unless the vDSO is hidden.
    hide_vdso = function() registry.hide_vdso = true end,
    arg = options.args,
    script = { name = options.name, args = options.args, seed = options.seed },
  }
  registry.random, registry.environment = environment.random, environment
  for name, verb in pairs(rules.verbs_for(registry, { random = environment.random, any_errno = options.any_errno,
    caller = caller_of })) do
    environment[name] = verb
  end
  environment._G = environment
  environment.luatrace = environment
  local find_mock = mock.finder(registry, { seed = options.seed })
  -- Expectations and runs are loaded by the scripts that use them.
  return registry, setmetatable(environment, { __index = function(_, name)
    local value = _G[name]
    if value ~= nil then
      if not opens_nothing[name] then registry.may_leave_open = true end
      return value
    end
    if not lazy[name] then return find_mock(name) end
    value = lazy[name](registry, name)
    rawset(environment, name, value)
    return value
  end })
end

--- All names that mean something in a script.
---@param environment table
---@return table<string, true>
function M.names(environment)
  local names = {}
  for _, from in ipairs { environment, lazy, _G } do
    for name in pairs(from) do names[name] = true end
  end
  return names
end

--- Compiles and runs a script in its environment.
---@param source { file: string } | { code: string }
---@param environment table
---@return true|nil, string? message with file and line
function M.run(source, environment)
  local chunk, message
  if source.file then
    chunk, message = loadfile(source.file)
  else
    chunk, message = loadstring(source.code, "=(--lua)")
  end
  if not chunk then return nil, message end
  setfenv(chunk, environment)
  local arguments = environment.arg or {}
  local ok, failure = xpcall(function() return chunk(unpack(arguments)) end, function(problem)
    if type(problem) == "table" and problem.kind then return problem end
    return { message = require("luatrace.session").error_text(problem, environment), trace = debug.traceback("", 2) }
  end)
  if ok then return true end
  local session = require "luatrace.session"
  return nil, session.script_traceback(failure.message, failure.trace), failure.kind
end

return M
