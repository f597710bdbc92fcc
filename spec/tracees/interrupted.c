/* Waits to be interrupted, in one way or another. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void *wait_here(void *unused) {
  for (;;)
    pause();
  return unused;
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  pthread_t thread;
  if (!strcmp(mode, "parent")) {
    /* Its tracer dies: EXITKILL. */
    kill(getppid(), SIGKILL);
  } else if (!strcmp(mode, "wait")) {
    for (int i = 0; i < 3; i++)
      pthread_create(&thread, NULL, wait_here, NULL);
  }
  wait_here(NULL);
}
