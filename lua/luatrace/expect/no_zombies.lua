--- no_zombies(): a process that ends has waited for its children that ended before it.
--
-- Looked at when a process calls exit_group: its children that are dead and not waited for are zombies, which would
-- still be there if it had gone on.

local sys = require "luatrace.sys"

local M = { live = true }

function M:start(...)
  if select("#", ...) > 0 then self:misuse("no_zombies takes nothing") end
  self:hear "exit_group"
  self.children, self.zombies = {}, {}
end

function M:exit_process(_, process, node)
  local parent = process.parent
  if not parent then return end
  local list = self.children[parent] or {}
  self.children[parent] = list
  list[#list + 1] = node
end

--- Is it dead, and still there for this parent?
local function is_zombie(pid, parent)
  local stat = sys.read_file(("/proc/%d/stat"):format(pid))
  local state, ppid = (stat or ""):match("^%d+ %(.*%) (%a) (%d+)")
  return state == "Z" and tonumber(ppid) == parent
end

function M:entered(record, call)
  local process = call.process
  for _, child in ipairs(self.children[process] or {}) do
    if is_zombie(child.pid, process.pid) then
      self:note(self.zombies, { record, note = ("%s (pid %d) has ended, and nobody waited for it"):format(
        child.comm or "a child", child.pid) })
    end
  end
end

function M:verdict()
  local count = self.zombies.count
  if count then
    return self:failed(("%d child%s never waited for"):format(count, count == 1 and " was" or "ren were"), self.zombies)
  end
end

return M
