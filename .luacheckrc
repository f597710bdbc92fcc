std = "luajit"
max_line_length = 120
files["examples"] = {
  std = "+luatrace",
}
stds.luatrace = {
  globals = {},
  read_globals = { "on", "at", "watch", "random", "script", "luatrace", "clock", "files", "peer",
    "getrandom", "getpid" },
}
files["spec"] = { std = "+busted" }
-- Captured from strace: one case a line, however long.
files["spec/decode_cases.lua"] = { max_line_length = false }
exclude_files = { "build", "vendor", "lua/luatrace/script_api.lua" }
