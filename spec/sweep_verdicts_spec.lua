-- Each verdict of `luatrace sweep` on a small program that deserves it, and each false alarm on one that does not:
-- spec/tracees/sweep_cases.c. What is expected is what the C code says.

local json = require "luatrace.text.json"
local support = require "spec.support"

local directory, program

--- Sweeps a case of sweep_cases.c; the report as read from its JSON, and the run of luatrace.
local function sweep(case, faults, options)
  local words = { support.binary, "sweep", "-q", "-o", directory .. "/out", "--fixture", directory .. "/fix",
    "--report", "json", "--faults", faults }
  for _, word in ipairs(options or {}) do words[#words + 1] = word end
  for _, word in ipairs { "--", program, case } do words[#words + 1] = word end
  local result = support.execute { words = words, cwd = directory, timeout = 120 }
  return json.decode(result.stdout), result
end

--- All verdicts that there were, in a row: "clean-fail DESTROYED".
local function verdicts(report, of_call, of_fault)
  local set, list = {}, {}
  for _, run in ipairs(report.runs) do
    if (not of_call or run.call == of_call) and (not of_fault or run.fault:find(of_fault, 1, true)) then
      set[run.verdict] = true
    end
  end
  for word in pairs(set) do list[#list + 1] = word end
  table.sort(list)
  return table.concat(list, " ")
end

describe("a sweep's verdict", function()
  before_each(function()
    directory, program = support.tempdir(), support.tracee "sweep_cases"
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.write(directory .. "/fix/data", "old content here\n")
    support.write(directory .. "/fix/cache", "what can be made again\n")
  end)
  after_each(function()
    support.clean()
    assert.are.same({}, support.leftovers())
  end)

  it("is clean-fail for a program that writes beside, syncs and renames", function()
    local report, result = sweep("careful", "disk,kill,short,descriptors")
    assert.are.equal(0, result.status, result.stderr)
    assert.are.equal("clean-fail", verdicts(report))
    assert.is_true(#report.runs > 12)
  end)

  it("is tolerated where the failure does not matter", function()
    local report = sweep("tolerates", "read,disk,short")
    assert.are.equal("tolerated", verdicts(report))
  end)

  it("is SILENT-LOSS for a last flush that nobody checks", function()
    local report, result = sweep("silent", "disk")
    assert.are.equal(123, result.status)
    assert.are.equal("SILENT-LOSS", verdicts(report, "write"))
    local finding = report.findings[1]
    assert.are.equal("data.new", finding.details[1].path)
    assert.are.equal("3/3", finding.confirmed)
    -- The same with strace, and without any tracer.
    support.execute { words = { "cp", "-a", directory .. "/fix", directory .. "/copy" } }
    local traced = support.execute { words = { "sh", "-c", finding.strace .. " " .. program .. " silent" },
      cwd = directory .. "/copy" }
    assert.are.equal(0, traced.status)
    assert.are.equal("", support.read(directory .. "/copy/data.new"))
    -- In a chroot "/" is no mount, and cannot be made private.
    local private = support.execute { words = { "unshare", "-m", "mount", "--make-rprivate", "/" } }
    if not support.is_root or private.status ~= 0 then return end
    local full = support.execute { words = { "unshare", "-m", "sh", "-c", finding.recipe .. "; wc -c </mnt/data.new" } }
    assert.are.equal("0\n", full.stdout, full.stderr)
  end)

  it("is DESTROYED for a file that is emptied before it is written, by a child too", function()
    local report = sweep("child", "disk,kill")
    assert.are.equal("DESTROYED", verdicts(report, "write", "fails"))
    local finding = report.findings[1]
    assert.are.equal("0.0", finding.process)
    assert.are.equal("3/3", finding.confirmed)
    assert.are.same({ path = "data", what = "damaged", before = "17 bytes", now = "0 bytes", clean = "40 bytes" },
      finding.details[1])
  end)

  it("is HANG for a program that waits for ever, and for one that tries for ever", function()
    local report = sweep("hangs", "write=EIO", { "--timeout", "0.5" })
    assert.are.equal("HANG", verdicts(report))
    assert.are.equal("timeout", report.findings[1].details[1].what)
    report = sweep("spins", "disk", { "--timeout", "5" })
    assert.are.equal("HANG", verdicts(report, "write", "stays full"))
    assert.are.equal("livelock", report.findings[1].details[1].what)
    assert.are.equal("3/3", report.findings[1].confirmed)
  end)

  it("is CRASH for a program that dies of what it does not check", function()
    local report = sweep("crashes", "openat=EIO")
    assert.are.equal("SIGSEGV", report.findings[1].details[1].what)
    assert.are.equal("CRASH", verdicts(report))
  end)

  it("is LEFTOVER for what a failed run leaves, but not for a kill", function()
    local report = sweep("leaves", "disk,kill")
    assert.are.equal("LEFTOVER", verdicts(report, "write", "fails"))
    assert.are.equal("clean-fail", verdicts(report, "write", "killed"))
  end)

  it("is LEFTOVER for an output that a failed run leaves unfinished, and says that it is one", function()
    support.write(directory .. "/fix/f", ("0123456789"):rep(2000))
    local result = support.execute { words = { support.binary, "sweep", "-q", "-o", directory .. "/out", "--fixture",
      "fix", "--faults", "disk", "--", "dd", "if=f", "of=g", "bs=10000", "status=none" }, cwd = directory }
    assert.are.equal(123, result.status, result.stdout .. result.stderr)
    assert.matches("LEFTOVER  the %w+ write on g fails with %u+[^\n]*\n   g is left unfinished: [^\n]*; after a " ..
      "clean run: 20000 bytes\n", result.stdout)
    assert.is_nil(result.stdout:find("left behind", 1, true))
  end)

  it("is found with two faults where one is handled", function()
    local once = sweep("restores", "disk,read")
    assert.are.equal(0, #once.findings)
    local twice = sweep("restores", "disk,read", { "--depth", "2" })
    assert.are.equal("DESTROYED", twice.findings[1].verdict)
    assert.matches("pwrite64 .*, then the 1st pwritev on data fails with EIO", twice.findings[1].title)
    assert.are.equal("3/3", twice.findings[1].confirmed)
  end)

  it("is no false alarm: a close that failed has closed, a full disk stays full until something is removed", function()
    assert.are.equal("clean-fail", verdicts(sweep("closes", "disk"), "close"))
    local report = sweep("full-once", "disk")
    assert.are.equal("clean-fail", verdicts(report, "write", "stays full"))
    report = sweep("frees", "disk", { "--ignore", "cache" })
    assert.are.equal("tolerated", verdicts(report, "write", "stays full"))
  end)

  it("is no false alarm: errors fit the kind of descriptor, and the loader is left alone", function()
    local report, result = sweep("kinds", "disk,read,eintr,short,network")
    assert.are.equal(0, result.status, result.stdout)
    local of_fault = {}
    for _, run in ipairs(report.runs) do of_fault[run.fault] = (of_fault[run.fault] or 0) + 1 end
    assert.are.equal(1, of_fault["fails with ECONNRESET"]) -- the write to the socket
    assert.are.equal(2, of_fault["fails with EINTR"]) -- those to the pipe and the socket
    for _, run in ipairs(report.runs) do
      assert.is_nil(run.fault:find("ENOSPC") or run.fault:find("EIO"), run.id)
      assert.is_nil(run.path and run.path:find("%.so"), run.id)
    end
    assert.is_true(#report.runs > 0)
  end)

  it("is not given for what differs between clean runs", function()
    local report, result = sweep("differs", "disk")
    assert.are.equal(0, result.status, result.stdout)
    assert.matches("clean runs differ in log: not judged", report.warnings[1])
  end)

  it("comes with a word about writes that are not seen", function()
    local report = sweep("mapped", "disk")
    assert.matches("data is written through a shared mapping", report.warnings[1])
  end)
end)

describe("a sweep says before it starts", function()
  before_each(function()
    directory, program = support.tempdir(), support.tracee "sweep_cases"
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.write(directory .. "/fix/data", "old content here\n")
  end)
  after_each(function()
    support.clean()
    assert.are.same({}, support.leftovers())
  end)

  local function refused(words, message)
    local all = { support.binary, "sweep" }
    for _, word in ipairs(words) do all[#all + 1] = word end
    local result = support.execute { words = all, cwd = directory, env = { STRAY = directory .. "/stray" },
      timeout = 60 }
    assert.are.equal(125, result.status, result.stdout)
    assert.are.equal("", result.stdout)
    assert.matches("^luatrace sweep: .*" .. message .. ".*\n$", result.stderr)
  end

  it("what is wrong with its fixture", function()
    refused({ "--fixture", "nowhere", "--", "true" }, "cannot read the fixture nowhere: No such file")
    refused({ "--fixture", "fix/data", "--", "true" }, "fix/data is not a directory")
    support.execute { words = { "python3", "-c",
      "import socket; socket.socket(socket.AF_UNIX).bind('" .. directory .. "/fix/s')" } }
    refused({ "--fixture", "fix", "--", "true" }, "cannot be copied: s %(a socket%)")
    support.execute { words = { "sh", "-c", "rm fix/s; truncate -s 300M fix/huge" }, cwd = directory }
    refused({ "--fixture", "fix", "--", "true" }, "has 300%.0 MiB in 2 files, and each run copies it: say %-%-yes")
  end)

  it("what is wrong with its command", function()
    refused({ "--" }, "no command")
    refused({ "--", "no-such-command" }, "not found in PATH")
    refused({ "--", "false" }, "ended with status 1 in a clean run")
    support.write(directory .. "/words", "")
    refused({ "--", "cat", "words" }, "No such file or directory\n%(words is here, but runs start in an empty")
    refused({ "--", "sh", "-c", "kill -9 $$" }, "killed by signal 9 in a clean run")
    refused({ "--timeout", "1", "--", "sleep", "60" }, "did not end within 1 s in a clean run")
  end)

  it("that the program writes elsewhere, and keeps it from doing so", function()
    for _, option in ipairs { "--yes", "--no-namespaces" } do
      refused({ option, "--fixture", "fix", "--", program, "strays" },
        "writes outside the fixture: .*/stray %(openat%)")
      assert.is_nil(support.read(directory .. "/stray"))
    end
  end)

  it("what is wrong with its options", function()
    refused({ "--faults", "dsik", "--", "true" }, 'no family "dsik" %(did you mean disk%?%)')
    refused({ "--faults", "wriet=EIO", "--", "true" }, 'no call "wriet" %(did you mean write')
    refused({ "--faults", "write=EBAD_NAME", "--", "true" }, 'no error "EBAD_NAME"')
    refused({ "--check", "echo not good; false", "--", "true" }, "finds fault with a clean run: not good")
    refused({ "--check", "no-such.lua", "--", "true" }, "no%-such%.lua")
    refused({ "--shard", "3/2", "--", "true" }, "%-%-shard takes K/N")
    refused({ "--budget", "soon", "--", "true" }, "%-%-budget takes")
    refused({ "--report", "xml", "--", "true" }, "%-%-report takes")
    refused({ "--resume", "--", "true" }, "there is no journal luatrace%-sweep/journal%.jsonl")
    refused({ "--merge", "fix/data" }, "fix/data is no JSON report")
    refused({ "--frobnicate" }, "unknown option %-%-frobnicate %(luatrace sweep %-%-help")
  end)
end)
