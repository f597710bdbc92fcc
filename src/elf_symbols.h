/*
 * elf_symbols.h - names of the functions of one ELF file.
 *
 * The file is the traced program's: every offset and length in it is checked, a broken one has no symbols.
 */
#ifndef LUATRACE_ELF_SYMBOLS_H
#define LUATRACE_ELF_SYMBOLS_H

#include <stdint.h> /* uint64_t */

struct elf_symbols;

/* Reads them; NULL when there are none. */
struct elf_symbols *elf_symbols_read(int fd);
/* NULL is allowed. */
void elf_symbols_free(struct elf_symbols *symbols);
/* The function that the byte at `file_offset` belongs to, and how far into it; NULL. Lives as long as `symbols`. */
const char *elf_symbols_find(const struct elf_symbols *symbols, uint64_t file_offset, uint64_t *into);

#endif
