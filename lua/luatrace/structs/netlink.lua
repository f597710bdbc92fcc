--- Netlink messages (netlink(7)): headers, errors, and the payloads of the families that tables know.
--
--   netlink.text(out, call, bytes, family)      -- [{nlmsg_len=20, nlmsg_type=NLMSG_DONE, ...}, 0]
--
-- The tables: link.lua (rtnetlink), diag.lua (sock_diag). What has none is shown in hexadecimal.

local bit = require "bit"
local ffi = require "ffi"
local constants = require "luatrace.constants"
local style = require "luatrace.text.style"
local t = require "luatrace.types"
local p = require "luatrace.structs.netlink.parts"

local M = {}

local HEADER = 16
local REQUEST, CAPPED = 0x1, 0x100
local NOOP, ERROR, DONE, MIN_TYPE = 1, 2, 3, 16

-- --- families: names of types, flags that depend on them, payloads ---------------------------------------------------

local ROUTE, SOCK_DIAG, XFRM, AUDIT, NETFILTER, UEVENT, GENERIC, CRYPTO = 0, 4, 6, 9, 12, 15, 16, 21

local control = t.enum("netlink_type", { of = t.u32, comment = "NLMSG_???" })
local function types(set, comment) return t.enum(set, { of = t.u32, comment = comment }) end

local subsystems, nftables = constants.enums.nfnetlink_subsys, constants.enums.nftables_msg
local NFTABLES, CONNTRACK = 10, 1
local netfilter_messages = { [NFTABLES] = "nftables_msg", [CONNTRACK] = "conntrack_msg" }

--- NFNL_SUBSYS_NFTABLES<<8|NFT_MSG_NEWTABLE
local netfilter_type = { text = function(out, call, value)
  local subsystem, message = math.floor(value / 256), value % 256
  if subsystem == 0 then return types("nfnetlink_msg", "NFNL_MSG_???").text(out, call, value) end
  local set = netfilter_messages[subsystem]
  out:put(style.constant(t.hex(subsystem), subsystems.by_value[subsystem], "NFNL_SUBSYS_???"), "<<8|",
    style.constant(t.hex(message), set and constants.enums[set].by_value[message]))
end }

--- Names of generic netlink's families, as the kernel has given them.
local generic_type = { text = function(out, _, value)
  local name = require("luatrace.sys.sock_diag").generic_families()[value] or
    constants.enums.genetlink_id.by_value[value]
  out:put(style.constant(t.hex(value), name, "GENERIC_FAMILY_???"))
end }

local families = {
  [ROUTE] = types("rtnetlink_type", "RTM_???"), [SOCK_DIAG] = types("sock_diag_type", "SOCK_DIAG_???"),
  [XFRM] = types("xfrm_msg", "XFRM_MSG_???"), [AUDIT] = types("audit_msg", "AUDIT_???"),
  [NETFILTER] = netfilter_type, [GENERIC] = generic_type, [CRYPTO] = types("netlink_crypto_msg", "CRYPTO_MSG_???"),
}

local function put_type(out, call, kind, family)
  local names = families[family]
  if kind < MIN_TYPE or not names then return control.text(out, call, kind) end
  names.text(out, call, kind)
end

--- Flags above the common ones mean what the message asks for.
local common = "netlink_flags"
local by_verb = { [0] = "netlink_new_flags", "netlink_delete_flags", "netlink_get_flags" }
local named_sets = { [XFRM] = "xfrm_msg", [CRYPTO] = "netlink_crypto_msg" }

local function flag_set(kind, family)
  if kind < MIN_TYPE and family ~= NETFILTER then return kind == ERROR and "netlink_ack_flags" or nil end
  if family == ROUTE then return by_verb[kind % 4] end
  if family == SOCK_DIAG then return "netlink_get_flags" end
  local name
  if family == NETFILTER then
    name = math.floor(kind / 256) == NFTABLES and nftables.by_value[kind % 256] or
      math.floor(kind / 256) == CONNTRACK and constants.enums.conntrack_msg.by_value[kind % 256]
  elseif named_sets[family] then
    name = constants.enums[named_sets[family]].by_value[kind]
  end
  name = name or ""
  return name:find "_NEW" and by_verb[0] or name:find "_DEL" and by_verb[1] or name:find "_GET" and by_verb[2] or nil
end

local function put_flags(out, flags, kind, family)
  local parts, left = {}, flags
  local function take(set)
    for i = 1, #set do
      local value = set[i][2]
      if value ~= 0 and bit.band(left, value) == value then
        parts[#parts + 1] = set[i][1]
        left = left - value
      end
    end
  end
  take(constants.flags[common])
  local more = flag_set(kind, family)
  if more then take(constants.flags[more]) end
  if left ~= 0 then parts[#parts + 1] = t.hex(left) .. (#parts == 0 and " /* NLM_F_??? */" or "") end
  out:put(style.described(t.hex(flags), #parts > 0 and table.concat(parts, "|") or "0"))
end

--- The payloads of rtnetlink, by message without its verb.
local route_payloads
local function route_payload(kind)
  if not route_payloads then
    local link = require "luatrace.structs.netlink.link"
    local function family_only(field) return p.message(t.struct { { field, link.family }, { "pad", t.hidden(t.u8) },
      { "pad2", t.hidden(t.u16) } }, p.attributes(nil, nil)) end
    route_payloads = { LINK = p.message(link.ifinfomsg, link.link), ADDR = p.message(link.ifaddrmsg, link.addr),
      ROUTE = p.message(link.rtmsg, link.route), RULE = p.message(link.rulemsg, link.rule),
      NEIGH = p.message(link.ndmsg, link.neighbour), QDISC = p.message(link.tcmsg, link.tc),
      TCLASS = p.message(link.tcmsg, link.tc), TFILTER = p.message(link.tcmsg, link.tc),
      CHAIN = p.message(link.tcmsg, link.tc), NSID = family_only "rtgen_family", NETCONF = family_only "ncm_family",
      NEIGHTBL = family_only "ndtm_family", ACTION = family_only "tca_family", MDB = p.message(link.br_port_msg),
      ADDRLABEL = p.message(link.ifaddrlblmsg), DCB = p.message(link.dcbmsg), STATS = p.message(link.if_stats_msg) }
  end
  local name = constants.enums.rtnetlink_type.by_value[kind]
  local what = name and name:match "^RTM_%u%u%u([%u]+)$"
  return what and route_payloads[what]
end

local function put_unknown_route(out, call, bytes)
  out:put("{family=")
  require("luatrace.structs.netlink.link").family.text(out, call, bytes:byte(1))
  if #bytes > 1 then
    out:put(", data=")
    p.hex.text(out, call, bytes:sub(2))
  end
  out:put("}")
end

local nfgenmsg
local function put_netfilter(out, call, bytes, context)
  if #bytes < 4 then return p.hex.text(out, call, bytes) end
  local subsystem, resource = math.floor(context.kind / 256), bytes:byte(3) * 256 + bytes:byte(4)
  nfgenmsg = nfgenmsg or t.enum("socket_family", { of = t.u8, comment = "AF_???" })
  out:put("{nfgen_family=")
  nfgenmsg.text(out, call, bytes:byte(1))
  out:put(", version=", bytes:byte(2) == 0 and "NFNETLINK_V0" or t.hex(bytes:byte(2)) .. " /* NFNETLINK_V??? */",
    ", res_id=htons(", subsystem ~= 0 and resource == subsystem and subsystems.by_value[resource] or resource, ")}")
  if #bytes > 4 then
    out:put(", ")
    p.attributes(nil, nil).text(out, call, bytes:sub(5), context)
  end
end

local function put_payload(out, call, bytes, context)
  local kind, family = context.kind, context.netlink_family
  if family == ROUTE then
    local part = route_payload(kind)
    if part then return part.text(out, call, bytes, context) end
    return put_unknown_route(out, call, bytes)
  elseif family == SOCK_DIAG and kind == 20 then
    return require("luatrace.structs.netlink.diag").text(out, call, bytes, context)
  elseif family == NETFILTER then
    return put_netfilter(out, call, bytes, context)
  end
  p.hex.text(out, call, bytes)
end

-- --- messages -------------------------------------------------------------------------------------------------------

local function words_at(bytes, at)
  return ffi.cast("const uint32_t *", ffi.cast("const char *", bytes) + at - 1)
end

local function length_at(bytes, at) return words_at(bytes, at)[0] end

local function header_of(bytes)
  local words = words_at(bytes, 1)
  return { length = words[0], kind = words[1] % 65536, flags = math.floor(words[1] / 65536), sequence = words[2],
    port = bit.tobit(words[3]) }
end

local function put_header(out, call, header, family)
  out:put("{nlmsg_len=", tostring(header.length), ", nlmsg_type=")
  put_type(out, call, header.kind, family)
  out:put(", nlmsg_flags=")
  put_flags(out, header.flags, header.kind, family)
  out:put((", nlmsg_seq=%d, nlmsg_pid=%d}"):format(header.sequence, header.port))
end

local put_message

local function put_error(out, call, bytes, header, family)
  if #bytes < 4 then return p.hex.text(out, call, bytes) end
  local number = ffi.cast("const int32_t *", bytes)[0]
  local message = bytes:sub(5)
  local inner = #message >= HEADER and header_of(message)
  -- The message that was wrong, or only its header; what is behind it are attributes.
  local length = #message
  if inner then
    length = bit.band(header.flags, CAPPED) ~= 0 and HEADER or math.min(#message, math.max(HEADER, inner.length))
  end
  local rest = message:sub(length + 1)
  if rest ~= "" then out:put("[") end
  local name = constants.errno.by_value[-number]
  out:put("{error=",
    number == 0 and "0" or style.constant(tostring(number), number < 0 and name and "-" .. name or nil))
  if #message > 0 then
    out:put(", msg=")
    if inner then
      put_message(out, call, message:sub(1, length), family)
    else
      p.hex.text(out, call, message)
    end
  end
  out:put("}")
  if rest == "" then return end
  out:put(", ")
  p.attributes("nlmsgerr_attr", "NLMSGERR_ATTR_???", { NLMSGERR_ATTR_MSG = p.string, NLMSGERR_ATTR_OFFS = p.u32,
    NLMSGERR_ATTR_COOKIE = p.hex }).text(out, call, rest, {})
  out:put("]")
end

--- One message, all of the bytes.
put_message = function(out, call, bytes, family)
  local header = header_of(bytes)
  local payload = bytes:sub(HEADER + 1, header.length)
  if payload == "" then return put_header(out, call, header, family) end
  out:put("[")
  put_header(out, call, header, family)
  out:put(", ")
  if header.kind == ERROR and family ~= NETFILTER then
    put_error(out, call, payload, header, family)
  elseif header.kind == DONE and #payload >= 4 then
    out:put(tostring(ffi.cast("const int32_t *", payload)[0]))
  elseif header.kind == NOOP or header.kind < MIN_TYPE and family ~= NETFILTER then
    p.hex.text(out, call, payload)
  else
    put_payload(out, call, payload, { kind = header.kind, netlink_family = family,
      is_request = bit.band(header.flags, REQUEST) ~= 0 })
  end
  out:put("]")
end

--- udev's own messages have a header of their own.
local UDEV_HEADER = 40
local function put_uevent(out, call, bytes)
  if bytes:sub(1, 8) ~= "libudev\0" or #bytes < UDEV_HEADER then return p.bytes.text(out, call, bytes) end
  local words = ffi.cast("const uint32_t *", bytes)
  local function network(i)
    local value = bit.bswap(bit.tobit(words[i]))
    return ("htonl(%s)"):format(t.hex(value % 4294967296))
  end
  out:put(('[{prefix="libudev", magic=%s, header_size=%d, properties_off=%d, properties_len=%d, '):format(network(2),
    words[3], words[4], words[5]))
  out:put(("filter_subsystem_hash=%s, filter_devtype_hash=%s, filter_tag_bloom_hi=%s, filter_tag_bloom_lo=%s}"):format(
    network(6), network(7), network(8), network(9)))
  if #bytes > UDEV_HEADER then
    out:put(", ")
    p.bytes.text(out, call, bytes:sub(UDEV_HEADER + 1))
  end
  out:put("]")
end

--- A datagram of a netlink socket.
---@param out table
---@param call table
---@param bytes string
---@param family integer NETLINK_ROUTE and so on; -1: not known
function M.text(out, call, bytes, family)
  if family == UEVENT then return put_uevent(out, call, bytes) end
  p.put_each(out, call, bytes, HEADER, length_at, put_message, family)
end

return M
