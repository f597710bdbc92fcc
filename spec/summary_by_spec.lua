-- -c --by: the same counts as strace's, for each process, thread, file and descriptor.

local dirent = require "posix.dirent"
local support = require "spec.support"

--- Rows of groups: title -> { calls, errors, bytes, rows = { call -> calls } }.
local function table_of(by, cmd, options)
  local words = { "-c", "--by=" .. by, "-U", "calls,errors,bytes,name" }
  for _, word in ipairs(options or {}) do words[#words + 1] = word end
  local text = support.run({ options = words, cmd = cmd }).stderr
  local groups, title, order = {}, nil, {}
  local inside = false
  for line in text:gmatch("[^\n]+") do
    if line:find("^%-%-%-") then
      inside = not inside
    elseif inside then
      local calls, errors, bytes = tonumber(line:sub(1, 9)), tonumber(line:sub(11, 19)) or 0, tonumber(line:sub(21, 31))
      local name = line:sub(33)
      if name:find("^  ") then
        groups[title].rows[name:sub(3)] = calls
      else
        title = name
        groups[title] = { calls = calls, errors = errors, bytes = bytes or 0, rows = {} }
        order[#order + 1] = calls
      end
    end
  end
  return groups, text, order
end

--- How many calls each process or thread makes under strace, sorted; exits, which never return, counted as ours are.
local function strace_counts(cmd)
  local directory = support.tempdir()
  local words = { "strace", "-ff", "-o", directory .. "/t" }
  for _, word in ipairs(cmd) do words[#words + 1] = word end
  support.execute { words = words }
  local counts = {}
  for _, name in ipairs(dirent.dir(directory)) do
    if name:find("^t%.") then
      local _, count = ("\n" .. support.read(directory .. "/" .. name)):gsub("\n[%w_]+%(", "")
      counts[#counts + 1] = count
    end
  end
  table.sort(counts)
  return counts
end

local function our_counts(groups)
  local counts = {}
  for _, group in pairs(groups) do counts[#counts + 1] = group.calls end
  table.sort(counts)
  return counts
end

describe("-c --by", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("process: as many calls in each as strace counts", function()
    local cmd = { "sh", "-c", "cat /etc/hostname >/dev/null; ls / >/dev/null" }
    assert.same(strace_counts(cmd), our_counts((table_of("process", cmd))))
  end)

  it("thread: a row for each, which says whose it is", function()
    local groups = table_of("thread", { support.tracee "family", "threads", "3" })
    local threads = 0
    for title, group in pairs(groups) do
      if title:find("^family%[%d+%] %(thread of %d+%)$") then
        threads = threads + 1
        assert.equal(10, group.rows.getppid)
      end
    end
    assert.equal(3, threads)
  end)

  it("file: as many calls as strace -P sees, and the bytes that went through", function()
    local groups = table_of("file", { "cat", "/etc/passwd" })
    local strace = support.strace { options = { "-P", "/etc/passwd" }, cmd = { "cat", "/etc/passwd" } }
    local _, lines = strace.trace:gsub("[%w_]+%([^\n]*\n", "")
    local file = groups["/etc/passwd"]
    assert.equal(lines, file.calls)
    assert.equal(#support.read "/etc/passwd", file.bytes)
    assert.equal(1, file.rows.openat)
  end)

  it("fd: whose it is and what it is open on", function()
    local groups, text = table_of("fd", { "cat", "/etc/passwd" })
    assert.matches("\n[^\n]+ fd 3 of cat%[%d+%], /etc/passwd\n", text)
    for title, group in pairs(groups) do
      if title:find("fd 3 of cat%[%d+%], /etc/passwd") then
        assert.equal(#support.read "/etc/passwd", group.bytes)
        assert.equal(1, group.rows.close)
      end
    end
  end)

  it("is sorted as it is told", function()
    local _, _, order = table_of("file", { "cat", "/etc/passwd" }, { "-S", "calls" })
    local sorted = { unpack(order) }
    table.sort(sorted, function(a, b) return a > b end)
    assert.is_true(#order > 3)
    assert.same(sorted, order)
  end)

  it("needs -c or -C", function()
    local result = support.run { options = { "--by=file" }, cmd = { "true" } }
    assert.equal(125, result.status)
    assert.equal("luatrace: --by needs -c or -C\n", result.stderr)
  end)
end)
