/* gate MODE [FIFO]: a program whose opens go through a gate when a rule waits for paths that end in ".hit" (EIO); says what it
 * was told. Each mode first opens other paths from the same place, again and again. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static int opened(const char *path) {
  const char *volatile unknown = path; /* the compiler would have NULL refused */
  int fd = open(unknown, O_RDONLY);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

/* Everything that follows is asked about a place that has been used before. */
static void warm(int times) {
  for (int i = 0; i < times; i++)
    if (opened("/dev/null") != 0) puts("cold");
}

static void say(const char *what, int error) { printf("%s: %s\n", what, error ? strerror(error) : "opened"); }

static void paths(void) {
  static const char *const all[] = {
      "/dev/null", "/nonexistent/a", "a.hit",     "/nonexistent/a.hit", "/nonexistent/a.hit/", "", ".",
      "/",         "/a.hit/..",      "x/../a.hit"};
  warm(10);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    say(all[i], opened(all[i]));
}

static void on_fault(int signal) {
  (void)signal;
  static const char text[] = "a fault was delivered\n";
  ssize_t unused = write(1, text, sizeof text - 1);
  (void)unused;
  _exit(1);
}

/* What no path is, is the kernel's to say; signals that the program would have had all the same still come. */
static void pointers(void) {
  struct sigaction action = {.sa_handler = on_fault};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  warm(10);
  long page = sysconf(_SC_PAGESIZE);
  char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(two, 'x', page);
  munmap(two + page, page);
  char longest[5000];
  memset(longest, 'x', sizeof longest);
  longest[sizeof longest - 1] = 0;
  int fd = memfd_create("short", 0);
  const char *behind_its_end = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  for (int round = 0; round < 3; round++) {
    say("NULL", opened(NULL));
    say("1", opened((const char *)1));
    say("not canonical", opened((const char *)0x8000000000000000u));
    say("kernel", opened((const char *)0xffffffff81000000u));
    say("no end", opened(two + page - 10));
    say("behind the end of a file", opened(behind_its_end));
    say("too long", opened(longest));
    say("good", opened("/dev/null"));
  }
  fflush(stdout);
  raise(SIGSEGV);
}

static volatile sig_atomic_t handled, in_handler_wrong;
static void open_in_handler(int signal) {
  (void)signal;
  int before = errno;
  handled++;
  for (int i = 0; i < 10; i++)
    if (opened("/dev/null") != 0 || opened("/a.hit") != EIO) in_handler_wrong++;
  errno = before;
}

static void storm(bool again) {
  struct sigaction action = {.sa_handler = open_in_handler, .sa_flags = again ? SA_RESTART : 0};
  struct itimerval often = {{0, 1000}, {0, 1000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
}

static void calm(void) {
  struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &never, NULL);
}

static void signals(void) {
  int wrong = 0;
  storm(true);
  while (handled < 200)
    if (opened("/dev/null") != 0 || opened("/a.hit") != EIO) wrong++;
  calm();
  printf("%d wrong, %d in handlers\n", wrong, (int)in_handler_wrong);
}

/* The first signal breaks off the very call from whose place its handler opens for the first time. */
static void first_in_handler(const char *fifo) {
  storm(false);
  errno = 0;
  int fd = open(fifo, O_RDONLY); /* nobody ever writes */
  int error = errno;
  calm();
  printf("%d %s, %d wrong in handlers\n", fd, strerror(error), (int)in_handler_wrong);
}

/* A call that waits, from a place that has been used. */
static void blocked(const char *fifo) {
  warm(10);
  struct sigaction action = {.sa_handler = open_in_handler};
  struct itimerval once = {{0, 0}, {0, 20000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &once, NULL);
  say("interrupted", opened(fifo));
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  pid_t child = fork();
  if (child == 0) {
    while (getppid() != 1 && open(fifo, O_WRONLY | O_NONBLOCK) < 0)
      usleep(40000); /* the parent is woken by signals meanwhile, and waits on */
    _exit(0);
  }
  once.it_interval.tv_usec = 5000;
  setitimer(ITIMER_REAL, &once, NULL);
  say("restarted", opened(fifo));
  calm();
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
    ;
  printf("%d wrong in handlers\n", (int)in_handler_wrong);
}

/* A handler that goes on with another coroutine: the call that it broke off returns later, on a stack of its own. */
static ucontext_t broken_off, other;
static void switch_over(int signal) {
  (void)signal;
  swapcontext(&broken_off, &other);
}
static void open_in_coroutine(void) {
  open_in_handler(0);
  setcontext(&broken_off);
}

static void coroutine(const char *fifo) {
  static char stack[1 << 16];
  struct sigaction action = {.sa_handler = switch_over};
  struct itimerval once = {{0, 0}, {0, 20000}};
  getcontext(&other);
  other.uc_stack.ss_sp = stack;
  other.uc_stack.ss_size = sizeof stack;
  makecontext(&other, open_in_coroutine, 0);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &once, NULL);
  say("interrupted", opened(fifo));
  printf("%d wrong in the coroutine\n", (int)in_handler_wrong);
}

static _Atomic int thread_wrong;
static void *open_in_thread(void *unused) {
  for (int i = 0; i < 300; i++)
    if (opened("/dev/null") != 0 || opened("/a.hit") != EIO) thread_wrong++;
  return unused;
}

static void threads(void) {
  pthread_t all[8];
  warm(10);
  for (int i = 0; i < 8; i++)
    pthread_create(&all[i], NULL, open_in_thread, NULL);
  for (int i = 0; i < 8; i++)
    pthread_join(all[i], NULL);
  open_in_thread(NULL);
  printf("%d wrong\n", thread_wrong);
}

/* A thread is cancelled in a call that waits: its stack is unwound from there (-fexceptions, as in C++). */
static _Atomic pid_t waiting;
static void clean_up(const int *unused) {
  (void)unused;
  puts("cleaned up");
}
static void *wait_for_fifo(void *fifo) {
  __attribute__((cleanup(clean_up))) int scope = 0;
  (void)scope;
  warm(10);
  waiting = (pid_t)syscall(SYS_gettid);
  opened(fifo);
  return NULL;
}

static bool sleeps(pid_t tid) {
  char path[64], state = 0;
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  FILE *stat = fopen(path, "r");
  if (!stat) return true;
  if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1) state = 0;
  fclose(stat);
  return state == 'S';
}

static void cancelled(char *fifo) {
  pthread_t thread;
  void *result;
  /* From now on the C library makes calls as those of a program with threads. */
  pthread_create(&thread, NULL, open_in_thread, NULL);
  pthread_join(thread, NULL);
  warm(10);
  pthread_create(&thread, NULL, wait_for_fifo, fifo);
  while (!waiting || !sleeps(waiting))
    usleep(1000);
  pthread_cancel(thread);
  pthread_join(thread, &result);
  puts(result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
}

static void ended(const char *what, pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  printf("%s: status %x\n", what, status);
  fflush(stdout);
}

static char child_stack[1 << 16];
static int open_in_child(void *unused) {
  (void)unused;
  open_in_thread(NULL);
  return 7;
}

static void family(char *self) {
  warm(2);
  pid_t pid = fork();
  if (pid == 0) _exit(open_in_child(NULL));
  ended("fork", pid);
  pid = vfork();
  if (pid == 0) {
    open_in_thread(NULL);
    _exit(3);
  }
  ended("vfork", pid);
  warm(10);
  pid = fork();
  if (pid == 0) _exit(open_in_child(NULL));
  ended("fork", pid);
  pid = clone(open_in_child, child_stack + sizeof child_stack, CLONE_VM | SIGCHLD, NULL);
  open_in_thread(NULL);
  ended("shared memory", pid);
  pid = vfork();
  if (pid == 0) {
    execl(self, self, "paths", NULL);
    _exit(1);
  }
  ended("exec", pid);
  printf("%d wrong\n", thread_wrong);
}

/* After vfork its memory is its parent's, too; so is that of its own child, which it leaves behind. */
static _Atomic bool enough;
static int open_until_enough(void *unused) {
  (void)unused;
  while (!enough)
    open_in_thread(NULL);
  return 5;
}

static void lent(void) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  pid_t pid = vfork();
  if (pid == 0) {
    clone(open_until_enough, child_stack + sizeof child_stack, CLONE_VM | SIGCHLD, NULL);
    _exit(3);
  }
  ended("vfork", pid);
  for (int i = 0; i < 3; i++)
    open_in_thread(NULL);
  enough = true;
  ended("shared memory", -1);
  printf("%d wrong\n", thread_wrong);
}

/* One place for many calls. */
static void any_call(void) {
  int wrong = 0;
  for (int i = 0; i < 50; i++) {
    long fd = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
    if (fd < 0) wrong++;
    if (syscall(SYS_close, fd) != 0) wrong++;
    if (syscall(SYS_getppid) != getppid()) wrong++;
    if (syscall(SYS_openat, AT_FDCWD, "/a.hit", O_RDONLY) != -1 || errno != EIO) wrong++;
    if (syscall(SYS_faccessat, AT_FDCWD, "/a.hit", 0) != -1 || errno != ENOENT) wrong++;
  }
  printf("%d wrong\n", wrong);
}

/* Kills whoever calls mmap from now on. */
static void own_filter(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {4, code};
  printf("a filter\n");
  fflush(stdout);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) say("filter", errno);
  open_in_thread(NULL);
  printf("%d wrong\n", thread_wrong);
}

/* What an ignored signal does is no business of the gate's. */
static void ignored(void) {
  signal(SIGSEGV, SIG_IGN);
  warm(10);
  say("NULL", opened(NULL));
  say("1", opened((const char *)1));
  raise(SIGSEGV);
  puts("still ignored");
}

/* What a fault of the gate's own would reset. */
static void masked(void) {
  struct sigaction action = {.sa_handler = on_fault}, after;
  sigset_t all;
  sigaction(SIGSEGV, &action, NULL);
  warm(10);
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  say("1", opened((const char *)1));
  say("-1", opened((const char *)-1));
  sigprocmask(SIG_SETMASK, NULL, &all);
  sigaction(SIGSEGV, NULL, &after);
  printf("%s, %s\n", sigismember(&all, SIGSEGV) ? "still blocked" : "no more blocked",
         after.sa_handler == on_fault ? "still handled" : "no more handled");
}

/* A call instruction by hand: the flags from before are looked at behind it. */
static bool flag_after_open(long value) {
  long result = SYS_open;
  bool zero;
  __asm__ volatile("test %[value],%[value]\n\tsyscall\n\tmov %%rax,%%rdx\n\tsetz %[zero]"
                   : "+a"(result), [zero] "=r"(zero)
                   : "D"("/nonexistent/a"), "S"(O_RDONLY), "d"(0), [value] "r"(value)
                   : "rcx", "r11", "memory", "cc");
  return zero;
}

static void flags(void) {
  int wrong = 0;
  for (int i = 0; i < 20; i++)
    wrong += !flag_after_open(0) || flag_after_open(1);
  printf("%d wrong\n", wrong);
}

/* Opens from a recursion as deep as the stack is: the gate needs none of it. */
static int deep(int left) {
  volatile char room[1024];
  room[0] = (char)left;
  int wrong = left ? deep(left - 1) : opened("/dev/null") != 0 || opened("/a.hit") != EIO;
  return wrong + (room[0] != (char)left);
}

/* On stderr, for those who want to know whether all this was about anything. */
static void report_gates(void) {
  char line[512];
  int gates = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    gates += strstr(line, " r-xp 00000000 00:00 0") && !strchr(line, '[');
  if (maps) fclose(maps);
  fprintf(stderr, "%d gate\n", gates);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (!strcmp(mode, "paths")) paths();
  if (!strcmp(mode, "pointers")) pointers();
  if (!strcmp(mode, "signals")) signals();
  if (!strcmp(mode, "first")) first_in_handler(argv[2]);
  if (!strcmp(mode, "blocked")) blocked(argv[2]);
  if (!strcmp(mode, "threads")) threads();
  if (!strcmp(mode, "family")) family(argv[0]);
  if (!strcmp(mode, "any")) any_call();
  if (!strcmp(mode, "filter")) own_filter();
  if (!strcmp(mode, "ignored")) ignored();
  for (int i = 0; i < 8 && !strcmp(mode, "file"); i++)
    say("file", opened(argv[2]));
  if (!strcmp(mode, "coroutine")) coroutine(argv[2]);
  if (!strcmp(mode, "cancelled")) cancelled(argv[2]);
  if (!strcmp(mode, "lent")) lent();
  if (!strcmp(mode, "masked")) masked();
  if (!strcmp(mode, "flags")) flags();
  if (!strcmp(mode, "deep")) {
    warm(10);
    printf("%d wrong\n", deep(7000));
  }
  report_gates();
  return 0;
}
