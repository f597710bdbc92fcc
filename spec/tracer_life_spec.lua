-- How luatrace stands to its programs, as strace's options have it: -D behind them, -b and --syscall-limit letting them
-- go, -I what signals to luatrace itself do. Texts are compared with strace's.

local signal = require "posix.signal"
local support = require "spec.support"

local function sh(code) return { "sh", "-c", code } end

--- luatrace under the name strace, so that messages have strace's name, too.
local function link()
  local directory = support.tempdir()
  os.execute(("ln -s %s %s/strace"):format(support.binary, directory))
  return directory .. "/strace"
end

local function execute(tracer, options, command)
  local words = { tracer }
  for _, list in ipairs { options, command } do
    for _, word in ipairs(list) do words[#words + 1] = word end
  end
  return support.execute { words = words }
end

local function normal(text)
  return (text:gsub("0x%x%x%x%x%x+", "ADDRESS"):gsub("pid +%d+", "pid PID"):gsub("Process %d+", "Process PID")
    :gsub("pid=%d+", "pid=PID"):gsub("%d+ vars", "VARS"):gsub("si_[us]time=%d+", "TIME")
    :gsub("TIME /%* [%d.]+ s %*/", "TIME"))
end

--- A pipe's reader: what the tracee is blocked in, and the way to tell that it is.
local blocked = "echo $$; exec cat"

describe("the tracer's life", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("-b execve lets go of what executes another program, as strace does", function()
    local options = { "-f", "-b", "execve", "-e", "trace=execve,exit_group" }
    local command = sh "/nonexistent 2>/dev/null; ls /etc/hostname; exec /bin/true"
    local ours, theirs = execute(link(), options, command), execute("strace", options, command)
    assert.equal(normal(theirs.stderr), normal(ours.stderr))
    assert.matches("<detached %.%.%.>", ours.stderr)
    assert.same({ theirs.status, theirs.stdout }, { ours.status, ours.stdout })
    options = { "--detach-on=execve", "-f", "-qq", "-e", "status=detached", "-e", "trace=execve" }
    ours, theirs = execute(link(), options, command), execute("strace", options, command)
    assert.equal(normal(theirs.stderr), normal(ours.stderr))
  end)

  it("--syscall-limit lets everybody go", function()
    local result = support.run { options = { "--syscall-limit=2", "-e", "trace=openat" },
      cmd = sh "ls /etc/hostname; echo end" }
    assert.equal("/etc/hostname\nend\n", result.stdout)
    local _, shown = result.stderr:gsub("openat%(", "")
    assert.equal(2, shown)
    assert.matches("Process %d+ detached\n", result.stderr)
  end)

  for level, option in ipairs { "-D", "-DD", "-DDD" } do
    it(option .. " leaves the program its parent", function()
      local directory = support.tempdir()
      -- The program is the process that was started; the tracer is in its group, in a group or session of its own.
      local code = [[echo $$ $(cut -d" " -f4,5,6 /proc/$$/stat)
        tracer=$(sed -n "s/^TracerPid:.//p" /proc/$$/status)
        echo $tracer $(cut -d" " -f4,5,6 /proc/$tracer/stat); exit 3]]
      local result = support.run { options = { option, "-qq", "-o", directory .. "/t", "-e", "trace=exit_group" },
        cmd = sh(code) }
      assert.equal(3, result.status)
      local program, parent, group, session, tracer, _, its_group, its_session =
        result.stdout:match("^(%d+) (%d+) (%d+) (%d+)\n(%d+) (%d+) (%d+) (%d+)\n$")
      assert.equal(tostring(require("posix.unistd").getpid()), parent)
      assert.not_equal(program, tracer)
      assert.equal(level == 1, its_group == group)
      assert.equal(level < 3, its_session == session)
      -- The tracer outlives the program by a moment; it has our pipes, so support.execute has waited for it.
      assert.matches("exit_group%(3%) += %?\n", support.read(directory .. "/t"))
    end)
  end

  it("-D serves scripts, and is refused where it cannot be", function()
    local result = support.run { options = { "-D" }, lua = "on.getppid(function(call) call:returns(42) end)",
      cmd = sh "echo $PPID" }
    assert.equal("42\n", result.stdout)
    result = support.run { options = { "-D", "-p", "1" } }
    assert.equal(125, result.status)
    result = support.run { options = { "-DDDD" }, cmd = { "true" } }
    assert.matches("^luatrace: %-D may be given three times", result.stderr)
  end)

  --- Sends a signal to the tracer when the tracee is blocked, and says how both ended.
  local function signalled(options, number)
    local code = ("%s %s sh -c '%s' <fifo >out & tracer=$!; exec 3>fifo; while ! [ -s out ]; do :; done; " ..
      "kill -%d $tracer; exec 3>&-; wait $tracer; echo $?"):format(support.binary, options, blocked, number)
    local directory = support.tempdir()
    os.execute("mkfifo " .. directory .. "/fifo; : >" .. directory .. "/out")
    return support.execute { words = { "bash", "-c", code }, cwd = directory }
  end

  it("-I 2 ends the program and luatrace by the signal, -I 3 nobody", function()
    assert.equal(128 + signal.SIGTERM .. "\n", signalled("-qqq -I 2 -e trace=none", signal.SIGTERM).stdout)
    assert.equal("0\n", signalled("-qqq -I never -e trace=none", signal.SIGTERM).stdout)
    assert.equal("0\n", signalled("-qqq -I 4 -e trace=none", signal.SIGTSTP).stdout)
  end)

  --- Signals the tracers of such handlers when each holds its program, and says how all ended.
  local function signalled_in_handler(number, handlers)
    local directory = support.tempdir()
    local code = {}
    for i, handler in ipairs(handlers) do
      -- Under nohup SIGHUP is ignored, which luatrace would respect.
      local lua = handler:gsub("HELD", "print(1) io.stdout:flush()")
      code[#code + 1] = (": >out%d; env --default-signal=HUP %s --lua '%s' -- sleep 100 >out%d & tracer%d=$!")
        :format(i, support.binary, lua, i, i)
    end
    for i = 1, #handlers do code[#code + 1] = ("while ! [ -s out%d ]; do :; done"):format(i) end
    for i = 1, #handlers do code[#code + 1] = ("kill -%d $tracer%d"):format(number, i) end
    for i = 1, #handlers do code[#code + 1] = ("wait $tracer%d; echo $?"):format(i) end
    return support.execute { words = { "bash", "-c", table.concat(code, "\n") }, cwd = directory }.stdout
  end

  it("a signal to luatrace reaches a thread that a handler holds", function()
    local ended = 128 + signal.SIGTERM .. "\n"
    assert.equal(ended:rep(4), signalled_in_handler(signal.SIGTERM, {
      "on.clock_nanosleep(function(call) HELD call:hold() end)",
      "watch.clock_nanosleep(function(call) HELD call:hold() end)",
      "on.clock_nanosleep(function(call) HELD call:sleep(1000) end)",
      "watch.clock_nanosleep(function(call) HELD call:sleep(1000) end)" }))
    assert.equal(128 + signal.SIGHUP .. "\n", signalled_in_handler(signal.SIGHUP, {
      "on.clock_nanosleep(function(call) HELD call:hold() end)" }))
  end)

  it("a handler that holds for ever, or runs for ever, does not keep luatrace from ending", function()
    assert.equal(("%d\n%d\n"):format(128 + signal.SIGKILL, 128 + signal.SIGTERM), signalled_in_handler(signal.SIGTERM, {
      "on.clock_nanosleep(function(call) HELD while true do call:sleep(0.01) end end)",
      "on.clock_nanosleep(function(call) HELD while true do end end)" }))
  end)

  it("-I takes a number or a word", function()
    local result = support.run { options = { "-I", "5" }, cmd = { "true" } }
    assert.equal(125, result.status)
    assert.matches("takes 1 to 4, or one of anywhere, waiting, never, never_tstp", result.stderr)
  end)

  it("what a script has left open is closed at the end", function()
    local result = support.run { lua = [[
      local left = newproxy(true)
      getmetatable(left).__gc = function() io.stdout:write "closed\n" end
    ]], cmd = { "echo", "end" } }
    assert.same({ 0, "end\nclosed\n" }, { result.status, result.stdout })
  end)

  it("-p says what the program is in when luatrace lets it go", function()
    -- Attached when it has copied a line already: what it is in then is its read.
    local code = "cat <fifo >out & program=$!; exec 3>fifo; echo line >&3; while ! [ -s out ]; do :; done; " ..
      "%s -p $program 2>err & tracer=$!; " ..
      "while ! grep -q 'read(0' err; do :; done; kill -TERM $tracer; wait $tracer; echo $?; " ..
      "exec 3>&-; wait $program; echo $?"
    local function run(tracer)
      local directory = support.tempdir()
      os.execute("mkfifo " .. directory .. "/fifo; : >" .. directory .. "/err; : >" .. directory .. "/out")
      local result = support.execute { words = { "bash", "-c", code:format(tracer) }, cwd = directory }
      return result.stdout, normal(support.read(directory .. "/err")):match("\n(read%(0,.*)$")
    end
    local status, text = run(link())
    local their_status, their_text = run("strace")
    assert.is_truthy(their_text)
    assert.equal(their_text, text)
    assert.equal(their_status, status)
  end)

  it("-p beside a command traces both, ends as the command does, and leaves the other alive", function()
    local code = "cat <fifo & other=$!; exec 3>fifo; "
      .. "while ! [ $(readlink /proc/$other/exe) = $(which cat) ]; do :; done; "
      .. "%s -f -o trace -p $other sh -c %s 3>&- & tracer=$!; %s; wait $tracer; echo $?; "
      .. "kill -0 $other && echo alive; exec 3>&-; wait $other; echo $?; grep -c '^[0-9]* *exit_group(3)' trace"
    local function run(tracer, command, meanwhile)
      local directory = support.tempdir()
      os.execute("mkfifo " .. directory .. "/fifo")
      local words = { "bash", "-c", code:format(tracer, command, meanwhile) }
      return support.execute({ words = words, cwd = directory }).stdout
    end
    local ended = { "'exit 3'", "while ! grep -q 'exit_group(3' trace; do :; done; exec 3>&-" }
    local both = run(link(), unpack(ended))
    assert.equal("3\n0\n1\n", both)
    assert.equal(both, run("strace", unpack(ended)))
    local terminated = { "'echo >begun; exec sleep 60'", "while ! [ -s begun ]; do :; done; kill -TERM $tracer" }
    assert.equal("143\nalive\n0\n0\n", run(link(), unpack(terminated)))
  end)

  it("a file, or who reads a pipe, has what there is when the program waits", function()
    for _, options in ipairs { "-o trace", "-o '|cat >trace'", "-f --format=human -o trace", "-ff -o trace" } do
      for _, lua in ipairs { "", "--lua 'on.read(function() end)'" } do
        local code = "mkfifo fifo; %s %s %s -- cat fifo >out & tracer=$!; exec 3>fifo; "
          .. "while ! grep -q fifo trace* 2>/dev/null; do :; done; exec 3>&-; wait $tracer"
        local words = { "bash", "-c", code:format(support.binary, lua, options) }
        assert.equal(0, support.execute({ words = words, cwd = support.tempdir() }).status, options .. lua)
      end
    end
  end)

  it("-d says what the core reports", function()
    local result = support.run { options = { "-d", "-o", "/dev/null" }, cmd = { "true" } }
    assert.matches("luatrace: stop BIRTH tid %d+", result.stderr)
    assert.matches("luatrace: stop ENTRY tid %d+ pid %d+ nr 59 at %d", result.stderr)
    assert.matches("luatrace: stop EXIT tid %d+ pid %d+ status 0", result.stderr)
  end)

  it("call:skip_exit() saves a call's second stop, unless a handler waits for the result", function()
    local output = support.tempdir() .. "/trace"
    for _, trap in ipairs { "auto", "ptrace" } do
      for _, case in ipairs {
        { "", "= [1-9]%d*\n", 1 }, { "call:skip_exit()", "= %?\n", 0 },
        { "call:skip_exit() call:run()", "= [1-9]%d*\n", 1 },
      } do
        local result = support.run { options = { "-d", "--trap=" .. trap, "-e", "trace=getppid", "-o", output },
          lua = ("on.getppid(function(call) %s end)"):format(case[1]), cmd = { "sh", "-c", "echo $PPID" } }
        assert.matches("^%d+\n$", result.stdout)
        local _, returns = result.stderr:gsub("stop EXIT_CALL tid %d+ pid %d+ nr 110 ", "")
        assert.equal(case[3], returns, trap .. ": " .. case[1])
        assert.matches("getppid%(%) +" .. case[2], support.read(output))
      end
    end
  end)

  it("call:skip_exit() makes a call one whose result is unavailable, as strace has it: neither successful nor failed",
    function()
      for _, format in ipairs { "text", "json", "human" } do
        for status, is_shown in pairs { successful = false, failed = false, unavailable = true, ["!failed"] = true } do
          local result = support.run { cmd = { "sh", "-c", "echo $PPID" },
            lua = "on.getppid(function(call) call:skip_exit() end)",
            options = { "--format=" .. format, "-e", "trace=getppid", "-e", "status=" .. status } }
          local shown = result.stderr:find(format == "human" and "parent" or "getppid", 1, true) ~= nil
          assert.equal(is_shown, shown, format .. " " .. status .. ": " .. result.stderr)
        end
      end
    end)
end)
