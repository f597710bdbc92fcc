--- What a sweep has done so far, on disk: so that --resume goes on where Ctrl-C or a crash ended it.
--
-- OUTPUT/journal.jsonl: first a line that says which sweep it is, then one line a run, written as each run ends.

local files = require "luatrace.sys.files"
local json = require "luatrace.text.json"
local processes = require "luatrace.sys.processes"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.sweep.Journal
local Journal = {}
Journal.__index = Journal

--- What makes two sweeps the same one.
local function identity(setting)
  return { journal = 1, command = setting.command, fixture = setting.fixture or "", faults = setting.faults_text or "",
    shard = setting.shard and ("%d/%d"):format(setting.shard.k, setting.shard.n) or "", depth = setting.depth or 1 }
end

local function read(path, setting)
  local text = sys.read_file(path)
  if not text then return nil, ("--resume: there is no journal %s"):format(path) end
  local lines, first = {}, nil
  for line in text:gmatch("([^\n]*)\n") do
    local value = json.decode(line)
    if not first then
      first = value or {}
    elseif value then
      lines[#lines + 1] = value
    end
  end
  if json.encode(first) ~= json.encode(identity(setting)) then
    return nil, ("--resume: %s is the journal of another sweep: %s"):format(path,
      first and first.command and table.concat(first.command, " ") or "?")
  end
  return lines
end

--- The scripts of an earlier sweep, by how they are named and how they begin.
local function remove_old(directory)
  for _, name in ipairs(sys.list_dir(directory) or {}) do
    local path = directory .. "/" .. name
    if name:find("^%d+%-[%w_.-]+%.lua$") and (sys.read_file(path) or ""):find("\n%-%- Found by luatrace sweep%.") then
      files.unlink(path)
    end
  end
end

--- Opens the journal of an output directory; with `resume`, what it has already.
---@return luatrace.sweep.Journal|nil journal, string? message, table[]|nil runs
function M.open(directory, setting, resume)
  local path = directory .. "/journal.jsonl"
  local lines, message
  if resume then
    lines, message = read(path, setting)
    if not lines then return nil, message end
  end
  local made
  if not sys.file_kind(directory) then
    local ok
    ok, message = files.mkdir(directory)
    if not ok then
      return nil, ("cannot make the directory %s for findings: %s (--output names another)"):format(directory, message)
    end
    made = true
  end
  if not resume then remove_old(directory) end
  local flags = files.O_WRONLY + files.O_CREAT + (resume and files.O_APPEND or files.O_TRUNC)
  local fd
  fd, message = files.open(path, flags)
  if not fd then return nil, ("cannot write %s: %s"):format(path, message) end
  if not resume then processes.write(fd, json.encode(identity(setting)) .. "\n") end
  return setmetatable({ fd = fd, path = path, directory = directory, made = made }, Journal), nil, lines
end

function Journal:put(run)
  processes.write(self.fd, json.encode { id = run.id, verdict = run.verdict, status = run.status, signal = run.signal,
    seconds = run.seconds, details = run.details, stderr = run.stderr, used = run.used } .. "\n")
end

--- `useless`: nothing is to go on with and nothing was found; then no file stays behind.
function Journal:close(useless)
  processes.close(self.fd)
  if useless then
    files.unlink(self.path)
    if self.made then files.rmdir(self.directory) end
  end
end

return M
