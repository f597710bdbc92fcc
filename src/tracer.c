#include "tracer.h"

#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "affinity.h"
#include "attention.h"
#include "backend_ptrace.h"
#include "breakable_wait.h"
#include "family.h"
#include "gate_site.h"
#include "launch.h"
#include "printer.h"
#include "notified.h"
#include "proc_status.h"
#include "syscall_info.h"
#include "tracee.h"
#include "tracees.h"
#include "waiting.h"
#include "watched.h"

/* The mutable globals: a signal has reached luatrace itself; with what status it ends when its time is over; something
 * has been unwritten for long enough. */
static volatile sig_atomic_t caught_signal;
static volatile sig_atomic_t end_status;
static volatile sig_atomic_t must_show;

/* How long something may be unwritten while nothing happens. */
enum { SHOW_NANOSECONDS = 100000000 };

/* Of the timer's 20 ms: how long a signal may go unseen, and when another one is a second press of the keys. */
enum { UNSEEN_TICKS = 100, UNSEEN_AGAIN = 15 };

uint32_t tracer_abi(void) { return TRACER_ABI; }

struct tracer *tracer_open(const struct tracer_options *options) {
  struct tracer *tracer = calloc(1, sizeof *tracer);
  if (!tracer) return NULL;
  if (options) tracer->options = *options;
  tracer_probe(&tracer->features);
  if (!tracer->features.get_syscall_info) tracer->options.no_get_syscall_info = 1;
  if (tracer->options.no_shared_cpu) tracer->affinity.over = true;
  if (!tracer->features.set_syscall_info) tracer->options.no_set_syscall_info = 1;
  /* With SIGCHLD ignored the kernel reaps our tracees unseen. */
  tracer_change_signal(tracer, SIGCHLD, SIG_DFL);
  return tracer;
}

const struct tracer_features *tracer_features(const struct tracer *tracer) { return &tracer->features; }

/* --- trees ----------------------------------------------------------------------------------------------------- */

static struct tree *find_tree(struct tracer *tracer, uint32_t number) {
  for (struct tree *tree = tracer->trees; tree; tree = tree->next)
    if (tree->number == number) return tree;
  return NULL;
}

static struct tree *tree_new(struct tracer *tracer) {
  struct tree *tree = calloc(1, sizeof *tree);
  if (!tree) return NULL;
  tree->number = ++tracer->last_tree;
  tree->listener = -1;
  tree->next = tracer->trees;
  tracer->trees = tree;
  return tree;
}

static void tree_free(struct tracer *tracer, struct tree *tree) {
  struct tree **link = &tracer->trees;
  while (*link && *link != tree)
    link = &(*link)->next;
  if (*link) *link = tree->next;
  waiting_remove(tracer, tree);
  launch_free(tree->launch);
  free(tree);
}

int tracer_spawn(struct tracer *tracer, const struct tracer_launch *launch, struct launch_result *result) {
  *result = (struct launch_result){0};
  attention_end(tracer); /* the program has our processors */
  struct tree *tree = tree_new(tracer);
  if (!tree) return -ENOMEM;
  tree->mode = launch->mode;
  tree->no_follow = launch->no_follow;
  tree->plan = launch->plan;
  int pid = launch_start(tracer, tree, launch, result);
  struct tracee *root = pid < 0 ? NULL : tracees_add(tracer, tree, pid, NULL);
  if (!root) {
    if (pid >= 0) launch_discard(pid);
    tree_free(tracer, tree);
    return pid < 0 ? pid : -ENOMEM;
  }
  tree->root = pid;
  root->is_root = root->launching = true;
  tracee_set_state(root, TRACEE_RUNNING);
  result->pid = pid;
  result->tree = tree->number;
  return 0;
}

int tracer_launch_error(struct tracer *tracer, uint32_t number, uint32_t *step) {
  const struct tree *tree = find_tree(tracer, number);
  return tree ? launch_error(tree->launch, step) : 0;
}

/* The process that a thread belongs to. */
static pid_t process_of(pid_t tid) {
  char status[PROC_STATUS_SIZE];
  pid_t pid = tid;
  if (proc_status_read(tid, status)) proc_status_field(status, "Tgid:", "%d", &pid);
  return pid;
}

/* Seizes one thread of the process; returns 1, 0 when it has ended, or -errno. */
static int attach_thread(struct tracer *tracer, struct tree *tree, pid_t tid, pid_t pid, struct process **process) {
  if (ptrace(PTRACE_SEIZE, tid, NULL, backend_options(tree))) return errno == ESRCH ? 0 : -errno;
  struct tracee *tracee = tracees_add(tracer, tree, tid, *process);
  if (!tracee) return -ENOMEM;
  *process = tracee->process;
  tracee->process->pid = pid;
  tracee->is_thread = tid != pid;
  tracee->is_root = tid == tree->root;
  tracee_set_state(tracee, TRACEE_RUNNING);
  ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
  return 1;
}

/* Seizes what threads of the process are not ours yet (`named` alone, if nothing is to be followed); returns how many,
 * or -errno if even the first fails. */
static int attach_threads(struct tracer *tracer, struct tree *tree, pid_t named, pid_t pid, struct process **process) {
  if (tracer->features.foreign_proc) /* nobody tells the others' ids */
    return tracer_find_tid(tracer, named) ? 0 : attach_thread(tracer, tree, named, pid, process);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (!tasks) return errno == ENOENT ? -ESRCH : -errno;
  int seized = 0, error = 0;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    pid_t tid = (pid_t)atoi(entry->d_name);
    if (tid <= 0 || tracer_find_tid(tracer, tid) || (tree->no_follow && tid != named)) continue;
    int got = attach_thread(tracer, tree, tid, pid, process);
    if (got > 0) seized++;
    if (got < 0) error = got;
    if (got == -ENOMEM) break;
  }
  closedir(tasks);
  return seized ? seized : error;
}

int tracer_attach(struct tracer *tracer, int32_t pid, struct trap_plan *plan, uint32_t no_follow) {
  struct tree *tree = tree_new(tracer);
  if (!tree) return -ENOMEM;
  tree->mode = TRAP_PTRACE;
  tree->attached = true;
  tree->no_follow = no_follow;
  tree->plan = plan;
  tree->root = pid;
  /* Threads may be created while we look: go round until nothing new is found. */
  struct process *process = NULL;
  int total = 0, found;
  pid_t leader = tracer->features.foreign_proc ? pid : process_of(pid);
  while ((found = attach_threads(tracer, tree, pid, leader, &process)) > 0)
    total += found;
  if (total == 0) {
    tree_free(tracer, tree);
    return found ? found : -ESRCH;
  }
  return (int)tree->number;
}

/* --- the loop -------------------------------------------------------------------------------------------------- */

static const struct tracer_stop *note(struct tracer *tracer, enum stop_kind kind, int signal) {
  tracer->note = (struct tracer_stop){.kind = kind, .signal = signal, .time = tracer_now()};
  return &tracer->note;
}

uint64_t tracer_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const struct tracer_stop *interruption(struct tracer *tracer) {
  int signal = caught_signal;
  caught_signal = 0;
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
  return note(tracer, STOP_INTERRUPTED, signal);
}

static void arm_show(struct tracer *tracer, long nanoseconds) {
  const struct itimerspec when = {.it_value = {.tv_nsec = nanoseconds}, .it_interval = {.tv_nsec = nanoseconds}};
  timer_settime(tracer->show, 0, &when, NULL);
  tracer->unwritten = nanoseconds > 0;
}

static bool is_to_be_shown(struct tracer *tracer) {
  if (!must_show || !tracer->unwritten) return false;
  must_show = 0;
  arm_show(tracer, 0);
  return true;
}

void tracer_note_unwritten(struct tracer *tracer) {
  if (tracer->can_show && !tracer->unwritten) arm_show(tracer, SHOW_NANOSECONDS);
}

const struct tracer_stop *tracer_next(struct tracer *tracer, int64_t timeout) {
  uint64_t deadline = timeout > 0 ? tracer_now() + (uint64_t)timeout : 0;
  bool served = false;
  tracees_free_finished(tracer);
  for (;;) {
    if (watched_look(tracer)) return note(tracer, STOP_READY, 0);
    struct tree *notified;
    struct wait_status status;
    const struct tracee *born = tracer->after_birth ? tracer_find_stop(tracer, tracer->after_birth) : NULL;
    tracer->after_birth = 0;
    if (born) return &born->stop;
    const struct tracer_stop *received = notified_next(tracer);
    if (received) return received;
    while (tracees_next_status(tracer, &status)) {
      const struct tracer_stop *stop = backend_dispatch(tracer, status);
      if (stop) return stop;
      tracees_free_finished(tracer);
      served = true;
    }
    if (printer_is_full(tracer) || is_to_be_shown(tracer)) return note(tracer, STOP_PRINTED, 0);
    if (caught_signal) return interruption(tracer);

    int64_t left = timeout;
    if (timeout > 0) {
      uint64_t now = tracer_now();
      left = now < deadline ? (int64_t)(deadline - now) : 0;
    }
    /* The printer, or muted tracees, could go on for ever. */
    if (left == 0 && served) return note(tracer, STOP_NONE, 0);
    /* Our host program may have children of its own, for whom wait4 would wait as well. */
    if (tracer->alive == 0 && waiting_wait(tracer, 0, &notified) <= 0) return note(tracer, STOP_DONE, 0);
    if (tracer->pending_count) continue;
    struct mailbox *asked = left ? attention_wait(tracer) : NULL;
    if (asked) {
      const struct tracer_stop *stop = notified_take(tracer, asked);
      if (stop) return stop;
      continue;
    }
    bool glances = attention_glances(tracer);
    int64_t limit = affinity_wait_limit(tracer);
    bool slice = limit >= 0 && (left < 0 || left > limit);
    int got = waiting_wait(tracer, glances ? 0 : slice ? limit : left, &notified);
    if (notified) {
      const struct tracer_stop *stop = notified_receive(tracer, notified);
      if (stop) return stop;
      continue;
    }
    if (got == 0 && (glances || tracer->watched.ready)) continue;
    if (got == 0 && slice) {
      affinity_note_idle(tracer);
      continue;
    }
    if (got == 0) return note(tracer, STOP_NONE, 0);
    if (got == -ECHILD) {
      /* Whatever the books say, nobody is left. */
      struct tracee *lost = tracees_any(tracer);
      if (!lost) return note(tracer, STOP_DONE, 0);
      tracees_bury(tracer, lost);
    }
  }
}

static int held(struct tracer *tracer, uint64_t stop, enum stop_kind kind, struct tracee **tracee) {
  *tracee = tracer_find_stop(tracer, stop);
  if (!*tracee) return -ESRCH;
  return (*tracee)->held == kind ? 0 : -EINVAL;
}

int tracer_resume(struct tracer *tracer, uint64_t stop, uint32_t how, int32_t signal) {
  struct tracee *tracee = tracer_find_stop(tracer, stop);
  if (!tracee) return -ESRCH;
  tracee->printing = tracer->printer && how & RESUME_PRINT;
  return backend_resume(tracer, tracee, how & RESUME_WANT_EXIT, signal);
}

int tracer_set_call(struct tracer *tracer, uint64_t stop, uint64_t nr, const uint64_t args[6]) {
  struct tracee *tracee;
  int error = held(tracer, stop, STOP_SYSCALL_ENTRY, &tracee);
  if (error) return error;
  if (tracee->notified) return -EINVAL;
  tracee->stop.nr = nr;
  memcpy(tracee->stop.args, args, sizeof tracee->stop.args);
  tracee->changed_nr = nr != tracee->original_nr;
  tracee->changed_args = 0;
  for (unsigned i = 0; i < 6; i++)
    if (args[i] != tracee->original_args[i]) tracee->changed_args |= (uint8_t)(1u << i);
  return 0;
}

int tracer_skip_call(struct tracer *tracer, uint64_t stop, int64_t result) {
  struct tracee *tracee;
  int error = held(tracer, stop, STOP_SYSCALL_ENTRY, &tracee);
  if (error) return error;
  tracee->skipped = true;
  tracee->forced_result = result;
  return 0;
}

int tracer_set_result(struct tracer *tracer, uint64_t stop, int64_t result) {
  struct tracee *tracee;
  int error = held(tracer, stop, STOP_SYSCALL_EXIT, &tracee);
  if (error) return error;
  tracee->stop.result = result;
  return syscall_info_set_result(tracee->tid, result);
}

int tracer_inject(struct tracer *tracer, uint64_t stop, uint64_t nr, const uint64_t args[6]) {
  struct tracee *tracee = tracer_find_stop(tracer, stop);
  if (!tracee) return -ESRCH;
  if (tracee->notified || (tracee->held != STOP_SYSCALL_ENTRY && tracee->held != STOP_SYSCALL_EXIT)) return -EINVAL;
  return backend_inject(tracee, nr, args);
}

int tracer_get_siginfo(struct tracer *tracer, uint64_t stop, void *siginfo, uint32_t size) {
  struct tracee *tracee;
  siginfo_t whole;
  int error = held(tracer, stop, STOP_SIGNAL, &tracee);
  if (error) return error;
  if (ptrace(PTRACE_GETSIGINFO, tracee->tid, NULL, &whole)) return -errno;
  memcpy(siginfo, &whole, size < sizeof whole ? size : sizeof whole);
  return 0;
}

/* --- many at once ---------------------------------------------------------------------------------------------- */

int tracer_signal(struct tracer *tracer, uint32_t number, int32_t signal, uint32_t whole_process) {
  const struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee || tracee->state == TRACEE_DEAD) return -ESRCH;
  long failed = whole_process ? kill(tracee->process->pid, signal)
                              : syscall(SYS_tgkill, tracee->process->pid, tracee->tid, signal);
  return failed ? -errno : 0;
}

int tracer_pause(struct tracer *tracer, uint32_t number) {
  struct tracee *tracee = tracer_find_tracee(tracer, number);
  if (!tracee || tracee->state == TRACEE_DEAD) return -ESRCH;
  return backend_pause(tracee);
}

int tracer_count(struct tracer *tracer, uint32_t number) {
  if (number == 0) return (int)tracer->alive;
  const struct tree *tree = find_tree(tracer, number);
  return tree ? (int)tree->alive : 0;
}

int tracer_kill(struct tracer *tracer, uint32_t tree, int32_t signal) {
  int count = 0;
  family_adopt(tracer); /* those whose birth has not been told yet belong to it, too */
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++) {
    const struct tracee *tracee = tracer->slots[slot];
    if (!tracee || tracee->state == TRACEE_DEAD) continue;
    if (tree && (!tracee->tree || tracee->tree->number != tree)) continue;
    if (kill(tracee->process->pid, signal) == 0) count++;
  }
  return count;
}

int tracer_detach(struct tracer *tracer, uint32_t number) {
  const struct tracee *named = number ? tracer_find_tracee(tracer, number) : NULL;
  if (number && !named) return -ESRCH;
  const struct process *process = named ? named->process : NULL;
  int kept = 0;
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++) {
    struct tracee *tracee = tracer->slots[slot];
    if (!tracee || !tracee->tree || (process && tracee->process != process)) continue;
    if (tracee->tree->mode == TRAP_SECCOMP) {
      /* Without a tracer every trapped call would fail with ENOSYS, and a filter cannot be taken back. */
      tracee->muted = true;
      kept = 1;
    } else {
      backend_detach(tracer, tracee);
    }
  }
  return kept;
}

void tracer_close(struct tracer *tracer) {
  if (!tracer) return;
  tracer_end_at(tracer, 0, 0);
  if (tracer->can_show) timer_delete(tracer->show);
  tracer->can_show = false;
  attention_end(tracer);
  affinity_release(tracer);
  family_adopt(tracer);
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++) {
    struct tracee *tracee = tracer->slots[slot];
    if (!tracee || tracee->state == TRACEE_DEAD) continue;
    tracee->muted = true;
    if (tracee->tree && tracee->tree->attached)
      backend_detach(tracer, tracee);
    else
      kill(tracee->process->pid, SIGKILL);
  }
  /* Bounded: an uninterruptible tracee (vfork, a dead disk) must not hold luatrace. EXITKILL sees to the rest. */
  uint64_t deadline = tracer_now() + 2000000000u;
  while (tracer->alive > 0 && tracer_now() < deadline) {
    const struct tracer_stop *stop = tracer_next(tracer, 100000000);
    if (stop->kind == STOP_DONE) break;
  }
  for (struct tracee *tracee; (tracee = tracees_any(tracer));)
    tracees_bury(tracer, tracee);
  tracees_free_finished(tracer);
  while (tracer->trees)
    tree_free(tracer, tracer->trees);
  for (int signal = 1; signal < NSIG; signal++)
    if (tracer->signal_changed[signal]) sigaction(signal, &tracer->inherited[signal], NULL);
  tracees_free_tables(tracer);
  free(tracer->left);
  gate_lore_free(tracer->lore);
  watched_free(tracer);
  printer_free(tracer->printer);
  free(tracer);
}

/* --- signals to luatrace itself -------------------------------------------------------------------------------- */

void tracer_change_signal(struct tracer *tracer, int signal, void (*handler)(int)) {
  /* No SA_RESTART: a blocking wait must come back. */
  struct sigaction action = {.sa_handler = handler}, before;
  sigaction(signal, &action, &before);
  if (tracer->signal_changed[signal]) return;
  tracer->signal_changed[signal] = true;
  tracer->inherited[signal] = before;
}

/* A signal just before wait4 blocks would be noticed only after the next stop: the timer repeats the interruption
 * until tracer_next has seen it. It never does while a script's handler runs for ever: then the signal does to us what
 * it does to any program, and the kernel kills the tracees. From a keyboard, where the program decides, that takes a
 * second signal. */
static void on_signal(int signal) {
  static volatile sig_atomic_t ticks, asked_again;
  if (signal != SIGALRM) {
    if (!caught_signal) ticks = asked_again = 0;
    if (ticks >= UNSEEN_AGAIN) asked_again = 1;
    caught_signal = signal;
  } else if (caught_signal && ++ticks >= UNSEEN_TICKS) {
    bool from_keyboard = caught_signal == SIGINT || caught_signal == SIGQUIT;
    if (!from_keyboard || asked_again) {
      struct sigaction plain = {.sa_handler = SIG_DFL};
      sigaction(caught_signal, &plain, NULL);
      raise(caught_signal);
    }
  }
  const struct itimerval soon = {.it_value = {.tv_usec = 20000}, .it_interval = {.tv_usec = 20000}};
  if (signal != SIGALRM) setitimer(ITIMER_REAL, &soon, NULL);
}

static void on_show(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)info;
  must_show = 1;
  breakable_wait_break(context);
}

/* Not SIGALRM, which is for signals to us: nobody who reads or writes is to be interrupted by this one. */
static void prepare_show(struct tracer *tracer) {
  const int signal = SIGRTMIN;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal};
  if (tracer->can_show || timer_create(CLOCK_MONOTONIC, &event, &tracer->show)) return;
  tracer->can_show = true;
  tracer_change_signal(tracer, signal, SIG_IGN); /* remembers what it was */
  struct sigaction action = {.sa_sigaction = on_show, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigaction(signal, &action, NULL);
}

static void on_end(int signal) {
  static const char text[] = "luatrace: the time is over, and a handler of the script does not end: luatrace does\n";
  (void)signal;
  ssize_t unused = write(STDERR_FILENO, text, sizeof text - 1);
  (void)unused;
  _exit(end_status);
}

int tracer_end_at(struct tracer *tracer, uint64_t time, int32_t status) {
  if (tracer->will_end) timer_delete(tracer->end);
  tracer->will_end = false;
  if (time == 0) return 0;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
  if (timer_create(CLOCK_MONOTONIC, &event, &tracer->end)) return -errno;
  tracer->will_end = true;
  end_status = status;
  tracer_change_signal(tracer, SIGVTALRM, on_end);
  struct itimerspec at = {.it_value = {(time_t)(time / 1000000000), (long)(time % 1000000000)}};
  return timer_settime(tracer->end, TIMER_ABSTIME, &at, NULL) ? -errno : 0;
}

int tracer_catch_signals(struct tracer *tracer, uint32_t how) {
  static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    struct sigaction before;
    sigaction(fatal[i], NULL, &before);
    /* nohup and background jobs of plain shells: what was ignored stays ignored. */
    bool reported = how == INTERRUPTIBLE_REPORT || how == INTERRUPTIBLE_REPORT_ALL;
    if ((before.sa_handler == SIG_IGN && how != INTERRUPTIBLE_REPORT_ALL) || how == INTERRUPTIBLE_ANYWHERE) continue;
    tracer_change_signal(tracer, fatal[i], reported ? on_signal : SIG_IGN);
  }
  if (how == INTERRUPTIBLE_NOR_STOPPED) tracer_change_signal(tracer, SIGTSTP, SIG_IGN);
  tracer_change_signal(tracer, SIGALRM, on_signal);
  tracer_change_signal(tracer, SIGPIPE, SIG_IGN);
  tracer_change_signal(tracer, SIGTTOU, SIG_IGN);
  tracer_change_signal(tracer, SIGTTIN, SIG_IGN);
  prepare_show(tracer);
  return 0;
}
