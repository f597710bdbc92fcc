/* Descriptors of every kind, each looked at with fstat and getsockname: what -y and -yy say of them. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void look(int fd) {
  struct stat found;
  fstat(fd, &found);
}

static void look_at_socket(int fd) {
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  getsockname(fd, (struct sockaddr *)&name, &length);
  look(fd);
}

/* A listener, a connection to it, both ends, and what is left when one end is closed. */
static void inet(int family, int type) {
  struct sockaddr_storage name = {0};
  socklen_t length = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
  name.ss_family = (sa_family_t)family;
  if (family == AF_INET)
    ((struct sockaddr_in *)&name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    ((struct sockaddr_in6 *)&name)->sin6_addr = in6addr_loopback;
  int server = socket(family, type, 0);
  look_at_socket(server);
  if (bind(server, (struct sockaddr *)&name, length)) return;
  getsockname(server, (struct sockaddr *)&name, &length);
  int client = socket(family, type, 0);
  if (type == SOCK_STREAM) listen(server, 1);
  look_at_socket(server);
  if (connect(client, (struct sockaddr *)&name, length)) return;
  look_at_socket(client);
  if (type == SOCK_STREAM) {
    int peer = accept(server, NULL, NULL);
    look_at_socket(peer);
    send(peer, "x", 1, 0);
    close(peer);
  }
  shutdown(client, SHUT_WR);
  close(client);
  close(server);
}

static void unix_domain(int type, const char *path, size_t size) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  memcpy(name.sun_path, path, size);
  socklen_t length = (socklen_t)(sizeof name.sun_family + size);
  int server = socket(AF_UNIX, type, 0), client = socket(AF_UNIX, type, 0);
  look_at_socket(server);
  bind(server, (struct sockaddr *)&name, length);
  if (type != SOCK_DGRAM) listen(server, 1);
  look_at_socket(server);
  connect(client, (struct sockaddr *)&name, length);
  look_at_socket(client);
  if (type != SOCK_DGRAM) {
    int peer = accept(server, NULL, NULL);
    look_at_socket(peer);
    close(peer);
  }
  close(client);
  close(server);
  if (*path) unlink(path);
}

static void others(void) {
  int fd = open("/dev/null", O_RDONLY);
  look(fd);
  fd = open("/dev/zero", O_RDONLY);
  look(fd);
  fd = open("gone", O_CREAT | O_RDWR, 0600);
  unlink("gone");
  look(fd);
  fd = open("a<b>\n\"c", O_CREAT | O_RDWR, 0600);
  look(fd);
  unlink("a<b>\n\"c");
  look(epoll_create1(0));
  look(eventfd(0, 0));
  look(timerfd_create(CLOCK_MONOTONIC, 0));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGCHLD);
  look(signalfd(-1, &set, 0));
  look((int)syscall(SYS_memfd_create, "room", 0));
  int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  look(pidfd);
  pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
  pidfd = (int)syscall(SYS_pidfd_open, child, 0);
  waitpid(child, NULL, 0);
  look(pidfd);
  int root = open("/", O_RDONLY | O_DIRECTORY);
  struct stat found;
  fstatat(root, "etc", &found, 0);
  fstatat(AT_FDCWD, ".", &found, 0);
}

int main(void) {
  inet(AF_INET, SOCK_STREAM);
  inet(AF_INET, SOCK_DGRAM);
  inet(AF_INET6, SOCK_STREAM);
  inet(AF_INET6, SOCK_DGRAM);
  unix_domain(SOCK_STREAM, "\0luatrace-name", 14);
  unix_domain(SOCK_STREAM, "socket", 7);
  unix_domain(SOCK_DGRAM, "socket", 7);
  unix_domain(SOCK_SEQPACKET, "sock\"et>", 9);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
  look(pair[0]);
  int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  look_at_socket(netlink);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
  bind(netlink, (struct sockaddr *)&address, sizeof address);
  look_at_socket(netlink);
  int uevents = socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
  bind(uevents, (struct sockaddr *)&(struct sockaddr_nl){.nl_family = AF_NETLINK}, sizeof address);
  look_at_socket(uevents);
  look_at_socket(socket(AF_PACKET, SOCK_RAW, 0));
  look_at_socket(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
  look_at_socket(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  look_at_socket(socket(AF_ALG, SOCK_SEQPACKET, 0));
  look_at_socket(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
  look_at_socket(socket(AF_VSOCK, SOCK_STREAM, 0));
  others();
  return 0;
}
