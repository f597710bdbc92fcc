--- Output format "tree" (--tree): who executed what, how it ended, how long it took; printed at the end.
--
--   0.041 s  gcc -c x.c                      = 0
--   0.032 s    /usr/lib/gcc/.../cc1 -quiet   = 0
--   0.004 s    as -o x.o /tmp/ccX.s          = 0

local bit = require "bit"
local constants = require "luatrace.constants"
local quote = require "luatrace.text.quote"
local sink = require "luatrace.output.sink"

local M = {}

---@class luatrace.TreeOutput
local Tree = {}
Tree.__index = Tree

--- It needs births, execs and ends only: no call is trapped for it.
---@param options { path: string?, append: boolean?, palette: luatrace.Palette?, width: integer? }
---@return luatrace.TreeOutput|nil, string? message
function M.open(options)
  local self = setmetatable({ calls = nil, nodes = {}, roots = {}, palette = options.palette,
    width = options.width }, Tree)
  local target, message = sink.open(options)
  if not target then return nil, message end
  self.sink = target
  return self
end

function Tree.entry() end
function Tree.exit() end
function Tree.signal() end
function Tree.group() end
function Tree.superseded() end

local function command_line(process)
  local words = {}
  for i, word in ipairs(process.argv or {}) do
    words[i] = word:find("^[%w_./:=,+%-]+$") and word or quote.string(word)
  end
  return table.concat(words, " ")
end

--- A process under its parent; threads are no processes.
function Tree:birth(stop, thread)
  if stop.tid ~= stop.pid then return end
  local parent = thread.process.parent
  local above = parent and self.nodes[parent]
  -- What was there before us is known by what it runs; a child runs what its parent does.
  local node = { process = thread.process, started = tonumber(stop.time), children = {}, images = {},
    text = above and "(fork)" or command_line(thread.process) }
  self.nodes[thread.process] = node
  table.insert(above and above.children or self.roots, node)
end

function Tree:exec(stop, process)
  local node = self.nodes[process]
  if not node then return end
  table.insert(node.images, { time = tonumber(stop.time), text = command_line(process), exe = process.exe })
end

function Tree:exit_process(stop, thread)
  local node = self.nodes[thread.process]
  if not node or thread.tid ~= thread.process.pid then return end
  node.ended, node.status = tonumber(stop.time), stop.status
  self.nodes[thread.process] = nil
end

local function ending(status)
  if not status then return "?" end
  local low = bit.band(status, 0x7f)
  if low == 0 then return tostring(bit.band(bit.rshift(status, 8), 0xff)) end
  return constants.signals.by_value[low] or "signal " .. low
end

--- What a line needs beside the command: the time, and how it ended ("SIGVTALRM").
local ASIDE = 24

--- One line, the command cut to what a terminal has room for.
local function put_line(self, out, time, depth, text, status)
  local room = self.width and math.max(20, self.width - ASIDE) or math.huge
  text = ("  "):rep(depth) .. text
  if #text > room then text = text:sub(1, room - 3) .. "..." end
  text = text .. (" "):rep(math.min(60, room) - #text)
  local p = self.palette
  if not p then return out:put(("%8.3f s  %s %s\n"):format(time / 1e9, text, status)) end
  local colour = status == "exec" and p.who or status == "= 0" and p.result or p.failure
  out:put(p.who, ("%8.3f s  "):format(time / 1e9), p.off, text, " ", colour, status, p.off, "\n")
end

local function put(self, out, node, depth, last)
  local finish = node.ended or last
  for i, image in ipairs(node.images) do
    local over = node.images[i + 1] and node.images[i + 1].time or finish
    -- An image that another one replaced has no status of its own.
    put_line(self, out, over - image.time, depth, image.text, node.images[i + 1] and "exec" or
      "= " .. ending(node.status))
  end
  if #node.images == 0 then
    put_line(self, out, finish - node.started, depth, node.text, "= " .. ending(node.status))
  end
  for _, child in ipairs(node.children) do put(self, out, child, depth + 1, last) end
end

function Tree:finish()
  local out = require("string.buffer").new()
  local last = tonumber(require("luatrace.sys").monotonic())
  for _, root in ipairs(self.roots) do put(self, out, root, 0, last) end
  self.sink:close(out)
  self.failed = self.sink.failed
end

return M
