/* Netlink messages of many kinds, whole, cut short and wrong, each sent to the kernel, which says what it thinks. */
#include <linux/audit.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int fd;
static struct {
  struct nlmsghdr header;
  unsigned char payload[400];
} message;

static void open_family(int family) {
  fd = socket(AF_NETLINK, SOCK_RAW, family);
  struct sockaddr_nl name = {.nl_family = AF_NETLINK};
  bind(fd, (struct sockaddr *)&name, sizeof name);
  memset(&message, 0, sizeof message);
}

/* NLM_F_DUMP makes no sense for most: the answer to it would be long. `length` counts the header. */
static void put(int type, int flags, int length) {
  message.header = (struct nlmsghdr){(unsigned)length, (unsigned short)type, (unsigned short)flags, 1, 0};
  sendto(fd, &message, (size_t)length, MSG_DONTWAIT, NULL, 0);
}

static void answer(void) {
  char buffer[4096];
  recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
}

static int attribute(int at, int type, const void *value, int size) {
  struct nlattr header = {(unsigned short)(4 + size), (unsigned short)type};
  memcpy(message.payload + at, &header, 4);
  memcpy(message.payload + at + 4, value, (size_t)size);
  return at + ((4 + size + 3) & ~3);
}

static const char number[] = "\1\0\0\0", bytes[] = "0123456789abcdef0123456789abcdef", ip[] = "\1\2\3\4\5";

static void links(void) {
  static const int lengths[] = {16, 17, 20, 32, 34, 36};
  for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++)
    put(RTM_GETLINK, NLM_F_REQUEST, lengths[i]);
  int end = attribute(16, IFLA_IFNAME, "lo", 3);
  put(RTM_GETLINK, NLM_F_REQUEST, 16 + end);
  end = attribute(end, NLA_F_NESTED | IFLA_LINKINFO, "\5\0\1\0a", 5);
  end = attribute(end, NLA_F_NET_BYTEORDER | 300, "abcd", 4);
  end = attribute(end, IFLA_MTU, "abc", 3);
  static const int numbers[] = {IFLA_LINK, IFLA_MASTER, IFLA_NET_NS_FD, IFLA_EVENT, IFLA_WEIGHT};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
    end = attribute(end, numbers[i], number, 4);
  end = attribute(end, IFLA_LINK_NETNSID, "\377\377\377\377", 4);
  end = attribute(end, IFLA_MAP, bytes, 28);
  end = attribute(end, IFLA_PHYS_PORT_NAME, "p0", 2);
  end = attribute(end, IFLA_IFALIAS, "alias", 6);
  end = attribute(end, IFLA_LINKINFO, "", 0);
  put(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, 16 + end);
  put(RTM_DELLINK, NLM_F_REQUEST | NLM_F_NONREC, 18);
}

static void addresses(void) {
  put(RTM_NEWADDR, NLM_F_REQUEST, 19);
  message.payload[0] = AF_INET;
  int end = attribute(8, IFA_ADDRESS, ip, 4);
  end = attribute(end, IFA_LOCAL, ip, 5);
  end = attribute(end, IFA_LABEL, "lo", 2);
  end = attribute(end, IFA_FLAGS, "\200\0\0\0", 4);
  end = attribute(end, IFA_CACHEINFO, bytes, 16);
  end = attribute(end, IFA_RT_PRIORITY, number, 4);
  put(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, 16 + end);
}

static void routes(void) {
  memset(message.payload, 0, sizeof message.payload);
  message.payload[0] = AF_INET;
  message.payload[4] = 254;
  int end = attribute(12, RTA_DST, ip, 4);
  end = attribute(end, RTA_IIF, number, 4);
  end = attribute(end, RTA_METRICS, "\10\0\2\0\1\0\0\0", 8);
  end = attribute(end, RTA_MULTIPATH, "\10\0\1\2\1\0\0\0", 8);
  end = attribute(end, RTA_CACHEINFO, bytes, 32);
  end = attribute(end, RTA_VIA, "\2\0\1\2\3\4", 6);
  end = attribute(end, RTA_PREF, number, 1);
  end = attribute(end, RTA_ENCAP_TYPE, number, 2);
  end = attribute(end, RTA_EXPIRES, number, 4);
  end = attribute(end, RTA_MFC_STATS, bytes, 24);
  put(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_EXCL, 16 + end);
  message.payload[10] = 0;
  put(RTM_GETRULE, NLM_F_REQUEST, 28);
  memset(message.payload, 0, sizeof message.payload);
  message.payload[0] = AF_INET;
  message.payload[4] = 1;
  message.payload[8] = message.payload[10] = 2;
  end = attribute(12, NDA_DST, ip, 4);
  end = attribute(end, NDA_LLADDR, "\1\2\3\4\5\6", 6);
  end = attribute(end, NDA_CACHEINFO, bytes, 16);
  end = attribute(end, NDA_PORT, "\0\1", 2);
  end = attribute(end, NDA_IFINDEX, number, 4);
  end = attribute(end, NDA_FLAGS_EXT, number, 4);
  put(RTM_DELNEIGH, NLM_F_REQUEST, 16 + end);
  memset(message.payload, 0, sizeof message.payload);
  end = attribute(20, TCA_KIND, "pfifo", 6);
  end = attribute(end, TCA_OPTIONS, number, 4);
  end = attribute(end, TCA_STATS, bytes, 28);
  end = attribute(end, TCA_RATE, "ab", 2);
  put(RTM_DELQDISC, NLM_F_REQUEST, 16 + end);
}

int main(void) {
  open_family(NETLINK_ROUTE);
  links();
  addresses();
  routes();
  memset(message.payload, 0, sizeof message.payload);
  static const int others[][2] = {
      {RTM_GETNSID, 20},  {RTM_GETNETCONF, 20}, {RTM_GETMDB, 24},      {RTM_GETADDRLABEL, 28}, {RTM_GETDCB, 20},
      {RTM_GETSTATS, 28}, {RTM_GETACTION, 20},  {RTM_GETNEIGHTBL, 20}, {RTM_GETTFILTER, 36},   {0x777, 32},
      {NLMSG_NOOP, 20},   {NLMSG_ERROR, 36},    {NLMSG_DONE, 20},      {NLMSG_OVERRUN, 16}};
  for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
    put(others[i][0], NLM_F_REQUEST, others[i][1]);
  struct iovec parts[2] = {{&message, 16}, {message.payload, 20}};
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  sendmsg(fd, &(struct msghdr){.msg_name = &kernel, .msg_namelen = sizeof kernel, .msg_iov = parts, .msg_iovlen = 2},
          MSG_DONTWAIT);
  answer();
  open_family(NETLINK_GENERIC);
  message.payload[0] = CTRL_CMD_GETFAMILY;
  message.payload[1] = 1;
  put(GENL_ID_CTRL, NLM_F_REQUEST, 16 + attribute(4, CTRL_ATTR_FAMILY_NAME, "nlctrl", 7));
  put(GENL_ID_CTRL, NLM_F_REQUEST, 18);
  open_family(NETLINK_AUDIT);
  put(AUDIT_GET, 0, 20);
  put(AUDIT_MMAP, NLM_F_REQUEST, 20);
  open_family(NETLINK_XFRM);
  put(0x12, NLM_F_REQUEST, 20);
  open_family(NETLINK_NETFILTER);
  put(0xa01, NLM_F_REQUEST, 32);
  put(0x100, NLM_F_REQUEST, 18);
  open_family(NETLINK_KOBJECT_UEVENT);
  sendto(fd, "add@/devices/x\0ACTION=add", 26, MSG_DONTWAIT, NULL, 0);
  memcpy(&message, "libudev\0\xfe\xed\xca\xfe", 12);
  sendto(fd, &message, 60, MSG_DONTWAIT, NULL, 0);
  open_family(NETLINK_USERSOCK);
  put(0x10, NLM_F_REQUEST, 20);
  put(0x10, NLM_F_REQUEST, 10);
  fd = -1;
  put(RTM_GETLINK, NLM_F_REQUEST, 20);
  return 0;
}
