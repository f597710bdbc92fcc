/*
 * allocates - takes memory until there is no more: in a child of a parent that has taken some; when that has been
 * given back; in a thread, in small pieces. Says whether it ended where a budget of 16 MiB ends.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static void *map(size_t size) { return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

/* Whole mebibytes, up to 64. */
static int take(void **blocks) {
  int count = 0;
  while (count < 64 && (blocks[count] = map(MIB)) != MAP_FAILED)
    count++;
  return count;
}

static void *thread_main(void *result) {
  /* Of 64 KiB: below what malloc maps by itself, so from the thread's own heap, which grows by mprotect. */
  static void *pieces[4096];
  int count = 0;
  while (count < 4096 && (pieces[count] = malloc(65536)))
    count++;
  *(int *)result = count;
  for (int i = 0; i < count; i++)
    free(pieces[i]);
  return NULL;
}

int main(void) {
  void *blocks[64];
  int count = 0;
  pthread_t thread;
  setvbuf(stdout, NULL, _IONBF, 0);
  int most = take(blocks);
  for (int i = 6; i < most; i++)
    munmap(blocks[i], MIB);
  pid_t child = fork();
  if (child == 0) {
    int more = take(blocks + 6);
    printf("child %s\n", more == most - 6 ? "true" : "false");
    _exit(0);
  }
  waitpid(child, NULL, 0);
  for (int i = 0; i < 6 && i < most; i++)
    munmap(blocks[i], MIB);
  void *all = map((size_t)most * MIB);
  printf("freed %d\n", most > 6 && all != MAP_FAILED);
  munmap(all, (size_t)most * MIB);
  if (pthread_create(&thread, NULL, thread_main, &count) != 0) return puts("no thread"), 1;
  pthread_join(thread, NULL);
  printf("thread %s\n", count > 64 && count <= 256 ? "true" : "false");
  return 0;
}
