-- HARD_CASES.md 20 to 31: registers, ABIs, memory, output, scale.

local support = require "spec.support"

local everything = 'on["%all"](function(call) call:run() end)'

local function registers(mode, options, lua, build)
  return support.run { lua = lua or everything, options = options, cmd = { support.tracee("registers", build), mode } }
end

--- Every kernel path that has an older one beside it.
local kernels = {
  {}, { "--kernel-without=set_syscall_info" }, { "--kernel-without=set_syscall_info,get_syscall_info" },
  { "--trap=ptrace" }, { "--trap=ptrace", "--kernel-without=set_syscall_info,get_syscall_info" },
}

local function each_kernel(fn)
  for _, options in ipairs(kernels) do fn(options, table.concat(options, " ")) end
end

describe("registers, ABIs, memory", function()
  after_each(function()
    support.clean()
    assert.same({}, support.leftovers())
  end)

  it("20: rewritten argument registers are what they were after the call, asked for its result or not", function()
    each_kernel(function(options, name)
      for _, run in ipairs { "", " call:run()" } do
        local result = registers("restored", options, ([[on.openat(function(call)
          if call.pathname == "/nonexistent" then call.pathname = "/etc/passwd" call.args[4] = 77%s end
        end)]]):format(run))
        assert.equal("opened 1\n", result.stdout, name)
      end
    end)
  end)

  it("21: skipping a call gives the program the script's result, never ENOSYS", function()
    each_kernel(function(options, name)
      for _, run in ipairs { "", ' call:returns(5)' } do
        local result = registers("open", options, ([[on.openat(function(call)
          if call.pathname == "/nonexistent" then call:fail "EMFILE"%s end end)]]):format(run))
        assert.equal(run == "" and "Too many open files\n" or "opened\n", result.stdout, name)
      end
    end)
  end)

  it("21: the number of a call can be rewritten", function()
    each_kernel(function(options, name)
      local result = registers("open", options, [[on.openat(function(call)
        if call.pathname == "/nonexistent" then call.nr = 39 end end)]])
      assert.equal("opened\n", result.stdout, name) -- getpid's result for a descriptor
    end)
  end)

  it("22: --version says whether 32-bit programs run, as running one does", function()
    -- A process whose children's statuses nobody gets is told the same.
    for _, before in ipairs { "", "trap '' CHLD; " } do
      local version = support.execute { words = { "sh", "-c", before .. support.binary .. " --version" } }
      assert.equal("", version.stderr)
      assert.equal(support.runs_32_bit() and "yes" or "no", version.stdout:match "32%-bit programs: (%w+)")
    end
  end)

  it("22: int 0x80 from 64-bit code is an i386 call, told by the stop", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    for _, trap in ipairs { "auto", "ptrace" } do
      local result = registers("int80", { "--trap=" .. trap }, [[on.getpid(function(call)
        io.stderr:write(call.arch.name, " ") call:run() end)]])
      assert.equal("1\n", result.stdout)
      assert.matches("i386", result.stderr)
    end
  end)

  it("22: 32-bit programs: decoded, rewritten, injected into", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    for _, trap in ipairs { "auto", "ptrace" } do
      local result = registers("open", { "--trap=" .. trap }, [[on.openat(function(call)
        if call.pathname == "/nonexistent" then
          assert(call:inject("getpid") == call.process.pid)
          call.pathname = "/etc/../etc/passwd"
        end end)]], { m32 = true })
      assert.equal("opened\n", result.stdout, trap .. result.stderr)
      assert.equal("alive\n", registers("pointers", { "--trap=" .. trap }, everything, { m32 = true }).stdout)
    end
  end)

  it("23: with the vDSO hidden, clock_gettime becomes a call that can be answered", function()
    local script = [[on.clock_gettime(function(call)
      if call:run() and call.clockid == "CLOCK_REALTIME" then call.tp = { tv_sec = 86400 * 365, tv_nsec = 0 } end end)]]
    for _, trap in ipairs { "auto", "ptrace" } do
      local hidden = support.run { options = { "--hide-vdso", "--trap=" .. trap }, lua = script,
        cmd = { "date", "-u", "+%Y" } }
      assert.equal("1971\n", hidden.stdout, trap)
    end
    local by_script = support.run { lua = "hide_vdso() " .. script, cmd = { "date", "-u", "+%Y" } }
    assert.equal("1971\n", by_script.stdout)
    assert.is_not.equal("1971\n", support.run { lua = script, cmd = { "date", "-u", "+%Y" } }.stdout)
  end)

  it("24: vsyscalls are seen through the filter", function()
    local native = support.native { cmd = { support.tracee "registers", "vsyscall" } }
    if native.signal then return pending("this kernel has no vsyscall page") end
    local result = registers("vsyscall", nil, [[on.time(function(call)
      io.stderr:write("seen ", tostring(call:inject("getpid")), "\n") call:run() end)]])
    assert.equal("1\n", result.stdout)
    assert.matches("^seen nil", result.stderr) -- nothing can be injected there, and it is said
  end)

  it("25: memory at holes, page ends and in read-only pages, by every path into it", function()
    local native = support.native { cmd = { support.tracee "registers", "hole" } }
    for _, without in ipairs { "set_syscall_info", "process_vm", "proc_mem" } do
      local result = registers("hole", { "--kernel-without=" .. without }, [[
        on.write(function(call)
          if call.count == 200 then
            local bytes = call.memory:read(call.args[2], 200)
            io.stderr:write(#bytes, "\n")
          end
        end)
        local n = 0
        on.access(function(call)
          if call.pathname == "/nope" then n = n + 1 end
          if n == 2 then
            assert(call.memory:write(call.args[1], "/etc") == 4)
            io.stderr:write(call.memory:cstring(call.args[1]), "\n")
            n = 3
          end
        end)]])
      assert.equal("96\n/etce\n", result.stderr, without)
      assert.equal(native.stdout, (result.stdout:gsub("\n0\n$", "\n-1\n")))
    end
  end)

  it("25: bad pointers give the address, an error value, never a crash", function()
    local result = registers("pointers", nil, [[on["%all"](function(call)
      for i = 1, 6 do local _ = call.args[i] end
      for _, name in ipairs { "pathname", "buf", "iov", "argv", "fds", "act", "msg", "addr" } do
        local _ = call[name]
      end
      call:footprint()
      local value, message, name = call.memory:read(1, 10)
      assert(value == nil and name == "EFAULT", message)
      call:run()
    end)]])
    assert.equal("", result.stderr)
    assert.equal("alive\n", result.stdout)
    assert.equal("alive\n", registers("pointers", { "-o", "/dev/null" }, "").stdout)
  end)

  it("25: what several pointers of a call lead to is read with one system call", function()
    local result = support.strace { options = { "-s", "64", "-e", "trace=process_vm_readv" },
      cmd = { support.binary, "-o", "/dev/null", "-e", "trace=renameat2", "--", "mv", "/tmp/absent-1",
        "/tmp/absent-2" } }
    local both = 0
    for line in result.trace:gmatch("process_vm_readv[^\n]+") do
      local one, two = line:find("absent-1", 1, true), line:find("absent-2", 1, true)
      assert.equal(one ~= nil, two ~= nil, line)
      if one then both = both + 1 end
    end
    assert.is_true(both > 0)
  end)

  it("25: what an ordinary user may not read is said, since rules on it do not match", function()
    local directory = support.tempdir()
    os.execute(("cp %s %s/unreadable && chmod 111 %s/unreadable"):format(support.tracee "ops", directory,
      directory))
    local function told(options, lua)
      local result = support.run { user = support.is_root and 65534 or nil, options = options, lua = lua,
        cmd = { directory .. "/unreadable", "unlink:/nowhere", "unlink:/nowhere" } }
      assert.equal(0, result.status)
      return (result.stderr:gsub("pid %d+", "pid N"))
    end
    local notice = "luatrace: the memory and descriptors of unreadable (pid N) cannot be read (it is not dumpable, " ..
      "and luatrace lacks CAP_SYS_PTRACE): paths and buffers of its calls cannot be told, and rules on them do not " ..
      "match\n"
    for _, trap in ipairs { "auto", "notify", "stop", "ptrace" } do
      assert.equal(notice, told({ "--trap=" .. trap }, 'fail("unlink", "EIO", { path = "/nowhere" })'), trap)
    end
    assert.equal(notice, told({}, 'never("unlink", { path = "/nowhere" })'))
    assert.equal(notice, told({}, 'fail("close", "EIO", { path = "/nowhere" })'))
    -- Nobody has asked for what cannot be read.
    assert.equal("", told({}, 'delay("unlink", 0.01, { nth = 3 })'))
  end)

  it("25: memory is read anew after exec", function()
    local result = support.run { options = { "--kernel-without=process_vm" },
      lua = 'on.write(function(call) call.buf = call.buf:upper() end)', cmd = { "sh", "-c", "echo a; exec echo b" } }
    assert.equal("A\nB\n", result.stdout)
  end)

  it("26: in a pid namespace, pids are the tracer's, getpid is the program's own", function()
    if not support.is_root then return pending("needs root to make a pid namespace") end
    local result = support.run { lua = [[on.getppid(function(call)
        local own = call:inject("getpid")
        io.stderr:write(tostring(own ~= call.process.pid), "\n") end)]],
      cmd = { "unshare", "--pid", "--fork", support.tracee "family", "untraced" } }
    assert.matches("true\n", result.stderr)
  end)

  it("27: a program with rseq is injected into at calls only", function()
    local result = support.run { lua = [[
      at.exec(function(process) end)
      on.openat(function(call) assert(call:inject("getpid") == call.process.pid) call:run()
        assert(call:inject("getpid") == call.process.pid) end)]], cmd = { "ls", "/" } }
    assert.equal(0, result.status)
    assert.equal(support.native { cmd = { "ls", "/" } }.stdout, result.stdout)
  end)

  it("28: io_uring is announced as unseen, or denied", function()
    local warned = support.run { lua = "", cmd = { support.tracee "uring" } }
    assert.matches("uses io_uring: what it does through the ring is not seen", warned.stderr)
    local denied = support.run { lua = "", options = { "--io-uring=deny" }, cmd = { support.tracee "uring" } }
    assert.equal("Function not implemented\n", denied.stdout)
  end)

  it("29: close can run and then lie, so that no descriptor leaks", function()
    local result = registers("close", nil, [[on.close(function(call)
      if call.fd.path == "/dev/null" then call:run() call:fail "EIO" end end)]])
    assert.equal("-1 0\n", result.stdout)
  end)

  it("30: output that cannot be written is an error, exit code 125", function()
    local full = support.execute { words = { "sh", "-c", '"$0" "$@" >/dev/full', support.binary, "--lua",
      'on.openat(function(call) print(call.pathname) end)', "--", "true" } }
    assert.equal(125, full.status)
    assert.matches("No space left on device", full.stderr)
    local file = support.run { options = { "-o", "/dev/full" }, cmd = { "true" } }
    assert.equal(125, file.status)
    assert.matches("No space left on device", file.stderr)
    local closed = support.execute { words = { "sh", "-c", [["$0" "$@" | true; true]], support.binary, "--lua",
      'on["%all"](function(call) print(call.name) end)', "--", "true" } }
    assert.equal(0, closed.status)
  end)

  it("31: 2,000 forks and 500 threads leave nothing behind in luatrace", function()
    local result = support.run { lua = everything .. [[
      local before
      on.getppid(function(call) call:run() end)
      at.exit(function() end)
      at.finish(function(run)
        collectgarbage() collectgarbage()
        io.stderr:write(collectgarbage("count") < 8192 and "small" or collectgarbage("count"), "\n")
      end)]], cmd = { support.tracee "family", "forks", "2000" } }
    assert.equal("done\n", result.stdout)
    assert.equal("small\n", result.stderr)
    assert.equal("done\n", support.run { lua = everything, cmd = { support.tracee "family", "threads", "500" } }.stdout)
  end)

  it("structs within structs are assigned to, whole and field by field", function()
    local python = [[import signal; signal.setitimer(signal.ITIMER_REAL, 5, 2)
print([round(seconds) for seconds in signal.getitimer(signal.ITIMER_REAL)])]]
    for code, seen in pairs {
      ["call.new_value.it_value = { tv_sec = 9 }"] = "[9, 2]\n",
      ["call.new_value = { it_value = { tv_sec = 7 }, it_interval = { tv_sec = 3 } }"] = "[7, 3]\n",
      ["call.new_value.it_value.tv_sec = 8; call.new_value.it_interval.tv_sec = 4"] = "[8, 4]\n",
    } do
      local result = support.run { lua = ("on.setitimer(function(call) %s end)"):format(code),
        cmd = { support.python, "-c", python } }
      assert.equal(seen, result.stdout, code .. result.stderr)
    end
  end)
end)
