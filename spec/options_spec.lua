-- strace's options mean what they mean there; what luatrace lacks is refused by name, never accepted and ignored.

local support = require "spec.support"

local function trace(options, cmd)
  local result = support.run { options = options, cmd = cmd or { "true" } }
  return result.stderr, result
end

describe("options", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("-t, -tt, -ttt, -r stamp each line, -T its duration", function()
    assert.matches("^%d%d:%d%d:%d%d execve%(", trace { "-t" })
    assert.matches("^%d%d:%d%d:%d%d%.%d%d%d%d%d%d execve%(", trace { "-tt" })
    assert.matches("^%d%d%d%d%d%d%d%d%d%d%.%d%d%d%d%d%d execve%(", trace { "-ttt" })
    assert.matches("^     0%.000000 execve%(.*\n     %d%.%d+ brk", trace { "-r" })
    assert.matches("= 0 <%d%.%d%d%d%d%d%d>\n", trace { "-T" })
  end)

  it("-q, -qq leave out messages and ends", function()
    assert.matches("Process %d+ attached", (trace({}, { "sh", "-c", "true & wait" })))
    assert.is_nil((trace({ "-q" }, { "sh", "-c", "true & wait" })):find("attached"))
    assert.matches("%+%+%+ exited with 0 %+%+%+", (trace { "-q" }))
    assert.is_nil((trace { "-qq" }):find("exited"))
  end)

  it("-y says what descriptors are open on", function()
    assert.matches("close%(3</etc/hostname>%)", (trace({ "-y" }, { "cat", "/etc/hostname" })))
  end)

  it("-k shows stacks, -i where calls were made, -n their numbers", function()
    assert.matches(" > /%S*libc%S*%([%w_]+%+0x%x+%) %[0x%x+%]\n", (trace({ "-k", "-e", "trace=write" }, { "echo" })))
    assert.matches("\n%[%x+%] brk%(", (trace { "-i" }))
    assert.matches("\n%[  12%] brk%(", (trace { "-n" }))
  end)

  it("-o writes to a file, appends with -A, feeds a command", function()
    local directory = support.tempdir()
    trace { "-o", directory .. "/t" }
    local once = support.read(directory .. "/t")
    assert.matches("^%d+ +execve%(", once)
    trace { "-A", "-o", directory .. "/t" }
    assert.is_true(#support.read(directory .. "/t") > 1.5 * #once)
    trace { "-o", "|cat >" .. directory .. "/p" }
    assert.matches("execve%(.*exited with 0", support.read(directory .. "/p"))
  end)

  it("-ff writes more files than luatrace may have open, each from its begin to its end", function()
    local directory = support.tempdir()
    local result = support.execute { words = { "sh", "-c", 'ulimit -n 100; exec "$@"', "sh", support.binary, "-ff",
      "-o", directory .. "/t", "-e", "trace=execve,wait4", "sh", "-c", "for i in $(seq 150); do /bin/true; done" } }
    assert.same({ 0, "" }, { result.status, result.stderr })
    local ends, longest = 0, ""
    for file in io.popen("ls " .. directory):lines() do
      local text = support.read(directory .. "/" .. file)
      if text:find("+++ exited with 0 +++\n$") then ends = ends + 1 end
      if #text > #longest then longest = text end
    end
    assert.equal(152, ends) -- sh, seq, the others
    assert.matches("^execve", longest)
    assert.equal(151, select(2, longest:gsub("%(?WIFEXITED", "")))
  end)

  it("--explain tries one thing only, whether there may be a listener: in one process", function()
    -- A sanitizer that looks for leaks makes a process as well, and cannot do its work in one that is traced.
    local result = support.run { lua = 'at.fork(function() io.stderr:write "fork\\n" end)',
      cmd = { "env", "ASAN_OPTIONS=detect_leaks=0", support.binary, "--explain", "--lua", "watch.close(function() end)",
        "true" } }
    assert.equal("fork\n", result.stderr)
    assert.matches("close +notify", result.stdout)
  end)

  it("--tree tells who executed what and how it ended, and traps no call for it", function()
    local text = trace({ "--tree" }, { "sh", "-c", "ls / >/dev/null; sh -c 'exit 3'; exec true" })
    assert.matches("^ +%d+%.%d%d%d s  sh %-c .* exec\n +%d+%.%d%d%d s  true +=? ?= 0\n", text)
    assert.matches("\n +%d%.%d%d%d s    ls / += 0\n", text)
    assert.matches("\n +%d%.%d%d%d s    sh %-c \"exit 3\" += 3\n", text)
    local plan = support.run { options = { "--tree", "--explain" } }
    assert.is_nil(plan.stdout:find("\nexecve"))
  end)

  it("a link named strace has strace's defaults", function()
    local directory = support.tempdir()
    os.execute(("ln -s %s %s/strace"):format(support.binary, directory))
    local function run(options)
      local words = { directory .. "/strace", "-o", directory .. "/t" }
      for _, word in ipairs(options) do words[#words + 1] = word end
      support.execute { words = words }
      return support.read(directory .. "/t")
    end
    local alone = run { "sh", "-c", "true & ls >/dev/null & wait" }
    assert.matches("^execve%(", alone)
    assert.is_nil(alone:find('execve%("[^"]*ls"'))
    assert.matches('%d+ +execve%("[^"]*ls"', run { "-f", "sh", "-c", "ls >/dev/null & wait" })
  end)

  it("-E sets and removes variables, --chdir the directory", function()
    local _, result = trace({ "-q", "-o", "/dev/null", "-E", "ONE=1", "-E", "HOME" }, { "sh", "-c", "echo $ONE $HOME" })
    assert.equal("1\n", result.stdout)
    _, result = trace({ "-o", "/dev/null", "--chdir=/etc" }, { "pwd" })
    assert.equal("/etc\n", result.stdout)
  end)

  it("-e read= and write= dump what went through a descriptor", function()
    assert.matches(" | 00000  61 62 63 0a +abc%. +|\n", (trace({ "-e", "write=1" }, { "echo", "abc" })))
  end)

  it("-e kvm=vcpu is ignored, and that is said", function()
    for _, options in ipairs { { "-e", "kvm=vcpu" }, { "--kvm=vcpu" } } do
      local text, result = trace(options)
      assert.equal(0, result.status)
      assert.matches("^luatrace: %-e kvm=vcpu is ignored: [^\n]+\nexecve%(", text)
    end
  end)

  it("what handlers and guards trap is printed only when it was asked for", function()
    local text = trace({ "-e", "trace=uname", "--lua", "on.openat(function(call) call:run() end)" },
      { "taskset", "1", "uname" })
    assert.matches("^uname%(.-\n%+%+%+ exited with 0 %+%+%+\n$", text)
  end)

  it("-e with a wrong set says which word", function()
    assert.matches("there is no call \"opne\" %(did you mean open", (trace { "-e", "trace=opne" }))
    assert.matches("%-e status= takes successful", (trace { "-e", "status=good" }))
    assert.matches("there is no signal \"SIGX\"", (trace { "-e", "signal=SIGX" }))
    assert.matches("no such keyword", (trace { "-e", "colour=red" }))
  end)
end)
