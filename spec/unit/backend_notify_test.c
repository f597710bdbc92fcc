/*
 * The seccomp listener against the real kernel: a child under one filter with errno, notify, stop and allow makes
 * calls; we are its tracer. With the argument "bench", what one call costs under each mechanism is printed too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend_notify.h"
#include "check.h"
#include "trap_plan.h"

enum { FAILED_CALL = SYS_getpgrp, NOTIFIED_CALL = SYS_access, STOPPED_CALL = SYS_getuid, ALLOWED_CALL = SYS_getppid };
enum { CHEAP_NOTIFIED_CALL = SYS_getgid, THE_ERRNO = ENOTTY, SECOND = 1000000000 };

struct shared {
  struct notify_slot slot;
  _Atomic int error, step, result, other_result;
  uint64_t took;
};

struct child {
  pid_t pid;
  int listener;
  struct shared *shared;
  void (*body)(struct shared *);
};

static struct trap_plan *the_plan(void) {
  struct trap_plan *plan = trap_plan_new();
  static const struct trap_entry entries[] = {
      {AUDIT_ARCH_X86_64, FAILED_CALL, MECHANISM_ERRNO, THE_ERRNO, 0, 0},
      {AUDIT_ARCH_X86_64, NOTIFIED_CALL, MECHANISM_NOTIFY, 0, 0, 0},
      {AUDIT_ARCH_X86_64, CHEAP_NOTIFIED_CALL, MECHANISM_NOTIFY, 0, 0, 0},
      {AUDIT_ARCH_X86_64, STOPPED_CALL, MECHANISM_STOP, 0, 0, 0},
      {AUDIT_ARCH_X86_64, SYS_execveat, MECHANISM_NOTIFY, 0, 0, 0},
  };
  for (int i = 0; i < 5; i++)
    CHECK(trap_plan_add(plan, &entries[i], NULL) == 0);
  return plan;
}

static struct child start(void (*body)(struct shared *)) {
  struct trap_plan *plan = the_plan();
  const struct sock_filter *code;
  struct sock_fprog filter;
  CHECK(trap_plan_build_filter(plan, &code, &filter.len) == 0);
  filter.filter = (struct sock_filter *)code;
  struct child child = {.body = body};
  child.shared = mmap(NULL, sizeof *child.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  child.pid = fork();
  if (child.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    child.shared->error = notify_install(&child.shared->slot, &filter, true);
    if (!child.shared->error) body(child.shared);
    _exit(child.shared->error != 0);
  }
  child.listener = notify_take(&child.shared->slot, child.pid, tracer_now() + 5ull * SECOND);
  trap_plan_free(plan);
  return child;
}

static int finish(struct child *child) {
  int status = -1;
  if (child->listener >= 0) close(child->listener);
  waitpid(child->pid, &status, __WALL);
  munmap(child->shared, sizeof *child->shared);
  return status;
}

static bool readable(int listener, int milliseconds) {
  struct pollfd poll_fd = {.fd = listener, .events = POLLIN};
  return poll(&poll_fd, 1, milliseconds) == 1 && (poll_fd.revents & POLLIN);
}

/* --- behaviour -------------------------------------------------------------------------------------------------- */

static const char the_path[] = "/no such file, says the child";

static void two_accesses(struct shared *shared) {
  shared->result = access(the_path, R_OK) ? errno : 0;
  shared->other_result = (int)syscall(FAILED_CALL) == -1 ? errno : 0;
  shared->step = (int)syscall(NOTIFIED_CALL, the_path, W_OK); /* answered with a value */
}

static void watch_and_answer(void) {
  struct child child = start(two_accesses);
  struct notification n;
  CHECK(child.listener >= 0);
  CHECK(readable(child.listener, 5000));
  CHECK(notify_receive(child.listener, &n) == 1);
  CHECK(n.tid == child.pid && n.arch == AUDIT_ARCH_X86_64 && n.nr == NOTIFIED_CALL && n.args[1] == R_OK && n.ip != 0);
  char path[sizeof the_path] = "";
  struct iovec local = {path, sizeof path}, remote = {(void *)(uintptr_t)n.args[0], sizeof path};
  CHECK(process_vm_readv(n.tid, &local, 1, &remote, 1, 0) == (ssize_t)sizeof path);
  CHECK(strcmp(path, the_path) == 0);
  CHECK(notify_check(child.listener, n.id) == 0);
  CHECK(notify_check(child.listener, n.id + 1) == -ESRCH);
  CHECK(notify_continue(child.listener, n.id) == 0);
  CHECK(notify_continue(child.listener, n.id) == -ESRCH);

  CHECK(readable(child.listener, 5000));
  CHECK(notify_receive(child.listener, &n) == 1);
  CHECK(n.args[1] == W_OK);
  CHECK(notify_return(child.listener, n.id, 42) == 0);
  struct shared *shared = child.shared;
  siginfo_t info;
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(shared->result == ENOENT);
  CHECK(shared->other_result == THE_ERRNO);
  CHECK(shared->step == 42);
  struct pollfd hung_up = {.fd = child.listener, .events = POLLIN};
  CHECK(poll(&hung_up, 1, 5000) == 1 && (hung_up.revents & POLLHUP));
  CHECK(finish(&child) == 0);
}

static void one_access(struct shared *shared) { shared->result = access("/", F_OK) ? errno : 0; }

static void fails_with_errno(void) {
  struct child child = start(one_access);
  struct notification n;
  CHECK(readable(child.listener, 5000));
  CHECK(notify_receive(child.listener, &n) == 1);
  CHECK(notify_return(child.listener, n.id, -EIO) == 0);
  siginfo_t info;
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(child.shared->result == EIO);
  finish(&child);
}

static void death_is_a_state(void) {
  /* Before it is received: nothing is there. */
  struct child child = start(one_access);
  struct notification n;
  siginfo_t info;
  CHECK(readable(child.listener, 5000));
  kill(child.pid, SIGKILL);
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(notify_receive(child.listener, &n) <= 0);
  CHECK(WIFSIGNALED(finish(&child)));
  /* After: its id is stale. */
  child = start(one_access);
  CHECK(readable(child.listener, 5000));
  CHECK(notify_receive(child.listener, &n) == 1);
  kill(child.pid, SIGKILL);
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(notify_check(child.listener, n.id) == -ESRCH);
  CHECK(notify_continue(child.listener, n.id) == -ESRCH);
  CHECK(WIFSIGNALED(finish(&child)));
}

static _Atomic int handled;
static void handle(int signal) {
  (void)signal;
  handled++;
}

static void access_with_handler(struct shared *shared) {
  sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle}, NULL);
  shared->step = 1;
  one_access(shared);
  shared->other_result = handled;
}

/* A signal with a handler does not break off a received call (Linux 5.19): one call, one notification. */
static void signals_wait(void) {
  struct notify_features features;
  notify_probe(&features);
  if (!features.wait_killable) return;
  struct child child = start(access_with_handler);
  struct notification n;
  CHECK(readable(child.listener, 5000));
  CHECK(notify_receive(child.listener, &n) == 1);
  kill(child.pid, SIGUSR1);
  CHECK(!readable(child.listener, 20));
  CHECK(notify_check(child.listener, n.id) == 0);
  CHECK(notify_continue(child.listener, n.id) == 0);
  siginfo_t info;
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(child.shared->result == 0);
  CHECK(child.shared->other_result == 1);
  finish(&child);
}

static void second_listener(struct shared *shared) {
  struct notify_slot other = {0};
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  shared->result = notify_install(&other, &(struct sock_fprog){1, &allow}, true);
  struct notify_features features;
  notify_probe(&features);
  shared->other_result = features.listener;
}

static void one_listener_per_tree(void) {
  struct child child = start(second_listener);
  siginfo_t info;
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(child.shared->result == -EBUSY);
  CHECK(child.shared->other_result == -EBUSY);
  finish(&child);
}

static void becomes_true(struct shared *shared) {
  char *none[] = {"true", NULL};
  syscall(SYS_execveat, AT_FDCWD, "/bin/true", none, none + 1, 0);
  shared->error = errno;
}

/* The exec itself may be notified, and the listener outlives it: ld.so's access comes from the new program. */
static void survives_exec(void) {
  struct child child = start(becomes_true);
  struct notification n = {0};
  uint64_t first = 0, last = 0;
  while (readable(child.listener, 5000)) {
    if (notify_receive(child.listener, &n) != 1) continue;
    if (!first) first = n.nr;
    last = n.nr;
    CHECK(notify_continue(child.listener, n.id) == 0);
  }
  CHECK(first == SYS_execveat);
  CHECK(last == NOTIFIED_CALL);
  CHECK(finish(&child) == 0);
}

static void failed_launches(void) {
  struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pid = fork();
  if (pid == 0) _exit(3);
  int status;
  CHECK(notify_take(&shared->slot, pid, tracer_now() + 5ull * SECOND) == -ECHILD);
  CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
  pid = fork();
  if (pid == 0)
    for (;;)
      pause();
  CHECK(notify_take(&shared->slot, pid, tracer_now() + 10000000) == -ETIMEDOUT);
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  munmap(shared, sizeof *shared);
}

/* --- cost ------------------------------------------------------------------------------------------------------- */

static long bench_call;
static int bench_count;

static void many_calls(struct shared *shared) {
  uint64_t before = tracer_now(); /* the vDSO: not trapped */
  for (int i = 0; i < bench_count; i++)
    syscall(bench_call, 0, 0);
  shared->took = tracer_now() - before;
}

static void print_cost(const char *what, uint64_t nanoseconds) {
  printf("  %-58s %7.3f us\n", what, (double)nanoseconds / bench_count / 1000);
}

static void bench_free(const char *what, long call, bool filtered) {
  struct shared local = {0};
  bench_call = call;
  bench_count = 1000000;
  if (filtered) {
    struct child child = start(many_calls);
    siginfo_t info;
    waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
    local.took = child.shared->took;
    finish(&child);
  } else {
    many_calls(&local);
  }
  print_cost(what, local.took);
}

enum loop { LOOP_RECEIVE, LOOP_POLL, LOOP_POLL_TWO, LOOP_POLL_AND_WAIT, LOOP_MEMORY };

static void share_cpu(pid_t pid, bool shared) {
  cpu_set_t all, one;
  CPU_ZERO(&all);
  for (int i = 0; i < CPU_SETSIZE; i++)
    CPU_SET(i, &all);
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(pid, sizeof all, shared ? &one : &all);
  sched_setaffinity(0, sizeof all, shared ? &one : &all);
}

static void bench_notify(const char *what, enum loop loop, bool sync, bool answer, bool one_cpu) {
  bench_call = CHEAP_NOTIFIED_CALL;
  bench_count = 50000;
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  struct child child = start(many_calls);
  if (!sync) ioctl(child.listener, _IOW('!', 4, uint64_t), 0ul);
  share_cpu(child.pid, one_cpu);
  struct pollfd fds[2] = {{.fd = child.listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
  int wrong = 0;
  for (int i = 0; i < bench_count; i++) {
    struct notification n;
    int status;
    char memory[64];
    if (loop == LOOP_POLL_AND_WAIT) wait4(-1, &status, __WALL | WNOHANG, NULL);
    if (loop != LOOP_RECEIVE) poll(fds, loop == LOOP_POLL ? 1 : 2, -1);
    if (notify_receive(child.listener, &n) != 1) {
      wrong++;
      break;
    }
    if (loop == LOOP_MEMORY) {
      struct iovec local = {memory, sizeof memory}, remote = {(void *)(uintptr_t)n.ip, sizeof memory};
      wrong += process_vm_readv(n.tid, &local, 1, &remote, 1, 0) < 0;
      wrong += notify_check(child.listener, n.id) != 0;
    }
    wrong += (answer ? notify_return(child.listener, n.id, 0) : notify_continue(child.listener, n.id)) != 0;
  }
  siginfo_t info;
  waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT);
  CHECK(wrong == 0);
  print_cost(what, child.shared->took);
  share_cpu(0, false);
  finish(&child);
  close(signals);
  sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

static void wait_for_go_then_calls(struct shared *shared) {
  while (!shared->step)
    ;
  many_calls(shared);
}

static void bench_stop(const char *what, bool one_cpu) {
  bench_call = STOPPED_CALL;
  bench_count = 20000;
  struct child child = start(wait_for_go_then_calls);
  CHECK(ptrace(PTRACE_SEIZE, child.pid, NULL, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL) == 0);
  share_cpu(child.pid, one_cpu);
  child.shared->step = 1;
  int status;
  while (waitpid(child.pid, &status, __WALL) == child.pid && WIFSTOPPED(status))
    ptrace(PTRACE_CONT, child.pid, NULL, NULL);
  print_cost(what, child.shared->took);
  share_cpu(0, false);
  close(child.listener);
  munmap(child.shared, sizeof *child.shared);
}

/* ptrace stops and notifications of one tracee, as tracer_next may serve them. */
enum both { BOTH_SIGNALFD, BOTH_PPOLL };

static long bench_other_call;

static void go_then_alternate(struct shared *shared) {
  while (!shared->step)
    ;
  uint64_t before = tracer_now();
  for (int i = 0; i < bench_count; i++)
    syscall(i & 1 ? bench_call : bench_other_call, 0, 0);
  shared->took = tracer_now() - before;
}

static bool drain_stops(void) {
  int status;
  pid_t pid;
  while ((pid = wait4(-1, &status, __WALL | WNOHANG, NULL)) > 0)
    if (WIFSTOPPED(status)) ptrace(PTRACE_CONT, pid, NULL, NULL);
  return pid == 0;
}

static void bench_both(const char *what, enum both how, long one, long other, bool one_cpu) {
  bench_call = one;
  bench_other_call = other;
  bench_count = 20000;
  sigset_t mask, before;
  sigemptyset(&mask);
  sigaddset(&mask, SIGCHLD);
  sigprocmask(SIG_BLOCK, &mask, &before);
  struct sigaction inherited;
  if (how == BOTH_PPOLL) sigaction(SIGCHLD, &(struct sigaction){.sa_handler = handle}, &inherited);
  int signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
  struct child child = start(go_then_alternate);
  CHECK(ptrace(PTRACE_SEIZE, child.pid, NULL, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL) == 0);
  share_cpu(child.pid, one_cpu);
  child.shared->step = 1;
  struct pollfd fds[2] = {{.fd = child.listener, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
  while (drain_stops()) {
    struct notification n;
    int ready = how == BOTH_PPOLL ? ppoll(fds, 1, NULL, &before) : poll(fds, 2, -1);
    for (bool signalled = false; ready >= 0 && !signalled;) {
      /* Notifications only, while no child has anything to say. */
      if (fds[0].revents & POLLIN && notify_receive(child.listener, &n) == 1) notify_return(child.listener, n.id, 0);
      if (fds[0].revents & POLLHUP) fds[0].fd = -1;
      struct signalfd_siginfo info;
      signalled = how == BOTH_SIGNALFD && fds[1].revents & POLLIN && read(signals, &info, sizeof info) > 0;
      if (!signalled) ready = how == BOTH_PPOLL ? ppoll(fds, 1, NULL, &before) : poll(fds, 2, -1);
    }
  }
  print_cost(what, child.shared->took);
  share_cpu(0, false);
  if (how == BOTH_PPOLL) sigaction(SIGCHLD, &inherited, NULL);
  close(signals);
  close(child.listener);
  munmap(child.shared, sizeof *child.shared);
  sigprocmask(SIG_SETMASK, &before, NULL);
}

static void bench(void) {
  bench_free("native, no filter", ALLOWED_CALL, false);
  bench_free("allow: not asked about", ALLOWED_CALL, true);
  bench_free("errno", FAILED_CALL, true);
  bench_notify("notify: receive, continue; any processor", LOOP_RECEIVE, true, false, false);
  bench_notify("notify: poll, receive, continue; without SYNC_WAKE_UP", LOOP_POLL, false, false, false);
  bench_notify("notify: poll, receive, continue; any processor", LOOP_POLL, true, false, false);
  bench_notify("notify: poll, receive, continue; one processor", LOOP_POLL, true, false, true);
  bench_notify("notify: poll, receive, answer; one processor", LOOP_POLL, true, true, true);
  bench_notify("notify: poll with signalfd, receive, answer; any", LOOP_POLL_TWO, true, true, false);
  bench_notify("notify: poll with signalfd, receive, answer; one", LOOP_POLL_TWO, true, true, true);
  bench_notify("notify: wait4, poll with signalfd, receive, answer; one", LOOP_POLL_AND_WAIT, true, true, true);
  bench_notify("notify: as above but for wait4, memory and id check; one", LOOP_MEMORY, true, true, true);
  bench_stop("stop: waitpid, PTRACE_CONT; any processor", false);
  bench_stop("stop: waitpid, PTRACE_CONT; one processor", true);
  for (int one_cpu = 0; one_cpu < 2; one_cpu++) {
    const long stop = STOPPED_CALL, notify = CHEAP_NOTIFIED_CALL;
    printf("  both kinds in one loop, %s processor:\n", one_cpu ? "one" : "any");
    bench_both("  signalfd: notifications only", BOTH_SIGNALFD, notify, notify, one_cpu);
    bench_both("  signalfd: stops only", BOTH_SIGNALFD, stop, stop, one_cpu);
    bench_both("  signalfd: in turn", BOTH_SIGNALFD, notify, stop, one_cpu);
    bench_both("  ppoll, SIGCHLD let in: notifications only", BOTH_PPOLL, notify, notify, one_cpu);
    bench_both("  ppoll, SIGCHLD let in: stops only", BOTH_PPOLL, stop, stop, one_cpu);
    bench_both("  ppoll, SIGCHLD let in: in turn", BOTH_PPOLL, notify, stop, one_cpu);
  }
}

int main(int argc, char **argv) {
  struct notify_features features;
  notify_probe(&features);
  if (features.listener) {
    printf("backend notify: skipped, no listener here (%s)\n", strerror(-features.listener));
    return 0;
  }
  watch_and_answer();
  fails_with_errno();
  death_is_a_state();
  signals_wait();
  one_listener_per_tree();
  survives_exec();
  failed_launches();
  if (argc > 1 && strcmp(argv[1], "bench") == 0) {
    printf("  wait_killable %d, sync_wakeup %d\n", features.wait_killable, features.sync_wakeup);
    bench();
  }
  return check_report("backend notify");
}
