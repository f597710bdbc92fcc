/* What a system administrator would like to be told of: files, a secret, permissions, sockets, a child. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char block[70000] __attribute__((aligned(4096)));

int main(void) {
  int fd = open("notes", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (write(fd, block, 70000) != 70000) return 1;
  if (pwrite(fd, block, 512, 4096) != 512) return 1;
  close(fd);
  fd = open("notes", O_RDONLY);
  for (int i = 0; i < 3; i++)
    if (read(fd, block, 10000) != 10000) return 1;
  close(fd);
  chmod("notes", 04755);
  rename("notes", "other notes");
  unlink("other notes");
  if (open("/nonexistent/file", O_RDWR) >= 0) return 1;
  fd = open("/etc/shadow", O_RDONLY);
  if (fd >= 0) close(fd);
  if (mprotect(block, 1, PROT_READ | PROT_WRITE | PROT_EXEC)) return 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc0000201)};
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  connect(s, (struct sockaddr *)&address, sizeof address);
  close(s);
  int pair[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  if (send(pair[0], "hello", 5, 0) != 5 || recv(pair[1], block, 100, 0) != 5) return 1;
  signal(SIGUSR1, SIG_IGN);
  pid_t child = fork();
  if (child == 0) _exit(3);
  waitpid(child, NULL, 0);
  return 0;
}
