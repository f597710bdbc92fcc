--- luatrace as a module: `require "luatrace"` in busted or in programs of your own.
--
--   local luatrace = require "luatrace"
--   local run = luatrace.trace({ "ls", "/" }, function(t)
--     t.on.openat(function(call) print(call.pathname) end)
--   end)
--   print(run.status, run.calls.openat.count)

local engine = require "luatrace.engine"
local script = require "luatrace.script"
local session_module = require "luatrace.session"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.TraceOptions
---@field seed integer?
---@field cwd string?
---@field env string[]?
---@field trap "auto"|"stop"|"ptrace"|nil
---@field timeout number? seconds

--- Runs a program under a script given as a function; returns when it has ended.
---@param command string[]
---@param define fun(t: table) gets the environment of a script: t.on, t.at, t.random
---@param options luatrace.TraceOptions?
---@return table|nil run, string? message
function M.trace(command, define, options)
  options = options or {}
  local seed = options.seed or sys.random_seed()
  local registry, environment = script.new { seed = seed, args = {} }
  define(environment)
  local session = session_module.new { registry = registry, seed = seed, trap = options.trap,
    timeout = options.timeout }
  local file = sys.find_in_path(command[1])
  if not file then
    session.tracer:close()
    return nil, ("cannot run %s: not found"):format(command[1]), "ENOENT"
  end
  local started, message, name = session:spawn { file = file, argv = command, cwd = options.cwd, env = options.env }
  if not started then
    session.tracer:close()
    return nil, message, name
  end
  local run = session:loop()
  if session.error_message then error(session.error_message, 0) end
  return run
end

M.features = engine.features

return M
