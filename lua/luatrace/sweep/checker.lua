--- --check: somebody who knows what the files mean looks at what a run has left. A command (0: all is well) or a Lua
-- file.
--
--   luatrace sweep --check 'sqlite3 db "pragma integrity_check" | grep -qx ok' --fixture data -- sqlite3 db "insert
-- ..."
--   luatrace sweep --check check.lua ...
--
-- A command runs by sh -c in the fixture's copy, with LUATRACE_STATUS (the program's exit status, 128 and the signal),
-- LUATRACE_SUCCESS (1 when it ended as a clean run does, else 0), LUATRACE_STDOUT and LUATRACE_STDERR (files). It may
-- be the recovery: what it leaves is not looked at. A Lua file returns a function, called with { dir, status, signal,
-- success, stdout, stderr, files, before, clean } (the last three: path -> { kind, size, content }); it returns true,
-- or false (or nil) and a message; an error counts as a message too.

local sys = require "luatrace.sys"

local M = {}

--- What --check was given, made ready.
---@param given string|fun(state: table): boolean, string|nil
---@return table|nil check, string? message
function M.new(given)
  if type(given) == "function" then return { fn = given } end
  if not given:find("%.lua$") or given:find("%s") then return { command = given } end
  local chunk, message = loadfile(given)
  if not chunk then return nil, "--check: " .. message end
  local ok, fn = pcall(chunk)
  if not ok then return nil, "--check: " .. tostring(fn) end
  if type(fn) ~= "function" then
    return nil, ("--check: %s returns a %s; it takes a function: return function(state) ... end"):format(given,
      type(fn))
  end
  return { fn = fn }
end

local function short(text)
  text = text:gsub("%s+$", "")
  return #text > 1000 and "..." .. text:sub(-1000) or text
end

local function by_function(check, room, result, clean)
  local state = { dir = room.work, status = result.status, signal = result.signal,
    success = result.status == clean.status and result.signal == clean.signal, files = result.state,
    before = clean.initial, clean = clean.state, stdout = sys.read_file(room.out) or "",
    stderr = sys.read_file(room.err) or "" }
  local ok, good, message = pcall(check.fn, state)
  if not ok then return { ok = false, text = short(tostring(good)) } end
  return { ok = good and true or false, text = message and short(tostring(message)) or "the checker returned false" }
end

local function by_command(check, room, result, clean, limit)
  local runner = require "luatrace.sweep.runner"
  local success = result.status == clean.status and result.signal == clean.signal
  local env = room:environment()
  for name, value in pairs { STATUS = result.status or 128 + (result.signal or 0), SUCCESS = success and 1 or 0,
    STDOUT = room.out, STDERR = room.err } do
    env[#env + 1] = ("LUATRACE_%s=%s"):format(name, value)
  end
  local output = room.root .. "/check"
  local shell = { file = "/bin/sh", argv = { "sh", "-c", check.command }, stdin = "/dev/null" }
  local ended, message = runner.execute(room, shell, function() end, { timeout = limit, out = output,
    err = output .. "2", env = env })
  if not ended then return { ok = false, text = message } end
  local text = short((sys.read_file(output) or "") .. (sys.read_file(output .. "2") or ""))
  if ended.timed_out then
    text = ("the checker did not end within %g s"):format(limit)
  elseif text == "" then
    text = ended.signal and ("the checker was killed by signal %d"):format(ended.signal) or
      ("the checker ended with status %d"):format(ended.status)
  end
  return { ok = ended.status == 0, text = room:neutral(text), seconds = ended.seconds }
end

--- Looks at what a run has left in a room.
---@return { ok: boolean, text: string, seconds: number? }
function M.run(check, room, result, clean, limit)
  if check.fn then return by_function(check, room, result, clean) end
  return by_command(check, room, result, clean, limit or 60)
end

return M
