-- HARD_CASES.md 19 and what else seccomp notifications can get wrong: signals, death while held, exec, threads, other
-- listeners. What is expected is what the same program does without a tracer, or under a mechanism that stops it.

local support = require "spec.support"

local answer_77 = "watch.getppid(function(call) call:returns(77) end)"
local every_mechanism = { "notify", "stop", "ptrace" }

local function notified(mode, count, lua, options, timeout)
  return support.run { lua = lua, options = options, timeout = timeout,
    cmd = { support.tracee("notified"), mode, count and tostring(count) } }
end

--- What --explain says of a call: its mechanism and what wants it.
local function plan(lua, options, under)
  local words = { support.binary, "--explain", "--lua", lua }
  for i, option in ipairs(options or {}) do table.insert(words, 1 + i, option) end
  for i, word in ipairs(under or {}) do table.insert(words, i, word) end
  return support.execute({ words = words }).stdout
end

describe("notifications", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("signals in front of a notification: nothing says EINTR that never does, each call is seen once", function()
    local lua = [[
      watch["getppid,access,read"](function() end)
      at.finish(function(run)
        local calls = run.calls
        io.stderr:write(calls.getppid.count, " ", calls.access.count - calls.getppid.count, "\n")
        io.stderr:write(calls.read.count - 3 * calls.getppid.count, "\n")
      end)]]
    local stopped = notified("storm", 2000, lua, { "--trap=stop" })
    for _ = 1, 3 do
      local result = notified("storm", 2000, lua, { "--trap=notify" })
      assert.equal("0 wrong, signals came\n", result.stdout)
      assert.equal(stopped.stderr, result.stderr)
    end
  end)

  it("threads that let go what no path matches: each call is seen once, none says EINTR", function()
    local program = support.tracee("opens")
    local lua = [[
      fail("openat", "EIO", { path = "*.hit" })
      at.finish(function(run) io.stderr:write(run.calls.openat.count, "\n") end)]]
    for _, mode in ipairs { "threads", "processes", "execs" } do
      for _, workers in ipairs { "never", "auto", "always" } do
        local result = support.run { lua = lua, options = { "--workers=" .. workers }, cmd = { program, mode, "300" } }
        assert.equal("240 hits, 2160 misses, 0 wrong\n", result.stdout, mode .. " " .. workers)
        assert.equal("240\n", result.stderr, mode .. " " .. workers)
      end
    end
    for _ = 1, 5 do -- half of the processes are killed halfway
      local result = support.run { lua = lua, options = { "--workers=always" }, cmd = { program, "killed", "300" } }
      assert.equal("120 hits, 1080 misses, 0 wrong\n", result.stdout)
    end
  end)

  it("a call that waits says EINTR, or is restarted, as the signal's handler was installed", function()
    for _, trap in ipairs(every_mechanism) do
      local result = notified("blocked", nil, [[
        local new, again = 0, 0
        watch.read(function(call)
          if call.fd.kind ~= "pipe" then return end
          if call.restarted then again = again + 1 else new = new + 1 end
        end)
        at.finish(function() io.stderr:write(new, again > 0 and " restarted" or "", "\n") end)]], { "--trap=" .. trap })
      assert.equal("read -1 Interrupted system call\nread 1 -\nall signals\n", result.stdout, trap)
      assert.equal("2 restarted\n", result.stderr, trap)
    end
  end)

  it("threads, storms of forks and vforks, threads that exec while others are in calls", function()
    for _, trap in ipairs(every_mechanism) do
      local options = { "--trap=" .. trap }
      assert.equal("0 wrong\n", notified("threads", 300, answer_77, options).stdout, trap)
      assert.equal("0 wrong\n", notified("forks", 48, answer_77, options).stdout, trap)
      assert.equal("through\n", notified("execs", 10, answer_77, options).stdout, trap)
    end
  end)

  it("notifications and stops of the same threads, in turn", function()
    local result = notified("threads", 300, answer_77 .. [[
      on["sched_yield,exit,clone3,clone,futex"](function(call) call:run() end)
      watch["execve,write"](function() end)]])
    assert.equal("0 wrong\n", result.stdout)
  end)

  it("a process that is killed while its call is held", function()
    for _, trap in ipairs(every_mechanism) do
      local result = notified("killed", 9, [[
        watch.getppid(function(call) call:hold() io.stderr:write("never\n") end)
        at.exit(function(process) io.stderr:write(process.signal or process.status, "\n") end)]], { "--trap=" .. trap })
      assert.equal("signal 9\n", result.stdout, trap)
      assert.equal("9\n0\n", result.stderr, trap)
    end
  end)

  it("killed in a call that nobody has received yet: the tracer is busy with another's", function()
    local result = support.run { lua = [[
      watch.getpgid(function(call)
        -- The child's call cannot be received while this handler runs; when it ends, there is nobody any more.
        os.execute("kill -9 " .. call.process.pid)
      end)]], cmd = { support.tracee("notified"), "killed", "9" } }
    assert.equal(9, result.signal)
  end)

  it("time runs out while a call is held", function()
    local result = notified("calls", nil, "watch.umask(function(call) call:hold() end)", { "--timeout=0.2" })
    assert.equal(124, result.status)
  end)

  it("a script's error while other calls are held: the program ends, or goes on by itself", function()
    local lua = [[
      local held = 0
      watch.getppid(function(call)
        held = held + 1
        if held < 5 then call:hold() end
        error "oops"
      end)]]
    local result = notified("threads", 1, lua)
    assert.equal(125, result.status)
    assert.equal("", result.stdout)
    assert.matches("oops", result.stderr)
    result = notified("threads", 1, lua, { "--on-error=detach" })
    assert.equal(125, result.status)
    assert.equal("8 wrong\n", result.stdout)
  end)

  it("a detached process goes on at once, its notifications are answered without the script", function()
    local result = notified("threads", 50, [[
      local seen = 0
      watch.getppid(function(call)
        seen = seen + 1
        call:detach()
      end)
      at.finish(function() io.stderr:write(seen < 9 and "detached\n" or seen) end)]])
    assert.equal("400 wrong\n", result.stdout)
    assert.equal("detached\n", result.stderr)
  end)

  it("when luatrace is killed, so is the program, even one that is held", function()
    local directory = support.tempdir()
    local lua = ("watch.getppid(function(call) local f = io.open('%s/fifo', 'w') f:write(call.process.pid, '\\n') " ..
      "f:close() call:hold() end)"):format(directory)
    local result = support.execute { timeout = 30, words = { "sh", "-c", [[
      mkfifo "$1/fifo"
      "$2" --lua "$3" -- "$4" threads 1 & tracer=$!
      read pid < "$1/fifo"
      kill -9 $tracer
      wait $tracer
      echo $?
      while [ -e /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status 2>/dev/null; do :; done
      echo gone]], "sh", directory, support.binary, lua, support.tracee("notified") } }
    -- In the moment between the listener's end and its own the program may see ENOSYS, and say so.
    assert.matches("137\ngone\n$", result.stdout)
  end)

  it("32-bit calls, from 32-bit programs and from 64-bit code", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    local lua = [[watch.getpid(function(call) io.stderr:write(call.arch.name, "\n") end)
      watch.openat(function(call) if call.pathname == "/nonexistent" then call:fail "EMLINK" end end)]]
    local options = { "--trap=notify" }
    local result = support.run { lua = lua, options = options, cmd = { support.tracee "registers", "int80" } }
    assert.equal("1\n", result.stdout)
    assert.matches("i386", result.stderr)
    result = support.run { lua = lua, options = options, cmd = { support.tracee("registers", { m32 = true }), "open" } }
    assert.equal("Too many links\n", result.stdout)
  end)

  it("14: a call is answered in a program with a filter of its own, and what that rejects is rejected", function()
    local result = support.run { options = { "--trap=notify" },
      lua = 'watch["access,getppid"](function(call) call:returns(7) end)', cmd = { support.tracee "sandbox", "own" } }
    assert.equal("Operation not permitted\n7\n", result.stdout)
    assert.equal("", support.run({ lua = 'watch["%all"](function() end)',
      cmd = { support.tracee "sandbox", "own" } }).stderr)
  end)

  it("19: a program that asks for a listener gets EBUSY and the user is told; --trap=stop leaves it one", function()
    local lua, cmd = "watch.setsid(function() end)", { support.tracee "sandbox", "listener" }
    local result = support.run { lua = lua, cmd = cmd }
    assert.equal("Device or resource busy\n", result.stdout)
    assert.matches("luatrace: sandbox %(pid %d+%) asks for a seccomp listener of its own and gets EBUSY", result.stderr)
    result = support.run { lua = lua, cmd = cmd, options = { "--trap=stop" } }
    assert.matches("^Operation not permitted\n", result.stdout)
    assert.equal("", result.stderr)
    -- Nothing needs notifications: then the program has its listener anyway.
    assert.matches("^Operation not permitted\n", support.run({ lua = "on.setsid(function() end)", cmd = cmd }).stdout)
  end)

  it("19: luatrace under a listener: stops in the place of notifications, said by --explain", function()
    local under = { support.tracee("notified"), "under" }
    local program = support.tracee("notified")
    local result = support.execute { words = { under[1], under[2], support.binary, "--lua", answer_77, "--", program,
      "threads", "20" } }
    assert.equal("0 wrong\n", result.stdout)
    assert.equal("", result.stderr)
    local text = plan(answer_77, nil, under)
    assert.matches("\nnotify: stops in its place: luatrace runs under a listener itself", text)
    assert.matches("\ngetppid +stop%-entry ", text)
    result = support.execute { words = { under[1], under[2], support.binary, "--trap=notify", "--lua", answer_77, "--",
      program, "threads", "1" } }
    assert.equal(125, result.status)
    assert.matches("^luatrace: cannot have the listener that %-%-trap=notify needs: ", result.stderr)
    assert.matches("user notification no: EBUSY", support.execute({ words = { under[1], under[2], support.binary,
      "--version" } }).stdout)
  end)

  it("18: a set-uid program keeps its privileges under root's luatrace", function()
    if not support.is_root then return pending("needs root") end
    local directory = support.tempdir()
    os.execute(("cd %s && cp /usr/bin/id id && chown nobody id && chmod 4755 id"):format(directory))
    local result = support.run { options = { "--trap=notify" }, lua = 'watch["%all"](function(call) end)',
      cmd = { directory .. "/id", "-un" } }
    assert.equal("nobody\n", result.stdout)
  end)

  it("an ordinary user has notifications, too", function()
    if not support.is_root then return pending("needs root to become somebody else") end
    local lua = 'watch.write(function(call) io.stderr:write(call.buf) end)'
    local result = support.run { user = 65534, options = { "--trap=notify" }, lua = lua, cmd = { "echo", "hello" } }
    assert.equal("hello\n", result.stderr)
    result = support.run { options = { "--trap=notify", "-u", "nobody" }, lua = lua, cmd = { "id", "-un" } }
    assert.equal("nobody\n", result.stderr)
  end)

  it("one listener a program: several programs one after the other, and the signal mask is as before", function()
    local code = [[
      package.cpath = arg[1] .. "/?.so;" .. package.cpath
      local luatrace = require "luatrace"
      local function mask()
        for line in io.lines("/proc/self/status") do
          local bits = line:match("^SigBlk:%s*(%x+)")
          if bits then return bits end
        end
      end
      local before = mask()
      for i = 1, 3 do
        local seen = 0
        local run = luatrace.trace({ "true" }, function(t) t.watch.openat(function() seen = seen + 1 end) end,
          { trap = "notify" })
        assert(run.status == 0 and seen > 0)
      end
      print(mask() == before)
      io.stdout:flush()
      -- The program itself starts with the mask that luatrace had.
      luatrace.trace({ "grep", "SigBlk", "/proc/self/status" }, function(t) t.watch.openat(function() end) end)]]
    local directory = support.tempdir()
    support.write(directory .. "/three.lua", code)
    if support.binary:find("asan") then return pending("luatrace.so is not built with sanitizers") end
    local result = support.execute { words = { "luajit", directory .. "/three.lua", support.root .. "/build" } }
    assert.equal("true\nSigBlk:\t0000000000000000\n", result.stdout, result.stderr)
  end)
end)

describe("the plan", function()
  it("prints the mechanism of each call, and what forced it", function()
    local text = plan [[
      watch.openat(function() end)
      on.read(function() end) watch.read(function() end)
      fail("fsync", "EIO")
      fail("unlink", "EIO", { path = "/x" })
      kill("write", { fd = 3 })
      watch.close(function() end) fail("close", "EIO", { fd = 3 })]]
    assert.matches("^mode: seccomp filter, %d+ instructions\n", text)
    assert.matches('\nopenat +notify +watch%["openat"%] at ', text)
    assert.matches('\nread +stop%-entry on%["read"%] at %(%-%-lua%):2 %(forces it%); watch%["read"%]', text)
    assert.matches('\nfsync +errno +fail', text)
    assert.matches('\nunlink +notify +fail', text)
    assert.matches('\nwrite +notify%? +kill', text)
    assert.matches('\nclose +stop%-entry%?,notify fail%("close"', text)
    assert.matches('\nclone +stop%-entry%? guard', text)
  end)

  it("says which mechanism could not be had, and why", function()
    local lua = "watch.openat(function() end)"
    assert.matches("\nnotify: stops in its place: %-%-kernel%-without=notify\n",
      plan(lua, { "--kernel-without=notify" }))
    assert.matches("\nnotify: stops in its place: %-%-trap=stop\n", plan(lua, { "--trap=stop" }))
    assert.matches("^mode: stop%-all %(plain ptrace%): %-%-trap=ptrace\n", plan(lua, { "--trap=ptrace" }))
    assert.matches("\nopenat +stop%-all +watch", plan(lua, { "--trap=ptrace" }))
    assert.matches("\nopenat +stop%-both +", support.run({ options = { "--explain", "-e", "trace=openat" },
      cmd = { "true" } }).stdout)
  end)

  it("--trap=notify is refused where it cannot be, and its handlers are told what it has not", function()
    local function fails(options, lua, pattern)
      local result = support.run { options = options, lua = lua, cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches(pattern, result.stderr)
    end
    local lua = "on.openat(function(call) call:run() end)"
    fails({ "--trap=notify", "--kernel-without=notify" }, lua, "%-%-trap=notify cannot be had: %-%-kernel%-without")
    fails({ "--trap=notify", "--no-follow" }, lua, "%-%-trap=notify cannot be had: %-%-no%-follow")
    fails({ "--trap=notify", "-e", "trace=openat" }, nil, "the output shows results")
    fails({ "--trap=notify" }, 'fail("close", "EIO")', "cannot serve fail%(\"close\", \"EIO\"%) at %(%-%-lua%):1")
    fails({ "--trap=notify" }, lua, "%(%-%-lua%):1: openat: its result takes a stop, and under %-%-trap=notify")
  end)

  it("no listener, no poll and no signalfd where nothing needs a notification", function()
    local function calls_of(lua)
      return support.strace({ options = { "-e", "trace=ppoll,signalfd4,pidfd_getfd" }, cmd = { support.binary, "--lua",
        lua, "--", "sh", "-c", "cat /etc/hostname; true" } }).trace
    end
    assert.not_matches("%(", calls_of "on.openat(function(call) call:run() end) fail('fsync', 'EIO')")
    local with = calls_of "watch.openat(function(call) end)"
    assert.matches("pidfd_getfd%(.*signalfd4%(.*ppoll%(", with:gsub("\n", " ") .. "signalfd4( ppoll(")
    -- A program that sleeps lets luatrace sleep.
    local asleep = support.strace { options = { "-e", "trace=ppoll,wait4" }, cmd = { support.binary, "--lua",
      "watch.setsid(function(call) end)", "--", "sleep", "0.3" } }
    local _, count = asleep.trace:gsub("\n", "\n")
    assert.truthy(count < 30, count .. "\n" .. asleep.trace)
  end)
end)
