-- Mocks in tests: luatrace.run, several at once, with rules and expectations beside them.

local mocked = require "spec.mocked"
local support = require "spec.support"

local luatrace = support.module()

local client = [[
import socket, sys
s = socket.create_connection(("db", 5432), timeout=20)
s.sendall(b"hello\n")
print(s.recv(100).decode(), open("/etc/luatrace-mock").read())]]

local function mocks(answer)
  return function(t)
    t.files { ["/etc/luatrace-mock"] = answer }
    t.peer.tcp("db:5432", function(conn) conn:write(conn:read_line(), " ", answer) end)
  end
end

describe("mocks in luatrace.run", function()
  after_each(mocked.leaves_nothing)

  it("belong to their run: several at once do not see each other's, and nothing stays open", function()
    luatrace.run { cmd = { "true" } }
    local before = support.belongings()
    local outputs = {}
    local function run(answer)
      return function()
        outputs[answer] = luatrace.run { cmd = { support.python, "-c", client }, timeout = 60,
          script = mocks(answer) }.stdout
      end
    end
    luatrace.together(run "one", run "two", run "three")
    assert.are.same({ one = "hello one one\n", two = "hello two two\n", three = "hello three three\n" }, outputs)
    assert.are.same({}, support.left_since(before))
  end)

  it("leave what the program has written for the test to look at", function()
    local made
    luatrace.run { cmd = { "sh", "-c", "echo new >/srv/luatrace-mock/out" }, script = function(t)
      made = t.files { ["/srv/luatrace-mock/"] = {} }
    end }
    assert.are.equal("new\n", made:read "/srv/luatrace-mock/out")
    assert.are.same({ "/srv/luatrace-mock/out" }, made:list())
  end)

  it("are below rules and expectations, which see the names that the program sees", function()
    local run = luatrace.run { cmd = { "cat", "/etc/luatrace-mock" }, record = "openat,read", script = function(t)
      t.files { ["/etc/luatrace-mock"] = "text" }
      t.expect("openat", { path = "/etc/luatrace-mock" }):exactly(1)
      t.fail("read", "EIO", { path = "/etc/luatrace-mock", nth = 2 })
    end }
    assert.are.equal(1, run.status)
    assert.are.equal("text", run.stdout)
    assert.are.equal(4, run.calls:where { call = "read", path = "/etc/luatrace-mock" }:first().ret)
    run = luatrace.run { cmd = { "cat", "/etc/luatrace-mock" }, script = function(t)
      t.fail("openat", "EACCES", { path = "/etc/luatrace-mock" })
      t.files { ["/etc/luatrace-mock"] = "text" }
    end }
    assert.matches("Permission denied", run.stderr)
  end)

  it("end with a run whose script fails, and leave nothing open", function()
    luatrace.run { cmd = { "true" } }
    local before = support.belongings()
    local ok, message = pcall(luatrace.run, { cmd = { support.python, "-c", client }, script = function(t)
      t.files { ["/etc/luatrace-mock"] = "x" }
      t.peer.tcp("db:5432", function(conn) conn:read_line() error "on purpose" end)
    end })
    assert.is_false(ok)
    assert.matches("on purpose", tostring(message))
    assert.are.same({}, support.left_since(before))
  end)

  it("leave nothing open when the program is killed, or there is none", function()
    luatrace.run { cmd = { "true" } }
    local before = support.belongings()
    local run = luatrace.run { cmd = { support.python, "-c", client }, timeout = 0.5, script = function(t)
      t.files { ["/etc/luatrace-mock"] = "x" }
      t.peer.tcp("db:5432", function(conn) conn:stall() end)
    end }
    assert.is_true(run.timed_out)
    pcall(luatrace.run, { cmd = { "/no/such/program" }, script = mocks "x" })
    assert.are.same({}, support.left_since(before))
  end)
end)
