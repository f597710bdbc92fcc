--- The command line, read as strace reads its own: glibc's getopt_long, stopping at the first word that is no option.
--
--   local options = require("luatrace.cli.options")
--   local parsed, message = options.parse({ "-o", "FILE", "ls", "-l" })
--   parsed.output      -- "FILE"
--   parsed.rest        -- { "ls", "-l" }
--   parsed.separated   -- true when "--" ended the options

local duration = require "luatrace.text.duration"
local ffi = require "ffi"

ffi.cdef [[
struct option { const char *name; int has_arg; int *flag; int val; };
int getopt_long(int argc, char *const argv[], const char *optstring, const struct option *longopts, int *longindex);
extern char *optarg;
extern int optind, opterr, optopt;
]]

local M = {}

--- One row an option: letter, long name, what its value is called ("[WHEN]": optional), the field it sets, help.
--- kind: flag | value | list | count; check: turns the text into the value or gives nil, what it takes.
---@type table[]
M.rows = {}

--- What options take, for the rows of subcommands too.
M.takes = {}

local INT_MAX = 2 ^ 31 - 1

local function number(name, min)
  return function(text)
    local value = tonumber(text)
    if value and value >= min then return value end
    return nil, name
  end
end

--- A whole number that the kernel and C take for an int.
local function whole(name, min)
  return function(text)
    local value = text:find("^%d+$") and tonumber(text)
    if value and value >= min and value <= INT_MAX then return value end
    return nil, ("%s from %d to %d"):format(name, min, INT_MAX)
  end
end

--- The words that a check lets through, for completions.
---@type table<function, string[]>
M.words_of = {}

local function one_of(...)
  local set, words = {}, { ... }
  for _, word in ipairs(words) do set[word] = true end
  local function check(text)
    if set[text] then return text end
    return nil, "one of " .. table.concat(words, ", ")
  end
  M.words_of[check] = words
  return check
end

--- One of some words, or its place among them; gives the word.
local function word_or_number(...)
  local words, check = { ... }, one_of(...)
  return function(text)
    local word = words[tonumber(text)]
    if word then return word end
    local checked, takes = check(text)
    return checked, takes and ("1 to %d, or %s"):format(#words, takes)
  end
end

local function seconds(text)
  local value = duration.seconds(text)
  if value and value >= 0 then return value end
  return nil, "a time such as 5, 0.5 or 200ms"
end

M.takes.number, M.takes.one_of, M.takes.seconds = number, one_of, seconds

--- strace's times: microseconds where no unit is given. Gives nanoseconds.
local function overhead(text)
  local value = duration.seconds(text, "us")
  if value and value >= 0 then return math.floor(value * 1e9 + 0.5) end
  return nil, "a time such as 5, 0.5ms or 200ns"
end

local function row(fields) M.rows[#M.rows + 1] = fields end

row { section = "Script" }
row { long = "lua", value = "CODE", field = "code", kind = "list", help = "run CODE as the script (may be repeated)" }
row { long = "script", value = "FILE", field = "script", kind = "value",
  help = "run FILE as the script, whatever its name ends with" }
row { long = "seed", value = "N", field = "seed", kind = "value", check = number("a number", 0),
  help = "seed of random(); the default is new in each run and printed when one fails" }
row { long = "on-error", value = "WHAT", field = "on_error", kind = "value", check = one_of("kill", "detach"),
  help = "when the script fails: kill the program (default), or let it finish (detach)" }
row { section = "Expectations" }
row { long = "report", value = "FORMAT[:FILE]", field = "report", kind = "value",
  check = function(text) return require("luatrace.expect.report").parse(text) end,
  help = "what became of the script's expectations: tap, junit:FILE or json:FILE" }
row { long = "update-golden", field = "update_golden", kind = "flag",
  help = "write the files of golden(...) anew instead of comparing with them" }
row { section = "Program" }
row { short = "p", long = "attach", value = "PID", field = "attach", kind = "list",
  help = "trace the running process PID, all its threads (with --no-follow only the thread PID), also beside a "
    .. "command; a list, or repeated" }
row { short = "u", long = "user", value = "USER", field = "user", kind = "value", help = "run the program as USER" }
row { short = "E", long = "env", value = "VAR[=VALUE]", field = "env", kind = "list",
  help = "set VAR for the program, or remove it" }
row { long = "chdir", value = "DIR", field = "cwd", kind = "value", help = "run the program in DIR" }
row { short = "b", long = "detach-on", value = "CALL", field = "detach_on", kind = "value", check = one_of("execve"),
  help = "CALL is execve: let a process go when it executes another program" }
row { long = "syscall-limit", value = "N", field = "syscall_limit", kind = "value",
  check = whole("a number of calls", 1),
  help = "let all processes go when N calls have been shown" }
row { short = "D", long = "daemonize", value = "[HOW]", field = "daemonize", kind = "count",
  check = one_of("grandchild", "pgroup", "pgrp", "session"),
  help = "the program stays the caller's child, the tracer is its grandchild; -DD (pgroup) in a process group " ..
    "of its own, -DDD (session) in a session of its own" }
row { short = "I", long = "interruptible", value = "WHEN", field = "interruptible", kind = "value",
  check = word_or_number("anywhere", "waiting", "never", "never_tstp"),
  help = "what Ctrl-C and the like do to luatrace: 1 (anywhere) what they do to any program; 2 (waiting) end the " ..
    "program and luatrace; 3 (never) nothing; 4 (never_tstp) nor does Ctrl-Z; without -I the program decides" }
row { short = "f", long = "follow-forks", field = "follow", kind = "count", help = "trace children too (the default)" }
row { long = "no-follow", field = "no_follow", kind = "flag", help = "do not trace children" }
row { long = "daemons", value = "WHAT", field = "daemons", kind = "value", check = one_of("wait", "detach", "kill"),
  help = "processes that outlive the program: wait for them (default), detach or kill them" }
row { long = "timeout", value = "TIME", field = "timeout", kind = "value", check = seconds,
  help = "kill the program (with -p: let it go) after TIME seconds and exit 124; 2 seconds later luatrace ends, " ..
    "whatever a handler does" }
row { section = "What is printed (without a script, or with --format)" }
row { short = "e", value = "EXPR", field = "expressions", kind = "list",
  help = "trace=SET, status=SET, signal=SET, quiet=SET, raw=SET, abbrev=SET, verbose=SET, read=SET, write=SET, " ..
    "trace-fds=SET, decode-fds=SET, decode-pids=SET, kvm=vcpu (ignored); " ..
    "without a keyword, trace=" }
for _, keyword in ipairs { "trace", "status", "signal", "raw", "abbrev", "verbose", "read", "write", "trace-fds",
  "kvm" } do
  row { long = keyword, value = "SET", field = "expressions", kind = "list", as = keyword .. "=",
    help = "the same as -e " .. keyword .. "=SET" }
end
row { long = "format", value = "FORMAT", field = "format", kind = "value", check = one_of("text", "json", "human"),
  help = "text (default), json: one object a line, or human: sentences" }
row { long = "group-by", value = "WHAT", field = "group_by", kind = "value", check = one_of("file", "process"),
  help = "with --format=human: at the end, what happened to each file, or what each process did" }
row { long = "footprint", field = "footprint", kind = "flag",
  help = "the memory that each call read and wrote: argument, address and length (text and json)" }
row { long = "mark", value = "WHAT", field = "mark", kind = "value", check = one_of("danger"),
  help = "danger: mark calls that touch security, and say why (text, human and json)" }
row { long = "tree", field = "tree", kind = "flag",
  help = "no lines, but who executed what, how each process ended and how long it took" }
row { long = "color", value = "WHEN", field = "color", kind = "value", check = one_of("auto", "always", "never"),
  help = "auto (default: on a terminal, unless NO_COLOR is set), always or never" }
row { long = "normalize", field = "normalize", kind = "flag",
  help = "stable names for pids, descriptors, addresses, times and temporary names, each thread's lines together: " ..
    "two runs can be compared" }
row { long = "stuck", value = "[SECONDS]", field = "stuck", kind = "value", check = seconds,
  help = "when nothing has run for so long (default 5 s): what every thread is blocked in, on what file or peer, " ..
    "with its stack; with -p and no SECONDS at once. No call is trapped for it" }
row { short = "P", long = "trace-path", value = "PATH", field = "paths", kind = "list",
  help = "only calls that have to do with PATH, or with a pattern such as *.conf (may be repeated)" }
row { short = "z", long = "successful-only", field = "expressions", kind = "list", as = "status=successful",
  help = "only calls that succeed" }
row { short = "Z", long = "failed-only", field = "expressions", kind = "list", as = "status=failed",
  help = "only calls that fail" }
row { short = "o", long = "output", value = "FILE", field = "output", kind = "value",
  help = "to FILE, or to a command: |COMMAND" }
row { short = "A", long = "output-append-mode", field = "append", kind = "flag", help = "append to the -o file" }
row { long = "output-separately", field = "separate", kind = "flag",
  help = "each process into a file of its own, FILE.PID (-ff does the same)" }
row { short = "a", long = "columns", value = "COLUMN", field = "column", kind = "value", check = whole("a column", 0),
  help = "where results are aligned (default 40)" }
row { short = "s", long = "string-limit", value = "N", field = "string_limit", kind = "value",
  check = whole("a length", 0), help = "how much of a string is shown (default 32)" }
row { short = "v", long = "no-abbrev", field = "verbose", kind = "flag", help = "structs in full" }
row { short = "x", long = "strings-in-hex", value = "[WHICH]", field = "strings_hex", kind = "count",
  check = one_of("none", "non-ascii-chars", "non-ascii", "all"),
  help = "strings that are not ASCII in hexadecimal; -xx all strings; WHICH: none, non-ascii-chars, non-ascii, all" }
row { short = "X", long = "const-print-style", value = "STYLE", field = "constants", kind = "value",
  check = one_of("raw", "abbrev", "verbose"),
  help = "constants as names (abbrev, the default), as numbers (raw), or both (verbose)" }
row { short = "N", long = "argument-names", field = "argument_names", kind = "flag",
  help = "the name before each argument: openat(dirfd=AT_FDCWD, pathname=...)" }
row { long = "arg-names", field = "argument_names", kind = "flag", help = "the same as -N" }
row { short = "y", long = "decode-fds", value = "[SET]", field = "decode_fds", kind = "count", as = "decode-fds=",
  help = "what descriptors are open on; -yy also sockets' ends, devices' numbers, the processes of pidfds; " ..
    "SET: path, socket, dev, pidfd, all" }
row { short = "Y", long = "decode-pids", value = "[SET]", field = "decode_pids", kind = "count", as = "decode-pids=",
  help = "the names of processes behind their ids; SET: comm, pidns (ids in our pid namespace, too), all" }
row { long = "pidns-translation", field = "expressions", kind = "list", as = "decode-pids=pidns",
  help = "the same as --decode-pids=pidns" }
row { short = "t", long = "absolute-timestamps", value = "[HOW]", field = "stamps", kind = "count",
  help = "the time of day; -tt with microseconds; -ttt since the epoch; " ..
    "HOW: none, time or unix, and a precision: s, ms, us, ns" }
row { long = "timestamps", value = "[HOW]", field = "stamps", kind = "count",
  help = "the same as --absolute-timestamps" }
row { short = "r", long = "relative-timestamps", value = "[PRECISION]", field = "relative", kind = "count",
  help = "the time since the line before; PRECISION: s, ms, us (default), ns" }
row { short = "T", long = "syscall-times", value = "[PRECISION]", field = "duration", kind = "count",
  help = "the time spent in each call; PRECISION: s, ms, us (default), ns" }
row { short = "i", long = "instruction-pointer", field = "pointer", kind = "flag", help = "where the call was made" }
row { short = "k", long = "stack-traces", field = "stack", kind = "flag", help = "the stack of each call" }
row { long = "stack-trace", field = "stack", kind = "flag", help = "the same as -k" }
row { short = "n", long = "syscall-number", field = "number_shown", kind = "flag", help = "the number of each call" }
row { long = "always-show-pid", field = "always_pid", kind = "flag", help = "the pid on every line" }
row { short = "q", long = "quiet", value = "[SET]", field = "quiet", kind = "count", as = "quiet=",
  help = "less talk: -q no attach messages and notices, -qq no exit lines, -qqq nothing but calls; " ..
    "SET: attach, exit, path-resolution, personality, superseded, all" }
for _, name in ipairs { "silent", "silence" } do
  row { long = name, value = "[SET]", field = "quiet", kind = "count", as = "quiet=", help = "the same as --quiet" }
end
row { short = "d", long = "debug", field = "debug", kind = "flag",
  help = "what luatrace itself sees and does, on standard error" }
row { section = "Summary" }
row { short = "c", long = "summary-only", field = "summary_only", kind = "flag",
  help = "no lines, but a table of counts, errors and times" }
row { short = "C", long = "summary", field = "summary", kind = "flag", help = "lines, and the table at the end" }
row { long = "by", value = "WHAT", field = "by", kind = "value", check = one_of("process", "file", "fd", "thread"),
  help = "with -c or -C: a row for each process, file, descriptor or thread, and under it the rows of its calls" }
row { short = "S", long = "summary-sort-by", value = "COLUMN", field = "sort_by", kind = "value",
  check = one_of("time", "min-time", "max-time", "avg-time", "calls", "errors", "name", "nothing", "time-percent",
    "total-time", "time-total", "shortest", "time-min", "longest", "time-max", "time-avg", "count", "error", "syscall",
    "syscall-name", "none"),
  help = "time (default), min-time, max-time, avg-time, calls, errors, name, or nothing" }
row { short = "U", long = "summary-columns", value = "LIST", field = "summary_columns", kind = "value",
  help = "which columns: time-percent, total-time, avg-time, min-time, max-time, calls, errors, bytes, name" }
row { short = "O", long = "summary-syscall-overhead", value = "TIME", field = "overhead", kind = "value",
  check = overhead, help = "TIME (in microseconds; or with s, ms, us, ns) is taken off the time of each call" }
row { short = "w", long = "summary-wall-clock", field = "wall_clock", kind = "flag",
  help = "times by the clock on the wall, not the time that the kernel has spent on the process" }
row { section = "Taken for what they are in strace" }
row { short = "F", field = "follow", kind = "count", help = "the same as -f" }
row { long = "seccomp-bpf", field = "seccomp", kind = "flag",
  help = "accepted: luatrace always uses a filter where it can" }
row { long = "tips", value = "[WHICH]", field = "tips", kind = "flag", help = "accepted" }
row { long = "kill-on-exit", field = "kill_on_exit", kind = "flag",
  help = "the program ends when luatrace does (it always does, unless it was attached to)" }
row { section = "Fault injection" }
row { long = "inject", value = "EXPR", field = "expressions", kind = "list", as = "--inject=",
  help = "SET:error=ERRNO:when=N and all else of strace's -e inject=, with conditions: write(path=*.db):error=ENOSPC" ..
    " (may be repeated)" }
row { long = "fault", value = "EXPR", field = "expressions", kind = "list", as = "--fault=",
  help = "the same as -e fault=EXPR: an error, ENOSYS by default" }
row { long = "simulate", value = "FAULT", field = "simulations", kind = "list",
  help = "a fault of the library, with its options: full_disk:quota=1M:path=/var/** (help lists them)" }
row { long = "any-errno", field = "any_errno", kind = "flag",
  help = "inject errors, too, that the call or the kind of descriptor never gives" }
row { long = "log-decisions", value = "FILE", field = "log_decisions", kind = "value",
  help = "write what was injected where to FILE" }
row { long = "replay-decisions", value = "FILE", field = "replay_decisions", kind = "value",
  help = "inject exactly what FILE says, with the same script and options" }
row { section = "Trapping" }
row { long = "trap", value = "HOW", field = "trap", kind = "value", check = one_of("auto", "notify", "stop", "ptrace"),
  help = "auto (default), notify (entries only), stop (filter and stops) or ptrace (stops at every call)" }
row { long = "gate", value = "WHEN", field = "gate", kind = "value", check = one_of("auto", "never", "always"),
  help = "code in the program that lets go what no path of a rule matches, and asks about watched calls by shared "
    .. "memory: auto (in places that make many such calls), never or always" }
row { long = "workers", value = "WHEN", field = "workers", kind = "value", check = one_of("auto", "never", "always"),
  help = "threads that let go what no path of a rule matches: auto (while all processors are busy), never or always" }
row { long = "explain", field = "explain", kind = "flag", help = "print the trap plan and do not run anything" }
row { long = "io-uring", value = "WHAT", field = "io_uring", kind = "value", check = one_of("warn", "deny"),
  help = "io_uring_setup: warn that the ring is not seen (default), or answer ENOSYS" }
row { long = "hide-vdso", field = "hide_vdso", kind = "flag",
  help = "hide the vDSO, so that clock_gettime and the like become calls that can be seen" }
row { long = "kernel-without", value = "LIST", field = "kernel_without", kind = "value",
  help = "do as on a kernel without set_syscall_info, get_syscall_info, process_vm, proc_mem or notify" }
row { section = "Help" }
row { short = "h", long = "help", field = "help", kind = "flag", help = "print this" }
row { short = "V", long = "version", field = "version", kind = "flag",
  help = "print the version and what this kernel offers" }

local FIRST_LONG = 1000

---@param with_long boolean are there long options? Filling getopt's array with all of them takes its time
local function tables(rows, with_long)
  local letters, by_value, long = { "+:" }, {}, {}
  for i, option in ipairs(rows) do
    if not option.section then
      local optional = option.value and option.value:sub(1, 1) == "["
      local has = option.value and (optional and 2 or 1) or 0
      local value = FIRST_LONG + i
      if option.short then
        -- A value that may be left out belongs to the long name only: -tt is -t twice.
        letters[#letters + 1] = option.short .. (has == 1 and ":" or "")
        by_value[option.short:byte()] = option
      end
      by_value[value] = option
      if option.long and with_long then long[#long + 1] = { option.long, has, value } end
    end
  end
  local array = ffi.new("struct option[?]", #long + 1)
  for i, item in ipairs(long) do
    local to = array[i - 1]
    to.name, to.has_arg, to.val = item[1], item[2], item[3]
  end
  return table.concat(letters), array, by_value
end

--- A letter that is counted (-tt) has a long name that takes a value instead, or nothing: field_value, field_long.
local function store_long(parsed, option, text)
  parsed[option.field .. "_long"] = true
  if text and option.as then
    parsed.expressions = parsed.expressions or {}
    table.insert(parsed.expressions, option.as .. text)
  elseif text then
    parsed[option.field .. "_value"] = text
  end
  return true
end

local function store(parsed, option, text, is_long)
  local value = text
  if option.kind ~= "count" and option.as then
    value = option.value and option.as .. text or option.as
    text = nil
  end
  if option.check and text then
    local checked, takes = option.check(text)
    if checked == nil then
      local name = option.long and "--" .. option.long or "-" .. option.short
      return nil, ("%s takes %s, not %q"):format(name, takes, text)
    end
    value = checked
  end
  if option.kind == "count" and option.value and is_long then return store_long(parsed, option, text) end
  if option.kind == "flag" then
    parsed[option.field] = true
  elseif option.kind == "count" then
    parsed[option.field] = (parsed[option.field] or 0) + 1
  elseif option.kind == "list" then
    parsed[option.field] = parsed[option.field] or {}
    table.insert(parsed[option.field], value)
  else
    parsed[option.field] = value or true
  end
  return true
end

--- The word of argv that getopt_long was unhappy with.
local function offender(argv, value)
  if value > 0 and value < 256 then return "-" .. string.char(value) end
  return argv[ffi.C.optind - 1] or "?"
end

--- What is wrong with a word that getopt_long refuses.
local function unknown(argv, rows, name)
  local word = offender(argv, ffi.C.optopt)
  local start, candidates, names = word:match("^%-%-([^=]+)"), {}, {}
  for _, option in ipairs(rows) do
    if option.long then names["--" .. option.long] = true end
    if start and option.long and option.long:sub(1, #start) == start then
      if option.long == start then return ("option --%s takes no value: %s"):format(start, word) end
      candidates[#candidates + 1] = "--" .. option.long
    end
  end
  if #candidates > 1 then
    return ("option %s is ambiguous: it may be %s"):format(word, table.concat(candidates, ", "))
  end
  local near = start and require("luatrace.filter").did_you_mean("--" .. start, names) or ""
  if near ~= "" then return ("unknown option %s%s"):format(word, near) end
  return ("unknown option %s (%s --help lists them)"):format(word, name or "luatrace")
end

---@param argv string[] without the program's name
---@param rows table[]|nil of a subcommand; default: luatrace's own
---@param name string|nil how the command is called in messages
---@return table|nil parsed, string? message
function M.parse(argv, rows, name)
  local with_long = false
  for i = 1, #argv do with_long = with_long or argv[i]:find("^%-%-.") ~= nil end
  local letters, long, by_value = tables(rows or M.rows, with_long)
  local count = #argv + 1
  local keep = { "luatrace", unpack(argv) }
  local array = ffi.new("char *[?]", count + 1)
  for i = 1, count do array[i - 1] = ffi.cast("char *", keep[i]) end
  ffi.C.optind, ffi.C.opterr = 0, 0 -- 0, not 1: glibc starts anew
  local parsed = {}
  while true do
    local value = ffi.C.getopt_long(count, array, letters, long, nil)
    if value == -1 then break end
    if value == 58 then -- ':'
      local option = by_value[ffi.C.optopt]
      return nil, ("option %s needs a value: %s"):format(offender(argv, ffi.C.optopt), option and option.value or "?")
    end
    if value == 63 then -- '?'
      return nil, unknown(argv, rows or M.rows, name)
    end
    local ok, message = store(parsed, by_value[value], ffi.C.optarg ~= nil and ffi.string(ffi.C.optarg) or nil,
      value >= FIRST_LONG)
    if not ok then return nil, message end
  end
  local first = ffi.C.optind
  parsed.separated = argv[first - 1] == "--"
  parsed.rest = {}
  for i = first, #argv do parsed.rest[#parsed.rest + 1] = argv[i] end
  return parsed
end

local usage = { "Usage: luatrace [OPTIONS] [SCRIPT.lua [ARGS]] -- COMMAND [ARGS]",
  "       luatrace [OPTIONS] COMMAND [ARGS]",
  "       luatrace [OPTIONS] -p PID [SCRIPT.lua [ARGS]]",
  "       luatrace sweep [OPTIONS] -- COMMAND [ARGS]     (luatrace sweep --help)",
  "Hands each system call of a program to a Lua script; without a script, prints them." }

--- The text of --help.
---@param rows table[]|nil of a subcommand; default: luatrace's own
---@param head string[]|nil the lines above the options
---@return string
function M.help(rows, head)
  local lines = { unpack(head or usage) }
  for _, option in ipairs(rows or M.rows) do
    if option.section then
      lines[#lines + 1] = "\n" .. option.section .. ":"
    else
      local left = option.short and ("  -%s"):format(option.short) or "    "
      if option.long then left = left .. (option.short and ", " or "  ") .. "--" .. option.long end
      if option.value then left = left .. (option.long and "=" or " ") .. option.value end
      if #left > 29 then
        lines[#lines + 1] = left
        left = ""
      end
      lines[#lines + 1] = ("%-30s %s"):format(left, option.help)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
