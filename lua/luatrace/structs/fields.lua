--- Fields and pointees that a few subjects share, beside the vocabulary of types.lua.
--
--   local f = require "luatrace.structs.fields"
--   { "actime", f.time }                     -- 1 /* 1970-01-01T00:00:01+0000 */
--   { "ids", t.ptr_out(f.numbers("n")) }     -- [1, 2, 3]

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local t = require "luatrace.types"

local M = {}

--- Seconds since 1970, with the date as a comment.
M.time = setmetatable({ text = function(out, _, value)
  out:put(t.decimal(value))
  t.put_date(out, value, 0, 9)
end }, { __index = t.long })

--- The 32 signals of i386's oldest calls.
local function old_names(word, how)
  local present, missing = {}, {}
  for signal = 1, 32 do
    local name = constants.signals.by_value[signal] or tostring(signal)
    if how == "text" then name = name:gsub("^SIG", "") end
    local list = bit.band(word, bit.lshift(1, signal - 1)) ~= 0 and present or missing
    list[#list + 1] = name
  end
  return present, missing
end

M.old_sigset = setmetatable({
  text = function(out, _, value)
    local present, missing = old_names(t.load.i32(nil, value), "text")
    if #present > 21 then
      out:put("~[", table.concat(missing, " "), "]")
    else
      out:put("[", table.concat(present, " "), "]")
    end
  end,
  read = function(_, value) return (old_names(t.load.i32(nil, value))) end,
  plain = function(_, value)
    local present = old_names(t.load.i32(nil, value))
    return #present > 0 and present or t.empty_list
  end,
}, { __index = t.ulong })

--- The same as a register (sigsuspend, ssetmask) and as memory (sigprocmask).
M.old_sigset_cell = (function()
  local cell = t.cell(M.old_sigset)
  return setmetatable({ text = function(out, call, value) M.old_sigset.text(out, call, value) end },
    { __index = cell })
end)()

--- Bytes in memory of a fixed size, with a text of their own.
---@param size integer
---@param text fun(out: table, call: table, bytes: string)
---@param plain function|nil
function M.record(size, text, plain)
  return t.custom {
    fetch = function(call, address)
      local bytes = call.memory:read(address, size)
      return bytes and #bytes == size and bytes or nil
    end,
    text = text,
    plain = plain,
    extents = function(_, address, _, add) add(address, size) end,
    capacity = function() return size end,
  }
end

--- An integer type that is printed by the names of its parts: value -> text.
---@param of table
---@param describe fun(value: number): string
function M.described(of, describe)
  return setmetatable({
    text = function(out, _, value) out:put(describe(value)) end,
    read = function(_, value) return value end,
    plain = function(_, value) return describe(value) end,
  }, { __index = of })
end

--- A pointee as t.custom, that is what `choose` says for the call.
---@param choose fun(call: table, scope: table|nil): table
function M.pointee_by(choose)
  local self = {}
  function self.fetch(call, address, scope, for_text)
    return choose(call, scope).fetch(call, address, scope, for_text)
  end
  function self.text(out, call, value, scope) return choose(call, scope).text(out, call, value, scope) end
  function self.value(call, value, scope)
    local chosen = choose(call, scope)
    return chosen.value and chosen.value(call, value, scope) or value
  end
  function self.plain(call, value, scope) return choose(call, scope).plain(call, value, scope) end
  function self.extents(call, address, scope, add)
    local chosen = choose(call, scope)
    if chosen.extents then chosen.extents(call, address, scope, add) end
  end
  function self.capacity(call, address) return choose(call).capacity(call, address) end
  function self.bytes_of(call, value, what) return choose(call).bytes_of(call, value, what) end
  return self
end

--- One struct on 64-bit machines, another on 32-bit ones.
function M.by_bits(wide, narrow)
  return M.pointee_by(function(call) return call.arch.bits == 32 and narrow or wide end)
end

--- Words of a mask of nodes or processors: [0x1, 0].
---@param maxnode string name of the argument: how many bits
function M.node_mask(maxnode)
  local function words(call)
    local bits = tonumber(t.sibling(call, nil, maxnode)) - 1
    if bits <= 0 or bits > 1024 * 64 then return 0 end
    return math.ceil(bits / (call.arch.pointer_size * 8))
  end
  return t.custom {
    fetch = function(call, address)
      local n = words(call)
      if n == 0 then return {} end
      local size = call.arch.pointer_size
      local bytes = call.memory:read(address, n * size)
      if not bytes or #bytes < n * size then return nil end
      local list = {}
      local base = ffi.cast(size == 8 and "const uint64_t *" or "const uint32_t *", bytes)
      for i = 1, n do list[i] = base[i - 1] end
      return list
    end,
    text = function(out, call, list)
      local limit = call.text_options and call.text_options.string_limit or 32
      out:put("[")
      t.put_up_to(out, #list, limit, function(_, i)
        local digits = t.hex(list[i]):gsub("^0x", "")
        -- C's %#0*lx: the prefix is part of the width, and zero has none.
        local width = call.arch.pointer_size * 2
        out:put(digits == "0" and ("0"):rep(width) or "0x" .. ("0"):rep(width - 2 - #digits) .. digits)
      end)
      out:put("]")
    end,
    value = function(_, list)
      local nodes = {}
      for i, word in ipairs(list) do
        for b = 0, 63 do
          if bit.band(ffi.cast("uint64_t", word), bit.lshift(1ULL, b)) ~= 0 then
            nodes[#nodes + 1] = (i - 1) * 64 + b
          end
        end
      end
      return nodes
    end,
    plain = function(_, list)
      local result = {}
      for i = 1, #list do result[i] = t.hex(list[i]) end
      return #result > 0 and result or t.empty_list
    end,
    extents = function(call, address, _, add)
      local n = words(call)
      if n > 0 then add(address, n * call.arch.pointer_size) end
    end,
  }
end

function M.never() return false end

return M
