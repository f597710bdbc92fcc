-- Traced with handlers on every call, real programs print and return what they do untraced.

local support = require "spec.support"

local everything = 'on["%all"](function(call) call:run() end)'
--- What notifications serve: all entries.
local entries = 'watch["%all"](function() end)'

--- A rule for which programs look at paths by themselves (src/gate.h): on all calls with paths, for none that there is.
local gated = [[fail("open,openat,stat,lstat,newfstatat,statx,access,faccessat,faccessat2,readlink,readlinkat,unlink,"
  .. "unlinkat,rename,renameat2,mkdir,chmod", "EIO", { path = "*.nobody-has-this", any_errno = true })]]
local scripts = { notify = entries, gate = gated }

--- Runs a command natively and under each way of trapping; all must agree.
local function same(cmd, options)
  options = options or {}
  local native = support.native { cmd = cmd, stdin = options.stdin, cwd = options.cwd and options.cwd(),
    timeout = options.timeout, env = options.env }
  for _, trap in ipairs(options.traps or { "auto", "notify", "ptrace", "gate" }) do
    local traced = support.run { lua = scripts[trap] or everything,
      options = { trap == "gate" and "--gate=always" or "--trap=" .. trap },
      cmd = cmd, stdin = options.stdin,
      cwd = options.cwd and options.cwd(), timeout = options.timeout, env = options.env }
    local normal = options.normal or function(text) return text end
    assert.equal(normal(native.stdout), normal(traced.stdout), trap)
    assert.equal(normal(native.stderr), normal(traced.stderr), trap)
    assert.equal(native.status, traced.status, trap)
    assert.equal(native.signal, traced.signal, trap)
  end
  return native
end

describe("transparent", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("bash: pipes, subshells, background jobs, traps, signals", function()
    local result = same({ "bash", "-c", [[
      trap 'echo trapped' USR1
      kill -USR1 $$
      seq 20 | sort -r | (head -3; cat >/dev/null)
      (exit 3); echo $?
      sleep 0 & wait $!; echo $?
      diff <(echo a) <(echo b) | tail -1
      for i in 1 2 3; do echo "$i" & wait; done
      f() { local x=$(echo deep | tr a-z A-Z); echo "$x"; }; f
      exec 3<<<"here"; cat <&3
      bash -c 'kill -TERM $$'; echo $?
      exit 9]] })
    assert.equal(9, result.status)
  end)

  it("bash with job control on a terminal", function()
    if not support.has(support.python) then return pending("needs python3") end
    local function session(words)
      local driver = support.root .. "/spec/tracees/job_control.py"
      return support.native { cmd = { support.python, driver, unpack(words) }, timeout = 60 }.stdout
    end
    local shell = { "bash", "--norc", "--noprofile", "-i" }
    local native = session(shell)
    assert.matches("stopped.*continued.*interrupted.*status 9", native)
    for _, trap in ipairs { "auto", "notify", "ptrace" } do
      assert.equal(native, session { support.binary, "--trap=" .. trap, "--lua", scripts[trap] or everything, "--",
        unpack(shell) })
    end
    assert.equal(native, session { support.binary, "--gate=always", "--lua", gated, "--", unpack(shell) })
  end)

  it("gcc", function()
    local directory = support.tempdir()
    support.write(directory .. "/x.c", "#include <stdio.h>\nint main(void) { puts(\"x\"); return nothing; }\n")
    local failed = same({ "gcc", "-c", directory .. "/x.c", "-o", directory .. "/x.o" })
    assert.equal(1, failed.status)
    support.write(directory .. "/x.c", "#include <stdio.h>\nint main(void) { puts(\"x\"); return 4; }\n")
    same({ "gcc", "-O2", directory .. "/x.c", "-o", directory .. "/x" })
    assert.equal("x\n", same({ directory .. "/x" }).stdout)
  end)

  it("git: init, commit, log, fsck", function()
    local made
    local env = { GIT_AUTHOR_DATE = "2026-01-01T00:00:00Z", GIT_COMMITTER_DATE = "2026-01-01T00:00:00Z",
      GIT_AUTHOR_NAME = "a", GIT_AUTHOR_EMAIL = "a@b", GIT_COMMITTER_NAME = "a", GIT_COMMITTER_EMAIL = "a@b" }
    local result = same({ "sh", "-c", [[git init -q . && echo x >f && git add f && git commit -q -m one &&
      echo y >>f && git commit -q -a -m two && git log --oneline && git fsck && git gc -q && git status --short]] }, {
      env = env, cwd = function()
        made = support.tempdir()
        return made
      end })
    assert.equal(0, result.status)
  end)

  it("python3: threads, subprocesses, sockets, signals", function()
    same({ support.python, "-c", [[
import os, signal, socket, subprocess, threading
r = []
ts = [threading.Thread(target=lambda i=i: r.append(i)) for i in range(20)]
[t.start() for t in ts]; [t.join() for t in ts]
print(sorted(r))
print(subprocess.run(["sh", "-c", "cat; exit 5"], input=b"in", capture_output=True))
a, b = socket.socketpair()
a.sendall(b"x" * 100000 if False else b"hello"); print(b.recv(10))
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
def serve():
    c, _ = s.accept(); c.sendall(c.recv(100).upper()); c.close()
t = threading.Thread(target=serve); t.start()
c = socket.create_connection(s.getsockname()); c.sendall(b"over tcp"); print(c.recv(100)); t.join()
signal.signal(signal.SIGALRM, lambda *a: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()
print(os.cpu_count(), len(os.sched_getaffinity(0)))
]] })
  end)

  it("sqlite3, tar, find, perl, awk", function()
    same({ "sqlite3", ":memory:", "create table t(x); insert into t values(1),(2); select sum(x) from t;" })
    same({ "sh", "-c", "tar cf - /etc/apt 2>/dev/null | tar tf - | sort | tail -3" })
    same({ "find", "/usr/share/doc/bash", "-type", "f" })
    same({ "perl", "-e", [[$SIG{CHLD} = sub { print "child\n" }; if (!fork) { exit 3 } wait; print $? >> 8, "\n"]] })
    same({ "awk", "BEGIN { while ((\"echo a; echo b\" | getline x) > 0) print x; exit 2 }" })
  end)

  it("a program built with other flags is another program", function()
    local has_symbols = { [support.tracee "family"] = true, [support.tracee("family", { flags = "-s" })] = false }
    for path, expected in pairs(has_symbols) do
      assert.equal(expected, support.read(path):find(".symtab", 1, true) ~= nil, path)
    end
  end)

  for name, build in pairs { static = { static = true }, ["32-bit"] = { m32 = true }, stripped = { flags = "-s" } } do
    it(("a %s program"):format(name), function()
      if build.m32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      same({ support.tracee("family", build), "threads", "20" })
      same({ support.tracee("family", build), "forks", "20" })
      same({ support.tracee("signals", build), "suspend" })
    end)
  end

  it("a program with a seccomp filter of its own", function()
    same({ support.tracee "sandbox", "own" })
  end)

  it("200 threads, 2,000 forks", function()
    same({ support.tracee "family", "threads", "200" })
    same({ support.tracee "family", "forks", "2000" })
  end)

  it("a Go program with goroutines", function()
    if not support.has "go" then return pending("go is not installed") end
    local directory = support.tempdir()
    support.write(directory .. "/h.go", [[package main
import ("fmt"; "os/exec"; "sync")
func main() {
  var wg sync.WaitGroup; var mu sync.Mutex; sum := 0
  for i := 0; i < 200; i++ { wg.Add(1); go func(n int) { defer wg.Done(); mu.Lock(); sum += n; mu.Unlock() }(i) }
  wg.Wait()
  out, err := exec.Command("echo", "child").Output()
  fmt.Println(sum, string(out), err)
}
]])
    support.native { cmd = { "go", "build", "-o", directory .. "/h", directory .. "/h.go" }, timeout = 300,
      env = { HOME = directory, GOCACHE = directory .. "/cache", GO111MODULE = "off" } }
    assert.equal("19900 child\n <nil>\n", same({ directory .. "/h" }).stdout)
  end)

  it("a Java program #slow", function()
    if not support.has "javac" then return pending("javac is not installed") end
    local directory = support.tempdir()
    support.write(directory .. "/H.java", [[public class H { public static void main(String[] a) throws Exception {
      Thread[] t = new Thread[20]; int[] n = new int[1];
      for (int i = 0; i < 20; i++) { t[i] = new Thread(() -> { synchronized (n) { n[0]++; } }); t[i].start(); }
      for (Thread x : t) x.join();
      System.out.println(n[0]); System.exit(3); } }]])
    support.native { cmd = { "javac", "-d", directory, directory .. "/H.java" }, timeout = 120 }
    assert.equal("20\n", same({ "java", "-cp", directory, "H" }, { timeout = 120 }).stdout)
  end)

  -- CPython's own tests say by their exit status what they think of the world they run in.
  for _, name in ipairs { "test_subprocess", "test_signal", "test_threading", "test_fork1", "test_socket" } do
    it("python3 -m test " .. name .. " #slow", function()
      local present = support.native { cmd = { support.python, "-c", "import test." .. name } }
      if present.status ~= 0 then return pending("python3's tests are not installed (libpython3.11-testsuite)") end
      -- Many ask about every descriptor there may be. -w runs again what failed, and only what fails twice counts.
      local test = { "sh", "-c", 'ulimit -n 256; exec "$@"', "sh", support.python, "-m", "test", "-q", "-w" }
      for _, left_out in ipairs {
        -- Stream sockets to the hypervisor hang in virtual machines, traced or not.
        "*VSOCK*",
        -- Races with itself: it asks a socket that its other thread may have closed.
        "*testSourceAddress*",
        -- Waits 30 s to see that a read goes on behind a signal: hard_cases/ sees it by what the read returns.
        "*test_siginterrupt_off",
        -- Once more what ProcessTestCase does a thousand times.
        "*NoPoll.test_leaking_fds_on_error",
      } do
        test[#test + 1], test[#test + 2] = "-i", left_out
      end
      test[#test + 1] = name
      local directory = support.tempdir()
      local traced = support.run { lua = everything, cmd = test, cwd = directory, timeout = 300 }
      if traced.status == 0 then return end
      -- What this machine is to blame for fails untraced as well.
      local native = support.native { cmd = test, cwd = directory, timeout = 300 }
      assert.equal(native.status, traced.status, traced.stdout .. traced.stderr)
    end)
  end
end)
