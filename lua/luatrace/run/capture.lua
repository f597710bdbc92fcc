--- What a program prints, taken in while it runs; what it is given to read, handed out. Bytes are bytes, and nobody
-- waits for a full pipe: the loop reads and writes when the other end can.
--
--   local capture = require "luatrace.run.capture"
--   local streams = capture.new { stdin = "some text", max = 64 * 1024 * 1024 }
--   session:spawn { fds = streams.fds, ... }
--   streams:started(tracer)                     -- from now on the loop serves the pipes
--   streams:finish()                            -- the program has ended
--   print(streams.stdout, streams.stderr, streams.truncated)

local sys = require "luatrace.sys"
local watched_fds = require "luatrace.session.watched_fds"

local M = {}

---@class luatrace.Capture
---@field fds integer[] what the program gets as 0, 1 and 2
---@field stdout string|nil
---@field stderr string|nil
---@field truncated boolean|nil more than `max` bytes of one stream were printed: the rest was thrown away
local Capture = {}
Capture.__index = Capture

local function checked(first, second)
  if not first then error("luatrace: cannot make a pipe: " .. tostring(second), 0) end
  return first, second
end

--- stdin: the bytes to read; true: luatrace's own; nothing: /dev/null. merge: stderr goes where stdout goes.
---@param options { stdin: string|true|nil, capture: boolean?, merge: boolean?, max: integer }
---@return luatrace.Capture
function M.new(options)
  local self = setmetatable({ max = options.max, theirs = {}, readers = {}, fds = { -1, -1, -1 } }, Capture)
  if type(options.stdin) == "string" then
    local read_end, write_end = checked(sys.pipe())
    self.theirs[1], self.fds[1], self.input, self.input_at = read_end, read_end, options.stdin, 1
    self.writer = write_end
    sys.set_nonblocking(write_end)
  elseif options.stdin ~= true then
    self.fds[1] = checked(sys.open("/dev/null"))
    table.insert(self.theirs, self.fds[1])
  end
  if options.capture ~= false then
    for i, name in ipairs { "stdout", "stderr" } do
      if i == 2 and options.merge then
        self.fds[3] = self.fds[2]
      else
        local read_end, write_end = checked(sys.pipe())
        sys.set_nonblocking(read_end)
        self.fds[i + 1] = write_end
        table.insert(self.theirs, write_end)
        self.readers[name] = { fd = read_end, parts = {}, size = 0 }
      end
    end
  end
  return self
end

local function stop_reading(self, reader)
  if not reader.fd then return end
  if self.watched then self.watched:remove(reader.fd) end
  sys.close(reader.fd)
  reader.fd = nil
end

--- Takes what there is; false at the end of the stream or when nothing is there yet.
local function take(self, reader)
  local bytes, _, name = sys.read(reader.fd)
  if not bytes and (name == "EAGAIN" or name == "EINTR") then return name == "EINTR" end
  if not bytes or bytes == "" then
    stop_reading(self, reader)
    return false
  end
  local room = self.max - reader.size
  if #bytes > room then
    bytes, self.truncated = bytes:sub(1, room), true
  end
  reader.size = reader.size + #bytes
  if #bytes > 0 then table.insert(reader.parts, bytes) end
  return true
end

local function stop_writing(self)
  if not self.writer then return end
  if self.watched then self.watched:remove(self.writer) end
  sys.close(self.writer)
  self.writer = nil
end

--- Gives what fits; a program that has closed its input gets no more.
local function give(self)
  if self.input_at <= #self.input then
    local put, _, name = sys.write(self.writer, self.input, self.input_at)
    if not put then
      if name ~= "EAGAIN" and name ~= "EINTR" then stop_writing(self) end
      return
    end
    self.input_at = self.input_at + put
  end
  if self.input_at > #self.input then stop_writing(self) end
end

--- The program has its ends now (or could not be started): ours of them are closed.
function Capture:close_theirs()
  for _, fd in ipairs(self.theirs) do sys.close(fd) end
  self.theirs = {}
end

--- The program runs: its pipes are served by the loop of this tracer.
---@param tracer luatrace.Tracer
function Capture:started(tracer)
  self:close_theirs()
  self.watched = watched_fds.of(tracer)
  for _, reader in pairs(self.readers) do
    self.watched:add(reader.fd, "in", function() take(self, reader) end)
  end
  if self.writer then
    self.watched:add(self.writer, "out", function() give(self) end)
  end
end

--- The program has ended: what is left in the pipes is taken, and all is closed.
function Capture:finish()
  self:close_theirs()
  stop_writing(self)
  for name, reader in pairs(self.readers) do
    if self.watched then
      while reader.fd and take(self, reader) do end
    end
    stop_reading(self, reader)
    self[name] = table.concat(reader.parts)
  end
end

return M
