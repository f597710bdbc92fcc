/* opens MODE COUNT: eight workers that open paths, a tenth of which end in ".hit", while signals come; says what they
 * were told. MODE: processes, threads, execs (each process begins anew now and then) or killed (some are, halfway). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 8 };

static _Atomic long signals;
static void handle(int signal) {
  (void)signal;
  signals++;
}

/* No SA_RESTART: a call that was never made must not say EINTR all the same. */
static void storm(void) {
  struct sigaction action = {.sa_handler = handle};
  struct itimerval often = {{0, 2000}, {0, 2000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
}

static long hits, misses, wrong;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void open_all(int number, int from, int to) {
  long hit = 0, miss = 0, other = 0;
  for (int i = from; i < to; i++) {
    char path[64];
    bool matches = i % 10 == 0;
    snprintf(path, sizeof path, "/nonexistent/%d/%d.%s", number, i, matches ? "hit" : "miss");
    int fd = open(path, O_RDONLY);
    if (fd < 0 && errno == (matches ? EIO : ENOENT))
      matches ? hit++ : miss++;
    else
      other++;
    if (fd >= 0) close(fd);
  }
  pthread_mutex_lock(&lock);
  hits += hit, misses += miss, wrong += other;
  pthread_mutex_unlock(&lock);
}

static int count;
static void *open_all_in_thread(void *number) {
  open_all((int)(long)number, 0, count);
  return NULL;
}

static void in_threads(void) {
  pthread_t threads[WORKERS];
  storm();
  for (long i = 0; i < WORKERS; i++)
    pthread_create(&threads[i], NULL, open_all_in_thread, (void *)i);
  for (int i = 0; i < WORKERS; i++)
    pthread_join(threads[i], NULL);
}

struct told {
  long hits, misses, wrong;
};

static void tell(int pipe) {
  struct told told = {hits, misses, wrong};
  if (write(pipe, &told, sizeof told) != sizeof told) _exit(1);
}

/* What each process was told comes through the pipe; of one that was killed, nothing. */
static void in_processes(const char *self, const char *mode) {
  int ends[2];
  pid_t pids[WORKERS];
  if (pipe(ends)) exit(1);
  for (int i = 0; i < WORKERS; i++) {
    pids[i] = fork();
    if (pids[i]) continue;
    close(ends[0]);
    if (!strcmp(mode, "execs")) {
      char pipe_text[16], number[16], count_text[16];
      snprintf(pipe_text, sizeof pipe_text, "%d", ends[1]);
      snprintf(number, sizeof number, "%d", i);
      snprintf(count_text, sizeof count_text, "%d", count);
      execl(self, self, "again", count_text, number, pipe_text, "0", NULL);
      _exit(1);
    }
    storm();
    do
      open_all(i, 0, count);
    while (!strcmp(mode, "killed") && i % 2 == 0); /* until it is */
    tell(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  for (int i = 0; !strcmp(mode, "killed") && i < WORKERS; i += 2)
    kill(pids[i], SIGKILL);
  for (struct told told; read(ends[0], &told, sizeof told) == sizeof told;)
    hits += told.hits, misses += told.misses, wrong += told.wrong;
  for (int i = 0; i < WORKERS; i++)
    waitpid(pids[i], NULL, 0);
}

/* A tenth of the work, then the program begins anew; timers live on. */
static int again(char **argv) {
  int number = atoi(argv[3]), from = atoi(argv[5]), to = from + count / 10;
  storm();
  open_all(number, from, to);
  tell(atoi(argv[4]));
  if (to >= count) return 0;
  char next[16];
  snprintf(next, sizeof next, "%d", to);
  signal(SIGALRM, SIG_IGN);
  argv[5] = next;
  execv(argv[0], argv);
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  count = atoi(argv[2]);
  if (!strcmp(argv[1], "again")) return again(argv);
  if (!strcmp(argv[1], "threads"))
    in_threads();
  else
    in_processes(argv[0], argv[1]);
  printf("%ld hits, %ld misses, %ld wrong\n", hits, misses, wrong);
  return 0;
}
