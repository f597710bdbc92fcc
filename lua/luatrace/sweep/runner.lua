--- One run of a program in a room: its files made anew, its output caught, its whole process tree ended.
--
--   local result = runner.execute(room, program, function(script) script.on.write(...) end, { timeout = 5 })
--   result.status, result.signal, result.timed_out, result.crashed, result.state, result.stderr

local files = require "luatrace.sys.files"
local guard = require "luatrace.sweep.guard"
local constants = require "luatrace.constants"
local script = require "luatrace.script"
local session_module = require "luatrace.session"
local sys = require "luatrace.sys"

local M = {}

--- Signals that a program gets for its own mistakes.
local crashes = {}
for _, name in ipairs { "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP" } do
  crashes[constants.signals.by_name[name]] = name
end

--- The program of a sweep, once it is known where it is.
---@param command string[]
---@param options { stdin: string? }
---@return { file: string, argv: string[], stdin: string }|nil, string? message
function M.program(command, options)
  local name = command[1]
  local file
  if name:find("/", 1, true) then
    -- A path that is there as seen from here is meant; else it may be one of the fixture's.
    file = name:sub(1, 1) ~= "/" and sys.realpath(name) or name
    if name:sub(1, 1) == "/" and not files.stat(name) then return nil, ("cannot run %s: no such file"):format(name) end
  else
    file = sys.find_in_path(name)
    if not file then return nil, ("cannot run %s: not found in PATH"):format(name) end
  end
  return { file = file, argv = command, stdin = options.stdin or "/dev/null" }
end

---@class luatrace.sweep.Result
---@field status integer|nil
---@field signal integer|nil
---@field timed_out boolean|nil
---@field livelock boolean|nil it was ended because it tried the same call again and again
---@field crashed string|nil name of the signal, of any process of the tree
---@field seconds number

--- Runs a program in a room that has been prepared.
---@param room luatrace.sweep.Room
---@param program table see program
---@param define fun(script: table, registry: table) registers handlers
---@param options { timeout: number?, out: string?, err: string?, env: string[]?, guarded: boolean? }
---@return luatrace.sweep.Result|nil, string? message
function M.execute(room, program, define, options)
  local registry, environment = script.new { seed = 1, args = {} }
  local result = {}
  environment.at.exit(function(process)
    if process.signal and crashes[process.signal] then
      result.crashed = result.crashed or crashes[process.signal]
    end
  end)
  if not room.sealed and not options.guarded then guard.watch(environment, room, {}) end
  define(environment, registry)
  local input, message = files.open(program.stdin, files.O_RDONLY)
  if not input then return nil, ("cannot read %s: %s"):format(program.stdin, message) end
  local fresh = files.O_RDWR + files.O_CREAT + files.O_TRUNC
  local out, err = files.open(options.out or room.out, fresh), files.open(options.err or room.err, fresh)
  if not out or not err then return nil, "cannot write into " .. room.root end
  local session = session_module.new { registry = registry, seed = 1, timeout = options.timeout, quiet = 1 }
  result.session = session
  local started, failure, name, step = session:spawn { file = program.file, argv = program.argv, cwd = room.work,
    env = options.env or room:environment(), fds = { input, out, err }, new_group = true }
  files.close(input)
  files.close(out)
  files.close(err)
  if not started then
    session.tracer:close()
    return nil, ("cannot run %s: %s (%s, %s)"):format(program.file, failure, name, step)
  end
  local run = session:loop()
  if session.launch_errno then
    return nil, ("cannot run %s: %s"):format(program.file, session.launch_message)
  end
  if session.error_message then error(session.error_message, 0) end
  result.session, result.livelock = nil, session.livelock
  result.status, result.signal, result.timed_out, result.seconds = run.status, run.signal, run.timed_out, run.time
  result.uses_rings = session.notices and session.notices.io_uring and true or nil
  return result
end

return M
