/*
 * gate_site.h - places in a program's code that may be changed: call instructions that a jump to a gate can replace.
 *
 * Changing code is safe only while nobody can be in the midst of it, and right only while nobody can tell the difference.
 * In doubt a place is none. What is learned of a place in a file serves all processes that map it.
 */
#ifndef LUATRACE_GATE_SITE_H
#define LUATRACE_GATE_SITE_H

#include "gate_code.h"
#include "tracee.h"

/* What has been learned; NULL at first. */
struct gate_lore;
void gate_lore_free(struct gate_lore *lore);

/* Is the process one whose code may be changed at all, as far as the kernel tells: a single thread, under no filter but
 * ours and luatrace's own, and ready for a fault? */
bool gate_site_process_is_plain(struct tracer *tracer, const struct tracee *tracee);

/* The places that can be changed, as far as the code tells, up to `most`: first that behind whose call instruction, of
 * call `nr`, is `ip`; then such as are known in the same file. 0: not even that. */
uint32_t gate_site_find(struct tracer *tracer, struct tracee *tracee, tracee_addr ip, uint64_t nr,
                        struct gate_site *sites, uint32_t most);

#endif
