#include "elf_symbols.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Larger than any real program's, small enough for a hostile one's. */
enum { MAX_TABLE = 256 << 20, MAX_SEGMENTS = 64 };

struct segment {
  uint64_t offset, size, address;
};

struct function {
  uint64_t address, size;
  uint32_t name; /* in `names` */
};

struct elf_symbols {
  struct segment segments[MAX_SEGMENTS]; /* what is loaded of the file, and where */
  size_t segment_count;
  struct function *functions; /* by address, one for each */
  size_t function_count;
  char *names; /* the string table, NUL-terminated */
  size_t names_size;
};

/* `size` bytes at `offset`, NUL-terminated, in memory that the caller frees; NULL when the file does not have them. */
static char *read_piece(int fd, uint64_t file_size, uint64_t offset, uint64_t size) {
  if (size == 0 || size > MAX_TABLE || offset > file_size || size > file_size - offset) return NULL;
  char *piece = malloc(size + 1);
  uint64_t done = 0;
  while (piece && done < size) {
    ssize_t got = pread(fd, piece + done, size - done, (off_t)(offset + done));
    if (got <= 0) {
      free(piece);
      return NULL;
    }
    done += (uint64_t)got;
  }
  if (piece) piece[size] = 0;
  return piece;
}

static bool read_segments(struct elf_symbols *symbols, int fd, uint64_t file_size, const Elf64_Ehdr *header) {
  if (header->e_phentsize != sizeof(Elf64_Phdr)) return false;
  char *piece = read_piece(fd, file_size, header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr));
  if (!piece) return false;
  const Elf64_Phdr *headers = (const Elf64_Phdr *)piece;
  for (uint16_t i = 0; i < header->e_phnum && symbols->segment_count < MAX_SEGMENTS; i++)
    if (headers[i].p_type == PT_LOAD)
      symbols->segments[symbols->segment_count++] =
          (struct segment){.offset = headers[i].p_offset, .size = headers[i].p_filesz, .address = headers[i].p_vaddr};
  free(piece);
  return symbols->segment_count > 0;
}

/* For the same address: the one with a size, then the plainest name (write rather than __write). */
static int underscores(const char *name) { return (name[0] == '_') + (name[0] == '_' && name[1] == '_'); }

static int compare_functions(const void *left, const void *right, void *data) {
  const struct function *a = left, *b = right;
  const char *names = data;
  if (a->address != b->address) return a->address < b->address ? -1 : 1;
  if (!a->size != !b->size) return a->size ? -1 : 1;
  int plain = underscores(names + a->name) - underscores(names + b->name);
  if (plain) return plain;
  return a->name < b->name ? -1 : a->name > b->name;
}

static void take_functions(struct elf_symbols *symbols, const Elf64_Sym *table, size_t count) {
  symbols->functions = calloc(count ? count : 1, sizeof *symbols->functions);
  if (!symbols->functions) return;
  size_t taken = 0;
  for (size_t i = 0; i < count; i++) {
    int type = ELF64_ST_TYPE(table[i].st_info);
    if ((type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE) || table[i].st_shndx == SHN_UNDEF) continue;
    /* Labels without a size are assembly's functions, and the marks that linkers leave. */
    if (type == STT_NOTYPE && ELF64_ST_BIND(table[i].st_info) == STB_LOCAL) continue;
    if (table[i].st_shndx >= SHN_LORESERVE || table[i].st_name >= symbols->names_size) continue;
    if (!symbols->names[table[i].st_name]) continue;
    symbols->functions[taken++] =
        (struct function){.address = table[i].st_value, .size = table[i].st_size, .name = table[i].st_name};
  }
  qsort_r(symbols->functions, taken, sizeof *symbols->functions, compare_functions, symbols->names);
  size_t kept = 0;
  for (size_t i = 0; i < taken; i++)
    if (kept == 0 || symbols->functions[kept - 1].address != symbols->functions[i].address)
      symbols->functions[kept++] = symbols->functions[i];
  symbols->function_count = kept;
  struct function *fitting = realloc(symbols->functions, (kept ? kept : 1) * sizeof *fitting);
  if (fitting) symbols->functions = fitting;
}

/* The whole table where there is one; a stripped file has that of the dynamic linker. */
static const Elf64_Shdr *find_table(const Elf64_Shdr *sections, uint16_t count) {
  const Elf64_Shdr *found = NULL;
  for (uint16_t i = 0; i < count; i++) {
    if (sections[i].sh_entsize != sizeof(Elf64_Sym) || sections[i].sh_link >= count) continue;
    if (sections[i].sh_type == SHT_SYMTAB) return &sections[i];
    if (sections[i].sh_type == SHT_DYNSYM) found = &sections[i];
  }
  return found;
}

static void read_functions(struct elf_symbols *symbols, int fd, uint64_t file_size, const Elf64_Ehdr *header) {
  if (header->e_shentsize != sizeof(Elf64_Shdr)) return;
  char *piece = read_piece(fd, file_size, header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr));
  if (!piece) return;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)piece, *table = find_table(sections, header->e_shnum);
  if (table) {
    const Elf64_Shdr *strings = &sections[table->sh_link];
    symbols->names = read_piece(fd, file_size, strings->sh_offset, strings->sh_size);
    symbols->names_size = strings->sh_size;
    char *entries = symbols->names ? read_piece(fd, file_size, table->sh_offset, table->sh_size) : NULL;
    if (entries) take_functions(symbols, (const Elf64_Sym *)entries, table->sh_size / sizeof(Elf64_Sym));
    free(entries);
  }
  free(piece);
}

struct elf_symbols *elf_symbols_read(int fd) {
  struct stat about;
  Elf64_Ehdr header;
  if (fstat(fd, &about) || !S_ISREG(about.st_mode) || about.st_size < (off_t)sizeof header) return NULL;
  if (pread(fd, &header, sizeof header, 0) != sizeof header) return NULL;
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_ident[EI_DATA] != ELFDATA2LSB)
    return NULL;
  struct elf_symbols *symbols = calloc(1, sizeof *symbols);
  if (!symbols) return NULL;
  uint64_t file_size = (uint64_t)about.st_size;
  if (read_segments(symbols, fd, file_size, &header)) read_functions(symbols, fd, file_size, &header);
  if (symbols->function_count > 0) return symbols;
  elf_symbols_free(symbols);
  return NULL;
}

void elf_symbols_free(struct elf_symbols *symbols) {
  if (!symbols) return;
  free(symbols->functions);
  free(symbols->names);
  free(symbols);
}

static bool address_of(const struct elf_symbols *symbols, uint64_t file_offset, uint64_t *address) {
  for (size_t i = 0; i < symbols->segment_count; i++) {
    const struct segment *segment = &symbols->segments[i];
    if (file_offset < segment->offset || file_offset - segment->offset >= segment->size) continue;
    *address = file_offset - segment->offset + segment->address;
    return true;
  }
  return false;
}

const char *elf_symbols_find(const struct elf_symbols *symbols, uint64_t file_offset, uint64_t *into) {
  uint64_t address;
  if (!address_of(symbols, file_offset, &address)) return NULL;
  size_t low = 0, high = symbols->function_count; /* the last function at or below the address is low - 1 */
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (symbols->functions[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return NULL;
  const struct function *function = &symbols->functions[low - 1];
  *into = address - function->address;
  /* In a gap is in no function; assembly does not always say how long its functions are. */
  if (function->size && *into >= function->size) return NULL;
  return symbols->names + function->name;
}
