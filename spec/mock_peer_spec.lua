-- The peer mock: real clients that talk to servers which are not there. What is expected comes from what TCP does: the
-- model is a real server on the loopback address, where the same client is run against both.

local address = require "luatrace.mock.peer.address"
local dns = require "luatrace.mock.peer.dns_message"
local mocked = require "spec.mocked"
local support = require "spec.support"

local run, python = mocked.run, mocked.python

local echo = [[peer.tcp("echo:7", function(conn)
  while true do
    local bytes = conn:read()
    if not bytes then return conn:write("END") end
    conn:write(bytes)
  end
end) ]]

describe("the peer mock", function()
  after_each(mocked.leaves_nothing)

  it("serves a client by a name that nobody else knows", function()
    for _, trap in ipairs { "auto", "ptrace" } do
      assert.are.equal("connected 1 5432 python3\nb'hello world\\n'\n", python([[
        peer.tcp("db:5432", function(conn)
          print(("connected %d %d %s"):format(conn.number, conn.port, conn.process.comm))
          conn:write("hello ", conn:read_line(), "\n")
        end)]], [[
import socket
s = socket.create_connection(("db", 5432))
s.sendall(b"world\r\n")
print(s.recv(100))]], { options = { "--trap=" .. trap } }))
    end
  end)

  it("looks like the TCP socket that the program made", function()
    assert.are.equal("('10.1.2.3', 80) True 0 1 2 6 1 True True\n", python(
      'peer.tcp("10.1.2.3:80", function(conn) conn:stall() end)', [[
import socket, struct
s = socket.socket()
s.settimeout(5)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.connect(("10.1.2.3", 80))
own = s.getsockname()
option = lambda level, name: s.getsockopt(level, name)
print(s.getpeername(), own[1] >= 1024 and own[0] != "0.0.0.0", option(socket.SOL_SOCKET, socket.SO_ERROR),
      option(socket.IPPROTO_TCP, socket.TCP_NODELAY), option(socket.SOL_SOCKET, socket.SO_DOMAIN),
      option(socket.SOL_SOCKET, socket.SO_PROTOCOL), option(socket.SOL_SOCKET, socket.SO_TYPE),
      s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[0] == 1, not s.getblocking() is s.gettimeout())]]))
  end)

  --- One client, a real server in the same program and a mocked one: what the client sees must be the same.
  it("behaves as a real server on the loopback address does", function()
    local client = [==[
import errno, select, socket, sys, threading, time
def real():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    def serve():
        for how in range(4):
            conn = server.accept()[0]
            conn.recv(4)
            if how == 0: conn.sendall(b"all"); conn.shutdown(socket.SHUT_WR); conn.recv(9)
            if how == 1: conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if how == 2: conn.sendall(b"bye")
            if how == 3: conn.sendall(b"wait"); time.sleep(30)
            conn.close()
    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()
address = real() if sys.argv[1] == "real" else ("127.0.0.1", 1234)
def events(s, want):
    poll = select.poll()
    poll.register(s, want)
    return poll.poll(5000)[0][1]
def attempt(fn):
    try: return fn()
    except OSError as e: return errno.errorcode[e.errno or errno.ETIMEDOUT]
IN, OUT, RDHUP = select.POLLIN, select.POLLOUT, select.POLLRDHUP
# half-closed
s = socket.create_connection(address); s.sendall(b"half")
print(s.recv(100, socket.MSG_WAITALL), s.recv(1), events(s, IN | OUT | RDHUP), attempt(lambda: s.send(b"more")))
# reset; asked twice: a poll that the kernel's own reset interrupts may see half of it
s = socket.create_connection(address); s.sendall(b"rst!"); events(s, IN)
print(events(s, IN), attempt(lambda: s.recv(1)), attempt(lambda: s.recv(1)), attempt(lambda: s.send(b"x")))
# closed by the server, then written to
s = socket.create_connection(address); s.sendall(b"stop")
print(s.recv(3), s.recv(1), attempt(lambda: s.send(b"x")), events(s, select.POLLERR) & select.POLLERR != 0 or 1)
# not waiting, and with a timeout
s = socket.socket(); s.setblocking(False)
print(errno.errorcode[s.connect_ex(address)], events(s, OUT) & OUT, s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
      s.connect_ex(address), errno.errorcode[s.connect_ex(address)], attempt(lambda: s.recv(1)))
s.send(b"slow"); print(events(s, IN), s.recv(4), attempt(lambda: s.recv(1)))
s.settimeout(0.05); print(attempt(lambda: s.recv(1)))
]==]
    local server = [[peer.tcp("127.0.0.1:1234", function(conn)
      local how = conn:read(4)
      if how == "half" then
        conn:write("all")
        conn:shutdown()
        conn:read(9)
      elseif how == "rst!" then
        conn:reset()
      elseif how == "stop" then
        conn:write("bye")
        conn:close()
      else
        conn:write("wait")
        conn:stall()
      end
    end)]]
    local real = support.execute { words = { support.python, "-c", client, "real" } }
    assert.are.equal("", real.stderr)
    assert.are.equal(real.stdout, run(server, { support.python, "-c", client, "mocked" }))
  end)

  it("serves several connections at once, each at its own pace, and the program runs on", function()
    assert.are.equal("['hello 0END', 'hello 1END', 'hello 2END', 'hello 3END', 'hello 4END']\n",
      python(echo .. 'peer.tcp("stuck:1", function(conn) conn:stall() end)', [[
import asyncio
async def one(i):
    reader, writer = await asyncio.open_connection("echo", 7)
    writer.write(b"hello %d" % i)
    writer.write_eof()
    data = await reader.read()
    writer.close()
    return data.decode()
async def main():
    stuck = await asyncio.open_connection("stuck", 1)
    print(await asyncio.gather(*[one(i) for i in range(5)]))
asyncio.run(main())]]))
  end)

  it("is polled by epoll also where the socket was registered before it was connected", function()
    assert.are.equal("[4] [1, 1] b'x' b'child' b'early' True\n", python(echo, [==[
import os, select, socket
s = socket.socket()
s.setblocking(False)
early = s.dup()
epoll = select.epoll()
epoll.register(s, select.EPOLLOUT)
s.connect_ex(("echo", 7))
first = [event for fd, event in epoll.poll(5)]
epoll.modify(s, select.EPOLLIN)
copy = s.dup()
copy.send(b"x")
poll = select.poll()
poll.register(copy, select.POLLIN)
second = [epoll.poll(5)[0][1], poll.poll(5000)[0][1]]
got = s.recv(9)
if os.fork() == 0:
    s.send(b"child")
    os._exit(0)
os.wait()
epoll.poll(5)
child = s.recv(9)
early.send(b"early")
epoll.poll(5)
print(first, second, got, child, s.recv(9), s.getpeername()[1] == 7 and not os.get_inheritable(s.fileno()))]==]))
  end)

  it("carries more than fits into a socket's buffers, both ways", function()
    assert.are.equal("2000000 3000000\n", python([[peer.tcp("big:1", function(conn)
        local got = conn:read(2000000)
        conn:write(("y"):rep(3000000))
        conn:shutdown()
        print(#got .. " " .. select(2, conn:read "*a":gsub("y", "")) + 3000000)
      end)]], [[
import socket
s = socket.create_connection(("big", 1))
s.sendall(b"x" * 2000000)
while s.recv(65536): pass]]))
  end)

  it("refuses where nobody is, and fails as it is told to", function()
    assert.are.equal("ECONNREFUSED\nECONNREFUSED\nENETUNREACH\n", python(
      echo .. 'peer.tcp("down:80", "ECONNREFUSED") peer.tcp("10.9.9.9:1", "ENETUNREACH")', [==[
import errno, socket
for where in (("echo", 8), ("down", 80), ("10.9.9.9", 1)):
    print(errno.errorcode[socket.socket().connect_ex(where)])]==]))
  end)

  it("serves addresses of both families, any host, and Unix sockets", function()
    assert.are.equal("b'six' b'any 192.0.2.7' b'any 192.0.2.8' b'unix' /run/no/such.sock\n", python([[
      peer.tcp("[::1]:82", function(conn) conn:write("six") end)
      peer.tcp("*:81", function(conn) conn:write("any ", conn.ip) end)
      peer.unix("/run/no/such.sock", function(conn) conn:write("unix") end)]], [[
import socket
six, four = socket.socket(socket.AF_INET6), socket.socket(socket.AF_INET6)
six.connect(("::1", 82))
four.connect(("::ffff:192.0.2.8", 81))
unix = socket.socket(socket.AF_UNIX)
unix.connect("/run/no/such.sock")
print(six.recv(9), socket.create_connection(("192.0.2.7", 81)).recv(99), four.recv(99), unix.recv(9),
      unix.getpeername())]]))
  end)

  for _, bits in ipairs { 64, 32 } do
    it(("serves %d-bit programs, also those that make all socket calls by socketcall"):format(bits), function()
      if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
      local started = os.time()
      assert.are.equal("10.1.1.1 80 16 nodelay 1 1 1 you said hello\n", run([[clock { speed = 100 }
        peer.tcp("10.1.1.1:80", function(conn) conn:write("you said ", conn:read_line()) conn:stall() end)]],
        { support.tracee("client", bits == 32 and { m32 = true } or nil), "10.1.1.1", "80" }))
      assert.is_true(os.time() - started < 10)
    end)
  end

  it("answers DNS about its names, to resolvers that connect and to those that do not", function()
    local lua = echo .. 'files { ["/etc/nsswitch.conf"] = "hosts: dns\\n", ["/etc/resolv.conf"] = ' ..
      '"nameserver 127.0.0.1\\n" }'
    assert.are.equal("198.18.0.1 ('127.0.0.1', 53) 198.18.0.1 ('127.0.0.1', 53)\n198.18.0.1\n", python(lua, [==[
import socket, struct
query = b"\1\2\1\0\0\1\0\0\0\0\0\0\4echo\0" + struct.pack(">HH", 1, 1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.sendto(query, ("127.0.0.1", 53))
data, who = u.recvfrom(512)
v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
v.sendmsg([query[:5], query[5:]], [], 0, ("127.0.0.1", 53))
parts = v.recvmsg(512)
print(socket.inet_ntoa(data[-4:]), who, socket.inet_ntoa(parts[0][-4:]), parts[3])
print(socket.gethostbyname("echo"))]==]))
    -- Replies by the protocol's own definition: RFC 1035, 4.1.
    local find = function(name) return name == "a.b" and "\1\2\3\4" end
    local query = "\7\8\1\0\0\1\0\0\0\0\0\0\1a\1B\0\0\1\0\1"
    assert.are.equal("\7\8\133\128\0\1\0\1\0\0\0\0\1a\1B\0\0\1\0\1\192\12\0\1\0\1\0\0\0\60\0\4\1\2\3\4",
      dns.answer(query, find))
    assert.are.equal("\7\8\133\128\0\1\0\0\0\0\0\0\1a\1B\0\0\28\0\1", dns.answer(query:sub(1, 17) .. "\0\28\0\1", find))
    assert.is_nil(dns.answer("\7\8\1\0\0\1\0\0\0\0\0\0\1c\0\0\1\0\1", find))
    for i = 0, #query - 1 do assert.is_nil(dns.answer(query:sub(1, i), find)) end
  end)

  it("stalls in the time of a mocked clock", function()
    local started = os.time()
    assert.are.equal("True\n", python([[clock { speed = 1000 }
      peer.tcp("slow:1", function(conn) conn:stall(100) conn:write("x") end)]], [[
import socket, time
before = time.monotonic()
socket.create_connection(("slow", 1)).recv(1)
print(time.monotonic() - before >= 100)]]))
    assert.is_true(os.time() - started < 60)
  end)

  it("ends with the program, and reads what that has sent before", function()
    assert.are.equal("last words\n3\n", python([[
      local last
      local server = peer.tcp("sink:1", function(conn) last = conn:read "*a" end)
      at.finish(function() print(last) print(server.count) end)]], [[
import socket
for i in range(3):
    s = socket.create_connection(("sink", 1))
    s.sendall(b"last words")]]))
  end)

  it("takes mistakes of the script for such", function()
    local refuses = mocked.refuses
    local fn = ", function() end)"
    refuses("peer.tcp('db'" .. fn, 'peer.tcp: "db" is no address: write "HOST:PORT" ("db:5432", "10.0.0.1:80", ' ..
      '"[::1]:80", "*:443")')
    refuses("peer.tcp('db:'" .. fn, 'peer.tcp: "db:" has no port')
    refuses("peer.tcp('db:http'" .. fn, 'peer.tcp: "db:http": http is no port: it is a number from 1 to 65535')
    refuses("peer.tcp(5432" .. fn, 'peer.tcp takes an address such as "db:5432", not a number')
    refuses("peer.tcp('db:1')",
      'peer.tcp("db:1", ...) takes a function(conn) or the name of an error such as "ECONNREFUSED", not a nil')
    refuses("peer.tcp('db:1', 'ECONREFUSED')", 'peer.tcp("db:1", ...) takes a function(conn) or the name of an ' ..
      'error such as "ECONNREFUSED", not "ECONREFUSED"')
    refuses("peer.udp('db:1'" .. fn, "there is no peer.udp: there are peer.tcp and peer.unix")
    refuses("peer.unix('x.sock'" .. fn, 'peer.unix: "x.sock" is neither an absolute path nor an "@name"')
    refuses("peer.tcp('a:1'" .. fn .. " peer.tcp('a:1'" .. fn, "peer.tcp: there is a peer at a:1 already")
    local client = { support.python, "-c", "import socket; socket.create_connection(('a', 1)).recv(1)" }
    refuses("peer.tcp('a:1', function(conn) conn:write({}) end)", "conn:write takes strings, not a table", client)
    refuses("peer.tcp('a:1', function(conn) conn:read(-1) end)",
      'conn:read takes a number of bytes, "*a" or nothing, not -1', client)
    refuses("peer.tcp('a:1', function(conn) nothing.here() end)",
      "attempt to index global 'nothing' (a nil value)", client)
  end)

  it("reads addresses as the kernel does", function()
    assert.are.same({ "::1", 80 }, { address.split "[::1]:80" })
    assert.is_nil((address.parse("\2\0\0")))
    assert.is_nil((address.parse("\10\0\0\80\0\0\0\0")))
    assert.are.equal("\127\0\0\1", address.parse(address.encode(10, "\127\0\0\1", 80)).ip)
  end)
end)
