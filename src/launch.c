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
#include <sched.h>             /* clone */
#include <signal.h>
#include <stdlib.h> /* malloc */
#include <string.h> /* memcpy */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h> /* RLIMIT_NOFILE */
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch_x86_64.h"    /* arch_call */
#include "backend_notify.h" /* notify_install, notify_take */
#include "backend_ptrace.h" /* backend_options */
#include "trap_plan.h"
#include "waiting.h"

/* A child that takes longer to its listener is given up, and started without one. */
static const uint64_t LISTENER_NANOSECONDS = 5000000000u;

/* The child's: with room for the scratch memory of scripts (tracee/scratch.lua). */
enum { STACK_SIZE = 64 << 10 };

/*
 * All that the child needs, and what it has to tell.
 *
 * Between its birth and its exec the child runs in our own memory, as vfork's does, but beside us: it has to be seized.
 * A fork would copy our page tables, and then each page that either writes to, which takes longer than all the rest of
 * a launch. So the child allocates and frees nothing, and what may fail it asks of the kernel itself: libc's errno is
 * ours.
 *
 * It lies in pages of its own, shared with a child that has been forked, too; they are given back when the child has
 * exec'ed or died.
 */
struct launch {
  size_t size;
  bool let_go;             /* by a detach: nobody will say when the child has exec'ed */
  uint32_t step;           /* enum launch_step: the one being tried */
  int32_t error;           /* errno, 0 while all is well */
  struct notify_slot slot; /* by which the listener comes to the tracer */

  const struct tracer *tracer;
  struct tracer_launch wanted; /* with copies of what it points to */
  void *stack_end;
  sigset_t mask; /* the program's */
  int go[2];     /* a pipe: a byte arrives when the child has been seized */
  struct sock_fprog filter;
  bool notifies;  /* the filter is installed with a listener */
  bool may_yield; /* while that is being fetched */
  bool no_new_privs;
  uid_t uid;
  gid_t gid;
  gid_t *groups;
  int group_count;
};

/* --- the block -------------------------------------------------------------------------------------------------- */

static size_t word_size(const char *word) { return word ? strlen(word) + 1 : 0; }

static size_t words_size(const char *const *words, size_t *count) {
  size_t size = 0;
  for (; *words; words++, ++*count)
    size += word_size(*words);
  ++*count; /* the NULL */
  return size;
}

static void *copy(char **to, const void *bytes, size_t size) {
  void *copied = *to;
  if (size) memcpy(copied, bytes, size);
  *to += size;
  return copied;
}

static const char *copy_word(char **to, const char *word) { return word ? copy(to, word, word_size(word)) : NULL; }

static const char *const *copy_words(const char ***pointers, char **to, const char *const *words) {
  const char **copied = *pointers;
  for (; *words; words++)
    *(*pointers)++ = copy_word(to, *words);
  *(*pointers)++ = NULL;
  return copied;
}

/* NULL when memory runs out. */
static struct launch *launch_new(const struct tracer *tracer, const struct tracer_launch *wanted,
                                 const struct sock_filter *filter, unsigned short length) {
  extern char **environ;
  const char *const *envp = wanted->envp ? wanted->envp : (const char *const *)environ;
  size_t pointer_count = 0, filter_size = length * sizeof *filter;
  size_t fds_size = wanted->keep_count * sizeof *wanted->keep_fds;
  size_t size = sizeof(struct launch) + filter_size + fds_size + STACK_SIZE;
  size += words_size(wanted->argv, &pointer_count) + words_size(envp, &pointer_count);
  size += word_size(wanted->file) + word_size(wanted->cwd) + word_size(wanted->user);
  size += pointer_count * sizeof(char *);
  struct launch *launch = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (launch == MAP_FAILED) return NULL;

  const char **pointers = (const char **)(launch + 1);
  char *to = (char *)(pointers + pointer_count);
  launch->size = size;
  launch->stack_end = (char *)launch + size;
  launch->tracer = tracer;
  launch->filter = (struct sock_fprog){length, copy(&to, filter, filter_size)};
  launch->wanted = *wanted;
  launch->wanted.keep_fds = copy(&to, wanted->keep_fds, fds_size);
  launch->wanted.argv = copy_words(&pointers, &to, wanted->argv);
  launch->wanted.envp = copy_words(&pointers, &to, envp);
  launch->wanted.file = copy_word(&to, wanted->file);
  launch->wanted.cwd = copy_word(&to, wanted->cwd);
  launch->wanted.user = copy_word(&to, wanted->user);
  launch->no_new_privs = tracer->features.unprivileged_needs_nnp;
  waiting_mask_before(tracer, &launch->mask);
  return launch;
}

void launch_free(struct launch *launch) {
  if (!launch || launch->let_go) return;
  free(launch->groups);
  munmap(launch, launch->size);
}

void launch_let_go(struct launch *launch) {
  if (launch) launch->let_go = true;
}

int launch_error(const struct launch *launch, uint32_t *step) {
  if (launch && step) *step = launch->step;
  return launch ? launch->error : 0;
}

/* --- the child -------------------------------------------------------------------------------------------------- */

/* The address sanitizer knows of one stack for each thread. */
#define ON_ITS_OWN_STACK __attribute__((no_sanitize_address))

ON_ITS_OWN_STACK _Noreturn static void fail(struct launch *launch, long error) {
  launch->error = (int32_t)-error;
  _exit(127);
}

ON_ITS_OWN_STACK static void check(struct launch *launch, long result) {
  if (result < 0) fail(launch, result);
}

/* Exec resets handlers by itself, but what luatrace ignores would stay ignored in the program. */
static void restore_signals(const struct tracer *tracer) {
  for (int signal = 1; signal < NSIG; signal++)
    if (tracer->signal_changed[signal]) sigaction(signal, &tracer->inherited[signal], NULL);
}

/* What luatrace or the script has opened is not the program's. Now, with flags 0, or at its exec. */
static void close_ours(const struct tracer_launch *wanted, unsigned flags) {
  unsigned first = 3;
  for (uint32_t i = 0; i <= wanted->keep_count; i++) {
    unsigned next = i < wanted->keep_count ? (unsigned)wanted->keep_fds[i] : ~0u;
    if (next < first) continue;
    if (next > first && arch_call(SYS_close_range, (long[6]){first, next == ~0u ? next : next - 1, flags})) {
      /* Before Linux 5.11: one by one, as far as such numbers go. */
      for (unsigned fd = first; fd < next && fd < 1024; fd++)
        arch_call(SYS_fcntl, (long[6]){fd, F_SETFD, FD_CLOEXEC});
    }
    first = next + 1;
  }
}

/* The program's own limit, where we have raised ours. What it still is to open, a listener, must have room below. */
ON_ITS_OWN_STACK static void limit_descriptors(const struct tracer_launch *wanted) {
  struct rlimit limit;
  close_ours(wanted, 0);
  if (arch_call(SYS_prlimit64, (long[6]){0, RLIMIT_NOFILE, 0, (long)&limit}) < 0) return;
  limit.rlim_cur = wanted->fd_limit;
  arch_call(SYS_prlimit64, (long[6]){0, RLIMIT_NOFILE, (long)&limit, 0});
}

/* Becomes another user but keeps the right to install a filter: exec drops what capabilities remain. */
static void become_user(struct launch *launch) {
  if (setgroups((size_t)launch->group_count, launch->groups) || setresgid(launch->gid, launch->gid, launch->gid))
    fail(launch, -errno);
  if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(launch->uid, launch->uid, launch->uid)) fail(launch, -errno);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data)) fail(launch, -errno);
  for (int i = 0; i < 2; i++)
    data[i].effective = data[i].permitted;
  if (syscall(SYS_capset, &header, data)) fail(launch, -errno);
}

ON_ITS_OWN_STACK _Noreturn static void child(struct launch *launch) {
  const struct tracer_launch *wanted = &launch->wanted;
  arch_call(SYS_close, (long[6]){launch->go[1]});
  char byte;
  long got;
  do
    got = arch_call(SYS_read, (long[6]){launch->go[0], (long)&byte, 1});
  while (got == -EINTR);
  if (got != 1) _exit(127); /* the tracer died or could not seize us */

  launch->step = LAUNCH_CWD;
  if (wanted->cwd) check(launch, arch_call(SYS_chdir, (long[6]){(long)wanted->cwd}));
  launch->step = LAUNCH_FDS;
  if (wanted->new_group) check(launch, arch_call(SYS_setpgid, (long[6]){0, 0}));
  for (int i = 0; i < 3; i++)
    if (wanted->fds[i] >= 0 && wanted->fds[i] != i) check(launch, arch_call(SYS_dup2, (long[6]){wanted->fds[i], i}));
  if (wanted->fd_limit)
    limit_descriptors(wanted);
  else
    close_ours(wanted, CLOSE_RANGE_CLOEXEC);
  restore_signals(launch->tracer);
  sigprocmask(SIG_SETMASK, &launch->mask, NULL);

  launch->step = LAUNCH_USER;
  if (wanted->user) become_user(launch);
  if (launch->filter.len) {
    launch->step = LAUNCH_NO_NEW_PRIVS;
    if (launch->no_new_privs) check(launch, arch_call(SYS_prctl, (long[6]){PR_SET_NO_NEW_PRIVS, 1}));
    launch->step = launch->notifies ? LAUNCH_LISTENER : LAUNCH_FILTER;
    if (launch->notifies)
      check(launch, notify_install(&launch->slot, &launch->filter, launch->may_yield));
    else
      check(launch, arch_call(SYS_seccomp, (long[6]){SECCOMP_SET_MODE_FILTER, 0, (long)&launch->filter}));
  }
  launch->step = LAUNCH_EXEC;
  fail(launch, arch_call(SYS_execve, (long[6]){(long)wanted->file, (long)wanted->argv, (long)wanted->envp}));
}

ON_ITS_OWN_STACK _Noreturn static int cloned(void *launch) { child(launch); }

/* --- the tracer -------------------------------------------------------------------------------------------------- */

static int find_user(struct launch *launch, const char *name) {
  errno = 0;
  const struct passwd *user = getpwnam(name);
  if (!user) return errno ? -errno : -ENOENT;
  launch->uid = user->pw_uid;
  launch->gid = user->pw_gid;
  launch->group_count = 64;
  launch->groups = malloc(sizeof *launch->groups * (size_t)launch->group_count);
  if (launch->groups && getgrouplist(name, user->pw_gid, launch->groups, &launch->group_count) < 0) {
    /* More than 64: now group_count says how many. */
    free(launch->groups);
    launch->groups = malloc(sizeof *launch->groups * (size_t)launch->group_count);
    if (launch->groups && getgrouplist(name, user->pw_gid, launch->groups, &launch->group_count) < 0)
      launch->group_count = 0;
  }
  return launch->groups ? 0 : -ENOMEM;
}

void launch_discard(pid_t pid) {
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
static pid_t fork_tracer(struct launch *launch) {
  pid_t program = getpid();
  pid_t between = fork();
  if (between > 0) {
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
      ;
    /* Yama lets only ancestors trace, unless they are allowed to. */
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    child(launch);
  }
  if (between < 0) return -errno;
  pid_t tracer = fork();
  if (tracer) _exit(tracer < 0 ? 1 : 0); /* without a tracer the program reads an end from `go`, and exits */
  if (launch->wanted.daemonize == DAEMONIZE_GROUP) setpgid(0, 0);
  if (launch->wanted.daemonize == DAEMONIZE_SESSION) setsid();
  return program;
}

static pid_t make_program(struct launch *launch) {
  if (launch->wanted.daemonize) return fork_tracer(launch);
  pid_t pid;
  if (launch->wanted.user) {
    /* Who becomes another user makes the memory that it runs in undumpable: ours. */
    pid = fork();
    if (pid == 0) child(launch);
  } else {
    pid = clone(cloned, launch->stack_end, CLONE_VM | SIGCHLD, launch);
  }
  return pid < 0 ? -errno : pid;
}

static int make_and_seize(struct launch *launch, unsigned long options, struct launch_result *result) {
  result->step = LAUNCH_FORK;
  if (pipe2(launch->go, O_CLOEXEC)) return -errno;
  /* Signals that come meanwhile are the program's, not those of our handlers in it. */
  sigset_t all, ours;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &ours);
  pid_t pid = make_program(launch);
  sigprocmask(SIG_SETMASK, &ours, NULL);
  int error = pid < 0 ? pid : 0;
  close(launch->go[0]);
  if (!error) {
    result->step = LAUNCH_SEIZE;
    error = seize_and_go(pid, launch->go[1], &launch->wanted, options);
    if (error) launch_discard(pid);
  }
  close(launch->go[1]);
  return error ? error : pid;
}

/* The child's listener; stays -1 when it has failed at something else, which is told as with any other program. Signals
 * that stop it on the way are delivered afterwards: it has not much left to do. 0 or -errno. */
static int take_listener(struct launch *launch, pid_t pid, int *listener) {
  uint64_t deadline = tracer_now() + LISTENER_NANOSECONDS;
  bool came[NSIG] = {false};
  int got;
  while ((got = notify_take(&launch->slot, pid, deadline)) == -EAGAIN) {
    int status;
    if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) return -ECHILD;
    if (status >> 16 == 0 && WSTOPSIG(status) < NSIG) came[WSTOPSIG(status)] = true;
    ptrace(PTRACE_CONT, pid, NULL, NULL);
  }
  for (int signal = 1; signal < NSIG; signal++)
    if (came[signal]) kill(pid, signal);
  if (got == -ECHILD) return launch->step == LAUNCH_LISTENER ? -launch->error : 0;
  if (got >= 0) *listener = got;
  return got < 0 ? got : 0;
}

static int start(struct tracer *tracer, struct tree *tree, struct launch_result *result) {
  struct launch *launch = tree->launch;
  launch->error = 0;
  launch->slot = (struct notify_slot){0};
  if (!launch->notifies) return make_and_seize(launch, backend_options(tree), result);
  result->step = LAUNCH_LISTENER;
  int error = waiting_prepare(tracer);
  if (error) return error;
  int pid = make_and_seize(launch, backend_options(tree), result);
  if (pid >= 0) {
    error = take_listener(launch, pid, &tree->listener);
    if (!error && tree->listener >= 0) error = waiting_add(tracer, tree);
    if (error) {
      launch_discard(pid);
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
static int start_either_way(struct tracer *tracer, struct tree *tree, struct launch_result *result) {
  static const uint64_t none[6];
  struct launch *launch = tree->launch;
  const struct trap_plan *plan = launch->wanted.plan;
  launch->notifies = launch->filter.len && trap_plan_notifies(plan);
  launch->may_yield =
      launch->notifies && trap_plan_verdict(plan, AUDIT_ARCH_X86_64, SYS_sched_yield, none) == MECHANISM_ALLOW;
  int pid = start(tracer, tree, result);
  result->notifies = tree->listener >= 0;
  if (pid >= 0 || result->step != LAUNCH_LISTENER || launch->wanted.insist_notify) return pid;
  result->notify_error = -pid;
  trap_plan_stop_instead(launch->filter.filter, launch->filter.len);
  launch->notifies = false;
  return start(tracer, tree, result);
}

int launch_start(struct tracer *tracer, struct tree *tree, const struct tracer_launch *wanted,
                 struct launch_result *result) {
  const struct sock_filter *instructions = NULL;
  unsigned short length = 0;
  int error = 0;
  if (wanted->mode == TRAP_SECCOMP && wanted->plan) {
    result->step = LAUNCH_FILTER;
    error = trap_plan_build_filter(wanted->plan, &instructions, &length);
  }
  struct launch *launch = error ? NULL : launch_new(tracer, wanted, instructions, length);
  if (!launch && !error) error = -ENOMEM;
  if (!error && wanted->user) {
    result->step = LAUNCH_USER;
    error = find_user(launch, wanted->user);
  }
  if (!error) {
    tree->launch = launch;
    error = start_either_way(tracer, tree, result);
  }
  if (error < 0) {
    launch_free(launch);
    tree->launch = NULL;
  }
  result->error = error < 0 ? -error : 0;
  result->no_new_privs = length && tracer->features.unprivileged_needs_nnp;
  if (error >= 0) result->step = LAUNCH_OK;
  return error;
}
