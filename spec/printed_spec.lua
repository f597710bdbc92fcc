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
