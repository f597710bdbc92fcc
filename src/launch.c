#include "launch.h"

#include <errno.h>
#include <fcntl.h>             /* O_CLOEXEC */
#include <grp.h>               /* getgrouplist, setgroups */
#include <linux/audit.h>       /* AUDIT_ARCH_X86_64 */
#include <linux/capability.h>  /* capset */
#include <linux/close_range.h> /* CLOSE_RANGE_CLOEXEC */
#include <linux/filter.h>      /* struct sock_fprog */
#include <linux/seccomp.h>     /* SECCOMP_SET_MODE_FILTER */
#include <pwd.h>               /* getpwnam */
#include <signal.h>
#include <stdlib.h> /* malloc */
#include <string.h> /* memcpy */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend_notify.h" /* notify_install, notify_take */
#include "backend_ptrace.h" /* backend_options */
#include "trap_plan.h"
#include "waiting.h"

/* A child that takes longer to its listener is given up, and started without one. */
static const uint64_t LISTENER_NANOSECONDS = 5000000000u;

static size_t words_size(const char *const *words) {
  size_t size = sizeof *words;
  for (; words && *words; words++)
    size += sizeof *words + strlen(*words) + 1;
  return size;
}

static const char *copy_word(char **to, const char *word) {
  if (!word) return NULL;
  const char *copy = *to;
  *to = stpcpy(*to, word) + 1;
  return copy;
}

static const char *const *copy_words(const char ***pointers, char **to, const char *const *words) {
  if (!words) return NULL;
  const char **copy = *pointers;
  for (; *words; words++)
    *(*pointers)++ = copy_word(to, *words);
  *(*pointers)++ = NULL;
  return copy;
}

/* All in one block: the caller's own may lie in what is left out of the fork. NULL when memory runs out. */
static struct tracer_launch *copy_launch(const struct tracer_launch *launch) {
  size_t size = sizeof *launch + words_size(launch->argv) + words_size(launch->envp);
  size += launch->keep_count * sizeof *launch->keep_fds;
  const char *const words[] = {launch->file, launch->cwd, launch->user};
  for (int i = 0; i < 3; i++)
    size += words[i] ? strlen(words[i]) + 1 : 0;
  struct tracer_launch *copy = malloc(size);
  if (!copy) return NULL;
  *copy = *launch;
  size_t pointer_count = 0;
  for (const char *const *word = launch->argv; word && *word; word++)
    pointer_count++;
  for (const char *const *word = launch->envp; word && *word; word++)
    pointer_count++;
  const char **pointers = (const char **)(copy + 1);
  int32_t *fds = (int32_t *)(pointers + pointer_count + 2);
  char *to = (char *)(fds + launch->keep_count);
  if (launch->keep_count) memcpy(fds, launch->keep_fds, launch->keep_count * sizeof *fds);
  copy->keep_fds = fds;
  copy->argv = copy_words(&pointers, &to, launch->argv);
  copy->envp = copy_words(&pointers, &to, launch->envp);
  copy->file = copy_word(&to, launch->file);
  copy->cwd = copy_word(&to, launch->cwd);
  copy->user = copy_word(&to, launch->user);
  return copy;
}

/* All that the child needs, prepared before the fork: between fork and exec it allocates nothing. */
struct preparation {
  const struct tracer *tracer;
  const struct tracer_launch *launch;
  struct launch_status *status;
  int go; /* read end: a byte arrives when we have been seized */
  struct sock_fprog filter;
  bool notifies;  /* the filter is installed with a listener */
  bool may_yield; /* while that is being fetched */
  bool no_new_privs;
  uid_t uid;
  gid_t gid;
  gid_t *groups;
  int group_count;
};

_Noreturn static void fail(struct preparation *p) {
  p->status->error = errno ? errno : EIO;
  _exit(127);
}

/* Exec resets handlers by itself, but what luatrace ignores would stay ignored in the program. */
static void restore_signals(const struct tracer *tracer) {
  for (int signal = 1; signal < NSIG; signal++)
    if (tracer->signal_changed[signal]) sigaction(signal, &tracer->inherited[signal], NULL);
}

/* What luatrace or the script has opened is not the program's. */
static void close_at_exec(const struct tracer_launch *launch) {
  unsigned first = 3;
  for (uint32_t i = 0; i <= launch->keep_count; i++) {
    unsigned next = i < launch->keep_count ? (unsigned)launch->keep_fds[i] : ~0u;
    if (next < first) continue;
    if (next > first && syscall(SYS_close_range, first, next == ~0u ? next : next - 1, CLOSE_RANGE_CLOEXEC)) {
      /* Before Linux 5.11: one by one, as far as such numbers go. */
      for (unsigned fd = first; fd < next && fd < 1024; fd++)
        fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    }
    first = next + 1;
  }
}

/* Becomes another user but keeps the right to install a filter: exec drops what capabilities remain. */
static void become_user(struct preparation *p) {
  if (setgroups((size_t)p->group_count, p->groups) || setresgid(p->gid, p->gid, p->gid)) fail(p);
  if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(p->uid, p->uid, p->uid)) fail(p);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) fail(p);
  for (int i = 0; i < 2; i++)
    data[i].effective = data[i].permitted;
  if (syscall(SYS_capset, &header, data)) fail(p);
}

_Noreturn static void child(struct preparation *p) {
  const struct tracer_launch *launch = p->launch;
  char byte;
  ssize_t got;
  do
    got = read(p->go, &byte, 1);
  while (got < 0 && errno == EINTR);
  if (got != 1) _exit(127); /* the tracer died or could not seize us */

  p->status->step = LAUNCH_CWD;
  if (launch->cwd && chdir(launch->cwd)) fail(p);
  p->status->step = LAUNCH_FDS;
  if (launch->new_group && setpgid(0, 0)) fail(p);
  for (int i = 0; i < 3; i++)
    if (launch->fds[i] >= 0 && launch->fds[i] != i && dup2(launch->fds[i], i) < 0) fail(p);
  close_at_exec(launch);
  restore_signals(p->tracer);
  waiting_restore_mask(p->tracer);

  p->status->step = LAUNCH_USER;
  if (launch->user) become_user(p);
  if (p->filter.len) {
    p->status->step = LAUNCH_NO_NEW_PRIVS;
    if (p->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) fail(p);
    p->status->step = p->notifies ? LAUNCH_LISTENER : LAUNCH_FILTER;
    if (p->notifies) {
      int error = notify_install(&p->status->slot, &p->filter, p->may_yield);
      errno = -error;
      if (error) fail(p);
    } else if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p->filter)) {
      fail(p);
    }
  }
  p->status->step = LAUNCH_EXEC;
  extern char **environ;
  execve(launch->file, (char *const *)launch->argv, launch->envp ? (char *const *)launch->envp : environ);
  fail(p);
}

static int find_user(struct preparation *p, const char *name) {
  errno = 0;
  const struct passwd *user = getpwnam(name);
  if (!user) return errno ? -errno : -ENOENT;
  p->uid = user->pw_uid;
  p->gid = user->pw_gid;
  p->group_count = 64;
  p->groups = malloc(sizeof *p->groups * (size_t)p->group_count);
  if (p->groups && getgrouplist(name, user->pw_gid, p->groups, &p->group_count) < 0) {
    /* More than 64: now group_count says how many. */
    free(p->groups);
    p->groups = malloc(sizeof *p->groups * (size_t)p->group_count);
    if (p->groups && getgrouplist(name, user->pw_gid, p->groups, &p->group_count) < 0) p->group_count = 0;
  }
  return p->groups ? 0 : -ENOMEM;
}

static void discard(pid_t pid) {
  kill(pid, SIGKILL);
  while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
    ;
}

/* Seizes the waiting child and lets it go on. */
static int seize_and_go(pid_t pid, int go, const struct tracer_launch *launch, unsigned long options) {
  if (ptrace(PTRACE_SEIZE, pid, NULL, options)) return -errno;
  if (launch->mode == TRAP_PTRACE) {
    /* Without a filter the first stop must be asked for: from it on, PTRACE_SYSCALL sees every call. */
    int status;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL)) return -errno;
    while (waitpid(pid, &status, __WALL) < 0)
      if (errno != EINTR) return -errno;
    if (!WIFSTOPPED(status)) return -ESRCH;
    if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL)) return -errno;
  }
  return write(go, "g", 1) == 1 ? 0 : -errno;
}

/* The program is the process that was called: the tracer goes on in a grandchild of it. In the grandchild this returns
 * the program's id; in the program it does not return. */
static pid_t fork_tracer(struct preparation *p, const int go[2]) {
  pid_t program = getpid();
  pid_t between = fork();
  if (between > 0) {
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
      ;
    /* Yama lets only ancestors trace, unless they are allowed to. */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    close(go[1]);
    child(p);
  }
  if (between < 0) return -errno;
  pid_t tracer = fork();
  if (tracer) _exit(tracer < 0 ? 1 : 0); /* without a tracer the program reads an end from `go`, and exits */
  if (p->launch->daemonize == DAEMONIZE_GROUP) setpgid(0, 0);
  if (p->launch->daemonize == DAEMONIZE_SESSION) setsid();
  return program;
}

static pid_t fork_program(struct preparation *p, const int go[2]) {
  const struct tracer_launch *launch = p->launch;
  if (launch->daemonize) return fork_tracer(p, go);
  /* Until the child execs, what we write would be copied page by page, and we are about to write a lot. */
  if (launch->left_out_size) madvise(launch->left_out, launch->left_out_size, MADV_DONTFORK);
  pid_t pid = fork();
  if (pid && launch->left_out_size) madvise(launch->left_out, launch->left_out_size, MADV_DOFORK);
  if (pid == 0) {
    close(go[1]);
    child(p);
  }
  return pid < 0 ? -errno : pid;
}

static int fork_and_seize(struct preparation *p, unsigned long options, struct launch_result *result) {
  int go[2];
  result->step = LAUNCH_FORK;
  if (pipe2(go, O_CLOEXEC)) return -errno;
  p->go = go[0];
  pid_t pid = fork_program(p, go);
  int error = pid < 0 ? pid : 0;
  close(go[0]);
  if (!error) {
    result->step = LAUNCH_SEIZE;
    error = seize_and_go(pid, go[1], p->launch, options);
    if (error) discard(pid);
  }
  close(go[1]);
  return error ? error : pid;
}

/* The child's listener; stays -1 when it has failed at something else, which is told as with any other program. Signals
 * that stop it on the way are delivered afterwards: it has not much left to do. 0 or -errno. */
static int take_listener(struct preparation *p, pid_t pid, int *listener) {
  uint64_t deadline = tracer_now() + LISTENER_NANOSECONDS;
  bool came[NSIG] = {false};
  int got;
  while ((got = notify_take(&p->status->slot, pid, deadline)) == -EAGAIN) {
    int status;
    if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) return -ECHILD;
    if (status >> 16 == 0 && WSTOPSIG(status) < NSIG) came[WSTOPSIG(status)] = true;
    ptrace(PTRACE_CONT, pid, NULL, NULL);
  }
  for (int signal = 1; signal < NSIG; signal++)
    if (came[signal]) kill(pid, signal);
  if (got == -ECHILD) return p->status->step == LAUNCH_LISTENER ? -p->status->error : 0;
  if (got >= 0) *listener = got;
  return got < 0 ? got : 0;
}

static int start(struct tracer *tracer, struct tree *tree, struct preparation *p, struct launch_result *result) {
  *p->status = (struct launch_status){0};
  if (!p->notifies) return fork_and_seize(p, backend_options(tree), result);
  result->step = LAUNCH_LISTENER;
  int error = waiting_prepare(tracer);
  if (error) return error;
  int pid = fork_and_seize(p, backend_options(tree), result);
  if (pid >= 0) {
    error = take_listener(p, pid, &tree->listener);
    if (!error && tree->listener >= 0) error = waiting_add(tracer, tree);
    if (error) {
      discard(pid);
      if (tree->listener >= 0) close(tree->listener);
      tree->listener = -1;
      result->step = LAUNCH_LISTENER;
      pid = error;
    }
  }
  if (tree->listener < 0) waiting_remove(tracer, tree);
  return pid;
}

/* With notifications where the plan has them; without where they cannot be had. */
static int start_either_way(struct tracer *tracer, struct tree *tree, struct preparation *p,
                            struct launch_result *result) {
  static const uint64_t none[6];
  const struct trap_plan *plan = p->launch->plan;
  p->notifies = p->filter.len && trap_plan_notifies(plan);
  p->may_yield = p->notifies && trap_plan_verdict(plan, AUDIT_ARCH_X86_64, SYS_sched_yield, none) == MECHANISM_ALLOW;
  int pid = start(tracer, tree, p, result);
  result->notifies = tree->listener >= 0;
  if (pid >= 0 || result->step != LAUNCH_LISTENER || p->launch->insist_notify) return pid;
  result->notify_error = -pid;
  struct sock_filter *filter = malloc(sizeof *filter * p->filter.len);
  if (!filter) return -ENOMEM;
  memcpy(filter, p->filter.filter, sizeof *filter * p->filter.len);
  trap_plan_stop_instead(filter, p->filter.len);
  p->filter.filter = filter;
  p->notifies = false;
  pid = start(tracer, tree, p, result);
  free(filter);
  return pid;
}

int launch_start(struct tracer *tracer, struct tree *tree, const struct tracer_launch *given,
                 struct launch_result *result) {
  struct tracer_launch *launch = copy_launch(given);
  if (!launch) return -ENOMEM;
  struct preparation p = {.tracer = tracer, .launch = launch};
  int error = 0;
  if (launch->user) {
    result->step = LAUNCH_USER;
    error = find_user(&p, launch->user);
  }
  if (!error && launch->mode == TRAP_SECCOMP && launch->plan) {
    const struct sock_filter *filter;
    result->step = LAUNCH_FILTER;
    error = trap_plan_build_filter(launch->plan, &filter, &p.filter.len);
    p.filter.filter = (struct sock_filter *)filter;
    p.no_new_privs = tracer->features.unprivileged_needs_nnp;
  }
  if (!error) {
    void *shared = mmap(NULL, sizeof *p.status, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
      error = -errno;
    } else {
      p.status = tree->launch = shared;
      error = start_either_way(tracer, tree, &p, result);
      if (error < 0) {
        launch_status_free(tree->launch);
        tree->launch = NULL;
      }
    }
  }
  free(p.groups);
  free(launch);
  result->error = error < 0 ? -error : 0;
  result->no_new_privs = p.no_new_privs && p.filter.len;
  if (error >= 0) result->step = LAUNCH_OK;
  return error;
}

void launch_status_free(struct launch_status *status) {
  if (status) munmap(status, sizeof *status);
}
