/*
 * unwind_library.h - libunwind-ptrace with libunwind, loaded when the first stack is wanted: most runs want none.
 */
#ifndef LUATRACE_UNWIND_LIBRARY_H
#define LUATRACE_UNWIND_LIBRARY_H

#include <libunwind-ptrace.h>
#include <stdbool.h>
#include <sys/types.h> /* pid_t */

/* What stack_trace.c uses of it. */
struct unwind_library {
  unw_addr_space_t (*create_space)(unw_accessors_t *accessors, int byte_order);
  void (*destroy_space)(unw_addr_space_t space);
  int (*set_caching_policy)(unw_addr_space_t space, unw_caching_policy_t policy);
  void (*flush_cache)(unw_addr_space_t space, unw_word_t from, unw_word_t to);
  int (*init_remote)(unw_cursor_t *cursor, unw_addr_space_t space, void *data);
  int (*get_reg)(unw_cursor_t *cursor, int number, unw_word_t *value);
  int (*is_signal_frame)(unw_cursor_t *cursor);
  int (*step)(unw_cursor_t *cursor);
  /* libunwind exports it, for callers like us, without declaring it. */
  int (*search_unwind_table)(unw_addr_space_t space, unw_word_t ip, unw_dyn_info_t *table, unw_proc_info_t *info,
                             int need_unwind_info, void *data);
  /* libunwind-ptrace: its view of a thread, and the thread's registers. Its other accessors are not used, because they
   * map and trust the files of the traced program. */
  void *(*thread_create)(pid_t tid);
  void (*thread_destroy)(void *thread);
  int (*thread_register)(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int write, void *thread);
};

/* False when it is not installed. */
bool unwind_library_load(struct unwind_library *library);

#endif
