/*
 * trap_plan.h - what the kernel shall do with each call, as one seccomp filter and as a plain C verdict.
 *
 * Entries are added, then the filter is built once; the two ways of asking give the same answer (a unit test runs
 * both). Knows nothing of tracees. Call numbers of x32 carry bit 30 and belong to AUDIT_ARCH_X86_64.
 */
#ifndef LUATRACE_TRAP_PLAN_H
#define LUATRACE_TRAP_PLAN_H

#include <linux/filter.h> /* struct sock_filter */

#include "gate_code.h" /* struct gate_body */
#include "tracer.h"    /* struct trap_entry, struct trap_test */

enum { TRAP_PLAN_NUMBERS = 1024, TRAP_PLAN_MAX_TESTS = 16 };

/* The filter of a plan; owned by the plan, built at the first call, after which nothing can be added.
 * 0, -E2BIG (more than BPF_MAXINSNS instructions) or -ENOMEM. */
int trap_plan_build_filter(struct trap_plan *plan, const struct sock_filter **filter, unsigned short *length);
/* The paths by which this call may be let pass without waking Lua; NULL: no call is. */
const struct path_sieve *trap_plan_sieve(const struct trap_plan *plan, uint32_t arch, uint64_t nr);
/* What a gate's code does with a call (of x86-64) that has gates. */
struct gate_body trap_plan_gate_body(const struct trap_plan *plan, uint64_t nr);
/* The lower half of the address of this plan's gates; 0: there are none. */
uint32_t trap_plan_gate(const struct trap_plan *plan);
/* May mailboxes be attached where there is a gate? */
bool trap_plan_has_mailboxes(const struct trap_plan *plan);
/* Does some entry ask for notifications? */
bool trap_plan_notifies(const struct trap_plan *plan);
/* Puts stops in the place of notifications, in a copy of the filter. */
void trap_plan_stop_instead(struct sock_filter *filter, unsigned short length);

#endif
