/* A client of HOST-ADDRESS PORT: says hello, prints what it is told, and what its socket says of itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))}, peer;
  inet_pton(AF_INET, argv[1], &address.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, seen = 0;
  socklen_t size = sizeof seen, peer_size = sizeof peer;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (struct sockaddr *)&address, sizeof address)) return printf("%s\n", strerror(errno)), 2;
  getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &seen, &size);
  getpeername(fd, (struct sockaddr *)&peer, &peer_size);
  char text[100] = "";
  if (send(fd, "hello\n", 6, 0) != 6 || recv(fd, text, sizeof text - 1, 0) <= 0) return 3;
  printf("%s %d %d %s %d", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port), (int)peer_size, seen ? "nodelay" : "delay",
         connect(fd, (struct sockaddr *)&address, sizeof address) && errno == EISCONN);
  struct timeval timeout = {10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  size = sizeof timeout;
  getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size);
  char more;
  printf(" %d %d %s\n", timeout.tv_sec >= 10 && timeout.tv_sec < 20, recv(fd, &more, 1, 0) < 0 && errno == EAGAIN,
         text);
  return 0;
}
