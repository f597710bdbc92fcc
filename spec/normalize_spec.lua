-- --normalize: two runs of the same program give the same text, whatever the scheduler did; what differs is shown.

local support = require "spec.support"

local function joined(...)
  local words = {}
  for _, list in ipairs { ... } do
    for _, word in ipairs(list) do words[#words + 1] = word end
  end
  return words
end

--- setup: what a shell does before it becomes luatrace.
local function trace(cmd, options, setup)
  local directory = support.tempdir()
  local before = setup and { "sh", "-c", setup .. ' exec "$@"', "sh" } or {}
  local result = support.execute { words = joined(before, { support.binary, "--normalize", "-o", directory .. "/t" },
    options or {}, { "--" }, cmd) }
  return support.read(directory .. "/t"), result, directory
end

describe("--normalize", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  for _, format in ipairs { "text", "json", "human" } do
    it("gives the same " .. format .. " for two runs of a program with threads and children", function()
      local crowd = support.tracee "crowd"
      local first, result = trace({ crowd }, { "--format=" .. format })
      assert.equal(0, result.status)
      for _ = 1, 3 do assert.equal(first, (trace({ crowd }, { "--format=" .. format }))) end
      assert.is_truthy(first:find("P1.3", 1, true))
      assert.is_truthy(first:find("P1t3", 1, true))
    end)
  end

  it("keeps each thread's lines together, in the order of their names", function()
    local text = trace { support.tracee "crowd" }
    local order, last = {}, nil
    for line in text:gmatch("[^\n]+") do
      local name = line:match("^%[(P[%w.]+)%] ") or "P1"
      if name ~= last then order[#order + 1] = name end
      last = name
    end
    assert.same({ "P1", "P1t1", "P1t2", "P1t3", "P1.1", "P1.2", "P1.3" }, order)
  end)

  it("names descriptors as a clean process would have got them; those that the program chose stay", function()
    local code = "import os; f = os.open('/etc/hostname', 0); os.dup2(f, 9); os.close(f); os.read(9, 1); os.close(9)"
    local python = { support.python, "-S", "-c", code }
    local alone, crowded = trace(python), trace(python, nil, "exec 3</dev/null 4</dev/null 5</dev/null;")
    for _, text in ipairs { alone, crowded } do
      assert.matches('openat%(AT_FDCWD, "/etc/hostname", O_RDONLY|O_CLOEXEC%) = fd3\n', text)
      assert.matches("\ndup3?2?%(fd3, 9.-%) += 9\n", text)
      assert.matches("\nread%(9, ", text)
    end
  end)

  it("shows what really differs", function()
    local first, second = trace { "cat", "/etc/hostname" }, trace { "cat", "/etc/passwd" }
    assert.are_not.equal(first, second)
    assert.equal(first, (trace { "cat", "/etc/hostname" }))
  end)

  it("keeps constants that the program gave, replaces what a clock said", function()
    local text = trace { "sh", "-c", "sleep 0.01; touch -d @1 $(mktemp -d)" }
    assert.matches("nanosleep%(.-{tv_sec=0, tv_nsec=10000000}", text)
    local python = trace { support.python, "-c", "import os; os.stat('/'); print(os.times())" }
    assert.is_nil(python:find("st_ino=%d"))
  end)

  it("gives each thread a file of its own with -ff", function()
    local _, _, directory = trace({ "sh", "-c", "true & wait" }, { "-ff" })
    assert.matches("clone%(.* = P1.1\n", support.read(directory .. "/t.P1"))
    assert.matches("%+%+%+ exited with 0", support.read(directory .. "/t.P1.1"))
  end)

  it("is a function on lines of text, too", function()
    local normal = require("luatrace.output.normalize").new()
    local stream = normal:stream "a file"
    assert.equal("mmap(NULL, 4096) = addr1\n", normal:text(stream, "mmap(NULL, 4096) = 0x7f0012345000\n"))
    assert.equal("munmap(addr1, 4096) = 0\n", normal:text(stream, "munmap(0x7f0012345000, 4096) = 0\n"))
    assert.equal("brk(addr2) = addr2\n", normal:text(stream, "brk(0x55aa00000000) = 0x55aa00000000\n"))
    assert.equal("clock_gettime(1, {tv_sec=TIME, tv_nsec=TIME}) = 0",
      normal:text(stream, "clock_gettime(1, {tv_sec=5, tv_nsec=0}) = 0"))
  end)

  it("is refused with times and with tables", function()
    for _, option in ipairs { "-t", "-r", "-T", "-c", "-C", "--tree" } do
      local result = support.run { options = { "--normalize", option }, cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches("^luatrace: %-%-normalize ", result.stderr)
    end
  end)
end)
