--- Socket addresses: one length, many families.
--
--   sockaddr("addrlen")          -- read at entry; as long as the argument says
--   a script sees .family, and .ip .port, .path, or .bytes

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local quote = require "luatrace.quote"
local t = require "luatrace.types"

local AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET = 1, 2, 10, 16, 17
local MAX = 128

local function be16(bytes, at) return bytes:byte(at) * 256 + bytes:byte(at + 1) end
local function le32(bytes, at)
  local a, b, c, d = bytes:byte(at, at + 3)
  return a + b * 256 + c * 65536 + d * 16777216
end

--- The longest run of zero groups becomes "::" (RFC 5952), as inet_ntop prints.
local function ipv6_text(bytes)
  local groups = {}
  for i = 1, 16, 2 do groups[#groups + 1] = be16(bytes, i) end
  local best, best_length, start = nil, 1, nil
  for i = 1, 9 do
    if groups[i] == 0 then
      start = start or i
    elseif start then
      if i - start > best_length then best, best_length = start, i - start end
      start = nil
    end
  end
  if best == 1 and best_length >= 6 and (best_length == 6 or best_length == 5) or
    (best == 1 and best_length == 5 and groups[6] == 0xffff) then
    local prefix = groups[6] == 0xffff and "::ffff:" or "::"
    return ("%s%d.%d.%d.%d"):format(prefix, bytes:byte(13, 16))
  end
  local text = ""
  local i = 1
  while i <= 8 do
    if i == best then
      text = text .. "::"
      i = i + best_length
    else
      if text ~= "" and text:sub(-1) ~= ":" then text = text .. ":" end
      text = text .. ("%x"):format(groups[i])
      i = i + 1
    end
  end
  return text
end

--- Fields of each family, for scripts; text as strace prints.
local families = {}

families[AF_UNIX] = {
  fields = function(bytes)
    local path = bytes:sub(3)
    if path:byte(1) == 0 then return { path = "@" .. path:sub(2) } end
    return { path = path:match("^[^%z]*") }
  end,
  text = function(out, bytes)
    local path = bytes:sub(3)
    if path == "" then return end
    if path:byte(1) == 0 then
      out:put(", sun_path=@", quote.string(path:sub(2)))
    else
      out:put(", sun_path=", quote.string(path:match("^[^%z]*")))
    end
  end,
}

families[AF_INET] = {
  size = 8,
  fields = function(bytes)
    return { port = be16(bytes, 3), ip = ("%d.%d.%d.%d"):format(bytes:byte(5, 8)) }
  end,
  text = function(out, bytes)
    out:put((", sin_port=htons(%d), sin_addr=inet_addr(\"%d.%d.%d.%d\")"):format(be16(bytes, 3), bytes:byte(5, 8)))
  end,
  encode = function(fields)
    local a, b, c, d = (fields.ip or "0.0.0.0"):match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if not a then error(("%q is no IPv4 address"):format(tostring(fields.ip)), 0) end
    local port = fields.port or 0
    return string.char(math.floor(port / 256), port % 256, a, b, c, d) .. ("\0"):rep(8)
  end,
}

families[AF_INET6] = {
  size = 24,
  fields = function(bytes)
    return { port = be16(bytes, 3), ip = ipv6_text(bytes:sub(9, 24)), flowinfo = le32(bytes, 5),
      scope_id = #bytes >= 28 and le32(bytes, 25) or 0 }
  end,
  text = function(out, bytes)
    local flow = bytes:byte(5) * 16777216 + bytes:byte(6) * 65536 + be16(bytes, 7)
    out:put((", sin6_port=htons(%d), sin6_flowinfo=htonl(%d)"):format(be16(bytes, 3), flow))
    out:put((", inet_pton(AF_INET6, \"%s\", &sin6_addr)"):format(ipv6_text(bytes:sub(9, 24))))
    out:put((", sin6_scope_id=%d"):format(#bytes >= 28 and le32(bytes, 25) or 0))
  end,
}

families[AF_NETLINK] = {
  size = 12,
  fields = function(bytes) return { pid = le32(bytes, 5), groups = le32(bytes, 9) } end,
  text = function(out, bytes)
    out:put((", nl_pid=%d, nl_groups=%08x"):format(le32(bytes, 5), le32(bytes, 9)))
  end,
}

families[AF_PACKET] = {
  size = 12,
  fields = function(bytes) return { protocol = be16(bytes, 3), ifindex = le32(bytes, 5) } end,
  text = function(out, bytes)
    local protocol = be16(bytes, 3)
    local name = constants.enums.ethernet_protocol.by_value[protocol] or ("%#x"):format(protocol)
    out:put((", sll_protocol=htons(%s), sll_ifindex=%d"):format(name, le32(bytes, 5)))
  end,
}

local function family_name(number)
  return constants.enums.socket_family.by_value[number] or ("%#x"):format(number)
end

local View = {}
View.__index = function(view, key)
  local bytes = rawget(view, "bytes")
  if #bytes < 2 then return nil end
  local number = bytes:byte(1) + bytes:byte(2) * 256
  if key == "family" then return family_name(number) end
  local family = families[number]
  if not family or #bytes < (family.size or 2) then return nil end
  return family.fields(bytes)[key]
end

local function text(out, call, bytes)
  if #bytes < 2 then return out:put(t.hex(call.raw[2])) end
  local number = bytes:byte(1) + bytes:byte(2) * 256
  out:put("{sa_family=", family_name(number))
  local family = families[number]
  if family and #bytes >= (family.size or 2) then
    family.text(out, bytes)
  else
    out:put(", sa_data=", quote.string(bytes:sub(3)))
  end
  out:put("}")
end

local function plain(_, bytes)
  local view = setmetatable({ bytes = bytes }, View)
  local number = #bytes >= 2 and bytes:byte(1) + bytes:byte(2) * 256 or -1
  local result = { family = view.family }
  local family = families[number]
  if family and #bytes >= (family.size or 2) then
    for key, value in pairs(family.fields(bytes)) do result[key] = value end
  end
  return result
end

local function bytes_of(_, value, what)
  if type(value) == "string" then return value end
  if getmetatable(value) == View then return value.bytes end
  if type(value) ~= "table" then error(what .. " takes { ip =, port = } or { path = }", 0) end
  if value.path then return string.char(AF_UNIX, 0) .. value.path:gsub("^@", "\0") .. "\0" end
  if value.ip or value.port then return string.char(AF_INET, 0) .. families[AF_INET].encode(value) end
  error(what .. " takes { ip =, port = } or { path = }", 0)
end

--- A pointee: a socket address whose length another argument gives.
---@param length string name of the argument: a number, or a pointer to one (value-result)
return function(length)
  local function size(call, scope)
    local n = t.sibling(call, scope, length)
    local row_index = call.row.index[length]
    if row_index and call.row[row_index].type.direction and not (scope and scope[length]) then
      -- Value-result: the kernel has written how long the address is.
      local bytes = call.memory:read(n, 4)
      if not bytes or #bytes < 4 then return 0 end
      n = ffi.cast("const int32_t *", bytes)[0]
    end
    n = tonumber(n)
    return n < 0 and 0 or n > MAX and MAX or n
  end
  return t.custom {
    fetch = function(call, address, scope)
      local n = size(call, scope)
      if n < 2 then return nil end
      local bytes = call.memory:read(address, n)
      return bytes and #bytes >= 2 and bytes or nil
    end,
    text = text,
    plain = plain,
    value = function(_, bytes) return setmetatable({ bytes = bytes }, View) end,
    extents = function(call, address, scope, add)
      local n = size(call, scope)
      if n > 0 then add(address, n) end
    end,
    capacity = function(call) return size(call, nil) end,
    bytes_of = bytes_of,
    sets_length = length,
    family_of = bit.band,
  }
end
