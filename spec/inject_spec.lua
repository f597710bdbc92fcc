-- --inject and -e inject=: strace's grammar with strace's meaning, luatrace's conditions in the same expression, and
-- the log of decisions. What strace can do is compared with strace.

local support = require "spec.support"

describe("--inject", function()
  local ops, directory

  setup(function() ops = support.tracee("ops") end)
  before_each(function()
    directory = support.tempdir()
    support.write(directory .. "/data", "0123456789")
  end)
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  local function command(words)
    local list = { ops }
    for _, word in ipairs(words) do list[#list + 1] = word end
    return list
  end

  --- The same options and program under strace and under luatrace: what the program says and what is printed.
  local function both(options, words)
    local with = { "-e", "trace=unlink,fsync,pipe,pipe2", "-e", "quiet=attach" }
    for _, option in ipairs(options) do
      with[#with + 1] = "-e"
      with[#with + 1] = option
    end
    local theirs = support.strace { options = with, cmd = command(words) }
    local file = directory .. "/trace"
    local mine = { "-o", file, "--no-follow", "--any-errno" }
    for _, option in ipairs(with) do mine[#mine + 1] = option end
    local ours = support.run { options = mine, cmd = command(words) }
    assert.equal(theirs.stdout, ours.stdout)
    assert.equal(theirs.status, ours.status)
    -- A signal from tgkill says so; strace's comes out of nowhere.
    local function plain(text) return (text:gsub("(%-%-%- SIG%w+ ).-\n", "%1\n")) end
    assert.equal(plain(theirs.trace), plain(assert(support.read(file))))
    return ours.stdout, theirs.trace
  end

  local unlinks = { "repeat:6", "unlink:/nowhere" }

  it("errors, results, when=, as strace has them", function()
    for _, expression in ipairs { "error=EPERM", "retval=0", "retval=7", "error=EPERM:when=2", "error=eperm:when=2..4",
      "error=EPERM:when=3+", "error=EPERM:when=1+2", "error=EPERM:when=2..5+2", "error=13" } do
      local said, trace = both({ "inject=unlink:" .. expression }, unlinks)
      assert.matches("INJECTED", trace, expression)
      assert.is_truthy(said)
    end
  end)

  it("delays and pokes", function()
    both({ "inject=unlink:delay_enter=100" }, unlinks)
    both({ "inject=unlink:delay_exit=2ms:when=3" }, unlinks)
    both({ "inject=unlink:error=EIO:delay_enter=10us:delay_exit=10us" }, unlinks)
    both({ "inject=unlink:poke_enter=@arg1=2f61" }, { "unlink:/nowhere" })
    both({ "inject=unlink:retval=3:poke_enter=@arg1=2f61" }, { "unlink:/nowhere" })
    both({ "inject=unlink:poke_exit=@arg1=2f62" }, { "unlink:/nowhere", "unlink:/nowhere" })
  end)

  it("signals, and another call in its place", function()
    both({ "inject=unlink:signal=SIGCHLD" }, { "unlink:/nowhere" })
    both({ "inject=unlink:signal=CHLD:error=EIO:when=2" }, unlinks)
    both({ "inject=unlink:retval=5:syscall=getuid" }, unlinks)
    both({ "inject=unlink:error=EIO:syscall=getuid:when=2" }, unlinks)
  end)

  it("fault=, several expressions, of which the last counts, sets and classes", function()
    both({ "fault=unlink" }, unlinks)
    both({ "fault=unlink:error=EIO:when=2" }, unlinks)
    both({ "inject=unlink:error=EIO", "inject=unlink:error=EPERM:when=2" }, unlinks)
    both({ "inject=unlink,fsync:error=EIO:when=2" }, { "fsync:1", "unlink:/nowhere", "fsync:1", "unlink:/nowhere" })
    both({ "inject=/^unlink$:error=EIO" }, unlinks)
  end)

  it("counts by thread", function()
    local result = support.run { options = { "--inject=unlink:error=EPERM:when=2" }, lua = "",
      cmd = command { "fork:2", "repeat:3", "unlink:/nowhere" } }
    local once = "unlink -1 ENOENT\nunlink -1 EPERM\nunlink -1 ENOENT\n"
    assert.equal(once .. once, result.stdout)
  end)

  it("conditions: in brackets and behind colons", function()
    local path = directory .. "/data"
    local function said(expression)
      local result = support.run { options = { "--inject=" .. expression }, lua = "",
        cmd = command { "unlink:/nowhere", "unlink:" .. path } }
      support.write(path, "0123456789")
      return (result.stdout:gsub("unlink ", ""):gsub("\n", " "))
    end
    assert.equal("-1 ENOENT -1 EROFS ", said "unlink(path=data):error=EROFS")
    assert.equal("-1 ENOENT -1 EROFS ", said "unlink:path=/tmp/**:error=EROFS")
    assert.equal("-1 EROFS 0 ", said "unlink:error=EROFS:errno=ENOENT")
    assert.equal("-1 ENOENT -1 EROFS ", said "unlink(errno!=ENOENT):error=EROFS")
    assert.equal("-1 EROFS 0 ", said "unlink:error=EROFS:nth=1:scope=tree")
    assert.equal("-1 ENOENT 77 ", said "unlink:retval=77:execute:ret=0")
  end)

  it("kill, short and corrupt", function()
    local result = support.run { options = { "--inject=unlink:kill:when=2" }, lua = "",
      cmd = command { "unlink:/nowhere", "unlink:" .. directory .. "/data" } }
    assert.equal(9, result.signal)
    assert.equal("0123456789", support.read(directory .. "/data"))
    result = support.run { options = { "--inject=read(path=data):short=4:corrupt=1" }, lua = "",
      cmd = command { "open:" .. directory .. "/data", "read:3:10" } }
    assert.matches("^open 3\nread 4\n  ....\n$", result.stdout)
    assert.is_nil(result.stdout:find("0123", 1, true))
  end)

  it("a script prints nothing but what it prints, injections or not", function()
    local result = support.run { options = { "--inject=unlink:error=EIO" }, lua = "", cmd = command { "unlink:/x" } }
    assert.equal("", result.stderr)
    assert.equal("unlink -1 EIO\n", result.stdout)
  end)

  it("called as strace, any error goes", function()
    local link = directory .. "/strace"
    require("posix.unistd").link(support.binary, link, true)
    local result = support.execute { words = { link, "-o", "/dev/null", "-e", "inject=unlink:error=EPIPE", ops,
      "unlink:/x" } }
    assert.equal("unlink -1 EPIPE\n", result.stdout)
  end)

  describe("refuses", function()
    local function refused(expression, pattern)
      local result = support.run { options = { "-e", expression }, cmd = { "true" } }
      assert.equal(125, result.status, expression)
      assert.matches(pattern, result.stderr)
      assert.equal(1, select(2, result.stderr:gsub("\n", "")))
    end

    it("what means nothing", function()
      refused("inject=unlink", "it says nothing to inject: error=, retval=")
      refused("inject=unlnk:error=EIO", 'there is no call "unlnk" %(did you mean unlink')
      refused("inject=unlink:error=EOI", "error= takes an error such as ENOSPC")
      refused("inject=unlink:error=EIO:retval=1", "give error or retval, not both")
      refused("inject=unlink:syscall=getuid", "it needs error= or retval=")
      refused("inject=unlink:error=EIO:when=0", "counting starts at 1")
      refused("inject=unlink:error=EIO:when=x", "when= takes a count")
      refused("inject=unlink:delay_enter=soon", "delay_enter= takes a time")
      refused("inject=unlink:poke_enter=@arg7=00", "poke_enter= takes @argN=HEX")
      refused("inject=unlink:poke_enter=@arg1=0", "an even number of hexadecimal digits")
      refused("inject=unlink:syscall=unlink", "a call that changes nothing")
      refused("inject=unlink:error=EIO:colour=red", "there is no argument colour: there are pathname")
      refused("inject=unlink(path=x:error=EIO", "a bracket is not closed")
      refused("inject=getpid:error=EIO", "getpid never fails")
      refused("inject=unlink:error=EPIPE", "unlink cannot fail with EPIPE; it can with EACCES")
      refused("trace=openat(flags=O_CRAET)", "O_CRAET is none of its flags")
      refused("trace=!openat(path=x)", "! takes calls without conditions")
    end)
  end)

  describe("-e trace= with conditions", function()
    local function traced(expression, words)
      local result = support.run { options = { "-e", expression, "-e", "quiet=exit" }, cmd = command(words) }
      assert.equal(0, result.status)
      return result.stderr
    end

    it("shows the calls for which they hold", function()
      local path = directory .. "/data"
      local words = { "open:" .. path, "creat:" .. directory .. "/new", "write:3:abc", "write:4:abcdef", "unlink:/x" }
      assert.matches('^openat%(AT_FDCWD, "/tmp/[%w-]+/new", O_RDWR|O_CREAT|O_TRUNC, 0644%) = 4\n$',
        traced("openat(flags=O_CREAT)", words))
      assert.equal('write(4, "abcdef", 6)                   = 6\n', traced("write(count>3)", words))
      assert.equal('write(3, "abc", 3)                      = 3\n', traced("write(path=dat?)", words))
      assert.equal('write(3, "abc", 3)                      = 3\n', traced('write(buf="^abc$")', words))
      assert.equal('unlink("/x")                            = -1 ENOENT (No such file or directory)\n',
        traced("unlink,write(count>99)", words))
      assert.equal('unlink("/x")                            = -1 ENOENT (No such file or directory)\n',
        traced("unlink(errno=ENOENT),unlink(errno=EPERM)", words))
      assert.equal("", traced("unlink(errno!=ENOENT)", words))
      assert.equal('write(4, "abcdef", 6)                   = 6\n', traced("write(nth=2)", words))
    end)

    it("a script's trace rules choose as well", function()
      local result = support.run { lua = 'trace("unlink", { path = "/x" })',
        cmd = command { "unlink:/x", "unlink:/y" } }
      assert.matches('^unlink%("/x"%) += %-1 ENOENT %(No such file or directory%)\n%+%+%+ exited with 0 %+%+%+\n$',
        result.stderr)
    end)

    it("-P takes patterns as well", function()
      local result = support.run { options = { "-P", "/x*", "-e", "quiet=exit" }, cmd = command { "unlink:/xy",
        "unlink:/y" } }
      assert.equal('unlink("/xy")                           = -1 ENOENT (No such file or directory)\n', result.stderr)
    end)

    it("works for JSON, too", function()
      local result = support.run { options = { "-e", "unlink(errno=ENOENT)", "--format=json" },
        cmd = command { "unlink:/x", "unlink:" .. directory .. "/data" } }
      local _, calls = result.stderr:gsub('"type":"call"', "")
      assert.equal(1, calls)
    end)
  end)

  describe("decisions", function()
    local words = { "pipe", "fork:3", "repeat:20", "write:4:x" }
    local lua = 'fail("write", { "EPIPE", "EINTR" }, { fd = "pipe", prob = 0.3 }) short("read", nil, { prob = 0.5 })'

    it("are logged and replayed, with another seed", function()
      local log, again = directory .. "/log", directory .. "/again"
      local first = support.run { lua = lua, cmd = command(words),
        options = { "--seed=11", "--log-decisions=" .. log } }
      local other = support.run { lua = lua, options = { "--seed=12" }, cmd = command(words) }
      assert.are_not.equal(first.stdout, other.stdout)
      local second = support.run { lua = lua, cmd = command(words),
        options = { "--seed=12", "--replay-decisions=" .. log, "--log-decisions=" .. again } }
      assert.equal(first.stdout, second.stdout)
      assert.equal("", second.stderr)
      assert.equal(support.read(log), support.read(again))
      assert.matches("^# luatrace decisions 1\n1\t0%.0\t0\twrite\t", support.read(log))
    end)

    it("that are not reached are said", function()
      local log = directory .. "/log"
      support.run { lua = lua, options = { "--seed=11", "--log-decisions=" .. log }, cmd = command(words) }
      local result = support.run { lua = lua, options = { "--replay-decisions=" .. log }, cmd = command { "pipe" } }
      assert.matches("decisions in .*log were not reached: this run went another way", result.stderr)
    end)

    it("go with the script that made them, and with a log", function()
      local log = directory .. "/log"
      support.run { lua = lua, options = { "--seed=11", "--log-decisions=" .. log }, cmd = command(words) }
      local result = support.run { lua = 'fail("write", "EIO")', options = { "--replay-decisions=" .. log },
        cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches("log:%d+: it was written with the rule fail", result.stderr)
      result = support.run { lua = lua, options = { "--replay-decisions=" .. directory .. "/data" }, cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches("is no log of decisions", result.stderr)
      result = support.run { lua = lua, options = { "--log-decisions=/nowhere/x" }, cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches("cannot write the decisions", result.stderr)
    end)
  end)
end)
