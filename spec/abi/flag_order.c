// Calls that take flags, with every bit set and arguments that must fail, for strace to print: spec/constants_spec.lua
// compares the order of the names. Prints the set's name before each call, as the path of an access(2).
#define _GNU_SOURCE
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHOW(set, ...) (access(set, F_OK), syscall(__VA_ARGS__))

int main(void) {
  const long all = -1;
  struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    unsigned long mask;
  } action = {0, 0xffffffff, 0, 0};
  struct epoll_event event = {.events = 0xffffffff};

  SHOW("open_flags", SYS_openat, -1L, 0L, 0xffffffffL, 0L);
  SHOW("mmap_prot", SYS_mprotect, 1L, 0L, 0xffffffffL);
  SHOW("mmap_flags", SYS_mmap, 0L, 0L, 0L, all, -1L, 0L);
  SHOW("mremap_flags", SYS_mremap, 1L, 0L, 0L, all, 0L);
  SHOW("clone_flags", SYS_clone, 0xffffff00L, 0L, 0L, 0L, 0L);
  SHOW("unshare_flags", SYS_unshare, 0xffffffffL);
  SHOW("wait4_options", SYS_wait4, -1L, 0L, all, 0L);
  SHOW("wait_options", SYS_waitid, 99L, 0L, 0L, all, 0L);
  SHOW("mount_flags", SYS_mount, 0L, 0L, 0L, all, 0L);
  SHOW("umount_flags", SYS_umount2, 0L, all);
  SHOW("msg_flags", SYS_sendto, -1L, 0L, 0L, all, 0L, 0L);
  SHOW("epoll_events", SYS_epoll_ctl, -1L, 1L, -1L, &event);
  SHOW("inotify_flags", SYS_inotify_add_watch, -1L, 0L, all);
  SHOW("fanotify_events", SYS_fanotify_mark, -1L, 0L, all, -1L, 0L);
  SHOW("rename_flags", SYS_renameat2, -1L, 0L, -1L, 0L, all);
  SHOW("splice_flags", SYS_splice, -1L, 0L, -1L, 0L, 0L, all);
  SHOW("fallocate_mode", SYS_fallocate, -1L, all, 0L, 0L);
  SHOW("sa_flags", SYS_rt_sigaction, 99L, &action, 0L, 8L);
  SHOW("openat2_resolve", SYS_openat2, -1L, 0L, &(unsigned long[]){0, 0, -1}, 24L);
  SHOW("move_mount_flags", SYS_move_mount, -1L, 0L, -1L, 0L, all);
  SHOW("userfaultfd_flags", SYS_userfaultfd, all);
  SHOW("flock_ops", SYS_flock, -1L, all);
  SHOW("rwf_flags", SYS_preadv2, -1L, 0L, 0L, 0L, 0L, all);
  SHOW("ptrace_options", SYS_ptrace, PTRACE_SETOPTIONS, 0L, 0L, all);
  SHOW("perf_event_open_flags", SYS_perf_event_open, 0L, 0L, 0L, 0L, all);
  SHOW("seccomp_filter_flags", SYS_seccomp, 1L, all, 0L);
  SHOW("module_init_flags", SYS_finit_module, -1L, 0L, all);
  return 0;
}
