-- --footprint: the memory that calls read and write, by the registers that the program gave and by what came back.

local support = require "spec.support"

local function trace(options, cmd)
  local words = { "--footprint" }
  for _, word in ipairs(options) do words[#words + 1] = word end
  return support.run({ options = words, cmd = cmd }).stderr
end

describe("--footprint", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("says where paths were read and buffers written, as many bytes as came", function()
    local text = trace({ "-e", "trace=openat,read", "-e", "raw=openat,read" }, { "cat", "/etc/passwd", "/nonexistent" })
    local size = #support.read "/etc/passwd"
    local address = text:match(("read%%(0x3, (0x%%x+), 0x%%x+%%) += %#x\n"):format(size))
    assert.is_truthy(text:find((" @ written buf %s %d\n"):format(address, size), 1, true))
    -- The end of the file: nothing is written.
    assert.matches("read%(0x3, 0x%x+, 0x%x+%) += 0\n[^ ]", text)
    local path, length = text:match("openat%(0xf*9c, (0x%x+), 0, 0%) += 0x3\n @ read pathname %1 (%d+)\n")
    assert.is_truthy(path)
    assert.equal(#"/etc/passwd" + 1, tonumber(length))
    -- A failed call has read its path, too.
    assert.matches(" = %-1 ENOENT %(No such file or directory%)\n @ read pathname 0x%x+ " .. #"/nonexistent" + 1 ..
      "\n", text)
  end)

  it("knows vectors of buffers, and what an exec has read before its memory was gone", function()
    local text = trace({ "-e", "trace=execve,writev", "-a", "0" }, { support.python, "-S", "-c",
      "import os; os.writev(2, [b'one', b'', b'three'])" })
    local list = text:match("\nonethree%) = 8\n(.-)%+%+%+") or text:match("writev%([^\n]+= 8\n(.-)%+%+%+")
    assert.matches("^ @ read iov 0x%x+ 48\n @ read iov 0x%x+ 3\n @ read iov 0x%x+ 5\n$", list)
    assert.matches('^execve%("/[^\n]+ = 0\n @ read pathname 0x%x+ ' .. #support.python + 1 ..
      "\n @ read argv 0x%x+ 40\n", text)
  end)

  it("is in JSON, with the addresses that the arguments have", function()
    if not support.has "jq" then return pending("jq is not installed") end
    local file = support.tempdir() .. "/t"
    trace({ "--format=json", "-o", file, "-e", "trace=read,fstat,newfstatat" }, { "cat", "/etc/passwd" })
    local result = support.native { cmd = { "jq", "-r", ([[select(.ret == %d and .call == "read") | .footprint[] |
      "\(.argument) \(.direction) \(.length)"]]):format(#support.read "/etc/passwd"), file } }
    assert.equal(("buf written %d\n"):format(#support.read "/etc/passwd"), result.stdout)
    result = support.native { cmd = { "jq", "-r", [[select(.args.statbuf? and .ret == 0) | .footprint[] |
      select(.direction == "written") | .length]], file } }
    assert.matches("^144\n", result.stdout)
  end)

  it("is refused with sentences", function()
    local result = support.run { options = { "--footprint", "--format=human" }, cmd = { "true" } }
    assert.equal(125, result.status)
    assert.matches("^luatrace: %-%-footprint is for %-%-format=text", result.stderr)
  end)
end)
