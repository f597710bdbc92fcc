/* mailbox MODE [COUNT]: a program that makes watched calls quickly, so that it asks about them by mailbox. Each of its
 * own calls is an lseek or a dup2 on descriptors that there are not, with the number of the call as an argument: those
 * who watch can tell whether they have seen each once, in order. Says what it was told. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* A place of its own for each kind of call, such as gates are made at: the result is looked at behind it, and nothing that
 * could be a jump to there is near. */
#define PLACE(name, number)                                                                                            \
  __attribute__((noinline, aligned(512))) static long name(long a, long b, long c, long d) {                           \
    register long fourth __asm__("r10") = d;                                                                           \
    register long fifth __asm__("r8") = 0;                                                                             \
    long result = (number);                                                                                            \
    __asm__ volatile("syscall\n\tcmp $-4095,%%rax\n\t"                                                                 \
                     : "+a"(result)                                                                                    \
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)                                                 \
                     : "rcx", "r11", "memory", "cc");                                                                  \
    return result;                                                                                                     \
  }
PLACE(seek_at, SYS_lseek)
PLACE(dup_at, SYS_dup2)
PLACE(read_at, SYS_read)
PLACE(sleep_at, SYS_nanosleep)
PLACE(poll_at, SYS_poll)
PLACE(futex_at, SYS_futex)
PLACE(pause_at, SYS_pause)

enum { NO_FILE = 1000, NO_OTHER_FILE = 1001 };

static int count = 10000;
static long next_seek, wrong;

/* The number of the next call is taken before it is made: a signal in between cannot make it twice. */
static long seek_next(void) {
  long number = ++next_seek, result = seek_at(NO_FILE, number, SEEK_SET, 0);
  if (result != -EBADF) wrong++;
  return result;
}

static void seek_often(int times) {
  for (int i = 0; i < times; i++)
    seek_next();
}

static void say_wrong(void) {
  printf("%ld wrong\n", wrong);
  fflush(stdout);
}

static int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    ;
  return status;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

/* What comes back for the numbers that handlers answer in their own way. */
static void answers(void) {
  seek_often(100);
  for (long number = 1000000; number < 1000040; number++)
    printf("%ld\n", seek_at(NO_FILE, number, SEEK_SET, 0));
  seek_often(100);
  say_wrong();
}

/* --- signals ----------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;
static volatile long next_dup;
static volatile bool quiet;

static void once_in(int microseconds) {
  struct itimerval once = {{0, 0}, {0, microseconds}};
  setitimer(ITIMER_REAL, &once, NULL);
}

/* So long after each handler's end: whoever it breaks off goes on, however slow all is. */
static volatile int pause_between;
static void every(int microseconds) {
  pause_between = microseconds;
  once_in(microseconds);
}

static void ask_in_handler(int signal) {
  (void)signal;
  int before = errno;
  handled++;
  if (!quiet && dup_at(NO_OTHER_FILE, ++next_dup, 0, 0) != -EBADF) wrong++;
  if (pause_between) once_in(pause_between);
  errno = before;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(signal, &action, NULL);
}

static void storm(int flags) {
  static char stack[1 << 16];
  stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
  if (flags & SA_ONSTACK) sigaltstack(&other, NULL);
  handle(SIGALRM, ask_in_handler, flags);
  seek_often(1000);
  every(200);
  while (next_seek < count || handled < 100)
    seek_next();
  every(0);
  seek_often(1000);
  printf("%s, ", handled >= 100 ? "handled" : "not handled");
  say_wrong();
  fprintf(stderr, "made: %ld %ld\n", next_seek, next_dup);
}

/* Signals with values, from a child that sends them as quickly as they are taken: none is lost or overtakes another. */
static volatile int last_value;
static volatile long out_of_order;
static pid_t sender;
static void take_value(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)context;
  if (info->si_code != SI_QUEUE || info->si_pid != sender || info->si_value.sival_int != last_value + 1) out_of_order++;
  last_value = info->si_value.sival_int;
  ask_in_handler(signal);
}

static int queue_to(pid_t pid, bool to_thread, int number) {
  siginfo_t info = {.si_signo = SIGRTMIN, .si_code = SI_QUEUE, .si_pid = getpid(), .si_uid = getuid()};
  info.si_value.sival_int = number;
  return (int)(to_thread ? syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGRTMIN, &info)
                         : syscall(SYS_rt_sigqueueinfo, pid, SIGRTMIN, &info));
}

static void queued(bool to_thread) {
  enum { VALUES = 1000 };
  struct sigaction action = {.sa_sigaction = take_value, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigaction(SIGRTMIN, &action, NULL);
  seek_often(1000);
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigprocmask(SIG_BLOCK, &set, &before);
  sender = fork();
  if (sender == 0) {
    for (int i = 1; i <= VALUES; i++) {
      while (queue_to(getppid(), to_thread, i) < 0)
        sched_yield();
      for (volatile int wait = 0; wait < 3000; wait++)
        ;
    }
    _exit(0);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
  while (last_value < VALUES)
    seek_next();
  wait_for(sender);
  printf("%d signals, %ld out of order, ", (int)handled, out_of_order);
  say_wrong();
  fprintf(stderr, "made: %ld %ld\n", next_seek, next_dup);
}

/* Out of a call, and of the handler, by a jump. */
static sigjmp_buf again;
static void jump_out(int signal) {
  ask_in_handler(signal);
  siglongjmp(again, 1);
}

static void jumps(void) {
  handle(SIGALRM, jump_out, 0);
  seek_often(1000);
  volatile int jumped = sigsetjmp(again, 1) ? 1 : 0;
  once_in(200); /* not by the handler: it could be called again before it has jumped, and again */
  while (handled < 300)
    seek_next();
  every(0);
  seek_often(1000);
  printf("%s, ", jumped ? "jumped" : "not jumped");
  say_wrong();
}

/* Another coroutine goes on for a while in the place of the one that was broken off. */
static ucontext_t broken_off, other;
static bool switched;
static void switch_over(int signal) {
  ask_in_handler(signal);
  if (switched) return;
  switched = true;
  swapcontext(&broken_off, &other);
  switched = false;
}
static void seek_in_coroutine(void) {
  for (;;) {
    seek_often(20);
    swapcontext(&other, &broken_off);
  }
}

static void coroutine(void) {
  static char stack[1 << 17];
  handle(SIGALRM, switch_over, SA_RESTART);
  getcontext(&other);
  other.uc_stack.ss_sp = stack;
  other.uc_stack.ss_size = sizeof stack;
  makecontext(&other, seek_in_coroutine, 0);
  seek_often(1000);
  every(300);
  while (handled < 300)
    seek_next();
  every(0);
  seek_often(1000);
  say_wrong();
}

/* --- calls that wait ---------------------------------------------------------------------------------------------- */

static void waits(void) {
  int ends[2];
  char byte;
  if (pipe(ends)) return;
  struct timespec tenth = {0, 100000000}, left, none = {0, 0};
  struct pollfd nothing = {.fd = ends[0], .events = POLLIN};
  uint32_t word = 0;
  quiet = true;
  /* Each place is used often before it waits. */
  for (int i = 0; i < 2000; i++) {
    if (read_at(NO_FILE, (long)&byte, 1, 0) != -EBADF || sleep_at((long)&none, 0, 0, 0) != 0 ||
        poll_at((long)&nothing, 1, 0, 0) != 0 || futex_at((long)&word, FUTEX_WAIT, 1, (long)&tenth) != -EAGAIN)
      wrong++;
  }
  for (int round = 0; round < 3; round++) {
    handle(SIGALRM, ask_in_handler, 0);
    once_in(20000);
    printf("read: %ld\n", read_at(ends[0], (long)&byte, 1, 0));
    once_in(20000);
    printf("nanosleep: %ld", sleep_at((long)&tenth, (long)&left, 0, 0));
    printf(" %s\n", left.tv_nsec > 0 && left.tv_nsec < 100000000 ? "some left" : "what is left?");
    once_in(20000);
    printf("poll: %ld\n", poll_at((long)&nothing, 1, 10000, 0));
    once_in(20000);
    printf("futex: %ld\n", futex_at((long)&word, FUTEX_WAIT, 0, 0));
    once_in(20000);
    printf("pause: %ld\n", pause_at(0, 0, 0, 0));

    handle(SIGALRM, ask_in_handler, SA_RESTART);
    int before = handled;
    pid_t reader = getpid(), child = fork();
    if (child == 0) {
      for (int i = 0; i < 5; i++) {
        usleep(5000);
        kill(reader, SIGALRM);
      }
      usleep(5000);
      _exit(write(ends[1], "x", 1) != 1);
    }
    printf("read: %ld", read_at(ends[0], (long)&byte, 1, 0));
    printf(", %s\n", handled > before ? "interrupted" : "not interrupted");
    wait_for(child);
  }
  printf("%ld wrong\n", wrong);
}

/* Waits for a signal that is due so soon that it comes while somebody looks at the call. Who was signalled before he waited
 * would wait for ever, but for the second signal: a real race, but one that nobody loses whose call comes at once. */
static void naps(void) {
  enum { TIMES = 400 };
  quiet = true;
  handle(SIGALRM, ask_in_handler, 0);
  int lost = 0;
  for (int i = 0; i < 200; i++)
    if (futex_at((long)&lost, FUTEX_WAIT, 1, 0) != -EAGAIN) wrong++;
  for (int i = 0; i < TIMES; i++) {
    struct itimerval soon = {{0, 50000}, {0, 40 + i % 160}};
    int before = handled;
    setitimer(ITIMER_REAL, &soon, NULL);
    if (pause_at(0, 0, 0, 0) != -EINTR) wrong++;
    every(0);
    lost += handled - before > 1;
    for (int more = 0; more < 40; more++) /* quickly, now and then */
      if (futex_at((long)&lost, FUTEX_WAIT, -1, 0) != -EAGAIN) wrong++;
  }
  fprintf(stderr, "%d lost\n", lost);
  printf("%s, ", lost < TIMES / 20 ? "few lost" : "many lost");
  say_wrong();
}

/* --- families ----------------------------------------------------------------------------------------------------- */

static void ended(const char *what, pid_t pid) {
  printf("%s: status %x\n", what, (unsigned)wait_for(pid));
  fflush(stdout);
}

static char child_stack[1 << 16];
static int seek_in_child(void *unused) {
  (void)unused;
  for (int i = 1; i <= count; i++)
    if (dup_at(NO_OTHER_FILE, i, 0, 0) != -EBADF) wrong++;
  return wrong ? 1 : 7;
}

static void family(char *self) {
  char number[16];
  snprintf(number, sizeof number, "%d", count);
  seek_often(count);
  pid_t pid = fork();
  if (pid == 0) {
    pid_t grandchild = fork();
    if (grandchild == 0) _exit(seek_in_child(NULL));
    seek_often(count);
    ended("grandchild", grandchild);
    _exit(seek_in_child(NULL));
  }
  seek_often(count); /* at the same time */
  ended("fork", pid);
  pid = vfork();
  if (pid == 0) {
    seek_in_child(NULL);
    _exit(3);
  }
  seek_often(count);
  ended("vfork", pid);
  pid = clone(seek_in_child, child_stack + sizeof child_stack, CLONE_VM | SIGCHLD, NULL);
  seek_often(count);
  ended("shared memory", pid);
  seek_often(count);
  pid = vfork();
  if (pid == 0) {
    execl(self, self, "plain", number, NULL);
    _exit(1);
  }
  ended("exec", pid);
  seek_often(count);
  say_wrong();
}

static void *dup_in_thread(void *unused) {
  seek_in_child(NULL);
  return unused;
}

static void threads(void) {
  pthread_t all[4];
  seek_often(count);
  for (int i = 0; i < 4; i++)
    pthread_create(&all[i], NULL, dup_in_thread, NULL);
  seek_often(count);
  for (int i = 0; i < 4; i++)
    pthread_join(all[i], NULL);
  seek_often(count);
  pid_t pid = fork();
  if (pid == 0) _exit(seek_in_child(NULL));
  ended("fork", pid);
  say_wrong();
}

/* Children end in all ways while they ask. */
static void leave(int signal) {
  if (signal == SIGUSR1) _exit(5);
  execl("/proc/self/exe", "mailbox", "plain", "10", NULL);
}

static void ends(void) {
  handle(SIGUSR1, leave, 0);
  handle(SIGUSR2, leave, 0);
  static const int signals[] = {SIGUSR1, SIGUSR2, SIGKILL, SIGTERM, SIGSEGV};
  seek_often(1000);
  for (int i = 0; i < 25; i++) {
    int signal = signals[i % 5];
    pid_t pid = fork();
    if (pid == 0) {
      for (;;)
        seek_next();
    }
    usleep(200 + i * 201);
    seek_often(100);
    kill(pid, signal);
    ended("child", pid);
  }
  say_wrong();
}

/* Stopped and continued by another. */
static void stops(void) {
  seek_often(1000);
  pid_t worker = getpid(), pid = fork();
  if (pid == 0) {
    for (int i = 0; i < 300; i++) {
      kill(worker, i % 3 == 0 ? SIGTSTP : SIGSTOP);
      if (i % 2) usleep(100);
      kill(worker, SIGCONT);
      usleep(50 + i % 7 * 30);
    }
    _exit(0);
  }
  while (waitpid(pid, NULL, WNOHANG) == 0)
    seek_often(10);
  seek_often(1000);
  say_wrong();
}

/* --- time and place ------------------------------------------------------------------------------------------------- */

static void hot_and_cold(void) {
  for (int i = 0; i < 8; i++) {
    seek_often(count / 8);
    usleep(20000);
  }
  say_wrong();
}

static void pinned(void) {
  cpu_set_t all, one;
  seek_often(1000);
  sched_getaffinity(0, sizeof all, &all);
  for (int round = 0; round < 4; round++) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (!CPU_ISSET(cpu, &all)) continue;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      seek_often(1000);
    }
  }
  say_wrong();
}

/* Another user's: no memory of the tracer's can be attached from now on. */
static void other_user(void) {
  seek_often(count);
  if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) puts("root all the same");
  seek_often(count);
  pid_t pid = fork();
  if (pid == 0) _exit(seek_in_child(NULL));
  ended("fork", pid);
  say_wrong();
}

static void other_user_first(void) {
  if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) puts("root all the same");
  seek_often(count);
  say_wrong();
}

/* Shared memory of its own, under numbers that somebody else's may have elsewhere. */
static void own_memory(bool elsewhere) {
  enum { SEGMENTS = 64, SIZE = 4096 };
  uint32_t *all[SEGMENTS];
  if (elsewhere && unshare(CLONE_NEWIPC)) puts("in the same namespace");
  for (int i = 0; i < SEGMENTS; i++) {
    int id = shmget(IPC_PRIVATE, SIZE, IPC_CREAT | 0600);
    void *at = id < 0 ? NULL : shmat(id, NULL, 0);
    if (!elsewhere) shmctl(id, IPC_RMID, NULL); /* else it goes with the namespace */
    all[i] = at;
    for (size_t word = 0; word < SIZE / sizeof **all; word++)
      all[i][word] = 1;
  }
  seek_often(count);
  for (int i = 0; i < SEGMENTS; i++)
    for (size_t word = 0; word < SIZE / sizeof **all; word++)
      wrong += all[i][word] != 1;
  say_wrong();
}

/* On stderr, for those who want to know whether all this was about anything. */
static void report_mailboxes(void) {
  char line[512];
  int mailboxes = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    mailboxes += strstr(line, "/SYSV00000000") && strstr(line, "(deleted)");
  if (maps) fclose(maps);
  fprintf(stderr, "%d mailbox\n", mailboxes);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  if (argc > 2) count = atoi(argv[2]);
  if (!strcmp(mode, "plain")) {
    seek_often(count);
    say_wrong();
  }
  if (!strcmp(mode, "answers")) answers();
  if (!strcmp(mode, "storm")) storm(0);
  if (!strcmp(mode, "restarting")) storm(SA_RESTART);
  if (!strcmp(mode, "altstack")) storm(SA_RESTART | SA_ONSTACK);
  if (!strcmp(mode, "queued")) queued(false);
  if (!strcmp(mode, "queued-to-thread")) queued(true);
  if (!strcmp(mode, "jumps")) jumps();
  if (!strcmp(mode, "coroutine")) coroutine();
  if (!strcmp(mode, "waits")) waits();
  if (!strcmp(mode, "naps")) naps();
  if (!strcmp(mode, "family")) family(argv[0]);
  if (!strcmp(mode, "threads")) threads();
  if (!strcmp(mode, "ends")) ends();
  if (!strcmp(mode, "stops")) stops();
  if (!strcmp(mode, "hot-and-cold")) hot_and_cold();
  if (!strcmp(mode, "pinned")) pinned();
  if (!strcmp(mode, "other-user")) other_user();
  if (!strcmp(mode, "other-user-first")) other_user_first();
  if (!strcmp(mode, "own-memory")) own_memory(false);
  if (!strcmp(mode, "own-memory-elsewhere")) own_memory(true);
  report_mailboxes();
  return 0;
}
