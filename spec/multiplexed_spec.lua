-- Calls inside socketcall(2) and ipc(2) of 32-bit programs: rules, handlers and sets of calls know them by their names.

local support = require "spec.support"

local mechanisms = { "auto", "stop", "ptrace" }

describe("calls inside socketcall and ipc", function()
  local program
  setup(function() program = support.tracee("socketcalls", { m32 = true }) end)
  teardown(support.clean)

  --- Runs a script under each mechanism; what the program and the script print.
  local function run(lua, ...)
    local first
    for _, trap in ipairs { ... } do
      local result = support.run { options = { "--trap=" .. trap }, lua = lua, cmd = { program } }
      assert.equal("", result.stderr)
      assert.equal(first or result.stdout, result.stdout, trap)
      first = result.stdout
    end
    return first
  end

  it("fail by their own names, whatever tells which are meant", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    assert.equal("socketpair 0 ok \nsend 5 ok hello\nrecv 5 ok hello\n" ..
      "send -1 Connection reset by peer \nrecv -1 Resource temporarily unavailable \nsemop -1 Result too large \n" ..
      "value 0\n", (run([[fail("send", "ECONNRESET", { nth = 2 }) fail("semop", "ERANGE")]], unpack(mechanisms))
        :gsub("Numerical result out of range", "Result too large")))
    local out = run([[fail("send", "EPIPE", { arg = { len = 5 } }) fail("recv", "EINTR", { fd = "socket" })]],
      unpack(mechanisms))
    assert.matches("send %-1 Broken pipe \nrecv %-1 Interrupted", out)
    assert.matches("send %-1", run([[fail("socketcall", "ENOMEM")]], unpack(mechanisms)))
  end)

  it("can be rewritten; the program's own words stay as they are", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    local out = run([[
      on.send(function(call)
        call.buf = "goodbye, all"
        call.len = 12
        call:run()
        call.ret = 5
      end)
      on.recv(function(call)
        if call:run() then call.buf = "GOOD" end
      end)
      on.semop(function(call) call.nsops = 1 end)
    ]], unpack(mechanisms))
    assert.matches("send 5 ok hello\nrecv 12 ok GOODbye, all\n", out)
    assert.matches("value 1\n", out)
    assert.is_nil(out:find("have changed", 1, true))
  end)

  it("are watched by notifications, and counted by name", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    local lua = [[
      watch["send,semop"](function(call) print(call.name, call.nth, call.args[3]) end)
      at.finish(function(run) print(run.calls.send.count, run.calls.socketcall.count) end)
    ]]
    local out = run(lua, "auto", "stop", "ptrace", "notify")
    assert.matches("send\t1\t5\n", out)
    assert.matches("semop\t1\t2\n", out)
    assert.matches("2\t0\n", out)
  end)

  it("are what -e trace= names, as under strace", function()
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    for _, set in ipairs { "send,semop", "%network", "%ipc", "socketpair", "socketcall,ipc@64" } do
      local options = { "-e", "trace=" .. set }
      local ours = support.run { options = options, cmd = { program } }.stderr
      if set:find "socketcall" then
        assert.matches("send%(3, \"hello\", 5, 0%) += 5\n", ours)
      else
        local function alike(text)
          return (text:gsub("%[ Process[^\n]*\n", ""):gsub("%d%d%d+", "N"):gsub("0x%x+", "A"))
        end
        assert.equal(alike(support.strace { options = options, cmd = { program } }.trace), alike(ours), set)
      end
    end
  end)
end)
