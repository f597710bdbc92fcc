--- How the recorder of write_calls.lua and name_calls.lua looks at a call: raw arguments, and what paths and
-- descriptors of the calling thread mean, asked of the kernel through that thread's /proc entries.

local bit = require "bit"
local ffi = require "ffi"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

local AT_FDCWD = -100
M.AT_FDCWD = AT_FDCWD

-- --- raw arguments --------------------------------------------------------------------------------------------------

--- An argument as int (C's conversion from the register).
function M.int(call, i)
  local value = call.raw[i]
  return type(value) == "number" and bit.tobit(value) or tonumber(ffi.cast("int32_t", value))
end

--- An offset: one register, or two where registers have 32 bits.
function M.offset_at(call, i)
  if call.arch.bits == 32 then return call.raw[i] % 2^32 + call.raw[i + 1] * 2^32 end
  return tonumber(ffi.cast("int64_t", call.raw[i]))
end

function M.string_at(call, i)
  local text = call.memory:cstring(call.raw[i])
  return text
end

--- What a pointer to a 64-bit number leads to; nil for NULL.
function M.number_behind(call, i)
  if call.raw[i] == 0 then return nil end
  local bytes = call.memory:read(call.raw[i], 8)
  return bytes and #bytes == 8 and tonumber(ffi.cast("const int64_t *", bytes)[0]) or nil
end

-- --- whom a call means ----------------------------------------------------------------------------------------------

function M.proc(call, rest) return ("/proc/%d/%s"):format(call.thread.tid, rest) end

function M.fd_path(call, num) return M.proc(call, "fd/" .. num) end

--- A path of the calling thread's as we can open it.
function M.reachable(call, dirfd, path)
  local own = path:match("^/proc/self/(.*)") or path:match("^/proc/thread%-self/(.*)")
  if own then return M.proc(call, own) end
  own = path:match("^/dev/fd/(.*)")
  if own then return M.proc(call, "fd/" .. own) end
  if path:sub(1, 1) == "/" then return M.proc(call, "root") .. path end
  if dirfd == AT_FDCWD then return M.proc(call, "cwd/") .. path end
  return M.fd_path(call, dirfd) .. "/" .. path
end

---@return { dir: luatrace.Node|nil, name: string, path: string }|nil
function M.place(log, call, dirfd, path)
  if not path or path == "" then return nil end
  local full = M.reachable(call, dirfd, path):gsub("/+$", "")
  local parent, name = full:match("^(.*)/([^/]+)$")
  if not parent then return nil end
  local stat = files.stat(parent .. "/")
  return { dir = stat and log.by_id[stat.id], name = name, path = full }
end

--- The node that a descriptor is open on, and what fdinfo says.
function M.open_on(log, call, num)
  local stat = files.stat(M.fd_path(call, num))
  return stat and log.by_id[stat.id], stat
end

function M.fdinfo(call, num)
  local text = sys.read_file(M.proc(call, "fdinfo/" .. num)) or ""
  return tonumber(text:match("pos:%s*(%d+)")) or 0, tonumber(text:match("flags:%s*(%d+)") or "0", 8)
end

function M.outside(log, call, num)
  local path = sys.readlink(M.fd_path(call, num))
  if path and path:sub(1, 1) == "/" and not path:find("^/dev/") and not path:find("^/proc/") and
    not path:find("^/memfd:") then
    log.outside[path] = true
  end
end

return M
