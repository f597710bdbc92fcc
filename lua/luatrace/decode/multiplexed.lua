--- i386's socketcall(2) and ipc(2): one number for many calls, which text shows as what they are.
--
--   local shown = multiplexed.shown(call)      -- of a socketcall(SYS_SEND, ...): a view of it as send(3, ...)
--
-- The view is the call for whoever prints it: its row and its raw arguments are the inner call's, all else is the
-- call's own. Handlers get the call itself: what they rewrite are its registers.

local bit = require "bit"
local ffi = require "ffi"
local datagram = require "luatrace.structs.datagram"
local schema = require "luatrace.schema"
local syscalls = require "luatrace.syscalls"
local t = require "luatrace.types"

local M = {}

local message_flags = t.flags("msg_flags", { comment = "MSG_???" })

--- Inner calls that have no number of their own anywhere.
local own_rows = {
  send = { returns = t.count, classes = "network", { "sockfd", t.fd_socket }, { "buf", t.ptr_in(datagram.bytes "len") },
    { "len", t.size }, { "flags", message_flags } },
  recv = { returns = t.count, classes = "network", { "sockfd", t.fd_socket },
    { "buf", t.ptr_out(datagram.bytes("len", "ret")) }, { "len", t.size }, { "flags", message_flags } },
}

--- socketcall's calls (linux/net.h), with how many words of arguments each has.
local sockets = { { "socket", 3 }, { "bind", 3 }, { "connect", 3 }, { "listen", 2 }, { "accept", 3 },
  { "getsockname", 3 }, { "getpeername", 3 }, { "socketpair", 4 }, { "send", 4 }, { "recv", 4 }, { "sendto", 6 },
  { "recvfrom", 6 }, { "shutdown", 2 }, { "setsockopt", 5 }, { "getsockopt", 5 }, { "sendmsg", 3 }, { "recvmsg", 3 },
  { "accept4", 4 }, { "recvmmsg", 5 }, { "sendmmsg", 4 } }

--- ipc's calls (linux/ipc.h), with which of ipc's own arguments theirs are.
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

--- What is behind a pointer, in its brackets.
local function pointed_at(inner)
  return setmetatable({ text = function(out, call, value)
    out:put("[")
    inner.text(out, call, value)
    out:put("]")
  end }, { __index = inner })
end

local rows = {}
local function row_of(name, outer, by_pointer)
  local kept_as = by_pointer and name .. " by pointer" or name
  local row = rows[kept_as]
  if not row then
    local base = own_rows[name] and schema.check(name, own_rows[name]) or syscalls.find("i386", name)
    row = setmetatable({ nr = outer.nr }, { __index = base })
    for i = 1, #base do row[i] = base[i] end
    if by_pointer then
      row[#row] = setmetatable({ type = pointed_at(row[#row].type) }, { __index = row[#row] })
    end
    rows[kept_as] = row
  end
  return row
end

local inner = {}

function inner.socketcall(call)
  local item = sockets[t.load.u32(nil, call.raw[1])]
  if not item then return nil end
  local bytes = call.memory:read(call.raw[2], item[2] * 4)
  if not bytes or #bytes < item[2] * 4 then return nil end
  local words, raw = ffi.cast("const uint32_t *", bytes), {}
  for i = 1, 6 do raw[i] = i <= item[2] and words[i - 1] or 0 end
  return item[1], raw
end

function inner.ipc(call)
  local number = t.load.u32(nil, call.raw[1])
  local version, item = bit.rshift(number, 16), ipcs[number % 65536]
  -- The oldest msgrcv has two of its arguments in memory.
  if not item or number % 65536 == MSGRCV and version == 0 then return nil end
  local raw = {}
  for i = 1, 6 do raw[i] = item[i + 1] and call.raw[item[i + 1]] or 0 end
  if number % 65536 ~= SEMCTL then return item[1], raw end
  -- Its last argument, a union, is behind a pointer.
  local union = call.memory:read(raw[4], 4)
  if not union or #union < 4 then return item[1], raw end
  raw[4] = ffi.cast("const uint32_t *", union)[0]
  return item[1], raw, true
end

--- What becomes of the call after its view was made.
local later = { "left", "answered", "tampered", "unfinished", "undecided", "selected" }

--- The call as it is to be shown: itself, or the view of the call inside.
---@param call luatrace.Call of a 32-bit program
---@return luatrace.Call|table
function M.shown(call)
  local view = rawget(call, "shown_as")
  if view == nil then
    local name, raw, by_pointer
    local look = inner[call.row.name]
    if look and call.phase == "entry" then name, raw, by_pointer = look(call) end
    view = name and setmetatable({ raw = raw, row = row_of(name, call.row, by_pointer) }, { __index = call }) or false
    rawset(call, "shown_as", view)
  end
  if not view then return call end
  for _, key in ipairs(later) do rawset(view, key, rawget(call, key)) end
  return view
end

return M
