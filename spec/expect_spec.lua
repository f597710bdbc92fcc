-- Expectations: each is tried on a program that keeps the promise and on one that does not, which must be told with
-- the calls concerned, their stacks and the line of the test.

local support = require "spec.support"

local luatrace = support.module()

local directory, promises

--- Runs `promises WORDS` under a script; what it stated and did not hold, in words.
local function failures_of(words, script, options)
  local cmd = { promises }
  for word in words:gmatch("%S+") do cmd[#cmd + 1] = word end
  local all = { cmd = cmd, cwd = directory, check = false, script = script, timeout = 120 }
  for key, value in pairs(options or {}) do all[key] = value end
  local run = luatrace.run(all)
  local texts = {}
  for i, failure in ipairs(run.failures) do
    texts[i] = ("%s: %s: %s"):format(failure.where, failure.title, failure.message)
    for _, call in ipairs(failure.calls) do texts[i] = texts[i] .. "\n" .. tostring((call[1] or call).text) end
  end
  return table.concat(texts, "\n"), run
end

local function holds(words, script) assert.equal("", (failures_of(words, script))) end

local function breaks(words, script, pattern)
  local text = failures_of(words, script)
  assert.matches(pattern, text)
end

local function error_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(message)
end

--- What a script says when it is read.
local function mistake(script)
  return error_of(luatrace.run, { cmd = { "true" }, script = script })
end

describe("expectations", function()
  setup(function() promises = support.tracee "promises" end)
  before_each(function() directory = support.tempdir() end)
  after_each(function()
    support.clean()
    assert.same({}, support.leftovers())
  end)

  describe("expect", function()
    it("counts", function()
      holds("save sd", function(t)
        t.expect("rename")
        t.expect("fsync"):exactly(2)
        t.expect("fsync"):times(1, 2)
        t.expect("write", { path = "file.new" }):at_least(1):at_most(1)
        t.expect("connect"):times(0)
      end)
      breaks("save sd", function(t) t.expect "connect" end, 'expect%("connect"%): it never happened')
      breaks("save sd", function(t) t.expect("fsync"):at_most(1) end,
        'expect%("fsync"%):at_most%(1%): it happened twice, not at most once\nfsync%(3</.*/file.new>%) = 0\nfsync')
      breaks("save sd", function(t) t.expect("fsync"):exactly(3) end, "it happened twice, not at least 3 times")
    end)

    it("orders", function()
      local function before(t) t.expect("fsync"):before("rename") end
      holds("save s", before)
      breaks("save -", before, "it never happened, but rename did\nrename")
      breaks("save i", before, "it never happened")
      holds("save s", function(t) t.expect("rename"):after("fsync") end)
      breaks("save d", function(t) t.expect("rename"):after("fsync") end,
        "it began before any fsync had returned\nrename.*\nfsync")
      holds("save s", function(t) t.expect("fsync"):between("write", { "rename", path = "*/file" }) end)
      breaks("save sw", function(t) t.expect("fsync"):between("write", "rename") end,
        "none between a write and the rename that followed\nwrite%(3<[^>]*>, \"more\\n\", 5%) = 5\nrename")
    end)

    it("looks at results and times", function()
      holds("full heed", function(t)
        t.expect("write", { path = "/dev/full" }):with_result "ENOSPC"
        t.expect("write"):with_result "failed":within(100)
        t.expect("openat", { path = "/dev/full" }):with_result "ok":with_result { 3, 9 }
        t.expect("exit_group")
      end)
      breaks("full heed", function(t) t.expect("write"):with_result(1) end,
        'result is not 1\nwrite%(3</dev/full>, "x", 1%) = %-1 ENOSPC')
      breaks("full heed", function(t)
        t.on.openat(function(call) if call.pathname == "/dev/full" then call:sleep(0.2) end end)
        t.expect("write"):within(0.1)
      end, "the first came after %d+%.%d+ s")
    end)

    it("is told with stacks", function()
      local _, run = failures_of("save -", function(t) t.never("rename") end)
      local described = error_of(run.check, run)
      assert.matches("%[promises, pid %d+%]\n        at save%+0x%x+ %(.*promises%)\n        at main%+", described)
    end)
  end)

  it("never: finds what must not be", function()
    holds("save i", function(t) t.never("rename") end)
    holds("save s", function(t) t.never("rename", { path = "*.txt" }) end)
    breaks("save s", function(t) t.never("rename") end,
      'spec/expect_spec.lua:%d+: never%("rename"%): it happened\nrename')
  end)

  it("sequence: follows one file through its calls", function()
    local function saved(t) t.sequence { "openat $f", "write $f", "fsync $f", "rename $f" } end
    holds("save s", saved)
    holds("save sw", saved)
    breaks("save -", saved, "step 3 of 4 never came: fsync %$f; as far as it got:\nopenat.*file.new.*\nwrite")
    -- The fsync of the directory is not that of the file.
    breaks("save d", function(t) t.sequence { "openat $f", "write $f", "fsync $f" } end, "step 3 of 3 never came")
    holds("save sd", function(t) t.sequence { { "openat", pathname = "*.new", ret = "$f" }, { "write", fd = "$f" },
      { "rename", oldpath = "$f", newpath = "file" }, { "openat", flags = "O_DIRECTORY", ret = "$d" }, "fsync $d" } end)
    breaks("save sd", function(t) t.sequence { "rename", "write" } end, "step 2 of 2 never came: write")
    breaks("save sd", function(t) t.sequence { "connect" } end, "it never began: there was no connect")
  end)

  it("atomic_write: by level", function()
    local function level(name) return function(t) t.atomic_write("file", { level = name }) end end
    holds("save sd", level(nil))
    holds("save sd", level "directory")
    holds("save s", level "fsync")
    holds("save -", level "rename")
    breaks("save s", level(nil), "the directory .* was not synced after the rename.*\nrename")
    breaks("save d", level "fsync", "its data was not synced before the rename.*\nwrite%(3<.*/file.new>.*\nrename")
    breaks("save swd", level "fsync", "its data was not synced.*\nwrite%(3<[^\n]*more")
    breaks("save isd", level "rename", 'it was written in place.*\nwrite%(3<.*/file>, "new\\n"')
    breaks("leak -", level "rename", "it was never written")
  end)

  it("durable_before: nothing is said before it is true", function()
    holds("save s", function(t) t.durable_before "exit" end)
    breaks("save -", function(t) t.durable_before "exit" end, "/file was not synced\nwrite.*\nexit_group")
    breaks("save s", function(t) t.durable_before("exit", { names = true }) end, "a name in .* was not synced")
    holds("save sd", function(t) t.durable_before("exit", { names = true }) end)
    holds("save sw", function(t) t.durable_before("exit", { path = "*.db" }) end)
    breaks("save -", function(t) t.durable_before({ "rename", path = "file" }) end, "file.new was not synced")
    breaks("save s", function(t) t.durable_before("connect") end, "the event never happened")
  end)

  it("no_fd_leaks", function()
    holds("leak not", function(t) t.no_fd_leaks() end)
    holds("leak really", function(t) t.no_fd_leaks { allow = "/dev/zero" } end)
    breaks("leak really", function(t) t.no_fd_leaks() end, "1 descriptor was never closed\nopenat%(.*\"/dev/zero\"")
  end)

  it("no_bad_pointers", function()
    holds("pointer good", function(t) t.no_bad_pointers() end)
    breaks("pointer bad", function(t) t.no_bad_pointers() end, "a call was given a bad pointer\nstat%(0x10, ")
  end)

  it("no_ignored_errors", function()
    holds("full heed", function(t) t.no_ignored_errors() end)
    breaks("full ignore", function(t) t.no_ignored_errors() end, "an error was ignored\nwrite%(3</dev/full>.*ENOSPC")
    breaks("save s", function(t)
      t.on.close(function(call) if call.fd.path:find("file.new", 1, true) then call:fail "EIO" end end)
      t.no_ignored_errors()
    end, "an error was ignored\nclose")
    holds("save s", function(t)
      t.on.fsync(function(call) call:fail "EIO" end)
      t.no_ignored_errors()
    end)
  end)

  it("no_zombies", function()
    holds("child wait", function(t) t.no_zombies() end)
    breaks("child forget", function(t) t.no_zombies() end, "1 child was never waited for\nexit_group%(0%)")
  end)

  it("cloexec_everywhere", function()
    holds("bare flag", function(t) t.cloexec_everywhere() end)
    holds("bare fcntl", function(t) t.cloexec_everywhere() end)
    breaks("bare fcntl", function(t) t.cloexec_everywhere { strict = true } end, "1 descriptor is not.*\nopenat")
    breaks("bare bare", function(t) t.cloexec_everywhere() end,
      "3 descriptors are not closed by an exec\nopenat.*\npipe2")
    holds("bare bare", function(t) t.cloexec_everywhere { allow = { "/dev/*", "pipe*" } } end)
  end)

  it("max_calls", function()
    holds("save sd", function(t) t.max_calls { fsync = 2, ["%network"] = 0 } end)
    breaks("save sd", function(t) t.max_calls { fsync = 1 } end, "2 calls of fsync, not at most 1")
  end)

  it("only_paths", function()
    holds("save sd", function(t) t.only_paths { "%libraries", directory } end)
    holds("save s", function(t) t.only_paths { "%libraries", directory, write = { "*/file", "*/file.new" } } end)
    breaks("save s", function(t) t.only_paths { "%libraries", directory, write = { "*/file" } } end,
      "other files were named 2 times\nopenat%(.*file.new")
    breaks("leak really", function(t) t.only_paths { "%libraries", directory } end, "another file.*\nopenat.*/dev/zero")
    -- Where the loader looks because it was told to.
    local result = support.run { lua = 'only_paths { "%libraries" }', cmd = { "true" },
      env = { LD_LIBRARY_PATH = "/nowhere/lib/" } }
    assert.same({ 0, "" }, { result.status, result.stderr })
  end)

  it("no_network", function()
    for _, way in ipairs { "none", "unix" } do holds("network " .. way, function(t) t.no_network() end) end
    holds("network loopback", function(t) t.no_network { loopback = true } end)
    breaks("network loopback", function(t) t.no_network() end, "the network was used\nconnect%(.*127.0.0.1")
    breaks("network abroad", function(t) t.no_network { loopback = true } end, "connect%(.*192.0.2.1")
    breaks("network sendmsg", function(t) t.no_network() end, "sendmsg%(")
  end)

  it("no_network: in 32-bit programs' socketcall, too", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    local run = luatrace.run { cmd = { support.tracee("promises", { m32 = true }), "network", "socketcall" },
      check = false, script = function(t) t.no_network() end }
    assert.matches("the network was used", tostring(run.failures[1]))
  end)

  it("take stacks where a where-table asks for them", function()
    holds("save s", function(t) t.expect("write", { stack = "save" }) end)
    holds("save s", function(t) t.never("write", { stack = "no_such_function" }) end)
  end)

  it("say so where no frame of the program has a name: never would hold without a word", function()
    local stripped = support.tracee("ops", { flags = "-s" })
    local function run(lua, program)
      return support.run { lua = lua, cmd = { program or stripped, "unlink:/nowhere" }, cwd = directory,
        options = { "--report=json:report.json" } }
    end
    local why = ("on the stacks of its call no frame of %s has a name (a program without symbols?)"):format(stripped)
    local never = 'never("unlink", { stack = "main" })'
    local vain = run(never)
    assert.equal(0, vain.status)
    assert.equal(("luatrace: (--lua):1: %s has met no call: %s\n"):format(never, why), vain.stderr)
    assert.matches('"why_never":"on the stacks', support.read(directory .. "/report.json"))
    local expected = run 'expect("unlink", { stack = "main" })'
    assert.equal(123, expected.status)
    assert.matches("has met no call", expected.stderr)
    -- Modules have names; so has a program that is not stripped; one that was not asked knows nothing.
    assert.equal("", run('never("unlink", { stack = "libother.so*" })').stderr)
    assert.equal("", run('never("unlink", { stack = "other" })', support.tracee "ops").stderr)
    assert.equal("", run('never("unlink", { stack = "main", path = "/elsewhere" })').stderr)
  end)

  it("are about no program where a script that runs its own states them outside of its runs", function()
    for lua, said in pairs {
      ['run { cmd = { "true" }, script = function(t) never("connect") end }'] = 'never("connect")',
      ['fail("read", "EIO") run { cmd = { "true" } }'] = 'fail("read", "EIO")',
      ['on.read(function() end) run { cmd = { "true" } }'] = 'on["read"]',
    } do
      local result = support.run { lua = lua }
      assert.equal(125, result.status)
      assert.equal(1, (result.stderr:find("luatrace: (--lua):1: " .. said .. " is about no program: ", 1, true)))
    end
    -- With a command they are about that.
    assert.equal(0, support.run({ lua = 'never("connect") run { cmd = { "true" } }', cmd = { "true" } }).status)
  end)

  it("are not kept by a program that had to be killed", function()
    local run = luatrace.run { cmd = { "sleep", "1000" }, timeout = 0.1, check = false,
      script = function(t) t.never "connect" end }
    assert.matches("^spec/expect_spec.lua:%d+: luatrace.run: the program was killed: it took longer than 0.1 s$",
      tostring(run.failures[1]))
  end)

  it("traps only the calls that are named", function()
    local run = luatrace.run { cmd = { "cat", "/etc/hostname" }, script = function(t) t.never("connect") end }
    assert.equal(0, run.calls.openat.count)
    local explained = support.run { options = { "--explain" }, lua = 'never("connect")', cmd = { "true" } }.stdout
    assert.matches('connect +stop%-?%a* +never%("connect"%) at %(%-%-lua%):1', explained)
    assert.is_nil(explained:find("openat", 1, true))
  end)

  describe("golden", function()
    local file
    --- A test in a file of its own, as the golden trace's path is told by where the test is.
    local function compared(words, update)
      local chunk = assert(loadfile(directory .. "/test.lua"))
      support.write(directory .. "/cwd/.keep", "")
      local golden = luatrace.golden
      golden.update = update
      local text = failures_of(words, chunk(), { cwd = directory .. "/cwd" })
      golden.update = false
      return text
    end
    before_each(function()
      file = directory .. "/some.trace"
      assert(os.execute("mkdir " .. directory .. "/cwd") == 0)
      support.write(directory .. "/test.lua",
        'return function(t) t.expect.golden("some.trace", "openat,write,unlink,rename,close") end')
    end)

    it("is the same over 50 runs of a program with threads", function()
      assert.equal("", compared("threads 4", true))
      local written = support.read(file)
      assert.matches("^# luatrace golden trace, version 1\n# calls: openat,write,unlink,rename,close\n== P1t1\n",
        written)
      assert.matches('== P1t4\nopenat%(AT_FDCWD, "tmpTMP1@P1t4", ', written)
      for _ = 1, 50 do assert.equal("", compared("threads 4")) end
    end)

    it("shows what has become different", function()
      compared("save s", true)
      assert.equal("", compared("save s"))
      local text = compared("save sw")
      assert.matches('test.lua:1: golden%("some.trace", .*%): the run is not that of', text)
      assert.matches('\n     write%(fd3, "new\\n", 4%) = 4\n' ..
        '    %+write%(fd3, "more\\n", 5%) = 5\n     close%(fd3%) = 0\n',
        text)
    end)

    it("says what is wrong with a file", function()
      local function said() return error_of(compared, "save s") end
      assert.matches("test.lua:1: golden: there is no file .*some.trace %(%-%-update%-golden", said())
      support.write(file, "# luatrace golden trace, version 9\n")
      assert.matches("test.lua:1: golden: .*some.trace is of version 9; this luatrace writes version 1", said())
      support.write(file, "something\n")
      assert.matches("is no golden trace", said())
      support.write(file, "# luatrace golden trace, version 1\n# calls: write\n")
      assert.matches("was made for the calls write, not for openat,", said())
    end)
  end)

  describe("of a recorded run", function()
    it("are asked when it is over", function()
      local run = luatrace.run { cmd = { promises, "save", "sd" }, cwd = directory }
      run:expect("fsync"):exactly(2):check()
      run:atomic_write("file"):check()
      run:sequence({ "write $f", "fsync $f" }):check()
      assert.holds(run:expect("fsync"):before("rename"))
      assert.does_not.hold(run:never("rename"))
      assert.matches('never%("rename"%): it happened\n    rename%(', error_of(assert.holds, run:never("rename")))
      assert.matches("it holds", error_of(assert.does_not.hold, run:expect("rename")))
      assert.matches("no_fd_leaks looks at the program while it runs", error_of(run.no_fd_leaks, run))
      run = luatrace.run { cmd = { "true" }, record = "openat" }
      assert.matches("connect was not recorded", error_of(function() run:never("connect"):check() end))
    end)

    it("are printed as the test wrote them", function()
      local run = luatrace.run { cmd = { "true" }, script = function(t)
        assert.matches('expect_spec.lua:%d+: never%("connect", { fd = 3 }%)$', tostring(t.never("connect", { fd = 3 })))
        assert.matches('expect_spec.lua:%d+: expect%("fsync"%):at_most%(2%)$', tostring(t.expect("fsync"):at_most(2)))
      end }
      assert.matches('expect_spec.lua:%d+: expect%("fsync"%):exactly%(2%)$', tostring(run:expect("fsync"):exactly(2)))
      assert.matches("expect_spec.lua:%d+: atomic_write%(\"file\"%)$", tostring(run:atomic_write "file"))
    end)

    it("fail a test of busted as assertions do, with the report", function()
      support.write(directory .. "/x_spec.lua", ([[
local luatrace = assert(package.loadlib(%q, "luaopen_luatrace"))("luatrace")
describe("a program", function()
  it("keeps it", function() luatrace.run { cmd = { "true" }, script = function(t) t.never "connect" end } end)
  it("breaks it", function()
    luatrace.run { cmd = { "true" }, script = function(t)
      t.never "openat"
    end }
  end)
end)
]]):format(os.getenv("LUATRACE_SO") or support.root .. "/build/luatrace.so"))
      local result = support.execute { words = { "busted", "--lua=luajit", "-o", "plainTerminal", "x_spec.lua" },
        cwd = directory }
      assert.matches("1 success / 1 failure / 0 errors", result.stdout)
      assert.matches('x_spec.lua:6: never%("openat"%): it happened %d+ times\n    openat%(', result.stdout)
    end)
  end)

  it("are skipped, with the reason, where tracing is not allowed", function()
    -- As in a container without ptrace: what strace traces already cannot be traced again.
    local function untraceable(words)
      local all = { "strace", "-f", "-qq", "-e", "trace=none", "-e", "signal=none", "-o", "/dev/null", "--" }
      for _, word in ipairs(words) do all[#all + 1] = word end
      -- The sanitizers' build cannot look for leaks when it is traced itself.
      return support.execute { words = all, cwd = directory, env = { ASAN_OPTIONS = "detect_leaks=0" } }
    end
    support.write(directory .. "/x_spec.lua", ([[
local luatrace = assert(package.loadlib(%q, "luaopen_luatrace"))("luatrace")
it("keeps it", function() luatrace.run { cmd = { "true" }, script = function(t) t.never "connect" end } end)
]]):format(os.getenv("LUATRACE_SO") or support.root .. "/build/luatrace.so"))
    local tested = untraceable { "busted", "--lua=luajit", "-o", "plainTerminal", "x_spec.lua" }
    assert.matches("0 successes / 0 failures / 0 errors / 1 pending", tested.stdout)
    assert.matches("x_spec.lua:2: cannot run true: tracing is not allowed here", tested.stdout)
    local command = untraceable { support.binary, "--report=tap", "--lua", 'never "connect"', "--", "true" }
    assert.equal(125, command.status)
    assert.matches("^TAP version 13\n1%.%.0 # SKIP cannot trace the program", command.stdout)
    local script = untraceable { support.binary, "--report=junit", "--lua", 'run { cmd = { "true" } }' }
    assert.matches('skipped="1".*<skipped message="[^\n]*tracing is not allowed here', script.stdout)
  end)

  it("name the test's line when they can never hold or are misspelt", function()
    assert.matches("expect_spec.lua:%d+: never: there is no call \"conect\" %(did you mean connect%?%)",
      mistake(function(t) t.never "conect" end))
    assert.matches("expect_spec.lua:%d+: .* can never hold: at least 3 and at most 2",
      mistake(function(t) t.expect("write"):at_least(3):at_most(2) end))
    assert.matches("can never hold: write before itself", mistake(function(t) t.expect("write"):before("write") end))
    assert.matches("never: there is no pat %(did you mean path",
      mistake(function(t) t.never("write", { pat = "x" }) end))
    assert.matches("with_result takes .*, not \"EBAD1\"",
      mistake(function(t) t.expect("write"):with_result "EBAD1" end))
    assert.matches("atomic_write has no option lvl: it takes level",
      mistake(function(t) t.atomic_write("x", { lvl = 1 }) end))
    assert.matches('level is "rename", "fsync" or "directory", not 3',
      mistake(function(t) t.atomic_write("x", { level = 3 }) end))
    assert.matches("sequence: step 2: after the call come variables such as %$f, not \"f\"",
      mistake(function(t) t.sequence { "write $f", "fsync f" } end))
    assert.matches("max_calls: write takes a number", mistake(function(t) t.max_calls { write = "many" } end))
    assert.matches("there is no expect.nevr", mistake(function(t) t.expect.nevr("write") end))
  end)

  describe("in scripts", function()
    local function script(code, cmd, options)
      return support.run { lua = code, cmd = cmd or { promises, "save", "s" }, options = options, cwd = directory }
    end

    it("end luatrace with 123 and a report", function()
      local result = script 'atomic_write "file"\nnever "connect"'
      assert.equal(123, result.status)
      assert.matches('^%(%-%-lua%):1: atomic_write%("file"%): the directory .*\n    rename%(' ..
        '"file.new", "file"%) = 0  ' ..
        "%[promises, pid %d+%]\n        at save%+.*\nluatrace: 1 of 2 expectations failed\n$", result.stderr)
      assert.equal(0, script('never "connect"').status)
      assert.equal(3, script('never "connect"', { "sh", "-c", "exit 3" }).status)
      assert.equal(123, script('never "openat"', { "sh", "-c", "exit 3" }).status)
    end)

    it("hold without a command in tests that run their programs themselves", function()
      support.write(directory .. "/tests.lua", [[
local r = run { cmd = { "echo", "hello" }, script = function(t) t.never "connect" end }
print(r.stdout)
run { cmd = { "true" }, script = function(t) t.never(arg[1]) end }
]])
      local function tests(calls)
        return support.execute { words = { support.binary, "tests.lua", calls }, cwd = directory }
      end
      assert.equal(0, tests("connect").status)
      assert.equal("hello\n\n", tests("connect").stdout)
      local bad = tests("openat")
      assert.equal(123, bad.status)
      assert.matches('tests.lua:3: never%("openat"%): it happened', bad.stderr)
    end)

    it("are reported as TAP, JUnit and JSON", function()
      local code = 'never "connect"\nnever "rename"'
      local tap = script(code, nil, { "--report=tap" })
      assert.equal(123, tap.status)
      assert.matches('^TAP version 13\n1%.%.2\nok 1 %- never%("connect"%) %(%(%-%-lua%):1%)\nnot ok 2 %- never',
        tap.stdout)
      assert.equal(123, script(code, nil, { "--report=junit:result.xml" }).status)
      local checked = support.native { cmd = { support.python, "-c", [[
import xml.etree.ElementTree as tree, json, sys
suite = tree.parse("result.xml").getroot()
print(suite.get("tests"), suite.get("failures"), [(c.get("line"), c.find("failure") is not None) for c in suite])
]] }, cwd = directory }
      assert.equal("2 1 [('1', False), ('2', True)]\n", checked.stdout)
      assert.equal(123, script(code, nil, { "--report=json:result.json" }).status)
      checked = support.native { cmd = { support.python, "-c", [=[
import json
report = json.load(open("result.json"))
print([e["ok"] for e in report["expectations"]], report["expectations"][1]["calls"][0]["text"])
]=] }, cwd = directory }
      assert.equal('[True, False] rename("file.new", "file") = 0\n', checked.stdout)
      local bad = script(code, nil, { "--report=junit:/nonexistent/x" })
      assert.equal(125, bad.status)
      assert.matches("the report could not be written: /nonexistent/x", bad.stderr)
      assert.matches("%-%-report takes tap, junit:FILE or json:FILE", script(code, nil, { "--report=xml" }).stderr)
    end)

    it("write golden files with --update-golden", function()
      support.write(directory .. "/g.lua", 'golden("g.trace", "rename,fsync")')
      local function run(...)
        return support.run { script = "g.lua", cmd = { promises, "save", "s" }, options = { ... }, cwd = directory }
      end
      assert.matches("there is no file g.trace", run().stderr)
      assert.equal(0, run("--update-golden").status)
      assert.matches('\nfsync%(fd3%) = 0\nrename%("file.new", "file"%) = 0\n$', support.read(directory .. "/g.trace"))
      assert.equal(0, run().status)
    end)
  end)
end)
