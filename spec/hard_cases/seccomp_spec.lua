-- HARD_CASES.md 14 to 19: seccomp.

local support = require "spec.support"

local function registers(mode, options, lua)
  return support.run { lua = lua, options = options, cmd = { support.tracee "registers", mode } }
end

local function sandbox(mode, options, lua)
  return support.run { lua = lua, options = options, cmd = { support.tracee "sandbox", mode } }
end

describe("seccomp", function()
  after_each(function() assert.same({}, support.leftovers()) end)

  it("14: a call that is skipped does not run afoul of the program's own filter", function()
    for _, trap in ipairs { "auto", "ptrace" } do
      local result = sandbox("own", { "--trap=" .. trap }, 'on.access(function(call) call:returns(7) end)')
      assert.equal("Operation not permitted\n7\n", result.stdout, trap)
      assert.equal(0, result.status)
    end
  end)

  it("15: an answered call costs one stop: the program sees the answer, no exit stop is asked for", function()
    local result = support.strace { options = { "-e", "trace=ptrace" },
      cmd = { support.binary, "--lua", 'on.openat(function(call) if call.pathname == "/nonexistent" then ' ..
        'call:fail "EIO" end end)', "--", support.tracee "registers", "open" } }
    assert.equal("Input/output error\n", result.stdout)
    -- The loader opens libc: one stop each; the answered one is told by the two registers that are written.
    local _, answers = result.trace:gsub("PTRACE_POKEUSER", "")
    local _, syscalls = result.trace:gsub("ptrace%(PTRACE_SYSCALL,", "")
    assert.equal(2, answers)
    assert.equal(0, syscalls)
  end)

  it("16: what the program's own filter rejects is rejected, whatever we trap", function()
    local result = sandbox("own", nil, 'on["%all"](function(call) call:run() end)')
    assert.matches("^Operation not permitted\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("16: scratch memory in a program with a filter of its own does not come from mmap, which would kill it", function()
    for _, trap in ipairs { "auto", "ptrace" } do
      local result = sandbox("own", { "--trap=" .. trap },
        'on.access(function(call) if call.pathname == "/x" then call.pathname = "/etc/../etc/../etc/passwd" end end)')
      assert.equal("Operation not permitted\n0\n", result.stdout, trap)
    end
  end)

  it("17: a detached process with our filter goes on, kept by a minimal tracer", function()
    local result = registers("open", nil, [[
      on.openat(function(call) if call.pathname == "/nonexistent" then call:fail "EIO" end end)
      at.exec(function(process) end)
      on.brk(function(call) call:detach() end)]])
    assert.equal("No such file or directory\n", result.stdout)
  end)

  it("17: without a filter, detaching is real", function()
    local result = support.run { options = { "--trap=ptrace" }, lua = "on.brk(function(call) call:detach() end)",
      cmd = { "sh", "-c", "grep TracerPid /proc/self/status" } }
    assert.equal("TracerPid:\t0\n", result.stdout)
  end)

  it("18: a set-uid program keeps its privileges under root's luatrace", function()
    if not support.is_root then return pending("needs root") end
    local directory = support.tempdir()
    os.execute(("cd %s && cp /usr/bin/id id && chown nobody id && chmod 4755 id"):format(directory))
    local result = support.run { lua = 'on["%all"](function(call) call:run() end)',
      cmd = { directory .. "/id", "-un" } }
    assert.equal("nobody\n", result.stdout)
    support.clean()
  end)

  it("18: an ordinary user can trace, and is told what the filter costs", function()
    if not support.is_root then return pending("needs root to become somebody else") end
    local result = support.run { user = 65534, lua = 'on.write(function(call) call.buf = call.buf:upper() end)',
      cmd = { "echo", "hello" } }
    assert.equal("HELLO\n", result.stdout)
    local version = support.execute { words = { "setpriv", "--reuid=65534", "--clear-groups", support.binary,
      "--version" } }
    assert.matches("filters need no_new_privs: yes", version.stdout)
  end)

  it("19: a program that makes a listener of its own may", function()
    for _, trap in ipairs { "auto", "ptrace" } do
      local result = sandbox("listener", { "--trap=" .. trap }, "on.setsid(function() end)")
      assert.matches("^Operation not permitted\n", result.stdout, trap)
    end
  end)
end)
