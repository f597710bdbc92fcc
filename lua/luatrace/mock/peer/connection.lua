--- One mocked connection: luatrace's end of a socket pair, and the coroutine of the script's that talks on it.
--
-- The coroutine waits for what the loop tells it (watched_fds, timers): the program and all other connections go on.
--
--   local conn = connection.new(session, fd, { process = call.process, number = 1 }, function(conn) ... end)
--   conn:start()

local descriptors = require "luatrace.sys.descriptors"
local event = require "luatrace.event"
local sys = require "luatrace.sys"
local watched_fds = require "luatrace.session.watched_fds"

local M = {}

local misuse = event.misuse

--- What a peer's function is given.
---@class luatrace.Connection
---@field number integer the first connection to this peer is 1
---@field process luatrace.Process who has connected
---@field ip string|nil where it wanted to go to
---@field port integer|nil
local Connection = {}
Connection.__index = Connection

---@param session table
---@param fd integer luatrace's end, which the connection closes
---@param about table fields of the connection
---@param talk fun(conn: luatrace.Connection)
---@return luatrace.Connection
function M.new(session, fd, about, talk)
  about.session, about.fd, about.talk, about.unread = session, fd, talk, ""
  return setmetatable(about, Connection)
end

local resume, linger

--- Begins at the next turn of the loop: the program's connect returns first.
function Connection:start()
  self.co = coroutine.create(function()
    self.talk(self)
    linger(self, true)
  end)
  self.session.timers:add(0, { run = function() resume(self) end })
end

function resume(self)
  if self.session.failed or self.is_over then return end
  local ok, message = coroutine.resume(self.co)
  if not ok then
    self:drop()
    self.session:script_error(message, self.co)
  end
end

--- In the peer's own coroutine only: the loop resumes that one.
local function check(self, what)
  if coroutine.running() ~= self.co then
    misuse(("conn:%s: only the peer's function itself can call it"):format(what))
  end
end

local function is_closed(self) return not self.fd or self.is_lingering end

local function stop_watching(self)
  if not self.watched then return end
  self.watched = nil
  watched_fds.of(self.session.tracer):remove(self.fd)
end

--- Waits until the socket can be read or written.
local function wait_for(self, what)
  self.watched = what
  watched_fds.of(self.session.tracer):add(self.fd, what, function()
    stop_watching(self)
    resume(self)
  end)
  coroutine.yield()
end

--- Reads on; false at the end.
local function fill(self)
  while true do
    if is_closed(self) or self.at_end then return false end
    local bytes, _, errno = descriptors.receive(self.fd)
    if bytes and bytes ~= "" then
      self.unread = self.unread .. bytes
      return true
    elseif bytes or errno ~= "EAGAIN" then
      self.at_end = true
      return false
    end
    wait_for(self, "in")
  end
end

local function take(self, size)
  local bytes = self.unread:sub(1, size)
  self.unread = self.unread:sub(size + 1)
  return bytes
end

--- Bytes from the program; nil when it has closed its end and all has been read.
---@param size integer|"*a"|nil so many (fewer only at the end); "*a": all until the end; nothing: what there is
---@return string|nil
function Connection:read(size)
  check(self, "read")
  if size ~= nil and size ~= "*a" and (type(size) ~= "number" or size < 0) then
    misuse(("conn:read takes a number of bytes, \"*a\" or nothing, not %s"):format(tostring(size)))
  end
  if size == "*a" then
    while fill(self) do end
    return take(self, #self.unread)
  end
  while #self.unread < (size or 1) and fill(self) do end
  if self.unread == "" and size ~= 0 then return nil end
  return take(self, size or #self.unread)
end

--- All up to and with a text; without it at the end; nil when nothing is left.
---@param text string
---@return string|nil
function Connection:read_until(text)
  check(self, "read_until")
  if type(text) ~= "string" or text == "" then misuse("conn:read_until takes a text to wait for") end
  while true do
    local _, last = self.unread:find(text, 1, true)
    if last then return take(self, last) end
    if not fill(self) then break end
  end
  if self.unread == "" then return nil end
  return take(self, #self.unread)
end

--- The next line, without its end ("\n" or "\r\n").
---@return string|nil
function Connection:read_line()
  check(self, "read_line")
  local line = self:read_until "\n"
  return line and (line:gsub("\r?\n$", ""))
end

--- Sends all of them; waits while the program does not read.
---@vararg string|number
---@return true|nil, string? errno "EPIPE" when the program has closed its end
function Connection:write(...)
  check(self, "write")
  local parts = { ... }
  for i = 1, select("#", ...) do
    if type(parts[i]) ~= "string" and type(parts[i]) ~= "number" then
      misuse(("conn:write takes strings, not a %s"):format(type(parts[i])))
    end
  end
  local bytes = table.concat(parts)
  while #bytes > 0 do
    if is_closed(self) then return nil, "EPIPE" end
    local put, _, errno = descriptors.send(self.fd, bytes)
    if put then
      bytes = bytes:sub(put + 1)
    elseif errno == "EAGAIN" then
      wait_for(self, "out")
    else
      return nil, errno
    end
  end
  return true
end

--- Does nothing for so many seconds (of the program's time, with a clock mock), or for ever.
---@param seconds number|nil
function Connection:stall(seconds)
  check(self, "stall")
  if seconds ~= nil and (type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds) then
    misuse("conn:stall takes a number of seconds, 0 or more, or nothing: for ever")
  end
  if seconds then
    local clock = self.session.registry.clock
    local due = tonumber(sys.monotonic()) + seconds * 1e9 / (clock and clock.speed or 1)
    self.session.timers:add(due, { run = function() resume(self) end })
  end
  self.is_stalled = true
  coroutine.yield()
  self.is_stalled = nil
end

--- Half-closes: the program has read all when it has read what was written; it can still write.
function Connection:shutdown()
  if not is_closed(self) then descriptors.shutdown(self.fd, "write") end
end

--- Closed for the script, while the program may still have to read, or writes.
---@param takes_all boolean false: whatever the program writes from now on resets the connection
function linger(self, takes_all)
  if is_closed(self) then return end
  stop_watching(self)
  local function discard()
    local bytes, _, errno
    repeat bytes, _, errno = descriptors.receive(self.fd) until not bytes or bytes == ""
    return errno == "EAGAIN"
  end
  -- First what came before: what the program writes when it sees the end came after it.
  if not discard() then return self:drop() end
  descriptors.shutdown(self.fd, "write")
  self.is_lingering, self.watched = true, "in"
  watched_fds.of(self.session.tracer):add(self.fd, "in", function()
    -- Closed with something unread, a Unix socket resets its peer.
    if not takes_all or not discard() then self:drop() end
  end)
end

--- Closes, as TCP does: the program reads what was written and then the end; when it writes any more, the connection
-- is reset. (When the peer's function returns, what the program still writes is taken and forgotten.)
function Connection:close() linger(self, false) end

--- Breaks the connection: what the program reads (after what is on its way) fails with ECONNRESET.
function Connection:reset()
  if not self.fd then return end
  -- A Unix socket is reset when its peer closes with something unread: see to it that there is.
  local theirs = self:find_other_end()
  if theirs then
    descriptors.send(theirs, "\0")
    descriptors.close(theirs)
  end
  self:drop()
end

--- A copy of the program's end, from whichever process has it.
function Connection:find_other_end()
  local wanted = ("socket:[%.0f]"):format(self.inode)
  local seen = {}
  for _, thread in pairs(self.session.tree.threads) do
    local pid = thread.process.pid
    if not seen[pid] then
      seen[pid] = true
      for _, name in ipairs(sys.list_dir(("/proc/%d/fd"):format(pid)) or {}) do
        if sys.readlink(("/proc/%d/fd/%s"):format(pid, name)) == wanted then
          local fd = descriptors.take(pid, tonumber(name))
          if fd then return fd end
        end
      end
    end
  end
end

--- Lets go of the socket.
function Connection:drop()
  if not self.fd then return end
  stop_watching(self)
  descriptors.close(self.fd)
  self.fd = nil
  if self.on_drop then self.on_drop() end
end

--- The program has ended: what it sent before is still read, as far as the coroutine waits for nothing else.
function Connection:finish()
  while self.watched == "in" and not is_closed(self) and coroutine.status(self.co) == "suspended" do
    stop_watching(self)
    resume(self)
  end
  self.is_over = true
  self:drop()
end

return M
