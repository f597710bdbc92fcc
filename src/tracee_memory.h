/*
 * tracee_memory.h - bytes of a stopped tracee: read, write, strings, many pieces at once.
 *
 * process_vm_readv and process_vm_writev first; /proc/PID/mem where they may not (a non-dumpable tracee, a read-only
 * page); PTRACE_PEEKDATA as the last resort. Nothing here trusts an address or a length.
 */
#ifndef LUATRACE_TRACEE_MEMORY_H
#define LUATRACE_TRACEE_MEMORY_H

#include "tracee.h" /* struct tracee */

/* Bytes read, short at a hole; -EFAULT when the first byte cannot be read, -ESRCH when the tracee is gone, -EPERM when
 * the kernel lets us see its registers only (a non-dumpable tracee and an unprivileged tracer). */
int64_t tracee_memory_read(const struct tracer *tracer, struct tracee *tracee, tracee_addr from, void *to,
                           uint64_t size);
/* Bytes written; read-only pages too. */
int64_t tracee_memory_write(const struct tracer *tracer, struct tracee *tracee, tracee_addr to, const void *from,
                            uint64_t size);
/* The same for what the program cannot write itself, as its code: without trying that first. */
int64_t tracee_memory_overwrite(const struct tracer *tracer, struct tracee *tracee, tracee_addr to, const void *from,
                                uint64_t size);
/* As tracer_read_cstring and tracer_read_ranges of api.h. */
int64_t tracee_memory_read_cstring(const struct tracer *tracer, struct tracee *tracee, tracee_addr from, char *to,
                                   uint64_t size, uint64_t *partial);
int tracee_memory_read_ranges(const struct tracer *tracer, struct tracee *tracee, struct memory_range *ranges,
                              uint32_t count);

#endif
