-- Rules: verbs, where-predicates, order, refusals. The program is spec/tracees/ops.c, which says what each of its calls
-- has returned: what it says is what counts.

local support = require "spec.support"

local ops

--- What the program says of its calls under these rules.
local function said(lua, words, options)
  local command = { ops }
  for _, word in ipairs(words) do command[#command + 1] = word end
  local result = support.run { lua = lua, cmd = command, options = options }
  -- What count says at the end is no complaint.
  assert.equal("", (result.stderr:gsub("luatrace: count%b(): %d+\n", "")))
  return result.stdout, result
end

describe("rules", function()
  local directory

  setup(function() ops = support.tracee("ops") end)
  before_each(function()
    directory = support.tempdir()
    support.write(directory .. "/data", "0123456789")
    support.write(directory .. "/other.o", "abcdefghij")
  end)
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  describe("verbs", function()
    it("fail: the call does not happen", function()
      assert.equal("unlink -1 EBUSY\n", (said('fail("unlink", "EBUSY")', { "unlink:" .. directory .. "/data" })))
      assert.equal("0123456789", support.read(directory .. "/data"))
    end)

    it("fail with close executes, then lies", function()
      assert.equal("open 3\nclose -1 EIO\nopen 3\n", (said('fail("close", "EIO", { path = "data" })',
        { "open:" .. directory .. "/data", "close:3", "open:" .. directory .. "/data" })))
    end)

    it("fail with execute = true lies about what happened", function()
      assert.equal("unlink -1 EIO\nunlink -1 ENOENT\n", (said('fail("unlink", "EIO", { execute = true, nth = 1 })',
        { "unlink:" .. directory .. "/data", "unlink:" .. directory .. "/data" })))
    end)

    it("returns", function()
      assert.equal("unlink 0\n", (said('returns("unlink", 0)', { "unlink:" .. directory .. "/data" })))
      assert.equal("0123456789", support.read(directory .. "/data"))
    end)

    it("kill before and after the call", function()
      local path = directory .. "/data"
      local result = support.run { lua = 'kill("unlink", { nth = 1 })', cmd = { ops, "unlink:" .. path } }
      assert.equal(9, result.signal)
      assert.equal("0123456789", support.read(path))
      result = support.run { lua = 'kill("unlink", "SIGTERM", { at = "exit" })', cmd = { ops, "unlink:" .. path } }
      assert.equal(15, result.signal)
      assert.is_nil(support.read(path))
    end)

    it("short: reads, writes, vectors and messages, with the file position right", function()
      local data = "open:" .. directory .. "/data"
      assert.equal("open 3\nread 3\n  012\nread 3\n  345\n", (said('short("read", 3, { fd = "file" })',
        { data, "read:3:10", "read:3:10" })))
      assert.equal("open 3\nread 5\n  01234\n", (said('short("read", 0.5, { fd = "file" })', { data, "read:3:10" })))
      assert.equal("open 3\nreadv 4\n  01 23\n", (said('short("readv", 4)', { data, "readv:3:8" })))
      assert.equal("pipe 0\nwritev 5\nread 5\n  abcde\n", (said('short("writev", 5)',
        { "pipe", "writev:4:abc:defg", "read:3:100" })))
      assert.equal("socketpair 0\nsend 2\nread 2\n  ab\n", (said('short("sendmsg", 2)',
        { "socketpair", "send:3:abcdef", "read:4:100" })))
    end)

    it("corrupt: what is read, what is written", function()
      local data = "open:" .. directory .. "/data"
      assert.equal("open 3\nread 5\n  XY234\n", (said('corrupt("read", "XY", { path = "data" })', { data,
        "read:3:5" })))
      assert.equal("pipe 0\nwrite 3\nread 3\n  ABC\n", (said(
        'corrupt("write", function(bytes) return bytes:upper() end, { fd = "pipe" })',
        { "pipe", "write:4:abc", "read:3:9" })))
      -- One bit, by chance: the seed decides which.
      local lua = 'corrupt("read", 1, { path = "data" })'
      local first = said(lua, { data, "read:3:9" }, { "--seed=5" })
      assert.equal(first, (said(lua, { data, "read:3:9" }, { "--seed=5" })))
      assert.are_not.equal("open 3\nread 9\n  012345678\n", first)
    end)

    it("signal", function()
      local result = support.run { lua = 'signal("unlink", "SIGUSR1")', cmd = { ops, "unlink:/nowhere" } }
      assert.equal(10, result.signal)
    end)

    it("delay holds the thread, in front of the call or behind it", function()
      local out = said([[
        delay("unlink", "30ms")
        delay("unlink", { 0.01, 0.02 }, { at = "exit" })
        on.unlink(function(call) call:run() end)
        at.finish(function(run) print(run.time >= 0.04) end)]], { "unlink:/nowhere" })
      assert.equal("unlink -1 ENOENT\ntrue\n", out)
    end)

    it("count says how often", function()
      local result = support.run { lua = 'count("write", { fd = "pipe" })',
        cmd = { ops, "pipe", "repeat:3", "write:4:x", "unlink:/nowhere" } }
      assert.equal('luatrace: count("write", { fd = "pipe" }): 3\n', result.stderr)
    end)

    it("hold until another rule fires", function()
      -- Two children at once would be needed to see it wait; here the second thread of a shell's pipe lets it go.
      local result = support.run { lua = [[
        local opened = count("openat", { path = "/etc/hostname", name = "opened" })
        hold("unlink", { ["until"] = opened })]],
        cmd = { "sh", "-c", "rm " .. directory .. "/data & cat /etc/hostname >/dev/null; wait" } }
      assert.equal(0, result.status)
      assert.is_nil(support.read(directory .. "/data"))
    end)
  end)

  describe("where", function()
    it("path: last component, whole path, any depth, lists, and not", function()
      local words = { "open:" .. directory .. "/data", "open:" .. directory .. "/other.o" }
      local function opened(where)
        return (said('fail("openat", "EMFILE", { path = ' .. where .. ' })', words):gsub("%d\n", "ok\n"))
      end
      assert.equal("open ok\nopen -1 EMFILE\n", opened '"*.o"')
      assert.equal("open -1 EMFILE\nopen ok\n", opened('"' .. directory .. '/data"'))
      assert.equal("open -1 EMFILE\nopen -1 EMFILE\n", opened '"/tmp/**"')
      assert.equal("open -1 EMFILE\nopen ok\n", opened '{ "nothing", "d[a-b]t?" }')
      assert.equal("open ok\nopen -1 EMFILE\n", opened('"*.{c,o}"'))
      assert.equal("open ok\nopen -1 EMFILE\n", opened('{ "!{/lib/**,/etc/**,/usr/**,*/data}" }'))
    end)

    it("path of a descriptor, and relative to a directory", function()
      assert.equal("open 3\nwrite -1 ENOSPC\n", (said('fail("write", "ENOSPC", { path = "data" })',
        { "open:" .. directory .. "/data", "write:3:x" })))
      assert.equal("open -1 EIO\n", (said(('fail("openat", "EIO", { path = "%s/data" })'):format(directory),
        { "open:./data" }, { "--chdir=" .. directory })))
    end)

    it("fd: numbers, ranges, kinds", function()
      local words = { "pipe", "open:" .. directory .. "/data", "write:4:a", "write:5:b" }
      local function wrote(where) return (said('fail("write", "EINTR", { fd = ' .. where ..
        ', any_errno = true })', words):gsub("^.-(write)", "%1")) end
      assert.equal("write -1 EINTR\nwrite 1\n", wrote "4")
      assert.equal("write 1\nwrite -1 EINTR\n", wrote '"5.."')
      assert.equal("write -1 EINTR\nwrite 1\n", wrote '"pipe"')
      assert.equal("write 1\nwrite -1 EINTR\n", wrote '"file"')
      assert.equal("write -1 EINTR\nwrite -1 EINTR\n", wrote "{ 4, 5 }")
    end)

    it("arg: numbers, ranges, flags, fields", function()
      local path = directory .. "/data"
      local words = { "open:" .. path, "creat:" .. path, "close:3", "close:4" }
      local function opened(where) return (said('fail("openat", "EMFILE", { path = "data", arg = ' .. where .. ' })',
        words):match("^(.-)close")) end
      assert.equal("open 3\ncreat -1 EMFILE\n", opened '{ flags = "O_CREAT" }')
      assert.equal("open -1 EMFILE\ncreat 3\n", opened '{ flags = "O_RDWR|!O_TRUNC" }')
      assert.equal("open 3\ncreat 4\n", opened '{ flags = "O_WRONLY" }')
      assert.equal("open 3\ncreat -1 EMFILE\n", opened '{ mode = 420 }')
      assert.equal("pipe 0\nwrite 2\nwrite -1 EPIPE\n", (said('fail("write", "EPIPE", { arg = { count = "3..9" } })',
        { "pipe", "write:4:ab", "write:4:abc" })))
    end)

    it("buf: what is written, what was read", function()
      assert.equal("pipe 0\nwrite -1 EPIPE\nwrite 2\n", (said('fail("write", "EPIPE", { buf = "^S%a+e" })',
        { "pipe", "write:4:SQLite", "write:4:no" })))
      assert.equal("pipe 0\nwrite 6\nread -1 EINTR\n", (said('fail("read", "EINTR", { buf = "QL" })',
        { "pipe", "write:4:SQLite", "read:3:20" })))
    end)

    it("errno and ret: what the kernel's own call gave", function()
      assert.equal("unlink -1 EROFS\nunlink 0\n", (said('fail("unlink", "EROFS", { errno = "ENOENT" })',
        { "unlink:/nowhere", "unlink:" .. directory .. "/data" })))
      support.write(directory .. "/data", "")
      assert.equal("unlink -1 EROFS\nunlink 0\n", (said('fail("unlink", "EROFS", { errno = "any" })',
        { "unlink:/nowhere", "unlink:" .. directory .. "/data" })))
      assert.equal("pipe 0\nwrite 3\nread 99\n  abc\n", (said('returns("read", 99, { ret = "3.." })',
        { "pipe", "write:4:abc", "read:3:20" }):gsub("  abc.*$", "  abc\n")))
    end)

    it("nth: counts what all else holds for", function()
      local words = { "pipe", "repeat:6", "write:4:x" }
      local function pattern(nth)
        local out = said('fail("write", "EPIPE", { fd = "pipe", nth = ' .. nth .. ' })', words)
        return (out:gsub("pipe 0\n", ""):gsub("write %-1 EPIPE\n", "x"):gsub("write 1\n", "."))
      end
      assert.equal("..x...", pattern "3")
      assert.equal("..xxxx", pattern '"3.."')
      assert.equal(".xxx..", pattern '"2..4"')
      assert.equal("x.x.x.", pattern '"1..+2"')
      assert.equal(".x..x.", pattern '"2+3"')
    end)

    it("scope: what is counted together", function()
      local words = { "pipe", "fork:2", "repeat:3", "write:4:x" }
      local function pattern(scope)
        local out = said(('fail("write", "EPIPE", { fd = "pipe", nth = 2, scope = "%s" })'):format(scope), words)
        return (out:gsub("pipe 0\n", ""):gsub("write %-1 EPIPE\n", "x"):gsub("write 1\n", "."))
      end
      assert.equal(".x....", pattern "tree")
      assert.equal(".x..x.", pattern "process")
      assert.equal(".x..x.", pattern "thread")
      local out = said('fail("write", "EPIPE", { nth = 2, scope = "fd", fd = "pipe" })',
        { "pipe", "pipe", "write:4:a", "write:6:a", "write:4:a", "write:6:a" })
      assert.equal("pipe 0\npipe 0\nwrite 1\nwrite 1\nwrite -1 EPIPE\nwrite -1 EPIPE\n", out)
    end)

    it("prob comes from the seed", function()
      local words = { "pipe", "repeat:40", "write:4:x" }
      local lua = 'fail("write", "EPIPE", { fd = "pipe", prob = 0.5 })'
      local first = said(lua, words, { "--seed=1" })
      assert.equal(first, (said(lua, words, { "--seed=1" })))
      local _, failed = first:gsub("EPIPE", "")
      assert.is_true(failed > 5 and failed < 35)
    end)

    it("comm, exe, pid", function()
      local function removed(where)
        return support.run { lua = 'fail("unlink,unlinkat", "EPERM", ' .. where .. ')',
          cmd = { "sh", "-c", "rm -f " .. directory .. "/data" } }.stderr
      end
      assert.matches("not permitted", removed '{ comm = "rm" }')
      support.write(directory .. "/data", "")
      assert.equal("", removed '{ comm = "cat" }')
      support.write(directory .. "/data", "")
      assert.matches("not permitted", removed '{ exe = "*/{rm,busybox}" }')
    end)

    it("stack: a function that the call comes from", function()
      assert.equal("unlink -1 EBUSY\n", (said('fail("unlink", "EBUSY", { stack = "do_op" })', { "unlink:/nowhere" })))
      assert.equal("unlink -1 ENOENT\n", (said('fail("unlink", "EBUSY", { stack = "other" })', { "unlink:/nowhere" })))
      assert.equal("unlink -1 EBUSY\n", (said('fail("unlink", "EBUSY", { stack = "ops" })', { "unlink:/nowhere" })))
    end)

    it("after and until another rule", function()
      local words = { "pipe", "write:4:a", "unlink:/nowhere", "write:4:b", "unlink:/nowhere", "write:4:c" }
      assert.equal("pipe 0\nwrite 1\nunlink -1 ENOENT\nwrite -1 EPIPE\nunlink -1 ENOENT\nwrite 1\n", (said([[
        local first = count("unlink", { name = "first", nth = 1 })
        count("unlink", { name = "second", nth = 2 })
        fail("write", "EPIPE", { fd = "pipe", after = first, ["until"] = "second" })
      ]], words)))
    end)

    it("after_startup leaves the dynamic loader alone", function()
      local out = said('fail("openat", "EMFILE", { after_startup = true })', { "open:" .. directory .. "/data" })
      assert.equal("open -1 EMFILE\n", out)
    end)

    it("when is a function", function()
      assert.equal("unlink -1 EPERM\nunlink -1 ENOENT\n", (said(
        'fail("unlink", "EPERM", { when = function(call) return call.pathname == "/a" end })',
        { "unlink:/a", "unlink:/b" })))
    end)
  end)

  it("the first rule that answers keeps the call from all others", function()
    assert.equal("unlink -1 EPERM\n", (said([[
      fail("unlink", "EPERM")
      fail("unlink", "EBUSY")
      on.unlink(function() print("never") end)]], { "unlink:/nowhere" })))
    assert.equal("seen\nunlink -1 EPERM\n", (said([[
      on.unlink(function() print("seen") end)
      fail("unlink", "EPERM")]], { "unlink:/nowhere" })))
  end)

  it("work on many threads and processes, each counted once", function()
    local out = said('fail("write", "EPIPE", { fd = "pipe", nth = "5..6" })',
      { "pipe", "fork:4", "thread", "repeat:2", "write:4:x" })
    local _, failed = out:gsub("EPIPE", "")
    assert.equal(2, failed)
  end)

  describe("refuses", function()
    local function refused(lua, pattern)
      local result = support.run { lua = lua, cmd = { "true" } }
      assert.equal(125, result.status, lua)
      assert.matches(pattern, result.stderr)
      assert.matches("^luatrace: %(%-%-lua%):1: ", result.stderr)
      assert.is_nil(result.stderr:find("traceback", 1, true))
    end

    it("what is unknown", function()
      refused('fail("wrte", "EIO")', 'there is no call "wrte" %(did you mean write')
      refused('fail("write", "EOI")', 'there is no error "EOI"')
      refused('fail("write")', "the outcome is missing: it takes the name of an error")
      refused('fail("write", "EIO", { pth = "x" })', "there is no pth %(did you mean nth, path%?%)")
      refused('kill("write", "SIGNONE")', "the outcome is a signal")
      refused('fail("write", "EIO", { fd = "pipes" })', 'there is no kind of descriptor "pipes"')
      refused('fail("write", "EIO", { errno = "EOI" })', 'there is no error "EOI"')
      refused('fail("openat", "EIO", { arg = { flag = "O_CREAT" } })', "there is no argument flag: there are dirfd")
      refused('fail("openat", "EIO", { arg = { flags = "O_CRAET" } })', "O_CRAET is none of its flags")
      refused('fail("write", "EIO", { after = "nobody" })', 'there is no rule named "nobody"')
      -- What is told is as it can be written: until is a keyword.
      refused('hold("write", { ["until"] = "nobody" })',
        'hold%("write", { %["until"%] = "nobody" }%): there is no rule named')
    end)

    it("what can never match", function()
      refused('fail("getrandom", "EAGAIN", { path = "x" })', "path can never match")
      refused('fail("unlink", "EIO", { fd = 3 })', "fd can never match")
      refused('fail("write", "EIO", { nth = 0 })', "counting starts at 1")
      refused('fail("write", "EIO", { nth = "5..2" })', "the last comes before the first")
      refused('fail("write", "EIO", { prob = 2 })', "prob takes a probability")
      refused('short("getpid", 1)', "it works on calls with a number of bytes")
      refused('short("read", 1, { errno = "EIO" })', "known only after the call")
    end)

    it("errors that no kernel gives, unless any_errno", function()
      refused('fail("getpid", "EIO")', "getpid never fails")
      refused('fail("fsync", "ENOENT")', "fsync cannot fail with ENOENT; it can with EDQUOT, EINTR")
      refused('fail("write", "ENOSPC", { fd = "pipe" })', "ENOSPC never comes from a descriptor of kind pipe")
      assert.equal("unlink -1 EPIPE\n", (said('fail("unlink", "EPIPE", { any_errno = true })', { "unlink:/nowhere" })))
      -- A class loses the calls that cannot give it.
      assert.equal("unlink -1 ENOENT\nopen -1 EMFILE\n", (said('fail("%file", "EMFILE", { after_startup = true })',
        { "unlink:/nowhere", "open:/nowhere" })))
    end)

    it("ENOSPC where no disk is", function()
      assert.equal("pipe 0\nopen 5\nwrite 1\nwrite -1 ENOSPC\n", (said('fail("write", "ENOSPC")',
        { "pipe", "open:" .. directory .. "/data", "write:4:a", "write:5:b" })))
    end)

    it("a rule that has not fired for that reason says so", function()
      local function told(lua) return support.run { lua = lua, cmd = { ops, "pipe", "write:4:a" } }.stderr end
      assert.equal('luatrace: (--lua):1: fail("write", "EIO", { buf = "^a" }) never fired: its calls were on a ' ..
        "pipe, which gives no such error (any_errno, on the command line --any-errno, injects it all the same)\n",
        told 'fail("write", "EIO", { buf = "^a" })')
      -- Calls that the rule is not about are no reason.
      assert.equal("", told 'fail("write", "EIO", { buf = "^b" })')
    end)

    it("a rule on a function of a program without symbols says so", function()
      local stripped = support.tracee("ops", { flags = "-s" })
      local function told(lua, program)
        return support.run({ lua = lua, cmd = { program or stripped, "unlink:/nowhere", "unlink:/nowhere" } }).stderr
      end
      local lua = 'fail("unlink", "EIO", { stack = "main" })'
      assert.equal(("luatrace: (--lua):1: %s never fired: on the stacks of its 2 calls no frame of %s has a name " ..
        "(a program without symbols?)\n"):format(lua, stripped), told(lua))
      assert.matches("never fired: .* has a name", told 'trace("unlink", { stack = { "do_*", "run" } })')
      -- Modules have names; so has a program that is not stripped; a rule that was not asked knows nothing.
      assert.equal("", told 'fail("unlink", "EIO", { stack = "libc.so*", nth = 3 })')
      assert.equal("", told 'fail("unlink", "EIO", { stack = "libother.so*" })')
      assert.equal("", told('fail("unlink", "EIO", { stack = "other" })', ops))
      assert.equal("", told 'fail("unlink", "EIO", { stack = "main", path = "/elsewhere" })')
    end)
  end)
end)
