-- Gates (src/gate.h): programs that let go by themselves the calls whose paths no rule matches. What they see is what
-- they see without a gate, under each mechanism, and what would betray one does not happen.

local support = require "spec.support"

local rule = 'fail("openat", "EIO", { path = "*.hit" })'

-- Addresses are not randomised: one gate in thousands would not be made, since the stack is near.
local function traced(gate, trap, program, words, lua)
  return support.run { lua = lua or rule, options = { "--gate=" .. gate, "--trap=" .. trap },
    cmd = { "setarch", "-R", support.tracee("gate", program), unpack(words) } }
end

--- Mounts a file system with one file, "file", and runs a command. To open the file takes a moment, and fails with
-- EINTR when the kernel says that the caller has been interrupted, as some servers have it.
local fuse = [=[
import ctypes, errno, os, struct, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC_PRIVATE, MS_NOSUID_NODEV = 0x20000, 0x44000, 6
try: device = os.open("/dev/fuse", os.O_RDWR)
except OSError: sys.exit(77)
options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % device
if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC_PRIVATE, None) \
   or libc.mount(b"fuse", sys.argv[1].encode(), b"fuse", MS_NOSUID_NODEV, options):
    sys.exit(77)
interrupted = {}
def answer(unique, error, data=b""): os.write(device, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)
def attributes(node): return struct.pack("<6Q10I", node, *[0] * 8, 0o40755 if node == 1 else 0o100644, 1, *[0] * 5)
def open_file(unique):
    if interrupted[unique].wait(0.05): answer(unique, errno.EINTR)
    else: answer(unique, 0, struct.pack("<QII", 1, 0, 0))
def serve():
    while True:
        try: request = os.read(device, 1 << 20)
        except OSError: return
        _, what, unique, node = struct.unpack_from("<IIQQ", request)
        body = request[40:]
        if what == 26: answer(unique, 0, struct.pack("<4I2H2I36x", 7, 31, 65536, 0, 16, 12, 131072, 1))
        elif what == 1 and body == b"file\0": answer(unique, 0, struct.pack("<5Q", 2, 0, 0, 0, 0) + attributes(2))
        elif what == 3: answer(unique, 0, struct.pack("<QII", 1, 0, 0) + attributes(node))
        elif what == 14:
            interrupted[unique] = threading.Event()
            threading.Thread(target=open_file, args=(unique,)).start()
        elif what == 36: interrupted[struct.unpack_from("<Q", body)[0]].set()
        elif what in (18, 25): answer(unique, 0)
        elif what != 2: answer(unique, errno.ENOSYS)
threading.Thread(target=serve, daemon=True).start()
status = subprocess.run(sys.argv[2:]).returncode
libc.umount2(sys.argv[1].encode(), 2)
os._exit(status)
]=]

--- A mode of spec/tracees/gate.c says the same with and without a gate.
---@param gates string|nil how many gates its processes have at the end; nil: that depends
local function same(words, gates, program)
  local without = traced("never", "auto", program, words)
  assert.not_matches("1 gate", without.stderr)
  for _, trap in ipairs { "auto", "stop" } do
    for _, gate in ipairs { "auto", "always" } do
      local with = traced(gate, trap, program, words)
      local name = ("--gate=%s --trap=%s"):format(gate, trap)
      assert.equal(without.stdout, with.stdout, name)
      assert.equal(without.status, with.status, name)
      if gates then assert.equal(gates, with.stderr:gsub(" gate\n", ""), name) end
    end
  end
  return without.stdout
end

describe("a gate", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  local function fifo()
    local path = support.tempdir() .. "/fifo"
    support.native { cmd = { "mkfifo", path } }
    return path
  end

  for name, program in pairs { ["of a dynamic program"] = {}, ["of a static program"] = { static = true } } do
    describe(name, function()
      it("lets pass what no rule matches, and nothing else", function()
        local said = same({ "paths" }, "1", program)
        assert.matches("/nonexistent/a: No such file or directory\na.hit: Input/output error\n", said, nil, true)
        assert.matches("x/../a.hit: Input/output error\n", said, nil, true)
      end)

      it("leaves to the kernel what is no path, and delivers no fault but the program's own", function()
        for _, gate in ipairs { "never", "always" } do
          local result = traced(gate, "auto", program, { "pointers" })
          local one = "NULL: Bad address\n1: Bad address\nnot canonical: Bad address\nkernel: Bad address\n"
            .. "no end: Bad address\nbehind the end of a file: Bad address\ntoo long: File name too long\n"
            .. "good: opened\n"
          assert.equal(one:rep(3) .. "a fault was delivered\n", result.stdout, gate)
          assert.equal(1, result.status)
        end
      end)

      it("is not noticed by signals, in handlers or beside calls that wait", function()
        assert.equal("0 wrong, 0 in handlers\n", same({ "signals" }, nil, program))
        assert.equal("-1 Interrupted system call, 0 wrong in handlers\n", same({ "first", fifo() }, nil, program))
        assert.equal("interrupted: Interrupted system call\nrestarted: opened\n0 wrong in handlers\n",
          same({ "blocked", fifo() }, "1", program))
        assert.equal("interrupted: Interrupted system call\n0 wrong in the coroutine\n",
          same({ "coroutine", fifo() }, nil, program))
      end)

      it("serves threads, children, and whoever shares memory", function()
        assert.equal("0 wrong\n", same({ "threads" }, "1", program))
        assert.matches("\n0 wrong\n$", same({ "family" }, "11", program))
        assert.equal("vfork: status 300\nshared memory: status 500\n0 wrong\n", same({ "lent" }, nil, program))
      end)

      it("is taken back when a thread is made, whose stack could not be unwound there", function()
        local cxx = { static = program.static, flags = "-fexceptions" }
        assert.equal("cleaned up\ncancelled\n", same({ "cancelled", fifo() }, nil, cxx))
      end)

      it("takes other calls from the same place for what they are, and no stack", function()
        assert.equal("0 wrong\n", same({ "any" }, "1", program))
        assert.equal("0 wrong\n", same({ "deep" }, "1", program))
        local by_hand = 'fail("open", "EIO", { path = "*.hit" })'
        assert.equal("0 wrong\n", traced("always", "auto", program, { "flags" }, by_hand).stdout)
      end)
    end)
  end

  it("is not made under a filter of the program's own, nor where faults are ignored", function()
    assert.equal("a filter\n0 wrong\n", traced("always", "auto", nil, { "filter" }).stdout)
    assert.equal("NULL: Bad address\n1: Bad address\nstill ignored\n", same({ "ignored" }))
    assert.equal("1: Bad address\n-1: Bad address\nstill blocked, still handled\n", same({ "masked" }))
  end)

  it("is asked for without a call that fails since it was interrupted", function()
    local mode = { support.tracee("gate", { static = true }), "file" }
    local function opened(...)
      local directory = support.tempdir()
      local words = { support.python, "-c", fuse, directory, ... }
      for _, word in ipairs { mode[1], mode[2], directory .. "/file" } do words[#words + 1] = word end
      return support.execute({ words = words })
    end
    local native = opened()
    if native.status == 77 then return pending "no FUSE file system can be mounted here" end
    assert.equal(("file: opened\n"):rep(8), native.stdout)
    for _, trap in ipairs { "auto", "stop" } do
      local traced_too = opened(support.binary, "--gate=always", "--trap=" .. trap, "--lua", rule, "--")
      assert.equal(native.stdout, traced_too.stdout)
    end
  end)

  it("is where addresses are randomised, too", function()
    local function gates()
      return support.run { lua = rule, options = { "--gate=always" }, cmd = { support.tracee "gate", "paths" } }.stderr
    end
    -- Another try for the one process in thousands whose stack is near.
    assert.is_true(gates() == "1 gate\n" or gates() == "1 gate\n")
  end)

  it("shows stacks and addresses of the program, not its own", function()
    local lua = [[
      fail("openat", "EIO", { path = "*.hit", when = function(call)
        local stack = call:stack()
        io.stderr:write(stack[1].symbol or "?", " ", stack[#stack].symbol or "?", "\n")
        return true
      end })]]
    local function shown(gate) return traced(gate, "auto", nil, { "paths" }, lua).stderr end
    local without = shown "never"
    assert.matches("open", without)
    assert.equal(without, (shown("always"):gsub("1 gate", "0 gate")))
  end)

  it("is told by --explain, and only where it can be", function()
    local function explained(lua, ...)
      return support.execute({ words = { support.binary, "--explain", "--lua", lua, ... } }).stdout
    end
    assert.matches("gate", explained(rule))
    assert.not_matches("gate", explained(rule, "--gate=never"))
    assert.not_matches("gate", explained(rule, "--trap=ptrace"))
    assert.not_matches("gate", explained 'fail("openat", "EIO")')
    assert.not_matches("gate", explained(rule .. " watch.mmap(function() end)"))
  end)
end)
