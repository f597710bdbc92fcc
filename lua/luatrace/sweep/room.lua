--- Where runs take place: a directory that holds a private copy of the fixture, HOME and TMPDIR, for one worker.
--
-- Where namespaces are allowed the room is a tmpfs that nobody else sees, at the same path for every worker, and all
-- else is read-only; /tmp is the room's TMPDIR, unless something that runs need lies there. Elsewhere the room is a
-- directory of the worker's own, and its name is taken out of what runs write.
--
--   local room = assert(room_module.open("/tmp/luatrace-sweep-x", 1))
--   room:prepare(image)             -- fresh: work/ is the fixture's copy
--   room:state()                    -- path -> what is there: "f", "$HOME/x", "$TMPDIR/y", "<stdout>"

local fixture = require "luatrace.sweep.fixture"
local files = require "luatrace.sys.files"
local processes = require "luatrace.sys.processes"
local sys = require "luatrace.sys"

local M = {}

---@class luatrace.sweep.Room
---@field root string
---@field work string where the program runs
---@field sealed boolean nothing outside can be written
local Room = {}
Room.__index = Room

local MINIMUM = 256 * 1024 * 1024

--- A room for this process; it must be a worker (see processes.fork).
---@param base string an empty directory, the same for all workers
---@param number integer of the worker
---@param options { bytes: number, as_root: boolean?, plain: boolean?, keeps_tmp: boolean? } keeps_tmp: /tmp is needed
---@return luatrace.sweep.Room
function M.open(base, number, options)
  local mounted, sealed = false, false
  if not options.plain then
    mounted, sealed = processes.private_room(base, math.max(MINIMUM, options.bytes * 16))
  end
  local root = base
  if not mounted then
    root = ("%s/%d"):format(base, number)
    files.mkdir(root, 448)
  end
  -- Programs write to /tmp whatever TMPDIR says.
  local shows_tmp = false
  if sealed and not options.keeps_tmp and base:sub(1, 5) ~= "/tmp/" then
    local tmp = root .. "/tmp"
    shows_tmp = files.mkdir(tmp) and files.chmod(tmp, 1023) and processes.bind(tmp, "/tmp") or false
  end
  return setmetatable({ shows_tmp = shows_tmp, root = root,
    work = root .. "/work", home = root .. "/home", tmp = root .. "/tmp",
    out = root .. "/stdout", err = root .. "/stderr", private = mounted, sealed = sealed, as_root = options.as_root },
    Room)
end

--- Makes all as it is before a run.
---@return true|nil, string? message
function Room:prepare(image)
  if self.sealed then
    for _, name in ipairs(sys.list_dir("/dev/shm") or {}) do files.remove_tree("/dev/shm/" .. name) end
  end
  if self.shows_tmp then
    for _, name in ipairs(sys.list_dir(self.tmp) or {}) do files.remove_tree(self.tmp .. "/" .. name) end
  end
  for _, path in ipairs { self.work, self.home, not self.shows_tmp and self.tmp or nil } do
    files.remove_tree(path)
    local ok, message = files.mkdir(path, 448)
    if not ok then return nil, ("cannot make %s: %s"):format(path, message) end
  end
  return fixture.build(image, self.work, self.as_root)
end

local places = { { "work", "" }, { "home", "$HOME" }, { "tmp", "$TMPDIR" } }

--- An absolute path as reports name it, and whether it lies in the room.
---@param path string
---@return string name, boolean inside
function Room:name(path)
  if path == self.out then return "<stdout>", true end
  if path == self.err then return "<stderr>", true end
  if self.shows_tmp and path:sub(1, 5) == "/tmp/" then return "$TMPDIR" .. path:sub(5), true end
  if self.shows_tmp and path == "/tmp" then return "$TMPDIR", true end
  if path:sub(1, #self.root + 1) ~= self.root .. "/" then return path, false end
  for _, place in ipairs(places) do
    local directory = self[place[1]]
    if path == directory then return place[2] == "" and "." or place[2], true end
    if path:sub(1, #directory + 1) == directory .. "/" then
      local rest = path:sub(#directory + 2)
      return place[2] == "" and rest or place[2] .. "/" .. rest, true
    end
  end
  return path, true
end

--- What a run has left.
---@return table<string, luatrace.sweep.Entry>
function Room:state()
  local state = fixture.snapshot(self.work)
  fixture.snapshot(self.home, "$HOME/", state)
  fixture.snapshot(self.tmp, "$TMPDIR/", state)
  local stat = files.stat(self.out)
  state["<stdout>"] = { path = "<stdout>", kind = "file", mode = 0, size = stat and stat.size or 0,
    content = stat and stat.size <= 65536 and sys.read_file(self.out) or nil }
  if not state["<stdout>"].content then state["<stdout>"].digest = files.digest(self.out) end
  if not self.private then
    for _, entry in pairs(state) do
      if entry.content then entry.content = self:neutral(entry.content) end
      if entry.target then entry.target = self:neutral(entry.target) end
    end
  end
  return state
end

--- Text without the worker's own number.
function Room:neutral(text)
  if not text:find(self.root, 1, true) then return text end
  return (text:gsub(self.root:gsub("%p", "%%%0"), "/room"))
end

--- The last of what the program said on standard error.
function Room:said()
  local text = sys.read_file(self.err) or ""
  return self:neutral(#text > 2000 and "..." .. text:sub(-2000) or text)
end

local replaced = { HOME = true, TMPDIR = true, TMP = true, TEMP = true, PWD = true, OLDPWD = true,
  XDG_CONFIG_HOME = true, XDG_CACHE_HOME = true, XDG_DATA_HOME = true, XDG_STATE_HOME = true, XDG_RUNTIME_DIR = true }

--- The environment of the program.
---@return string[]
function Room:environment()
  local env = {}
  for _, text in ipairs(sys.environ()) do
    if not replaced[text:match("^[^=]*")] then env[#env + 1] = text end
  end
  for name, value in pairs { HOME = self.home, TMPDIR = self.tmp, PWD = self.work } do
    env[#env + 1] = name .. "=" .. value
  end
  table.sort(env)
  return env
end

return M
