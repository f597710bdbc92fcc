-- What the core prints by itself (src/printer.c) is what Lua would have printed: text_spec.lua compares both with
-- strace. Here is what lies between the two.

local support = require "spec.support"

local function trace(command, options, timeout)
  local directory = support.tempdir()
  local words = { support.binary, "-q", "-f", "-o", directory .. "/t" }
  for _, word in ipairs(options or {}) do words[#words + 1] = word end
  for _, word in ipairs(command) do words[#words + 1] = word end
  local result = support.execute { words = words, cwd = directory, timeout = timeout }
  return support.read(directory .. "/t"), result
end

--- A script that never does anything keeps the core from printing.
local by_lua = { "--lua", "on.tuxcall(function() end)" }

--- Lines without what no two runs have in common.
local function normal(text)
  text = text:gsub("%f[^\n%z]%d+ +", ""):gsub("0x%x%x%x%x%x+", "ADDRESS"):gsub("(= )%d%d%d+\n", "%1NUMBER\n")
  text = text:gsub("(getrandom%()[^\n]*", "%1"):gsub("(sysinfo%()[^\n]*", "%1")
  return (text:gsub(" +=", " ="):gsub("%(%d%d%d+", "(PID"))
end

describe("the core's printer", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("prints as Lua does", function()
    -- Not all of /dev: the times of its terminals change while others use them.
    for _, command in ipairs { { "ls", "-la", "/usr/lib", "/dev/null", "/dev/full", "/dev/fd" },
      { "cat", "/etc/passwd", "/nonexistent" },
      { "tail", "-c", "100000", "/bin/sh" }, { support.tracee("registers"), "pointers" } } do
      assert.equal(normal((trace(command, by_lua))), normal((trace(command))))
    end
  end)

  it("prints modes, devices, directories and terminals as Lua does", function()
    local command = { support.python, "-c", [[
import os
for mode in (0, 0o7, 0o70, 0o644, 0o1777, 0o2755, 0o4000, 0o7777):
    for make, remove in ((os.mkdir, os.rmdir), (os.mkfifo, os.unlink)):
        make("it")
        os.chmod("it", mode)
        os.stat("it")
        os.stat("it", dir_fd=os.open(".", os.O_RDONLY))
        remove("it")
for name in ("/dev/null", "/dev/zero", "/dev/full", "/etc/passwd", "/dev/null"):
    os.stat(name)
    os.isatty(os.open(name, os.O_RDONLY))]] }
    -- Where python gets its memory differs from run to run.
    local function without_memory(text) return (normal(text):gsub("%f[%a]mu?n?map%([^\n]*\n", "")) end
    assert.equal(without_memory((trace(command, by_lua))), without_memory((trace(command))))
  end)

  it("prints what threads and event loops do as Lua does", function()
    -- Each three times: the first ones are Lua's in any case.
    local command = { support.python, "-c", [[
import ctypes, os, signal, struct
call = ctypes.CDLL(None).syscall
def memory(form, *values): return ctypes.create_string_buffer(struct.pack(form, *values))
word, soon, late = memory("<I", 0), memory("<qq", 0, 1), memory("<qq", -1, -1)
FUTEX, EPOLL_WAIT, EPOLL_CTL, SIGPROCMASK, CLOCK, RANDOM, CWD = 202, 232, 233, 14, 228, 318, 79
bad = ctypes.c_void_p(16)
for _ in range(3):
    for op in (0, 128, 9, 128 + 9, 256 + 9, 1, 129, 5, 6, 7, 99, 128 + 99, 0x8000):
        call(FUTEX, word, op, 1, soon, None, 0xffffffff)
        call(FUTEX, word, op, 1, late, word, 0x10)
        call(FUTEX, word, op, 1, bad, bad, 5)
        call(FUTEX, None, op, -1, None, None, 0)
    queue, (there, here) = os.memfd_create("x"), os.pipe()
    os.close(queue)
    queue = call(213, 8)
    pipes = [os.pipe() for _ in range(7)]
    events = memory("<84x")
    for at, (_, here2) in enumerate(pipes):
        call(EPOLL_CTL, queue, 1, here2, memory("<IQ", 4, 1 << 40 | at))
        call(EPOLL_CTL, queue, 1, here2, memory("<IQ", 4, at))
        call(EPOLL_WAIT, queue, events, 7, 0)
        call(281, queue, events, 7, 0, memory("<Q", 6), 8)
    call(EPOLL_CTL, queue, 3, pipes[0][1], memory("<IQ", 0x80000001, 2))
    call(EPOLL_CTL, queue, 1, pipes[0][1], bad)
    call(EPOLL_CTL, queue, 77, pipes[0][1], bad)
    for _, here2 in pipes: call(EPOLL_CTL, queue, 2, here2, memory("<IQ", 0, 0))
    call(EPOLL_WAIT, queue, events, 7, 0)
    call(EPOLL_WAIT, queue, None, 7, 0)
    call(EPOLL_WAIT, queue, events, -7, 0)
    call(EPOLL_WAIT, queue, bad, 7, 1)
    for pair in pipes + [(there, here, queue)]:
        for fd in pair: os.close(fd)
    for size in (8, 0, 16, 12, 1 << 32 | 8):
        for mask in (0, 1, 1 << 9, (1 << 64) - 1, 0x7fffffffffffffff):
            call(SIGPROCMASK, 0, memory("<QQ", mask, 0), memory("<QQ", 0, 0), ctypes.c_long(size))
            call(SIGPROCMASK, 2, memory("<QQ", 0, 0), None, ctypes.c_long(size))
    call(SIGPROCMASK, 0, bad, None, 8)
    call(SIGPROCMASK, 55, memory("<Q", 0), bad, 8)
    call(CLOCK, 99, memory("<qq", 0, 0))
    call(CLOCK, 1, bad)
    call(230, 1, 0, memory("<qq", 0, 1000), None)
    call(230, 1, 0, memory("<qq", -1, 1 << 63 - 1), None)
    call(RANDOM, memory("<100x"), 0, 0)
    call(RANDOM, memory("<100x"), 2, 99)
    call(RANDOM, bad, 2, 0)
    call(CWD, memory("<4096x"), ctypes.c_long(4096))
    call(CWD, memory("<4096x"), ctypes.c_long(2))
    call(CWD, bad, ctypes.c_long(4096))
    call(302, 0, 7, None, memory("<QQ", 0, 0))
    call(302, 0, 7, memory("<QQ", 5, 1), bad)
    call(302, 99999999, 7, memory("<QQ", 5, -1 & (1 << 64) - 1), None)
    call(158, 0x1003, memory("<Q", 0))
    call(158, 0x1011)
    call(158, 0x77, 1)
    call(334, None, 1, 2, 0x53053053)
    call(334, None, ctypes.c_long(1 << 32), -1, 0)
    call(61, 99999999, None, 1, None)
    call(61, 99999999, memory("<I", 0), 1, memory("<144x"))
    call(45, -1, bad, 7, 0, bad, bad)
    call(44, -1, bad, 7, 0, None, 0)
    call(39); call(110); call(186); call(124, 0); call(121, 0)]] }
    -- Where memory is differs from run to run.
    local function without_chance(text)
      text = normal(text):gsub("%f[%a]mu?n?map%([^\n]*\n", ""):gsub("%f[%a]brk%([^\n]*\n", "")
      return (text:gsub("%d%d%d%d+", "NUMBER"):gsub("luatrace%-spec%-%w+", "HERE"))
    end
    assert.equal(without_chance((trace(command, by_lua))), without_chance((trace(command))))
  end)

  it("loses no line of a long trace", function()
    local text = trace { "dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=3000", "status=none" }
    local lines = select(2, text:gsub('%d+ +read%(0, "\\0", 1%) +%= 1\n%d+ +write%(1, "\\0", 1%) +%= 1\n', ""))
    assert.equal(3000, lines)
  end)

  it("comes back in time", function()
    local _, result = trace({ "dd", "if=/dev/zero", "of=/dev/null", "bs=1", "status=none" }, { "--timeout=0.3" }, 30)
    assert.equal(124, result.status)
  end)

  it("hands over a call that its thread does not survive", function()
    local text, result = trace { support.python, "-c", [[
import os, signal
there, here = os.pipe()
child = os.fork()
if child == 0: os.read(there, 1)
while open("/proc/%d/syscall" % child).read().split()[0] != "0": pass
os.kill(child, signal.SIGKILL)
print(os.waitpid(child, 0)[1])]] }
    assert.equal("9\n", result.stdout)
    local pid = text:match("(%d+) +%+%+%+ killed by SIGKILL %+%+%+")
    local begun, resumed = text:match("\n" .. pid .. " +(read%(%d,  <unfinished %.%.%.>)\n.*\n" .. pid ..
      " +(<%.%.%. read resumed>%) += %?)\n" .. pid .. " +%+%+%+ killed")
    assert.truthy(begun or text:find("\n" .. pid .. " +read%(%d,  <unfinished %.%.%.>%) += %?\n"))
    assert.equal(begun ~= nil, resumed ~= nil)
  end)

  it("prints numbers that nobody has seen yet", function()
    -- More of them than are remembered.
    local text = trace { support.python, "-c", [[
import os, errno
for mode in range(10000):
    try: os.access("/nonexistent", mode)
    except OSError: pass]] }
    local count = select(2, text:gsub('access%("/nonexistent", [%w_|]+[^)\n]*%) += %-1 E%u+ %([%w ]+%)\n', ""))
    assert.equal(10000, count)
    assert.truthy(text:find('access("/nonexistent", 0x270f /* ?_OK */)', 1, true) or
      text:find('access("/nonexistent", R_OK|W_OK|X_OK|0x2708)', 1, true))
  end)
end)
