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
end)
