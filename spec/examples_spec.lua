-- Every example of examples/ is run on a real program, and its effect is looked at from outside luatrace: files that
-- are there or not, what the program printed, its exit status, what a compiler says to generated code.

local support = require "spec.support"

local root = support.root
local directory -- of this test: new and empty before each one, and the commands' working directory

local function quote(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

local read_file, write_file = support.read, support.write

--- Runs a shell command in the test's directory; a death by signal is told as a shell does, by 128 and its number.
---@return { status: integer, out: string, err: string }
local function sh(command)
  local result = support.execute { words = { "sh", "-c", command }, cwd = directory, env = { PATH = support.path } }
  return { status = result.status or 128 + result.signal, out = result.stdout, err = result.stderr }
end

--- The start of a command line: luatrace with an example.
local function luatrace(example, options)
  return ("%s %s %s/examples/%s.lua"):format(support.binary, options or "", root, example)
end

local function compile(source, program)
  local built = sh(("gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O1 -o %s %s"):format(program, source))
  assert.are.equal("", built.err)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  return lines
end

describe("the examples", function()
  before_each(function() directory = support.tempdir() end)
  after_each(function()
    support.clean()
    assert.are.same({}, support.leftovers())
  end)

  describe("kill-third-object-write", function()
    local function project() sh(("cp %s/examples/kill-third-object-write/* ."):format(root)) end

    it("leaves a build with .DELETE_ON_ERROR that the next make finishes", function()
      project()
      local killed = sh(luatrace "kill-third-object-write" .. " -- make -f good.mk")
      assert.are.equal(2, killed.status)
      assert.matches("killed as %(pid %d+%) at write 3 to .*/main%.o", killed.err)
      assert.is_nil(read_file(directory .. "/main.o"))
      assert.are.equal(0, sh("make -f good.mk").status)
      assert.are.equal("hello, world\n", sh("./hello").out)
    end)

    it("leaves a build without it with half an object that make takes for made", function()
      project()
      assert.are.equal(2, sh(luatrace "kill-third-object-write" .. " -- make -f broken.mk").status)
      assert.is_not_nil(read_file(directory .. "/main.o"))
      local rebuilt = sh("make -f broken.mk")
      assert.are.equal(2, rebuilt.status)
      assert.is_nil(rebuilt.out:find("-o main.o", 1, true))
      assert.are.equal("", sh("make -f broken.mk -n main.o | grep gcc").out)
    end)
  end)

  describe("kill-fourth-byte", function()
    before_each(function() compile(root .. "/examples/kill-fourth-byte/writer.c", "writer") end)

    it("leaves exactly aaa of a file that is written in place", function()
      local killed = sh(luatrace "kill-fourth-byte" .. " -- ./writer in-place target")
      assert.are.equal(128 + 9, killed.status)
      assert.are.equal("aaa", read_file(directory .. "/target"))
    end)

    it("leaves no target where the file is written beside it and renamed", function()
      assert.are.equal(128 + 9, sh(luatrace "kill-fourth-byte" .. " -- ./writer atomic target").status)
      assert.is_nil(read_file(directory .. "/target"))
      assert.are.equal("aaa", read_file(directory .. "/target.new"))
    end)
  end)

  it("sweep-saves finds what a writer in place loses, and nothing in an atomic one", function()
    compile(root .. "/examples/kill-fourth-byte/writer.c", "writer")
    sh("mkdir data; echo old >data/target")
    local example = luatrace "sweep-saves" .. " data target ./writer "
    local found = sh(example .. "in-place target")
    assert.matches("^%d+ runs, 2 findings\nDESTROYED: the 1st write on target fails with EIO: target is \"\" %(3/3%)\n",
      found.out)
    assert.matches("^%d+ runs, 0 findings\n$", sh(example .. "atomic target").out)
  end)

  it("non-atomic-writes reports a file written in place, and not one that was renamed into its place", function()
    compile(root .. "/examples/kill-fourth-byte/writer.c", "writer")
    local found = sh(luatrace "non-atomic-writes" .. " -- sh -c './writer in-place one; ./writer atomic two'")
    assert.are.equal(0, found.status)
    assert.are.equal(("written in place: %s/one (writer)\n1 file written in place\n"):format(directory), found.err)
  end)

  describe("rewrite-results", function()
    it("lets a chosen read fail with ECONNRESET", function()
      local reset = sh("(echo one; echo two) | " .. luatrace "rewrite-results" .. " ECONNRESET 1 ^pipe -- cat")
      assert.are.equal(1, reset.status)
      assert.matches("Connection reset by peer", reset.err)
      assert.are.equal("", reset.out)
    end)

    it("lets recv fail on a socket that a program reads from", function()
      write_file(directory .. "/pair.py", [[
import socket
a, b = socket.socketpair()
a.sendall(b"first")
print(b.recv(5))
a.sendall(b"second")
try:
    b.recv(6)
except ConnectionResetError as error:
    print(error.errno)
]])
      local reset = sh(luatrace "rewrite-results" .. " ECONNRESET 2 ^socket -- python3 pair.py")
      assert.are.equal("b'first'\n104\n", reset.out)
    end)

    it("returns an arbitrary count", function()
      assert.are.equal("hello", sh("echo hello world | " .. luatrace "rewrite-results" .. " 5 1 ^pipe -- cat").out)
    end)
  end)

  it("keep-temporaries lets gcc keep its assembler file", function()
    write_file(directory .. "/empty.c", "int main(void) { return 0; }\n")
    local built = sh("mkdir tmp && TMPDIR=$PWD/tmp " .. luatrace "keep-temporaries" .. " -- gcc -o empty empty.c")
    assert.are.equal(0, built.status)
    assert.matches("%.text", sh("cat tmp/cc*.s").out)
    assert.are.equal("", sh("TMPDIR=$PWD/none; mkdir $TMPDIR; export TMPDIR; gcc -o empty empty.c; ls none").out)
  end)

  describe("upper-case", function()
    it("rewrites what cat reads", function()
      write_file(directory .. "/text", "a line\nand \0another\n")
      -- Into a file: left to itself, cat would let the kernel copy, and read nothing.
      sh(luatrace "upper-case" .. " read -- cat text >upper")
      assert.are.equal("A LINE\nAND \0ANOTHER\n", read_file(directory .. "/upper"))
    end)

    it("rewrites what cat writes", function()
      write_file(directory .. "/text", "a line\nand \0another\n")
      assert.are.equal("A LINE\nAND \0ANOTHER\n", sh(luatrace "upper-case" .. " write -- cat text").out)
    end)
  end)

  it("redirect-path gives a program another tree under a longer name", function()
    local longer = directory .. "/" .. ("a-long-name-"):rep(20)
    sh("mkdir -p " .. longer)
    write_file(longer .. "/motd", "from the other tree\n")
    local redirected = sh(luatrace "redirect-path" .. " /etc " .. longer ..
      " -- sh -c 'cat /etc/motd; test -e /etc/passwd'")
    assert.are.equal("from the other tree\n", redirected.out)
    assert.are.equal(1, redirected.status)
  end)

  it("redirect-connect sends a connection to a local server", function()
    -- The server takes one connection and ends; it is a child of the script, which waits for it.
    write_file(directory .. "/server.py", [=[
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(20)
port = listener.getsockname()[1]
client = subprocess.Popen([arg.replace("PORT", str(port)) for arg in sys.argv[1:]])
connection, _ = listener.accept()
connection.sendall(b"from the local server\n")
connection.close()
sys.exit(client.wait())
]=])
    local client = "bash -c 'exec 3<>/dev/tcp/192.0.2.1/80; cat <&3'"
    local traced = luatrace "redirect-connect" .. " 192.0.2.1:80 PORT -- " .. client
    local answered = sh("python3 server.py " .. traced)
    assert.are.equal("from the local server\n", answered.out)
    assert.are.equal(0, answered.status)
    assert.matches("bash: 192%.0%.2%.1:80 %-> 127%.0%.0%.1:%d+\n", answered.err)
  end)

  describe("short-io", function()
    it("lets cat, and tar where it is told to expect short reads (-B), give the same results", function()
      sh("mkdir tree && cp " .. root .. "/src/*.c tree")
      local plain = sh("cat tree/*.c")
      local short = sh(luatrace "short-io" .. " -- cat tree/*.c")
      assert.are.equal(plain.out, short.out)
      assert.matches("^[1-9]%d* calls made shorter, [1-9]%d* interrupted\n$", short.err)
      sh("tar cf tree.tar tree && mkdir extracted")
      assert.are.equal(0, sh(luatrace "short-io" .. " -- tar xBf tree.tar -C extracted").status)
      assert.are.equal(0, sh("diff -r tree extracted/tree").status)
    end)

    it("lets sort give the same result where reads are only short", function()
      local plain = sh("sort " .. root .. "/src/tracer.c")
      local short = sh(luatrace "short-io" .. " 0 -- sort " .. root .. "/src/tracer.c")
      assert.are.equal(plain.out, short.out)
      assert.matches("^[1-9]%d* calls made shorter, 0 interrupted\n$", short.err)
    end)
  end)

  it("fuzz-read changes what is read, and the same again with the same seed", function()
    local text = read_file(root .. "/Makefile")
    write_file(directory .. "/text", text)
    local first = sh(luatrace("fuzz-read", "--seed=7") .. " 0.05 text$ -- cat text")
    local again = sh(luatrace("fuzz-read", "--seed=7") .. " 0.05 text$ -- cat text")
    local other = sh(luatrace("fuzz-read", "--seed=8") .. " 0.05 text$ -- cat text")
    assert.are_not.equal(text, first.out)
    assert.are.equal(#text, #first.out)
    assert.are.equal(first.out, again.out)
    assert.are_not.equal(first.out, other.out)
    local changed = 0
    for i = 1, #text do
      if text:byte(i) ~= first.out:byte(i) then changed = changed + 1 end
    end
    assert.matches(("^%d bytes changed"):format(changed), first.err)
  end)

  it("call-set-difference shows the calls that one run makes and the other does not", function()
    assert.are.equal(0, sh(luatrace "call-set-difference" .. " save calls -- true").status)
    local compared = sh(luatrace "call-set-difference" .. " compare calls -- mkdir made")
    assert.matches("%+mkdir\n", compared.err)
    assert.is_nil(compared.err:find("execve", 1, true))
    local back = sh(luatrace "call-set-difference" .. " save more -- mkdir made2; " ..
      luatrace "call-set-difference" .. " compare more -- true")
    assert.matches("%-mkdir\n", back.err)
  end)

  it("slow-accept holds one client while the others are served", function()
    local server = (" -- python3 %s/examples/slow-accept/server.py"):format(root)
    local served = sh(luatrace "slow-accept" .. " 1 2" .. server)
    -- That two more connections were accepted while the first was held is what releases it; in which order the
    -- server's threads and clients then get to print is open.
    assert.are.equal("connection 1 waits\nconnection 1 goes on\n", served.err)
    local function clients(run)
      local list = lines_of(run.out)
      table.sort(list)
      return list
    end
    local all = { "client 1: hello", "client 2: hello", "client 3: hello" }
    assert.are.same(all, clients(served))
    assert.are.equal(0, served.status)
    local timed = sh(luatrace "slow-accept" .. " 2 0.5s" .. server)
    assert.are.equal("connection 2 waits\n", timed.err)
    assert.are.same(all, clients(timed))
  end)

  it("exec-tree shows who started what, and how it ended", function()
    local tree = sh(luatrace "exec-tree" .. " -- sh -c '(exit 3); sh -c \"kill -9 \\$\\$\"; true; env true; exit 4'")
    assert.are.equal(4, tree.status)
    local lines = lines_of((tree.err:gsub("^Killed\n", ""))) -- says the shell
    assert.matches("^sh %-c .*  %[exit 4, %d+%.%d%d%d s%]$", lines[1])
    assert.matches("^  %(fork%)  %[exit 3, ", lines[2])
    assert.matches("^  sh %-c kill %-9 %$%$  %[killed by signal 9, ", lines[3])
    assert.matches("^  env true %-> true  %[exit 0, ", lines[4])
    assert.are.equal(4, #lines)
  end)

  it("stuck-calls names the calls that a stuck pipeline waits in", function()
    sh("mkfifo fifo")
    local stuck = sh(luatrace("stuck-calls", "--timeout=3") .. " -- sh -c 'cat fifo | sort'")
    assert.are.equal(124, stuck.status)
    assert.matches("sh %(pid %d+, tid %d+%): wait4%(", stuck.err)
    assert.matches("sh %(pid %d+, tid %d+%): openat%(fifo%)", (stuck.err:gsub("cat %(pid", "sh (pid")))
    assert.matches("sort %(pid %d+, tid %d+%): read%(fd 0, pipe pipe:%[%d+%]%) for %d%.%d s", stuck.err)
    assert.are.equal(3, #lines_of(stuck.err))
  end)

  it("count-calls counts as strace does", function()
    local counted = sh(luatrace "count-calls" .. " -- cat /etc/hostname /nonexistent")
    local strace = sh("strace -o log cat /etc/hostname /nonexistent; cat log")
    local expected = {}
    for name in strace.out:gmatch("([%w_]+)%([^\n]*\n") do expected[name] = (expected[name] or 0) + 1 end
    local found = {}
    for count, name in counted.err:gmatch(" (%d+) [^\n]- ([%w_]+)\n") do found[name] = tonumber(count) end
    assert.are.same(expected, found)
    assert.matches("openat\n", counted.err)
  end)

  it("virtual-file makes a file that only the program sees", function()
    local path = directory .. "/nowhere"
    local seen = sh(luatrace "virtual-file" .. " " .. path .. [[ 'first\nsecond' -- sh -c 'test -r ]] .. path ..
      [[ && cat ]] .. path .. "'")
    assert.are.equal("first\nsecond", seen.out)
    assert.are.equal(0, seen.status)
    assert.is_nil(read_file(path))
  end)

  it("deny-network fails internet sockets and leaves Unix sockets alone", function()
    write_file(directory .. "/net.py", [[
import socket
try:
    socket.socket(socket.AF_INET)
except PermissionError as error:
    print(error.errno)
a, b = socket.socketpair()
a.sendall(b"unix")
print(b.recv(4))
]])
    local denied = sh(luatrace "deny-network" .. " -- python3 net.py")
    assert.are.equal("13\nb'unix'\n", denied.out)
    assert.matches("^denied: socket%(AF_INET%) in python", denied.err)
  end)

  it("audit-opens lists what is opened for writing", function()
    local audited = sh(luatrace "audit-opens" .. " -- sh -c 'echo a >one; cat one >>two; cat two >/dev/null'")
    assert.are.equal(("%s/one (sh)\n%s/two (sh)\n"):format(directory, directory), audited.err)
  end)

  describe("policy", function()
    it("writes C whose filter lets the same command run and kills another one", function()
      assert.are.equal(0, sh(luatrace "policy" .. " c policy.c -- cat /etc/hostname").status)
      compile("-DPOLICY_MAIN policy.c", "confined")
      local allowed = sh("./confined cat /etc/hostname")
      assert.are.equal(read_file("/etc/hostname"), allowed.out)
      assert.are.equal(0, allowed.status)
      -- 31: SIGSYS
      assert.are.equal(128 + 31, sh("./confined mkdir made").status)
      assert.is_nil(io.open(directory .. "/made"))
    end)

    it("writes JSON with one phase for each program image", function()
      assert.are.equal(0, sh(luatrace "policy" .. " json policy.json -- sh -c 'mkdir made; rmdir made'").status)
      local read = sh([[python3 -c 'import json
for phase in json.load(open("policy.json")):
    print(phase["exe"].split("/")[-1], "mkdir" in phase["calls"], "rmdir" in phase["calls"])']])
      assert.matches("mkdir True False\nrmdir False True\n$", read.out)
      assert.are.equal(3, #lines_of(read.out))
    end)
  end)

  it("footprint adds up the memory that calls read and write", function()
    write_file(directory .. "/text", ("x"):rep(1000))
    local shown = sh(luatrace "footprint" .. " read,write -- cat text")
    -- cat writes the 1000 bytes; it reads them, and the loader the 832 bytes of libc's ELF header (strace says so).
    assert.matches("= 832\n", sh("strace -o log -e trace=read cat text; cat log").out)
    assert.matches("%f[%d]1000 +0 write\n", shown.err)
    assert.matches("%f[%d]0 +1832 read\n", shown.err)
  end)

  describe("io-error-sweep", function()
    local reset = "rm -f record.new; echo old >record"
    -- A failure that is reported must leave the old record; success, the new one. A reader never sees another.
    local check = [[case "$(cat record)" in new) test "$status" = 0;; old) test "$status" != 0;; *) false;; esac]]
    local function sweep(mode, calls)
      return sh(("LUATRACE=%s %s/examples/io-error-sweep/sweep.sh %s EIO %s %s ./store %s record new")
        :format(support.binary, root, calls, quote(reset), quote(check), mode))
    end
    before_each(function() compile(root .. "/examples/io-error-sweep/store.c", "store") end)

    it("finds nothing in a program that stores safely", function()
      local swept = sweep("safe", "write,fsync,rename")
      assert.are.equal("", swept.err)
      assert.are.equal(0, swept.status)
      assert.matches("1: write fails with EIO: exit status 1, survived\n", swept.out)
      assert.matches("4: rename fails with EIO: exit status 1, survived\n4 failures tried\n$", swept.out)
    end)

    it("finds that SQLite keeps its promise", function()
      sh("sqlite3 before.db 'create table t (x); insert into t values (1)'")
      local swept = sh(("LUATRACE=%s %s/examples/io-error-sweep/sweep.sh pwrite64,write,fdatasync,fsync EIO %s %s %s")
        :format(support.binary, root, quote "rm -f db*; cp before.db db", quote [[
set -e
[ "$(sqlite3 db 'pragma integrity_check')" = ok ]
case "$(sqlite3 db 'select count(*) from t')" in 2) test "$status" = 0;; 1) test "$status" != 0;; *) false;; esac]],
        "sqlite3 db 'insert into t values (2)'"))
      assert.are.equal("", swept.err)
      assert.are.equal(0, swept.status)
      assert.is_true(tonumber(swept.out:match("(%d+) failures tried\n$")) >= 5)
    end)

    it("finds the unchecked writes of one that does not", function()
      local swept = sweep("careless", "write,fsync")
      assert.are.equal(1, swept.status)
      assert.matches("1: write fails with EIO: exit status 0, BROKEN\n", swept.out)
      assert.matches("3 failures tried\n$", swept.out)
    end)
  end)

  describe("mock-files", function()
    it("lets id find a user who does not exist", function()
      local found = sh(luatrace "mock-files" ..
        [[ '/etc/passwd=ada:x:1815:1815::/:/bin/sh\n' '/etc/group=math:x:1815:\n' -- id ada]])
      assert.are.equal("uid=1815(ada) gid=1815(math) groups=1815(math)\n", found.out)
      assert.are.equal("", found.err)
    end)

    it("tells what was written into a directory that is not there", function()
      local written = sh(luatrace "mock-files" .. " /srv/notes/ -- sh -c 'cd /srv/notes; echo one >a; mv a b; ls'")
      assert.are.equal("b\n", written.out)
      assert.are.equal("written: /srv/notes/b (4 bytes)\n", written.err)
      assert.is_nil(read_file "/srv/notes/b")
    end)
  end)

  describe("mock-peer", function()
    local client = [[python3 -c '
import urllib.request
try: print(urllib.request.urlopen("http://api.internal/users/1", timeout=%d).read())
except Exception as problem: print(problem)']]
    local function ask(how)
      local limited = client:format(how == "slow" and 1 or 30)
      return sh(luatrace "mock-peer" .. " api.internal:80 " .. how .. " -- " .. limited).out
    end

    it("is a web server for a program that needs one", function()
      assert.are.equal("b'you asked for /users/1\\n'\n", ask "ok")
    end)

    it("fails as it is told to", function()
      assert.matches("Connection reset by peer", ask "reset")
      assert.matches("IncompleteRead%(10 bytes read", ask "half")
      assert.matches("timed out", ask "slow")
      assert.matches("Connection refused", ask "ECONNREFUSED")
    end)
  end)

  it("reproducible makes two runs the same, and another seed another", function()
    local function run(seed)
      return sh(luatrace "reproducible" .. " " .. seed ..
        " -- sh -c 'mktemp -u; echo $$; date -u +%F; cat /proc/sys/kernel/random/uuid'").out
    end
    local first = run(42)
    assert.matches("^/tmp/tmp%.%w+\n1000\n2000%-01%-01\n[%x-]+\n$", first)
    assert.are.equal(first, run(42))
    assert.are_not.equal(first, run(43))
  end)

  describe("mock-clock", function()
    it("runs a program after 2038", function()
      local late = sh(luatrace "mock-clock" .. " '2038-01-19 03:14:07' -- date -u '+%F %R'")
      assert.are.equal("2038-01-19 03:14\n", late.out)
      assert.are.equal("2041-03-01\n",
        sh(luatrace "mock-clock" .. [[ 2040-02-29 -- sqlite3 :memory: "select date('now', '+1 year')"]]).out)
    end)

    it("lets an hour pass in seconds", function()
      local hour = sh(luatrace "mock-clock" .. " 2038-01-19 1000 -- sh -c 'sleep 3600; date -u \"+%F %H\"'")
      assert.are.equal("2038-01-19 01\n", hour.out)
    end)
  end)

  describe("testing", function()
    --- Runs a spec of examples/testing in busted as somebody else's project has it.
    local function busted(spec, env)
      env.LUA_CPATH = root .. "/build/?.so;" .. (os.getenv "LUA_CPATH" or ";")
      local result = support.execute { words = { "busted", "--lua=luajit", "-o", "plainTerminal",
        ("%s/examples/testing/%s"):format(root, spec) }, cwd = directory, env = env }
      return result.stdout
    end

    it("finds the faults of a program that saves a file, and none in the fixed one", function()
      compile(root .. "/examples/testing/save.c", "save")
      compile(root .. "/examples/testing/save_fixed.c", "save_fixed")
      local found = busted("save_spec.lua", { SAVE = directory .. "/save" })
      assert.matches("1 success / 2 failures / 0 errors", found)
      assert.matches('save_spec.lua:%d+: atomic_write%("settings"%): its data was not synced before the rename', found)
      assert.matches("at main%+0x", found)
      assert.matches("save_spec.lua:%d+: no_ignored_errors%(%): an error was ignored\n    write%(3<.*ENOSPC", found)
      assert.matches("3 successes / 0 failures / 0 errors",
        busted("save_spec.lua", { SAVE = directory .. "/save_fixed" }))
    end)

    it("does so on the command line and in a shell script, too", function()
      compile(root .. "/examples/testing/save.c", "save")
      compile(root .. "/examples/testing/save_fixed.c", "save_fixed")
      local check = ("LUATRACE=%s %s/examples/testing/check.sh "):format(support.binary, root)
      local bad = sh(check .. "./save")
      assert.are.equal("FAILED: it does not save safely\nFAILED: a full disk is not reported\n", bad.out)
      assert.are.equal(1, bad.status)
      assert.matches("luatrace: 1 of 3 expectations failed", bad.err)
      local good = sh(check .. "./save_fixed")
      assert.are.equal("ok: it saves safely\nok: a full disk is reported\n", good.out)
      assert.are.equal(0, good.status)
    end)

    it("finds that a client sends twice when a reply is lost, and not that of the fixed one", function()
      local found = busted("send_spec.lua", { PYTHON = support.python })
      assert.matches("1 success / 2 failures / 0 errors", found)
      assert.matches("Passed in:\n%(string%) 'one\none\ntwo\n'\nExpected:\n%(string%) 'one\ntwo\n'", found)
      assert.matches("3 successes / 0 failures / 0 errors",
        busted("send_spec.lua", { PYTHON = support.python, SEND = root .. "/examples/testing/send_fixed.py" }))
    end)
  end)
end)
