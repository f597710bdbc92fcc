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

--- A call's ranges, in the order of its arguments, each once.
---@param call table see luatrace.decode
---@return luatrace.MemoryRange[]
function M.of(call)
  local list = {}
  local row, raw = call.row, call.raw
  for i = 1, #row do
    local argument = row[i]
    local extents = argument.type.extents
    if extents and (not argument.when or argument.when(call)) then
      extents(call, argument.type.load(call, raw[i]), nil, function(address, length, direction)
        if length > 0 and address ~= 0 then
          list[#list + 1] = { argument = argument.name, direction = direction, address = address, length = length }
        end
      end)
    end
  end
  return list
end

return M
