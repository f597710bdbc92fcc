std = "luajit"
max_line_length = 120
files["examples"] = {
  std = "+luatrace",
}
stds.luatrace = {
  globals = {},
  read_globals = { "sweep", "on", "at", "watch", "random", "script", "luatrace", "clock", "files", "peer",
    "getrandom", "getpid", "expect", "never", "sequence", "atomic_write", "durable_before", "no_fd_leaks",
    "no_bad_pointers", "no_ignored_errors", "no_zombies", "cloexec_everywhere", "max_calls", "only_paths", "no_network",
    "golden", "run", "start", "together", "inject", "hide_vdso", "count" },
}
files["examples/testing/*_spec.lua"] = { std = "+busted" }
files["spec"] = { std = "+busted" }
-- Captured from strace: one case a line, however long.
files["spec/decode_cases.lua"] = { max_line_length = false }
exclude_files = { "build", "vendor", "lua/luatrace/script_api.lua" }
