/* Its own id, its child's as fork tells it, the child's and its parent's as the child sees them, and as waitid does. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  int ends[2], seen[2];
  siginfo_t info;
  if (pipe(ends)) return 1;
  pid_t child = fork();
  if (child == 0) {
    seen[0] = getpid();
    seen[1] = getppid();
    return write(ends[1], seen, sizeof seen) == sizeof seen ? 7 : 1;
  }
  if (read(ends[0], seen, sizeof seen) != sizeof seen || waitid(P_PID, (id_t)child, &info, WEXITED)) return 2;
  printf("%d %d %d %d %d %d\n", (int)getpid(), (int)child, seen[0], seen[1], (int)info.si_pid, info.si_status);
  return 0;
}
