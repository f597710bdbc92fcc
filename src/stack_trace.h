/*
 * stack_trace.h - the stack of a stopped tracee, through libunwind-ptrace, with symbols and files.
 *
 * What is expensive (mappings, unwind tables, symbol names) is kept per process until its mappings change. A stripped
 * or broken binary gives addresses, never an error.
 */
#ifndef LUATRACE_STACK_TRACE_H
#define LUATRACE_STACK_TRACE_H

struct unwinder;

void stack_trace_free(struct unwinder *unwinder);

#endif
