--- What the payload of a netlink message is made of: the vocabulary of the tables beside this file.
--
--   local link = parts.attributes("ifinfo_attr", "IFLA_???", { IFLA_IFNAME = parts.string, IFLA_MTU = parts.u32 })
--   link.text(out, call, bytes, context)       -- [{nla_len=7, nla_type=IFLA_IFNAME}, "lo"]
--
-- A part prints bytes that have been read from the tracee: text(out, call, bytes, context). `context` is what the parts
-- of one message know of it: `family` (AF_*) of the addresses in it.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local ip = require "luatrace.text.ip"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local t = require "luatrace.types"

local M = {}

local EXACT = 9007199254740992 -- 2^53

local function exact(raw)
  if type(raw) ~= "cdata" then return raw end
  local number = tonumber(raw)
  return number < EXACT and number > -EXACT and number or raw
end

--- A message is read whole, strings and lists are shown as far as -s allows.
local SHOWN = 32
function M.limit(call)
  local options = call.text_options
  if options and options.verbose then return math.huge end
  return options and options.string_limit or SHOWN
end
local function string_limit(call) return call.text_options and call.text_options.string_limit or SHOWN end

--- What nothing is known about.
M.hex = { text = function(out, call, bytes) quote.put_hex(out, bytes, string_limit(call)) end }

--- A string, ended by NUL or by its end.
M.string = { text = function(out, call, bytes)
  local ended = bytes:find("\0", 1, true)
  quote.put_string(out, ended and bytes:sub(1, ended - 1) or bytes, string_limit(call), not ended)
end }

--- Bytes as they are.
M.bytes = { text = function(out, call, bytes) quote.put(out, bytes, string_limit(call)) end }

--- One number of a type of luatrace.types.
---@param of table
function M.number(of)
  local ctype, size = of.ctype, of.size
  return { text = function(out, call, bytes, context)
    if #bytes < size then return M.hex.text(out, call, bytes) end
    of.text(out, call, exact(ffi.cast(ctype, bytes)[0]), context)
  end }
end

for _, name in ipairs { "u8", "u16", "u32", "u64", "i32", "uid", "fd" } do M[name] = M.number(t[name]) end

--- The number of a network interface.
M.ifindex_type = setmetatable({ text = function(out, _, value)
  local name = value ~= 0 and ip.interface_name(value)
  out:put(name and ("if_nametoindex(%s)"):format(quote.string(name)) or t.decimal(value))
end }, { __index = t.u32 })
M.ifindex = M.number(M.ifindex_type)

--- A port, in network byte order.
M.port_type = setmetatable({ text = function(out, _, value)
  out:put(("htons(%d)"):format(value % 256 * 256 + math.floor(value / 256)))
end }, { __index = t.u16 })
M.port = M.number(M.port_type)

--- A hardware address: 02:fc:00:00:00:05.
M.hardware = { text = function(out, _, bytes)
  out:put((bytes:gsub(".", function(char) return ("%02x:"):format(char:byte()) end):sub(1, -2)))
end }

local AF_INET, AF_INET6 = 2, 10

--- An address of the family of the message.
---@param family integer|nil where it is always the same
function M.address(family)
  return { text = function(out, call, bytes, context)
    local of = family or context.family
    if of == AF_INET and #bytes >= 4 then
      out:put('inet_addr("', ip.v4(bytes), '")')
    elseif of == AF_INET6 and #bytes >= 16 then
      out:put('inet_pton(AF_INET6, "', ip.v6(bytes:sub(1, 16)), '")')
    else
      M.hex.text(out, call, bytes)
    end
  end }
end

--- A struct of luatrace.types.
function M.struct(struct)
  return { struct = struct, text = function(out, call, bytes, context)
    if #bytes < struct.size(call.arch) then return M.hex.text(out, call, bytes) end
    struct.text(out, call, struct.load_from(call, ffi.cast("const uint8_t *", bytes), context), context)
  end }
end

--- Numbers one after the other, each with the name of its place: [[DEVCONF_FORWARDING]=0, ...]
---@param set string names of the places
---@param comment string
---@param of table
---@param how { first: integer?, suffix: string? }|nil the place of the first; what follows each name
function M.indexed(set, comment, of, how)
  how = how or {}
  return { text = function(out, call, bytes)
    local names, first, suffix = constants.enums[set].by_value, how.first or 0, how.suffix or ""
    local numbers, limit = ffi.cast(of.ctype, bytes), M.limit(call)
    out:put("[")
    t.put_up_to(out, math.floor(#bytes / of.size), limit, function(_, place)
      local i = place - 1
      local name = names[i + first]
      out:put("[", name and style.constant(tostring(i), name .. suffix) or ("%d /* %s */"):format(i, comment), "]=")
      of.text(out, call, exact(numbers[i]))
    end)
    out:put("]")
  end }
end

-- --- one after the other: messages, attributes ----------------------------------------------------------------------

local function align(length) return math.ceil(length / 4) * 4 end

--- Things with headers that tell their lengths, each at a multiple of four bytes; several are a list. Lengths may lie:
-- the last that can be believed gets what bytes there are, and too few for a header are shown in hexadecimal.
---@param out table
---@param call table
---@param bytes string
---@param header_size integer
---@param length_at fun(bytes: string, at: integer): integer what the header there says, itself included
---@param put fun(out: table, call: table, bytes: string, ...) one of them; its bytes are a header at least
---@vararg any for `put`
function M.put_each(out, call, bytes, header_size, length_at, put, ...)
  local at, is_list, count = 1, false, 0
  while true do
    local left = #bytes - at + 1
    if left < header_size then
      M.hex.text(out, call, bytes:sub(at))
      break
    end
    local length = length_at(bytes, at)
    local more = length >= header_size and left > align(length)
    if more and not is_list then
      is_list = true
      out:put("[")
    end
    put(out, call, bytes:sub(at, at + math.min(left, math.max(length, header_size)) - 1), ...)
    if not more then break end
    out:put(", ")
    count = count + 1
    if count >= M.limit(call) then
      out:put("...")
      break
    end
    at = at + align(length)
  end
  if is_list then out:put("]") end
end

-- --- attributes -----------------------------------------------------------------------------------------------------

local NLA_HEADER, TYPE_MASK = 4, 0x3fff
local nla_flags = t.flags("nla_flags", { comment = "NLA_F_???" })

local function u16(bytes, at) return bytes:byte(at) + bytes:byte(at + 1) * 256 end

local function put_attribute(out, call, bytes, set, context)
  local kind = u16(bytes, 3)
  local number = bit.band(kind, TYPE_MASK)
  local name = set.names and constants.enums[set.names].by_value[number]
  local body = bytes:sub(NLA_HEADER + 1)
  if #body > 0 then out:put("[") end
  out:put("{nla_len=", tostring(u16(bytes, 1)), ", nla_type=")
  if kind > TYPE_MASK then out:put(nla_flags.string(kind - number), "|") end
  out:put(style.constant(t.hex(number), name, set.comment), "}")
  if #body == 0 then return end
  out:put(", ")
  local part = name and set.parts[name] or set.default or M.hex
  part.text(out, call, body, context)
  out:put("]")
end

--- Attributes by name; those that are not named are shown in hexadecimal.
---@param names string|nil set of constants
---@param comment string|nil
---@param by_name table<string, table>|nil
---@param default table|nil
function M.attributes(names, comment, by_name, default)
  local set = { names = names, comment = comment, parts = by_name or {}, default = default }
  function set.text(out, call, bytes, context)
    M.put_each(out, call, bytes, NLA_HEADER, u16, put_attribute, set, context)
  end
  return set
end

--- A struct and the attributes behind it. Its first byte is a family; alone it is said with "...".
---@param struct table
---@param set table|nil
---@param options { family: string?, size: integer? }|nil family: the field whose family addresses have
function M.message(struct, set, options)
  options = options or {}
  local first = struct.definition[1]
  local field = options.family or first[1]
  return { text = function(out, call, bytes, context)
    local size = struct.size(call.arch)
    context.family = bytes:byte(1)
    if #bytes < size then
      out:put("{", field, "=")
      first[2].text(out, call, context.family)
      return out:put(", ...}")
    end
    M.struct(struct).text(out, call, bytes:sub(1, size), context)
    local rest = bytes:sub(align(size) + 1)
    if rest == "" then return end
    out:put(", ")
    local attributes = set or M.hex
    attributes.text(out, call, rest, context)
  end }
end

return M
