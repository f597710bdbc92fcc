--- What a call is about: the paths it names, the descriptors it uses, the bytes it carries. Found by the roles of its
-- row's types, so that no list of calls is kept anywhere.
--
--   subjects.paths(call)    -- { "/etc/passwd" }
--   subjects.fds(call)      -- { fd 3 }
--   subjects.data(call)     -- what write is given, what read has got

local predicates = require "luatrace.filter.predicates"
local types = require "luatrace.types"

local AT_FDCWD = -100

local M = {}

--- The places of paths and descriptors among a row's arguments, found once.
local function places(row)
  local known = row.subject_places
  if known then return known end
  known = { paths = {}, fds = {} }
  for i = 1, #row do
    local argument_type = row[i].type
    if argument_type.role == "path" then
      known.paths[#known.paths + 1] = i
    elseif argument_type.role == "fd" and not argument_type.direction then
      known.fds[#known.fds + 1] = i
    end
  end
  row.subject_places = known
  return known
end

--- The arguments by whose memory alone paths() answers: numbers of arguments, the first is 0. nil where it must look
-- at descriptors, too.
---@param row table
---@return integer[]|nil
function M.path_arguments(row)
  local known, list, directories = places(row), {}, {}
  for k, i in ipairs(known.paths) do
    list[k] = i - 1
    if row[i].type.dirfd then directories[row[i].type.dirfd] = true end
  end
  for _, i in ipairs(known.fds) do
    if not directories[row[i].name] then return nil end
  end
  return #list > 0 and list or nil
end

local function is_used(call, argument) return not argument.when or argument.when(call) end

--- The descriptors among the arguments; AT_FDCWD is none.
---@param call luatrace.Call
---@return luatrace.ArgumentFd[]
function M.fds(call)
  local row, list = call.row, {}
  local where = places(row).fds
  for k = 1, #where do
    local argument = row[where[k]]
    if is_used(call, argument) then
      local fd = call[argument.name]
      if type(fd) == "table" and fd.num ~= AT_FDCWD then list[#list + 1] = fd end
    end
  end
  return list
end

--- The absolute paths that a call names, and those that its descriptors are open on; a path as the program gave it
-- follows its absolute form where they differ.
---@param call luatrace.Call
---@return string[]
function M.paths(call)
  local row, list = call.row, {}
  local known = places(row)
  local taken, taken_before -- renameat has two
  for k = 1, #known.paths do
    local argument = row[known.paths[k]]
    local path = is_used(call, argument) and call[argument.name]
    if type(path) == "string" then
      local dirfd = argument.type.dirfd
      if dirfd then taken, taken_before = dirfd, taken end
      local at = dirfd and types.load.i32(nil, call.raw[row.index[dirfd]]) or AT_FDCWD
      local absolute = call.process.fds:path_of(at, path) or path
      list[#list + 1] = absolute
      if absolute ~= path and path ~= "" then list[#list + 1] = path end
    end
  end
  for k = 1, #known.fds do
    local argument = row[known.fds[k]]
    -- The directory that a path starts from is not what the call is about.
    if argument.name ~= taken and argument.name ~= taken_before and is_used(call, argument) then
      local fd = call[argument.name]
      if type(fd) == "table" and fd.num ~= AT_FDCWD and fd.path then list[#list + 1] = fd.path end
    end
  end
  return list
end

--- The bytes that a call carries: at its entry what it is given, after it what it has got. nil where it has none.
---@param call luatrace.Call
---@return string|nil
function M.data(call)
  local i, direction = predicates.data_argument(call.row)
  if not i or direction ~= "in" and (call.phase == "entry" or call.failed) then return nil end
  local value = call[call.row[i].name]
  if type(value) == "string" then return value end
  if type(value) ~= "table" then return nil end
  return type(value.msg_iov) == "string" and value.msg_iov or nil
end

return M
