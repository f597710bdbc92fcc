/* Every AT_ flag in every call that takes some, whether it takes that one or not. */
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  static const unsigned flags[] = {0,      0x100,  0x200,  0x400,  0x800,  0x1000,
                                   0x2000, 0x4000, 0x8000, 0x1f00, 0x9000, 0x80000000};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    syscall(SYS_unlinkat, -1, "x", flags[i]);
    syscall(SYS_linkat, -1, "x", -1, "y", flags[i]);
    syscall(SYS_fchownat, -1, "x", 1, 1, flags[i]);
    syscall(SYS_newfstatat, -1, "x", NULL, flags[i]);
    syscall(SYS_utimensat, -1, "x", NULL, flags[i]);
    syscall(SYS_execveat, -1, "x", NULL, NULL, flags[i]);
    syscall(SYS_faccessat2, -1, "x", 0, flags[i]);
    syscall(SYS_statx, -1, "x", flags[i], 0, NULL);
    syscall(SYS_open_tree, -1, "x", flags[i]);
    syscall(SYS_mount_setattr, -1, "x", flags[i], NULL, 0);
  }
  return 0;
}
