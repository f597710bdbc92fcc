-- scripts/setup and the Makefile around it, on a system whose dpkg and apt are stubs: what is installed and what can be
-- had is written in files.

local support = require "spec.support"

local stubs = {
  id = "echo $SETUP_UID",
  -- dpkg-query -W -f FORMAT NAMES; called for one name with a format without it.
  ["dpkg-query"] = [[for name; do grep -qx "$name" "$SYSTEM/installed" && echo "ii  $name"; done; true]],
  ["apt-cache"] = [[grep -q . "$SYSTEM/mirror"]],
  ["apt-get"] = [[
    case " $* " in
    *" update "*) exit 0 ;;
    *" download "*) for name; do :; done
      grep -qx "$name" "$SYSTEM/mirror" && : >"${name}_1_amd64.deb" && exit ;;
    *" install "*) grep -q . "$SYSTEM/mirror" && exit ;;
    esac
    echo "E: the network is down" >&2
    exit 100]],
  dpkg = [[echo "$2" >>"$SYSTEM/unpacked"]],
}

--- A copy of the scripts in a directory of its own, with this manifest; what is in it, and a way to run setup there.
local function system(installed, manifest)
  local root = support.tempdir()
  local bin = root .. "/bin"
  assert.equal(0, os.execute(("mkdir -p %s/vendor %s/scripts %s && cp scripts/setup %s/scripts"):format(root, root, bin,
    root)))
  for name, code in pairs(stubs) do support.write(bin .. "/" .. name, "#!/bin/sh\n" .. code .. "\n") end
  os.execute("chmod +x " .. bin .. "/*")
  support.write(root .. "/vendor/packages.txt", manifest)
  support.write(root .. "/installed", installed)
  support.write(root .. "/mirror", "")
  return {
    root = root,
    setup = function(uid)
      return support.execute { words = { "sh", "scripts/setup" }, cwd = root,
        env = { SYSTEM = root, SETUP_UID = uid, PATH = bin .. ":" .. os.getenv "PATH" } }
    end,
    has = function(name) return support.read(root .. "/" .. name) ~= nil end,
    mirror = function(names) support.write(root .. "/mirror", names) end,
  }
end

local manifest = "build alpha  # why\ntest beta\noptional gamma\n"

describe("setup", function()
  after_each(support.clean)

  it("has nothing to do for a user where only what is optional lacks", function()
    local here = system("alpha\nbeta\n", manifest)
    local result = here.setup "1000"
    assert.same({ 0, "", "" }, { result.status, result.stdout, result.stderr })
    assert.is_false(here.has "vendor/unpacked/packages")
  end)

  for uid, who in pairs { ["1000"] = "a user", ["0"] = "root" } do
    it("tells " .. who .. " what lacks and what to do when apt cannot help", function()
      local result = system("", manifest).setup(uid)
      assert.equal(1, result.status)
      assert.matches("  E: the network is down\n", result.stderr)
      assert.matches("\nscripts/setup: missing: alpha beta\n", result.stderr)
      assert.matches("as root:\n  apt%-get update && apt%-get install %-%-no%-install%-recommends alpha beta\n$",
        result.stderr)
    end)
  end

  it("goes on where it failed, once apt can help", function()
    local here = system("", manifest)
    assert.equal(1, here.setup("1000").status)
    here.mirror "alpha\n"
    local half = here.setup "1000"
    assert.equal(1, half.status)
    assert.matches("missing: beta\n", half.stderr)
    here.mirror "alpha\nbeta\n"
    assert.equal(0, here.setup("1000").status)
    assert.equal("alpha_1_amd64.deb\nbeta_1_amd64.deb\n", support.read(here.root .. "/unpacked"))
    local again = here.setup "1000"
    assert.same({ 0, "", "" }, { again.status, again.stdout, again.stderr })
  end)
end)

describe("make demo", function()
  after_each(support.clean)

  it("runs with the compiler that set-up unpacked a moment before", function()
    local root = support.tempdir()
    local file = function(name, text)
      support.write(root .. "/" .. name, text)
      os.execute(("chmod +x %s/%s"):format(root, name))
    end
    os.execute(("mkdir -p %s/scripts %s/src %s/lua/luatrace/cli %s/lua/luatrace/sweep && cp Makefile %s"):format(root,
      root, root, root, root))
    for _, name in ipairs { "src/main.c", "src/module.c", "src/api.h", "scripts/embed.lua", "scripts/manual.lua",
      "lua/luatrace/cli/manual.lua", "lua/luatrace/cli/options.lua", "lua/luatrace/sweep/command.lua" } do
      file(name, "")
    end
    file("setup_gcc", [[#!/bin/sh
while [ "$1" != -o ]; do shift; done
: >"$2"
]])
    file("setup_luajit", "#!/bin/sh\n[ $1 != scripts/embed.lua ] || : >$2\n")
    file("scripts/setup", [[#!/bin/sh
mkdir -p vendor/unpacked/usr/bin
mv setup_gcc vendor/unpacked/usr/bin/gcc
mv setup_luajit vendor/unpacked/usr/bin/luajit
]])
    file("scripts/demo", "#!/bin/sh\necho found $(command -v gcc)\n")
    local result = support.execute { words = { "make", "-s", "demo" }, cwd = root,
      env = { MAKEFLAGS = false, MAKELEVEL = false } }
    assert.same({ 0, "" }, { result.status, result.stderr })
    assert.matches("found " .. root:gsub("%p", "%%%0") .. "/vendor/unpacked/usr/bin/gcc\n", result.stdout)
  end)
end)
