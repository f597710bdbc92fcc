-- What luatrace does and says where its surroundings take something away: no /proc, or one whose numbers are other
-- processes', and no right to let set-user-ID programs be what they are.

local support = require "spec.support"

--- With a user namespace (-r) an ordinary user may make the others.
local function unshare(letters, ...)
  return support.execute { words = { "unshare", "-r" .. letters, "--", ... } }
end

local function can(letters) return unshare(letters, "true").status == 0 end

describe("a foreign /proc", function()
  teardown(support.clean)
  local not_here = "no namespaces can be made here"

  it("is told, and no rule takes a stranger's files for the program's", function()
    if not can "pf" then return pending(not_here) end
    local result = unshare("pf", support.binary, "--lua", [[
      fail("openat", "EIO", { path = "/etc/hostname" })
      at.exit(function(process) print(process.exe, process.cwd, process.argv) end)]],
      "--", "sh", "-c", "cd /usr; cat /etc/hostname")
    assert.matches("luatrace: /proc is another pid namespace's: [^\n]*mount %-t proc", result.stderr)
    assert.matches("cat: /etc/hostname: Input/output error\n", result.stderr)
    assert.equal("nil\tnil\tnil\n", (result.stdout:gsub("(\n).*", "%1")))
  end)

  it("is not where read-only memory is written", function()
    if not can "pf" then return pending(not_here) end
    local result = unshare("pf", support.binary, "--lua", "on.write(function(call) call.buf = call.buf:upper() end)",
      "--", support.tracee "read_only")
    assert.equal("WRITTEN FROM READ-ONLY MEMORY\n", result.stdout)
    assert.equal(0, result.status)
  end)

  it("is told where there is none", function()
    local cover = "mount -t tmpfs none /proc && exec \"$@\""
    if not can "m" then return pending(not_here) end
    if os.getenv "ASAN_OPTIONS" then return pending("the sanitizers need a /proc themselves") end
    local result = unshare("m", "sh", "-c", cover, "sh", support.binary, "--lua", "on.write(function(call) end)", "--",
      "echo", "hello")
    assert.matches("^luatrace: /proc is not mounted: [^\n]*\n$", result.stderr)
    assert.same({ 0, "hello\n" }, { result.status, result.stdout })
  end)
end)

describe("a set-user-ID program", function()
  local cmd = { "su", "--version" }
  local function run(options)
    return support.run { cmd = cmd, options = options, user = support.is_root and 65534 or nil }
  end

  it("that loses its privileges is told once", function()
    for _, options in ipairs { { "-e", "trace=none" }, { "--trap=ptrace", "-e", "trace=none" } } do
      local result = run(options)
      local path, uid = result.stderr:match("^luatrace: (%S+) is set%-user%-ID, which [^\n]* it runs with uid (%d+) %(")
      assert.matches("/su$", path)
      assert.equal(support.is_root and "65534" or io.popen("id -u"):read "*l", uid)
      assert.equal(0, result.status)
    end
  end)

  it("is not spoken of where it keeps them", function()
    if not support.is_root then return pending("only root may trace them so") end
    local result = support.run { cmd = cmd, options = { "-u", "nobody", "-e", "trace=none" } }
    assert.is_nil(result.stderr:find("luatrace:", 1, true))
    result = support.run { cmd = cmd, options = { "-e", "trace=none" } }
    assert.is_nil(result.stderr:find("luatrace:", 1, true))
  end)

  it("is not spoken of where it would have none without luatrace, either", function()
    local user = support.is_root and "--reuid=65534 --clear-groups " or ""
    local result = support.execute { words = { "sh", "-c", "exec setpriv " .. user .. '--no-new-privs "$@"', "sh",
      support.binary, "-e", "trace=none", "su", "--version" } }
    assert.equal("+++ exited with 0 +++\n", result.stderr)
  end)
end)

describe("a program with file capabilities", function()
  local program
  local function run(options, user)
    return support.run { cmd = { program, "CapPrm", "/proc/self/status" }, options = options, user = user }
  end

  --- grep with cap_net_raw and cap_syslog, of which the second has a number above 31.
  local function make()
    local directory = support.tempdir()
    program = directory .. "/grep"
    os.execute("cp \"$(command -v grep)\" " .. program)
    local code = [[import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 1 << 2, 0))]]
    return support.execute { words = { "python3", "-c", code, program } }.status == 0
  end

  after_each(support.clean)

  it("that loses them is told once", function()
    if not support.is_root or not make() then return pending("needs root, and a file system with capabilities") end
    for _, options in ipairs { { "-e", "trace=none" }, { "--trap=ptrace", "-e", "trace=none" } } do
      local result = run(options, 65534)
      assert.equal("CapPrm:\t0000000000000000\n", result.stdout)
      assert.equal(("luatrace: %s has cap_net_raw,cap_syslog (getcap), which Linux does not heed under a tracer " ..
        "without privileges: it runs without (as root, luatrace -u USER traces it as it is)\n"):format(program),
        (result.stderr:gsub("%+%+%+.*", "")))
    end
  end)

  it("is not spoken of where it keeps them", function()
    if not support.is_root or not make() then return pending("needs root, and a file system with capabilities") end
    local result = run { "-u", "nobody", "-e", "trace=none" }
    assert.equal("CapPrm:\t0000000400002000\n", result.stdout)
    assert.is_nil(result.stderr:find("luatrace:", 1, true))
  end)
end)
