#include "path_sieve.h"

#include <errno.h>
#include <limits.h> /* PATH_MAX */
#include <stdlib.h>
#include <string.h>

struct ends {
  struct path_sieve_ends text;
  size_t begin_length, end_length;
};

struct path_sieve {
  struct ends *patterns;
  uint32_t count;
  uint8_t arguments;
};

struct path_sieve *path_sieve_new(uint8_t arguments) {
  struct path_sieve *sieve = calloc(1, sizeof *sieve);
  if (sieve) sieve->arguments = arguments;
  return sieve;
}

void path_sieve_free(struct path_sieve *sieve) {
  if (!sieve) return;
  for (uint32_t i = 0; i < sieve->count; i++) {
    free((char *)sieve->patterns[i].text.begin);
    free((char *)sieve->patterns[i].text.end);
  }
  free(sieve->patterns);
  free(sieve);
}

int path_sieve_add(struct path_sieve *sieve, const char *begin, const char *end) {
  struct ends *patterns = realloc(sieve->patterns, (sieve->count + 1) * sizeof *patterns);
  if (!patterns) return -ENOMEM;
  sieve->patterns = patterns;
  struct ends *added = &patterns[sieve->count];
  char *begins = strdup(begin), *ends = strdup(end);
  if (!begins || !ends) {
    free(begins);
    free(ends);
    return -ENOMEM;
  }
  *added = (struct ends){{begins, ends}, strlen(begin), strlen(end)};
  sieve->count++;
  return 0;
}

uint32_t path_sieve_count(const struct path_sieve *sieve) { return sieve->count; }

const struct path_sieve_ends *path_sieve_ends(const struct path_sieve *sieve, uint32_t pattern) {
  return &sieve->patterns[pattern].text;
}

uint8_t path_sieve_arguments(const struct path_sieve *sieve) { return sieve->arguments; }

/* An absolute path without empty parts, "." and "..", which are taken by their names, as Lua does it (fd_table.lua). */
static size_t clean(const char *path, char *to) {
  size_t length = 0;
  while (*path) {
    size_t part = strcspn(path, "/");
    if (part == 2 && path[0] == '.' && path[1] == '.') {
      while (length > 0 && to[--length] != '/')
        ;
    } else if (part > 0 && !(part == 1 && path[0] == '.')) {
      to[length++] = '/';
      memcpy(to + length, path, part);
      length += part;
    }
    path += part;
    path += *path == '/';
  }
  if (length == 0) to[length++] = '/';
  return length;
}

static bool ends_with(const char *text, size_t length, const struct ends *pattern) {
  return length >= pattern->end_length &&
         memcmp(text + length - pattern->end_length, pattern->text.end, pattern->end_length) == 0;
}

static bool fits(const char *text, size_t length, const struct ends *pattern) {
  return length >= pattern->begin_length && memcmp(text, pattern->text.begin, pattern->begin_length) == 0 &&
         ends_with(text, length, pattern);
}

/* Does the path name its last part itself: not "x/", "x/." or "x/.."? Then it is the absolute path's last part, too. */
static bool names_last_part(const char *path) {
  const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
  return *last && strcmp(last, ".") != 0 && strcmp(last, "..") != 0;
}

bool path_sieve_lets_through(const struct path_sieve *sieve, const char *path) {
  char cleaned[PATH_MAX + 1];
  size_t length = strlen(path), cleaned_length = 0;
  bool absolute = path[0] == '/';
  if (length >= PATH_MAX || (!absolute && !names_last_part(path))) return true;
  if (absolute) cleaned_length = clean(path, cleaned);
  for (uint32_t i = 0; i < sieve->count; i++) {
    const struct ends *pattern = &sieve->patterns[i];
    if (absolute ? fits(path, length, pattern) || fits(cleaned, cleaned_length, pattern)
                 : ends_with(path, length, pattern))
      return true;
  }
  return false;
}
