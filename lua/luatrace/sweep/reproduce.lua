--- A finding as somebody else can see it: a small Lua script, the same with strace where strace can, and a recipe
-- without any tracer where the fault is a full disk.
--
--   reproduce.script(points)                  -- code: `luatrace FILE -- command` does it again
--   reproduce.strace(point, events)           -- "--inject=write:error=ENOSPC:when=3+", or nil

local faults = require "luatrace.sweep.faults"

local M = {}

local simple = {
  fail = function(fault) return ("call:fail %q"):format(fault.errno) end,
  after = function(fault) return ("if call:run() then call:fail %q end"):format(fault.errno) end,
  kill = function() return "call:kill()" end,
  ["kill-after"] = function() return "call:run()\n    call:kill()" end,
  short = function() return "call.args[3] = math.floor(call.args[3] / 2)" end,
}

local function inline(point)
  local fault = point.fault
  local body = point.call == "brk" and "call.args[1] = 0 -- brk(2) tells of no error: the break stays where it is"
    or simple[fault.action](fault)
  return ([[
do
  local hits = 0
  on.%s(function(call)
    if call.process.number ~= %q or call.thread.ordinal ~= %d or call.restarted then return end
    hits = hits + 1
    if hits ~= %d then return end
    %s
  end)
end
]]):format(point.call, point.process, point.thread, point.hit, body)
end

local function by_inject(point)
  local fault = point.fault
  return ([[
require("luatrace.sweep.inject").arm(luatrace, { process = %q, thread = %d, call = %q, hit = %d,
  fault = { action = %q%s%s } })
]]):format(point.process, point.thread, point.call, point.hit, fault.action,
    fault.errno and (", errno = %q"):format(fault.errno) or "",
    fault.sticky and (", sticky = %q"):format(fault.sticky) or "")
end

--- Is a simple handler the whole truth? Not for what stays, and a kill takes the whole tree.
local function is_simple(point, alone)
  local action = point.fault.action
  if point.fault.sticky then return false end
  return alone or (action ~= "kill" and action ~= "kill-after")
end

--- The code that does some faults again.
---@param points table[]
---@param alone boolean|nil the program is a single process
---@return string
function M.script(points, alone)
  local parts = {}
  for i, point in ipairs(points) do parts[i] = is_simple(point, alone) and inline(point) or by_inject(point) end
  return table.concat(parts)
end

--- What strace has to be told for the same fault; nil when it cannot do that, or would do it elsewhere too (it counts
-- in each process anew).
---@param points table[]
---@param hits table<string, integer> how many calls: "process:thread:name" -> count
---@return string|nil
function M.strace(points, hits)
  if #points ~= 1 then return nil end
  local point = points[1]
  local fault = point.fault
  local what
  if point.call == "brk" then return nil end
  if fault.action == "fail" then
    if fault.sticky and fault.sticky ~= "disk" then return nil end
    what = "error=" .. fault.errno
  elseif fault.action == "kill" then
    what = "signal=KILL"
  else
    return nil
  end
  local mine = ("%s:%d:%s"):format(point.process, point.thread, point.call)
  for key, count in pairs(hits) do
    if key ~= mine and key:match("([^:]*)$") == point.call and count >= point.hit then return nil end
  end
  return ("strace -f --inject=%s:%s:when=%d%s"):format(point.call, what, point.hit, fault.sticky and "+" or "")
end

--- A word as a shell takes it.
function M.quote(word)
  if word:find("^[%w_./:=@%%+,-]+$") then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

function M.command_line(command)
  local words = {}
  for i, word in ipairs(command) do words[i] = M.quote(word) end
  return table.concat(words, " ")
end

--- How large a disk would be full where this run's was; nil when that was no write.
---@param run table
---@return number|nil bytes
function M.full_size(run)
  local point = run.item.point
  if run.item.points or point.fault.sticky ~= "disk" or not run.used or not faults.writes[point.call] then
    return nil
  end
  return math.max(4096, run.used)
end

--- The same without a tracer: a tmpfs that is as full as the disk was.
---@param size number bytes
---@return string
function M.recipe(size, fixture, command)
  local pages = math.ceil(size / 4096)
  return ("mount -t tmpfs -o size=%dk tmpfs /mnt%s && cd /mnt && %s"):format(pages * 4,
    fixture and (" && cp -a %s/. /mnt"):format(M.quote(fixture)) or "", M.command_line(command))
end

return M
