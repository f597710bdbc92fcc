/* A 32-bit program that uses socketcall(2) and ipc(2), as old C libraries do. */
#include <netinet/in.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__i386__)
enum { IPC_64_VERSION = 0x100 };

static long call(int number, long a, long b, long c, long d, long e, long f) {
  unsigned long args[6] = {(unsigned long)a, (unsigned long)b, (unsigned long)c,
                           (unsigned long)d, (unsigned long)e, (unsigned long)f};
  return syscall(SYS_socketcall, number, args);
}

static long ipc(unsigned number, long first, long second, long third, const void *pointer, long fifth) {
  return syscall(SYS_ipc, number, first, second, third, pointer, fifth);
}

static void sockets(void) {
  int pair[2];
  char buffer[8];
  call(8, AF_UNIX, SOCK_STREAM, 0, (long)pair, 0, 0);
  call(9, pair[0], (long)"hello", 5, 0, 0, 0);
  call(10, pair[1], (long)buffer, sizeof buffer, MSG_DONTWAIT, 0, 0);
  call(10, pair[1], (long)buffer, sizeof buffer, MSG_DONTWAIT, 0, 0);
  long server = call(1, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof name;
  call(2, server, (long)&name, sizeof name, 0, 0, 0);
  call(4, server, 1, 0, 0, 0, 0);
  call(6, server, (long)&name, (long)&length, 0, 0, 0);
  call(7, server, (long)&name, (long)&length, 0, 0, 0);
  int on = 1;
  call(14, server, SOL_SOCKET, SO_REUSEADDR, (long)&on, sizeof on, 0);
  length = sizeof on;
  call(15, server, SOL_SOCKET, SO_TYPE, (long)&on, (long)&length, 0);
  call(5, -1, 0, 0, 0, 0, 0);
  call(18, -1, 0, 0, SOCK_CLOEXEC, 0, 0);
  call(3, -1, (long)&name, sizeof name, 0, 0, 0);
  call(11, -1, (long)"x", 1, 0, (long)&name, sizeof name);
  call(12, -1, (long)buffer, 1, 0, 0, 0);
  call(16, -1, 0, 0, 0, 0, 0);
  call(17, -1, 0, 0, 0, 0, 0);
  call(13, server, SHUT_RDWR, 0, 0, 0, 0);
  call(99, 1, 2, 3, 4, 5, 6);
  syscall(SYS_socketcall, 1, 1);
}

static void memory_and_messages(void) {
  long id = ipc(2, IPC_PRIVATE, 1, IPC_CREAT | 0600, NULL, 0);
  struct sembuf operation = {.sem_op = 1};
  ipc(1, id, 1, 0, &operation, 0);
  ipc(4, -1, 1, 0, &operation, 0);
  ipc(3, id, 0, IPC_RMID, NULL, 0); /* it wants a pointer */
  semctl((int)id, 0, IPC_RMID);
  id = ipc(13, IPC_PRIVATE, IPC_CREAT | 0600, 0, NULL, 0);
  struct {
    long type;
    char text[8];
  } message = {1, "hello"};
  ipc(11, id, 6, 0, &message, 0);
  ipc(1 << 16 | 12, id, 8, 0, &message, 0);
  ipc(14, id, IPC_RMID | IPC_64_VERSION, 0, NULL, 0);
  id = ipc(23, IPC_PRIVATE, 4096, IPC_CREAT | 0600, NULL, 0);
  ipc(22, 0, 0, 0, (void *)(uintptr_t)4096, 0);
  ipc(24, id, IPC_RMID | IPC_64_VERSION, 0, NULL, 0);
  ipc(99, 1, 2, 3, NULL, 4);
}

int main(void) {
  sockets();
  memory_and_messages();
  return 0;
}
#else
int main(void) { return 0; }
#endif
