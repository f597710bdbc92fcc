--- Learns which system calls a program makes, per process image (a new phase begins with every exec), and writes them
-- as a policy: JSON to read and compare, or C that puts a seccomp filter around the program.
--
-- Usage: luatrace examples/policy.lua json|c FILE -- COMMAND
--
-- The C file has one filter for each phase and one for all of them together. Compiled with -DPOLICY_MAIN it is a
-- program that installs the latter and runs a command under it; a call outside the policy kills with SIGSYS:
--
--   luatrace examples/policy.lua c cat.c -- cat /etc/hostname
--   gcc -DPOLICY_MAIN -o confined cat.c
--   ./confined cat /etc/hostname
--
-- A policy knows only what the observed run did: run everything that the program must be able to do. Captured output:
--
--   $ luatrace examples/policy.lua json policy.json -- sh -c 'mkdir made; rmdir made'
--   /usr/bin/dash: 29 calls
--   /usr/bin/mkdir: 19 calls
--   /usr/bin/rmdir: 18 calls
--   $ fold -s -w 100 policy.json | head -5
--   [
--     {"exe": "/usr/bin/dash", "processes": 3,
--      "calls": ["access", "arch_prctl", "brk", "close", "execve", "exit_group", "getegid", "geteuid",
--   "getgid", "getpid", "getppid", "getrandom", "getuid", "mmap", "mprotect", "munmap", "newfstatat",
--   "openat", "pread64", "prlimit64", "read", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
--   $ luatrace examples/policy.lua c cat.c -- cat greet.h
--   void greet(const char *who);
--   /usr/bin/cat: 20 calls
--   $ gcc -DPOLICY_MAIN -o confined cat.c
--   $ ./confined cat greet.h
--   void greet(const char *who);
--   $ ./confined mkdir made
--   Bad system call

local format, file = arg[1], arg[2]
if not file or (format ~= "json" and format ~= "c") then
  error("usage: luatrace examples/policy.lua json|c FILE -- COMMAND", 0)
end

local phases, order = {}, {}  -- exe -> { exe, calls = { name -> number }, processes }
local phase_of = {}           -- process -> its present phase

local function phase_named(exe)
  local phase = phases[exe]
  if not phase then
    phase = { exe = exe, calls = {}, processes = 0 }
    phases[exe] = phase
    order[#order + 1] = phase
  end
  phase.processes = phase.processes + 1
  return phase
end

local started -- what luatrace's own child does before it becomes the program is not the program's

at.start(function() started = true end)

local function enter_phase(process)
  local phase = phase_named(process.exe)
  phase_of[process] = phase
  return phase
end

at.exec(enter_phase)
at.exit(function(process) phase_of[process] = nil end)

-- Entries are enough: a notification serves each call, cheaper than a stop.
watch["%all"](function(call)
  if not started then return end
  local process = call.process
  local phase = phase_of[process] or enter_phase(process)
  phase.calls[call.name] = call.nr
end)

local function sorted_names(calls)
  local names = {}
  for name in pairs(calls) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function json()
  local out = {}
  for _, phase in ipairs(order) do
    local names = {}
    for _, name in ipairs(sorted_names(phase.calls)) do names[#names + 1] = quoted(name) end
    out[#out + 1] = ('  {"exe": %s, "processes": %d,\n   "calls": [%s]}'):format(quoted(phase.exe), phase.processes,
      table.concat(names, ", "))
  end
  return "[\n" .. table.concat(out, ",\n") .. "\n]\n"
end

local C_HEAD = [[
/* A seccomp policy, learned by luatrace's examples/policy.lua. x86-64 only. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ONLY_X86_64 LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), KILL

]]

local C_TAIL = [[
static const struct phase {
  const char *exe;
  const struct sock_filter *filter;
  unsigned short length;
} phases[] = {
%s};

/* Confines the calling thread to the calls of a phase, "" for all of them; for good. 0, or -errno. */
int policy_install(const char *exe);

int policy_install(const char *exe) {
  for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
    if (strcmp(phases[i].exe, exe) != 0) continue;
    struct sock_fprog program = {.len = phases[i].length, .filter = (struct sock_filter *)phases[i].filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
  }
  return -ENOENT;
}

#ifdef POLICY_MAIN
int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %%s COMMAND [ARGS]\n", argv[0]);
    return 2;
  }
  int installed = policy_install("");
  if (installed < 0) {
    fprintf(stderr, "cannot install the policy: %%s\n", strerror(-installed));
    return 2;
  }
  execvp(argv[1], argv + 1);
  return 127;
}
#endif
]]

local function c_filter(name, exe, calls)
  local head = "/* %s */\nstatic const struct sock_filter %s[] = {\n    ONLY_X86_64,\n    LOAD(nr),\n"
  local lines = { head:format(exe, name) }
  for _, call in ipairs(sorted_names(calls)) do
    lines[#lines + 1] = ("    ALLOW(%d), /* %s */\n"):format(calls[call], call)
  end
  lines[#lines + 1] = "    KILL,\n};\n\n"
  return table.concat(lines)
end

local function c()
  -- What every program needs that is started under the policy: to be started, and to end.
  local all = { execve = 59, exit_group = 231 }
  local filters, rows = {}, {}
  local function add(name, exe, label, calls)
    filters[#filters + 1] = c_filter(name, label, calls)
    rows[#rows + 1] = ("    {%s, %s, sizeof %s / sizeof *%s},\n"):format(exe, name, name, name)
  end
  for i, phase in ipairs(order) do
    for name, number in pairs(phase.calls) do all[name] = number end
    add("filter_" .. i, ("%q"):format(phase.exe), (phase.exe:gsub("%*/", "* /")), phase.calls)
  end
  add("filter_all", '""', "all phases together", all)
  return C_HEAD .. table.concat(filters) .. C_TAIL:format(table.concat(rows))
end

at.finish(function()
  local out = assert(io.open(file, "w"))
  out:write(format == "json" and json() or c())
  assert(out:close())
  for _, phase in ipairs(order) do
    io.stderr:write(("%s: %d calls\n"):format(phase.exe, #sorted_names(phase.calls)))
  end
end)
