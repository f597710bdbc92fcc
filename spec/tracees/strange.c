/* Calls with arguments that no program means: small numbers, all bits, addresses of numbers, of text, of pointers, of
 * noise, of the last bytes that are mapped, of nothing. Nothing comes of them: it is what a tracer says of them that
 * counts. strange [SEED] */
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BASE 0x10000000ul
#define SIZE 0x10000

static const short calls[] = {
    SYS_access,
    SYS_shmctl,
    SYS_getitimer,
    SYS_accept,
    SYS_shutdown,
    SYS_listen,
    SYS_getsockname,
    SYS_getpeername,
    SYS_semop,
    SYS_semctl,
    SYS_shmdt,
    SYS_msgctl,
    SYS_flock,
    SYS_fsync,
    SYS_fdatasync,
    SYS_truncate,
    SYS_ftruncate,
    SYS_getdents,
    SYS_rename,
    SYS_mkdir,
    SYS_rmdir,
    SYS_link,
    SYS_unlink,
    SYS_symlink,
    SYS_readlink,
    SYS_chmod,
    SYS_fchmod,
    SYS_chown,
    SYS_fchown,
    SYS_lchown,
    SYS_getrlimit,
    SYS_getgroups,
    SYS_getresuid,
    SYS_getresgid,
    SYS_utime,
    SYS_fstatfs,
    SYS_getpriority,
    SYS_sched_setparam,
    SYS_sched_getparam,
    SYS_sched_setscheduler,
    SYS_sched_rr_get_interval,
    SYS_munlock,
    SYS_msync,
    SYS_umount2,
    SYS_mount,
    SYS_readahead,
    SYS_getxattr,
    SYS_lgetxattr,
    SYS_fgetxattr,
    SYS_listxattr,
    SYS_llistxattr,
    SYS_flistxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_io_destroy,
    SYS_io_getevents,
    SYS_epoll_ctl,
    SYS_getdents64,
    SYS_semtimedop,
    SYS_fadvise64,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_clock_settime,
    SYS_clock_getres,
    SYS_mq_unlink,
    SYS_mq_timedsend,
    SYS_mq_getsetattr,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_inotify_add_watch,
    SYS_inotify_rm_watch,
    SYS_mkdirat,
    SYS_renameat,
    SYS_symlinkat,
    SYS_readlinkat,
    SYS_fchmodat,
    SYS_faccessat,
    SYS_splice,
    SYS_tee,
    SYS_sync_file_range,
    SYS_vmsplice,
    SYS_eventfd,
    SYS_epoll_create1,
    SYS_bind,
    SYS_connect,
    SYS_timerfd_gettime,
    SYS_preadv,
    SYS_kcmp,
    SYS_finit_module,
    SYS_sched_getattr,
    SYS_renameat2,
    SYS_membarrier,
    SYS_copy_file_range,
    SYS_fspick,
    SYS_fsopen,
    SYS_pidfd_getfd,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_process_mrelease,
    SYS_landlock_add_rule,
};

static uint32_t state;
static uint32_t chance(uint32_t below) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) % below;
}

static void fill(unsigned char *memory) {
  uint32_t seed = 7;
  memset(memory, 0, SIZE);
  memset(memory + 0x1000, 0xff, 0x1000);
  for (uint32_t i = 0; i < 0x400; i++) {
    uint32_t small = i % 40 + 1;
    uint64_t wide = small;
    memcpy(memory + 0x2000 + 4 * i, &small, 4);
    if (i < 0x200) memcpy(memory + 0x3000 + 8 * i, &wide, 8);
  }
  strcpy((char *)memory + 0x4000, "/tmp/abc\1\n\"x");
  const uint64_t pointers[] = {BASE + 0x4000, 5, BASE + 0x2000, 16, 0xdead0000, 3};
  memcpy(memory + 0x5000, pointers, sizeof pointers);
  for (uint32_t i = 0x6000; i < 0xf000; i++)
    memory[i] = (unsigned char)((seed = seed * 1664525u + 1013904223u) >> 24);
  memset(memory + 0xf000, 'Z', 0x1000);
}

static long argument(void) {
  static const long numbers[] = {0, 1, 2, 3, 4, 7, 16, 0xffffffff, -1, 0x80000000, 0xdead0000, 4096, 5, 8, 24, 56, 64};
  static const long offsets[] = {0,      0x1000, 0x2000, 0x3000, 0x4000, 0x5000,
                                 0x6000, 0x6100, 0xfff8, 0xfff0, 0xffff, 0xffc0};
  if (chance(2)) return (long)BASE + offsets[chance(sizeof offsets / sizeof *offsets)];
  return numbers[chance(sizeof numbers / sizeof *numbers)];
}

int main(int argc, char **argv) {
  state = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
  if (getuid() == 0 && (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
    return 1;
  unsigned char *memory =
      mmap((void *)BASE, SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  open("/dev/null", O_RDWR);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    for (int k = 0; k < 6; k++) {
      fill(memory);
      long a[6];
      for (int j = 0; j < 6; j++)
        a[j] = argument();
      syscall(calls[i], a[0], a[1], a[2], a[3], a[4], a[5]);
    }
  }
  return 0;
}
