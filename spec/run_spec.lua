-- luatrace.run: programs under a script from a test, with all that they print and do; many in one process.

local support = require "spec.support"

local luatrace = support.module()

local function error_of(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return tostring(message)
end

local function here() return debug.getinfo(2, "l").currentline end

describe("luatrace.run", function()
  local directory
  before_each(function() directory = support.tempdir() end)
  after_each(function()
    support.clean()
    assert.same({}, support.leftovers())
  end)

  it("tells how the program ended and what it printed", function()
    local run = luatrace.run { cmd = { "sh", "-c", "echo out; echo err >&2; exit 3" } }
    assert.equal(3, run.status)
    assert.is_nil(run.signal)
    assert.equal("out\n", run.stdout)
    assert.equal("err\n", run.stderr)
    assert.is_true(run.duration > 0)
    assert.equal(9, luatrace.run({ cmd = "kill -9 $$" }).signal)
  end)

  it("captures megabytes of any bytes through both streams and standard input, without deadlock", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local input = table.concat(bytes):rep(8192) -- 2 MiB
    local run = luatrace.run { cmd = "tee /dev/stderr", stdin = input, record = false }
    assert.is_true(run.stdout == input)
    assert.is_true(run.stderr == input)
  end)

  it("outlives a program that does not read its input", function()
    local run = luatrace.run { cmd = { "true" }, stdin = ("x"):rep(1000000), record = false }
    assert.equal(0, run.status)
  end)

  it("keeps so much of the output as it was told to", function()
    local run = luatrace.run { cmd = "yes | head -c 100000", max_output = 1000, record = false }
    assert.equal(("y\n"):rep(500), run.stdout)
    assert.is_true(run.truncated)
  end)

  it("gives the program its directory and environment", function()
    local run = luatrace.run { cmd = "pwd; echo $ADDED; echo ${HOME-none}", cwd = directory, record = false,
      env = { ADDED = "yes", HOME = false } }
    assert.equal(directory .. "\nyes\nnone\n", run.stdout)
    assert.equal("A=b\n", luatrace.run({ cmd = { "/usr/bin/env" }, env = { "A=b" }, record = false }).stdout)
  end)

  it("ends a program that takes too long", function()
    local run = luatrace.run { cmd = { "sleep", "1000" }, timeout = 0.1, record = false }
    assert.is_true(run.timed_out)
    assert.equal(9, run.signal)
  end)

  it("records the calls of a run without a script, as strace prints them", function()
    support.write(directory .. "/file", "some text")
    local run = luatrace.run { cmd = { "cat", directory .. "/file" }, env = { LC_ALL = "C" } }
    local strace = support.strace { cmd = { "cat", directory .. "/file" } }
    local expected, names = {}, {}
    for name in strace.trace:gmatch("([%w_]+)%(.-\n") do expected[#expected + 1] = name end
    for i, call in ipairs(run.calls) do names[i] = call.name end
    assert.same(expected, names)
    local read = run.calls:where { call = "read", path = directory .. "/file" }:first()
    assert.equal("some text", read.buf)
    assert.equal(9, read.ret)
    assert.equal("file", read.fd.kind)
    assert.equal("cat", read.process.comm)
    assert.equal(9, run.calls:where { call = "write" }:total "ret")
    assert.is_true(run.calls:where { call = "openat", arg = { flags = "O_CLOEXEC" } }:count() >= 2)
    assert.equal(directory .. "/file", run.calls:where { call = "openat" }:last().path)
    assert.equal(run.calls.openat.count, run.calls:where { call = "openat" }:count())
  end)

  it("says that a call was not recorded instead of counting none", function()
    local run = luatrace.run { cmd = { "true" }, record = "openat" }
    local message = error_of(function() return run.calls:where { call = "fsync" } end)
    assert.matches('fsync was not recorded in this run %(say so with record = "fsync"%)', message)
    assert.matches("no call \"opnat\" %(did you mean openat", error_of(run.calls.where, run.calls, { call = "opnat" }))
    assert.matches("there is no pth %(did you mean nth, path%?%)", error_of(run.calls.where, run.calls, { pth = "x" }))
  end)

  it("keeps the first and the last of too many calls, and says so", function()
    local run = luatrace.run { cmd = "i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); done",
      record = { calls = "write", max = 10 } }
    assert.equal(100, run.calls.write.count)
    local buffers = {}
    for i, call in ipairs(run.calls) do buffers[i] = call.buf:sub(1, -2) end
    assert.same({ "0", "1", "2", "3", "4", "95", "96", "97", "98", "99" }, buffers)
    assert.equal(90, run.calls.dropped)
    assert.matches("90 calls were not kept", error_of(run.calls.count, run.calls))
    assert.matches("90 calls were not kept", error_of(run.expect(run, "write").check, run:expect("write")))
  end)

  it("knows the tree of processes when they are gone", function()
    local run = luatrace.run { cmd = "true; (exit 4); /usr/bin/env false; kill -9 $$", record = false }
    assert.equal(9, run.processes.signal)
    local found = {}
    for _, process in ipairs(run.processes.children) do
      found[#found + 1] = table.concat(process.argv or { "fork" }, " ") .. "=" .. process.status
    end
    assert.same({ "fork=4", "false=1" }, found)
    assert.equal(2, #run.processes.children[2].images)
  end)

  it("runs handlers, which see and change the program's calls", function()
    local seen = {}
    local run = luatrace.run { cmd = { "sync", "/etc/hostname" }, script = function(t)
      t.on.fsync(function(call)
        seen[#seen + 1] = call.fd.path
        call:fail "EIO"
      end)
    end }
    assert.same({ "/etc/hostname" }, seen)
    assert.equal(1, run.status)
    assert.matches("Input/output error", run.stderr)
    assert.equal(1, run.calls.fsync.count)
  end)

  it("runs side by side in coroutines, and what is started before it is waited for", function()
    -- Each waits for the other: one after the other they would stand still.
    assert(os.execute(("mkfifo %s/a %s/b"):format(directory, directory)) == 0)
    local function chat(first, second, word)
      return function()
        return luatrace.run { cmd = word == "ping" and ("echo ping >%s; cat %s"):format(first, second) or
          ("cat %s; echo pong >%s"):format(first, second), cwd = directory, record = "write", timeout = 60 }
      end
    end
    local ping, pong = luatrace.together(chat("a", "b", "ping"), chat("a", "b", "pong"))
    assert.equal("pong\n", ping.stdout)
    assert.equal("ping\n", pong.stdout)
    assert.equal("ping\n", ping.calls:first().buf)
    local a = luatrace.start { cmd = "echo a >a; cat b", cwd = directory, timeout = 60 }
    local b = luatrace.start { cmd = "cat a; echo b >b", cwd = directory, timeout = 60 }
    assert.equal("b\n", a:wait().stdout)
    assert.equal("a\n", b:wait().stdout)
  end)

  it("leaks nothing over many runs", function()
    luatrace.run { cmd = { "true" } }
    local before = support.belongings()
    for _ = 1, 50 do luatrace.run { cmd = { "true" }, stdin = "x", record = "openat" } end
    luatrace.together(function()
      for _ = 1, 10 do luatrace.run { cmd = { "true" } } end
    end, function()
      for _ = 1, 10 do pcall(luatrace.run, { cmd = { "/nonexistent/program" } }) end
    end, function() luatrace.run { cmd = { "sleep", "1000" }, timeout = 0.05 } end)
    assert.same({}, support.left_since(before))
  end)

  it("lets one run fail alone", function()
    local good = luatrace.start { cmd = "sleep 0.05; echo good" }
    local bad = luatrace.start { cmd = { "cat", "/etc/hostname" }, script = function(t)
      t.on.openat(function() error("a mistake in the script") end)
    end }
    assert.matches("run_spec.lua:%d+: a mistake in the script", error_of(bad.wait, bad))
    assert.equal("good\n", good:wait().stdout)
  end)

  it("names the test's line when a command cannot start or an option is wrong", function()
    local line = here() + 1
    local message = error_of(function() luatrace.run { cmd = { "no-such-program" } } end)
    assert.matches(("run_spec.lua:%d: cannot run no%%-such%%-program: not found in PATH"):format(line), message)
    line = here() + 1
    message = error_of(function() luatrace.run { cmd = { "/nonexistent/x" } } end)
    assert.matches(("run_spec.lua:%d: cannot run /nonexistent/x: No such file"):format(line), message)
    line = here() + 1
    message = error_of(function() luatrace.run { cmd = { "true" }, cwd = "/nonexistent" } end)
    assert.matches(("run_spec.lua:%d: cannot run true: /nonexistent: No such file"):format(line), message)
    assert.matches("no option cmdd %(did you mean cmd%?%)", error_of(luatrace.run, { cmdd = {} }))
    assert.matches("timeout takes a number, not soon", error_of(luatrace.run, { cmd = { "true" }, timeout = "soon" }))
    assert.matches("cmd is missing", error_of(luatrace.run, {}))
    assert.matches("record: there is no call \"opnat\"", error_of(luatrace.run, { cmd = "true", record = "opnat" }))
  end)

  it("does not start one from another's handler", function()
    assert.matches("a handler cannot start a run", error_of(luatrace.run, { cmd = { "true" }, script = function(t)
      t.on.openat(function() luatrace.run { cmd = { "true" } } end)
    end }))
  end)

  it("lives with a program's own declarations of libc's functions", function()
    support.write(directory .. "/program.lua", ([[
local ffi = require "ffi"
ffi.cdef "struct timespec { long sec, nsec; }; int clock_gettime(int clock, struct timespec *now);"
local luatrace = assert(package.loadlib(%q, "luaopen_luatrace"))("luatrace")
print(luatrace.run({ cmd = { "echo", "hello" } }).stdout)
]]):format(os.getenv("LUATRACE_SO") or support.root .. "/build/luatrace.so"))
    local result = support.native { cmd = { "luajit", "program.lua" }, cwd = directory }
    assert.equal("hello\n\n", result.stdout .. result.stderr)
  end)

  it("is refused in handlers of the command, too, and allowed when its program has ended", function()
    local refused = support.run { lua = 'on.openat(function() run { cmd = { "true" } } end)', cmd = { "true" } }
    assert.equal(125, refused.status)
    assert.matches("%(%-%-lua%):1: a handler cannot start a run", refused.stderr)
    local allowed = support.run { lua = 'at.finish(function() print(run { cmd = "echo later" }.stdout) end)',
      cmd = { "echo", "first" } }
    assert.equal("first\nlater\n\n", allowed.stdout)
  end)

  it("works as an ordinary user, and under plain ptrace", function()
    local run = luatrace.run { cmd = "echo hello", trap = "ptrace", record = "write" }
    assert.equal("hello\n", run.calls:first().buf)
    assert.equal("hello\n", run.stdout)
  end)

  it("is luatrace.trace, too", function()
    local run = luatrace.trace({ "true" }, function(t) t.on.openat(function() end) end)
    assert.equal(0, run.status)
    assert.is_true(run.calls.openat.count > 0)
    local nothing, message, name = luatrace.trace({ "/nonexistent/x" }, function() end)
    assert.is_nil(nothing)
    assert.matches("No such file", message)
    assert.equal("ENOENT", name)
  end)
end)
