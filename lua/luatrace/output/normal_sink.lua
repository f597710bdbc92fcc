--- Where lines go with --normalize: through luatrace.output.normalize, and grouped by thread.
--
-- The order guarantee: all lines of a thread stand together, in the order of its calls; threads stand in the order of
-- their names (P1, P1t1, P1t2, P1.1, P1.1t1, P1.2): a process, its threads, its children. P1's lines are written as
-- they come, all others are kept in memory until the run ends. With -ff each thread has a file, FILE.P1.2, at once.
--
-- It has the methods of sink.lua; outputs select a thread before each line.

local buffer = require "string.buffer"
local sink = require "luatrace.output.sink"

local M = {}

---@class luatrace.NormalSink
local Sink = {}
Sink.__index = Sink

---@param options { path: string?, separate: boolean?, append: boolean?, prefixed: boolean? } prefixed: say on each line
-- whose it is, "[P1.2] "
---@param normal luatrace.Normal
---@return luatrace.NormalSink|nil, string? message
function M.open(options, normal)
  local self = setmetatable({ normal = normal, done = 0, line = buffer.new(), prefixed = options.prefixed }, Sink)
  if options.separate then
    self.path, self.append, self.targets = options.path, options.append, {}
  else
    local target, message = sink.open { path = options.path, append = options.append, paint = options.paint }
    if not target then return nil, message end
    self.target = target
  end
  return self
end

function Sink:select(tid) self.stream = self.normal.by_tid[tid] or self.normal:stream "" end
function Sink:begin() self.done = 0 end

--- Outputs ask for the column to align what follows: from here on the line is as it will be.
function Sink:column(out)
  local text = self.normal:text(self.stream, out:get())
  out:put(text)
  self.done = #text
  return #text
end

function Sink.partial() end
function Sink.message() end

function Sink:write(stream, text)
  if self.targets then
    local target = self.targets[stream]
    if not target then
      local message
      target, message = sink.open { path = self.path .. "." .. stream.name, append = self.append }
      if not target then
        self.failed = self.failed or message
        return
      end
      self.targets[stream] = target
    end
    self.line:put(text)
    return target:flush(self.line)
  end
  if stream ~= self.normal.roots[1] then
    stream.lines = stream.lines or buffer.new()
    stream.lines:put(self.prefixed and "[" .. stream.name .. "] " or "", text)
    return
  end
  self.line:put(text)
  self.target:ended(self.line)
end

function Sink:ended(out)
  local text = out:get()
  local head, rest = text:sub(1, self.done), text:sub(self.done + 1)
  self.done = 0
  -- Lines of stacks have offsets, not addresses.
  rest = rest:gsub("[^\n]*\n", function(line)
    if not line:find("^ > ") then return self.normal:text(self.stream, line) end
    return (line:gsub(" %[0x%x+%]\n$", "\n"))
  end)
  self:write(self.stream, head .. rest)
end

function Sink.flush() end
function Sink.show() end

function Sink:close()
  if self.target then
    for _, stream in ipairs(self.normal:all_streams()) do
      if stream.lines then self.line:put(stream.lines:get()) end
    end
    self.target:close(self.line)
    self.failed = self.failed or self.target.failed
  else
    for _, target in pairs(self.targets) do
      target:close(self.line)
      self.failed = self.failed or target.failed
    end
  end
end

return M
