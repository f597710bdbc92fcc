--- The decoder over a fake memory: hundreds of recorded calls, each with the text that strace printed for it, and then
-- values, assignments, footprints and classes.
--
-- spec/decode_cases.lua was recorded by spec/decode_capture.lua from spec/tracees/decode_calls.c: registers and memory
-- are a real program's, the expected text is strace's. That luatrace and strace agree on whole programs is another
-- spec's.

local buffer = require "string.buffer"
local ffi = require "ffi"
local decode = require "luatrace.decode"
local fake_memory = require "spec.fake_memory"
local schema = require "luatrace.schema"
local types = require "luatrace.types"

local arches = {
  x86_64 = { name = "x86_64", bits = 64, pointer_size = 8 },
  i386 = { name = "i386", bits = 32, pointer_size = 4 },
}

--- A call at its entry, as event.lua makes it.
local function entry(name, raw, memory, arch)
  for i = 1, 6 do raw[i] = raw[i] or 0 end
  return { arch = arches[arch or "x86_64"], row = assert(decode.find(arch or "x86_64", name)), raw = raw,
    phase = "entry", failed = false, memory = fake_memory.new(memory),
    set_raw = function(call, i, value) call.raw[i] = value end }
end

--- The same call after its return.
local function leave(call, result, errno)
  call.phase, call.raw_ret, call.failed, call.errno = "exit", result, errno ~= nil, errno
  return call
end

local function value(call, name) return decode.value(call, assert(call.row.index[name], name)) end
local function assign(call, name, new) return decode.assign(call, call.row.index[name], new) end

local function bytes_of(ctype, ...)
  local box = ffi.new(ctype, ...)
  return ffi.string(box, ffi.sizeof(box))
end

describe("text of recorded calls", function()
  local cases = dofile("spec/decode_cases.lua")

  local function text_of(case)
    local call = entry(case[2], { unpack(case[3]) }, nil, case[1])
    call.sp = case.sp
    for _, piece in ipairs(case[6]) do
      if piece[3] == 0 then call.memory:put(piece[1], piece[2]) end
    end
    local out = buffer.new()
    out:put(case[2], "(")
    decode.text_args(call, out, "entry")
    for _, piece in ipairs(case[6]) do
      if piece[3] == 1 then call.memory:put(piece[1], piece[2]) end
    end
    leave(call, case[4], case[5] or nil)
    decode.text_args(call, out, "exit")
    out:put(")")
    if #out < 39 then out:put((" "):rep(39 - #out)) end
    out:put(" = ")
    decode.text_result(call, out)
    return out:tostring()
  end

  it("is what strace prints", function()
    assert.is_true(#cases > 300)
    local wrong = {}
    for _, case in ipairs(cases) do
      local text = text_of(case)
      if text ~= case[7] then wrong[#wrong + 1] = "strace: " .. case[7] .. "\nours:   " .. text end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("covers the calls that programs use most", function()
    local seen = {}
    for _, case in ipairs(cases) do seen[case[2]] = true end
    for _, name in ipairs { "openat", "openat2", "read", "write", "readv", "writev", "pread64", "statx", "newfstatat",
      "mmap", "ioctl", "fcntl", "connect", "sendmsg", "recvmsg", "setsockopt", "getsockopt", "poll", "select",
      "pselect6", "epoll_wait", "execve", "clone", "clone3", "rt_sigaction", "rt_sigprocmask", "futex", "prctl" } do
      assert.is_true(seen[name], name)
    end
  end)
end)

describe("values", function()
  it("are typed by the row", function()
    local call = entry("openat", { 0xffffff9c, 0x1000, 0x80241, 0x1a4 }, { [0x1000] = "/etc/passwd\0" })
    assert.equal(-100, value(call, "dirfd").num)
    assert.equal("/etc/passwd", value(call, "pathname"))
    local flags = value(call, "flags")
    assert.is_true(flags:has "O_CREAT" and flags:has "O_WRONLY" and flags:has "O_TRUNC")
    assert.is_false(flags:has "O_RDWR")
    assert.equal("O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC", tostring(flags))
    assert.has_error(function() flags:has "O_NONSENSE" end)
    assert.equal(420, value(call, "mode"))
  end)

  it("of out-arguments are there after the call only", function()
    local call = entry("read", { 3, 0x1000, 100 }, { [0x1000] = "abcdefgh" })
    local got, _, errno = value(call, "buf")
    assert.is_nil(got)
    assert.equal("EAGAIN", errno)
    assert.equal("abcde", value(leave(call, 5), "buf"))
  end)

  it("are read lazily: an untouched field costs no read", function()
    local call = entry("openat", { 0xffffff9c, 0x1000, 0 }, { [0x1000] = "x\0" })
    value(call, "flags")
    value(call, "dirfd")
    assert.equal(0, call.memory.reads)
    value(call, "pathname")
    assert.equal(1, call.memory.reads)
  end)

  it("NULL is a value, and so is the address that cannot be read", function()
    assert.equal(types.NULL, value(entry("openat", { 0, 0, 0 }), "pathname"))
    assert.equal("NULL", tostring(types.NULL))
    assert.equal(0x4000, value(entry("openat", { 0, 0x4000, 0 }), "pathname"))
  end)

  it("keep all 64 bits", function()
    local wide = 0x7000000000000001LL
    assert.is_true(value(entry("lseek", { 3, wide, 0 }), "offset") == wide)
    assert.equal("8070450532247928833", decode.plain(entry("lseek", { 3, wide, 0 }), 2))
    assert.equal(5, decode.plain(entry("lseek", { 3, 5, 0 }), 2))
  end)

  it("of struct fields follow the ABI of the call's architecture", function()
    local wide = entry("nanosleep", { 0x1000, 0 }, { [0x1000] = bytes_of("int64_t[2]", 7, 9) })
    assert.equal(7, value(wide, "req").tv_sec)
    assert.equal(9, value(wide, "req").tv_nsec)
    local narrow = entry("nanosleep", { 0x1000, 0 }, { [0x1000] = bytes_of("int32_t[2]", 7, 9) }, "i386")
    assert.equal(7, value(narrow, "req").tv_sec)
    assert.equal(9, value(narrow, "req").tv_nsec)
  end)

  it("of addresses have family, ip and port, or a path", function()
    local address = "\2\0\18\103\127\0\0\1" .. ("\0"):rep(8)
    local addr = value(entry("connect", { 3, 0x1000, 16 }, { [0x1000] = address }), "addr")
    assert.equal("AF_INET", addr.family)
    assert.equal("127.0.0.1", addr.ip)
    assert.equal(4711, addr.port)
    assert.equal("/run/x", value(entry("connect", { 3, 0x1000, 9 }, { [0x1000] = "\1\0/run/x\0" }), "addr").path)
  end)

  it("of readv are one budget over all buffers", function()
    local iov = bytes_of("uint64_t[4]", 0x2000, 4, 0x3000, 100)
    local call = entry("readv", { 3, 0x1000, 2 }, { [0x1000] = iov, [0x2000] = "abcd", [0x3000] = "efghijkl" })
    assert.equal("abcdef", value(leave(call, 6), "iov"))
  end)

  it("of 32-bit programs join the two halves of an offset", function()
    local call = entry("pread64", { 3, 0x1000, 4, 5, 1 }, {}, "i386")
    assert.equal(4294967301, value(call, "offset"))
  end)

  it("plain: an empty set of flags is the empty list", function()
    assert.equal(types.empty_list, decode.plain(entry("mmap", { 0, 1, 0, 0 }), 3))
    assert.same({ "PROT_READ", "PROT_WRITE" }, decode.plain(entry("mmap", { 0, 1, 3, 0 }), 3))
  end)
end)

describe("assignment before the call", function()
  it("puts a longer path into scratch memory, and leaves the program's own", function()
    local call = entry("openat", { 0xffffff9c, 0x1000, 0 }, { [0x1000] = "/a\0" })
    assert.is_true(assign(call, "pathname", "/a/much/longer/path"))
    assert.equal("/a/much/longer/path", call.memory:cstring(call.raw[2]))
    assert.equal("/a", call.memory:cstring(0x1000))
  end)

  it("takes flags and enumerations by name", function()
    local call = entry("openat", { 0xffffff9c, 0x1000, 0 })
    assert.is_true(assign(call, "flags", "O_RDWR|O_CREAT"))
    assert.equal(66, call.raw[3])
    assert.is_true(assign(call, "flags", value(call, "flags"):with "O_TRUNC"))
    assert.equal(66 + 512, call.raw[3])
    call = entry("lseek", { 3, 0, 0 })
    assert.is_true(assign(call, "whence", "SEEK_END"))
    assert.equal(2, call.raw[3])
  end)

  it("takes an address as a table, IPv4, IPv6 and a socket's path", function()
    local memory = { [0x1000] = "\2\0\18\103\127\0\0\1" .. ("\0"):rep(8) }
    for _, address in ipairs { { ip = "10.1.2.3", port = 80 }, { ip = "fe80::1:2", port = 443 },
      { ip = "::", port = 1 }, { ip = "1:2:3:4:5:6:7:8", port = 65535 }, { path = "/run/a" },
      { path = "@abstract" } } do
      local call = entry("connect", { 3, 0x1000, 16 }, memory)
      assert.is_true(assign(call, "addr", address))
      call.raw[3] = address.path and #address.path + 3 or address.ip:find(":", 1, true) and 28 or 16
      if address.path == "@abstract" then call.raw[3] = #address.path + 2 end
      local addr = value(call, "addr")
      assert.equal(address.ip, addr.ip)
      assert.equal(address.port, addr.port)
      assert.equal(address.path, addr.path)
    end
  end)

  it("to one field moves the struct: the program's own is not touched", function()
    local call = entry("connect", { 3, 0x1000, 16 }, { [0x1000] = "\2\0\18\103\127\0\0\1" .. ("\0"):rep(8) })
    value(call, "addr").port = 80
    assert.are_not.equal(0x1000, call.raw[2])
    assert.equal(80, value(call, "addr").port)
    assert.equal("127.0.0.1", value(call, "addr").ip)
    assert.equal("\18\103", call.memory:read(0x1002, 2))
    call = entry("nanosleep", { 0x1000, 0 }, { [0x1000] = bytes_of("int64_t[2]", 7, 9) })
    value(call, "req").tv_sec = 1
    assert.equal(1, value(call, "req").tv_sec)
    assert.equal(9, value(call, "req").tv_nsec)
    assert.equal("\7", call.memory:read(0x1000, 1))
  end)

  it("of what does not fit says what the argument takes", function()
    local call = entry("openat", { 0xffffff9c, 0x1000, 0 })
    local ok, message = assign(call, "flags", "O_NONSENSE")
    assert.is_nil(ok)
    assert.matches("openat: flags takes flags such as O_", message)
    ok, message = assign(entry("lseek", { 3, 0, 0 }), "offset", "far")
    assert.is_nil(ok)
    assert.matches('lseek: offset takes a number, not "far"', message)
    ok, message = assign(call, "pathname", "a\0b")
    assert.is_nil(ok)
    assert.matches("without NUL", message)
  end)
end)

describe("assignment after the call", function()
  it("rewrites what the program sees, never beyond what it has room for", function()
    local call = leave(entry("read", { 3, 0x1000, 4 }, { [0x1000] = "abcdEFGH" }), 4)
    assert.is_true(assign(call, "buf", "0123456789"))
    assert.equal("0123EFGH", call.memory:read(0x1000, 8))
  end)

  it("spreads bytes over the buffers of readv", function()
    local iov = bytes_of("uint64_t[4]", 0x2000, 4, 0x3000, 3)
    local call = entry("readv", { 3, 0x1000, 2 }, { [0x1000] = iov, [0x2000] = "....", [0x3000] = "...!" })
    assert.is_true(assign(leave(call, 7), "iov", "abcdefghij"))
    assert.equal("abcd", call.memory:read(0x2000, 4))
    assert.equal("efg!", call.memory:read(0x3000, 4))
    assert.equal(iov, call.memory:read(0x1000, 32))
  end)

  it("never writes an address beyond the length that the program gave", function()
    local call = entry("getsockname", { 3, 0x1000, 0x2000 },
      { [0x1000] = "\2\0\18\103\127GUARD", [0x2000] = "\5\0\0\0" })
    decode.remember(call)
    call.memory:put(0x2000, "\16\0\0\0") -- what the kernel says: it would have been longer
    assert.is_true(assign(leave(call, 0), "addr", { ip = "1.2.3.4", port = 1 }))
    assert.equal("GUARD", call.memory:read(0x1005, 5))
  end)

  it("of an in-argument is refused", function()
    local call = leave(entry("openat", { 0xffffff9c, 0x1000, 0 }, { [0x1000] = "/a\0" }), 3)
    local ok, message = assign(call, "pathname", "/b")
    assert.is_nil(ok)
    assert.matches("before call:run", message)
    assert.is_nil((assign(call, "flags", 0)))
    assert.equal("/a", call.memory:cstring(0x1000))
  end)
end)

describe("footprints", function()
  local function ranges(call)
    local list = {}
    for i, range in ipairs(decode.footprint(call)) do
      list[i] = ("%s %s %x %d"):format(range.argument, range.direction, tonumber(range.address), range.length)
    end
    return list
  end

  it("are what is read at entry, and what was written at exit", function()
    local call = entry("openat", { 0xffffff9c, 0x1000, 0 }, { [0x1000] = "/etc/passwd\0" })
    assert.same({ "pathname read 1000 12" }, ranges(call))
    call = entry("read", { 3, 0x1000, 4096 })
    assert.same({}, ranges(call))
    assert.same({ "buf written 1000 10" }, ranges(leave(call, 10)))
  end)

  it("of a failed call have nothing written", function()
    assert.same({}, ranges(leave(entry("read", { 3, 0x1000, 4096 }), -9, "EBADF")))
  end)

  it("follow the buffers of readv and writev", function()
    local iov = bytes_of("uint64_t[4]", 0x2000, 4, 0x3000, 100)
    assert.same({ "iov read 1000 32", "iov read 2000 4", "iov read 3000 100" },
      ranges(entry("writev", { 3, 0x1000, 2 }, { [0x1000] = iov })))
    local call = entry("readv", { 3, 0x1000, 2 }, { [0x1000] = iov })
    assert.same({ "iov read 1000 32", "iov written 2000 4", "iov written 3000 2" }, ranges(leave(call, 6)))
  end)

  it("of a length that goes both ways are both", function()
    local call = entry("accept", { 3, 0x1000, 0x2000 }, { [0x1000] = ("x"):rep(16), [0x2000] = "\16\0\0\0" })
    assert.same({ "addrlen read 2000 4" }, ranges(call))
    assert.same({ "addr written 1000 16", "addrlen read 2000 4", "addrlen written 2000 4" }, ranges(leave(call, 4)))
  end)

  it("follow what structs point to", function()
    local message = bytes_of("uint64_t[7]", 0, 0, 0x2000, 1, 0, 0, 0)
    local call = entry("sendmsg", { 3, 0x1000, 0 }, { [0x1000] = message, [0x2000] = bytes_of("uint64_t[2]", 0x3000, 5),
      [0x3000] = "hello" })
    assert.same({ "msg read 1000 56", "msg read 2000 16", "msg read 3000 5" }, ranges(call))
  end)
end)

describe("rows", function()
  it("of unknown numbers have a name and six arguments", function()
    local row = decode.row("x86_64", 0x1a7f)
    assert.equal("syscall_0x1a7f", row.name)
    assert.equal(6, #row)
  end)

  it("bring %file with a path and %desc with a descriptor", function()
    assert.is_true(decode.find("x86_64", "unlink").classes.file)
    assert.is_true(decode.find("x86_64", "fsync").classes.desc)
    assert.is_nil(decode.find("x86_64", "getpid").classes.desc)
  end)

  it("are checked, with the name of the call and what is wrong", function()
    local cases = {
      ['table of calls: bad: buf looks for "length"'] = { returns = types.count, { "fd", types.fd },
        { "buf", types.ptr_in(types.bytes "length") } },
      ["bad: two arguments are called fd"] = { returns = types.i32, { "fd", types.fd }, { "fd", types.fd } },
      ["bad: argument fd: not a type"] = { returns = types.i32, { "fd", {} } },
      ["bad: pathname: there is no argument dirfd"] = { returns = types.i32, { "pathname", types.path_at "dirfd" } },
      ["bad: order: there is no argument x"] = { returns = types.i32, order = { "x" }, { "fd", types.fd } },
      ["bad: errors: there is no EWRONG"] = { returns = types.i32, errors = "EWRONG", { "fd", types.fd } },
    }
    for message, row in pairs(cases) do
      local ok, failure = pcall(schema.check, "bad", row)
      assert.is_false(ok)
      assert.truthy(tostring(failure):find(message, 1, true), tostring(failure))
    end
  end)
end)
