-- The library of faults (luatrace/inject): each on a real program, by a script or by --simulate.

local support = require "spec.support"

describe("--simulate", function()
  local ops, directory

  setup(function() ops = support.tracee("ops") end)
  before_each(function() directory = support.tempdir() end)
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  --- What a program prints under these faults.
  local function run(faults, cmd)
    local options = { "--chdir=" .. directory }
    for _, fault in ipairs(type(faults) == "table" and faults or { faults }) do
      options[#options + 1] = "--simulate=" .. fault
    end
    return support.run { options = options, cmd = cmd }
  end

  local function python(faults, code) return run(faults, { support.python, "-c", code }) end

  local function said(faults, words)
    local cmd = { ops }
    for _, word in ipairs(words) do cmd[#cmd + 1] = word end
    local result = run(faults, cmd)
    assert.equal("", result.stderr)
    return result.stdout
  end

  it("full_disk: a short write, ENOSPC, and again when space has been freed", function()
    assert.equal("creat 3\nwrite 6\nwrite 4\nwrite -1 ENOSPC\ncreat 4\nwrite -1 ENOSPC\nunlink 0\n" ..
      "write -1 ENOSPC\nclose 0\nwrite 6\n",
      said("full_disk:quota=10:path=" .. directory .. "/**", { "creat:a", "write:3:abcdef", "write:3:abcdef",
        "write:3:x", "creat:b", "write:4:abcdef", "unlink:a", "write:4:abcdef", "close:3", "write:4:abcdef" }))
    assert.equal("abcdef", support.read(directory .. "/b"))
  end)

  it("full_disk: what is there already costs nothing, nor does another place", function()
    support.write(directory .. "/old", "0123456789")
    assert.equal("open 3\nwrite 4\npipe 0\nwrite 3\n", said("full_disk:quota=0",
      { "open:old", "write:3:abcd", "pipe", "write:5:xyz" }))
    assert.equal("creat 3\nwrite 3\n", said("full_disk:quota=0:path=/nowhere/**", { "creat:a", "write:3:abc" }))
  end)

  it("full_disk does what a full tmpfs does, call by call", function()
    local program, there = support.root .. "/spec/tracees/fills.py", directory .. "/there"
    local mounted = support.native { cmd = { "sh", "-c",
      ("mkdir -p %s && unshare -m sh -c 'mount -t tmpfs -o size=64k " ..
      "none %s && %s %s %s'"):format(there, there, support.python, program, there) } }
    if mounted.status ~= 0 then return pending("a tmpfs of its own takes root: " .. mounted.stderr) end
    assert.matches("ENOSPC", mounted.stdout)
    assert.equal(mounted.stdout,
      run("full_disk:quota=64K:path=" .. there .. "/**", { support.python, program, there }).stdout)
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("full_disk and failing_disk: offsets of 64 bits in %d-bit programs"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      support.write(directory .. "/in", ("x"):rep(10000))
      local function told(fault, of_bits)
        os.remove(directory .. "/file")
        return run(fault, { support.tracee("positions", { m32 = of_bits == 32 }) }).stdout
      end
      local full, failing = "full_disk:quota=16K:path=file", "failing_disk:path=file:from=4G:direct"
      assert.equal(told(full, 64), told(full, bits))
      assert.matches("pwrite 4096 \npwrite far 8192 \npwritev 4096 \npwritev2 4096 \npwritev2 here 4096 \n" ..
        "fallocate %-1 ENOSPC\nsendfile %-1 ENOSPC\ncopy_file_range %-1 ENOSPC\n", told(full, bits))
      assert.equal(told(failing, 64), told(failing, bits))
      assert.matches("pwrite 4096 \npwrite far %-1 EIO\n.*copy_file_range %-1 EIO\n", told(failing, bits))
    end)
  end

  it("full_disk: real programs say so", function()
    support.write(directory .. "/in", ("x"):rep(100000))
    local result = run("full_disk:quota=4K", { "cp", "in", "out" })
    assert.equal(1, result.status)
    assert.matches("No space left on device", result.stderr)
    assert.is_true(#support.read(directory .. "/out") <= 4096)
  end)

  it("failing_disk: what lies before the range is read, then EIO", function()
    support.write(directory .. "/data", "0123456789")
    assert.equal("open 3\nread 4\n  0123\nread -1 EIO\nopen 4\n", said("failing_disk:path=data:from=4:to=5",
      { "open:data", "read:3:10", "read:3:10", "open:data" }))
    -- What is written there is lost, and fsync says so once.
    assert.equal("open 3\nwrite 6\nfsync -1 EIO\nfsync 0\n", said("failing_disk:path=data:from=4",
      { "open:data", "write:3:abcdef", "fsync:3", "fsync:3" }))
    assert.equal("open 3\nwrite 4\nwrite -1 EIO\n", said("failing_disk:path=data:from=4:direct",
      { "open:data", "write:3:abcdef", "write:3:ef" }))
  end)

  it("fsync_fails_once, and then lies", function()
    assert.equal("creat 3\nfsync -1 EIO\nfsync 0\ncreat 4\nfsync -1 EIO\n", said("fsync_fails_once",
      { "creat:a", "fsync:3", "fsync:3", "creat:b", "fsync:4" }))
    assert.equal("creat 3\nfsync 0\nfsync -1 ENOSPC\nfsync 0\n", said("fsync_fails_once:errno=ENOSPC:nth=2",
      { "creat:a", "fsync:3", "fsync:3", "fsync:3" }))
  end)

  it("eintr_storm: in bursts, on what waits only", function()
    assert.equal("pipe 0\nwrite -1 EINTR\nwrite -1 EINTR\nwrite 1\nwrite -1 EINTR\ncreat 5\nwrite 1\n",
      said("eintr_storm:burst=2", { "pipe", "write:4:a", "write:4:a", "write:4:a", "write:4:a", "creat:f",
        "write:5:a" }))
    -- Python repeats: PEP 475.
    assert.equal("b'x'\n", python("eintr_storm",
      "import os; r, w = os.pipe(); os.write(w, b'x'); print(os.read(r, 1))").stdout)
  end)

  it("eagain_storm: on non-blocking descriptors only", function()
    local result = python("eagain_storm:burst=2", [[
import os, fcntl
def attempt(fd):
    tries = 0
    while True:
        tries += 1
        try:
            os.write(fd, b'x')
            return tries
        except BlockingIOError:
            pass
r, w = os.pipe()
print(attempt(w))
os.set_blocking(w, False)
print(attempt(w))
]])
    assert.equal("1\n3\n", result.stdout)
  end)

  it("short_io: the data is right, a piece at a time", function()
    support.write(directory .. "/data", ("0123456789"):rep(100))
    assert.equal(support.read(directory .. "/data"), run("short_io:max=7", { "cat", "data" }).stdout)
    assert.matches("^open 3\nread 3\n  012\n", said("short_io:max=3:path=data", { "open:data", "read:3:10" }))
  end)

  it("fd_limit: EMFILE past so many", function()
    local result = python("fd_limit:max=12", [[
import os
files = []
try:
    while len(files) < 50: files.append(os.open('/dev/null', 0))
except OSError as e:
    print(e.strerror, len(files) + 3 <= 12)
os.close(files.pop())
os.open('/dev/null', 0)
print('ok')
]])
    assert.equal("Too many open files True\nok\n", result.stdout)
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("fd_limit does what ulimit -n does, call by call, to %d-bit programs"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      local limits = support.tracee("limits", { m32 = bits == 32 })
      local real = support.native { cmd = { limits, "descriptors", "8" } }
      assert.equal(real.stdout, run("fd_limit:max=8", { limits, "descriptors" }).stdout)
      assert.matches("dup2 beyond %-1 EBADF\n.*pipe %-1 EMFILE\n", real.stdout)
    end)
  end

  it("failing_disk: copies inside the kernel, files with O_SYNC, each opening once", function()
    support.write(directory .. "/data", ("0123456789abcdef"):rep(1000))
    local copied = run("failing_disk:path=data:from=4096", { "cp", "data", "copy" })
    assert.matches("Input/output error", copied.stderr)
    assert.equal(4096, #support.read(directory .. "/copy"))
    assert.equal("EIO\nEIO\n0\n0\n0\nEIO\n", python("failing_disk:path=data:reads=no", [[
import os, errno
def attempt(fn, *args):
    try:
        fn(*args)
        print(0)
    except OSError as e:
        print(errno.errorcode[e.errno])
one, two = os.open('data', os.O_RDWR), os.open('data', os.O_RDWR)
copy = os.dup(one)
os.pwrite(one, b'x', 100)
attempt(os.fsync, copy)
attempt(os.fsync, two)
attempt(os.fsync, one)
attempt(os.fsync, two)
attempt(os.fsync, os.open('data', os.O_RDWR))
attempt(os.write, os.open('data', os.O_RDWR | os.O_SYNC), b'x')
]]).stdout)
  end)

  it("full_disk: threads, appending, pwrite, holes, files without a name", function()
    -- As many bytes as fit, whoever writes them.
    assert.equal("4000\n", python("full_disk:quota=4000", [[
import os, threading
fd = os.open('a', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def work():
    try:
        while True: os.write(fd, b'x' * 7)
    except OSError: pass
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for t in threads: t.join()
os.write(2, b'%d\n' % os.stat('a').st_size)
]]).stderr)
    assert.equal("1\n3\n28\n28\n1\n", python("full_disk:quota=4:path=" .. directory .. "/**", [[
import os
def put(fd, data, at):
    try: return os.pwrite(fd, data, at)
    except OSError as e: return e.errno
a = os.open('a', os.O_RDWR | os.O_CREAT)
print(put(a, b'x', 1000000))
print(os.writev(a, [b'', b'yz', b'abc']) if os.lseek(a, 0, 2) else 0)
print(put(a, b'x', 1000004))
os.unlink('a')
b = os.open('b', os.O_RDWR | os.O_CREAT)
print(put(b, b'x', 0))
os.dup2(b, a)
print(put(b, b'x', 0))
]]).stdout)
  end)

  it("memory_pressure: past start-up, so much and no more", function()
    local result = python("memory_pressure:budget=40M", [[
blocks = []
try:
    while len(blocks) < 100: blocks.append(bytearray(4 << 20))
except MemoryError:
    print('MemoryError', 5 <= len(blocks) <= 10)
del blocks[:]
print(len(bytearray(8 << 20)))
]])
    assert.equal("MemoryError True\n8388608\n", result.stdout)
  end)

  it("slow_disk and slow_network make one thread wait", function()
    local slow = python("slow_disk:latency=40ms:path=data", [[
import time
open('data', 'w').write('x')
start = time.monotonic()
open('data').read()
print(time.monotonic() - start > 0.04)
]])
    assert.equal("True\n", slow.stdout)
    slow = python("slow_network:bandwidth=1000", [[
import socket, time
a, b = socket.socketpair()
start = time.monotonic()
a.sendall(b'x' * 50)
print(time.monotonic() - start > 0.05)
]])
    assert.equal("True\n", slow.stdout)
  end)

  it("connection_reset: after so many bytes, for both directions", function()
    local code = [[
import socket
a, b = socket.socketpair()
b.sendall(b'0123456789')
try:
    while True:
        data = a.recv(100)
        print(data)
        if not data: break
except OSError as e:
    print(e.strerror)
try:
    a.sendall(b'x')
except OSError as e:
    print(e.strerror)
]]
    assert.equal("b'01234'\nConnection reset by peer\nBroken pipe\n", python("connection_reset:after=5", code).stdout)
    assert.equal("Broken pipe\n", python("connection_reset:after=5:of=written", [[
import socket
a, b = socket.socketpair()
try:
    a.sendall(b'0123456789')
except OSError as e:
    print(e.strerror)
]]).stdout)
  end)

  it("connection_reset does what a real reset does, call by call", function()
    local program = support.root .. "/spec/tracees/reset.py"
    -- r recv, m recvmsg, w send, W send with MSG_NOSIGNAL, e SO_ERROR, p poll, n getpeername
    for _, order in ipairs { "rprprwwpn", "rwrwwp", "rerwp", "mmm", "rpWWp" } do
      local real = support.native { cmd = { support.python, program, "real", order } }
      assert.matches("ECONNRESET", real.stdout)
      local fault = run("connection_reset:after=5", { support.python, program, "fault", order })
      assert.equal(real.stdout, fault.stdout)
    end
  end)

  it("connection_reset: messages keep what the kernel says of them; datagrams have no connection", function()
    assert.equal("b'012' 0 0\n[Errno 104] Connection reset by peer\nb''\nb'datagram'\n",
      python("connection_reset:after=3", [[
import socket
a, b = socket.socketpair()
b.sendall(b'0123456789')
data, control, flags, address = a.recvmsg(100, 100)
print(data, len(control), flags)
try:
    a.recvmsg(100)
except OSError as e:
    print(e)
print(a.recv(1))
c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
d.send(b'datagram')
print(c.recv(100))
]]).stdout)
  end)

  it("connection_refused does what a closed port does, also where a socket does not wait", function()
    local cmd = { support.python, support.root .. "/spec/tracees/refused.py" }
    local real = support.native { cmd = cmd }
    assert.matches("EINPROGRESS\nTrue ECONNREFUSED None\nudp None\nblocking ECONNREFUSED\n", real.stdout)
    assert.equal(real.stdout, run("connection_refused:after=50ms", cmd).stdout)
  end)

  it("short_io and eintr_storm leave alone what is never short, and never waits", function()
    assert.equal("b'datagram'\n8\n4096\nno\nno\n", support.run { lua = [[
inject.short_io { max = 3, fd = { "socket", "eventfd", "pipe" } }
inject.eintr_storm { burst = 1, fd = { "pipe", "char" } }]], cmd = { support.python, "-c", [[
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
d.send(b'datagram')
print(c.recv(100))
e = os.eventfd(1)
print(len(os.read(e, 8)))
r, w = os.pipe()
print(os.write(w, b'x' * 4096))
os.set_blocking(w, False)
libc.write(w, b'x', 1)
print('EINTR' if ctypes.get_errno() == 4 else 'no')
libc.write(os.open('/dev/null', os.O_WRONLY), b'x', 1)
print('EINTR' if ctypes.get_errno() == 4 else 'no')
]] } }.stdout)
  end)

  it("connection_refused: by port, so many times", function()
    local code = [[
import socket
server = socket.create_server(('127.0.0.1', 0))
port = server.getsockname()[1]
for _ in range(3):
    try:
        socket.create_connection(('127.0.0.1', port)).close()
        print('connected')
    except OSError as e:
        print(e.strerror)
]]
    assert.equal("Connection refused\nConnection refused\nconnected\n",
      python("connection_refused:times=2", code).stdout)
    assert.equal("connected\nconnected\nconnected\n", python("connection_refused:port=9", code).stdout)
    assert.equal("Connection timed out\n", python("connection_refused:errno=ETIMEDOUT:address=127.0.0.1",
      code).stdout:match("^[^\n]*\n"))
  end)

  it("clock_jump and clock_skew move the time of day, and nothing else", function()
    local code = "import time; print(round((time.time() - START) / 3600), time.monotonic() < FAR)"
    local function told(fault)
      local now, far = os.time(), tonumber(support.read("/proc/uptime"):match("^%d+")) + 3000
      return python(fault, (code:gsub("START", now):gsub("FAR", far))).stdout
    end
    assert.equal("24 True\n", told "clock_jump:by=1d")
    assert.equal("0 True\n", told "clock_jump:by=1d:after=1h")
    assert.equal("-2 True\n", told "clock_skew:offset=-2h")
  end)

  it("clock_jump and clock_skew: waits for a time of day end in time", function()
    local code = [[
import ctypes, time
libc = ctypes.CDLL(None)
class Time(ctypes.Structure): _fields_ = [('s', ctypes.c_long), ('n', ctypes.c_long)]
start = time.monotonic()
end = time.time() + 0.2
left = Time(int(end), int(end % 1 * 1e9))
libc.clock_nanosleep(0, 1, ctypes.byref(left), None)
libc.sem_init(semaphore := ctypes.create_string_buffer(64), 0, 0)
end = time.time() + 0.2
left = Time(int(end), int(end % 1 * 1e9))
libc.sem_timedwait(semaphore, ctypes.byref(left))
print(time.monotonic() - start >= 0.35)
]]
    -- It would be an hour.
    for _, fault in ipairs { "clock_jump:by=1h", "clock_jump:by=-1h", "clock_skew:offset=5m" } do
      local result = support.run { options = { "--timeout=30", "--simulate=" .. fault },
        cmd = { support.python, "-c", code } }
      assert.equal("True\n", result.stdout)
      assert.equal(0, result.status)
    end
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("memory_pressure: threads and children of %d-bit programs"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      assert.equal("child true\nfreed 1\nthread true\n", run("memory_pressure:budget=16M",
        { support.tracee("allocates", { m32 = bits == 32 }) }).stdout)
    end)
  end

  it("in a script, beside rules; several at once", function()
    local result = support.run { lua = [[
      inject.full_disk { quota = "1K", path = "*.log" }
      fail("unlink", "EBUSY")]], cmd = { ops, "creat:" .. directory .. "/a.log", "unlink:" .. directory .. "/a.log" } }
    assert.equal("creat 3\nunlink -1 EBUSY\n", result.stdout)
    assert.equal("socketpair 0\nwrite -1 EINTR\nwrite 1\nwrite -1 EINTR\n", said(
      { "eintr_storm:burst=1", "short_io:max=1:fd=4" }, { "socketpair", "write:4:ab", "write:4:ab", "write:4:ab" }))
  end)

  it("help lists them; mistakes are said", function()
    local help = support.run { options = { "--simulate=help" } }
    assert.equal(0, help.status)
    for _, name in ipairs(require("luatrace.inject").names) do assert.matches("\n?" .. name .. " ", help.stdout) end
    local function refused(fault, pattern)
      local result = support.run { options = { "--simulate=" .. fault }, cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches(pattern, result.stderr)
    end
    refused("ful_disk", "there is no fault ful_disk %(did you mean full_disk%?%)")
    refused("full_disk", "full_disk needs quota: a size such as 65536")
    refused("full_disk:quota=much", 'quota takes a size such as 65536 or "1M", not "much"')
    refused("full_disk:qota=1", "full_disk has no option qota %(did you mean quota%?%)")
    refused("slow_disk", "slow_disk: it needs latency or bandwidth")
    local result = support.run { lua = "inject.full_disk { quota = {} }", cmd = { "true" } }
    assert.equal(125, result.status)
    assert.matches("^luatrace: %(%-%-lua%):1: inject.full_disk: quota takes a size", result.stderr)
  end)
end)
