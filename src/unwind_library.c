#include "unwind_library.h"

#include <dlfcn.h>
#include <string.h>

/* The headers' macros give a function's name in the library: unw_step is _Ux86_64_step there. */
#define QUOTED(name) #name
#define NAME_OF(function) QUOTED(function)

/* By its name since 2014, or whatever the system has. */
static void *open_library(const char *name, const char *other, int when) {
  void *handle = dlopen(name, when | RTLD_LOCAL | RTLD_NODELETE);
  return handle ? handle : dlopen(other, when | RTLD_LOCAL | RTLD_NODELETE);
}

/* The functions of one library. */
struct wanted {
  const char *name;
  void *to;
};

static bool find_all(void *handle, const struct wanted *functions, size_t count) {
  if (!handle) return false;
  for (size_t i = 0; i < count; i++) {
    void *function = dlsym(handle, functions[i].name);
    if (!function) return false;
    memcpy(functions[i].to, &function, sizeof function);
  }
  return true;
}

bool unwind_library_load(struct unwind_library *library) {
  const struct wanted functions[] = {
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
  const struct wanted thread_functions[] = {
      {"_UPT_create", &library->thread_create},
      {"_UPT_destroy", &library->thread_destroy},
      {"_UPT_access_reg", &library->thread_register},
  };
  /* libunwind-ptrace does not say that it needs libunwind: what it would call there and we do not ask for is left open. */
  return find_all(open_library("libunwind-x86_64.so.8", "libunwind-x86_64.so", RTLD_NOW), functions,
                  sizeof functions / sizeof *functions) &&
         find_all(open_library("libunwind-ptrace.so.0", "libunwind-ptrace.so", RTLD_LAZY), thread_functions,
                  sizeof thread_functions / sizeof *thread_functions);
}
