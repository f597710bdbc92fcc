/* A program with a seccomp filter of its own: it allows little, answers getppid with EPERM and kills for getpgrp. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 1;
  setvbuf(stdout, NULL, _IONBF, 0);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, !strcmp(mode, "listener") ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0,
              &filter) < 0) {
    puts(strerror(errno));
    return 1;
  }
  long result = syscall(SYS_getppid);
  char text[64];
  int length = snprintf(text, sizeof text, "%s\n", result < 0 ? strerror(errno) : "allowed");
  if (write(1, text, (size_t)length) != length) return 1;
  /* A path that a script replaces by a longer one: scratch memory must not come from mmap here. */
  result = access("/x", F_OK);
  length = snprintf(text, sizeof text, "%ld\n", result);
  return write(1, text, (size_t)length) != length;
}
