--- only_paths{ "/tmp/x", "/etc/hosts", "%libraries", write = { "/tmp/x/out" } }: no other file is named by a call.
--
-- A path means itself and all below it; it may be a glob; a relative one starts in the test's directory. "%libraries":
-- what the loader and the C library look at (libraries, LD_LIBRARY_PATH, locales, time zones). write: of these allowed
-- paths only such may be opened for writing, made, renamed, removed or changed. Attempts count, also failed ones; the
-- exec that starts the program does not. Names are judged as they are: links are not followed.

local changing = require "luatrace.filter.changing"
local fd_table = require "luatrace.tracee.fd_table"
local files_module = require "luatrace.expect.files"
local glob = require "luatrace.filter.glob"
local libraries = require "luatrace.expect.libraries"
local sys = require "luatrace.sys"

local M = {}

local function path_tests(self, list)
  local tests = {}
  local function add(path)
    if path == "%libraries" then
      tests[#tests + 1] = libraries.has
      return
    end
    if type(path) ~= "string" then self:misuse(("only_paths takes paths, not a %s"):format(type(path))) end
    if path:sub(1, 1) ~= "/" and not glob.is_pattern(path) then
      path = fd_table.clean((sys.readlink("/proc/self/cwd") or "") .. "/" .. path)
    end
    path = path:gsub("/$", "")
    tests[#tests + 1] = self:globs { path == "" and "/" or path, path .. "/**" }
  end
  for _, path in ipairs(list) do add(path) end
  return function(found)
    for i = 1, #tests do
      if tests[i](found) then return true end
    end
    return false
  end
end

---@param paths table list of paths, and `write`
function M:start(paths)
  if type(paths) ~= "table" or #paths == 0 then self:misuse('only_paths takes paths: only_paths { "/tmp/x" }') end
  for key in pairs(paths) do
    if type(key) ~= "number" and key ~= "write" then
      self:misuse(("only_paths has no %s: it takes paths, and write = { ... }"):format(tostring(key)))
    end
  end
  self:hear "%file"
  self.changing = self:hear("?creat," .. changing)
  self.may_name = path_tests(self, paths)
  self.may_write = paths.write and path_tests(self, paths.write)
  self.found = {}
end

function M:returned(record)
  -- The exec of the program itself is the test's.
  if record.name == "execve" and not record.process.parent and not rawget(record.process, "exe") then
    return
  end
  local writes = self.changing[record.name] or files_module.opens[record.name] and
    files_module.opens_for_writing(record)
  for name, path in pairs(record.path_of or {}) do
    if record[name] == "" then
      path = nil -- AT_EMPTY_PATH: a descriptor, which had its name when it was opened
    end
    if path and not self.may_name(path) then
      return self:note(self.found, { record, note = path })
    elseif path and writes and self.may_write and not self.may_write(path) then
      return self:note(self.found, { record, note = "changes " .. path })
    end
  end
end

function M:verdict()
  local count = self.found.count
  if count then
    return self:failed(count == 1 and "another file was named" or ("other files were named %d times"):format(count),
      self.found)
  end
end

return M
