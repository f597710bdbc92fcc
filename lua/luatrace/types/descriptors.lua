--- Descriptors, and directories to start from.
-- One room of luatrace.types: it adds to the table that all rooms share; `internal` is what they lend each other.

local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local M = require "luatrace.types.base"

local internal = M.internal
local number_of, load_i32 = internal.number_of, internal.load_i32

--- A descriptor as a script sees it: its number, and what it is open on when somebody asks.
---@class luatrace.ArgumentFd
---@field num integer
---@field path string|nil absolute path, or what /proc/PID/fd shows: "pipe:[1234]"
---@field kind string|nil "file", "dir", "pipe", "socket", "tty", ...
local FdValue = {}
FdValue.__index = function(fd, key)
  local known = rawget(fd, "known")
  if known == nil then
    local process = fd.process
    known = process and process.fds:get(fd.num) or false
    rawset(fd, "known", known)
  end
  return known and known[key] or nil
end
FdValue.__tostring = function(fd) return tostring(rawget(fd, "num")) end
FdValue.__eq = function(a, b) return a.num == b.num end

local function fd_value(call, num) return setmetatable({ num = num, process = call.process or false }, FdValue) end

local AT_FDCWD = -100

--- The path alone, as most want it, or what fd_details finds out.
local function text_of(fd, decoded)
  if decoded.socket or decoded.dev or decoded.pidfd then
    return require("luatrace.tracee.fd_details").text(fd, decoded)
  end
  return quote.path(fd.path)
end

local function text_fd(out, call, value)
  local options = call.text_options
  out:put(options and options.normal and options.normal:fd(call, value) or tostring(value))
  if options and options.decode_fds and call.process then
    local fd = call.process.fds:look(value)
    local text = fd and text_of(fd, options.decode_fds)
    if text then out:put("<", text, fd.deleted and ">(deleted)" or ">") end
  end
end

local function plain_fd(call, value)
  local options = call.text_options
  if options and options.normal then return options.normal:fd_plain(call, value) end
  return value
end

M.fd = { load = load_i32, size = 4, ctype = "const int32_t *", role = "fd", read = fd_value, text = text_fd,
  plain = plain_fd,
  encode = function(_, value, what) return number_of(what, value, "a descriptor: a number or an fd") end }
--- The same where the call works only on one kind of descriptor.
for _, kind in ipairs { "socket", "epoll", "file", "dir" } do
  M["fd_" .. kind] = setmetatable({ fd_kind = kind }, { __index = M.fd })
end

--- A directory to start from: a descriptor or AT_FDCWD.
M.dirfd = setmetatable({ text = function(out, call, value)
  if value ~= AT_FDCWD then return text_fd(out, call, value) end
  out:put(style.constant("-100", "AT_FDCWD"))
  local options = call.text_options
  if options and options.decode_fds and options.decode_fds.path and call.process and call.process.fds:cwd() then
    out:put("<", quote.path(call.process.fds:cwd()), ">")
  end
end }, { __index = M.fd })

return M
