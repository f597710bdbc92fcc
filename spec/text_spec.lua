-- The same program under strace and under luatrace prints the same text, but for what no two runs have in common:
-- process ids, addresses, times, random bytes. Each process has a file of its own (-ff), so that the order in which
-- processes are scheduled does not matter.

local dirent = require "posix.dirent"
local support = require "spec.support"

--- Differences that stay, and why.
local better = {
  -- strace 6.1 does not know these calls or flags; luatrace has them from Linux 6.18.
}

local function normal(text)
  text = text:gsub("0x%x%x%x%x%x+", "ADDRESS")
  -- How often libc draws until a temporary name is free of bias is chance.
  text = text:gsub("\n[^\n]*getrandom%([^\n]*", "")
  text = text:gsub("tv_sec=%-?%d+, tv_[nu]sec=%d+", "TIME"):gsub("si_[us]time=%d+", "TIME")
  text = text:gsub("(p?t?g?i?d=)%[?%d%d+%]?", "%1PID"):gsub("(sysinfo%().-\n", "%1...\n")
  text = text:gsub("f_bfree=%d+, f_bavail=%d+, f_files=%d+, f_ffree=%d+", "FREE"):gsub("st_size=%d+", "SIZE")
  -- Calls that take or give a process id.
  text = text:gsub("(\n[%w_]+%()(%-?%d%d%d+)", "%1PID"):gsub("= %d%d%d+\n", "= NUMBER\n")
  text = text:gsub("\n(%S-)%s+= ", "\n%1 = "):gsub(" +=", " =")
  text = text:gsub("(\ntgkill%(PID, )%d+", "%1PID"):gsub(" /%* %d%d%d%d%-%S+ %*/", "")
  -- Names and numbers made by chance or by the clock.
  for _, name in ipairs { '"Cu', '"%./sed' } do text = text:gsub("(" .. name .. ")%w%w%w%w%w%w", "%1RANDOM") end
  text = text:gsub("(\nread%(%d+, )\".-\"(%.*, [%d]+%) = )", "%1DATA%2")
  text = text:gsub("(\nwrite%(2, \"%d+ bytes).-\n", "%1\n")
  -- When a child ends relative to what its parent does meanwhile is chance.
  text = text:gsub("\n%-%-%- SIGCHLD[^\n]*", ""):gsub("\nrt_sigreturn[^\n]*", ""):gsub("\nwait4%([^\n]*", "")
  -- Whether a thread finds another one still at work is chance, too.
  text = text:gsub("\nfutex%([^\n]*", ""):gsub("\n[^\n]* = %? ERESTART[^\n]*", "")
  for _, pattern in ipairs(better) do text = text:gsub(pattern, "") end
  return text
end

--- One text of all processes' files, in the order of their ids.
local function collect(directory)
  local names = {}
  for _, name in ipairs(dirent.dir(directory)) do
    local pid = tonumber(name:match("%.(%d+)$"))
    if pid then names[#names + 1] = { pid, name } end
  end
  table.sort(names, function(a, b) return a[1] < b[1] end)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = "process " .. i .. "\n" .. support.read(directory .. "/" .. name[2]) end
  return normal("\n" .. table.concat(parts))
end

local function traced(tracer, command, options)
  local directory, work = support.tempdir(), support.tempdir()
  local words = { tracer, "-q", "-ff", "-o", directory .. "/t" }
  for _, word in ipairs(options or {}) do words[#words + 1] = word end
  for _, word in ipairs(command) do words[#words + 1] = word end
  local result = support.execute { words = words, cwd = work, stdin = "some\ninput\n",
    env = { GIT_CONFIG_GLOBAL = "/dev/null", HOME = "/nonexistent", PYTHONHASHSEED = "0", PERL_HASH_SEED = "0" } }
  local text = collect(directory):gsub(work:gsub("%-", "%%-"), "WORK")
  support.clean()
  return text, result
end

--- The first lines that differ, for a message that one can read.
local function first_difference(a, b)
  local left, right = {}, {}
  for line in (a .. "\n"):gmatch("(.-)\n") do left[#left + 1] = line end
  for line in (b .. "\n"):gmatch("(.-)\n") do right[#right + 1] = line end
  for i = 1, math.max(#left, #right) do
    if left[i] ~= right[i] then
      return ("line %d\nstrace:   %s\nluatrace: %s"):format(i, tostring(left[i]), tostring(right[i]))
    end
  end
end

local function same(command, options)
  local strace, strace_result = traced("strace", command, options)
  local ours, our_result = traced(support.binary, command, options)
  assert.equal("no difference", first_difference(strace, ours) or "no difference")
  assert.equal(strace_result.status, our_result.status)
  if not (options and options.any_output) then assert.equal(strace_result.stdout, our_result.stdout) end
end

local function sh(code) return { "sh", "-c", code } end

--- Name and command of each program.
local programs = {
  { "true", { "true" } }, { "false", { "false" } }, { "cat", { "cat", "/etc/hostname" } },
  { "cat from stdin", { "cat" } }, { "ls -l", { "ls", "-l", "/etc" } }, { "ls missing", { "ls", "/nonexistent" } },
  { "date", { "date", "+%Y" } }, { "id", { "id" } }, { "sort", { "sort", "/etc/passwd" } },
  { "sort -u stdin", { "sort", "-u" } }, { "uniq", { "uniq" } }, { "head", { "head", "-c", "3", "/etc/passwd" } },
  { "tail", { "tail", "-n", "2", "/etc/passwd" } }, { "wc", { "wc", "/etc/passwd" } },
  { "cp", { "cp", "/etc/passwd", "copy" } }, { "mv", sh "touch a; mv a b" }, { "rm", sh "touch a; rm a" },
  { "ln", sh "ln -s a b; readlink b" }, { "mkdir", sh "mkdir -p a/b; rmdir a/b" },
  { "chmod", sh "touch a; chmod 640 a; chmod u+s a" }, { "touch -d", { "touch", "-d", "2026-01-01", "x" } },
  { "mkfifo", { "mkfifo", "x" } }, { "truncate", { "truncate", "-s", "10M", "x" } },
  { "dd", sh "dd if=/dev/zero of=x bs=4k count=3 conv=fsync 2>/dev/null" }, { "sync", { "sync", "/etc/hostname" } },
  { "seq", { "seq", "5" } }, { "printf", { "printf", "%s\n", "a" } }, { "sleep", { "sleep", "0.01" } },
  { "nice", { "nice", "true" } }, { "stty", { "stty", "-a" } }, { "uname", { "uname", "-a" } },
  { "df", { "df", "/" }, { any_output = true } }, { "du", { "du", "-s", "/etc/apt" } },
  { "find", { "find", "/etc", "-name", "x*" } },
  { "grep", { "grep", "root", "/etc/passwd" } }, { "sed", { "sed", "s/root/x/", "/etc/passwd" } },
  { "sed -i", sh "cp /etc/passwd p; sed -i s/root/x/ p" }, { "awk", { "awk", "{ print $1 }", "/etc/hostname" } },
  { "tar", { "tar", "cf", "x.tar", "/etc/apt" } }, { "tar x", sh "tar cf x.tar -C /etc apt; tar xf x.tar" },
  { "gzip", sh "cp /etc/passwd p; gzip -n p" }, { "sha256sum", { "sha256sum", "/etc/passwd" } },
  { "diff", { "diff", "/etc/passwd", "/etc/group" } }, { "cmp", { "cmp", "/etc/passwd", "/etc/group" } },
  { "sqlite3", { "sqlite3", ":memory:", "create table t(x); insert into t values(1); select * from t;" } },
  { "git --version", { "git", "--version" } }, { "git rev-parse", { "git", "rev-parse", "--git-dir" } },
  { "gcc -E", sh "echo 'int x;' | gcc -E - -o /dev/null" }, { "openssl version", { "openssl", "version" } },
  { "python3", { "/usr/bin/python3", "-c", "print(1)" } }, { "getent", { "getent", "passwd", "root" } },
  { "env", { "env", "-i", "true" } }, { "sh: exit", sh "exit 3" }, { "sh: subshell", sh "(exit 4); echo $?" },
  { "sh: pipe", sh "echo x | cat" }, { "sh: killed", sh "kill -TERM $$" }, { "bash", { "bash", "-c", ":" } },
  { "exec fails", sh "exec /nonexistent 2>/dev/null" }, { "threads", { support.tracee "family", "threads", "3" } },
  { "forks", { support.tracee "family", "forks", "3" } }, { "vfork", { support.tracee "family", "vfork" } },
  { "altstack", { support.tracee "signals", "altstack" } }, { "sigwait", { support.tracee "signals", "sigwait" } },
  { "signalfd", { support.tracee "signals", "signalfd" } }, { "suspend", { support.tracee "signals", "suspend" } },
  { "segfault", { support.tracee "signals", "segv" } }, { "raise", { support.tracee "signals", "raise" } },
  { "bad pointers", { support.tracee "registers", "pointers" } }, { "holes", { support.tracee "registers", "hole" } },
}
if support.has "gcc" then
  programs[#programs + 1] = { "32 bits", { support.tracee("registers", { m32 = true }), "open" } }
end

describe("text", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  for _, program in ipairs(programs) do
    it("is strace's for " .. program[1], function() same(program[2], program[3]) end)
  end

  for _, options in ipairs { { "-s", "5" }, { "-a", "20" }, { "-e", "trace=%file" }, { "-e", "trace=!mmap" },
    { "-e", "/^(open|close)" }, { "-z" }, { "-Z" }, { "-e", "trace=openat,?nonsense" }, { "-n" },
    { "-P", "/etc/hostname" }, { "-e", "signal=none" }, { "-e", "raw=openat,read" } } do
    it("is strace's with " .. table.concat(options, " "), function() same({ "cat", "/etc/hostname" }, options) end)
  end
end)
