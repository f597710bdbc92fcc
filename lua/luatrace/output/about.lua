--- What a call is about: the file that it names or uses, the descriptor, the process, the thread.
--
--   about.file(call)       -- "/etc/passwd", "the connection to 127.0.0.1 port 80"; nil: no file
--   about.fd(call)         -- 3, or nil
--   about.key("fd", call)  -- what tells groups apart, and what a group is called
--
-- Asked at entry: afterwards a closed descriptor, or the arguments of an exec, are gone.

local formats = require "luatrace.sentences.formats"
local types = require "luatrace.types"

local M = {}

--- The file that a call is about: that of its first path, or else of its first descriptor.
---@param call luatrace.Call
---@return string|nil
function M.file(call)
  local row = call.row
  for i = 1, #row do
    local role = row[i].type.role
    if role == "path" then
      local path, fd = formats.absolute(call, row[i].name)
      if path then return path end
      if fd then return call.process.fds:path_of(fd, nil) end
    elseif role == "fd" and not row.index.pathname and not row.index.newpath then
      local fd = call[row[i].name]
      if type(fd) == "table" and fd.path then
        -- By what it is connected to, if that is known.
        return fd.kind == "socket" and formats.fd(call, fd.num):match("^(.*) %(fd %d+%)$") or fd.path
      end
    end
  end
end

--- The descriptor that a call is about: its first one.
---@param call luatrace.Call
---@return integer|nil
function M.fd(call)
  local row = call.row
  for i = 1, #row do
    if row[i].type.role == "fd" then
      local num = types.load.i32(nil, call.raw[i])
      if num >= 0 then return num end
    end
  end
end

local function comm_of(process) return formats.show_path(process.comm or (process.exe or "?"):match("[^/]*$")) end

---@param what "process"|"thread"|"file"|"fd"
---@param call luatrace.Call
---@return any key, string title
function M.key(what, call)
  local process = call.process
  if what == "process" then return process, ("%s[%d]"):format(comm_of(process), process.pid) end
  if what == "thread" then
    local tid = call.thread.tid
    local of = tid ~= process.pid and (" (thread of %d)"):format(process.pid) or ""
    return call.thread.number, ("%s[%d]%s"):format(comm_of(process), tid, of)
  end
  if what == "file" then
    local file = M.file(call)
    return file or false, file and formats.show_path(file) or "(no file)"
  end
  local num = M.fd(call)
  if not num then return false, "(no descriptor)" end
  local fd = process.fds:get(num)
  local path = fd and fd.path or "not open"
  return ("%s %d %s"):format(process.number, num, path), ("fd %d of %s[%d], %s"):format(num, comm_of(process),
    process.pid, formats.show_path(path))
end

return M
