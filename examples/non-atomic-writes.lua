--- Reports files that a program writes in place: opened for writing under their final name, and not renamed
-- afterwards. A crash in the middle leaves half of such a file; writing beside the target, fsync and rename does not.
--
-- Usage: luatrace examples/non-atomic-writes.lua [PATTERN] -- COMMAND
--   PATTERN  only files whose path matches this Lua pattern (default: all but /dev, /proc and /tmp/cc*)
--
-- Captured output:
--
--   $ luatrace examples/non-atomic-writes.lua -- sh -c './writer in-place one; ./writer atomic two'
--   written in place: /tmp/ex/cap/one (writer)
--   1 file written in place

local pattern = arg[1]
local written = {}    -- path -> { bytes, comm, synced }: files with data written through them
local order = {}

local function wanted(path)
  if pattern then return path:find(pattern) ~= nil end
  return not (path:find("^/dev/") or path:find("^/proc/") or path:find("^/tmp/cc"))
end

--- The file at the other end of an fd, when it is one that counts.
local function file_of(fd)
  return fd.kind == "file" and fd.path and wanted(fd.path) and fd.path or nil
end

on["write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,ftruncate"](function(call)
  -- sendfile and copy_file_range name their target out_fd and fd_out.
  local path = file_of(call.fd or call.out_fd or call.fd_out)
  if not path or written[path] then return end
  written[path] = { comm = call.process.comm, synced = false }
  order[#order + 1] = path
end)

on["fsync,fdatasync"](function(call)
  local path = file_of(call.fd)
  if path and call:run() and written[path] then written[path].synced = true end
end)

--- A path as an absolute one, as fd.path is.
local function absolute(path, directory, process)
  path = tostring(path)
  if path:sub(1, 1) == "/" then return path end
  local base = directory and directory.path or process.cwd
  return (base .. "/" .. path:gsub("^%./", "")):gsub("//+", "/")
end

on["rename,renameat,renameat2"](function(call)
  local from = absolute(call.oldpath, call.olddirfd, call.process)
  if not call:run() or not written[from] then return end
  if not written[from].synced then
    io.stderr:write(("renamed before it was synced: %s (%s)\n"):format(from, written[from].comm))
  end
  written[from] = nil -- written beside its target: whoever looks sees the old file or the new one
end)

on["unlink,unlinkat"](function(call)
  local path = absolute(call.pathname, call.dirfd, call.process)
  if call:run() then written[path] = nil end -- a temporary file
end)

at.finish(function()
  local found = 0
  for _, path in ipairs(order) do
    if written[path] then
      found = found + 1
      io.stderr:write(("written in place: %s (%s)\n"):format(path, written[path].comm))
    end
  end
  io.stderr:write(("%d file%s written in place\n"):format(found, found == 1 and "" or "s"))
end)
