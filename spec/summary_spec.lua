-- -c is strace's: the same calls, counts, columns, orders and lines; the times are the kernel's.

local support = require "spec.support"

local function execute(tracer, options, command)
  local words = { tracer }
  for _, list in ipairs { options, command } do
    for _, word in ipairs(list) do words[#words + 1] = word end
  end
  return support.execute { words = words }
end

--- Times are another in each run. Which program is a 32-bit one strace says even where no lines are; we do not.
local function normal(text)
  text = text:gsub("%[pid +%d+%] (%[ Process)", "%1"):gsub("%[ Process[^\n]*\n", "")
  text = text:gsub("%w+: Process %d+", "NAME: Process PID"):gsub("%d+%.%d%d%d%d%d%d", "0.TIMES0")
  return (text:gsub("\n *%d+%.%d%d ", "\n  0.00 "))
end

local function same(options, command)
  local ours, theirs = execute(support.binary, options, command), execute("strace", options, command)
  assert.equal(normal(theirs.stderr), normal(ours.stderr))
  assert.equal(theirs.stdout, ours.stdout)
  return ours.stderr
end

local ls, listing = { "ls", "-l", "/etc/hostname" }, { "-c", "-S", "name", "-U", "calls,errors,name" }

describe("-c", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  for _, options in ipairs { "-c -f -U calls,errors,name -S name", "-c -f -U name,calls -S nothing",
    "-c -f -U calls -S calls", "-c -f -U errors,name,calls -S errors", "-cw -f -U name,min-time,max-time -S name",
    "-c -f -U total-time,longest,shortest,syscall,count -S name",
    "-c -f -e trace=sched_setaffinity,read -U calls -S calls",
    "-c -f -e trace=none", "-C -f -e trace=uname -U calls,errors" } do
    it("is strace's with " .. options, function()
      local words = {}
      for word in options:gmatch("%S+") do words[#words + 1] = word end
      same(words, options:find("-C", 1, true) and { "uname" } or { "taskset", "1", "ls", "/etc/hostname" })
    end)
  end

  it("has a head and a foot as strace has", function()
    local text = same({ "-c", "-f", "-e", "trace=uname", "-O", "1s" }, { "uname" })
    assert.equal("% time     seconds  usecs/call     calls    errors syscall\n" ..
      "------ ----------- ----------- --------- --------- ----------------\n" ..
      "  0.00    0.000000           0         1           uname\n" ..
      "------ ----------- ----------- --------- --------- ----------------\n" ..
      "100.00    0.000000           0         1           total\n", text)
  end)

  if support.has "gcc" then
    it("has a table for each architecture", function()
      if not support.runs_32_bit() then return pending(support.no_32_bit) end
      local program = support.tracee("registers", { m32 = true })
      local text = same({ "-c", "-f", "-S", "name", "-U", "calls,errors,name" },
        { "sh", "-c", program .. " open; true" })
      assert.matches("\nSystem call usage summary for 32 bit mode:\n", text)
    end)
  end

  it("counts the kernel's time, with -w the clock's", function()
    local function seconds(options)
      local words = { "-U", "total-time,name", "-e", "trace=clock_nanosleep,nanosleep" }
      for i = #options, 1, -1 do table.insert(words, 1, options[i]) end
      return tonumber(execute(support.binary, words, { "sleep", "0.3" }).stderr:match("([%d.]+) [%w_]+sleep"))
    end
    assert.is_true(seconds { "-c" } < 0.1)
    assert.is_true(seconds { "-c", "-w" } >= 0.3)
    assert.is_true(seconds { "-c", "-w", "-O", "100ms" } >= 0.2)
    assert.equal(0, seconds { "-c", "-w", "-O", "3600s" })
  end)

  it("counts calls whose return nobody watched, and takes neither time nor error for theirs", function()
    local half = [[on.getppid(function(call) if call.nth % 2 == 1 then call:skip_exit() end call:sleep(0.05) end)]]
    local all = "on.getppid(function(call) call:skip_exit() end)"
    local cmd = { "luajit", "-e", 'local ffi = require "ffi" ffi.cdef "int getppid(void);" ' ..
      "for _ = 1, 4 do ffi.C.getppid() end" }
    local options = { "-c", "-w", "-U", "calls,errors,avg-time,min-time,name", "-e", "trace=getppid" }
    local function row(lua)
      local text = support.run({ options = options, lua = lua, cmd = cmd }).stderr
      local calls, errors, average, shortest = text:match("\n +(%d+) (.........) +(%d+) ([%d.]+) +getppid\n")
      assert.is_truthy(calls, text)
      return tonumber(calls), errors, tonumber(average), tonumber(shortest)
    end
    assert.same({ 4, (" "):rep(9), 0, 0 }, { row(all) })
    local calls, _, average, shortest = row(half)
    assert.equal(4, calls)
    -- Those of two calls that were watched, which slept.
    assert.is_true(average >= 50000, tostring(average))
    assert.is_true(shortest >= 0.05, tostring(shortest))
    table.insert(options, "--by=process")
    assert.equal(4, (row(all)))
  end)

  it("goes to the file of -o, with -C behind the lines", function()
    local directory = support.tempdir()
    for _, tracer in ipairs { support.binary, "strace" } do
      local name = directory .. "/" .. tracer:match("[^/]*$")
      execute(tracer, { "-o", name .. ".c", unpack(listing) }, ls)
      execute(tracer, { "-C", "-f", "-e", "trace=uname", "-U", "calls,name", "-o", name .. ".C" }, { "uname" })
    end
    assert.equal(support.read(directory .. "/strace.c"), support.read(directory .. "/luatrace.c"))
    local function lines(text) return (text:gsub("^%d+ +", "PID "):gsub("\n%d+ +%+", "\nPID +")) end
    assert.equal(lines(support.read(directory .. "/strace.C")), lines(support.read(directory .. "/luatrace.C")))
    local piped = execute(support.binary, { "-o", "|head -1", unpack(listing) }, ls)
    assert.matches("    calls    errors syscall\n", piped.stdout)
  end)

  it("refuses what it cannot show, and says what it leaves out", function()
    for _, options in ipairs { { "-c", "-C" }, { "-c", "-ff", "-o", "/dev/null" }, { "-c", "-U", "calls,count" },
      { "-c", "-U", "colour" }, { "-c", "-S", "colour" }, { "-c", "-O", "soon" } } do
      local result = execute(support.binary, options, { "true" })
      assert.equal(125, result.status, table.concat(options, " "))
      assert.matches("^luatrace: [^\n]+\n$", result.stderr)
    end
    local directory = support.tempdir()
    local result = execute(support.binary, { "-c", "-n", "-T", "-o", directory .. "/t" }, { "true" })
    assert.equal("luatrace: -n/--syscall-number has no effect with -c/--summary-only\n" ..
      "luatrace: -T/--syscall-times has no effect with -c/--summary-only\n", result.stderr)
  end)

  it("without -q, a change of architecture is said in the lines", function()
    if not support.has "gcc" then return pending("needs gcc") end
    if not support.runs_32_bit() then return pending(support.no_32_bit) end
    local program = support.tracee("registers", { m32 = true })
    local command = { "sh", "-c", program .. " open >/dev/null; true" }
    local options = { "-f", "-e", "trace=execve" }
    local function shown(text)
      return (text:gsub("0x%x+", "ADDRESS"):gsub("%d%d%d+", "PID"):gsub("%w+: Process", "NAME: Process"))
    end
    assert.equal(shown(execute("strace", options, command).stderr), shown(execute(support.binary, options, command)
      .stderr))
  end)
end)
