-- --stuck: what hanging programs wait for, and who could end it; they go on as if nobody had looked.

local support = require "spec.support"

--- Runs luatrace until its report is complete (it has `wanted` in it), then lets `signal` end what hangs: SIGTERM to
-- luatrace, or SIGUSR1 to the program. Prints the report.
local driver = [=[
import os, re, signal, subprocess, sys, threading
wanted, how, words = re.compile(sys.argv[1].encode(), re.S), sys.argv[2], sys.argv[3:]
run = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
guard = threading.Timer(40, run.kill)
guard.start()
text = b""
while not wanted.search(text):
    piece = os.read(run.stderr.fileno(), 65536)
    if not piece: break
    text += piece
if how == "program": os.kill(int(re.search(rb"process (\d+)\)", text).group(1)), signal.SIGUSR1)
else: run.terminate()
text += run.stderr.read()
run.wait()
guard.cancel()
sys.stdout.buffer.write(text)
print("status", run.returncode)
]=]

local function stuck(mode, wanted, options)
  options = options or {}
  local words = { support.python, "-c", driver, wanted, options.ends or "luatrace", support.binary, "--stuck=0.2" }
  for _, word in ipairs(options.options or {}) do words[#words + 1] = word end
  words[#words + 1] = support.tracee "stuck"
  for word in mode:gmatch("%S+") do words[#words + 1] = word end
  return support.execute({ words = words }).stdout
end

--- Attaches until the report says what is wanted: the program may not be there yet.
local attacher = [=[
import re, subprocess, sys
wanted, luatrace = re.compile(sys.argv[1].encode(), re.S), sys.argv[2]
options, words = sys.argv[3].split(), sys.argv[4:]
program = subprocess.Popen(words, stdout=subprocess.PIPE)
program.stdout.readline()
for i in range(200):
    text = subprocess.run([luatrace] + options + ["-p", str(program.pid)], stderr=subprocess.PIPE).stderr
    if wanted.search(text): break
state = open("/proc/%d/status" % program.pid).read()
sys.stdout.buffer.write(text)
print(re.search("TracerPid:.*", state).group(0), re.search("State:.*", state).group(0))
program.kill()
program.wait()
]=]

local function attached(mode, wanted, options)
  return support.execute({ words = { support.python, "-c", attacher, wanted, support.binary, options or "--stuck",
    support.tracee "stuck", mode } }).stdout
end

describe("--stuck", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("names the holders of mutexes, what joins, and the circle", function()
    local text = stuck("deadlock", "pthread_join.*luatrace: deadlock")
    local main = text:match("^luatrace: nothing has run for %d%.%d s: 3 threads of 1 process\n" ..
      "stuck %(process (%d+)%): futex%(")
    local one, owner = text:match("\nstuck %(thread (%d+) of process " .. main ..
      "%): futex%([^\n]+\n  wants the mutex 0x%x+, which thread (%d+) holds\n")
    assert.matches("\n  waits for thread " .. one .. " to end %(pthread_join%)\n", text)
    assert.matches(("\nstuck %%(thread %s of process %s%%): futex%%([^\n]+\n  wants the mutex 0x%%x+, " ..
      "which thread %s holds\n"):format(owner, main, one), text)
    assert.matches(("\nluatrace: deadlock: stuck %%(thread %s%%) waits for stuck %%(thread %s%%) waits for stuck " ..
      "%%(thread %s%%)"):format(one, owner, one), text)
    -- Where in the program: both ways are on the stacks.
    assert.matches(" > %S+%(one_way%+0x%x+%) ", text)
    assert.matches(" > %S+%(other_way%+0x%x+%) ", text)
  end)

  it("knows who has the other end of a pipe, and whose child is waited for", function()
    local text = stuck("pipe", "luatrace: deadlock")
    local child = text:match("\n  waits for (%d+) %(stuck%) to end\n")
    local parent = text:match("\nstuck %(process (%d+)%): wait4%(" .. child .. ", %.%.%.%)\n")
    assert.matches(("\nstuck %%(process %s%%): read%%(3, %%.%%.%%.%%)\n  fd 3, pipe:%%[%%d+%%]: it is empty; " ..
      "%s %%(stuck%%), fd 4 can write to it\n"):format(child, parent), text)
    assert.matches(" > %S+%(wait_in_read%+0x%x+%) ", text)
    assert.matches("only this process itself has its other end\n.*waits for itself", stuck("own-pipe", "deadlock"))
  end)

  it("knows the peers of sockets", function()
    local text = stuck("unix", "pause.*_start.*read.*_start|read.*_start.*pause.*_start")
    local parent, child = text:match("stuck %(process (%d+)%): read"), text:match("stuck %(process (%d+)%): pause")
    assert.is_truthy(parent)
    assert.matches("\n  fd 3, UNIX%-STREAM:%[%d+%->%d+%]: at the other end is " .. child .. " %(stuck%), fd 4\n", text)
    text = stuck("tcp", "pause.*_start.*read.*_start|read.*_start.*pause.*_start")
    child = text:match("stuck %(process (%d+)%): pause")
    assert.matches("\n  fd %d, TCP:%[127%.0%.0%.1:%d+%->127%.0%.0%.1:%d+%]: at the other end is " .. child ..
      " %(stuck%), fd %d\n",
      text)
    assert.matches("\n  fd 3, TCP:%[127%.0%.0%.1:%d+%]: waits for somebody to connect\n", stuck("accept", "_start"))
  end)

  it("looks into poll and epoll, and at locks", function()
    assert.matches("\n  fd 3, pipe:%[%d+%]: it is empty; [^\n]+\n  fd 5, TCP:%[127%.0%.0%.1:%d+%]\n", stuck("poll",
      "_start"))
    assert.matches("epoll_wait%([^\n]+\n  fd 3, pipe:%[%d+%]: it is empty; ", stuck("epoll", "_start"))
    local file = support.tempdir() .. "/lock"
    local text = stuck("flock " .. file, "flock.*_start.*pause.*_start|pause.*_start.*flock.*_start")
    local holder = text:match("stuck %(process (%d+)%): pause")
    assert.is_truthy(text:find(("wants a lock of fd 4, %s, which %s (stuck) has (FLOCK)\n"):format(file, holder), 1,
      true))
  end)

  for _, options in ipairs { {}, { "-o", "/dev/null" }, { "--trap=ptrace", "-o", "/dev/null" },
    { "--lua", "on.read(function(call) call:run() end)" }, { "--lua", "watch.read(function() end)" } } do
    it("lets the program go on as if nobody had looked " .. table.concat(options, " "), function()
      local text = stuck("once", "_start.*_start", { ends = "program", options = options })
      assert.matches("rt_sigtimedwait%(", text)
      assert.matches("\nstatus 0\n$", text)
    end)
  end

  it("says which rule or handler of the script holds a thread", function()
    local function report(lua)
      local options = { "--stuck=0.1", "--timeout=1" }
      return support.run({ options = options, lua = lua, cmd = { "cat", "/etc/hostname" } }).stderr
    end
    local rule = 'hold("openat", { path = "/etc/hostname" })'
    local title = report(rule):match '\ncat %(process %d+%): openat%(.*\n  luatrace does not let it go on: (.*)\n'
    assert.equal(rule .. " at (--lua):1", title)
    -- At a stop its stack is known, too.
    assert.matches('\n  luatrace does not let it go on: the handler at %(%-%-lua%):1\n > [^\n]*libc',
      report 'on.openat(function(call) if call.pathname == "/etc/hostname" then call:sleep(30) end call:run() end)')
  end)

  it("traps no call for it, prints no calls, and says nothing of programs that get on", function()
    local plan = support.run { options = { "--stuck", "--explain" }, cmd = { "true" } }
    assert.is_nil(plan.stdout:find("\nread", 1, true))
    local result = support.run { options = { "--stuck=60" }, cmd = { "sh", "-c", "echo x; exit 3" } }
    assert.equal(3, result.status)
    assert.equal("", result.stderr)
  end)

  it("-p looks at a running process at once and lets it go", function()
    local scope = tonumber(support.read "/proc/sys/kernel/yama/ptrace_scope" or "0")
    if scope > 0 and not support.is_root then return pending("kernel.yama.ptrace_scope forbids attaching") end
    local text = attached("deadlock", "pthread_join.*luatrace: deadlock")
    assert.matches("^luatrace: process %d+: 3 threads of 1 process\nstuck %(process %d+%): futex%(", text)
    assert.matches(" > %S+%(one_way%+0x%x+%) ", text)
    assert.matches("\nTracerPid:%s+0 State:%s+[SRD]", text)
    -- With SECONDS: when it has not run for so long.
    text = attached("own-pipe", "deadlock", "--stuck=0.2")
    assert.matches("^luatrace: nothing has run for 0", text)
    assert.matches("\nTracerPid:%s+0 State:%s+[SRD]", text)
  end)

  it("says what is wrong with its use", function()
    local result = support.run { options = { "--stuck=soon" }, cmd = { "true" } }
    assert.equal("luatrace: --stuck takes a time such as 5, 0.5 or 200ms, not \"soon\"\n", result.stderr)
    result = support.run { options = { "--stuck", "-p", "1", "-o", "/dev/null" } }
    assert.equal(125, result.status)
    assert.matches("^luatrace: %-%-stuck %-p looks once", result.stderr)
  end)
end)
