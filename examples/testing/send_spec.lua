-- A client that sends records, as those of Kafka do: when the reply is lost it must send again, and the record must be
-- there once, not twice. In busted, on the client that SEND names.
--
-- Usage (from the root of the project):
--
--   export LUA_CPATH="$PWD/build/?.so;;"
--   SEND=examples/testing/send.py busted --lua=luajit examples/testing/send_spec.lua
--
-- Captured output (of the faulty one; send_fixed.py has 3 successes):
--
--   1 success / 2 failures / 0 errors / 0 pending : 1.203852 seconds
--
--   Failure -> examples/testing/send_spec.lua @ 68
--   sending has each record once when the first reply is lost
--   examples/testing/send_spec.lua:81: Expected objects to be equal.
--   Passed in:
--   (string) 'one
--   one
--   two
--   '
--   Expected:
--   (string) 'one
--   two
--   '
--
--   Failure -> examples/testing/send_spec.lua @ 84
--   sending keeps a record's number when the connection breaks, as a server that is made up here sees it
--   examples/testing/send_spec.lua:93: Expected objects to be the same.
--   Passed in:
--   (table: 0x7fe42b042ef0) {
--     [1] = '1 one'
--    *[2] = '2 one' }
--   Expected:
--   (table: 0x7fe42af87cf8) {
--     [1] = '1 one'
--    *[2] = '1 one' }

local luatrace = require "luatrace"

local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"
local client = os.getenv "SEND" or here .. "send.py"
local python = os.getenv "PYTHON" or "/usr/bin/python3"

describe("sending", function()
  local log
  before_each(function() log = os.tmpname() end)
  after_each(function() os.remove(log) end)

  --- Sends two records to a server; what the server has then, and the run.
  local function send(script)
    local run = luatrace.run { cmd = { python, here .. "log_server.py", log, python, client, "PORT", "one", "two" },
      timeout = 60, script = script }
    return io.open(log):read "*a", run
  end

  --- Is this call the client's? It is the server's child.
  local function from_client(call) return call.process.parent ~= nil end

  it("has each record once when all goes well", function()
    local received, run = send(function(t)
      t.expect("sendto", { when = from_client, buf = "one" }):exactly(1)
      t.no_network { loopback = true }
    end)
    assert.equal(0, run.status)
    assert.equal("one\ntwo\n", received)
  end)

  it("has each record once when the first reply is lost", function()
    local lost = 0
    local received, run = send(function(t)
      t.on["recvfrom"](function(call)
        if lost > 0 or not from_client(call) then return end
        lost = lost + 1
        call:run() -- the server has done its part
        call:fail "ECONNRESET"
      end)
      t.expect("sendto", { when = from_client, buf = "one" }):exactly(2)
    end)
    assert.equal(1, lost)
    assert.equal(0, run.status)
    assert.equal("one\ntwo\n", received)
  end)

  it("keeps a record's number when the connection breaks, as a server that is made up here sees it", function()
    local seen = {}
    local run = luatrace.run { cmd = { python, client, "9092", "one" }, timeout = 60, script = function(t)
      t.peer.tcp("127.0.0.1:9092", function(connection)
        table.insert(seen, connection:read_line():match "^%d+ (%d+ %w+)$")
        if #seen == 1 then connection:reset() else connection:write "ok\n" end
      end)
    end }
    assert.equal(0, run.status)
    assert.same({ "1 one", "1 one" }, seen)
  end)
end)
