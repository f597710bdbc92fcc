--- Socket addresses: one length, many families.
--
--   sockaddr("addrlen")          -- read at entry; as long as the argument says
--   a script sees .family, and .ip .port, .path, or .bytes

local ffi = require "ffi"
local constants = require "luatrace.constants"
local ip = require "luatrace.text.ip"
local quote = require "luatrace.text.quote"
local style = require "luatrace.text.style"
local t = require "luatrace.types"

local AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
local MAX, SUN_PATH_END = 128, 110

local function be16(bytes, at) return bytes:byte(at) * 256 + bytes:byte(at + 1) end
local function le32(bytes, at)
  local a, b, c, d = bytes:byte(at, at + 3)
  return a + b * 256 + c * 65536 + d * 16777216
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
    local path = bytes:sub(3, SUN_PATH_END)
    if path == "" then return end
    if path:byte(1) == 0 then
      out:put(", sun_path=@", quote.string(path:sub(2)))
    else
      out:put(", sun_path=", quote.string(path:match("^[^%z]*")))
    end
  end,
}

families[AF_INET] = {
  size = 16,
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
    return { port = be16(bytes, 3), ip = ip.v6(bytes:sub(9, 24)), flowinfo = le32(bytes, 5),
      scope_id = #bytes >= 28 and le32(bytes, 25) or 0 }
  end,
  text = function(out, bytes)
    local flow = bytes:byte(5) * 16777216 + bytes:byte(6) * 65536 + be16(bytes, 7)
    out:put((", sin6_port=htons(%d), sin6_flowinfo=htonl(%d)"):format(be16(bytes, 3), flow))
    out:put((", inet_pton(AF_INET6, \"%s\", &sin6_addr)"):format(ip.v6(bytes:sub(9, 24))))
    if #bytes < 28 then return end
    -- Only an address of a link, or a multicast one of it, has an interface there.
    local scope, first, second = le32(bytes, 25), bytes:byte(9, 10)
    local is_local = (first == 0xfe and second >= 0x80 and second < 0xc0) or (first == 0xff and second % 16 == 2)
    local name = is_local and scope ~= 0 and ip.interface_name(scope)
    out:put(", sin6_scope_id=", name and ("if_nametoindex(%s)"):format(quote.string(name)) or ("%d"):format(scope))
  end,
}

families[AF_NETLINK] = {
  size = 12,
  fields = function(bytes) return { pid = le32(bytes, 5), groups = le32(bytes, 9) } end,
  text = function(out, bytes)
    local groups = le32(bytes, 9)
    local padding, pid = bytes:byte(3) + bytes:byte(4) * 256, le32(bytes, 5)
    if padding ~= 0 then out:put(", nl_pad=", t.hex(padding)) end
    out:put((", nl_pid=%d, nl_groups="):format(pid < 2147483648 and pid or pid - 4294967296),
      groups == 0 and "00000000" or ("0x%06x"):format(groups))
  end,
}

for number, family in pairs(require "luatrace.structs.sockaddr_families") do families[number] = family end

local function family_name(number)
  return constants.enums.socket_family.by_value[number] or ("%#x"):format(number)
end

local function family_text(number)
  return style.constant(t.hex(number), constants.enums.socket_family.by_value[number], "AF_???")
end

local bytes_of
local View = {}
--- A field of what the call reads is changed in a copy, which the call then reads instead.
View.__newindex = function(view, key, new)
  local bytes = rawget(view, "bytes")
  local number = #bytes >= 2 and bytes:byte(1) + bytes:byte(2) * 256 or -1
  local family = families[number]
  local fields = family and #bytes >= (family.size or 2) and family.fields(bytes) or {}
  if fields[key] == nil then error(("there is no field %q in this address"):format(tostring(key)), 2) end
  fields[key] = new
  fields.family = family_name(number)
  local call = view.call
  local changed = bytes_of(call, fields, key)
  if #changed > #bytes then
    error(("%s is longer than this address: assign the whole address before call:run()"):format(key), 2)
  end
  changed = changed .. bytes:sub(#changed + 1)
  local address = rawget(view, "argument") and t.move_argument(call, view.argument, view.address, #bytes) or
    view.address
  rawset(view, "address", address)
  local ok, message, name = call.memory:write(address, changed)
  if not ok then error(("%s cannot be written: %s (%s)"):format(key, message, name), 2) end
  rawset(view, "bytes", changed)
end
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
  out:put("{sa_family=", family_text(number))
  local family = families[number]
  if family and #bytes >= (family.size or 2) then
    family.text(out, bytes, call)
  elseif #bytes > 2 then
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

local function ipv6_bytes(address, what)
  local head, tail = address:match("^(.-)::(.*)$")
  local function groups(part)
    local list = {}
    for group in part:gmatch("[^:]+") do
      local number = #group <= 4 and tonumber(group, 16)
      if not number then error(("%s: %q is no IPv6 address"):format(what, address), 0) end
      list[#list + 1] = string.char(math.floor(number / 256), number % 256)
    end
    return list
  end
  local before, after = groups(head or address), groups(tail or "")
  local missing = 8 - #before - #after
  if missing < 0 or (not head and missing ~= 0) then error(("%s: %q is no IPv6 address"):format(what, address), 0) end
  return table.concat(before) .. ("\0\0"):rep(missing) .. table.concat(after)
end

families[AF_INET6].encode = function(fields, what)
  local port, flow, scope = fields.port or 0, fields.flowinfo or 0, fields.scope_id or 0
  local function word(number)
    return string.char(number % 256, math.floor(number / 256) % 256, math.floor(number / 65536) % 256,
      math.floor(number / 16777216))
  end
  return string.char(math.floor(port / 256), port % 256) .. word(flow) .. ipv6_bytes(fields.ip or "::", what) ..
    word(scope)
end

local takes_text = "%s takes { ip =, port = }, { path = }, another call's address, or the bytes"

bytes_of = function(_, value, what)
  if type(value) == "string" then return value end
  if getmetatable(value) == View then return value.bytes end
  if type(value) ~= "table" then error(takes_text:format(what), 0) end
  if value.port and (type(value.port) ~= "number" or value.port < 0 or value.port > 65535) then
    error(("%s: port takes a number from 0 to 65535"):format(what), 0)
  end
  if value.path then
    if #value.path > 107 then error(("%s: a path of a socket has at most 107 bytes"):format(what), 0) end
    return string.char(AF_UNIX, 0) .. value.path:gsub("^@", "\0") .. (value.path:find("^@") and "" or "\0")
  end
  if value.ip and value.ip:find(":", 1, true) then
    return string.char(AF_INET6, 0) .. families[AF_INET6].encode(value, what)
  end
  if value.ip or value.port then return string.char(AF_INET, 0) .. families[AF_INET].encode(value) end
  error(takes_text:format(what), 0)
end

--- A pointee: a socket address whose length another argument gives.
---@param length string name of the argument: a number, or a pointer to one (value-result)
return function(length)
  local function size(call, scope)
    local n = t.sibling(call, scope, length)
    local row_index = call.row.index[length]
    if row_index and call.row[row_index].type.direction and not (scope and scope[length]) then
      -- Value-result: the kernel has written how long the address is, which may be more than there was room for.
      local bytes = call.memory:read(n, 4)
      if not bytes or #bytes < 4 then return 0 end
      n = ffi.cast("const int32_t *", bytes)[0]
      local before = rawget(call, "length_before")
      if before and before < n then n = before end
    elseif scope and rawget(call, "namelen_before") and rawget(call, "namelen_before") < n then
      n = rawget(call, "namelen_before")
    end
    n = tonumber(n)
    return n < 0 and 0 or n > MAX and MAX or n
  end
  return t.custom {
    siblings = { length },
    fetch = function(call, address, scope)
      local n = size(call, scope)
      if n < 2 then return nil end
      local bytes = call.memory:read(address, n)
      if not bytes or #bytes < n then return nil end
      return { bytes = bytes, address = address }
    end,
    text = function(out, call, value) text(out, call, value.bytes) end,
    plain = function(call, value) return plain(call, value.bytes) end,
    value = function(call, value)
      return setmetatable({ bytes = value.bytes, address = value.address, call = call }, View)
    end,
    extents = function(call, address, scope, add)
      local n = size(call, scope)
      if n > 0 then add(address, n) end
    end,
    capacity = function(call) return size(call, nil) end,
    bytes_of = bytes_of,
  }
end
