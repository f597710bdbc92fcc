/*
 * stack_trace.h - the stack of a stopped tracee: libunwind's unwinder over memory and registers that we read.
 *
 * Nothing that the traced program controls is trusted: unwind tables are read from its memory, not from files, with a
 * bound on how much; symbol tables are checked (elf_symbols.h). What is expensive is kept per process until the code
 * that it has mapped changes, which is looked up at each trace. A stripped or broken binary, code of a JIT or a 32-bit
 * program give addresses, never an error.
 */
#ifndef LUATRACE_STACK_TRACE_H
#define LUATRACE_STACK_TRACE_H

#include <stdint.h> /* uint32_t */

struct stack_frame;
struct tracee;
struct tracer;
struct unwinder;

/* As tracer_stack of api.h; at least one frame: the address that the stop told. */
int stack_trace(const struct tracer *tracer, struct tracee *tracee, struct stack_frame *frames, uint32_t capacity);
/* NULL is allowed. */
void stack_trace_free(struct unwinder *unwinder);

#endif
