/* Calls that take or give ids of processes, threads, groups and sessions: what -Y and --decode-pids look at. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc > 1 && atoi(argv[1]) > 0) {
    /* In a pid namespace of its own: its init. */
    if (unshare(CLONE_NEWPID)) return 77;
    pid_t init = fork();
    if (init) return waitpid(init, NULL, 0) == init ? 0 : 1;
  }
  signal(SIGUSR1, SIG_IGN);
  pid_t self = getpid();
  getppid();
  syscall(SYS_gettid);
  getpgid(0);
  getpgid(self);
  getsid(0);
  getpgrp();
  kill(self, SIGUSR1);
  syscall(SYS_tgkill, self, self, SIGUSR1);
  pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info = {0};
  waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
  waitpid(child, NULL, 0);
  struct sched_param parameter;
  sched_getscheduler(self);
  sched_getparam(self, &parameter);
  getpriority(PRIO_PROCESS, (id_t)self);
  getpriority(PRIO_PGRP, (id_t)getpgrp());
  setpgid(0, 0);
  int fds[2];
  if (pipe(fds)) return 1;
  struct f_owner_ex owner = {F_OWNER_PID, self};
  fcntl(fds[0], F_SETOWN_EX, &owner);
  fcntl(fds[0], F_GETOWN_EX, &owner);
  fcntl(fds[0], F_SETOWN, self);
  struct rlimit limit;
  prlimit(self, RLIMIT_CORE, NULL, &limit);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds)) return 1;
  struct ucred peer;
  socklen_t length = sizeof peer;
  getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &peer, &length);
  cpu_set_t cpus;
  sched_getaffinity(self, sizeof cpus, &cpus);
  syscall(SYS_ioprio_get, 1, self);
  syscall(SYS_set_tid_address, NULL);
  return 0;
}
