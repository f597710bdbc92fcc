--- Who started what: the tree of programs that a command executes, with how each ended and how long it took.
--
-- Usage: luatrace examples/exec-tree.lua -- COMMAND
--
-- Captured output:
--
--   @OUTPUT@

local nodes = {}  -- pid -> { execs, children, ... }
local roots = {}

local function node_of(process)
  local node = nodes[process.pid]
  if not node then
    node = { pid = process.pid, execs = {}, children = {}, started = process.started }
    nodes[process.pid] = node
    local parent = process.parent and nodes[process.parent.pid]
    table.insert(parent and parent.children or roots, node)
  end
  return node
end

at.fork(function(process) node_of(process) end)

at.exec(function(process)
  local node = node_of(process)
  table.insert(node.execs, table.concat(process.argv, " "))
end)

at.exit(function(process)
  local node = node_of(process)
  node.how = process.signal and ("killed by signal %d"):format(process.signal) or ("exit %d"):format(process.status)
  node.seconds = process.ended - node.started
  -- Its pid may be given to another process.
  nodes[process.pid] = nil
  node.closed = true
end)

--- Long command lines are cut: the tree is to be read.
local function short(text)
  text = text:gsub("%c", " ")
  return #text > 80 and text:sub(1, 77) .. "..." or text
end

local function show(node, depth)
  local what = #node.execs > 0 and table.concat(node.execs, " -> ") or "(fork)"
  io.stderr:write(("%s%s  [%s, %.3f s]\n"):format(("  "):rep(depth), short(what), node.how or "?", node.seconds or 0))
  for _, child in ipairs(node.children) do show(child, depth + 1) end
end

at.finish(function()
  for _, node in ipairs(roots) do show(node, 0) end
end)
