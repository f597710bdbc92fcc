--- The memory that a call reads and writes, from its row: each type knows its extents.
--
--   for _, range in ipairs(footprint.of(call)) do
--     print(range.argument, range.direction, range.address, range.length)     -- buf  written  0x7ffe...  832
--   end
--
-- At entry: what the kernel will read. At exit: that, and what it has written; a failed call has written nothing. The
-- lengths are those of the call's own result: a read(2) of 10 bytes into a buffer of 4096 has written 10.

local M = {}

---@class luatrace.MemoryRange
---@field argument string name of the argument that leads there
---@field direction "read"|"written"
---@field address any a number, or uint64 cdata when that is not exact
---@field length integer bytes, more than 0

--- Messages of vectors of buffers, as many as a hostile program says: the kernel takes no more than this at once.
local MAX_RANGES = 8192

--- Thrown to leave the types' own loops; never seen outside.
local enough = {}

--- A call's ranges, in the order of its arguments, each once; `truncated` when there were more than 8,192.
---@param call table see luatrace.decode
---@return luatrace.MemoryRange[]
function M.of(call)
  local list = {}
  local row, raw = call.row, call.raw
  local argument
  local function add(address, length, direction)
    if length <= 0 or address == 0 then return end
    if #list >= MAX_RANGES then error(enough, 0) end
    list[#list + 1] = { argument = argument.name, direction = direction, address = address, length = length }
  end
  for i = 1, #row do
    argument = row[i]
    local extents = argument.type.extents
    if extents and (not argument.when or argument.when(call)) then
      local ok, failure = pcall(extents, call, argument.type.load(call, raw[i]), nil, add)
      if not ok then
        if failure ~= enough then error(failure, 0) end
        list.truncated = true
        break
      end
    end
  end
  return list
end

--- With --footprint: what is read is noted at entry, before the call can overwrite it or, as exec does, take it away.
local Noter = { wants_exit = true }
Noter.__index = Noter
function Noter.entry(_, call)
  local reads = {}
  local list = M.of(call)
  for _, range in ipairs(list) do
    if range.direction == "read" then reads[#reads + 1] = range end
  end
  reads.truncated = list.truncated
  rawset(call, "read_ranges", reads)
end
for _, name in ipairs { "exit", "signal", "group", "exec", "exit_process", "superseded", "finish" } do
  Noter[name] = function() end
end

--- An observer that comes before the outputs: afterwards `whole` knows both sides.
function M.observer() return setmetatable({}, Noter) end

--- What a call has read, as it was at its entry, and written, when it has returned; nil without the observer.
---@param call table
---@return luatrace.MemoryRange[]|nil
function M.whole(call)
  local reads = rawget(call, "read_ranges")
  if not reads then return nil end
  local list = { truncated = reads.truncated }
  for i, range in ipairs(reads) do list[i] = range end
  if call.phase ~= "exit" or call.failed then return list end
  local after = M.of(call)
  for _, range in ipairs(after) do
    if range.direction == "written" then list[#list + 1] = range end
  end
  list.truncated = list.truncated or after.truncated
  return list
end

return M
