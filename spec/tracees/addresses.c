/* Socket addresses of many families, whole and cut short: bind(-1) shows them and touches nothing. */
#include <arpa/inet.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/qrtr.h>
#include <linux/vm_sockets.h>
#include <linux/x25.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#define BIND(address, size) bind(-1, (const struct sockaddr *)&(address), (socklen_t)(size))

int main(void) {
  struct sockaddr_ll packet = {AF_PACKET, htons(ETH_P_ALL), 1, 1, PACKET_HOST, 6, {1, 2, 3, 4, 5, 6}};
  for (size_t size = 10; size <= sizeof packet; size += 2)
    BIND(packet, size);
  packet = (struct sockaddr_ll){AF_PACKET, htons(ETH_P_IP), 0, 0xfff0, 77, 9, {1, 2}};
  BIND(packet, sizeof packet);
  packet.sll_protocol = htons(0x1234);
  packet.sll_ifindex = 99;
  packet.sll_halen = 2;
  BIND(packet, sizeof packet);
  struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_cid = 2, .svm_port = 1234};
  BIND(vm, sizeof vm);
  BIND(vm, 12);
  vm = (struct sockaddr_vm){
      .svm_family = AF_VSOCK, .svm_reserved1 = 7, .svm_cid = 5, .svm_port = ~0u, .svm_flags = 0x83, .svm_zero = {1}};
  BIND(vm, sizeof vm);
  struct sockaddr_alg alg = {.salg_family = AF_ALG, .salg_type = "hash", .salg_name = "sha256", .salg_feat = ~0u};
  BIND(alg, sizeof alg);
  BIND(alg, 24);
  struct sockaddr_xdp xdp = {AF_XDP, 1, 1, 2, 3};
  BIND(xdp, sizeof xdp);
  BIND(xdp, 8);
  xdp.sxdp_flags = 0xfffe;
  BIND(xdp, sizeof xdp);
  struct sockaddr_x25 x25 = {AF_X25, {"0123456789"}};
  BIND(x25, sizeof x25);
  struct sockaddr_qrtr qrtr = {AF_QIPCRTR, 1, 2};
  BIND(qrtr, sizeof qrtr);
  qrtr = (struct sockaddr_qrtr){AF_QIPCRTR, ~0u, ~1u};
  BIND(qrtr, sizeof qrtr);
  struct sockaddr plain = {.sa_family = AF_UNSPEC};
  for (int size = 0; size < 4; size++)
    BIND(plain, size);
  static const unsigned short families[] = {AF_AX25, AF_IPX, AF_APPLETALK, AF_MCTP, AF_NFC, AF_PHONET, AF_TIPC, 999};
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    unsigned char bytes[16] = {(unsigned char)families[i], (unsigned char)(families[i] >> 8), 1, 2, 3, 4, 5, 6, 7, 8};
    BIND(bytes, sizeof bytes);
  }
  return 0;
}
