--- The processes of a run, kept when they are gone: `run.processes`, a tree that begins with the program.
--
--   run.processes.exe                     -- "/usr/bin/make"
--   run.processes.children[1].argv        -- { "cc", "-c", "x.c" }
--   run.processes.children[1].status      -- 0
--   for process in run.processes:all() do print(process.pid, process.exe, process.status or process.signal) end
--
-- It needs births, execs and ends only: no call is trapped for it.

local M = {}

---@class luatrace.RecordedProcess
---@field pid integer
---@field number string place in the tree: "0" is the program, "0.2" its third child
---@field exe string|nil path of the program file
---@field argv string[]|nil
---@field comm string|nil
---@field status integer|nil exit status
---@field signal integer|nil what killed it
---@field started number seconds of CLOCK_MONOTONIC
---@field ended number|nil
---@field children luatrace.RecordedProcess[]
---@field parent luatrace.RecordedProcess|nil
---@field images { exe: string?, argv: string[]?, comm: string?, time: number }[] one for each exec, the last one last
local Process = {}
Process.__index = Process

--- This process and all below it, parents first.
---@return fun(): luatrace.RecordedProcess|nil
function Process:all()
  local function walk(process)
    coroutine.yield(process)
    for _, child in ipairs(process.children) do walk(child) end
  end
  return coroutine.wrap(function() walk(self) end)
end

local function line(process)
  local how = process.status and "exit " .. process.status or process.signal and "signal " .. process.signal or "?"
  return ("%s  [pid %d, %s]"):format(table.concat(process.argv or { "(fork)" }, " "), process.pid, how)
end

function Process:__tostring()
  local lines = {}
  for process in self:all() do
    local _, depth = process.number:gsub("%.", "")
    lines[#lines + 1] = ("  "):rep(depth) .. line(process)
  end
  return table.concat(lines, "\n")
end

---@class luatrace.ProcessRecorder
local Recorder = {}
Recorder.__index = Recorder

---@return luatrace.ProcessRecorder
function M.new() return setmetatable({ nodes = setmetatable({}, { __mode = "k" }) }, Recorder) end

--- What calls of a process carry: the image that made them, with the process behind it.
local function new_image(node, exe, argv, comm, time)
  local image = { exe = exe, argv = argv, comm = comm, time = time, node = node }
  return setmetatable(image, { __index = node })
end

--- The record of a process of the session's tree.
---@param process luatrace.Process
function Recorder:node(process)
  local node = self.nodes[process]
  if node then return node end
  local parent = process.parent and self:node(process.parent)
  node = setmetatable({ pid = process.pid, number = process.number, started = process.started, children = {},
    images = {}, parent = parent }, Process)
  self.nodes[process] = node
  if parent then
    table.insert(parent.children, node)
    -- Until it executes something it is what its parent is.
    local image = parent.image
    if image then
      node.exe, node.comm = image.exe, image.comm
      node.image = new_image(node, image.exe, image.argv, image.comm, process.started)
    end
  else
    self.root = self.root or node
  end
  node.image = node.image or new_image(node, nil, nil, nil, process.started)
  return node
end

--- What stands for the process in a recorded call.
function Recorder:image(process) return self:node(process).image end

function Recorder:birth(stop, thread)
  if stop.tid == stop.pid then self:node(thread.process) end
end

function Recorder:exec(stop, process)
  local node = self:node(process)
  node.exe, node.argv, node.comm = process.exe, process.argv, process.comm
  node.image = new_image(node, node.exe, node.argv, node.comm, tonumber(stop.time) / 1e9)
  table.insert(node.images, node.image)
end

function Recorder:exit_process(stop, thread)
  local process = thread.process
  if thread.tid ~= process.pid then return end
  local node, status = self:node(process), stop.status
  local low = status % 128
  if low == 0 then node.status = math.floor(status / 256) % 256 else node.signal = low end
  node.ended = tonumber(stop.time) / 1e9
end

return M
