#include "tracees.h"

#include <errno.h>
#include <stdlib.h>

#include "gate.h"
#include "launch.h"
#include "remote_syscall.h"

static uint32_t bucket(const struct tracer *tracer, pid_t tid) {
  /* Fibonacci hashing: tids are mostly consecutive. */
  return ((uint32_t)tid * 2654435769u) & (tracer->by_tid_size - 1);
}

static void link_tid(struct tracer *tracer, struct tracee *tracee) {
  struct tracee **head = &tracer->by_tid[bucket(tracer, tracee->tid)];
  tracee->next_by_tid = *head;
  *head = tracee;
}

static void unlink_tid(struct tracer *tracer, struct tracee *tracee) {
  struct tracee **link = &tracer->by_tid[bucket(tracer, tracee->tid)];
  while (*link && *link != tracee)
    link = &(*link)->next_by_tid;
  if (*link) *link = tracee->next_by_tid;
}

/* Both tables grow together: one bucket and one slot a tracee, at least. */
static int grow(struct tracer *tracer) {
  uint32_t size = tracer->slots_size ? tracer->slots_size * 2 : 64;
  if (size > 1u << TRACEES_SLOT_BITS) return -EAGAIN;
  struct tracee **slots = calloc(size, sizeof *slots);
  struct tracee **by_tid = calloc(size, sizeof *by_tid);
  if (!slots || !by_tid) {
    free(slots);
    free(by_tid);
    return -ENOMEM;
  }
  struct tracee **old = tracer->slots;
  uint32_t old_size = tracer->slots_size;
  free(tracer->by_tid);
  tracer->by_tid = by_tid;
  tracer->by_tid_size = size;
  tracer->slots = slots;
  tracer->slots_size = size;
  for (uint32_t slot = 0; slot < old_size; slot++) {
    if (!old[slot]) continue;
    /* Slots stay what they were: stop ids contain them. */
    slots[slot] = old[slot];
    link_tid(tracer, old[slot]);
  }
  free(old);
  return 0;
}

struct tracee *tracees_add(struct tracer *tracer, struct tree *tree, pid_t tid, struct process *process) {
  if (tracer->slots_used >= tracer->slots_size / 4 * 3 && grow(tracer)) {
    if (tracer->slots_used >= tracer->slots_size) return NULL;
  }
  struct tracee *tracee = calloc(1, sizeof *tracee);
  if (!tracee) return NULL;
  tracee->process = process ? process_hold(process) : process_new(tid);
  if (!tracee->process) {
    free(tracee);
    return NULL;
  }
  tracee->number = ++tracer->last_tracee;
  tracee->tid = tid;
  tracee->tree = tree;
  uint32_t slot = tracee->number & (tracer->slots_size - 1);
  while (tracer->slots[slot])
    slot = (slot + 1) & (tracer->slots_size - 1);
  tracee->slot = slot;
  tracer->slots[slot] = tracee;
  tracer->slots_used++;
  tracer->alive++;
  if (tree) tree->alive++;
  link_tid(tracer, tracee);
  return tracee;
}

void tracees_rename(struct tracer *tracer, struct tracee *tracee, pid_t tid) {
  unlink_tid(tracer, tracee);
  tracee->tid = tid;
  link_tid(tracer, tracee);
}

void tracees_bury(struct tracer *tracer, struct tracee *tracee) {
  if (tracee->state == TRACEE_DEAD) return;
  tracee_set_state(tracee, TRACEE_DEAD);
  remote_syscall_abandon(tracee);
  gate_abandon(tracee);
  gate_leave(tracee);
  free(tracee->put_off);
  tracee->put_off = NULL;
  unlink_tid(tracer, tracee);
  tracer->slots[tracee->slot] = NULL;
  tracer->slots_used--;
  tracer->alive--;
  if (tracee->tree) tracee->tree->alive--;
  tracee->next_finished = tracer->finished;
  tracer->finished = tracee;
}

void tracees_free_finished(struct tracer *tracer) {
  while (tracer->finished) {
    struct tracee *tracee = tracer->finished;
    tracer->finished = tracee->next_finished;
    process_drop(tracee->process);
    free(tracee);
  }
}

struct tracee *tracees_any(struct tracer *tracer) {
  for (uint32_t slot = 0; slot < tracer->slots_size; slot++)
    if (tracer->slots[slot]) return tracer->slots[slot];
  return NULL;
}

void tracees_begin_stop(struct tracer *tracer, struct tracee *tracee) {
  struct tracer_stop *stop = &tracee->stop;
  stop->id = ++tracer->last_serial << TRACEES_SLOT_BITS | tracee->slot;
  stop->time = tracer_now();
  stop->tracee = tracee->number;
  stop->tree = tracee->tree ? tracee->tree->number : 0;
  stop->tid = tracee->tid;
  stop->pid = tracee->process->pid;
  stop->signal = 0;
  stop->flags = (tracee->is_thread ? STOP_FLAG_THREAD : 0) | (tracee->is_root ? STOP_FLAG_ROOT : 0) |
                (tracee->tree && tracee->tree->attached ? STOP_FLAG_ATTACHED : 0) |
                (tracee->printing ? STOP_FLAG_PRINTING : 0);
}

struct tracee *tracer_find_tid(struct tracer *tracer, pid_t tid) {
  if (!tracer->by_tid_size) return NULL;
  struct tracee *tracee = tracer->by_tid[bucket(tracer, tid)];
  while (tracee && tracee->tid != tid)
    tracee = tracee->next_by_tid;
  return tracee;
}

struct tracee *tracer_find_tracee(struct tracer *tracer, uint32_t number) {
  /* Where tracees_add put it, unless that place was taken or the table has grown since. */
  for (uint32_t probe = 0; probe < tracer->slots_size; probe++) {
    struct tracee *tracee = tracer->slots[(number + probe) & (tracer->slots_size - 1)];
    if (tracee && tracee->number == number) return tracee;
  }
  return NULL;
}

struct tracee *tracer_find_stop(struct tracer *tracer, uint64_t stop) {
  uint32_t slot = stop & ((1u << TRACEES_SLOT_BITS) - 1);
  struct tracee *tracee = slot < tracer->slots_size ? tracer->slots[slot] : NULL;
  return tracee && tracee->state == TRACEE_STOPPED && tracee->stop.id == stop ? tracee : NULL;
}

/* --- statuses: a ring ------------------------------------------------------------------------------------------ */

static int grow_ring(struct tracer *tracer) {
  uint32_t size = tracer->pending_size ? tracer->pending_size * 2 : 64;
  struct wait_status *ring = malloc(sizeof *ring * size);
  if (!ring) return -ENOMEM;
  for (uint32_t i = 0; i < tracer->pending_count; i++)
    ring[i] = tracer->pending[(tracer->pending_head + i) & (tracer->pending_size - 1)];
  free(tracer->pending);
  tracer->pending = ring;
  tracer->pending_head = 0;
  tracer->pending_size = size;
  return 0;
}

int tracees_push_status(struct tracer *tracer, struct wait_status status) {
  if (tracer->pending_count == tracer->pending_size && grow_ring(tracer)) return -ENOMEM;
  tracer->pending[(tracer->pending_head + tracer->pending_count++) & (tracer->pending_size - 1)] = status;
  return 0;
}

int tracees_push_front(struct tracer *tracer, struct wait_status status) {
  if (tracer->pending_count == tracer->pending_size && grow_ring(tracer)) return -ENOMEM;
  tracer->pending_head = (tracer->pending_head - 1) & (tracer->pending_size - 1);
  tracer->pending[tracer->pending_head] = status;
  tracer->pending_count++;
  return 0;
}

bool tracees_next_status(struct tracer *tracer, struct wait_status *status) {
  if (!tracer->pending_count) return false;
  *status = tracer->pending[tracer->pending_head];
  tracer->pending_head = (tracer->pending_head + 1) & (tracer->pending_size - 1);
  tracer->pending_count--;
  return true;
}

void tracees_free_tables(struct tracer *tracer) {
  free(tracer->by_tid);
  free(tracer->slots);
  free(tracer->pending);
}
