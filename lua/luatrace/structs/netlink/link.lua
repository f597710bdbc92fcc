--- rtnetlink: attributes of links, addresses of interfaces, routes, rules, neighbours, queueing disciplines.
-- A table for each kind of message: name of the attribute -> part (parts.lua). What is missing is shown in hexadecimal.

local t = require "luatrace.types"
local p = require "luatrace.structs.netlink.parts"

local enum, flags = t.enum, t.flags
local u8, u32 = { of = t.u8 }, { of = t.u32 }

local function commented(comment, of) return { of = of.of, comment = comment } end

--- A family in one byte.
local family = enum("socket_family", commented("AF_???", u8))
local M = { family = family }

local function plain_struct(names, of)
  local definition = {}
  for name in names:gmatch("%S+") do definition[#definition + 1] = { name, of } end
  return t.struct(definition)
end

-- --- links ----------------------------------------------------------------------------------------------------------

local counters = "rx_packets tx_packets rx_bytes tx_bytes rx_errors tx_errors rx_dropped tx_dropped multicast " ..
  "collisions rx_length_errors rx_over_errors rx_crc_errors rx_frame_errors rx_fifo_errors rx_missed_errors " ..
  "tx_aborted_errors tx_carrier_errors tx_fifo_errors tx_heartbeat_errors tx_window_errors rx_compressed " ..
  "tx_compressed rx_nohandler"
local map = t.struct { { "mem_start", t.x64 }, { "mem_end", t.x64 }, { "base_addr", t.x64 }, { "irq", t.u16 },
  { "dma", t.u8 }, { "port", t.u8 }, packed = true }

--- As many of the counters as the kernel knows.
local function stats(names, of)
  local list = {}
  for name in names:gmatch("%S+") do list[#list + 1] = name end
  local shorter = {}
  return { text = function(out, call, bytes, context)
    local count = math.min(#list, math.floor(#bytes / of.size))
    if not shorter[count] then shorter[count] = p.struct(plain_struct(table.concat(list, " ", 1, count), of)) end
    shorter[count].text(out, call, bytes:sub(1, count * of.size), context)
  end }
end

local inet = p.attributes("link_inet_attr", "IFLA_INET_???", {
  IFLA_INET_CONF = p.indexed("ipv4_devconf", "IPV4_DEVCONF_???", t.i32, { first = 1, suffix = "-1" }),
})
local inet6 = p.attributes("link_inet6_attr", "IFLA_INET6_???", {
  IFLA_INET6_FLAGS = p.number(flags("inet6_if_flags", { comment = "IF_???" })),
  IFLA_INET6_CONF = p.indexed("ipv6_devconf", "DEVCONF_???", t.i32),
  IFLA_INET6_STATS = p.indexed("ipstats_mib", "IPSTATS_MIB_???", t.u64),
  IFLA_INET6_CACHEINFO = p.struct(plain_struct("max_reasm_len tstamp reachable_time retrans_time", t.u32)),
  IFLA_INET6_ICMP6STATS = p.indexed("icmp6_mib", "ICMP6_MIB_???", t.u64),
  IFLA_INET6_TOKEN = p.address(10),
  IFLA_INET6_ADDR_GEN_MODE = p.number(enum("addr_gen_mode", commented("IN6_ADDR_GEN_MODE_???", u8))),
})
local xdp = p.attributes("link_xdp_attr", "IFLA_XDP_???", { IFLA_XDP_FD = p.fd,
  IFLA_XDP_ATTACHED = p.number(enum("xdp_attached", commented("XDP_ATTACHED_???", u8))), IFLA_XDP_FLAGS = p.u32,
  IFLA_XDP_PROG_ID = p.u32, IFLA_XDP_DRV_PROG_ID = p.u32, IFLA_XDP_SKB_PROG_ID = p.u32, IFLA_XDP_HW_PROG_ID = p.u32,
  IFLA_XDP_EXPECTED_FD = p.fd })
local linkinfo = p.attributes("linkinfo_attr", "IFLA_INFO_???", { IFLA_INFO_KIND = p.string,
  IFLA_INFO_SLAVE_KIND = p.string })

M.link = p.attributes("ifinfo_attr", "IFLA_???", {
  IFLA_ADDRESS = p.hardware, IFLA_BROADCAST = p.hardware, IFLA_PERM_ADDRESS = p.hardware, IFLA_IFNAME = p.string,
  IFLA_QDISC = p.string, IFLA_IFALIAS = p.string, IFLA_PHYS_PORT_NAME = p.string, IFLA_ALT_IFNAME = p.string,
  IFLA_PARENT_DEV_NAME = p.string, IFLA_PARENT_DEV_BUS_NAME = p.string, IFLA_MTU = p.u32, IFLA_LINK = p.u32,
  IFLA_MASTER = p.u32, IFLA_TXQLEN = p.u32, IFLA_WEIGHT = p.u32, IFLA_NET_NS_PID = p.u32, IFLA_NUM_VF = p.u32,
  IFLA_GROUP = p.u32, IFLA_PROMISCUITY = p.u32, IFLA_NUM_TX_QUEUES = p.u32, IFLA_NUM_RX_QUEUES = p.u32,
  IFLA_CARRIER_CHANGES = p.u32, IFLA_GSO_MAX_SEGS = p.u32, IFLA_GSO_MAX_SIZE = p.u32, IFLA_CARRIER_UP_COUNT = p.u32,
  IFLA_CARRIER_DOWN_COUNT = p.u32, IFLA_MIN_MTU = p.u32, IFLA_MAX_MTU = p.u32, IFLA_GRO_MAX_SIZE = p.u32,
  IFLA_TSO_MAX_SIZE = p.u32, IFLA_TSO_MAX_SEGS = p.u32, IFLA_ALLMULTI = p.u32, IFLA_OPERSTATE = p.u8,
  IFLA_LINKMODE = p.u8, IFLA_CARRIER = p.u8, IFLA_PROTO_DOWN = p.u8, IFLA_NET_NS_FD = p.fd,
  IFLA_LINK_NETNSID = p.i32, IFLA_NEW_NETNSID = p.i32, IFLA_TARGET_NETNSID = p.i32, IFLA_NEW_IFINDEX = p.ifindex,
  IFLA_EXT_MASK = p.number(flags("link_ext_mask", { comment = "RTEXT_FILTER_???" })),
  IFLA_EVENT = p.number(enum("link_event", commented("IFLA_EVENT_???", u32))), IFLA_LINKINFO = linkinfo,
  IFLA_STATS = stats(counters, t.u32), IFLA_STATS64 = stats(counters .. " rx_otherhost_dropped", t.u64),
  IFLA_MAP = p.struct(map), IFLA_XDP = xdp,
  IFLA_AF_SPEC = p.attributes("socket_family", "AF_???", { AF_INET = inet, AF_INET6 = inet6 }),
})
M.ifinfomsg = t.struct { { "ifi_family", family }, { "pad", t.hidden(t.u8) },
  { "ifi_type", enum("arphrd", { of = t.u16, comment = "ARPHRD_???" }) }, { "ifi_index", p.ifindex_type },
  { "ifi_flags", flags("iff_flags", { comment = "IFF_???" }) },
  { "ifi_change", flags("iff_flags", { comment = "IFF_???" }) } }

-- --- addresses ------------------------------------------------------------------------------------------------------

local scope = enum("route_scope", { of = t.u8 })
local address_flags = flags("ifaddr_flags", { comment = "IFA_F_???" })
M.addr = p.attributes("ifaddr_attr", "IFA_???", {
  IFA_ADDRESS = p.address(), IFA_LOCAL = p.address(), IFA_BROADCAST = p.address(), IFA_ANYCAST = p.address(),
  IFA_MULTICAST = p.address(), IFA_LABEL = p.string, IFA_FLAGS = p.number(address_flags), IFA_RT_PRIORITY = p.u32,
  IFA_TARGET_NETNSID = p.i32, IFA_CACHEINFO = p.struct(plain_struct("ifa_prefered ifa_valid cstamp tstamp", t.u32)),
})
M.ifaddrmsg = t.struct { { "ifa_family", family }, { "ifa_prefixlen", t.u8 },
  { "ifa_flags", flags("ifaddr_flags", { of = t.u8, comment = "IFA_F_???" }) }, { "ifa_scope", scope },
  { "ifa_index", p.ifindex_type } }

-- --- routes and rules -----------------------------------------------------------------------------------------------

local tables = enum("route_table", { of = t.u32, style = "decimal" })
local table_byte = enum("route_table", { of = t.u8, style = "decimal" })
local protocol = enum("route_protocol", { of = t.u8, style = "decimal" })
local route_type = enum("route_type", commented("RTN_???", u8))
local nexthop = t.struct { { "rtnh_len", t.u16 }, { "rtnh_flags", flags("nexthop_flags", { of = t.u8,
  comment = "RTNH_F_???" }) }, { "rtnh_hops", t.u8 }, { "rtnh_ifindex", p.ifindex_type } }
local via = { text = function(out, call, bytes)
  local of = bytes:byte(1) + (bytes:byte(2) or 0) * 256
  out:put("{rtvia_family=")
  family.text(out, call, of)
  out:put(", rtvia_addr=")
  p.address(of).text(out, call, bytes:sub(3))
  out:put("}")
end }
local metrics = p.attributes("route_metric", "RTAX_???", { RTAX_CC_ALGO = p.string }, p.u32)
M.route = p.attributes("route_attr", "RTA_???", {
  RTA_DST = p.address(), RTA_SRC = p.address(), RTA_GATEWAY = p.address(), RTA_PREFSRC = p.address(),
  RTA_NEWDST = p.address(), RTA_IIF = p.ifindex, RTA_OIF = p.ifindex, RTA_PRIORITY = p.u32, RTA_METRICS = metrics,
  RTA_MULTIPATH = p.struct(nexthop), RTA_FLOW = p.u32, RTA_TABLE = p.number(tables), RTA_MARK = p.u32, RTA_VIA = via,
  RTA_PREF = p.u8, RTA_ENCAP_TYPE = p.number(enum("lwtunnel_encap", { of = t.u16, comment = "LWTUNNEL_ENCAP_???" })),
  RTA_UID = p.u32, RTA_TTL_PROPAGATE = p.u8, RTA_IP_PROTO = p.u8, RTA_SPORT = p.u16, RTA_DPORT = p.u16,
  RTA_CACHEINFO = p.struct(t.struct { { "rta_clntref", t.u32 }, { "rta_lastuse", t.u32 }, { "rta_expires", t.u32 },
    { "rta_error", t.u32 }, { "rta_used", t.u32 }, { "rta_id", t.x32 }, { "rta_ts", t.u32 }, { "rta_tsage", t.u32 } }),
  RTA_MFC_STATS = p.struct(plain_struct("mfcs_packets mfcs_bytes mfcs_wrong_if", t.u64)),
})
M.rtmsg = t.struct { { "rtm_family", family }, { "rtm_dst_len", t.u8 }, { "rtm_src_len", t.u8 }, { "rtm_tos", t.u8 },
  { "rtm_table", table_byte }, { "rtm_protocol", protocol }, { "rtm_scope", scope }, { "rtm_type", route_type },
  { "rtm_flags", flags("route_flags", { comment = "RTM_F_???" }) } }

M.rule = p.attributes("rule_attr", "FRA_???", {
  FRA_DST = p.address(), FRA_SRC = p.address(), FRA_IIFNAME = p.string, FRA_OIFNAME = p.string, FRA_GOTO = p.u32,
  FRA_PRIORITY = p.u32, FRA_FWMARK = p.u32, FRA_FLOW = p.u32, FRA_TUN_ID = p.u64, FRA_SUPPRESS_IFGROUP = p.u32,
  FRA_SUPPRESS_PREFIXLEN = p.u32, FRA_TABLE = p.number(tables), FRA_FWMASK = p.u32, FRA_L3MDEV = p.u8,
  FRA_UID_RANGE = p.struct(plain_struct("start end", t.u32)), FRA_PROTOCOL = p.number(protocol), FRA_IP_PROTO = p.u8,
  FRA_SPORT_RANGE = p.struct(plain_struct("start end", t.u16)),
  FRA_DPORT_RANGE = p.struct(plain_struct("start end", t.u16)),
})
M.rulemsg = t.struct { { "family", family }, { "dst_len", t.u8 }, { "src_len", t.u8 },
  { "tos", setmetatable({ size = 1, ctype = "const uint8_t *" }, { __index = t.x32 }) },
  { "table", table_byte }, { "res1", t.hidden(t.u8) }, { "res2", t.hidden(t.u8) },
  { "action", enum("rule_action", commented("FR_ACT_???", u8)) },
  { "flags", flags("rule_flags", { comment = "FIB_RULE_???" }) } }

-- --- neighbours -----------------------------------------------------------------------------------------------------

M.neighbour = p.attributes("neighbour_attr", "NDA_???", {
  NDA_DST = p.address(), NDA_LLADDR = p.hardware, NDA_PROBES = p.u32, NDA_VLAN = p.u16, NDA_PORT = p.port,
  NDA_CACHEINFO = p.struct(plain_struct("ndm_confirmed ndm_used ndm_updated ndm_refcnt", t.u32)), NDA_VNI = p.u32,
  NDA_IFINDEX = p.ifindex, NDA_MASTER = p.ifindex, NDA_LINK_NETNSID = p.u32, NDA_SRC_VNI = p.u32, NDA_NH_ID = p.u32,
  NDA_PROTOCOL = p.number(enum("inet_protocol", commented("IPPROTO_???", u8))),
  NDA_FLAGS_EXT = p.number(flags("neighbour_ext_flags", { comment = "NTF_EXT_???" })),
})
M.ndmsg = t.struct { { "ndm_family", family }, { "pad1", t.hidden(t.u8) }, { "pad2", t.hidden(t.u16) },
  { "ndm_ifindex", p.ifindex_type }, { "ndm_state", flags("neighbour_state", { of = t.u16, comment = "NUD_???" }) },
  { "ndm_flags", flags("neighbour_flags", { of = t.u8, comment = "NTF_???" }) }, { "ndm_type", route_type } }

-- --- traffic control ------------------------------------------------------------------------------------------------

local stats2 = p.attributes("tc_stats_attr", "TCA_STATS_???", {
  TCA_STATS_BASIC = p.struct(t.struct { { "bytes", t.u64 }, { "packets", t.u32 }, packed = true }),
  TCA_STATS_QUEUE = p.struct(plain_struct("qlen backlog drops requeues overlimits", t.u32)),
  TCA_STATS_RATE_EST = p.struct(plain_struct("bps pps", t.u32)),
  TCA_STATS_RATE_EST64 = p.struct(plain_struct("bps pps", t.u64)),
})
M.tc = p.attributes("tc_attr", "TCA_???", {
  TCA_KIND = p.string, TCA_CHAIN = p.u32, TCA_HW_OFFLOAD = p.u8, TCA_INGRESS_BLOCK = p.u32, TCA_EGRESS_BLOCK = p.u32,
  TCA_STATS2 = stats2, TCA_RATE = p.struct(t.struct { { "interval", t.i8 }, { "ewma_log", t.u8 } }),
  TCA_STATS = p.struct(t.struct { { "bytes", t.u64 }, { "packets", t.u32 }, { "drops", t.u32 }, { "overlimits", t.u32 },
    { "bps", t.u32 }, { "pps", t.u32 }, { "qlen", t.u32 }, { "backlog", t.u32 }, packed = true }),
})
M.tcmsg = t.struct { { "tcm_family", family }, { "pad1", t.hidden(t.u8) }, { "pad2", t.hidden(t.u16) },
  { "tcm_ifindex", p.ifindex_type }, { "tcm_handle", t.u32 }, { "tcm_parent", t.u32 }, { "tcm_info", t.u32 } }

-- --- bridges, labels, data centres, statistics ----------------------------------------------------------------------

local no_pad = { "pad1", t.hidden(t.u8) }
M.br_port_msg = t.struct { { "family", family }, { "ifindex", p.ifindex_type } }
M.ifaddrlblmsg = t.struct { { "ifal_family", family }, no_pad, { "ifal_prefixlen", t.u8 }, { "ifal_flags", t.u8 },
  { "ifal_index", p.ifindex_type }, { "ifal_seq", t.u32 } }
M.dcbmsg = t.struct { { "dcb_family", family }, { "cmd", enum("dcb_cmd", commented("DCB_CMD_???", u8)) },
  { "dcb_pad", t.hidden(t.u16) } }
M.if_stats_msg = t.struct { { "family", family }, no_pad, { "pad2", t.hidden(t.u16) }, { "ifindex", p.ifindex_type },
  { "filter_mask", t.x32 } }

return M
