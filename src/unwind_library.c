#include "unwind_library.h"

#include <dlfcn.h>
#include <string.h>

/* The headers' macros give a function's name in the library: unw_step is _Ux86_64_step there. */
#define QUOTED(name) #name
#define NAME_OF(function) QUOTED(function)

/* By its name since 2014, or whatever the system has. */
static void *open_library(void) {
  static const char *const names[] = {"libunwind-x86_64.so.8", "libunwind-x86_64.so"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle) return handle;
  }
  return NULL;
}

bool unwind_library_load(struct unwind_library *library) {
  const struct {
    const char *name;
    void *to;
  } functions[] = {
      {NAME_OF(unw_create_addr_space), &library->create_space},
      {NAME_OF(unw_destroy_addr_space), &library->destroy_space},
      {NAME_OF(unw_set_caching_policy), &library->set_caching_policy},
      {NAME_OF(unw_flush_cache), &library->flush_cache},
      {NAME_OF(unw_init_remote), &library->init_remote},
      {NAME_OF(unw_get_reg), &library->get_reg},
      {NAME_OF(unw_is_signal_frame), &library->is_signal_frame},
      {NAME_OF(unw_step), &library->step},
      {NAME_OF(UNW_OBJ(dwarf_search_unwind_table)), &library->search_unwind_table},
  };
  void *handle = open_library();
  if (!handle) return false;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *function = dlsym(handle, functions[i].name);
    if (!function) return false;
    memcpy(functions[i].to, &function, sizeof function);
  }
  return true;
}
