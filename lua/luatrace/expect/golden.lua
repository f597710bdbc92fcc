--- golden("name.trace", calls, where): the chosen calls are those that the file has, line for line.
--
-- Lines are normalised as --normalize does it (process ids, descriptors, addresses, temporary names, times), and
-- grouped by thread, so that scheduling does not matter; the program's directory is $CWD. What the loader and the C
-- library open is left out (where = { libraries = true } has it). The file lies beside the test that names it.
-- --update-golden (in busted: LUATRACE_UPDATE_GOLDEN=1) writes it; a run that differs is told as a diff.
--
--   golden("save.trace", "%file,write,fsync")
--
--   # luatrace golden trace, version 1
--   # calls: %file,write,fsync
--   == P1
--   openat(AT_FDCWD, "key.tmp", O_WRONLY|O_CREAT, 0600) = fd3
--   write(fd3, "value", 5) = 5

local decode = require "luatrace.decode"
local diff = require "luatrace.expect.diff"
local libraries = require "luatrace.expect.libraries"
local normalize = require "luatrace.output.normalize"
local string_buffer = require "string.buffer"

local M = { live = true }

local HEAD, VERSION = "# luatrace golden trace, version ", 1
local default_calls = "%file,%network,write,pwrite64,fsync,fdatasync,ftruncate"

--- What makes descriptors is heard of as well, for their names.
local opening = "?open,?openat,?openat2,?creat,?dup,?dup2,?dup3,?fcntl,?socket,?socketpair,?accept,?accept4,?pipe," ..
  "?pipe2,?epoll_create1,?eventfd2,?timerfd_create,?signalfd4,?memfd_create,?inotify_init1,?pidfd_open,?close"

--- Is it to be written anew?
M.update = not ({ [""] = true, ["0"] = true })[os.getenv("LUATRACE_UPDATE_GOLDEN") or ""]

local function read_lines(path)
  local file = io.open(path, "re")
  if not file then return nil end
  local lines = {}
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end

---@param name string a path, from the directory of the test
---@param calls string|nil
---@param where table|nil
function M:start(name, calls, where)
  if type(name) ~= "string" or name == "" then
    self:misuse(('golden takes the name of a file: golden("save.trace", "%%file,write"), not a %s'):format(type(name)))
  end
  self.calls = calls or default_calls
  self.chosen = self:hear(self.calls)
  local narrowed = {}
  for key, value in pairs(type(where) == "table" and where or {}) do narrowed[key] = value end
  self.with_libraries, narrowed.libraries = narrowed.libraries, nil
  self.matches = self:matcher(self.calls, type(where) == "table" and narrowed or where)
  self:hear(opening)
  local directory = self.where:match("^(.*/)[^/]*:%d+$") or ""
  self.path = name:sub(1, 1) == "/" and name or directory .. name
  self.normal = normalize.new { calls = self.calls }
  self.streams, self.out = {}, string_buffer.new()
  self.text_options = { normal = self.normal, string_limit = 64 }
  if M.update then return end
  self.expected = read_lines(self.path)
  if not self.expected then
    self:misuse(("golden: there is no file %s (--update-golden or LUATRACE_UPDATE_GOLDEN=1 writes it)"):format(
      self.path))
  end
  local version = (self.expected[1] or ""):match("^" .. HEAD .. "(%d+)$")
  if tonumber(version) ~= VERSION then
    self:misuse(("golden: %s is %s; this luatrace writes version %d (--update-golden writes it anew)"):format(self.path,
      version and "of version " .. version or "no golden trace", VERSION))
  end
  local made_for = (self.expected[2] or ""):match("^# calls: (.*)$")
  if made_for ~= self.calls then
    self:misuse(("golden: %s was made for the calls %s, not for %s (--update-golden writes it anew)"):format(self.path,
      tostring(made_for), self.calls))
  end
end

--- The normaliser marks what only tells how threads met; the marks are ours alone.
local function normal_says(self, what, call)
  local before = rawget(call, "untold")
  rawset(call, "untold", nil)
  self.normal[what](self.normal, call)
  local hidden = rawget(call, "untold")
  rawset(call, "untold", before)
  return hidden
end

local function text(self, call, phase)
  local before, out = rawget(call, "text_options"), self.out
  out:reset()
  rawset(call, "text_options", self.text_options)
  if phase == "entry" then out:put(call.row.name, "(") end
  decode.text_args(call, out, phase)
  if phase == "exit" then
    out:put(") = ")
    if call.phase == "exit" or rawget(call, "answered") then decode.text_result(call, out) else out:put("?") end
  end
  rawset(call, "text_options", before)
  return out:tostring()
end

function M:entered(record, call)
  local hidden = normal_says(self, "entry", call)
  if hidden or not self.chosen[record.name] then return end
  local stream = self.normal:stream(call.thread)
  local lines = self.streams[stream] or {}
  self.streams[stream] = lines
  self.cwd = self.cwd or call.process.cwd
  record.golden = { stream = stream, text = text(self, call, "entry") }
  lines[#lines + 1] = record.golden
end

function M:returned(record, call)
  local hidden = call and normal_says(self, "exit", call)
  local line = record.golden
  if not line then return end
  record.golden = nil
  if hidden or not self.with_libraries and libraries.has(record.path) or not self.matches(record) then
    line.dropped = true
    return
  end
  line.text = line.text .. (call and text(self, call, "exit") or ") = ?")
  line.text = self.normal:text(line.stream, line.text):gsub(" /%* %d+ vars %*/", "")
end

function M:birth(stop, thread) self.normal:birth(stop, thread) end
function M:exec(stop, process) self.normal:exec(stop, process) end
function M:signal(stop, signal) self.normal:signal(stop, signal) end

--- All that was seen, as the file has it.
local function lines_of(self)
  local lines = { HEAD .. VERSION, "# calls: " .. self.calls }
  local cwd = self.cwd and self.cwd ~= "/" and self.cwd:gsub("%p", "%%%0")
  for _, stream in ipairs(self.normal:all_streams()) do
    local first = true
    for _, line in ipairs(self.streams[stream] or {}) do
      if not line.dropped then
        if first then lines[#lines + 1] = "== " .. stream.name end
        first = false
        lines[#lines + 1] = cwd and (line.text:gsub(cwd .. "%f[/\"]", "$CWD")) or line.text
      end
    end
  end
  return lines
end

local function write(self, lines)
  local file, message = io.open(self.path, "we")
  if not file then return self:failed("the golden file could not be written: " .. message) end
  local ok, why = file:write(table.concat(lines, "\n"), "\n")
  if ok then ok, why = file:close() else file:close() end
  if not ok then return self:failed("the golden file could not be written: " .. tostring(why)) end
end

function M:verdict()
  local lines = lines_of(self)
  if M.update then return write(self, lines) end
  if table.concat(lines, "\n") == table.concat(self.expected, "\n") then return end
  local shown = table.concat(diff.lines(self.expected, lines), "\n    ")
  return self:failed(("the run is not that of %s (- expected, + came):\n    %s\n    (--update-golden takes it)"):format(
    self.path, shown))
end

return M
