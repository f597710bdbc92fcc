--- i386's socketcall(2) and ipc(2): one number for many calls, each of which is a call of its own here.
--
--   multiplexed.number("send")                -- 0x9066: socketcall (102) with SYS_SEND (9), as one number
--   multiplexed.inside(tracer, stop)          -- the number and the arguments of the call that a stop is about
--   multiplexed.outside(call)                 -- what the kernel is to be given when a script has rewritten it
--
-- The trap plan knows them by those numbers, scripts and outputs by their names: a 32-bit program's send is a send,
-- whichever way its C library makes it.

local bit = require "bit"
local ffi = require "ffi"
local shallow = require "luatrace.shallow"

local M = {}

local SOCKETCALL, IPC = 102, 117
--- Numbers of the calls inside: the code of the call times this, and the number of the call around it.
local OUTER = 0x1000

--- socketcall's calls by their codes (linux/net.h), with how many words of arguments each has in memory.
local sockets = { { "socket", 3 }, { "bind", 3 }, { "connect", 3 }, { "listen", 2 }, { "accept", 3 },
  { "getsockname", 3 }, { "getpeername", 3 }, { "socketpair", 4 }, { "send", 4 }, { "recv", 4 }, { "sendto", 6 },
  { "recvfrom", 6 }, { "shutdown", 2 }, { "setsockopt", 5 }, { "getsockopt", 5 }, { "sendmsg", 3 }, { "recvmsg", 3 },
  { "accept4", 4 }, { "recvmmsg", 5 }, { "sendmmsg", 4 } }

--- ipc's calls by their codes (linux/ipc.h), with which of ipc's own arguments theirs are.
local FIRST, SECOND, THIRD, POINTER, FIFTH = 2, 3, 4, 5, 6
local ipcs = {
  [1] = { "semop", FIRST, POINTER, SECOND }, [2] = { "semget", FIRST, SECOND, THIRD },
  [3] = { "semctl", FIRST, SECOND, THIRD, POINTER }, [4] = { "semtimedop", FIRST, POINTER, SECOND, FIFTH },
  [11] = { "msgsnd", FIRST, POINTER, SECOND, THIRD }, [12] = { "msgrcv", FIRST, POINTER, SECOND, FIFTH, THIRD },
  [13] = { "msgget", FIRST, SECOND }, [14] = { "msgctl", FIRST, SECOND, POINTER },
  [21] = { "shmat", FIRST, POINTER, SECOND }, [22] = { "shmdt", POINTER },
  [23] = { "shmget", FIRST, SECOND, THIRD }, [24] = { "shmctl", FIRST, SECOND, POINTER },
}
local SEMCTL, MSGRCV = 3, 12

--- The calls that a rewritten one becomes where none of its own name has a number on i386.
local direct_names = { send = "sendto", recv = "recvfrom", accept = "accept4" }

local by_outer = { [SOCKETCALL] = sockets, [IPC] = ipcs }
local numbers = {}
for outer, list in pairs(by_outer) do
  for code, item in pairs(list) do numbers[item[1]] = code * OUTER + outer end
end

--- Names of the calls inside, as keys, and their numbers.
M.numbers = numbers

--- Does the kernel know this number as a call with others inside?
---@param nr integer
function M.has_inner(nr) return by_outer[nr] ~= nil end

--- The name of a number that `M.numbers` has given.
---@param number integer
---@return string|nil
function M.name(number)
  local list = by_outer[number % OUTER]
  local item = list and list[(number - number % OUTER) / OUTER]
  return item and item[1]
end

--- Names of all calls inside one.
---@param outer integer of which `has_inner` holds
---@return string[]
function M.names_inside(outer)
  local names = {}
  for _, item in pairs(by_outer[outer]) do names[#names + 1] = item[1] end
  return names
end

--- Is this a number of `M.numbers`?
---@param number integer of i386
function M.is_inner(number) return number >= OUTER end

--- The number of the call around, and the test of its first argument by which a filter tells the call inside.
---@param number integer of `M.numbers`
---@return integer nr, table test see luatrace.plan.mechanism
function M.outer(number)
  local nr = number % OUTER
  -- ipc's code has a version above it, which the kernel masks so.
  return nr, { arg = 0, op = "eq", value = (number - nr) / OUTER, bits = 32, mask = nr == IPC and 0xffff or nil }
end

local function inside_socketcall(tracer, tracee, code, address)
  local item = sockets[code]
  local size = item and item[2] * 4
  local bytes = item and tracer:read(tracee, address, size)
  if not bytes or #bytes < size then return nil end
  local words, raw = ffi.cast("const uint32_t *", bytes), {}
  for i = 1, 6 do raw[i] = i <= item[2] and words[i - 1] or 0 end
  return raw
end

local function inside_ipc(tracer, tracee, code, args)
  local version, item = bit.rshift(code, 16), ipcs[code % 65536]
  -- The oldest msgrcv has two of its arguments in memory.
  if not item or code % 65536 == MSGRCV and version == 0 then return nil end
  local raw = {}
  for i = 1, 6 do raw[i] = item[i + 1] and tonumber(args[item[i + 1] - 1]) or 0 end
  if code % 65536 ~= SEMCTL then return raw end
  -- Its last argument, a union, is behind a pointer.
  local union = tracer:read(tracee, raw[4], 4)
  if not union or #union < 4 then return raw end
  raw[4] = ffi.cast("const uint32_t *", union)[0]
  return raw, true
end

--- The call inside the one that a tracee is about to make.
---@param tracer table
---@param stop any the core's, at the entry of a call of which `has_inner` holds
---@return integer|nil number of `M.numbers`; nil when what the program gave is no such call
---@return any[]|nil raw its arguments
---@return boolean|nil by_pointer its last argument was behind a pointer
function M.inside(tracer, stop)
  local nr, code = tonumber(stop.nr), tonumber(stop.args[0]) % 2 ^ 32
  local raw, by_pointer
  if nr == SOCKETCALL then
    raw = inside_socketcall(tracer, stop.tracee, code, tonumber(stop.args[1]))
  else
    raw, by_pointer = inside_ipc(tracer, stop.tracee, code, stop.args)
  end
  if not raw then return nil end
  return (nr == IPC and code % 65536 or code) * OUTER + nr, raw, by_pointer
end

local pointed_rows = {}

--- The row of a call whose last argument is shown in brackets: it was behind a pointer.
---@param row table
---@return table
function M.pointed(row)
  local known = pointed_rows[row]
  if not known then
    local last = row[#row]
    local shown = setmetatable({ text = function(out, call, value)
      out:put("[")
      last.type.text(out, call, value)
      out:put("]")
    end }, { __index = last.type })
    known = shallow.copy(row)
    known.text_plan = nil -- of luatrace.decode: how the row as it was is printed
    known[#row] = setmetatable({ type = shown }, { __index = last })
    pointed_rows[row] = known
  end
  return known
end

--- What the kernel is given for a call that a script has rewritten. The arguments of socketcall's are in the program's
-- memory, which stays as it is: the call that has its arguments in registers is made instead. ipc's are in registers.
---@param call luatrace.Call one inside another
---@param number_of fun(arch: string, name: string): integer see luatrace.decode
---@return integer nr, any[] raw
function M.outside(call, number_of)
  local name, raw = call.row.name, call.raw
  if call.row.nr == SOCKETCALL then return number_of("i386", direct_names[name] or name), raw end
  local args, given = {}, call.stop.args
  for i = 1, 6 do args[i] = tonumber(given[i - 1]) end
  for i, place in ipairs({ unpack(ipcs[call.row.inner], 2) }) do args[place] = raw[i] end
  return IPC, args
end

return M
