#include "backend_notify.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch_x86_64.h" /* arch_call */
#include "trial.h"

/* Newer than Debian 12's headers (linux/seccomp.h of 6.6). */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1ul
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

/* The kernel writes as much as it knows of: never more than this without a new request number. */
union room {
  struct seccomp_notif notification;
  char bytes[256];
};
_Static_assert(sizeof(struct seccomp_notif) == 80, "the layout of Linux 5.0");

static int install(const struct sock_fprog *filter, bool *wait_killable) {
  long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  long listener = arch_call(SYS_seccomp, (long[6]){SECCOMP_SET_MODE_FILTER, flags, (long)filter});
  *wait_killable = listener >= 0;
  if (listener == -EINVAL) {
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER; /* before 5.19 */
    listener = arch_call(SYS_seccomp, (long[6]){SECCOMP_SET_MODE_FILTER, flags, (long)filter});
  }
  return (int)listener;
}

static bool set_flags(int listener, uint64_t flags) {
  return ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags) == 0;
}

/* --- what there is ---------------------------------------------------------------------------------------------- */

static void ask_for_listener(void *answer) {
  struct notify_features *found = answer;
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  const struct sock_fprog filter = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  int listener = install(&filter, &found->wait_killable);
  if (listener < 0)
    found->listener = listener;
  else
    found->sync_wakeup = set_flags(listener, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

/* pidfd_getfd (5.6) tried on ourselves: without it a listener could not come to us. */
static int probe_fetch(void) {
  int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (pidfd < 0) return -errno;
  int copy = (int)syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
  int error = copy < 0 ? -errno : 0;
  if (copy >= 0) close(copy);
  close(pidfd);
  return error;
}

void notify_probe(struct notify_features *features) {
  *features = (struct notify_features){.listener = probe_fetch()};
  if (features->listener) return;
  features->listener = -EAGAIN;
  trial_run(ask_for_listener, features, sizeof *features);
}

/* --- from the child to the tracer ------------------------------------------------------------------------------- */

int notify_install(struct notify_slot *slot, const struct sock_fprog *filter, bool may_yield) {
  bool wait_killable;
  int listener = install(filter, &wait_killable);
  if (listener < 0) return listener;
  atomic_store(&slot->listener, listener);
  atomic_store(&slot->state, NOTIFY_SLOT_OFFERED);
  /* If exec closed the last copy, every trapped call would fail with ENOSYS. Whoever does not take it kills us. */
  while (atomic_load(&slot->state) != NOTIFY_SLOT_TAKEN)
    if (may_yield) arch_call(SYS_sched_yield, (long[6]){0});
  return 0;
}

/* A look that takes nothing. */
static int look_at(pid_t child) {
  siginfo_t info = {0};
  if (waitid(P_PID, (id_t)child, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL)) return -ECHILD;
  if (info.si_pid == 0) return 0;
  return info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED ? -EAGAIN : -ECHILD;
}

static int fetch(pid_t child, int listener) {
  int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
  if (pidfd < 0) return -errno;
  int copy = (int)syscall(SYS_pidfd_getfd, pidfd, listener, 0); /* close-on-exec by itself */
  if (copy < 0) copy = -errno;
  close(pidfd);
  return copy;
}

int notify_take(struct notify_slot *slot, pid_t child, uint64_t deadline) {
  struct timespec pause = {.tv_nsec = 20000};
  while (atomic_load(&slot->state) == NOTIFY_SLOT_EMPTY) {
    int state = look_at(child);
    if (state) return state;
    if (tracer_now() >= deadline) return -ETIMEDOUT;
    nanosleep(&pause, NULL);
    if (pause.tv_nsec < 1000000) pause.tv_nsec *= 2;
  }
  int listener = fetch(child, atomic_load(&slot->listener));
  if (listener < 0) return listener;
  set_flags(listener, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
  atomic_store(&slot->state, NOTIFY_SLOT_TAKEN);
  return listener;
}

/* --- notifications ---------------------------------------------------------------------------------------------- */

void notify_wake_here(int listener, bool here) { set_flags(listener, here ? SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP : 0); }

int notify_receive(int listener, struct notification *notification) {
  union room room;
  memset(&room, 0, sizeof room); /* the kernel insists */
  if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &room)) {
    if (errno == ENOENT || errno == EINTR) return 0;
    return errno == ENOTCONN ? -ESRCH : -errno; /* ENOTCONN: Linux 6.12 */
  }
  const struct seccomp_notif *got = &room.notification;
  *notification = (struct notification){
      .id = got->id,
      .tid = (pid_t)got->pid,
      .arch = got->data.arch,
      .nr = (uint32_t)got->data.nr,
      .ip = got->data.instruction_pointer,
  };
  memcpy(notification->args, got->data.args, sizeof notification->args);
  return 1;
}

/* ENOENT says that nobody waits under this id any more, EINPROGRESS that it has its answer: a stale id, both. */
static int outcome(int failed) {
  if (!failed) return 0;
  return errno == ENOENT || errno == EINPROGRESS ? -ESRCH : -errno;
}

int notify_check(int listener, uint64_t id) { return outcome(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id)); }

int notify_continue(int listener, uint64_t id) {
  struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  return outcome(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer));
}

int notify_return(int listener, uint64_t id, int64_t result) {
  struct seccomp_notif_resp answer = {.id = id, .val = result};
  return outcome(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer));
}
