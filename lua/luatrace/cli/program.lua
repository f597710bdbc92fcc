--- The program that is to run, or the processes to attach to: where a command is, with which environment, and what
-- went wrong when it could not be started.
--
--   local program, message, code = require("luatrace.cli.program").find({ "ls", "-l" }, { env = { "LC_ALL=C" } })

local sys = require "luatrace.sys"

local M = {}

M.CANNOT_EXECUTE, M.NOT_FOUND = 126, 127
local CANNOT_EXECUTE, NOT_FOUND = M.CANNOT_EXECUTE, M.NOT_FOUND

--- Where a command is, as execvp would look; nil, message, exit code.
local function find_command(name, path)
  if name == "" then return nil, "the command is an empty word", NOT_FOUND end
  if name:find("/", 1, true) then
    local kind = sys.file_kind(name)
    if not kind then return nil, ("cannot run %s: no such file"):format(name), NOT_FOUND end
    if kind == "dir" then return nil, ("cannot run %s: it is a directory"):format(name), CANNOT_EXECUTE end
    if not sys.executable(name) then
      return nil, ("cannot run %s: not executable (chmod +x?)"):format(name), CANNOT_EXECUTE
    end
    return name
  end
  local seen
  for dir in ((path or "/usr/local/bin:/usr/bin:/bin") .. ":"):gmatch("([^:]*):") do
    local file = (dir == "" and "." or dir) .. "/" .. name
    local kind = sys.file_kind(file)
    if kind and kind ~= "dir" then
      if sys.executable(file) then return file end
      seen = file
    end
  end
  if seen then return nil, ("cannot run %s: %s is not executable"):format(name, seen), CANNOT_EXECUTE end
  return nil, ("cannot run %s: not found in PATH"):format(name), NOT_FOUND
end

--- The program's environment with -E applied; nil when there is nothing to change.
local function environment(changes)
  if not changes then return nil end
  local env = sys.environ()
  for _, change in ipairs(changes) do
    local name, value = change:match("^([^=]+)=(.*)$")
    name = name or change
    for i = #env, 1, -1 do
      if env[i]:sub(1, #name + 1) == name .. "=" then table.remove(env, i) end
    end
    if value then env[#env + 1] = change end
  end
  return env
end

--- What session:spawn takes, for a command of the command line.
---@param command string[]
---@param parsed table env, cwd, user
---@return table|nil program, string? message, integer? exit_code
function M.find(command, parsed)
  local found, message, code = find_command(command[1], os.getenv("PATH"))
  if not found then return nil, message, code end
  return { file = found, argv = command, env = environment(parsed.env), cwd = parsed.cwd, user = parsed.user }
end

local launch_advice = {
  seize = function(name)
    if name == "EPERM" then
      return "this process may not trace: a container without CAP_SYS_PTRACE, a seccomp policy, or a tracer around us"
    end
  end,
  user = function(name)
    return ({ ENOENT = "there is no such user", EPERM = "only root can become another user" })[name]
  end,
  no_new_privs = function() return "no_new_privs was refused: try --trap=ptrace" end,
  filter = function() return "the seccomp filter was refused: try --trap=ptrace" end,
  listener = function(name)
    if name == "EBUSY" then return "a process that luatrace runs under has one, and a tree can have no second" end
  end,
}

local steps = { fork = "cannot start a process", seize = "cannot trace the program", cwd = "cannot change directory",
  user = "cannot become the user", fds = "cannot set up descriptors", no_new_privs = "cannot set up the filter",
  filter = "cannot install the filter", listener = "cannot have the listener that --trap=notify needs",
  exec = "cannot run the program" }

--- Why it did not start, in words, with advice.
---@return string
function M.launch_failure(step, message, name, program)
  local advice = launch_advice[step] and launch_advice[step](name)
  local about = step == "cwd" and program.cwd or step == "user" and program.user or step == "exec" and program.file
  return ("%s%s: %s%s"):format(steps[step] or "cannot start the program", about and " " .. about or "", message,
    advice and " (" .. advice .. ")" or "")
end

--- The process ids that -p gives: lists, separated by commas or spaces.
---@param list string[]
---@return integer[]|nil pids, string? message
function M.pids(list)
  local pids, seen = {}, {}
  for _, text in ipairs(list) do
    for word in text:gmatch("[^,%s]+") do
      local pid = tonumber(word)
      if not pid or pid < 1 or pid % 1 ~= 0 then return nil, ("-p takes process ids, not %q"):format(word) end
      if not seen[pid] then pids[#pids + 1], seen[pid] = pid, true end
    end
  end
  if #pids == 0 then return nil, "-p takes process ids: here are none" end
  return pids
end

--- Why a process could not be attached to.
---@return string
function M.attach_failure(pid, message, name)
  if name == "ESRCH" then return ("cannot attach to %d: there is no such process"):format(pid) end
  if name == "EPERM" then
    return ("cannot attach to %d: not permitted (another user's process, one that is traced already, Yama's " ..
      "kernel.yama.ptrace_scope, or a container without CAP_SYS_PTRACE)"):format(pid)
  end
  return ("cannot attach to %d: %s"):format(pid, message)
end

return M
