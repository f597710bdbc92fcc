--- luatrace as a module: `require "luatrace"` in busted or in programs of your own.
--
--   local luatrace = require "luatrace"
--   local run = luatrace.run { cmd = { "ls", "/" }, script = function(t)
--     t.on.openat(function(call) print(call.pathname) end)
--     t.never "connect"
--   end }
--   print(run.status, run.stdout, run.calls.openat.count)

-- Found as a source file before luatrace.so was (busted in this project): the module with the core in it is meant.
if not package.preload["luatrace.api"] and not package.loaded["luatrace.library"] then
  local path = package.searchpath("luatrace", package.cpath)
  local open_module = path and package.loadlib(path, "luaopen_luatrace")
  if open_module then return open_module("luatrace") end
end

local engine = require "luatrace.engine"
local run = require "luatrace.run"

local M = {}

M.run, M.start, M.together = run.run, run.start, run.together

--- Gives a command every failure that could happen to it, one a run: see luatrace.sweep.
---@param options luatrace.SweepOptions
---@return table|nil report, string? message
function M.sweep(options) return require("luatrace.sweep").run(options) end

---@class luatrace.TraceOptions
---@field seed integer?
---@field cwd string?
---@field env string[]?
---@field trap "auto"|"notify"|"stop"|"ptrace"|nil
---@field timeout number? seconds

--- Runs a program under a script, with our own input and output; nil and a message when it cannot be run.
---@param command string[]
---@param define fun(t: table) gets the environment of a script: t.on, t.at, t.random
---@param options luatrace.TraceOptions?
---@return luatrace.TestRun|nil run, string? message
function M.trace(command, define, options)
  options = options or {}
  local started = run.start { cmd = command, script = define, seed = options.seed, cwd = options.cwd, env = options.env,
    trap = options.trap, timeout = options.timeout, stdin = true, capture = false, check = true }
  local ok, message = pcall(started.wait, started)
  if ok then return started end
  if started.error_name then return nil, message, started.error_name end
  error(message, 0)
end

--- Golden traces: `golden.update = true` writes them anew.
M.golden = setmetatable({}, {
  __index = function(_, key) return require("luatrace.expect.golden")[key] end,
  __newindex = function(_, key, value) require("luatrace.expect.golden")[key] = value end,
})

M.features = engine.features

return M
