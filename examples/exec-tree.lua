--- Who started what: the tree of programs that a command executes, with how each ended and how long it took.
--
-- Usage: luatrace examples/exec-tree.lua -- COMMAND
--
-- Captured output:
--
--   $ luatrace examples/exec-tree.lua -- make -s -B -f good.mk
--   make -s -B -f good.mk  [exit 0, 0.047 s]
--     /bin/sh -c gcc -O1 -Wall -Wextra -Werror -S -o - main.c | as -o main.o -  [exit 0, 0.015 s]
--       gcc -O1 -Wall -Wextra -Werror -S -o - main.c  [exit 0, 0.013 s]
--         /usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -imultiarch x86_64-linux-gnu main...  [exit 0, 0.011 s]
--       as -o main.o -  [exit 0, 0.014 s]
--     /bin/sh -c gcc -O1 -Wall -Wextra -Werror -S -o - greet.c | as -o greet.o -  [exit 0, 0.016 s]
--       gcc -O1 -Wall -Wextra -Werror -S -o - greet.c  [exit 0, 0.015 s]
--         /usr/lib/gcc/x86_64-linux-gnu/12/cc1 -quiet -imultiarch x86_64-linux-gnu gree...  [exit 0, 0.013 s]
--       as -o greet.o -  [exit 0, 0.014 s]
--     gcc -o hello main.o greet.o  [exit 0, 0.014 s]
--       /usr/lib/gcc/x86_64-linux-gnu/12/collect2 -plugin /usr/lib/gcc/x86_64-linux-g...  [exit 0, 0.012 s]
--         /usr/bin/ld -plugin /usr/lib/gcc/x86_64-linux-gnu/12/liblto_plugin.so -plugin...  [exit 0, 0.011 s]

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
