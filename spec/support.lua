--- What the specs share: running luatrace, strace and plain programs with all their output captured, compiling the
-- small programs of spec/tracees, and looking for processes that were left behind.
--
--   local support = require "spec.support"
--   local result = support.run { lua = 'on.unlink(function(call) call:returns(0) end)', cmd = { "rm", "x" } }
--   assert.equal(0, result.status)
--
-- LUATRACE_BIN names the binary under test (default build/luatrace).

local dirent = require "posix.dirent"
local poll = require "posix.poll"
local signal = require "posix.signal"
local stdlib = require "posix.stdlib"
local sys_stat = require "posix.sys.stat"
local sys_wait = require "posix.sys.wait"
local time = require "posix.time"
local unistd = require "posix.unistd"
local fcntl = require "posix.fcntl"

local M = {}

M.binary = os.getenv("LUATRACE_BIN") or (unistd.getcwd() .. "/build/luatrace")
M.is_root = unistd.geteuid() == 0
M.root = unistd.getcwd()

--- Debian's programs, where somebody's $PATH may have others of the same name; those that scripts/setup unpacked, too.
M.path = ("%s/vendor/unpacked/usr/bin:/usr/local/bin:/usr/bin:/bin"):format(M.root)
M.python = "/usr/bin/python3"
if not unistd.access(M.python) then M.python = M.root .. "/vendor/unpacked/usr/bin/python3" end

--- `require "luatrace"` as a program of somebody else's has it: the modules inside build/luatrace.so, not lua/.
function M.module()
  local path = os.getenv("LUATRACE_SO") or M.root .. "/build/luatrace.so"
  return assert(package.loadlib(path, "luaopen_luatrace"))("luatrace")
end

local function now()
  local at = time.clock_gettime(time.CLOCK_MONOTONIC)
  return at.tv_sec + at.tv_nsec / 1e9
end

local function cloexec(fd) fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC) end

--- A variable in the environment of everything that a spec starts: tells its processes from all others.
local marker = ("%d.%d"):format(unistd.getpid(), math.floor(now() * 1e6) % 1e9)

--- Writes to a program that may have ended, or never read: that is no reason to die of SIGPIPE, silently, with busted.
local function write_if_read(fd, text)
  local before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
  local put = unistd.write(fd, text)
  -- Not for longer: what is started inherits it.
  signal.signal(signal.SIGPIPE, before)
  return put
end

local function child(options, input, output, errors)
  unistd.setpid("p", 0, 0)
  if options.cwd and not unistd.chdir(options.cwd) then unistd._exit(127) end
  unistd.dup2(input, 0)
  unistd.dup2(output, 1)
  unistd.dup2(errors, 2)
  -- What other specs have open is no business of the program: descriptors are numbered from 3.
  for fd = 3, 255 do fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC) end
  stdlib.setenv("LUATRACE_SPEC_ID", marker)
  stdlib.setenv("LC_ALL", "C")
  for name, value in pairs(options.env or {}) do stdlib.setenv(name, value or nil) end
  local words = options.words
  local args = {}
  for i = 2, #words do args[i - 1] = words[i] end
  unistd.execp(words[1], args)
  unistd._exit(127)
end

--- Runs a command to its end: stdin from a string, stdout and stderr captured together without deadlock.
-- A run that takes longer than `timeout` seconds is killed and fails the spec.
---@param options { words: string[], stdin: string?, env: table?, cwd: string?, timeout: number? }
---@return { status: integer?, signal: integer?, stdout: string, stderr: string, seconds: number }
function M.execute(options)
  local in_read, in_write = unistd.pipe()
  local out_read, out_write = unistd.pipe()
  local err_read, err_write = unistd.pipe()
  for _, fd in ipairs { in_read, in_write, out_read, out_write, err_read, err_write } do cloexec(fd) end
  local started = now()
  local pid = assert(unistd.fork())
  if pid == 0 then child(options, in_read, out_write, err_write) end
  unistd.close(in_read)
  unistd.close(out_write)
  unistd.close(err_write)

  local parts = { [out_read] = {}, [err_read] = {} }
  local input, deadline = options.stdin or "", started + (options.timeout or 60)
  if input == "" then
    unistd.close(in_write)
    in_write = nil
  end
  local open = 2
  local timed_out
  while open > 0 do
    local fds = {}
    for fd in pairs(parts) do
      if not parts[fd].closed then fds[fd] = { events = { IN = true } } end
    end
    if in_write then fds[in_write] = { events = { OUT = true } } end
    local left = deadline - now()
    if left <= 0 and not timed_out then
      timed_out = true
      signal.kill(-pid, signal.SIGKILL)
      signal.kill(pid, signal.SIGKILL)
      deadline = now() + 5
    elseif left <= 0 then
      break
    end
    poll.poll(fds, math.max(1, math.floor(math.max(left, 0.001) * 1000)))
    for fd, entry in pairs(fds) do
      local events = entry.revents
      if events and fd == in_write and (events.OUT or events.ERR or events.HUP) then
        local put = write_if_read(in_write, input:sub(1, 4096))
        input = put and input:sub(put + 1) or ""
        if input == "" then
          unistd.close(in_write)
          in_write = nil
        end
      elseif events and (events.IN or events.HUP or events.ERR) and parts[fd] then
        local bytes = unistd.read(fd, 65536)
        if not bytes or bytes == "" then
          parts[fd].closed = true
          open = open - 1
        else
          table.insert(parts[fd], bytes)
        end
      end
    end
  end
  if in_write then unistd.close(in_write) end
  unistd.close(out_read)
  unistd.close(err_read)
  local _, how, code = sys_wait.wait(pid)
  local result = { stdout = table.concat(parts[out_read]), stderr = table.concat(parts[err_read]),
    seconds = now() - started }
  if how == "exited" then result.status = code else result.signal = code end
  if timed_out then
    error(("timed out after %g s: %s\n%s%s"):format(options.timeout or 60, table.concat(options.words, " "),
      result.stdout, result.stderr), 2)
  end
  return result
end

local function joined(...)
  local words = {}
  for _, list in ipairs { ... } do
    for _, word in ipairs(list) do words[#words + 1] = word end
  end
  return words
end

--- Runs luatrace: with `lua` (code) or `script` (a file, with `args`), options before, the command after "--".
---@param options table lua, script, args, options, cmd, and what M.execute takes; user: run it all as that uid
function M.run(options)
  local words = { M.binary }
  if options.user then words = { "setpriv", "--reuid=" .. options.user, "--clear-groups", M.binary } end
  words = joined(words, options.options or {})
  if options.lua then words = joined(words, { "--lua", options.lua }) end
  if options.script then words = joined(words, { options.script }, options.args or {}) end
  if options.cmd then words = joined(words, { "--" }, options.cmd) end
  return M.execute { words = words, stdin = options.stdin, env = options.env, cwd = options.cwd,
    timeout = options.timeout }
end

--- The same command without a tracer.
function M.native(options)
  return M.execute { words = options.cmd, stdin = options.stdin, env = options.env, cwd = options.cwd,
    timeout = options.timeout }
end

--- The same command under strace: result.trace is what it wrote.
function M.strace(options)
  local file = os.tmpname()
  local result = M.execute { words = joined({ "strace", "-o", file }, options.options or {}, { "--" }, options.cmd),
    stdin = options.stdin, env = options.env, cwd = options.cwd, timeout = options.timeout }
  local handle = assert(io.open(file))
  result.trace = handle:read("*a")
  handle:close()
  os.remove(file)
  return result
end

--- A new directory; removed with all in it by M.clean, which specs call in after_each or teardown.
local directories = {}
---@return string path
function M.tempdir()
  local path = assert(stdlib.mkdtemp("/tmp/luatrace-spec-XXXXXX"))
  sys_stat.chmod(path, 493) -- 0755: other users' tracees work here too
  directories[#directories + 1] = path
  return path
end

function M.clean()
  for _, path in ipairs(directories) do os.execute("rm -rf '" .. path .. "'") end
  directories = {}
end

local function mtime(path)
  local found = sys_stat.stat(path)
  return found and found.st_mtime
end

--- Compiles spec/tracees/NAME.c once for each set of options, and again when it has changed.
---@param name string
---@param options { m32: boolean?, static: boolean?, flags: string? }|nil
---@return string path of the program
function M.tracee(name, options)
  options = options or {}
  local source = ("%s/spec/tracees/%s.c"):format(M.root, name)
  local target = ("%s/build/spec/%s%s%s%s"):format(M.root, name, options.m32 and ".32" or "",
    options.static and ".static" or "", options.flags and "." .. options.flags:gsub("[/%s]", "_") or "")
  local built = mtime(target)
  if built and built >= assert(mtime(source), source) then return target end
  os.execute(("mkdir -p '%s/build/spec'"):format(M.root))
  local temporary = ("%s.%d"):format(target, unistd.getpid())
  local warnings = "-std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror"
  local command = ("gcc %s -O1 -g -pthread %s %s %s -o '%s' '%s' -lm 2>&1"):format(warnings,
    options.m32 and "-m32" or "", options.static and "-static" or "", options.flags or "", temporary, source)
  local pipe = io.popen(command)
  local output = pipe:read("*a")
  pipe:close()
  assert(mtime(temporary), output)
  -- Whole or not at all, also when two runs of the specs compile at once.
  assert(os.rename(temporary, target))
  return target
end

local runs_32_bit

--- Do 32-bit programs run here? Found out by running one, once a process: what the kernel was built with does not tell.
-- Where it does not, they can be compiled all the same.
--
--   if not support.runs_32_bit() then return pending(support.no_32_bit) end
---@return boolean
function M.runs_32_bit()
  if runs_32_bit == nil then
    runs_32_bit = M.native({ cmd = { M.tracee("registers", { m32 = true }), "int80" } }).stdout == "1\n"
  end
  return runs_32_bit
end

M.no_32_bit = "32-bit programs do not run on this machine"

--- Is there such a program?
---@return boolean
function M.has(program)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(program)) == 0
end

--- Processes that this spec's runs have left behind: their command lines. Zombies are not ours: init has them.
---@return string[]
function M.leftovers()
  local found = {}
  for _, name in ipairs(dirent.dir("/proc")) do
    if name:find("^%d+$") then
      local file = io.open(("/proc/%s/environ"):format(name))
      local env = file and file:read("*a") or ""
      if file then file:close() end
      if env:find("LUATRACE_SPEC_ID=" .. marker, 1, true) then
        local line = io.open(("/proc/%s/cmdline"):format(name))
        found[#found + 1] = name .. ": " .. (line and line:read("*a"):gsub("%z", " ") or "?")
        if line then line:close() end
      end
    end
  end
  return found
end

--- The content of a file, or nil.
function M.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

--- Writes a file.
function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

--- What this very process has open, and which children it has.
---@return table<string, boolean>
function M.belongings()
  -- What earlier specs have left to the collector is not this one's.
  collectgarbage()
  collectgarbage()
  local found = {}
  for _, name in ipairs(dirent.dir("/proc/self/fd")) do
    -- The listing's own descriptor is not open any more.
    local file = name:find "%d" and sys_stat.stat("/proc/self/fd/" .. name)
    if file then found[("fd %s, inode %d of device %d"):format(name, file.st_ino, file.st_dev)] = true end
  end
  local children = M.read("/proc/thread-self/children") or
    M.read("/proc/self/task/" .. unistd.getpid() .. "/children") or ""
  for pid in children:gmatch("%d+") do found["child " .. pid] = true end
  return found
end

--- What a run has left behind since then. That something else is closed meanwhile, by the collector, does not matter.
---@param before table<string, boolean> M.belongings()
---@return string[]
function M.left_since(before)
  local left = {}
  for what in pairs(M.belongings()) do
    if not before[what] then left[#left + 1] = what end
  end
  return left
end

return M
