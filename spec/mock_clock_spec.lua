-- The clock mock: real programs that read clocks, wait and set timers. What is expected comes from date(1), from the
-- length of the waits that the program asked for, and from the real clock, which must not notice.

local date = require "luatrace.mock.clock.date"
local mocked = require "spec.mocked"
local support = require "spec.support"

local run, python = mocked.run, mocked.python

describe("the clock mock", function()
  after_each(mocked.leaves_nothing)

  it("reads dates as date(1) does", function()
    for _, text in ipairs { "2038-01-19", "1970-01-01", "2000-02-29 23:59:59", "2100-03-01 00:00:00", "1969-12-31",
      "2024-12-31T12:34:56Z", "2024-06-01 12:00:00 +02:00", "2024-06-01 12:00:00-0330", "1600-02-29", "@86400" } do
      local known = support.execute { words = { "date", "-u", "+%s", "-d", text } }
      assert.are.equal(tonumber(known.stdout), (date.parse(text)), text)
    end
    assert.are.same({ 0, 250000000 }, { date.parse "1970-01-01 00:00:00.25" })
    for _, text in ipairs { "2023-02-29", "2023-13-01", "tomorrow", "2023-01-01 24:00", "2023-01-01 +01:00", "" } do
      assert.is_nil((date.parse(text)), text)
    end
  end)

  it("lets date and sqlite3 live in 2038", function()
    local lua = 'clock { at = "2038-01-19 03:14:07" }'
    assert.matches("^2038%-01%-19 03:14:%d%d\n$", run(lua, { "date", "-u", "+%F %T" }))
    assert.are.equal("2038-01-19 03\n",
      run(lua, { "sqlite3", ":memory:", "select strftime('%Y-%m-%d %H', 'now')" }))
  end)

  it("is the same for every way to ask, and for children", function()
    local output = python('clock { at = 4000000000 }', [[
import time, ctypes, os, subprocess
libc = ctypes.CDLL(None)
tv = (ctypes.c_long * 2)()
libc.gettimeofday(tv, None)
libc.time.restype = libc.syscall.restype = ctypes.c_long
raw = ctypes.c_long()
seen = [time.time(), tv[0], libc.time(None), libc.time(ctypes.byref(raw)), raw.value, libc.syscall(201, None),
        time.clock_gettime(time.CLOCK_TAI), time.clock_gettime(5),
        int(subprocess.check_output(["date", "+%s"]))]
print(*[int(value) // 100 for value in seen])]])
    assert.are.equal(("40000000 "):rep(9):sub(1, -2) .. "\n", output)
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("makes every wait of a %d-bit program as long as it was asked for, in its own time"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      local program = support.tracee("clocks", bits == 32 and { m32 = true } or nil)
      local result = mocked.result('clock { at = "2036-01-01", speed = 200 }', { program })
      assert.matches("^21 ways\n$", result.stdout)
      -- In real time, one wait that was left alone would last as long as this.
      assert.is_true(result.seconds < 10, result.seconds)
    end)
  end

  it("goes on with waits that a stop has broken off", function()
    assert.are.equal("0\n", python("clock { speed = 500 }", [[
import os, select, signal, time
waiter = os.fork()
if waiter == 0:
    def passes(wait, *given):
        before = time.monotonic()
        wait(*given)
        return time.monotonic() - before
    poll = select.poll()
    lasted = [passes(time.sleep, 100), passes(select.select, [], [], [], 100), passes(poll.poll, 100000)]
    os._exit(0 if all(99.9 <= each for each in lasted) else 1)
while True:
    os.kill(waiter, signal.SIGSTOP)
    status = os.waitpid(waiter, os.WUNTRACED)[1]
    if os.WIFEXITED(status): break
    os.kill(waiter, signal.SIGCONT)
    time.sleep(10)
print(status)]]))
  end)

  it("lets counting clocks and uptime run at its speed, and processor time at the real one", function()
    local output = python("clock { speed = 1000 }", [[
import time, os
def clocks(): return [time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time(), os.times().elapsed]
before, cpu = clocks(), time.process_time()
time.sleep(100)
print(*[100 <= b - a + 0.02 for a, b in zip(before, clocks())], time.process_time() - cpu < 50)]])
    assert.are.equal("True True True True True\n", output)
  end)

  it("can pass more slowly", function()
    local result = mocked.result("clock { speed = 0.1 }", { support.python, "-c", [[
import time
a = time.monotonic()
time.sleep(0.02)
b = time.monotonic()
print(b - a >= 0.02)]] })
    assert.are.equal("True\n", result.stdout)
    assert.is_true(result.seconds > 0.2)
  end)

  it("is what a program sets when it sets the time, and the machine's stays", function()
    local before = os.time()
    local output = run('clock { at = "2030-01-01" }',
      { "sh", "-c", "date -u -s 2001-02-03 >/dev/null; date -u +%F" })
    assert.are.equal("2001-02-03\n", output)
    assert.is_true(os.time() - before < 60)
  end)

  it("tells the script what time it is, and can be put forward", function()
    local output = run([[
      local time = clock { at = "2030-01-01" }
      on.getppid(function() time:advance(86400) end)
      at.finish(function() print(os.date("!%F", time:now())) end)]],
      { support.python, "-c", "import os, time; os.getppid(); print(time.strftime('%F', time.gmtime()))" })
    assert.are.equal("2030-01-02\n2030-01-02\n", output)
  end)

  it("lets handlers of the script see the calls that it answers", function()
    local output = run([[
      clock { at = 1e9 }
      on.clock_gettime(function(call) call:run() seen = call.tp.tv_sec end)
      at.finish(function() print(seen) end)]], { "date", "+%s" })
    assert.are.equal("1000000000\n1000000000\n", output)
  end)

  it("refuses what it does not understand, with the script's line", function()
    local refuses = mocked.refuses
    refuses("clock { sped = 3 }", "clock has no field sped (did you mean speed?): it takes at, speed")
    refuses("clock { at = true }", "clock: at takes a string or a number, not a boolean")
    refuses("clock { speed = 0 }", "clock: speed = 0: it takes a number from 0.000001 to 1000000")
    refuses("clock(3)", "clock takes a table { at =, speed = }, not a number")
    refuses('clock { at = "2038-02-30" }', 'clock: at = "2038-02-30" is no date: write "2038-01-19", ' ..
      '"2038-01-19 03:14:07" (UTC), "2038-01-19 03:14:07 +01:00" or seconds since 1970')
    refuses("clock {} clock {}", "clock: there is one already: all processes have the same")
  end)
end)
