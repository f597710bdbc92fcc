-- `luatrace sweep` on real programs of Debian: what it finds is looked at from outside, by running its scripts.

local support = require "spec.support"

local directory

local function sweep(options, command)
  local words = { support.binary, "sweep", "-o", directory .. "/out" }
  for _, word in ipairs(options) do words[#words + 1] = word end
  words[#words + 1] = "--"
  for _, word in ipairs(command) do words[#words + 1] = word end
  return support.execute { words = words, cwd = directory, timeout = 120 }
end

--- A directory with numbers in no order in a file f.
local function numbers()
  support.execute { words = { "mkdir", directory .. "/fix" } }
  local lines = {}
  for i = 1, 2000 do lines[i] = tostring(i * 7919 % 2003) end
  support.write(directory .. "/fix/f", table.concat(lines, "\n") .. "\n")
end

describe("sweep", function()
  before_each(function() directory = support.tempdir() end)
  after_each(function()
    support.clean()
    assert.are.same({}, support.leftovers())
  end)

  it("finds that sort -o f f destroys f, and its script does so again", function()
    numbers()
    local found = sweep({ "--fixture", "fix" }, { "sort", "-o", "f", "f" })
    assert.are.equal(123, found.status, found.stderr)
    assert.matches("1%. DESTROYED  the 3rd write on f fails with EIO; exit status 2  %[3/3%]", found.stdout)
    local script = assert(found.stdout:match("(%S+/1%-destroyed%S+%.lua)"))
    local before = support.read(directory .. "/fix/f")
    local again = support.execute { words = { support.binary, script, "--", "sort", "-o", "f", "f" },
      cwd = directory .. "/fix" }
    assert.are.equal(2, again.status, again.stderr)
    assert.are.equal(8192, #support.read(directory .. "/fix/f"))
    assert.is_true(#before > 8192)
  end)

  it("finds nothing in sed -i and in gzip, and leaves nothing behind then", function()
    numbers()
    for _, command in ipairs { { "sed", "-i", "s/1/ONE/", "f" }, { "gzip", "-n", "f" } } do
      local clean = sweep({ "--fixture", "fix" }, command)
      assert.are.equal(0, clean.status, clean.stdout .. clean.stderr)
      assert.matches("\nnothing found\n$", clean.stdout)
      assert.is_nil(support.read(directory .. "/out/journal.jsonl"))
    end
  end)
end)
