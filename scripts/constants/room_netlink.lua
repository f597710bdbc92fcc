--- Netlink: families, headers, rtnetlink messages and attributes.

return {
  title = "Constants of netlink.",

  { "enum", "netlink_family", "NETLINK_", "linux/netlink.h", [[
    NETLINK_ROUTE NETLINK_UNUSED NETLINK_USERSOCK NETLINK_FIREWALL NETLINK_SOCK_DIAG NETLINK_NFLOG NETLINK_XFRM
    NETLINK_SELINUX NETLINK_ISCSI NETLINK_AUDIT NETLINK_FIB_LOOKUP NETLINK_CONNECTOR NETLINK_NETFILTER NETLINK_IP6_FW
    NETLINK_DNRTMSG NETLINK_KOBJECT_UEVENT NETLINK_GENERIC NETLINK_SCSITRANSPORT NETLINK_ECRYPTFS NETLINK_RDMA
    NETLINK_CRYPTO NETLINK_SMC ]] },
  { "enum", "netlink_type", "NLMSG_", "linux/netlink.h", "NLMSG_NOOP NLMSG_ERROR NLMSG_DONE NLMSG_OVERRUN" },
  { "flags", "netlink_flags", "NLM_F_", "linux/netlink.h",
    "NLM_F_REQUEST NLM_F_MULTI NLM_F_ACK NLM_F_ECHO NLM_F_DUMP_INTR NLM_F_DUMP_FILTERED" },
  { "flags", "netlink_get_flags", "NLM_F_", "linux/netlink.h", "NLM_F_DUMP NLM_F_ROOT NLM_F_MATCH NLM_F_ATOMIC" },
  { "flags", "netlink_new_flags", "NLM_F_", "linux/netlink.h", "NLM_F_REPLACE NLM_F_EXCL NLM_F_CREATE NLM_F_APPEND" },
  { "flags", "netlink_delete_flags", "NLM_F_", "linux/netlink.h", "NLM_F_NONREC NLM_F_BULK" },
  { "flags", "netlink_ack_flags", "NLM_F_", "linux/netlink.h", "NLM_F_CAPPED NLM_F_ACK_TLVS" },
  { "enum", "nlmsgerr_attr", "NLMSGERR_ATTR_", "linux/netlink.h", "NLMSGERR_ATTR_*" },
  { "flags", "nla_flags", "NLA_F_", "linux/netlink.h", "NLA_F_NESTED NLA_F_NET_BYTEORDER" },

  { "enum", "rtnetlink_type", "RTM_", "linux/rtnetlink.h", [[ RTM_NEW* RTM_DEL* RTM_GET* RTM_SETLINK RTM_SETNEIGHTBL
    RTM_SETDCB RTM_SETSTATS ]] },
  { "enum", "ifinfo_attr", "IFLA_", "linux/if_link.h", [[
    IFLA_UNSPEC IFLA_ADDRESS IFLA_BROADCAST IFLA_IFNAME IFLA_MTU IFLA_LINK IFLA_QDISC IFLA_STATS IFLA_COST IFLA_PRIORITY
    IFLA_MASTER IFLA_WIRELESS IFLA_PROTINFO IFLA_TXQLEN IFLA_MAP IFLA_WEIGHT IFLA_OPERSTATE IFLA_LINKMODE IFLA_LINKINFO
    IFLA_NET_NS_PID IFLA_IFALIAS IFLA_NUM_VF IFLA_VFINFO_LIST IFLA_STATS64 IFLA_VF_PORTS IFLA_PORT_SELF IFLA_AF_SPEC
    IFLA_GROUP IFLA_NET_NS_FD IFLA_EXT_MASK IFLA_PROMISCUITY IFLA_NUM_TX_QUEUES IFLA_NUM_RX_QUEUES IFLA_CARRIER
    IFLA_PHYS_PORT_ID IFLA_CARRIER_CHANGES IFLA_PHYS_SWITCH_ID IFLA_LINK_NETNSID IFLA_PHYS_PORT_NAME IFLA_PROTO_DOWN
    IFLA_GSO_MAX_SEGS IFLA_GSO_MAX_SIZE IFLA_PAD IFLA_XDP IFLA_EVENT IFLA_NEW_NETNSID IFLA_TARGET_NETNSID
    IFLA_CARRIER_UP_COUNT IFLA_CARRIER_DOWN_COUNT IFLA_NEW_IFINDEX IFLA_MIN_MTU IFLA_MAX_MTU IFLA_PROP_LIST
    IFLA_ALT_IFNAME IFLA_PERM_ADDRESS IFLA_PROTO_DOWN_REASON IFLA_PARENT_DEV_NAME IFLA_PARENT_DEV_BUS_NAME
    IFLA_GRO_MAX_SIZE IFLA_TSO_MAX_SIZE IFLA_TSO_MAX_SEGS IFLA_ALLMULTI ]] },
  { "flags", "link_ext_mask", "RTEXT_FILTER_", "linux/rtnetlink.h", "RTEXT_FILTER_*" },
  { "enum", "link_event", "IFLA_EVENT_", "linux/if_link.h", "IFLA_EVENT_*" },
  { "enum", "link_xdp_attr", "IFLA_XDP_", "linux/if_link.h", "IFLA_XDP_*" },
  { "enum", "xdp_attached", "XDP_ATTACHED_", "linux/if_link.h", "XDP_ATTACHED_*" },
  { "enum", "link_inet_attr", "IFLA_INET_", "linux/if_link.h", "IFLA_INET_*" },
  { "enum", "link_inet6_attr", "IFLA_INET6_", "linux/if_link.h", "IFLA_INET6_*" },
  { "enum", "ipv4_devconf", "IPV4_DEVCONF_", "linux/ip.h", "IPV4_DEVCONF_*" },
  { "enum", "ipv6_devconf", "DEVCONF_", "linux/ipv6.h", "DEVCONF_*" },
  { "enum", "ipstats_mib", "IPSTATS_MIB_", "linux/snmp.h", "IPSTATS_MIB_NUM=0 IPSTATS_MIB_*" },
  { "enum", "icmp6_mib", "ICMP6_MIB_", "linux/snmp.h", "ICMP6_MIB_NUM=0 ICMP6_MIB_*" },
  { "enum", "addr_gen_mode", "IN6_ADDR_GEN_MODE_", "linux/if_link.h", "IN6_ADDR_GEN_MODE_*" },
  { "flags", "inet6_if_flags", "IF_", "stdint.h",
    "IF_RS_SENT=0x10 IF_RA_RCVD=0x20 IF_RA_MANAGED=0x40 IF_RA_OTHERCONF=0x80 IF_READY=0x80000000" },
  { "enum", "rule_attr", "FRA_", "linux/fib_rules.h", "FRA_*" },
  { "enum", "rule_action", "FR_ACT_", "linux/fib_rules.h", "FR_ACT_*" },
  { "flags", "rule_flags", "FIB_RULE_", "linux/fib_rules.h",
    "FIB_RULE_PERMANENT FIB_RULE_INVERT FIB_RULE_UNRESOLVED FIB_RULE_IIF_DETACHED FIB_RULE_OIF_DETACHED " ..
    "FIB_RULE_FIND_SADDR" },
  { "enum", "lwtunnel_encap", "LWTUNNEL_ENCAP_", "linux/lwtunnel.h", "LWTUNNEL_ENCAP_*" },
  { "flags", "nexthop_flags", "RTNH_F_", "linux/rtnetlink.h",
    "RTNH_F_DEAD RTNH_F_PERVASIVE RTNH_F_ONLINK RTNH_F_OFFLOAD RTNH_F_LINKDOWN RTNH_F_UNRESOLVED RTNH_F_TRAP" },
  { "flags", "neighbour_ext_flags", "NTF_EXT_", "linux/neighbour.h", "NTF_EXT_*" },
  { "enum", "tc_stats_attr", "TCA_STATS_", "linux/gen_stats.h", "TCA_STATS_*" },
  { "enum", "dcb_cmd", "DCB_CMD_", "linux/dcbnl.h", "DCB_CMD_*" },
  { "enum", "inet_diag_attr", "INET_DIAG_", "linux/inet_diag.h",
    "INET_DIAG_* -INET_DIAG_REQ_* -INET_DIAG_BC_* -INET_DIAG_GETSOCK_MAX -INET_DIAG_NOCOOKIE" },
  { "flags", "unix_diag_show", "UDIAG_SHOW_", "linux/unix_diag.h", "UDIAG_SHOW_*" },
  { "enum", "netlink_diag_attr", "NETLINK_DIAG_", "linux/netlink_diag.h", "NETLINK_DIAG_*" },
  { "enum", "sk_meminfo", "SK_MEMINFO_", "linux/sock_diag.h", "SK_MEMINFO_* -SK_MEMINFO_VARS" },
  { "enum", "unix_diag_attr", "UNIX_DIAG_", "linux/unix_diag.h", "UNIX_DIAG_*" },
  { "flags", "netlink_diag_show", "NDIAG_SHOW_", "linux/netlink_diag.h", "NDIAG_SHOW_*" },
  { "flags", "packet_diag_show", "PACKET_SHOW_", "linux/packet_diag.h", "PACKET_SHOW_*" },
  { "enum", "conntrack_msg", "IPCTNL_MSG_CT_", "linux/netlink.h linux/netfilter/nfnetlink_conntrack.h",
    "IPCTNL_MSG_CT_*" },
  { "enum", "linkinfo_attr", "IFLA_INFO_", "linux/if_link.h", "IFLA_INFO_*" },
  { "enum", "ifaddr_attr", "IFA_", "linux/if_addr.h", [[ IFA_UNSPEC IFA_ADDRESS IFA_LOCAL IFA_LABEL IFA_BROADCAST
    IFA_ANYCAST IFA_CACHEINFO IFA_MULTICAST IFA_FLAGS IFA_RT_PRIORITY IFA_TARGET_NETNSID IFA_PROTO ]] },
  { "flags", "ifaddr_flags", "IFA_F_", "linux/if_addr.h", "IFA_F_* -IFA_F_TEMPORARY" },
  { "enum", "route_attr", "RTA_", "linux/rtnetlink.h", [[ RTA_UNSPEC RTA_DST RTA_SRC RTA_IIF RTA_OIF RTA_GATEWAY
    RTA_PRIORITY RTA_PREFSRC RTA_METRICS RTA_MULTIPATH RTA_PROTOINFO RTA_FLOW RTA_CACHEINFO RTA_SESSION RTA_MP_ALGO
    RTA_TABLE RTA_MARK RTA_MFC_STATS RTA_VIA RTA_NEWDST RTA_PREF RTA_ENCAP_TYPE RTA_ENCAP RTA_EXPIRES RTA_PAD RTA_UID
    RTA_TTL_PROPAGATE RTA_IP_PROTO RTA_SPORT RTA_DPORT RTA_NH_ID ]] },
  { "enum", "route_metric", "RTAX_", "linux/rtnetlink.h", "RTAX_* -RTAX_FEATURE_*" },
  { "enum", "route_table", "RT_TABLE_", "linux/rtnetlink.h", [[
    RT_TABLE_UNSPEC RT_TABLE_COMPAT RT_TABLE_DEFAULT RT_TABLE_MAIN RT_TABLE_LOCAL ]] },
  { "enum", "route_type", "RTN_", "linux/rtnetlink.h", "RTN_*" },
  { "enum", "route_protocol", "RTPROT_", "linux/rtnetlink.h", "RTPROT_*" },
  { "enum", "route_scope", "RT_SCOPE_", "linux/rtnetlink.h", "RT_SCOPE_*" },
  { "flags", "route_flags", "RTM_F_", "linux/rtnetlink.h", [[
    RTNH_F_DEAD RTNH_F_PERVASIVE RTNH_F_ONLINK RTNH_F_OFFLOAD RTNH_F_LINKDOWN RTNH_F_UNRESOLVED RTNH_F_TRAP RTM_F_NOTIFY
    RTM_F_CLONED RTM_F_EQUALIZE RTM_F_PREFIX RTM_F_LOOKUP_TABLE RTM_F_FIB_MATCH RTM_F_OFFLOAD RTM_F_TRAP
    RTM_F_OFFLOAD_FAILED ]] },
  { "enum", "neighbour_attr", "NDA_", "linux/neighbour.h", "NDA_*" },
  { "flags", "neighbour_state", "NUD_", "linux/neighbour.h", "NUD_*" },
  { "flags", "neighbour_flags", "NTF_", "linux/neighbour.h",
    "NTF_USE NTF_SELF NTF_MASTER NTF_PROXY NTF_EXT_LEARNED NTF_OFFLOADED NTF_STICKY NTF_ROUTER" },
  { "enum", "tc_attr", "TCA_", "linux/rtnetlink.h", [[ TCA_UNSPEC TCA_KIND TCA_OPTIONS TCA_STATS TCA_XSTATS TCA_RATE
    TCA_FCNT TCA_STATS2 TCA_STAB TCA_PAD TCA_DUMP_INVISIBLE TCA_CHAIN TCA_HW_OFFLOAD TCA_INGRESS_BLOCK TCA_EGRESS_BLOCK
    TCA_DUMP_FLAGS ]] },
  { "enum", "netlink_group", "RTNLGRP_", "linux/rtnetlink.h", "RTNLGRP_*" },
  { "enum", "sock_diag_type", "", "linux/sock_diag.h linux/inet_diag.h",
    "TCPDIAG_GETSOCK DCCPDIAG_GETSOCK SOCK_DIAG_BY_FAMILY SOCK_DESTROY" },
  { "enum", "genetlink_id", "", "linux/genetlink.h", "GENL_ID_CTRL GENL_ID_VFS_DQUOT GENL_ID_PMCRAID" },
  { "enum", "genetlink_ctrl_cmd", "CTRL_CMD_", "linux/genetlink.h", "CTRL_CMD_*" },
  { "enum", "genetlink_ctrl_attr", "CTRL_ATTR_", "linux/genetlink.h", [[ CTRL_ATTR_UNSPEC CTRL_ATTR_FAMILY_ID
    CTRL_ATTR_FAMILY_NAME CTRL_ATTR_VERSION CTRL_ATTR_HDRSIZE CTRL_ATTR_MAXATTR CTRL_ATTR_OPS CTRL_ATTR_MCAST_GROUPS
    CTRL_ATTR_POLICY CTRL_ATTR_OP_POLICY CTRL_ATTR_OP ]] },
  { "enum", "nfnetlink_subsys", "NFNL_SUBSYS_", "linux/netfilter/nfnetlink.h", "NFNL_SUBSYS_* -NFNL_SUBSYS_COUNT" },
  { "enum", "nfnetlink_msg", "NFNL_MSG_", "linux/netlink.h linux/netfilter/nfnetlink.h", [[
    NFNL_MSG_BATCH_BEGIN NFNL_MSG_BATCH_END ]] },
  { "enum", "nftables_msg", "NFT_MSG_", "linux/netfilter/nf_tables.h", "NFT_MSG_*" },
  { "enum", "xfrm_msg", "XFRM_MSG_", "linux/xfrm.h", "XFRM_MSG_* -XFRM_MSG_BASE" },
  { "enum", "audit_msg", "AUDIT_", "linux/audit.h", [[ AUDIT_GET AUDIT_SET AUDIT_LIST AUDIT_ADD AUDIT_DEL AUDIT_USER
    AUDIT_LOGIN AUDIT_WATCH_INS AUDIT_WATCH_REM AUDIT_WATCH_LIST AUDIT_SIGNAL_INFO AUDIT_ADD_RULE AUDIT_DEL_RULE
    AUDIT_LIST_RULES AUDIT_TRIM AUDIT_MAKE_EQUIV AUDIT_TTY_GET AUDIT_TTY_SET AUDIT_SET_FEATURE AUDIT_GET_FEATURE
    AUDIT_SYSCALL AUDIT_PATH AUDIT_IPC AUDIT_SOCKETCALL AUDIT_CONFIG_CHANGE AUDIT_SOCKADDR AUDIT_CWD AUDIT_EXECVE
    AUDIT_EOE AUDIT_SECCOMP AUDIT_PROCTITLE AUDIT_FIRST_USER_MSG AUDIT_USER_AVC AUDIT_USER_TTY AUDIT_LAST_USER_MSG
    AUDIT_DAEMON_START AUDIT_DAEMON_END AUDIT_DAEMON_ABORT AUDIT_DAEMON_CONFIG AUDIT_FS_WATCH=1301 AUDIT_IPC_SET_PERM
    AUDIT_MQ_OPEN AUDIT_MQ_SENDRECV AUDIT_MQ_NOTIFY AUDIT_MQ_GETSETATTR AUDIT_KERNEL_OTHER AUDIT_FD_PAIR AUDIT_OBJ_PID
    AUDIT_TTY AUDIT_BPRM_FCAPS AUDIT_CAPSET AUDIT_MMAP AUDIT_NETFILTER_PKT AUDIT_NETFILTER_CFG AUDIT_FEATURE_CHANGE
    AUDIT_REPLACE AUDIT_KERN_MODULE AUDIT_FANOTIFY AUDIT_TIME_INJOFFSET AUDIT_TIME_ADJNTPVAL AUDIT_BPF
    AUDIT_EVENT_LISTENER AUDIT_URINGOP AUDIT_OPENAT2 AUDIT_DM_CTRL AUDIT_DM_EVENT AUDIT_AVC AUDIT_SELINUX_ERR
    AUDIT_AVC_PATH AUDIT_MAC_POLICY_LOAD AUDIT_MAC_STATUS AUDIT_MAC_CONFIG_CHANGE AUDIT_MAC_UNLBL_ALLOW
    AUDIT_MAC_CIPSOV4_ADD AUDIT_MAC_CIPSOV4_DEL AUDIT_MAC_MAP_ADD AUDIT_MAC_MAP_DEL AUDIT_MAC_IPSEC_ADDSA
    AUDIT_MAC_IPSEC_DELSA AUDIT_MAC_IPSEC_ADDSPD AUDIT_MAC_IPSEC_DELSPD AUDIT_MAC_IPSEC_EVENT AUDIT_MAC_UNLBL_STCADD
    AUDIT_MAC_UNLBL_STCDEL AUDIT_MAC_CALIPSO_ADD AUDIT_MAC_CALIPSO_DEL AUDIT_ANOM_PROMISCUOUS AUDIT_ANOM_ABEND
    AUDIT_ANOM_LINK AUDIT_ANOM_CREAT AUDIT_LAST_KERN_ANOM_MSG AUDIT_INTEGRITY_DATA AUDIT_INTEGRITY_METADATA
    AUDIT_INTEGRITY_STATUS AUDIT_INTEGRITY_HASH AUDIT_INTEGRITY_PCR AUDIT_INTEGRITY_RULE AUDIT_INTEGRITY_EVM_XATTR
    AUDIT_INTEGRITY_POLICY_RULE AUDIT_KERNEL AUDIT_LAST_USER_MSG2 AUDIT_FIRST_USER_MSG2 ]] },
  { "enum", "netlink_crypto_msg", "CRYPTO_MSG_", "linux/types.h linux/cryptouser.h", "CRYPTO_MSG_* -CRYPTO_MSG_BASE" },
}
