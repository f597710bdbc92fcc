#include "affinity.h"

#include <linux/audit.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Stops of a lone tracee before it is worth while. */
enum { STOPS_BEFORE_SHARING = 64 };
/* How often it is looked at whether others want the processor, and whether the tracees want two. */
enum { LOOK_NANOSECONDS = 200000000, FAMILY_LOOK_NANOSECONDS = 20000000, STOPS_BETWEEN_CLOCKS = 16 };
/* More tracees than this are taken to run side by side. Fewer stops a second than this, and computing counts more. */
enum { FAMILY_MAX = 16, STOPS_A_SECOND = 8000 };

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

uint64_t affinity_waiting_time(pid_t tid) {
  char path[64];
  unsigned long long waited = 0;
  snprintf(path, sizeof path, "/proc/%d/schedstat", tid);
  FILE *file = fopen(path, "re");
  if (!file) return 0;
  if (fscanf(file, "%*u %llu", &waited) != 1) waited = 0;
  fclose(file);
  return waited;
}

static uint64_t family_waiting_time(const struct tracer *tracer) {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++)
    if (tracer->slots[slot]) sum += affinity_waiting_time(tracer->slots[slot]->tid);
  return sum;
}

static uint64_t family_processor_time(const struct tracer *tracer) {
  uint64_t sum = processor_time(0);
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++)
    if (tracer->slots[slot]) sum += processor_time(tracer->slots[slot]->tid);
  return sum;
}

static struct affinity_look look(const struct tracer *tracer) {
  return (struct affinity_look){
      .time = tracer_now(),
      .ours = family_processor_time(tracer),
      .idle = idle_time(tracer->affinity.cpu),
  };
}

/* The processor was busy all the time, but not with us: somebody else needs it. (Tracees that have ended meanwhile
 * take their time with them: then this look tells nothing.) */
static bool crowded(const struct affinity_look *before, const struct affinity_look *now) {
  uint64_t time = now->time - before->time;
  return now->ours >= before->ours && now->idle - before->idle < time / 8 && now->ours - before->ours < time / 4 * 3;
}

/* Tracees wait for each other, and not because of stops: they would rather have two processors. */
static bool wants_more(struct tracer *tracer, uint64_t now) {
  struct affinity *affinity = &tracer->affinity;
  uint64_t time = now - affinity->family_time, waited = family_waiting_time(tracer);
  bool waits = waited > affinity->family_waited && waited - affinity->family_waited > time / 4;
  bool computes = (uint64_t)affinity->stops * 1000000000u / time < STOPS_A_SECOND;
  affinity->family_time = now;
  affinity->family_waited = waited;
  affinity->stops = 0;
  return waits && computes;
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
  affinity->shared = true;
  affinity->cpu = cpu;
  /* The first look comes later, when there is something to compare with; compared with none, it is not crowded. */
  affinity->look = (struct affinity_look){.time = tracer_now()};
}

void affinity_release(struct tracer *tracer) {
  struct affinity *affinity = &tracer->affinity;
  affinity->over = true;
  if (!affinity->shared) return;
  affinity->shared = false;
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++)
    if (tracer->slots[slot])
      sched_setaffinity(tracer->slots[slot]->tid, sizeof affinity->tracee_mask, &affinity->tracee_mask);
  sched_setaffinity(0, sizeof affinity->tracer_mask, &affinity->tracer_mask);
}

void affinity_note_birth(struct tracer *tracer) {
  struct affinity *affinity = &tracer->affinity;
  if (!affinity->shared) {
    affinity->over = true;
    return;
  }
  if (tracer->alive > FAMILY_MAX) {
    affinity_release(tracer);
  } else if (!affinity->family_time) {
    affinity->family_time = tracer_now();
    affinity->family_waited = family_waiting_time(tracer);
  }
}

void affinity_note_stop(struct tracer *tracer, struct tracee *tracee) {
  struct affinity *affinity = &tracer->affinity;
  if (affinity->over || tracer->attention.awake) return;
  affinity->stops++;
  if (!affinity->shared) {
    if (affinity->stops < STOPS_BEFORE_SHARING) return;
    affinity->stops = 0;
    if (tracer->alive == 1 && !tracee->tree->attached)
      share(tracer, tracee);
    else
      affinity->over = true;
    return;
  }
  if (affinity->stops % STOPS_BETWEEN_CLOCKS && tracer->alive == 1) return;
  uint64_t now = tracer_now();
  if (tracer->alive > 1 && now - affinity->family_time > FAMILY_LOOK_NANOSECONDS && wants_more(tracer, now)) {
    affinity_release(tracer);
    return;
  }
  if (now - affinity->look.time < LOOK_NANOSECONDS) return;
  struct affinity_look this_look = look(tracer);
  if (crowded(&affinity->look, &this_look)) affinity_release(tracer);
  affinity->look = this_look;
}

/* Tracees that compute side by side make no stops to be noticed by. */
int64_t affinity_wait_limit(const struct tracer *tracer) {
  return tracer->affinity.shared && tracer->alive > 1 ? FAMILY_LOOK_NANOSECONDS : -1;
}

void affinity_note_idle(struct tracer *tracer) {
  if (!tracer->affinity.shared) return;
  if (wants_more(tracer, tracer_now())) affinity_release(tracer);
}
