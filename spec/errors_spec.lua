-- What a user can get wrong: each mistake says what it was, where, and what would be right; exit 125 (126 and 127 when
-- the command cannot run); no traceback of ours; no process left behind.

local support = require "spec.support"

local function fails(options, code, pattern)
  local result = support.run(options)
  assert.equal(code, result.status, result.stderr)
  assert.matches(pattern, result.stderr)
  -- A user's mistake is no place for our own files.
  assert.is_nil(result.stderr:find("luatrace/", 1, true), result.stderr)
  assert.is_nil(result.stderr:find("[C]", 1, true), result.stderr)
  return result
end

local yes = { "sh", "-c", "echo yes" }

describe("mistakes", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  describe("on the command line", function()
    it("no command", function()
      fails({}, 125, "no command: luatrace %[SCRIPT.lua%] %-%- COMMAND")
      fails({ script = "x.lua" }, 125, "no command: luatrace x.lua %-%- COMMAND")
    end)

    it("a script that is missing, or a directory", function()
      fails({ script = "missing.lua", cmd = yes }, 125, "cannot read the script missing.lua: no such file")
      local directory = support.tempdir()
      os.execute("mkdir " .. directory .. "/d.lua")
      fails({ script = directory .. "/d.lua", cmd = yes }, 125, "d.lua: it is a directory")
    end)

    it("a command that is missing, not executable, a directory, no program", function()
      local directory = support.tempdir()
      support.write(directory .. "/plain", "x")
      support.write(directory .. "/bad", "#!/nonexistent/interpreter\n")
      os.execute("chmod +x " .. directory .. "/bad")
      fails({ lua = "", cmd = { "no-such-command" } }, 127, "cannot run no%-such%-command: not found in PATH")
      fails({ lua = "", cmd = { directory .. "/none" } }, 127, "no such file")
      fails({ lua = "", cmd = { directory .. "/plain" } }, 126, "not executable")
      fails({ lua = "", cmd = { directory } }, 126, "it is a directory")
      fails({ lua = "", cmd = { directory .. "/bad" } }, 127, "cannot run the program .*/bad: No such file")
    end)

    it("options that do not exist, lack a value, or have a wrong one", function()
      fails({ options = { "--no-such-option" }, cmd = yes }, 125, "unknown option %-%-no%-such%-option %(luatrace")
      fails({ options = { "--foramt=json" }, cmd = yes }, 125,
        "unknown option %-%-foramt=json %(did you mean %-%-format%?%)\n$")
      fails({ options = { "--seed" } }, 125, "%-%-seed needs a value")
      fails({ options = { "--seed=x" }, cmd = yes }, 125, "%-%-seed takes a number")
      fails({ options = { "--trap=magic" }, cmd = yes }, 125, "%-%-trap takes one of")
      fails({ options = { "--kernel-without=legs" }, cmd = yes }, 125, "%-%-kernel%-without takes")
    end)

    it("a condition whose value is wrong, without the manual of all conditions", function()
      fails({ options = { "-e", "openat(flag=O_CREAT)" }, cmd = yes }, 125,
        "^luatrace: %-e trace=openat: arg: there is no argument flag: there are dirfd, pathname, flags, mode\n$")
    end)

    it("a field that no call of the name has: told once, with what was meant", function()
      local result = support.run { cmd = { "cat", "/etc/hostname", "/dev/null" }, lua = [[
        on.openat(function(call)
          local _ = call.pathnmae, call.mine
          call.pathnam = true
        end)
        on.close(function(call) return call.fdd, call.pathnam end)]] }
      assert.equal([[
luatrace: (--lua):2: call.pathnmae is nil: openat has nothing of that name (did you mean pathname?)
luatrace: (--lua):5: call.fdd is nil: close has nothing of that name (did you mean fd?)
]], result.stderr)
    end)

    it("a handler that does not end, when --timeout is over", function()
      local result = support.run { options = { "--timeout=0.1" }, cmd = { "cat", "/etc/hostname" }, timeout = 60,
        lua = "on.openat(function() while true do end end)" }
      assert.equal(124, result.status)
      assert.matches("the time is over, and a handler of the script does not end", result.stderr)
    end)

    it("-ff where no file can be made", function()
      fails({ options = { "-ff", "-o", "/nonexistent/t" }, cmd = yes }, 125,
        "^luatrace: cannot write to /nonexistent/t.PID: No such file or directory\n$")
    end)

    it("a user or a directory that does not exist", function()
      fails({ lua = "", options = { "-u", "nobody-of-that-name" }, cmd = yes }, 125, "there is no such user")
      fails({ lua = "", options = { "--chdir=/nonexistent" }, cmd = yes }, 125, "cannot change directory /nonexistent")
    end)

    it("a process that cannot be attached to", function()
      fails({ options = { "-p", "4194304" } }, 125, "cannot attach to 4194304: there is no such process")
      fails({ options = { "-p", "me" } }, 125, "%-p takes process ids")
    end)

    it("a run that takes too long is killed, exit 124", function()
      local result = support.run { lua = "", options = { "--timeout=100ms" }, cmd = { "sleep", "60" } }
      assert.equal(124, result.status)
    end)
  end)

  describe("in a script", function()
    it("a syntax error, with file and line", function()
      local directory = support.tempdir()
      support.write(directory .. "/s.lua", "on.openat(function(call)\nend\n\nx = = 1\n")
      fails({ script = directory .. "/s.lua", cmd = yes }, 125, "s%.lua:%d+: '%)' expected")
    end)

    it("an error at its top level", function()
      local directory = support.tempdir()
      support.write(directory .. "/s.lua", "local x\n\nx.y = 1\n")
      fails({ script = directory .. "/s.lua", cmd = yes }, 125, "s%.lua:3: attempt to index local 'x'")
    end)

    it("conditions in brackets where a table is wanted", function()
      fails({ lua = 'never("%file(path=*.db)")', cmd = yes }, 125, 'in a script it is "%%file", and a table such as')
    end)

    it("a name that is nearly right", function()
      fails({ lua = 'fial("write", "EIO")', cmd = yes }, 125, "global 'fial' %(a nil value%) %(did you mean fail%?%)")
      fails({ lua = "on.write(function() prnt(1) end)", cmd = yes }, 125, "%(did you mean print%?%)")
    end)

    it("an error that is no text", function()
      fails({ lua = "error {1}", cmd = yes }, 125, "called error with a table, not with a text")
      fails({ lua = "on.write(function() error() end)", cmd = yes }, 125, "called error with a nil, not with a text")
    end)

    it("an error in any handler: the program ends, nothing of it is left", function()
      for _, code in ipairs {
        "on.openat(function(call) error('oops') end)", "on.openat(function(call) call:run() error('oops') end)",
        "at.start(function() error('oops') end)", "at.exec(function() error('oops') end)",
        "at.exit(function() error('oops') end)", "at.finish(function() error('oops') end)",
        "at.fork(function() error('oops') end)", "at.signal(function() error('oops') end)",
      } do
        local result = fails({ lua = code, cmd = { "sh", "-c", "sleep 0 & sleep 0; wait; kill -USR1 $$" } }, 125,
          "%(%-%-lua%):1: oops")
        assert.is_nil(result.stderr:find("oops.*oops"), "said once")
      end
    end)

    it("an error while others sleep and hold", function()
      fails({ lua = [[
        on.getppid(function(call)
          if call.nth == 1 then call:sleep(1000) elseif call.nth == 2 then call:hold() elseif call.nth == 20 then
            error "oops" end
        end)]], cmd = { support.tracee "family", "threads", "10" } }, 125, "oops")
    end)

    it("--on-error=detach lets the program finish", function()
      local result = fails({ lua = "on.write(function(call) error('oops') end)", options = { "--on-error=detach" },
        cmd = { "sh", "-c", "echo one; echo two; ls / >/dev/null; echo three" } }, 125, "oops")
      assert.equal("one\ntwo\nthree\n", result.stdout)
    end)

    it("a call that does not exist, with what was meant", function()
      fails({ lua = "on.opeant(function() end)", cmd = yes }, 125,
        "there is no call \"opeant\" %(did you mean openat")
      fails({ lua = "on['%nonsense'](function() end)", cmd = yes }, 125,
        "there is no class %%nonsense; there are .*%%file")
      fails({ lua = "on['%filee'](function() end)", cmd = yes }, 125,
        "there is no class %%filee %(did you mean %%file%?%)\n$")
      fails({ lua = "on['/('](function() end)", cmd = yes }, 125, "is no regular expression")
      fails({ lua = "on.read(1)", cmd = yes }, 125, "on.read takes a function, not a number")
      fails({ lua = "on.read = function() end", cmd = yes }, 125, "write on.read%(function")
      fails({ lua = "at.end_of_time(function() end)", cmd = yes }, 125,
        "there is no at.end_of_time: it takes start, exec")
    end)

    it("an expectation's method that does not exist, or is called without a colon", function()
      fails({ lua = "expect('read'):atleast(2)", cmd = yes }, 125,
        "'atleast' %(a nil value%) %(did you mean at_least%?%)")
      fails({ lua = "expect('read').at_least(2)", cmd = yes }, 125,
        "1: write expect%(%.%.%.%):at_least%(%.%.%.%), with a colon")
    end)

    it("an error, a signal or a flag that does not exist", function()
      fails({ lua = "fail('write', { 'EIO', 'ENOSPCE' })", cmd = yes }, 125,
        "fail: there is no error \"ENOSPCE\" %(did you mean ENOSPC%?%)\n$")
      fails({ lua = "on.write(function(call) call:fail 'ENOTHING' end)", cmd = yes }, 125,
        "%(%-%-lua%):1: call:fail: unknown error \"ENOTHING\"")
      fails({ lua = "on.write(function(call) call:fail(5) end)", cmd = yes }, 125, "takes the name of an error")
      fails({ lua = "on.write(function(call) call:kill 'SIGNOTHING' end)", cmd = yes }, 125, "call:kill takes a signal")
      fails({ lua = "on.openat(function(call) call.flags = 'O_NOTHING' end)", cmd = yes }, 125,
        "openat: flags takes flags such as")
      fails({ lua = "on.openat(function(call) call.flags:has 'O_NOTHING' end)", cmd = yes }, 125,
        "O_NOTHING is none of these flags")
    end)

    it("a change that comes too late, or of the wrong type", function()
      fails({ lua = "on.write(function(call) call:run() call.count = 1 end)", cmd = yes }, 125,
        "%(%-%-lua%):1: write: .*count.*only be changed before call:run%(%)")
      fails({ lua = "on.write(function(call) call:run() call:run() end)", cmd = yes }, 125, "may be called once")
      fails({ lua = "on.write(function(call) call.fd = 'x' end)", cmd = yes }, 125, "write: fd takes a descriptor")
      fails({ lua = "on.openat(function(call) call.pathname = {} end)", cmd = yes }, 125, "pathname takes a string")
      fails({ lua = "local kept on.write(function(call) if kept then kept:fail 'EIO' end kept = call end)",
        cmd = { "sh", "-c", "echo 1; echo 2" } }, 125, "this write has ended")
      fails({ lua = "on.write(function(call) call:sleep 'x' end)", cmd = yes }, 125, "takes a number of seconds")
      fails({ lua = "on.write(function(call) call:inject 'nothing' end)", cmd = yes }, 125,
        "there is no call \"nothing\"")
      fails({ lua = "on.write(function(call) call.memory:write(1, 2) end)", cmd = yes }, 125, "takes a string of bytes")
      fails({ lua = "on.write(function(call) coroutine.wrap(function() call:run() end)() end)", cmd = yes }, 125,
        "must be called from the handler itself")
    end)

    it("a watch handler that asks for the result", function()
      fails({ lua = "watch.write(function(call) call:run() end)", cmd = yes }, 125,
        "%(%-%-lua%):1: watch.write sees the call at its entry only: use on.write")
      fails({ lua = "watch.write = 1", cmd = yes }, 125, "write watch.write%(function")
      local seen = support.run { cmd = yes,
        lua = "watch.write(function(call) io.stderr:write(call.buf) call.memory:write(call.args[2], 'no\\n') end)" }
      assert.equal("yes\n", seen.stderr)
      assert.matches("^no\n", seen.stdout)
    end)

    it("a watch handler that wants what only a stopped thread can give, whatever serves it", function()
      for _, trap in ipairs { "auto", "stop", "ptrace" } do
        for code, what in pairs { ["call.buf = 'no\\n'"] = "assigning to buf",
          ["call.args[3] = 1"] = "rewriting the call", ["call:inject('getpid')"] = "call:inject",
          ["call:stack()"] = "call:stack",
          ["call.memory:alloc(8)"] = "memory:alloc" } do
          code = "watch.write(function(call) " .. code .. " end)"
          fails({ options = { "--trap=" .. trap }, lua = code, cmd = yes }, 125,
            "%(%-%-lua%):1: watch.write may look, answer, wait and kill; " .. what .. " takes a stop: use on.write")
        end
      end
    end)

    it("the seed of a failed run that used chance is printed", function()
      local code = "on.write(function(call) if random() >= 0 then error 'oops' end end)"
      local result = fails({ lua = code, cmd = yes }, 125, "oops")
      assert.matches("%-%-seed=%d+", result.stderr)
    end)
  end)
end)
