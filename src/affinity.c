#include "affinity.h"

#include <linux/audit.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Stops of a lone tracee before it is worth while; and how often we look whether others want the processor. */
enum { STOPS_BEFORE_SHARING = 64, STOPS_BETWEEN_LOOKS = 256, LOOK_NANOSECONDS = 200000000 };

enum { NR_X86_64_SETAFFINITY = 203, NR_X86_64_GETAFFINITY = 204, NR_I386_SETAFFINITY = 241, NR_I386_GETAFFINITY = 242 };

bool affinity_is_asked(uint32_t arch, uint64_t nr) {
  if (arch == AUDIT_ARCH_I386) return nr == NR_I386_SETAFFINITY || nr == NR_I386_GETAFFINITY;
  return nr == NR_X86_64_SETAFFINITY || nr == NR_X86_64_GETAFFINITY;
}

static uint64_t processor_time(pid_t pid) {
  clockid_t clock;
  struct timespec used = {0};
  if (clock_getcpuclockid(pid, &clock) == 0) clock_gettime(clock, &used);
  return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* Nanoseconds that the processor has been idle since boot; 0 when that cannot be known. */
static uint64_t idle_time(int cpu) {
  char line[256];
  uint64_t idle = 0;
  FILE *stat = fopen("/proc/stat", "re");
  if (!stat) return 0;
  while (fgets(line, sizeof line, stat)) {
    int number;
    unsigned long long ticks;
    if (sscanf(line, "cpu%d %*u %*u %*u %llu", &number, &ticks) == 2 && number == cpu) {
      idle = ticks * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
      break;
    }
  }
  fclose(stat);
  return idle;
}

static struct affinity_look look(const struct affinity *affinity) {
  return (struct affinity_look){
      .time = tracer_now(),
      .ours = processor_time(0) + processor_time(affinity->shared_with),
      .idle = idle_time(affinity->cpu),
  };
}

/* The processor was busy all the time, but not with us: somebody else needs it. */
static bool crowded(const struct affinity_look *before, const struct affinity_look *now) {
  uint64_t time = now->time - before->time;
  return now->idle - before->idle < time / 8 && now->ours - before->ours < time / 4 * 3;
}

static void share(struct tracer *tracer, struct tracee *tracee) {
  struct affinity *affinity = &tracer->affinity;
  cpu_set_t one;
  affinity->over = true; /* unless all goes well */
  int cpu = sched_getcpu();
  if (cpu < 0 || cpu >= CPU_SETSIZE) return;
  if (sched_getaffinity(0, sizeof affinity->tracer_mask, &affinity->tracer_mask)) return;
  if (sched_getaffinity(tracee->tid, sizeof affinity->tracee_mask, &affinity->tracee_mask)) return;
  if (CPU_COUNT(&affinity->tracee_mask) < 2 || !CPU_ISSET(cpu, &affinity->tracee_mask)) return;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one)) return;
  if (sched_setaffinity(tracee->tid, sizeof one, &one)) {
    sched_setaffinity(0, sizeof affinity->tracer_mask, &affinity->tracer_mask);
    return;
  }
  affinity->over = false;
  affinity->shared_with = tracee->tid;
  affinity->cpu = cpu;
  affinity->look = look(affinity);
}

void affinity_release(struct tracer *tracer) {
  struct affinity *affinity = &tracer->affinity;
  affinity->over = true;
  if (!affinity->shared_with) return;
  sched_setaffinity(affinity->shared_with, sizeof affinity->tracee_mask, &affinity->tracee_mask);
  sched_setaffinity(0, sizeof affinity->tracer_mask, &affinity->tracer_mask);
  affinity->shared_with = 0;
}

void affinity_note_birth(struct tracer *tracer, pid_t child) {
  struct affinity *affinity = &tracer->affinity;
  bool inherited = affinity->shared_with != 0;
  affinity_release(tracer);
  if (inherited) sched_setaffinity(child, sizeof affinity->tracee_mask, &affinity->tracee_mask);
}

void affinity_note_stop(struct tracer *tracer, struct tracee *tracee) {
  struct affinity *affinity = &tracer->affinity;
  if (affinity->over || ++affinity->stops < (affinity->shared_with ? STOPS_BETWEEN_LOOKS : STOPS_BEFORE_SHARING))
    return;
  affinity->stops = 0;
  if (!affinity->shared_with) {
    if (tracer->alive == 1 && !tracee->tree->attached)
      share(tracer, tracee);
    else
      affinity->over = true;
    return;
  }
  if (tracee->stop.time - affinity->look.time < LOOK_NANOSECONDS) return;
  struct affinity_look now = look(affinity);
  if (crowded(&affinity->look, &now)) affinity_release(tracer);
  affinity->look = now;
}
