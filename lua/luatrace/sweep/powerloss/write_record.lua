--- One traced run of a command in a private copy of a directory, for power loss: see powerloss.lua, which offers it.
--
--   local record = write_record.run { cmd = { "sort", "-o", "f", "f" }, fixture = "tests/data" }
--   #record.ops, record.status, record.unseen
--   record:close()
--
-- The copy lies on a tmpfs where there is one. The program finds its working directory, HOME and PWD in the copy, its
-- TMPDIR beside it, nothing on standard input unless told otherwise; what it prints is captured.

local bit = require "bit"
local engine = require "luatrace.engine"
local files = require "luatrace.sys.files"
local script = require "luatrace.script"
local session_module = require "luatrace.session"
local sys = require "luatrace.sys"
local write_log = require "luatrace.sweep.powerloss.write_log"

local M = {}

---@class luatrace.WriteRecord
---@field ops table[] see write_log.lua
---@field log luatrace.WriteLog
---@field fixture string directory with the files as they were before
---@field workspace string directory of ours, removed by close()
---@field status integer|nil of the program
---@field signal integer|nil
---@field stdout string all that it printed
---@field stderr string
---@field unseen string[] what the record cannot show
---@field outside string[] files elsewhere that it wrote or made
---@field seconds number
local Record = {}
Record.__index = Record

--- Removes what the recording left behind.
function Record:close()
  if self.log then self.log:close() end
  files.remove_tree(self.workspace)
end

--- The fastest place for many small copies.
---@return string
function M.temporary_place()
  local probe = files.make_temporary("/dev/shm", "luatrace-probe-")
  if probe then
    files.rmdir(probe)
    return "/dev/shm"
  end
  return os.getenv("TMPDIR") or "/tmp"
end

local PREFIX = "luatrace-powerloss-"
local HOUR = 3600

--- A recorder that was killed could not remove its directory: whoever comes an hour later does.
local function remove_forgotten(place)
  local own = files.stat("/proc/self")
  for _, entry in ipairs(sys.list_dir(place) or {}) do
    local pid = entry:match("^" .. PREFIX:gsub("%-", "%%-") .. "(%d+)%-")
    local stat = pid and not files.stat("/proc/" .. pid) and files.lstat(place .. "/" .. entry)
    if stat and stat.kind == "dir" and own and stat.uid == own.uid and sys.realtime() / 1e9 - stat.mtime > HOUR then
      files.remove_tree(place .. "/" .. entry)
    end
  end
end

local function with_environment(base, changes)
  local list, done = {}, {}
  for name, value in pairs(changes) do
    list[#list + 1] = name .. "=" .. value
    done[name] = true
  end
  for _, text in ipairs(base) do
    local name = text:match("^([^=]*)=")
    if name and not done[name] then list[#list + 1] = text end
  end
  table.sort(list)
  return list
end
M.with_environment = with_environment

--- Does the log tell all that has happened? Whatever the directory holds beyond it was changed unseen.
local function compare_with_reality(record, directory)
  local disk = require("luatrace.sweep.powerloss.disk")
  local crash_models = require("luatrace.sweep.powerloss.crash_models")
  local effects = crash_models.effects(record.log, "posix")
  local model = disk.new(record.log, effects, record.fixture)
  local tree = model:apply(#effects)
  local wrong = {}
  model:each(tree, function(path, node, file)
    if node.kind ~= "file" then return end
    local stat = files.lstat(directory .. "/" .. path)
    local size = file and file.size or node.size
    local bad = not stat or stat.size ~= size
    if not bad and file then
      local fd = files.open(directory .. "/" .. path, files.O_RDONLY)
      for index in pairs(file.pages) do
        local page = fd and files.pread(fd, disk.PAGE, index * disk.PAGE)
        bad = bad or page and page ~= model:page(node, file, index):sub(1, #page)
      end
      if fd then files.close(fd) end
    end
    if bad then wrong[#wrong + 1] = path end
  end)
  model:close()
  table.sort(wrong)
  if #wrong > 0 then
    table.insert(record.unseen, ("%d files were changed in ways that were not seen: %s"):format(#wrong,
      table.concat(wrong, ", ", 1, math.min(5, #wrong))))
  end
end

--- The program's file; the fixture, if there is one, must be a directory.
---@return string|nil file, string? message, string? errno
local function find_program(options)
  local command, fixture = options.cmd, options.fixture
  local file = sys.find_in_path(command[1])
  if not file then return nil, ("cannot run %s: not found"):format(command[1]), "ENOENT" end
  if fixture then
    local stat, message, name = files.stat(fixture)
    if not stat then return nil, ("fixture %s: %s"):format(fixture, message), name end
    if stat.kind ~= "dir" then return nil, ("fixture %s: it is not a directory"):format(fixture), "ENOTDIR" end
  end
  return file
end

--- A record with a workspace, in which nothing has happened yet.
---@return luatrace.WriteRecord|nil record, string? message, string? errno
local function new_record(options)
  local place = options.temporary or M.temporary_place()
  remove_forgotten(place)
  local workspace, message, name = files.make_temporary(place, ("%s%d-"):format(PREFIX, sys.getpid()))
  if not workspace then return nil, ("cannot make a directory in %s: %s"):format(place, message), name end
  local record = setmetatable({ workspace = workspace, options = options, unseen = {}, outside = {} }, Record)
  record.fixture = options.fixture or workspace .. "/empty"
  if not options.fixture then files.mkdir(record.fixture, 493) end
  return record
end

--- The copy of the fixture, and the log of what will happen to it.
---@return true|nil, string? message, string? errno
local function copy_fixture(record, directory)
  local ok, message, name = files.copy_tree(record.fixture, directory)
  if not ok then return nil, ("cannot copy the fixture: %s"):format(message), name end
  files.mkdir(record.workspace .. "/tmp", 448)
  local log
  log, message, name = write_log.new(directory, { stacks = record.options.stacks ~= false })
  if not log then return nil, message, name end
  record.log, record.ops = log, log.ops
  return true
end

--- The program's descriptors; what it prints into them is in the log, too.
---@return integer[]|nil fds, string? message, string? errno
local function open_streams(record)
  local stdin, streams = record.options.stdin, record.log.streams
  local input = files.open(stdin or "/dev/null", files.O_RDONLY)
  if not input then return nil, ("cannot read %s"):format(stdin), "ENOENT" end
  local fds, append = { input }, bit.bor(files.O_RDWR, files.O_CREAT, files.O_APPEND)
  for i, stream in ipairs { "stdout", "stderr" } do
    local fd = files.open(("%s/%s"):format(record.workspace, stream), append)
    fds[i + 1], streams[files.fstat(fd).id] = fd, stream
  end
  return fds
end

--- A session that the log looks on, beside the handlers of the caller's script.
local function new_session(record)
  local options, log = record.options, record.log
  local registry, environment = script.new { seed = 1, args = {} }
  local observer = log:install(environment)
  if options.script then
    options.script(environment, function(text)
      log:add(nil, { kind = "mark", call = "mark", text = tostring(text) })
    end)
  end
  local session = session_module.new { registry = registry, observers = { observer }, timeout = options.timeout or 60,
    quiet = 1, daemons = "wait", features = engine.features() }
  observer.attach(observer, session)
  return session
end

local function close_outputs(fds)
  files.close(fds[2])
  files.close(fds[3])
end

--- Starts the program in the copy.
---@return true|nil, string? message, string? errno
local function start(session, record, directory, file, fds)
  local options = record.options
  local cwd = options.cwd and directory .. "/" .. options.cwd or directory
  local changes = { HOME = directory, TMPDIR = record.workspace .. "/tmp", PWD = cwd }
  for key, value in pairs(options.env or {}) do changes[key] = value end
  local started, message, name = session:spawn { file = file, argv = options.cmd, cwd = cwd, new_group = true,
    env = with_environment(sys.environ(), changes), fds = fds }
  files.close(fds[1])
  if started then return true end
  session.tracer:close()
  close_outputs(fds)
  return nil, ("cannot run %s: %s"):format(options.cmd[1], message), name
end

--- Why a run that is over tells nothing of the program.
---@return string|nil message, string? errno nil when it does
local function why_void(session, run, options)
  if session.error_message then return session.error_message, "ECANCELED" end
  if session.launch_errno then
    return ("cannot run %s: %s"):format(options.cmd[1], session.launch_message), session.launch_errno
  end
  if run.timed_out then
    return ("%s did not end within %g seconds"):format(options.cmd[1], options.timeout or 60), "ETIMEDOUT"
  end
end

--- What is known when the program has ended.
local function note_end(record, run)
  local log, workspace = record.log, record.workspace
  record.status, record.signal, record.seconds = run.status, run.signal, run.time
  record.stdout, record.stderr = sys.read_file(workspace .. "/stdout"), sys.read_file(workspace .. "/stderr")
  for _, text in ipairs(log.unseen) do table.insert(record.unseen, text) end
  for path in pairs(log.outside) do
    if path:sub(1, #workspace + 1) ~= workspace .. "/" then table.insert(record.outside, path) end
  end
  table.sort(record.outside)
end

--- Fills a record with one run of the program.
---@return true|nil, string? message, string? errno
local function fill(record, file)
  local directory = record.workspace .. "/run"
  local ok, message, name = copy_fixture(record, directory)
  if not ok then return nil, message, name end
  local fds
  fds, message, name = open_streams(record)
  if not fds then return nil, message, name end
  local session = new_session(record)
  ok, message, name = start(session, record, directory, file, fds)
  if not ok then return nil, message, name end
  local run = session:loop()
  record.log:close()
  close_outputs(fds)
  message, name = why_void(session, run, record.options)
  if message then return nil, message, name end
  note_end(record, run)
  compare_with_reality(record, directory)
  files.remove_tree(directory)
  return true
end

--- Runs the command once and records what it does to the copy.
---@param options table cmd, fixture, cwd (below the copy), env (name -> value), stdin (a path), stacks (default true),
--  timeout (seconds, default 60), temporary (where copies are made), script = function(environment, mark): handlers of
--  yours, which may say mark(text): "the program has promised this"
---@return luatrace.WriteRecord|nil record, string? message, string? errno
function M.run(options)
  local command = options.cmd
  if type(command) ~= "table" or not command[1] then
    error("powerloss.record: cmd takes a list of words, the program's name first", 2)
  end
  local file, message, name = find_program(options)
  if not file then return nil, message, name end
  local record
  record, message, name = new_record(options)
  if not record then return nil, message, name end
  local filled
  filled, message, name = fill(record, file)
  if filled then return record end
  record:close()
  return nil, message, name
end

return M
