--- What stands below a call's line: its stack (-k), the memory that it touched (--footprint), the bytes that went
-- through it (-e read=, -e write=).

local fd_set = require "luatrace.filter.fd_set"
local footprint = require "luatrace.decode.footprint"
local types = require "luatrace.types"

local M = {}

--- One line a frame, as strace has them.
---@param out any a string buffer
---@param call { stack: fun(self): table[] }
function M.stack(out, call)
  for _, frame in ipairs(call:stack()) do
    out:put(" > ", frame.module or "", "(")
    if frame.symbol then out:put(frame.symbol, "+", types.hex(frame.offset == 0 and "0x0" or frame.offset)) end
    out:put(") [", types.hex(frame.module_offset or frame.ip), "]\n")
  end
end

--- " @ read pathname 0x7ffd3a90 17": the argument that leads there, the address, how many bytes.
---@param out any
---@param call luatrace.Call
function M.footprint(out, call)
  local list = footprint.whole(call)
  for _, range in ipairs(list) do
    out:put(" @ ", range.direction, " ", range.argument, " ", types.hex(range.address), " ", tostring(range.length),
      "\n")
  end
  if list.truncated then out:put(" @ and more\n") end
end

local function put_hexadecimal(out, bytes)
  for at = 0, #bytes - 1, 16 do
    local piece = bytes:sub(at + 1, at + 16)
    local hex = {}
    for i = 1, 16 do
      hex[#hex + 1] = i <= #piece and ("%02x"):format(piece:byte(i)) or "  "
      if i == 8 then hex[#hex + 1] = "" end
    end
    out:put((" | %05x  %s  %-16s |\n"):format(at, table.concat(hex, " "), (piece:gsub("[^\32-\126]", "."))))
  end
end

--- All that went through a descriptor, in hexadecimal.
---@param out any
---@param call luatrace.Call
---@param style luatrace.TextStyle
function M.dump(out, call, style)
  local row = call.row
  if call.failed or not row.index.fd or not (row.index.buf or row.index.iov) then return end
  local out_argument = row[row.index.buf or row.index.iov].type.direction == "out"
  local set = out_argument and style.dump_read or not out_argument and style.dump_write
  if not fd_set.has(set, call.fd.num) then return end
  local bytes = call.buf or call.iov
  if type(bytes) == "string" then put_hexadecimal(out, bytes:sub(1, call.raw_ret)) end
end

return M
