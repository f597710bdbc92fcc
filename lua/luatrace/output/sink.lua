--- Where lines of text go: standard error, a file, a command, or a file a process (-ff).
--
-- A terminal and standard error get every piece at once, so that one sees what a program is blocked in; files and
-- pipes get blocks, or what there is after a moment (on_unwritten). A sink remembers the first failure to write.

local sys = require "luatrace.sys"

local M = {}

local BLOCK = 65536
--- So many files of -ff are kept open; there are as many as the program has threads in all its life.
local MOST_OPEN = 64

---@class luatrace.Sink
---@field on_unwritten (fun())|nil told when something comes into an empty buffer: `show` is to be called in a moment
local Sink = {}
Sink.__index = Sink

local function open_file(path, append)
  local file, message = io.open(path, append and "ae" or "we")
  if not file then return nil, ("cannot write to %s"):format(message) end
  file:setvbuf("no")
  return file
end

---@param options { path: string?, separate: boolean?, append: boolean?, paint: (fun(text: string): string)? }
---@return luatrace.Sink|nil, string? message
function M.open(options)
  local self = setmetatable({ written = 0, paint = options.paint }, Sink)
  local path = options.path
  if not path then
    self.file, self.at_once = io.stderr, true
  elseif options.separate then
    local ok, message = sys.writable(path:match("^.*/") or ".")
    if not ok then return nil, ("cannot write to %s.PID: %s"):format(path, message) end
    self.prefix, self.append, self.files, self.open, self.begun = path, options.append, {}, 0, {}
  elseif path:find("^[|!]") then
    local pipe, message = io.popen(path:sub(2), "w")
    if not pipe then return nil, ("cannot run %s: %s"):format(path:sub(2), message) end
    pipe:setvbuf("no")
    self.file, self.is_pipe = pipe, true
  else
    local file, message = open_file(path, options.append)
    if not file then return nil, message end
    self.file = file
  end
  return self
end

function Sink:write(file, text)
  if self.paint then text = self.paint(text) end
  local ok, message = file:write(text)
  if not ok and not self.failed then self.failed = message end
end

local function close_all(self, files)
  for _, file in pairs(files) do
    if file ~= io.stderr then
      local ok, message = file:close()
      if not ok and not self.is_pipe and not self.failed then self.failed = message end
    end
  end
end

--- Opens the file of a thread's lines; one that was closed meanwhile goes on where it was.
local function open_thread_file(self, tid)
  if self.open >= MOST_OPEN then
    close_all(self, self.files)
    self.files, self.open = {}, 0
  end
  local file, message = open_file(("%s.%d"):format(self.prefix, tid), self.append or self.begun[tid])
  if not file then
    self.failed = self.failed or message
    file = io.stderr
  end
  self.open, self.begun[tid], self.files[tid] = self.open + 1, true, file
  return file
end

--- With -ff: lines of this thread go into its own file.
function Sink:select(tid, out)
  if not self.files or self.tid == tid then return end
  self:flush(out)
  self.tid = tid
  self.file = self.files[tid] or open_thread_file(self, tid)
end

function Sink:flush(out)
  self.is_unwritten = false
  if #out > 0 and self.file then
    self.written = self.written + #out
    self:write(self.file, out:get())
  end
end

--- A line begins at this place of the buffer, or has begun so many bytes before.
function Sink:begin(out, before)
  self.line_start, self.line_written = #out - (before or 0), 0
end

--- How far the current line has come.
function Sink:column(out) return #out - self.line_start + self.line_written end

local function flush_begun(self, out)
  -- Before the first line there is nothing.
  if not self.line_start then return end
  self.line_written = self.line_written + #out - self.line_start
  self.line_start = 0
  self:flush(out)
end

local function note_unwritten(self)
  if self.is_unwritten then return end
  self.is_unwritten = true
  if self.on_unwritten then self.on_unwritten() end
end

--- What there is.
Sink.show = flush_begun

--- The begun line may be long in coming: where people look on, they see it.
function Sink:partial(out)
  if self.at_once then flush_begun(self, out) else note_unwritten(self) end
end

--- Many lines have come at once, the last one perhaps without its end.
function Sink:many(out)
  if #out > BLOCK then flush_begun(self, out) else note_unwritten(self) end
end

--- A line has ended.
function Sink:ended(out)
  if self.at_once or #out > BLOCK then
    self:flush(out)
    self.line_start = 0
  else
    note_unwritten(self)
  end
end

--- A message that belongs to no line.
function Sink.message(_, text) io.stderr:write(text) end

function Sink:close(out)
  self:flush(out)
  close_all(self, self.files or { self.file })
end

return M
