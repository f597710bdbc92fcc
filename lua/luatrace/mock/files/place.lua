--- Which mocked file a call means: by its path and the directory that it starts from, or by its descriptor.
--
--   local at = place.of(tree, call, 1, 2)       -- openat: arguments 1 and 2
--   if at then print(at.path, at.node, at.errno) end

local ffi = require "ffi"
local bit = require "bit"
local fd_table = require "luatrace.tracee.fd_table"

local M = {}

function M.word32(value) return bit.tobit(tonumber(ffi.cast("uint64_t", value) % 4294967296ULL)) end

---@class luatrace.MockPlace
---@field path string
---@field node luatrace.MockNode|nil nil: there is nothing by that name
---@field fd integer|nil luatrace's, when the program's descriptor says which
---@field errno string|nil why there is no node
---@field wants_dir boolean it ends with a slash

--- The absolute path that a call names, cleaned; nil when there is none (a bad pointer, an empty path).
---@param directory integer|nil which argument is the directory's descriptor
---@param path integer which one is the path
---@return string|nil absolute, string? as_given
function M.path(call, directory, path)
  local given, is_cut = call.memory:cstring(call.args[path])
  if not given or is_cut == true or given == "" then return nil, given end
  local dirfd = directory and M.word32(call.args[directory]) or fd_table.AT_FDCWD
  local absolute = call.process.fds:path_of(dirfd, given)
  if not absolute or absolute:sub(1, 1) ~= "/" then return nil, given end
  return absolute, given
end

--- Does the way to this path lead through a directory that only we have? The kernel could not follow it.
local function leads_through(tree, call, directory, given)
  if not tree.has_directories then return false end
  local text = given
  if given:sub(1, 1) ~= "/" then
    local dirfd = directory and M.word32(call.args[directory]) or fd_table.AT_FDCWD
    local base = call.process.fds:path_of(dirfd, nil)
    if base and tree:find(base) ~= nil then return true end
    text = (base or "") .. "/" .. given
  end
  for prefix in text:gmatch("()/%.%.%f[/%z]") do
    local above = tree:ours(fd_table.clean(text:sub(1, prefix)))
    if above and tree:find(above) then return true end
  end
  return false
end

--- The kernel goes another way to where the program wants to.
local function rewrite(call, i, path)
  local room = call.memory:alloc(#path + 1)
  if not room then return end
  call.memory:write(room, path .. "\0")
  call.args[i] = room
end

--- Nil when it is none of ours: the kernel's business.
---@param tree luatrace.MockTree
---@param directory integer|nil
---@param path integer
---@param follow boolean|nil false: a symbolic link is meant itself, not what it leads to
---@return luatrace.MockPlace|nil
function M.of(tree, call, directory, path, follow)
  local absolute, given = M.path(call, directory, path)
  if not absolute then
    -- AT_EMPTY_PATH: the descriptor itself.
    local fd = given == "" and directory and call.process.fds:get(M.word32(call.args[directory]))
    local mock = fd and fd.mock
    return mock and mock.fd and { path = mock.path, node = mock.node, fd = mock.fd } or nil
  end
  local wants_dir = given:sub(-1) == "/" or given:sub(-2) == "/."
  local ours = tree:ours(absolute)
  local led, failure = tree:resolve(ours or absolute, follow ~= false or wants_dir)
  if not led then return { path = absolute, errno = failure } end
  if led ~= (ours or absolute) then
    ours = tree:ours(led)
    if not ours then
      rewrite(call, path, led .. (wants_dir and "/" or ""))
      return nil
    end
  end
  if not ours then
    if leads_through(tree, call, directory, given) then rewrite(call, path, absolute) end
    return nil
  end
  local node, errno = tree:find(ours)
  if node and wants_dir and node.kind ~= "dir" then return { path = ours, errno = "ENOTDIR" } end
  return { path = ours, node = node or nil, errno = errno, wants_dir = wants_dir }
end

return M
