-- What the seccomp filter says of a rule's scalar predicates is what the predicates themselves say: on random rules and
-- random arguments. And what a matcher is given is read as it is meant.

local support = require "spec.support"

support.module()
local decode = require "luatrace.decode"
local fd_table = require "luatrace.tracee.fd_table"
local engine = require "luatrace.engine"
local expression = require "luatrace.filter.expression"
local glob = require "luatrace.filter.glob"
local matcher = require "luatrace.filter.matcher"
local random = require "luatrace.random"
local subjects = require "luatrace.filter.subjects"

local archs = { x86_64 = engine.arch[0xC000003E], i386 = engine.arch[0x40000003] }

--- A call at its entry as a matcher sees one, without a tracee.
local function fake_call(arch, name, raw)
  local row = decode.find(arch, name)
  local call = { row = row, name = name, raw = raw, args = raw, arch = archs[arch], phase = "entry",
    process = { number = "0", fds = { get = function() end } } }
  call.fds = function(self) return subjects.fds(self) end
  return setmetatable(call, { __index = function(self, key)
    local index = row.index[key]
    if index then return (decode.value(self, index)) end
  end })
end

describe("predicates and the seccomp filter", function()
  local pick = random.new(20261128)

  local function one_of(list) return list[pick(#list)] end

  --- Numbers where comparisons go wrong: around zero, around 2^31 and 2^32, and all over.
  local function number(arch)
    local base = one_of { 0, 1, 3, 64, 4096, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffff }
    local value = base + pick(-2, 2)
    if arch == "i386" then value = value % 4294967296 end
    return value
  end

  local function raw_argument(arch)
    local value = number(arch)
    if value < 0 then
      if arch == "i386" then return value + 4294967296 end
      return require("ffi").cast("uint64_t", require("ffi").cast("int64_t", value))
    end
    return value
  end

  local flags = { "O_CREAT", "O_TRUNC", "O_EXCL", "O_CLOEXEC", "O_WRONLY", "O_RDWR", "O_RDONLY" }
  local makers = {
    function() return "write", { fd = number() % 7 } end,
    function() return "read", { fd = ("%d.."):format(number() % 100) } end,
    function() return "read", { fd = { number() % 5, number() % 5, "7..9" } } end,
    function() return "dup2", { fd = number() % 4 } end,
    function(arch) return "write", { arg = { count = number(arch) } } end,
    function(arch) return "write", { arg = { count = ("%d.."):format(math.max(0, number(arch))) } } end,
    function(arch)
      local low = math.max(0, number(arch))
      return "write", { arg = { count = { min = low, max = low + pick(0, 5000) } }, fd = number() % 4 }
    end,
    function() return "openat", { arg = { flags = one_of(flags) .. "|!" .. one_of(flags) } } end,
    function() return "openat", { arg = { flags = one_of(flags) }, fd = number() % 4 } end,
    function() return "openat", { arg = { flags = { one_of(flags), one_of(flags) }, mode = 420 } } end,
    function() return "socket", { arg = { domain = one_of { "AF_INET", "AF_UNIX", "AF_INET6" } } } end,
    function() return "socket", { arg = { domain = { "AF_INET", "AF_INET6" }, protocol = "0..6" } } end,
    function() return "lseek", { arg = { whence = one_of { "SEEK_SET", "SEEK_CUR", "SEEK_END" } } } end,
    function(arch) return "lseek", { arg = { offset = ("..%d"):format(number(arch)) } } end,
    function(arch) return "kill", { arg = { pid = number(arch) } } end,
    function(arch) return "kill", { arg = { pid = ("%d..%d"):format(-5, math.max(0, number(arch))) } } end,
  }

  it("agree on random rules and arguments", function()
    local exact_ones, matched = 0, 0
    for _ = 1, 1500 do
      local arch = one_of { "x86_64", "x86_64", "i386" }
      local name, where = one_of(makers)(arch)
      local made = assert(matcher.compile(name, where))
      local alternatives, exact = made:scalar(arch, name)
      local row, audit = decode.find(arch, name), archs[arch].audit
      local plan = engine.new_plan()
      for _, tests in ipairs(alternatives or {}) do
        assert(plan:add(audit, row.nr, engine.mechanism.stop, 0, tests))
      end
      if not alternatives then assert(plan:add(audit, row.nr, engine.mechanism.stop, 0)) end
      if exact then exact_ones = exact_ones + 1 end
      for _ = 1, 12 do
        local raw = {}
        for i = 1, 6 do raw[i] = raw_argument(arch) end
        if pick() < 0.5 then raw[1] = pick(0, 9) end
        if pick() < 0.5 then raw[3] = pick(0, 0x200000) end
        local trapped = plan:verdict(audit, row.nr, raw) == engine.mechanism.stop
        local holds = made:entry(fake_call(arch, name, raw))
        local what = ("%s %s: %s, %s %s %s"):format(arch, name, require("luatrace.rules").quoted(where),
          tostring(raw[1]), tostring(raw[2]), tostring(raw[3]))
        if holds then
          matched = matched + 1
          assert.is_true(trapped, "the filter lets it pass: " .. what)
        end
        if exact then assert.equal(holds, trapped, "the filter and the predicate differ: " .. what) end
      end
    end
    -- The property says something only if there were such rules and such calls.
    assert.is_true(exact_ones > 500 and matched > 500)
  end)

  it("what only Lua can tell is left to Lua", function()
    local made = assert(matcher.compile("openat", { path = "*.c", arg = { flags = "O_CREAT" } }))
    local alternatives, exact = made:scalar("x86_64", "openat")
    assert.equal(1, #alternatives)
    assert.is_false(exact)
    assert.is_false(select(2, assert(matcher.compile("write", { fd = 3, nth = 2 })):scalar("x86_64", "write")))
    assert.is_true(select(2, assert(matcher.compile("write", { fd = 3 })):scalar("x86_64", "write")))
  end)
end)

describe("paths that the core lets pass without waking Lua", function()
  local pick = random.new(20261129)
  local function one_of(list) return list[pick(#list)] end

  --- A text of a few pieces.
  local function text_of(pieces, most)
    local words = {}
    for i = 1, pick(1, most) do words[i] = one_of(pieces) end
    return table.concat(words)
  end

  local names = { "a", "b", "ab", ".c", "x.c", "/", "/", "/", "..", ".", "//", "[", "\\", "*" }
  local patterns = { "a", "b", ".c", "x", "/", "/", "*", "**", "?", "[ab]", "[!a]", "{a,b}", "{.c,x/}", "\\*", "\\[",
    "/**/", "!" }

  it("match none of the patterns: random patterns and paths", function()
    local row, audit = decode.find("x86_64", "openat"), archs.x86_64.audit
    local mask = 2 -- pathname is the second argument
    assert.same({ 1 }, subjects.path_arguments(row))
    local held, passed = 0, 0
    for _ = 1, 3000 do
      local pattern = { (one_of { "", "/", "/a" }) .. text_of(patterns, 4) }
      if pick() < 0.3 then pattern[2] = text_of(patterns, 2) end
      local made = matcher.compile("openat", { path = pattern })
      local ends = made and made:path_ends()
      if ends then
        local plan = engine.new_plan()
        for _, pair in ipairs(ends) do assert(plan:add_path(audit, row.nr, mask, pair[1], pair[2])) end
        for _ = 1, 12 do
          local path = (one_of { "", "/", "/a" }) .. text_of(names, 5)
          local directory = one_of { "/", "/a", "/b/x.c", "/ab/a" }
          local fds = fd_table.new(0)
          fds.cwd, fds.get = function() return directory end, function() end
          local call = { row = row, name = "openat", pathname = path, raw = { -100, 0 }, process = { fds = fds } }
          call.paths = function(self) return subjects.paths(self) end
          local holds, through = made:entry(call), plan:lets_through(audit, row.nr, path)
          if holds then
            held = held + 1
            assert.is_true(through, ("%s in %s: %s"):format(path, directory, table.concat(pattern, " ")))
          elseif not through then
            passed = passed + 1
          end
        end
      end
    end
    assert.is_true(held > 300 and passed > 3000, held .. " " .. passed)
  end)

  it("are told by what patterns begin and end with", function()
    assert.same({ { "", ".db" } }, glob.ends "*.db")
    assert.same({ { "/etc/", "" } }, glob.ends "/etc/**")
    assert.same({ { "/etc/x", ".conf" } }, glob.ends "/etc/x[0-9]*.conf")
    assert.same({ { "", ".c" }, { "", ".h" } }, glob.ends "src/*.{c,h}")
    assert.same({ { "/a*b", "a*b" } }, glob.ends "/a\\*b")
    assert.is_nil(glob.ends "!*.db")
    assert.is_nil(glob.ends "lib*")
  end)

  it("are so only where nothing else wants the call, and all of its paths can be told", function()
    assert.same({ 1, 3 }, subjects.path_arguments(decode.find("x86_64", "renameat")))
    assert.is_nil(subjects.path_arguments(decode.find("x86_64", "write")))
    for lua, first in pairs {
      ['fail("openat", "EIO", { path = "*.none" })'] = false,
      ['fail("openat", "EIO", { path = "*.none" }) count "openat"'] = true,
      ['fail("openat", "EIO", { path = "!*.none" })'] = true,
      ['fail("openat", "EIO", { path = "*.none" }) watch.openat(function() end)'] = true,
    } do
      local result = support.run { lua = lua .. " at.finish(function(run) print(run.calls.openat.count > 0) end)",
        cmd = { "/bin/cat", "/dev/null" } }
      assert.equal(first and "true\n" or "false\n", result.stdout, lua)
    end
    assert.same({}, support.leftovers())
  end)

  it("are those of fresh memory: relative, by a descriptor, unreadable", function()
    local result = support.run { cwd = "/", lua = 'fail("openat,newfstatat,stat", "EIO", { path = "*/passwd" })',
      cmd = { "/bin/sh", "-c", "cat etc/passwd; cat /etc/../etc/passwd; cd /etc; cat passwd; cat ./passwd/." } }
    local _, failures = result.stderr:gsub("Input/output error", "")
    assert.equal(4, failures, result.stderr)
  end)
end)

describe("glob", function()
  it("patterns without a slash look at the last component, with one at the path", function()
    local cases = {
      { "*.o", "/tmp/x.o", true }, { "*.o", "x.o", true }, { "*.o", "/a.o/b", false },
      { "/etc/**", "/etc/a/b", true }, { "/etc/**", "/etc", false }, { "/etc/*", "/etc/a/b", false },
      { "src/*.{c,h}", "/home/src/a.h", true }, { "src/*.{c,h}", "/homesrc/a.h", false },
      { "!/usr/**", "/usr/x", false }, { "!/usr/**", "/x", true }, { "/a/**/b", "/a/b", true },
      { "/a/**/b", "/a/x/y/b", true }, { "[!0-9]x", "/1x", false }, { "[a-c]x", "/bx", true },
      { "a\\*b", "/a*b", true }, { "a\\*b", "/aXb", false }, { "**/x", "/q/x", true }, { "a.c", "/abc", false },
      { "{a,b{c,d}}", "/bd", true }, { "pipe:*", "pipe:[12]", true }, { "100%", "/100%", true },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], assert(glob.compile(case[1]))(case[2]), case[1] .. " " .. case[2])
    end
  end)

  it("refuses what is not whole", function()
    for _, pattern in ipairs { "", "{a", "a}", "[a" } do assert.is_nil((glob.compile(pattern)), pattern) end
  end)
end)

describe("expressions", function()
  it("words in strace's grammar, words with conditions", function()
    assert.same({ { calls = "%network" }, { calls = "openat", where = { path = "*.conf",
      arg = { flags = "O_CREAT" } } } }, expression.parse("openat(flags=O_CREAT,path=*.conf),%network"))
    assert.same({ { calls = "/^read(v)?$" } }, expression.parse("/^read(v)?$"))
    assert.same({ { calls = "!read,write" } }, expression.parse("!read,write"))
    assert.same({ { calls = "all", where = { comm = "cc1" } } }, expression.parse("(comm=cc1)"))
    assert.same({ { calls = "write", where = { fd = { 1, 2 }, arg = { count = "4097.." } } } },
      expression.parse("write(fd={1,2},count>4096)"))
    assert.same({ { calls = "write", where = { buf = "a,b)", arg = { fd = 3 } } } },
      expression.parse('write(buf="a,b)",arg.fd=3)'))
    assert.same({ { calls = "read", where = { errno = "!EAGAIN", arg = { count = "..9" } } } },
      expression.parse("read(errno!=EAGAIN,count<10)"))
    assert.same({ { calls = "openat", where = { path = "{*.c,*.h}", after_startup = true } } },
      expression.parse("openat(path={*.c,*.h},after_startup)"))
  end)

  it("what is wrong is said", function()
    local function wrong(text, pattern)
      local list, message = expression.parse(text)
      assert.is_nil(list)
      assert.matches(pattern, message)
    end
    wrong("read(", "a bracket is not closed")
    wrong("read)", "a %) without its counterpart")
    wrong('read(buf="x)', 'a " without its counterpart')
    wrong("read(fd)", '"fd" is no condition')
    wrong("read(fd=)", "the value is missing")
    wrong("read(fd=1,fd=2)", "fd is given twice")
    wrong("read(count>x)", "compares numbers")
    wrong("!read(fd=1)", "! takes calls without conditions")
  end)
end)
