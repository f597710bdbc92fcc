/* Waits ten seconds in every way there is, and says which ones did not last them by the monotonic clock. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const int WAIT = 10;
static volatile sig_atomic_t alarms;

static double now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void on_alarm(int signal) {
  (void)signal;
  alarms++;
}

static struct timespec later(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  time.tv_sec += WAIT;
  return time;
}

static void by_nanosleep(void) { nanosleep(&(struct timespec){WAIT, 0}, NULL); }
static void by_clock_nanosleep(void) { clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){WAIT, 0}, NULL); }
static void until(clockid_t clock) {
  struct timespec time = later(clock);
  clock_nanosleep(clock, TIMER_ABSTIME, &time, NULL);
}
static void until_monotonic(void) { until(CLOCK_MONOTONIC); }
static void until_realtime(void) { until(CLOCK_REALTIME); }

static void by_poll(void) { poll(NULL, 0, WAIT * 1000); }
static void by_ppoll(void) { ppoll(NULL, 0, &(struct timespec){WAIT, 0}, NULL); }
static void by_select(void) {
  struct timeval timeout = {WAIT, 0};
  select(0, NULL, NULL, NULL, &timeout);
  if (timeout.tv_sec || timeout.tv_usec) printf("select left %ld s\n", (long)timeout.tv_sec);
}
static void by_pselect(void) { pselect(0, NULL, NULL, NULL, &(struct timespec){WAIT, 0}, NULL); }

static void by_epoll(void) {
  int fd = epoll_create1(0);
  struct epoll_event event;
  epoll_wait(fd, &event, 1, WAIT * 1000);
  close(fd);
}

static void by_futex(void) {
  int word = 0;
  syscall(SYS_futex, &word, FUTEX_WAIT, 0, &(struct timespec){WAIT, 0}, NULL, 0);
}

static void by_semaphore(void) {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  struct timespec time = later(CLOCK_REALTIME);
  while (sem_timedwait(&semaphore, &time) && errno == EINTR)
    ;
}

static void by_condition(void) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_condattr_t attributes;
  pthread_cond_t condition;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&condition, &attributes);
  struct timespec time = later(CLOCK_MONOTONIC);
  pthread_mutex_lock(&mutex);
  while (pthread_cond_timedwait(&condition, &mutex, &time) == 0)
    ;
}

static void by_sigtimedwait(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigtimedwait(&set, NULL, &(struct timespec){WAIT, 0});
}

static void wait_for_alarm(void) {
  int before = alarms;
  while (alarms == before)
    pause();
}

static void by_alarm(void) {
  alarm(1000);
  unsigned left = alarm((unsigned)WAIT);
  if (left < 2 || left > 1000) printf("alarm left %u s\n", left);
  wait_for_alarm();
}

static void by_setitimer(void) {
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {1000, 0}}, NULL);
  struct itimerval left;
  getitimer(ITIMER_REAL, &left);
  if (left.it_value.tv_sec < 2 || left.it_value.tv_sec > 1000)
    printf("setitimer left %ld s\n", (long)left.it_value.tv_sec);
  setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {WAIT, 0}}, NULL);
  wait_for_alarm();
}

static void by_timer(clockid_t clock, int flags) {
  timer_t timer;
  struct itimerspec left;
  timer_create(clock, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM}, &timer);
  struct itimerspec spec = {.it_value = flags ? later(clock) : (struct timespec){WAIT, 0}};
  timer_settime(timer, flags, &spec, NULL);
  timer_gettime(timer, &left);
  if (left.it_value.tv_sec > WAIT) printf("timer left %ld s\n", (long)left.it_value.tv_sec);
  wait_for_alarm();
  timer_delete(timer);
}
static void by_relative_timer(void) { by_timer(CLOCK_MONOTONIC, 0); }
static void by_absolute_timer(void) { by_timer(CLOCK_REALTIME, TIMER_ABSTIME); }

static void by_timerfd(clockid_t clock, int flags) {
  uint64_t count;
  int fd = timerfd_create(clock, 0);
  struct itimerspec spec = {.it_value = flags ? later(clock) : (struct timespec){WAIT, 0}};
  timerfd_settime(fd, flags, &spec, NULL);
  if (read(fd, &count, sizeof count) != sizeof count) printf("timerfd: %s\n", strerror(errno));
  close(fd);
}
static void by_relative_timerfd(void) { by_timerfd(CLOCK_MONOTONIC, 0); }
static void by_absolute_timerfd(void) { by_timerfd(CLOCK_REALTIME, TFD_TIMER_ABSTIME); }

static void by_socket(void) {
  int ends[2];
  char byte;
  struct timeval timeout = {WAIT, 0};
  socklen_t size = sizeof timeout;
  socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, &size);
  if (timeout.tv_sec < WAIT || timeout.tv_sec > WAIT + 1) printf("SO_RCVTIMEO is %ld s\n", (long)timeout.tv_sec);
  if (recv(ends[0], &byte, 1, 0) >= 0 || errno != EAGAIN) printf("recv: %s\n", strerror(errno));
}

/* What a broken-off sleep leaves is in the program's time, too. */
static void by_interrupted_sleep(void) {
  struct timespec left = {0, 0};
  alarm((unsigned)WAIT);
  if (nanosleep(&(struct timespec){1000, 0}, &left) == 0 || errno != EINTR) printf("sleep was not interrupted\n");
  /* The alarm began before the sleep; what passes in between is many seconds of this time. */
  if (left.tv_sec < 2 || left.tv_sec > 999) printf("sleep left %ld s\n", (long)left.tv_sec);
}

static const struct {
  const char *name;
  void (*wait)(void);
} ways[] = {{"nanosleep", by_nanosleep},
            {"clock_nanosleep", by_clock_nanosleep},
            {"clock_nanosleep until, monotonic", until_monotonic},
            {"clock_nanosleep until, realtime", until_realtime},
            {"poll", by_poll},
            {"ppoll", by_ppoll},
            {"select", by_select},
            {"pselect", by_pselect},
            {"epoll_wait", by_epoll},
            {"futex", by_futex},
            {"sem_timedwait", by_semaphore},
            {"pthread_cond_timedwait", by_condition},
            {"sigtimedwait", by_sigtimedwait},
            {"alarm", by_alarm},
            {"setitimer", by_setitimer},
            {"timer_settime", by_relative_timer},
            {"timer_settime, absolute", by_absolute_timer},
            {"timerfd", by_relative_timerfd},
            {"timerfd, absolute", by_absolute_timerfd},
            {"SO_RCVTIMEO", by_socket},
            {"interrupted nanosleep", by_interrupted_sleep}};

int main(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    double before = now(CLOCK_MONOTONIC), realtime = now(CLOCK_REALTIME);
    ways[i].wait();
    double passed = now(CLOCK_MONOTONIC) - before;
    double of_day = now(CLOCK_REALTIME) - realtime;
    /* The kernel's coarse rounding may take a tick. */
    if (passed < WAIT - 0.01 || of_day < WAIT - 0.01) printf("%s: %.3f s, %.3f s\n", ways[i].name, passed, of_day);
  }
  printf("%zu ways\n", sizeof ways / sizeof *ways);
  return 0;
}
