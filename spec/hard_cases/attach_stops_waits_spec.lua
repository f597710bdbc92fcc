-- HARD_CASES.md 1 to 13: attach, stops, waits. Every expectation is what the same program does without a tracer, or
-- what the kernel's manual says.

local support = require "spec.support"

local everything = 'on["%all"](function(call) call:run() end)'
local traps = { "auto", "ptrace" }

--- Runs a tracee under each way of trapping.
local function each_trap(fn)
  for _, trap in ipairs(traps) do fn({ "--trap=" .. trap }, trap) end
end

local function signals(mode, options, lua)
  return support.run { lua = lua or everything, options = options, cmd = { support.tracee "signals", mode } }
end

local function family(mode, options, lua, count)
  return support.run { lua = lua or everything, options = options,
    cmd = { support.tracee "family", mode, count and tostring(count) } }
end

describe("attach, stops, waits", function()
  after_each(function() assert.same({}, support.leftovers()) end)

  it("1: group-stops work as untraced: a parent sees its child stopped and continued", function()
    each_trap(function(options)
      assert.equal("1 1 7\n", signals("stop", options).stdout)
    end)
  end)

  it("2: an interrupted call shows its restart code, and the restart is not a new call", function()
    each_trap(function(options)
      local result = signals("restart", options, [[
        on.read(function(call)
          if call.fd.kind ~= "pipe" then return end
          local got, err = call:run()
          io.stderr:write(tostring(got), " ", tostring(err), " ", tostring(call.restarted), "\n")
        end)]])
      assert.equal("1 1\n", result.stdout)
      assert.equal("nil ERESTARTSYS false\n1 nil true\n", result.stderr)
    end)
  end)

  it("2: a restart does not count twice for handlers that never asked for the result", function()
    local result = signals("restart", nil, [[
      local pipes, fresh = 0, 0
      on.read(function(call)
        if call.fd.kind ~= "pipe" then return end
        pipes = pipes + 1
        if not call.restarted then fresh = fresh + 1 end
      end)
      at.finish(function() io.stderr:write(pipes, " ", fresh, "\n") end)]])
    assert.equal("2 1\n", result.stderr)
  end)

  it("2: failing an interrupted call cancels the restart", function()
    each_trap(function(options)
      local result = signals("restart", options, [[
        on.read(function(call)
          if call.fd.kind ~= "pipe" then return end
          local _, err = call:run()
          if err == "ERESTARTSYS" then call:fail "EINTR" end
        end)]])
      assert.equal("-1 1\n", result.stdout)
    end)
  end)

  it("2: EINTR without SA_RESTART reaches the program", function()
    each_trap(function(options) assert.equal("-1 1\n", signals("eintr", options).stdout) end)
  end)

  it("3: signals arrive: on an alternate stack, in sigsuspend, sigwaitinfo and signalfd, blocked SIGSEGV", function()
    each_trap(function(options)
      assert.equal("1\n", signals("altstack", options).stdout)
      assert.equal("1 1\n", signals("suspend", options).stdout)
      assert.equal("1\n", signals("sigwait", options).stdout)
      assert.equal("1\n", signals("signalfd", options).stdout)
      assert.equal(11, signals("segv", options).signal)
    end)
  end)

  it("3: a signal can be suppressed and replaced", function()
    each_trap(function(options)
      assert.equal("0\n", signals("raise", options, "at.signal(function(s) s:suppress() end)").stdout)
      assert.equal("2\n", signals("raise", options, [[
        at.signal(function(s) if s.name == "SIGUSR1" then s:replace "SIGUSR2" end end)]]).stdout)
      assert.equal("1\n", signals("raise", options, "at.signal(function() end)").stdout)
    end)
  end)

  it("3: a signal sent by a script is delivered", function()
    each_trap(function(options)
      local result = signals("raise", options, [[
        on["tgkill"](function(call) call:signal "SIGUSR2"; call:returns(0) end)]])
      assert.equal("2\n", result.stdout)
    end)
  end)

  it("4: many short-lived threads: tids are used again, threads are not confused", function()
    each_trap(function(options)
      local result = family("ids", options, [[
        local seen, double = {}, 0
        on.getppid(function(call)
          if seen[call.thread.number] then double = double + 1 end
          seen[call.thread.number] = true
          call:run()
        end)
        at.finish(function() io.stderr:write(double, "\n") end)]], 300)
      assert.equal("done\n", result.stdout)
      assert.equal("0\n", result.stderr)
    end)
  end)

  it("5: orphans whose parents ended first are followed to their end", function()
    each_trap(function(options)
      local result = family("orphans", options, [[
        on.getppid(function(call) call:run() end)
        at.finish(function(run) io.stderr:write(run.calls.getppid.count, "\n") end)]], 100)
      assert.equal("100\n", result.stderr)
    end)
  end)

  it("6: SIGKILL at any moment: no hang, no error", function()
    each_trap(function(options)
      local result = family("killed", options, nil, 30)
      assert.equal("", result.stderr)
      assert.equal("done\n", result.stdout)
    end)
  end)

  it("6: a script that kills at every call of many threads", function()
    local result = family("threads", nil, [[
      local n = 0
      on.getppid(function(call) n = n + 1; if n == 40 then call:kill() end; call:run() end)]], 50)
    assert.equal(9, result.signal)
  end)

  it("7: exec by a thread that is not the leader", function()
    each_trap(function(options)
      local result = family("thread-exec", options, everything .. [[
        at.exec(function(process) io.stderr:write(process.exe, "\n") end)
        at.exit(function(process) io.stderr:write("end ", process.status, "\n") end)]])
      assert.equal(0, result.status)
      assert.equal("from a thread\n", result.stdout)
      assert.matches("/family\n/usr/bin/echo\nend 0\n$", result.stderr)
    end)
  end)

  it("7: the leader ends before its threads: the process ends once, with the last of them", function()
    each_trap(function(options)
      local result = family("leader-exits", options, everything .. [[
        at.exit(function(process) io.stderr:write("end ", process.status, "\n") end)]])
      assert.equal(0, result.status)
      assert.equal("end 0\n", result.stderr)
    end)
  end)

  it("8: vfork: nobody waits for a parent that waits for its child", function()
    each_trap(function(options) assert.equal("0\n", family("vfork", options).stdout) end)
  end)

  it("9: CLONE_UNTRACED does not escape", function()
    each_trap(function(options)
      local result = family("untraced", options, [[
        on.getppid(function(call) call:run() end)
        at.finish(function(run) io.stderr:write(run.calls.getppid.count, "\n") end)]])
      assert.equal("0\n", result.stdout)
      assert.matches("1\n$", result.stderr)
      assert.matches("CLONE_UNTRACED", result.stderr)
    end)
  end)

  it("9: clone3 with CLONE_UNTRACED is answered with ENOSYS, so that libc falls back, and it is said", function()
    each_trap(function(options)
      local result = family("untraced3", options, "")
      assert.equal("ENOSYS\n", result.stdout)
      assert.matches("CLONE_UNTRACED in clone3", result.stderr)
    end)
  end)

  it("10: fairness: a thread that calls rarely is served while two spin", function()
    local result = family("fair", nil, [[
      local last = {}
      on.getppid(function(call) last[#last + 1] = call.thread.number; call:run() end)
      at.finish(function()
        local first, counts = nil, {}
        for i, number in ipairs(last) do counts[number] = (counts[number] or 0) + 1; last[number .. "at"] = i end
        for number, n in pairs(counts) do if n == 1 then first = last[number .. "at"] end end
        io.stderr:write(first < #last - 1 and "served" or "starved", "\n")
      end)]])
    assert.equal("served\n", result.stderr)
  end)

  it("11: --daemons=kill ends what outlives the program; wait waits; detach lets it be", function()
    local killed = family("daemon", { "--daemons=kill" }, "")
    assert.equal(0, killed.status)
    assert.matches("^started", killed.stdout)
    -- Its standard input ends, so it ends by itself.
    local waited = family("daemon", { "--daemons=wait" }, "at.exit(function() io.stderr:write 'gone ' end)")
    assert.equal("gone gone ", waited.stderr)
  end)

  it("11: --daemons=detach ends with the program and leaves the daemon alive, untraced", function()
    local directory = support.tempdir()
    local result = support.execute { cwd = directory, words = { "sh", "-c", [[
      mkfifo input; exec 3<>input
      "$1" --daemons=detach --lua '' -- "$2" daemon <input >output
      read -r word pid <output; echo "$word"
      grep TracerPid "/proc/$pid/status"
      kill "$pid"]], "sh", support.binary, support.tracee "family" } }
    assert.equal("started\nTracerPid:\t0\n", result.stdout)
    support.clean()
  end)

  it("12: Ctrl-C reaches the whole group: luatrace outlives the program, reports, and ends as it did", function()
    local result = support.execute { words = { "sh", "-c", [[
      exec "$1" --lua 'on.pause(function(call) call.session.tracer:signal(call.tracee, 2, true)
        require("ffi").C.kill(0, 2) end)
        at.finish(function(run) io.stderr:write("reported ", run.signal, "\n") end)' -- "$2" sleep]], "sh",
      support.binary, support.tracee "interrupted" } }
    assert.equal("reported 2\n", result.stderr)
    assert.equal(2, result.signal)
  end)

  it("12: a luatrace that is killed takes its program with it", function()
    local result = support.execute { words = { "sh", "-c",
      [["$1" --lua 'on.pause(function(call) call.session.tracer:signal(call.tracee, 9, true) end)' -- "$2" parent
        echo "luatrace: $?"]], "sh", support.binary, support.tracee "interrupted" } }
    assert.matches("luatrace: 137", result.stdout)
  end)

  it("13: a tracer inside the program is refused by the kernel, not crashed by us", function()
    local result = support.run { lua = everything, cmd = { "strace", "true" } }
    assert.is_true(result.status ~= 0)
    assert.matches("[Oo]peration not permitted", result.stderr)
  end)

  it("1: attaches to a running process with all its threads, and lets go of it unharmed", function()
    local result = support.execute { words = { "sh", "-c", [[
      "$2" wait & pid=$!
      until grep -q '^Threads:.*4' /proc/$pid/status; do :; done
      "$1" -p $pid --lua 'on["%all"](function(call) call:run() end)
        at.exit(function(process) io.stderr:write("saw the end\n") end)' &
      until grep -q '^TracerPid:.*[1-9]' /proc/$pid/status; do :; done
      kill $pid; wait $pid; echo "program: $?"; wait]], "sh", support.binary, support.tracee "interrupted" } }
    assert.equal("program: 143\n", result.stdout)
    assert.matches("saw the end", result.stderr)
  end)

  it("1: an attached process outlives a luatrace that ends", function()
    local result = support.execute { words = { "sh", "-c", [[
      "$2" wait & pid=$!
      until grep -q '^Threads:.*4' /proc/$pid/status; do :; done
      "$1" -p $pid --lua '' & tracer=$!
      until grep -q '^TracerPid:.*[1-9]' /proc/$pid/status; do :; done
      kill -TERM $tracer; wait $tracer; echo "luatrace: $?"
      grep TracerPid /proc/$pid/status
      kill $pid; wait $pid; echo "program: $?"]], "sh", support.binary, support.tracee "interrupted" } }
    assert.equal("luatrace: 0\nTracerPid:\t0\nprogram: 143\n", result.stdout)
  end)

  it("1: --timeout lets an attached process go; --tree knows its command", function()
    local result = support.execute { words = { "sh", "-c", [[
      "$2" wait & pid=$!
      until grep -q '^Threads:.*4' /proc/$pid/status; do :; done
      "$1" -p $pid --timeout=0.2 --tree -o tree; echo "luatrace: $?"
      grep TracerPid /proc/$pid/status
      kill $pid; wait $pid; echo "program: $?"; cut -c13- tree; rm tree]], "sh", support.binary,
      support.tracee "interrupted" }, cwd = support.tempdir() }
    assert.matches("^luatrace: 124\nTracerPid:\t0\nprogram: 143\n *%S*interrupted wait +%= %?\n$", result.stdout)
  end)
end)
