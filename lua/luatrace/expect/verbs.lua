--- The verbs of expectations, in the order in which messages name them: a script has each of them as a global. Apart
-- from expect.lua, so that scripts which state none need not load it.

return { "expect", "never", "sequence", "atomic_write", "durable_before", "no_fd_leaks", "no_bad_pointers",
  "no_ignored_errors", "no_zombies", "cloexec_everywhere", "max_calls", "only_paths", "no_network", "golden" }
