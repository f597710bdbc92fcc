-- --format=json: every line is JSON by other programs' standards, and says what strace says.

local dirent = require "posix.dirent"
local support = require "spec.support"
local sys_stat = require "posix.sys.stat"

--- Has this process the file open?
local function is_open(path)
  local file = sys_stat.stat(path)
  for _, name in ipairs(dirent.dir("/proc/self/fd")) do
    local one = name:find "%d" and sys_stat.stat("/proc/self/fd/" .. name)
    if one and one.st_ino == file.st_ino and one.st_dev == file.st_dev then return true end
  end
  return false
end

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
    local counted = support.native { cmd = { support.python, "-c",
      "import json,sys\nn=0\nfor l in open(sys.argv[1]):\n  o=json.loads(l); n+=o['v']\nprint(n)", file } }
    local _, lines = support.read(file):gsub("\n", "")
    assert.equal(lines .. "\n", counted.stdout)
  end)

  it("shows only the results and signals that are asked for", function()
    local command = { "sh", "-c", "cat /nonexistent; kill -CONT $$" }
    local errors = 'select(.type == "call") | .errno // "none"'
    assert.is_nil(jq(errors, (json(command, { "-Z" }))):find("none", 1, true))
    assert.is_nil(jq(errors, (json(command, { "-e", "status=successful" }))):find("E", 1, true))
    local file = json(command, { "-e", "signal=CONT" })
    assert.equal("SIGCONT\n", jq('select(.type == "signal") | .signal', file))
  end)

  it("keeps its schema, whatever is asked to be shown", function()
    for _, options in ipairs { {}, { "-k", "--footprint", "--mark=danger" }, { "--normalize" } } do
      local file = json({ support.tracee("signals"), "stop" }, options)
      -- All of the schema language that the schema uses.
      local checked = support.native { cmd = { support.python, "-c", [=[
import json, re, sys
schema = json.load(open(sys.argv[1]))
kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
known = {"$ref", "oneOf", "const", "enum", "type", "required", "properties", "additionalProperties", "items", "pattern",
  "minimum", "description", "title", "$schema", "$defs"}
def ok(value, s):
    assert set(s) <= known, set(s) - known
    if "$ref" in s: return ok(value, schema["$defs"][s["$ref"].split("/")[-1]])
    if "oneOf" in s and sum(ok(value, one) for one in s["oneOf"]) != 1: return False
    if "const" in s and value != s["const"]: return False
    if "enum" in s and value not in s["enum"]: return False
    types = s.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and not any(isinstance(value, kinds[t]) and not isinstance(value, bool) for t in types): return False
    if isinstance(value, str) and "pattern" in s and not re.search(s["pattern"], value): return False
    if isinstance(value, (int, float)) and "minimum" in s and value < s["minimum"]: return False
    if isinstance(value, list) and "items" in s: return all(ok(one, s["items"]) for one in value)
    if isinstance(value, dict):
        properties = s.get("properties", {})
        if not all(name in value for name in s.get("required", [])): return False
        if s.get("additionalProperties") is False and set(value) - set(properties): return False
        return all(ok(value[name], properties[name]) for name in value if name in properties)
    return True
n = 0
for line in open(sys.argv[2]):
    assert ok(json.loads(line), schema), line
    n += 1
print(n > 50)]=], support.root .. "/spec/json_schema.json", file } }
      assert.equal("True\n", checked.stdout, checked.stderr)
    end
  end)

  it("is read by Lua, which finds what python3 finds", function()
    local reader = require "luatrace.json_reader"
    local file = json({ support.python, "-S", "-c",
      [[import os; os.write(2, b"\xff\x00\"\\"); os.write(2, "é\n\x7f".encode()); os.access("/a\tb", 0)]] },
      { "-k", "--footprint" })
    local function flat(value)
      if value == reader.null then return "None" end
      -- Not all round alike when they print: fractions are compared as millionths.
      if type(value) == "number" then return ("%d"):format(value % 1 == 0 and value or
        math.floor(value * 1e6 + 0.5)) end
      if type(value) ~= "table" then return tostring(value) end
      local parts = {}
      for key, one in pairs(value) do
        parts[#parts + 1] = (type(key) == "number" and key - 1 or key) .. "=" .. flat(one)
      end
      table.sort(parts)
      return "(" .. table.concat(parts, ",") .. ")"
    end
    local lines = {}
    for event in reader.events(file) do lines[#lines + 1] = flat(event) end
    local theirs = support.native { cmd = { support.python, "-c", [=[
import json, math, sys
def flat(v):
    if v is None: return b"None"
    if v is True: return b"true"
    if isinstance(v, (int, float)): return str(int(v) if v % 1 == 0 else math.floor(v * 1e6 + 0.5)).encode()
    if isinstance(v, str): return v.encode()
    if isinstance(v, dict) and list(v) == ["base16"]: return bytes.fromhex(v["base16"])
    items = v.items() if isinstance(v, dict) else enumerate(v)
    return b"(" + b",".join(sorted(str(k).encode() + b"=" + flat(one) for k, one in items)) + b")"
sys.stdout.buffer.write(b"\n".join(flat(json.loads(l)) for l in open(sys.argv[1])))]=], file } }
    assert.equal(theirs.stdout, table.concat(lines, "\n"), theirs.stderr)
    assert.is_truthy(theirs.stdout:find("buf=\255\0\"\\,", 1, true))
  end)

  it("says where a trace is no trace", function()
    local reader = require "luatrace.json_reader"
    local file = support.tempdir() .. "/t"
    support.write(file, '{"v":1,"type":"exit","time":1,"pid":1,"tid":1,"status":0}\n{"v":1,"type":\n')
    -- What the collector would close is a leak, too.
    collectgarbage("stop")
    local ok, message = pcall(function() for _ in reader.events(file) do end end)
    local left_open = is_open(file)
    collectgarbage("restart")
    assert.is_false(left_open)
    assert.is_false(ok)
    assert.is_truthy(tostring(message):find(file .. ":2: column", 1, true), message)
    assert.same({ nil, "version 2: this reader knows version 1" }, { reader.event('{"v":2}') })
    assert.same({ nil, "this is no event of luatrace --format=json" }, { reader.event('{"a":[]}') })
    assert.equal("\240\159\152\128/", reader.event('{"v":1,"type":"\\ud83d\\ude00\\/"}').type)
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
    local file = json({ support.python, "-c",
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
