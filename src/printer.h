/*
 * printer.h - calls that are printed here, without waking Lua.
 *
 * A full trace spends most of its time in a few simple calls. Lua compiles their rows into short programs (print_op of
 * api.h: a literal, then one argument), and the core prints by them. What numbers are called is Lua's knowledge alone:
 * the printer looks such texts up among those that Lua has told it (tracer_print_text). A call that the program cannot
 * print, for want of a text or of readable memory, is reported as any other, and Lua prints it.
 *
 * Owns the programs, the known texts and what has been printed until Lua takes it. Makes no ptrace calls but for memory.
 */
#ifndef LUATRACE_PRINTER_H
#define LUATRACE_PRINTER_H

#include "tracee.h"

/* At an entry stop: has the line been begun here? Then the exit is wanted, and printer_exit gets it. */
bool printer_entry(struct tracer *tracer, struct tracee *tracee);
/* At the exit of a call whose line printer_entry has begun: has it been completed? */
bool printer_exit(struct tracer *tracer, struct tracee *tracee);
/* Is there so much that Lua should take it? */
bool printer_is_full(const struct tracer *tracer);
void printer_free(struct printer *printer);

#endif
