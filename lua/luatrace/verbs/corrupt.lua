--- corrupt("read", 1, where): other bytes than the kernel's reach the program, or than the program's the kernel.
--
-- The outcome says how: a number of bits to turn over, by chance (default 1); a string that is laid over the bytes from
-- their start; a function(bytes, call) that gives other bytes, no more than there were. Data that is written is copied
-- and changed on its way: the program's own memory stays as it is.

local bit = require "bit"
local predicates = require "luatrace.filter.predicates"

local M = { outcome = "optional" }

M.fits = function(row) return predicates.data_argument(row) ~= nil and not row.index.msg end
M.fits_what = "bytes that are read or written"

function M.parse(outcome)
  if outcome == nil then return 1 end
  if type(outcome) == "number" and outcome >= 1 and outcome % 1 == 0 then return outcome end
  if type(outcome) == "string" and outcome ~= "" or type(outcome) == "function" then return outcome end
  return nil, "a number of bits, a string, or a function(bytes, call)"
end

--- Written data is changed in front of the call, read data after it.
function M.after(_, call)
  local _, direction = predicates.data_argument(call.row)
  return direction ~= "in"
end

--- What differs, as text for the log of decisions: "offset:hex offset:hex".
local function difference(old, new)
  local parts, at = {}, 1
  while at <= #new do
    if new:byte(at) ~= old:byte(at) then
      local to = at
      while to < #new and new:byte(to + 1) ~= old:byte(to + 1) do to = to + 1 end
      parts[#parts + 1] = ("%d:%s"):format(at - 1, (new:sub(at, to):gsub(".", function(char)
        return ("%02x"):format(char:byte())
      end)))
      at = to
    end
    at = at + 1
  end
  return table.concat(parts, " ")
end

local function apply(bytes, changes)
  for offset, hex in changes:gmatch("(%d+):(%x+)") do
    local piece = hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)
    offset = tonumber(offset)
    if offset + #piece <= #bytes then
      bytes = bytes:sub(1, offset) .. piece .. bytes:sub(offset + #piece + 1)
    end
  end
  return bytes
end

function M.draw(rule, call)
  local old = call:data()
  if not old or old == "" then return nil end
  local how, new = rule.value, old
  if type(how) == "number" then
    for _ = 1, how do
      local at, which = rule.random(1, #old), rule.random(0, 7)
      new = new:sub(1, at - 1) .. string.char(bit.bxor(new:byte(at), bit.lshift(1, which))) .. new:sub(at + 1)
    end
  elseif type(how) == "string" then
    new = how:sub(1, #old) .. old:sub(#how + 1)
  else
    new = how(old, call)
    if type(new) ~= "string" then error("corrupt: the function must return a string of bytes", 0) end
    new = new:sub(1, #old) .. old:sub(#new + 1)
  end
  if new == old then return nil end
  return difference(old, new)
end

function M.recall(text) return text end

function M.enter(_, call, changes)
  local i = predicates.data_argument(call.row)
  rawset(call, "tampered_args", true)
  call[call.row[i].name] = apply(call:data(), changes)
end
M.leave = M.enter

return M
