/* A 32-bit program that makes its socket calls and semop by socketcall(2) and ipc(2), and says what it got. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__i386__)
static void say(const char *what, long result, const char *text) {
  printf("%s %ld %s %.*s\n", what, result, result < 0 ? strerror(errno) : "ok", result > 0 ? (int)result : 0, text);
}

int main(void) {
  int pair[2] = {-1, -1};
  char buffer[32] = "";
  unsigned long make[] = {AF_UNIX, SOCK_STREAM, 0, (unsigned long)pair};
  say("socketpair", syscall(SYS_socketcall, 8, make), "");
  for (int i = 0; i < 2; i++) {
    unsigned long send[] = {(unsigned long)pair[0], (unsigned long)"hello", 5, 0};
    say("send", syscall(SYS_socketcall, 9, send), "hello");
    if (send[2] != 5) puts("the words of send have changed");
    unsigned long receive[] = {(unsigned long)pair[1], (unsigned long)buffer, sizeof buffer, MSG_DONTWAIT};
    say("recv", syscall(SYS_socketcall, 10, receive), buffer);
  }
  int set = (int)syscall(SYS_ipc, 2, IPC_PRIVATE, 1, IPC_CREAT | 0600, NULL, 0);
  struct sembuf up[2] = {{.sem_op = 1}, {.sem_op = 1}};
  say("semop", syscall(SYS_ipc, 1, set, 2, 0, up, 0), "");
  printf("value %ld\n", (long)semctl(set, 0, GETVAL));
  semctl(set, 0, IPC_RMID);
  return 0;
}
#else
int main(void) { return 77; }
#endif
