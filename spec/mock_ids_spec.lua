-- The getrandom and getpid mocks: two runs of a real program are the same, and everything that uses such ids goes on
-- working, as the program untraced shows.

local mocked = require "spec.mocked"
local support = require "spec.support"

local run, python = mocked.run, mocked.python

describe("the getrandom mock", function()
  after_each(mocked.leaves_nothing)

  local program = [[
import ctypes, os, random, tempfile, threading, uuid
libc = ctypes.CDLL(None)
libc.getauxval.restype = ctypes.c_ulong
print(random.random(), hash("text"), uuid.uuid4(), tempfile.mktemp(), os.getrandom(3), os.urandom(100000)[-1])
with open("/dev/urandom", "rb", buffering=0) as device: print(device.read(5))
with open("/dev/random", "rb", buffering=0) as device:
    parts = [bytearray(2), bytearray(3)]
    print(device.readinto(parts[0]), os.readv(device.fileno(), parts), parts)
print(open("/proc/sys/kernel/random/uuid").read(), ctypes.string_at(libc.getauxval(25), 16))
thread = threading.Thread(target=lambda: print(os.getrandom(4)))
thread.start()
thread.join()
children = []
for i in range(2):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, os.getrandom(4))
        os._exit(0)
    children.append(read)
print([os.read(fd, 4) for fd in children], flush=True)
os.execvp("mktemp", ["mktemp", "-u"])]]

  it("makes two runs the same, whoever asks, by whichever way, and in whatever order", function()
    local first = python("getrandom { seed = 7 }", program)
    assert.are.equal(first, python("getrandom { seed = 7 }", program))
    assert.are.equal(first, python("getrandom { seed = 7 }", program, { options = { "--trap=ptrace" } }))
    assert.are.equal(first, python("getrandom {}", program, { options = { "--seed=7" } }))
    assert.are_not.equal(first, python("getrandom { seed = 8 }", program))
  end)

  it("gives every thread and process other bytes, and valid UUIDs", function()
    local out = python("getrandom { seed = 7 }", [[
import os, uuid
seen = {os.getrandom(8) for i in range(100)}
for i in range(20):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, os.getrandom(8))
        os._exit(0)
    seen.add(os.read(read, 8))
made = uuid.UUID(open("/proc/sys/kernel/random/uuid").read().strip())
counts = [0] * 256
for byte in os.getrandom(25600): counts[byte] += 1
print(len(seen), made.version, made.variant == uuid.RFC_4122, 40 < min(counts) and max(counts) < 180)]])
    assert.are.equal("120 4 True True\n", out)
  end)

  it("leaves errors to the kernel", function()
    assert.are.equal("-1 22 -1 14\n", python("getrandom { seed = 7 }", [[
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.getrandom(b"x", 1, 1 << 20), ctypes.get_errno(), libc.getrandom(8, 1, 0), ctypes.get_errno())]]))
  end)
end)

describe("the getpid mock", function()
  after_each(mocked.leaves_nothing)

  it("numbers the program and its children in order of birth", function()
    for _ = 1, 5 do
      assert.are.equal("1000\n1001 1000\n1002 0\n", run("getpid(1000)", { "sh", "-c",
        "echo $$; sh -c 'echo $$ $PPID'; sleep 0 & wait $!; echo $! $?" }))
    end
  end)

  it("lets all that takes or tells an id agree", function()
    local code = [[
import os, resource, signal, subprocess, sys, threading
own = os.getpid()
print(own == threading.get_native_id(), os.getpgid(own) == os.getpgrp(), os.getsid(own) == os.getsid(0))
ready, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.write(write, b"%d %d %d" % (os.getpid() - own, os.getppid() - own, os.getpgrp() - own))
    signal.pause()
print(os.read(ready, 99) == b"%d 0 %d" % (pid - own, pid - own), os.getpgid(pid) == pid)
os.kill(pid, 0)
os.killpg(pid, signal.SIGTERM)
info = os.waitid(os.P_PID, pid, os.WEXITED)
print(info.si_pid == pid, info.si_status)
child = subprocess.Popen(["sleep", "30"])
os.close(os.pidfd_open(child.pid))
resource.prlimit(child.pid, resource.RLIMIT_CORE)
print(os.sched_getaffinity(child.pid) == os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, child.pid))
child.kill()
print(child.wait(), os.system("kill -0 %d" % own))
try: os.kill(child.pid, 0)
except ProcessLookupError: print("gone")
ids = []
thread = threading.Thread(target=lambda: ids.append(threading.get_native_id()))
thread.start()
thread.join()
print(ids[0] > own, flush=True)
signal.raise_signal(signal.SIGKILL)]]
    local native = support.native { cmd = { support.python, "-c", code } }
    local traced = support.run { lua = "getpid(1000)", cmd = { support.python, "-c", code } }
    assert.are.same({ native.stdout, native.stderr, native.signal }, { traced.stdout, traced.stderr, traced.signal })
  end)

  it("serves abort", function()
    local result = support.run { lua = "getpid(1000)",
      cmd = { support.python, "-c", "import os; print(os.getpid(), flush=True); os.abort()" } }
    assert.are.equal("1000\n", result.stdout)
    assert.are.equal(6, result.signal)
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("serves %d-bit programs, however they ask"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      local program = support.tracee("ids", { m32 = bits == 32 })
      assert.are.equal("1000 1001 1001 1000 1001 7\n", run("getpid(1000)", { program }))
    end)
  end

  it("refuses what it does not understand, with the script's line", function()
    local refuses = mocked.refuses
    local takes = "getpid takes the id that the program shall have, a whole number from 2 to 2097152, not "
    refuses("getpid()", takes .. "nil")
    refuses("getpid(1)", takes .. "1")
    refuses("getpid('x')", takes .. "x")
    refuses("getpid(5) getpid(6)", "getpid: the program has an id already")
    refuses("getrandom { sed = 1 }", "getrandom has no field sed (did you mean seed?): it takes seed")
    refuses("getrandom { seed = 1.5 }", "getrandom: seed = 1.5: it takes a whole number")
    refuses("getrandom {} getrandom {}", "getrandom: there is a seed already")
  end)
end)
