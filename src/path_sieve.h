/*
 * path_sieve.h - paths that no pattern of a rule can match, told without waking Lua.
 *
 * Of each pattern Lua gives the two literal ends that whatever it matches must have: "/etc/x*.conf" begins with "/etc/x"
 * and ends with ".conf". The sieve knows the paths as Lua's rules look at them: as the program gave it, and absolute,
 * with "." and ".." taken out. In doubt it lets through: then Lua looks. Knows nothing of tracees.
 */
#ifndef LUATRACE_PATH_SIEVE_H
#define LUATRACE_PATH_SIEVE_H

#include <stdbool.h> /* bool */
#include <stdint.h>  /* uint8_t */

struct path_sieve;

/* What a path must begin and end with so that a pattern may match it. */
struct path_sieve_ends {
  const char *begin, *end;
};

/* A sieve for the paths in these arguments (bit i: argument i); NULL when memory runs out. */
struct path_sieve *path_sieve_new(uint8_t arguments);
void path_sieve_free(struct path_sieve *sieve);
/* One more pattern, by its ends: `begin` is "" or begins with a slash; `end` has no slash. 0 or -ENOMEM. */
int path_sieve_add(struct path_sieve *sieve, const char *begin, const char *end);
uint32_t path_sieve_count(const struct path_sieve *sieve);
const struct path_sieve_ends *path_sieve_ends(const struct path_sieve *sieve, uint32_t pattern);
uint8_t path_sieve_arguments(const struct path_sieve *sieve);
/* May a pattern match this path? */
bool path_sieve_lets_through(const struct path_sieve *sieve, const char *path);

#endif
