-- The same handlers and rules under every mechanism that can serve them: what the program saw and what was logged must
-- be the same, call by call.

local support = require "spec.support"

--- Everything by notifications; the cheapest; stops; no filter; a kernel that has no notifications.
local mechanisms = {
  { "--trap=notify" }, { "--trap=auto" }, { "--trap=stop" }, { "--trap=ptrace" }, { "--kernel-without=notify" },
}

local program

--- All that a run shows, as text.
local function shown(result)
  return ("status %s signal %s\nthe program:\n%s\nthe log:\n%s"):format(tostring(result.status),
    tostring(result.signal), result.stdout, result.stderr)
end

--- Runs a script under each mechanism (with `first` = 2 under all but --trap=notify, where it asks for more than that
-- has) and compares; `sees` is what all must have in common.
local function all_alike(lua, sees, words, first)
  local expected
  for i = first or 1, #mechanisms do
    local options = mechanisms[i]
    local got = shown(support.run { options = { "--seed=5", unpack(options) }, lua = lua,
      cmd = { program, unpack(words or { "calls" }) } })
    if expected then assert.equal(expected, got, table.concat(options, " ")) end
    expected = got
  end
  for _, text in ipairs(sees) do
    assert.truthy(expected:find(text, 1, true), ("%q is not in\n%s"):format(text, expected))
  end
end

--- A handler that logs all that can be looked at.
local look = [[
  local function show(value)
    if type(value) == "table" and value.num then return value.num .. "=" .. tostring(value.kind) end
    return tostring(value)
  end
  watch["access,openat,write,read,fsync,unlink,mkdir,umask,setpriority,close"](function(call)
    if call.name == "openat" and call.pathname ~= "/dev/null" then return end
    local parts = { call.name, call.nth }
    for i = 1, #call.row do
      local name = call.row[i].name
      parts[#parts + 1] = name .. ":" .. (call.name == "read" and name == "buf" and "?" or show(call[name]))
    end
    io.stderr:write(table.concat(parts, " "), "\n")
  end)
]]

--- What it is, the script, what must be seen, the program's words.
local handlers = {
  { "looks", look, { "write 2 fd:3=char buf:some count:4\n", "access 3 pathname:/nonexistent mode:R_OK\n" } },
  { "answers, with a value or an error, told by what it sees", [[
      watch.access(function(call) if call.pathname == "/nonexistent" then call:returns(0) end end)
      watch.write(function(call)
        if call.buf == "some" then call:fail "ENOSPC" elseif call.nth == 3 then call:returns(-7) end
      end)
      watch.umask(function(call) call.ret = 0x7fffffff end)
      watch.close(function(call) if call.fd.num == -1 then call.errno = "EINTR" end end)]],
    { "access 0 -\naccess 0 -\n", "write -1 No space", "write -1 Argument list", "umask 2147483647 -\n",
      "close -1 Interrupted" } },
  { "memory: what the program reads and what it is given", [[
      watch.access(function(call)
        if call.pathname == "/etc/passwd" then call.memory:write(call.args[1], "/etc/nothing") end
      end)
      watch.write(function(call) io.stderr:write(call.memory:cstring(call.args[2]), "\n") end)
      watch.read(function(call)
        if call.fd.path ~= "/dev/null" then return end
        io.stderr:write(tostring(call.memory:read(1, 8)), " ", tostring(call.memory:write(1, "x")), "\n")
        call.memory:write(call.args[2], "given")
        call:returns(5)
      end)]], { "access -1 No such file", "read 5 -\n", "some bytes\n", "nil nil\n" } },
  { "several handlers of a call: the first that answers keeps it from the others", [[
      watch.fsync(function(call)
        io.stderr:write("first ", call.nth, "\n")
        if call.nth == 2 then call:returns(0) end
      end)
      watch.fsync(function(call) io.stderr:write("second ", call.nth, "\n") call:fail "EDQUOT" end)]],
    { "first 1\nsecond 1\nfirst 2\n", "fsync -1 Disk quota exceeded\nfsync 0 -\n" } },
  { "delays, with timers of other handlers running", [[
      watch.fsync(function(call) call:sleep(0.01) io.stderr:write("slept\n") call:sleep(0) call:fail "EIO" end)]],
    { "slept\nslept\n", "fsync -1 Input/output" } },
  { "kills in front of a call", [[
      watch.write(function(call) io.stderr:write(call.nth, "\n") if call.nth == 3 then call:kill() end end)]],
    { "signal 9\n", "1\n2\n3\n" } },
  { "kills by a signal that can be caught", 'watch.umask(function(call) call:kill "SIGTERM" end)', { "signal 15\n" } },
  { "signals the thread", 'watch.umask(function(call) call:signal "SIGUSR1" end)', { "signal 10\n" } },
  { "all calls", 'watch["%all"](function(call) io.stderr:write(call.name, "\\n") end)',
    { "execve\nbrk\n", "exit_group\n" } },
  { "all calls beside some that are looked at", look .. [[
      watch["%all"](function(call) if call.name == "setpriority" then call:returns(call.args[2]) end end)]],
    { "setpriority 0 -\nsetpriority 1 -\n", "setpriority 6 which:99" } },
  { "holds, released by another thread's handler", [[
      local held = {}
      watch.getppid(function(call)
        held[#held + 1] = call
        if #held < 8 then call:hold() else for i = 1, 7 do held[i]:release() end end
        call:returns(77)
      end)]], { "\n0 wrong\n" }, { "threads", "1" } },
}

local rules = {
  { "fail", 'fail("access", "EACCES") fail("fsync", "EIO", { nth = 2 })',
    { "access -1 Permission denied\naccess -1 Perm", "fsync -1 Invalid argument\nfsync -1 Input/output error\n" } },
  { "fail by path, by argument, by data", [[
      fail("access", "EACCES", { path = "/nonexist*" })
      fail("write", "EIO", { buf = "^some$" })
      fail("setpriority", "EPERM", { arg = { prio = { 2, 3 } }, any_errno = true })]],
    { "access 0 -\naccess -1 Perm", "write 3 -\nwrite -1 Input/output error\nwrite 5",
      "setpriority -1 Operation not" } },
  { "fail by chance", 'fail("setpriority", { "EPERM", "EACCES", "ESRCH" }, { prob = 0.5, any_errno = true })',
    { "setpriority -1 Operation not", "setpriority -1 Invalid" } },
  { "fail counted by descriptor", 'fail("write", "EIO", { nth = "2..", scope = "fd", path = "/dev/null" })',
    { "write 3 -\nwrite -1 Input/output error\nwrite -1" } },
  { "returns", 'returns("umask", 5) returns("setpriority", 3, { nth = "2..+2" })',
    { "umask 5 -\n", "setpriority -1 Invalid argument\nsetpriority 3 -\nsetpriority -1" } },
  { "kill", 'kill("write", { path = "/dev/null", nth = 3 })', { "signal 9\n" } },
  { "kill by a signal that can be caught", 'kill("umask", "SIGTERM")', { "signal 15\n" } },
  { "signal", 'signal("umask", "SIGUSR2")', { "signal 12\n" } },
  { "delay and hold", 'delay("fsync", "5ms") hold("umask", { ["until"] = 0.05 })', { "umask 18 -\n" } },
  { "count", 'count("write") count("setpriority", { arg = { prio = { min = 2, max = 9 } } })',
    { "): 5\n", "): 4\n" } },
  { "several on one call", [[
      count("write")
      fail("write", "ENOSPC", { nth = 2, path = "/dev/zero" })
      fail("write", "EIO", { fd = { 3, 4, 5 }, nth = 3 })]], { "write -1 Input/output", 'count("write"): 5\n' } },
}

--- What a notification cannot do: these mix stops with it.
local mixed = {
  { "close executes, then lies", [[
      fail("close", "EIO", { path = "/dev/null" })
      watch.write(function(call) if call.fd.kind == "char" then call:returns(1) end end)]],
    { "close -1 Input/output error\nclose -1 Bad file", "write 1 -\nwrite 1 -\n" } },
  { "a handler that asks beside one that looks", [[
      watch.write(function(call) io.stderr:write("w", call.nth, "\n") end)
      on.write(function(call) io.stderr:write(tostring(call:run()), "\n") end)
      on.access(function(call) call.pathname = "/etc/hostname and something" end)]],
    { "w1\n3\nw2\n4\n", "access -1 No such file or directory\naccess -1" } },
  { "a call injected where it is notified, one rewritten into one that is", [[
      watch.getpgid(function(call) io.stderr:write("the program's getpgid\n") end)
      watch.access(function(call) io.stderr:write("access ", call.pathname, "\n") end)
      on.fsync(function(call)
        local own = call:inject("getpgid", 0)
        io.stderr:write("inject ", type(own), " ", tostring(select(2, call:inject("access", 1, 0))), "\n")
      end)
      on.umask(function(call) call.nr = 121 call.args[1] = 0 call:run() call.ret = 9 end)]],
    { "umask 9 -\n", "access /nonexistent\ninject number EFAULT\ninject number EFAULT\n" } },
  { "what the filter answers the program, not luatrace's own calls nor rewritten ones", [[
      fail("getpgid", "ESRCH")
      fail("mmap", "ENOMEM", { arg = { length = 65536 } })
      fail("write", "EIO", { arg = { fd = 4 } })
      on.fsync(function(call) io.stderr:write("inject ", type(call:inject("getpgid", 0)), "\n") end)
      on.umask(function(call) call.nr = 121 call.args[1] = 0 call:run() call.ret = call.ret < 0 and 8 or 9 end)
      on.access(function(call)
        if call.pathname == "/nonexistent" then call.pathname = ("/./"):rep(2500) .. "dev/null" end
      end)]],
    { "inject number", "umask 9 -\n" } },
  { "a rule that stops some of a call, one that notifies others", [[
      short("write", 1, { arg = { count = { 5, 6 } } })
      returns("write", 2, { arg = { count = 4 } })]], { "write 3 -\nwrite 2 -\nwrite 1 -\nwrite 1 -\n" } },
}

describe("conformance", function()
  setup(function() program = support.tracee("notified") end)
  after_each(function() assert.same({}, support.leftovers()) end)

  for _, case in ipairs(handlers) do
    it("handlers: " .. case[1], function() all_alike(case[2], case[3], case[4]) end)
  end

  for _, case in ipairs(rules) do
    it("rules: " .. case[1], function() all_alike(case[2], case[3]) end)
  end

  for _, case in ipairs(mixed) do
    it("mixed: " .. case[1], function() all_alike(case[2], case[3], nil, 2) end)
  end
end)
