-- --format=human, --group-by, --mark=danger: what happened, in sentences, by what happened to the files themselves.

local support = require "spec.support"

local function human(options, cmd)
  local directory = support.tempdir()
  local words = { "--format=human", "-o", directory .. "/t" }
  for _, word in ipairs(options) do words[#words + 1] = word end
  local work = support.tempdir()
  local result = support.run { options = words, cmd = cmd or { support.tracee "admin" }, cwd = work }
  return support.read(directory .. "/t"), work, result
end

describe("sentences", function()
  local decode = require "luatrace.decode"
  local sentences = require "luatrace.sentences"

  it("name only arguments that their calls have, in formats that there are", function()
    local formats = require "luatrace.sentences.formats"
    for name, sentence in pairs(sentences.all()) do
      local row = decode.find("x86_64", name) or decode.find("i386", name)
      assert.is_truthy(row, name)
      for _, value in ipairs(sentence.values) do
        local argument = value.value:match("^[^.]+")
        assert.is_truthy(argument == "ret" or argument == "error" or row.index[argument], name .. ": " .. value.value)
        assert.is_true(formats.known(value.format), name .. ": " .. value.format)
      end
    end
  end)

  it("say sizes and times as people do", function()
    local formats = require "luatrace.sentences.formats"
    assert.same({ "0 bytes", "1 byte", "1023 bytes", "1 KiB", "1.5 KiB", "68.4 KiB", "1 MiB", "4 GiB" }, {
      formats.size(0), formats.size(1), formats.size(1023), formats.size(1024), formats.size(1536), formats.size(70000),
      formats.size(2 ^ 20 - 1), formats.size(2 ^ 32) })
    assert.same({ "250 ms", "1.5 s", "2 min 5 s", "12 µs" }, { formats.seconds(0.25), formats.seconds(1.5),
      formats.seconds(125), formats.seconds(12e-6) })
  end)
end)

describe("--format=human", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  it("says what a program did, on what, how much", function()
    local text, work = human {}
    for _, line in ipairs {
      "file     admin: opened WORK/notes for writing, new or emptied -> fd 3",
      "file     admin: wrote 68.4 KiB to WORK/notes (fd 3)",
      "file     admin: wrote 512 bytes to WORK/notes (fd 3) at offset 4096",
      "file     admin: closed WORK/notes (fd 3)",
      "file     admin: opened WORK/notes for reading -> fd 3",
      "file     admin: read 9.8 KiB from WORK/notes (fd 3)",
      "file     admin: set the permissions of WORK/notes to 4755",
      'file     admin: renamed WORK/notes to "WORK/other notes"',
      'file     admin: deleted "WORK/other notes"',
      "file     admin: could not open /nonexistent/file for reading and writing: No such file or directory",
      "network  admin: made an IPv4 datagram socket -> fd 3",
      "network  admin: made two sockets that are connected to each other: fd 3 and fd 4",
      "network  admin: sent 5 bytes over a socket (fd 3)",
      "network  admin: received 5 bytes over a socket (fd 4)",
      "signal   admin: ignores SIGUSR1 from now on",
    } do
      assert.is_truthy(text:find("\n" .. line:gsub("WORK", function() return work end) .. "\n", 1, true), line)
    end
    assert.matches("\nprocess  admin%[%d+%]: started a child: process %d+", text)
    local shell = human({}, { "sh", "-c", "(exit 3)" })
    assert.matches("\nprocess  sh%[%d+%]: waited for any child: process %d+ ended with status 3\n", shell)
    assert.matches("\nprocess  admin%[%d+%]: exited with status 3\n", text)
    assert.matches("\nsignal   admin%[%d+%]: got SIGCHLD of child %d+\n", text)
    assert.matches("\nprocess  admin%[%d+%]: exited with status 0\n$", text)
  end)

  it("falls back on names and arguments where there is no sentence", function()
    local text = human({}, { support.python, "-c", "import os; os.sched_getscheduler(0); os.getloadavg()" })
    assert.matches("\n%a+ +python3: called sched_getscheduler with 0\n", text)
  end)

  it("--group-by=file tells each file's story, equal things once", function()
    local text, work = human { "--group-by=file" }
    assert.is_truthy(text:find(("\n%s/notes\n"):format(work), 1, true))
    assert.is_truthy(text:find(("  admin: read 29.3 KiB from %s/notes (fd 3) (3 times)\n"):format(work), 1, true))
    local story = text:match("\n%S-/notes\n(.-)\n\n")
    assert.matches("^  admin: opened .* wrote .* closed .* opened .* read .* renamed ", story)
  end)

  it("--group-by=process tells what each process did", function()
    local text = human({ "--group-by=process" }, { "sh", "-c", "cat /etc/hostname; exec true" })
    local cat = text:match("\ncat %(process %d+%): cat /etc/hostname\n(.-)\n\n") or text:match(
      "\ncat %(process %d+%): cat /etc/hostname\n(.*)$")
    assert.matches("  opened /etc/hostname for reading %-> fd 3\n.*  exited with status 0", cat)
    assert.matches("^true %(process %d+%): true\n", text)
  end)

  it("--mark=danger marks what touches security, in sentences, text and JSON", function()
    local text, work = human { "--mark=danger" }
    for _, line in ipairs {
      ("file     ! admin: set the permissions of %s/notes to 4755 (lets a program run as its owner)"):format(work),
      "network  ! admin: connected fd 3 to 192.0.2.1 port 9 (connects to another machine)",
    } do
      -- Where there is no route the connection fails: an attempt is marked as well.
      local found = text:find("\n" .. line .. "\n", 1, true) or line:find("192.0.2.1", 1, true) and
        text:find("network  ! admin: could not connect fd 3 to 192.0.2.1 port 9: ", 1, true)
      assert.is_truthy(found, line)
    end
    assert.matches("\nfile     ! admin: %S* ?%S* ?open%a* /etc/shadow for reading.- %(reads passwords%)\n", text)
    assert.matches("\nmemory   ! admin: .- %(makes memory both writable and executable%)\n", text)
    local _, marks = text:gsub("\n%a+ +! ", "")
    assert.equal(4, marks)
    assert.is_nil((human {}):find("reads passwords"))

    local plain = support.run { options = { "--mark=danger", "-e", "trace=openat" }, cmd = { "cat", "/etc/shadow" } }
    assert.matches('openat%(AT_FDCWD, "/etc/shadow", O_RDONLY%) = [^\n]+ /%* danger: reads passwords %*/\n',
      plain.stderr)
    local json = support.run { options = { "--mark=danger", "--format=json" }, cmd = { "cat", "/etc/shadow" } }
    assert.matches('"/etc/shadow"[^\n]+"danger":"reads passwords"', json.stderr)
  end)

  it("takes the text format's filters, times, stacks", function()
    local text = human({ "-e", "trace=openat", "-Z", "-ttt", "-T" }, { "cat", "/nonexistent" })
    assert.matches("^%d+%.%d%d%d%d%d%d file     cat: could not open [^\n]+: No such file or directory %[[%d.]+ %S+%]\n",
      text)
    assert.matches("\n > /%S+%(%S+%) %[0x%x+%]\n", (human({ "-k", "-e", "trace=write" }, { "echo" })))
  end)

  it("says what never returned", function()
    local result = support.run { options = { "--format=human", "--timeout=2", "-e", "trace=read" },
      cmd = { "sh", "-c", "sleep 60 | cat" } }
    assert.matches("cat%[%d+%]: did not return: to read from standard input %(a pipe%)\n", result.stderr)
  end)

  it("claims nothing of a call whose return nobody watched", function()
    for _, case in ipairs {
      { "getppid", "process  sh: set out to ask for its parent's id (result not watched)\n" },
      { "openat", "file     sh: set out to open /etc/passwd for reading (result not watched)\n" },
      -- An answer is known without a return.
      { "openat", "file     sh: could not open /etc/passwd for reading: Permission denied (injected)\n",
        'call:fail "EACCES"' },
      { "sched_getscheduler", "python3: called sched_getscheduler with 0 (result not watched)\n", nil,
        { support.python, "-c", "import os; os.sched_getscheduler(0)" } },
    } do
      local result = support.run { options = { "--format=human", "-e", "trace=" .. case[1] },
        lua = ("on.%s(function(call) call:skip_exit() %s end)"):format(case[1], case[3] and
          'if call.pathname == "/etc/passwd" then ' .. case[3] .. " end" or ""),
        cmd = case[4] or { "sh", "-c", "echo $PPID; : </etc/passwd" } }
      assert.is_truthy(result.stderr:find(case[2], 1, true), result.stderr)
      assert.is_nil(result.stderr:find("did not return", 1, true), result.stderr)
    end
  end)

  it("survives what programs do to themselves: calls that their threads do not survive, bad pointers", function()
    for _, options in ipairs { { "--mark=danger" }, { "--group-by=file" }, { "--group-by=process" } } do
      local _, _, killed = human(options, { support.tracee "family", "killed", "4" })
      assert.equal("done\n", killed.stdout)
      assert.equal("", killed.stderr)
      local _, _, pointers = human(options, { support.tracee "registers", "pointers" })
      assert.equal("", pointers.stderr)
    end
  end)

  it("refuses what sentences have not", function()
    for _, options in ipairs { { "-i" }, { "-n" }, { "-e", "raw=all" }, { "--group-by=file", "-t" },
      { "--group-by=file", "--normalize" }, { "-y" }, { "-v" }, { "-N" }, { "-e", "decode-fds=all" } } do
      local result = support.run { options = { "--format=human", unpack(options) }, cmd = { "true" } }
      assert.equal(125, result.status)
      assert.matches("^luatrace: [^\n]+\n$", result.stderr)
    end
    assert.matches("needs %-%-format=human", support.run({ options = { "--group-by=file" }, cmd = { "true" } }).stderr)
  end)
end)
