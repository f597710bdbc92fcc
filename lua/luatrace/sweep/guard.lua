--- Nothing outside the room is written: calls that would are answered with EROFS, and noted.
--
--   guard.watch(script, room, outside)      -- outside["/home/me/x"] = "openat"
--
-- Devices, /proc and what has no name (pipes, sockets) are no files. In a sealed room (all else is mounted read-only)
-- the kernel refuses such writes by itself, and the guard is there in the clean run only, to tell of them.

local arguments = require "luatrace.sweep.call_arguments"
local bit = require "bit"
local changing = require "luatrace.filter.changing"
local files = require "luatrace.sys.files"
local sys = require "luatrace.sys"

local M = {}

local opens = "?open,?openat,?openat2,?creat"

local function is_file(path)
  local stat = files.stat(path)
  if stat and (stat.kind == "char" or stat.kind == "block" or stat.kind == "fifo" or stat.kind == "socket") then
    return false
  end
  return path:sub(1, 6) ~= "/proc/"
end

--- Where a path really leads: its directory without links, and the last step of it when that is one.
local function real(path)
  local whole = sys.realpath(path)
  if whole then return whole end
  local parent, name = path:match("^(.*)/([^/]*)$")
  local directory = parent and sys.realpath(parent == "" and "/" or parent)
  return directory and (directory == "/" and "" or directory) .. "/" .. name or path
end

---@param script table environment of a script
---@param room luatrace.sweep.Room
---@param outside table<string, string> gets the paths, and the first call on each
function M.watch(script, room, outside)
  local function refuse(call, path)
    if not path then return end
    local _, inside = room:name(path)
    if inside then _, inside = room:name(real(path)) end
    if inside or not is_file(path) then return end
    outside[path] = outside[path] or call.name
    call:fail "EROFS"
  end
  script.on[changing](function(call)
    -- Of the two paths of a rename both are changed.
    if call.name:find("^rename") then
      local row = call.row
      local old = row.index.oldpath
      local dirfd = row[old - 1] and arguments.int(call.raw[old - 1]) or -100
      if type(call.oldpath) == "string" then refuse(call, call.process.fds:path_of(dirfd, call.oldpath)) end
    end
    refuse(call, arguments.path(call))
  end)
  script.on[opens](function(call)
    local flags = arguments.open_flags(call)
    local reads, truncates = bit.band(flags, arguments.O_ACCMODE) == 0, bit.band(flags, arguments.O_TRUNC) ~= 0
    if reads and not truncates and bit.band(flags, arguments.O_CREAT) == 0 then return end
    local path = arguments.path(call)
    -- O_CREAT of what is there already, to be read.
    if path and reads and not truncates and files.stat(path) then return end
    refuse(call, path)
  end)
end

return M
