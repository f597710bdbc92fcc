#include "gate_site.h"

#include <linux/audit.h> /* AUDIT_ARCH_X86_64 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch_x86_64.h" /* ARCH_CALL_SIZE */
#include "mapping.h"
#include "proc_status.h"
#include "tracee_memory.h"
#include "trap_plan.h"

enum {
  AROUND = 16,          /* bytes by which a place is recognised, before and behind it: not so many that a neighbour's
                           jump is among them, which is another in each process */
  MOST_CODE = 16 << 20, /* no jumps are looked for in more than that */
  PIECE = 1 << 16,      /* which is read so much at a time... */
  LONGEST_JUMP = 6      /* ...with those at the seams in both */
};

/* A place in a file. */
struct known_site {
  uint64_t device, inode, offset;
  uint64_t nr;   /* the call that is made there */
  uint64_t code; /* a hash of what stands around it */
  bool changes;  /* it can be replaced, as far as the code tells */
};

struct gate_lore {
  uint32_t own_filters; /* seccomp filters that luatrace itself is under */
  uint32_t count, size;
  struct known_site *sites;
};

void gate_lore_free(struct gate_lore *lore) {
  if (!lore) return;
  free(lore->sites);
  free(lore);
}

/* --- processes --------------------------------------------------------------------------------------------------- */

struct state {
  unsigned long long blocked, ignored; /* signals */
  unsigned threads, filters;
};

static bool read_state(pid_t pid, struct state *state) {
  char text[PROC_STATUS_SIZE];
  return proc_status_read(pid, text) && proc_status_field(text, "Threads:", "%u", &state->threads) &&
         proc_status_field(text, "SigBlk:", "%llx", &state->blocked) &&
         proc_status_field(text, "SigIgn:", "%llx", &state->ignored) &&
         proc_status_field(text, "Seccomp_filters:", "%u", &state->filters);
}

static struct gate_lore *lore_of(struct tracer *tracer) {
  struct state own;
  if (tracer->lore) return tracer->lore;
  if (!read_state(getpid(), &own)) return NULL;
  tracer->lore = calloc(1, sizeof *tracer->lore);
  if (tracer->lore) tracer->lore->own_filters = own.filters;
  return tracer->lore;
}

bool gate_site_process_is_plain(struct tracer *tracer, const struct tracee *tracee) {
  /* Blocked or ignored, a fault resets what the program had said of it, though we do not deliver it. */
  const unsigned long long faults = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1);
  const struct gate_lore *lore = lore_of(tracer);
  struct state state;
  return lore && read_state(tracee->process->pid, &state) && state.threads == 1 &&
         state.filters == lore->own_filters + 1 && !((state.blocked | state.ignored) & faults);
}

/* --- code -------------------------------------------------------------------------------------------------------- */

static uint64_t hash(const uint8_t *bytes, size_t count) {
  uint64_t value = 14695981039346656037u; /* FNV-1a */
  for (size_t i = 0; i < count; i++)
    value = (value ^ bytes[i]) * 1099511628211u;
  return value;
}

/* A call instruction with room for a jump, at `ip` and around it. */
static bool read_site(const struct tracer *tracer, struct tracee *tracee, const struct mapping_at *code,
                      struct gate_site *site, uint64_t *around) {
  uint8_t bytes[2 * AROUND];
  if (site->ip < code->start + AROUND || site->ip + AROUND > code->end) return false;
  if (tracee_memory_read(tracer, tracee, site->ip - AROUND, bytes, sizeof bytes) != sizeof bytes) return false;
  if (!gate_code_is_call(bytes + AROUND - ARCH_CALL_SIZE)) return false;
  site->next_size = gate_code_next_size(bytes + AROUND, AROUND);
  memcpy(site->next, bytes + AROUND, site->next_size);
  *around = hash(bytes, sizeof bytes);
  return site->next_size > 0;
}

/* Does some jump in the mapping lead to behind the call instruction? In doubt: yes. One to the call instruction itself is
 * one to ours, then. */
static bool is_jumped_to(const struct tracer *tracer, struct tracee *tracee, const struct mapping_at *code,
                         const struct gate_site *site) {
  uint8_t *piece = code->end - code->start <= MOST_CODE ? malloc(PIECE) : NULL;
  if (!piece) return true;
  bool found = false;
  for (tracee_addr at = code->start; !found && at < code->end; at += PIECE - LONGEST_JUMP) {
    uint64_t size = code->end - at < PIECE ? code->end - at : PIECE;
    int64_t call = (int64_t)(site->ip - ARCH_CALL_SIZE) - (int64_t)at;
    found = tracee_memory_read(tracer, tracee, at, piece, size) != (int64_t)size ||
            gate_code_is_jumped_to(piece, (int64_t)size, call + 1, call + ARCH_CALL_SIZE + site->next_size);
  }
  free(piece);
  return found;
}

static const struct known_site *find_known(const struct gate_lore *lore, const struct known_site *like) {
  for (uint32_t i = 0; i < lore->count; i++) {
    const struct known_site *known = &lore->sites[i];
    if (known->device == like->device && known->inode == like->inode && known->offset == like->offset &&
        known->nr == like->nr && known->code == like->code)
      return known;
  }
  return NULL;
}

static void learn(struct gate_lore *lore, const struct known_site *site) {
  if (lore->count == lore->size) {
    uint32_t size = lore->size ? lore->size * 2 : 16;
    struct known_site *grown = realloc(lore->sites, size * sizeof *grown);
    if (!grown) return;
    lore->sites = grown;
    lore->size = size;
  }
  lore->sites[lore->count++] = *site;
}

static bool changes(struct tracer *tracer, struct tracee *tracee, const struct mapping_at *code,
                    const struct gate_site *site, uint64_t around) {
  struct known_site here = {.device = code->device,
                            .inode = code->inode,
                            .offset = code->offset + (site->ip - code->start),
                            .nr = site->nr,
                            .code = around};
  const struct known_site *known = find_known(tracer->lore, &here);
  if (known) return known->changes;
  here.changes = !is_jumped_to(tracer, tracee, code, site);
  learn(tracer->lore, &here);
  return here.changes;
}

/* Others in the same mapping, from whose like other processes have made such calls. */
static uint32_t add_known(struct tracer *tracer, struct tracee *tracee, const struct mapping_at *code,
                          struct gate_site *sites, uint32_t count, uint32_t most) {
  const struct gate_lore *lore = tracer->lore;
  for (uint32_t i = 0; i < lore->count && count < most; i++) {
    const struct known_site *known = &lore->sites[i];
    if (known->device != code->device || known->inode != code->inode || !known->changes) continue;
    if (known->offset < code->offset || known->offset - code->offset >= code->end - code->start) continue;
    struct gate_site site = {.ip = code->start + (known->offset - code->offset), .nr = known->nr};
    uint64_t around;
    if (site.ip == sites[0].ip || !trap_plan_gates(tracee->tree->plan, AUDIT_ARCH_X86_64, site.nr)) continue;
    if (read_site(tracer, tracee, code, &site, &around) && around == known->code) sites[count++] = site;
  }
  return count;
}

uint32_t gate_site_find(struct tracer *tracer, struct tracee *tracee, tracee_addr ip, uint64_t nr,
                        struct gate_site *sites, uint32_t most) {
  struct mapping_at code;
  /* Of a file: what a program has generated, it may generate anew. */
  if (mapping_find(tracee->process->pid, ip, &code) || !code.executable || code.writable || code.shared || !code.inode)
    return 0;
  uint64_t around;
  sites[0] = (struct gate_site){.ip = ip, .nr = nr};
  if (!read_site(tracer, tracee, &code, &sites[0], &around)) return 0;
  if (!changes(tracer, tracee, &code, &sites[0], around)) return 0;
  return add_known(tracer, tracee, &code, sites, 1, most);
}
