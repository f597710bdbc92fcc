-- --format=json: every line is JSON by other programs' standards, and says what strace says.

local support = require "spec.support"

local function json(cmd, options)
  local directory = support.tempdir()
  local words = { "--format=json", "-o", directory .. "/t.json" }
  for _, word in ipairs(options or {}) do words[#words + 1] = word end
  local result = support.run { options = words, cmd = cmd }
  return directory .. "/t.json", result
end

--- What jq makes of a file.
local function jq(program, file)
  local result = support.native { cmd = { "jq", "-r", program, file } }
  assert.equal("", result.stderr)
  return result.stdout
end

describe("json", function()
  if not support.has "jq" then return pending("jq is not installed") end
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("is read by jq and python3, line by line", function()
    local file = json { "sh", "-c", "ls / | head -1; exit 3" }
    assert.matches("^%d+\n$", jq("[., inputs] | length", file))
    local counted = support.native { cmd = { "/usr/bin/python3", "-c",
      "import json,sys\nn=0\nfor l in open(sys.argv[1]):\n  o=json.loads(l); n+=o['v']\nprint(n)", file } }
    local _, lines = support.read(file):gsub("\n", "")
    assert.equal(lines .. "\n", counted.stdout)
  end)

  it("keeps its schema", function()
    -- A validator of what the schema uses: required, enum, const, type, additionalProperties.
    local file = json { support.tracee("signals"), "stop" }
    local checked = support.native { cmd = { "/usr/bin/python3", "-c", [=[
import json, sys
schema = json.load(open(sys.argv[1]))
kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
def check(value, s):
    if "$ref" in s: s = schema["$defs"][s["$ref"].split("/")[-1]]
    if "oneOf" in s: return sum(ok(value, one) for one in s["oneOf"]) == 1
    if "const" in s: return value == s["const"]
    if "enum" in s: return value in s["enum"]
    types = s.get("type", [])
    types = types if isinstance(types, list) else [types]
    return not types or any(isinstance(value, kinds[t]) for t in types)
def ok(value, s): return check(value, s)
n = 0
for line in open(sys.argv[2]):
    o = json.loads(line)
    assert all(k in o for k in schema["required"]), o
    for k, v in o.items():
        assert k in schema["properties"], (k, o)
        assert check(v, schema["properties"][k]), (k, v)
    n += 1
print(n > 50)]=], support.root .. "/spec/json_schema.json", file } }
    assert.equal("True\n", checked.stdout, checked.stderr)
  end)

  it("has arguments by name, results, errors, durations", function()
    local file = json { "cat", "/etc/hostname", "/nonexistent" }
    assert.equal('/etc/hostname ["O_RDONLY"] true\n', jq([[select(.args.pathname? == "/etc/hostname") |
      select(.call == "openat") | "\(.args.pathname) \(.args.flags) \(.ret >= 3)"]], file))
    assert.equal("-1 ENOENT true\n", jq([[select(.args.pathname? == "/nonexistent") |
      "\(.ret) \(.errno) \(.duration > 0)"]], file))
    assert.equal("1\n", jq([[select(.type == "exit") | .status]], file))
    assert.equal("/usr/bin/cat\n", jq([[select(.type == "exec") | .exe]], file))
  end)

  it("keeps bytes that are no text, and every bit of large integers", function()
    local file = json({ "/usr/bin/python3", "-c",
      [[import os
os.write(2, b"\xff\x00a"); os.write(2, "é".encode()); f = os.open("/dev/zero", 0)
os.pread(f, 1, 0x7fffffffffffff00)]] },
      { "-e", "trace=write,pread64" })
    assert.equal("ff0061\né\n", jq([[select(.call == "write") | .args.buf | .base16? // .]], file))
    assert.equal("9223372036854775552\n", jq([[select(.call == "pread64" and .args.count == 1) | .args.offset]], file))
  end)

  it("agrees with strace about names and results", function()
    local file = json({ "cat", "/etc/hostname" })
    local ours = jq([[select(.type == "call") | "\(.call) \(.ret // "?")"]], file)
    local theirs = support.strace { cmd = { "cat", "/etc/hostname" } }.trace
    local list = {}
    for name, result in theirs:gmatch("([%w_]+)%(.-%) += (%S+)[^\n]*\n") do
      list[#list + 1] = name .. " " .. (result:find("^0x") and "ADDRESS" or result)
    end
    ours = ours:gsub(" %d%d%d%d%d%d%d+", " ADDRESS"):gsub("(set_tid_address) %d+", "%1 N")
    local expected = (table.concat(list, "\n") .. "\n"):gsub("(set_tid_address) %d+", "%1 N")
    assert.equal(expected, ours)
  end)
end)
