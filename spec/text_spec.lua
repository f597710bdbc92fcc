-- The same program under strace and under luatrace prints the same text, but for what no two runs have in common:
-- process ids, addresses, times, random bytes. Each process has a file of its own (-ff), so that the order in which
-- processes are scheduled does not matter. Once more all go into one file (-f), where the core prints what is simple
-- (src/printer.c): told apart by their ids, and with interrupted lines joined, the lines are the same.

local same = require("spec.text_compare").same
local support = require "spec.support"

local function sh(code) return { "sh", "-c", code } end

--- Name and command of each program, and what `same` is to allow; bits: 32 where the machine must run such programs.
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
  { "python3", { support.python, "-c", "print(1)" } }, { "getent", { "getent", "passwd", "root" } },
  { "env", { "env", "-i", "true" } }, { "sh: exit", sh "exit 3" }, { "sh: subshell", sh "(exit 4); echo $?" },
  { "sh: pipe", sh "echo x | cat" }, { "sh: killed", sh "kill -TERM $$" }, { "bash", { "bash", "-c", ":" } },
  { "exec fails", sh "exec /nonexistent 2>/dev/null" }, { "threads", { support.tracee "family", "threads", "3" } },
  { "forks", { support.tracee "family", "forks", "3" } }, { "vfork", { support.tracee "family", "vfork" } },
  { "addresses", { support.tracee "addresses" } }, { "netlink", { support.tracee "netlink" } },
  { "device requests", { support.tracee "device_requests" } }, { "AT_ flags", { support.tracee "at_flags" } },
  { "strange arguments", { support.tracee "strange", "1" } },
  { "stranger arguments", { support.tracee "strange", "3" } },
  { "altstack", { support.tracee "signals", "altstack" } }, { "sigwait", { support.tracee "signals", "sigwait" } },
  { "signalfd", { support.tracee "signals", "signalfd" } }, { "suspend", { support.tracee "signals", "suspend" } },
  { "segfault", { support.tracee "signals", "segv" } }, { "raise", { support.tracee "signals", "raise" } },
  { "bad pointers", { support.tracee "registers", "pointers" } }, { "holes", { support.tracee "registers", "hole" } },
}
--- In a network of its own: what these say of traffic, times and other programs' sockets is another thing each time.
if os.execute "unshare -n true 2>/dev/null" == 0 then
  for _, command in ipairs { "ip addr", "ip route show table all", "ip rule", "ip addr show dev none", "ss -xl" } do
    if support.has(command:match "%S+") then
      programs[#programs + 1] = { command, sh("exec unshare -n " .. command) }
    end
  end
end
if support.has "gcc" then
  programs[#programs + 1] = { "32 bits", { support.tracee("registers", { m32 = true }), "open" }, bits = 32 }
  programs[#programs + 1] = { "socketcall, ipc", { support.tracee("multiplexed", { m32 = true }) }, bits = 32 }
end

describe("text", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  for _, program in ipairs(programs) do
    it("is strace's for " .. program[1], function()
      if program.bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      same(program[2], program[3])
    end)
  end

  for _, options in ipairs { { "-s", "5" }, { "-a", "20" }, { "-e", "trace=%file" }, { "-e", "trace=!mmap" },
    { "-e", "/^(open|close)" }, { "-z" }, { "-Z" }, { "-e", "trace=openat,?nonsense" }, { "-n" },
    { "-P", "/etc/hostname" }, { "-e", "signal=none" }, { "-e", "raw=openat,read" } } do
    it("is strace's with " .. table.concat(options, " "), function() same({ "cat", "/etc/hostname" }, options) end)
  end
end)
