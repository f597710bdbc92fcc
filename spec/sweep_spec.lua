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
    assert.matches("1%. DESTROYED  the 3rd write on f fails with EIO; exit status 2  %[3/3%]\n   f: 8192 bytes, the " ..
      "beginning of the new content; before: %d+ bytes", found.stdout)
    local script = assert(found.stdout:match("(%S+/1%-destroyed%S+%.lua)"))
    local before = support.read(directory .. "/fix/f")
    local again = support.execute { words = { support.binary, script, "--", "sort", "-o", "f", "f" },
      cwd = directory .. "/fix" }
    assert.are.equal(2, again.status, again.stderr)
    assert.are.equal(8192, #support.read(directory .. "/fix/f"))
    assert.is_true(#before > 8192)
  end)

  it("finds nothing in a sqlite3 transaction, whose checker recovers first", function()
    if not support.has "sqlite3" then return pending("sqlite3 is not installed") end
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.execute { words = { "sqlite3", directory .. "/fix/db",
      "create table t(a); insert into t values(1),(2),(3)" } }
    local check = 'sqlite3 db "pragma integrity_check" | grep -qx ok && sqlite3 db "select count(*) from t" | ' ..
      'grep -qx "[36]"'
    local clean = sweep({ "--fixture", "fix", "--faults", "disk,kill", "--check", check }, { "sqlite3", "db",
      "begin; insert into t values(4),(5),(6); commit" })
    assert.are.equal(0, clean.status, clean.stdout .. clean.stderr)
    assert.matches("disk +%d%d", clean.stdout)
    assert.matches("kill +%d%d", clean.stdout)
  end)

  it("finds that sqlite3 without syncs does not survive a power loss, and its rollback journal does", function()
    if not support.has "sqlite3" then return pending("sqlite3 is not installed") end
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.execute { words = { "sqlite3", directory .. "/fix/db",
      "create table t(a); insert into t values(1),(2),(3)" } }
    local options = { "--fixture", "fix", "--faults", "powerloss=ext4", "--budget", "120", "--check",
      'sqlite3 db "pragma integrity_check" | grep -qx ok && sqlite3 db "select count(*) from t" | grep -qx "[36]"' }
    local clean = sweep(options, { "sqlite3", "db", "begin; insert into t values(4),(5),(6); commit" })
    assert.are.equal(0, clean.status, clean.stdout .. clean.stderr)
    assert.matches("powerloss=ext4 +%d%d", clean.stdout)
    local lost = sweep(options, { "sqlite3", "db",
      "pragma synchronous=off; begin; insert into t values(4),(5),(6); commit" })
    assert.are.equal(123, lost.status, lost.stdout .. lost.stderr)
    local script = assert(lost.stdout:match("luatrace (%S+/1%-destroyed%-powerloss%-ext4%.lua)"), lost.stdout)
    local made = support.execute { words = { support.binary, script }, cwd = directory }
    assert.are.equal(0, made.status, made.stderr)
    assert.is_not_nil(support.read(directory .. "/crashed/db"))
    -- A promise of the script's: what has been marked must be there.
    support.write(directory .. "/mark.lua", 'on.pwrite64(function(call) call:run() mark "written" end)')
    local promised = sweep({ "--fixture", "fix", "--faults", "powerloss=ext4", "--budget", "60", "--script", "mark.lua",
      "--check", 'test ! -s "$LUATRACE_ANNOUNCED_MARKS" || test "$(sqlite3 db "select count(*) from t")" = 6' },
      { "sqlite3", "db", "begin; insert into t values(4),(5),(6); commit" })
    assert.are.equal(123, promised.status, promised.stdout .. promised.stderr)
    assert.matches("mark \"written\"", promised.stdout)
  end)

  it("finds nothing in git commit but a message file that is written in place", function()
    if not support.has "git" then return pending("git is not installed") end
    local made = support.execute { words = { "sh", "-ec", [[
      git init -q fix; cd fix; git config user.name n; git config user.email e; rm -r .git/hooks
      echo one >f; git add f; git commit -qm one; echo two >>f; git add f]] }, cwd = directory,
      env = { HOME = directory, GIT_CONFIG_NOSYSTEM = "1" } }
    assert.are.equal(0, made.status, made.stderr)
    local options = { "--fixture", "fix", "--faults", "disk,kill", "--budget", "60", "--check",
      "rm -f .git/*.lock .git/refs/heads/*.lock; git fsck --strict && git status" }
    local clean = sweep(options, { "git", "commit", "-qm", "two" })
    assert.are.equal(0, clean.status, clean.stdout .. clean.stderr)
    -- Without the checker that knows what matters:
    local found = sweep({ "--fixture", "fix", "--faults", "write=EIO" }, { "git", "commit", "-qm", "two" })
    for path in found.stdout:gmatch("DESTROYED  the %S+ write on (%S+)") do
      assert.are.equal(".git/COMMIT_EDITMSG", path)
    end
    assert.matches("DESTROYED  the %S+ write on %.git/COMMIT_EDITMSG", found.stdout)
  end)

  it("lists its runs, does part of them, goes on, and merges shards", function()
    numbers()
    local command = { "sort", "-o", "f", "f" }
    local list = sweep({ "--fixture", "fix", "--list" }, command)
    local total = tonumber(list.stdout:match("places; (%d+) runs"))
    assert.matches("^    1  disk        write#%d+ f fails with ENOSPC, and the disk stays full\n", list.stdout)
    local part = sweep({ "--fixture", "fix", "--budget", "7" }, command)
    assert.matches(("7 of %d runs"):format(total), part.stdout)
    assert.matches("not all runs were made: %-%-resume goes on", part.stdout)
    local rest = sweep({ "--fixture", "fix", "--resume" }, command)
    assert.matches(("%d of %d runs"):format(total, total), rest.stdout)
    local other = sweep({ "--fixture", "fix", "--resume" }, { "sort", "f" })
    assert.are.equal(125, other.status)
    assert.matches("is the journal of another sweep: sort %-o f f", other.stderr)

    for k = 1, 3 do
      sweep({ "--fixture", "fix", "--shard", k .. "/3", "--report", ("json=%s/%d.json"):format(directory, k) }, command)
    end
    local merged = support.execute { words = { support.binary, "sweep", "--merge", "--report", "tap", "1.json",
      "2.json", "3.json" }, cwd = directory }
    assert.are.equal(123, merged.status, merged.stderr)
    assert.matches(("^TAP version 13\n1%%.%%.%d\n"):format(total), merged.stdout)
    assert.is_nil(merged.stdout:find("# not all runs", 1, true))
    local missing = support.execute { words = { support.binary, "sweep", "--merge", "1.json", "3.json" },
      cwd = directory }
    assert.matches("shard 2/3 is missing", missing.stdout)
  end)

  it("a program that waits to try again is slow, and no finding; where in the program it was is told", function()
    numbers()
    local slow = sweep({ "--fixture", "fix", "--faults", "openat=EIO", "--timeout", "0.6" },
      { "sh", "-c", "cat f >/dev/null || sleep 0.8; cat f >/dev/null" })
    assert.are.equal(0, slow.status, slow.stdout)
    assert.matches("note: slow, but no HANG, with 3 times as long: ", slow.stdout)
    local stuck = sweep({ "--fixture", "fix", "--faults", "openat=EIO", "--timeout", "0.2", "--report",
      "tap=" .. directory .. "/r.tap" }, { "sh", "-c", "cat f >/dev/null || sleep 100" })
    assert.are.equal(123, stuck.status, stuck.stdout)
    assert.matches("it did not end within 0.6 s\n   at [^\n]+ < cat%+0x", stuck.stdout)
    assert.matches("\nnot ok %d+ %- openat on f [^\n]+ %[0.0/0:openat\\#%d+:EIO%]: HANG", support.read(directory ..
      "/r.tap"))
  end)

  it("reports in forms that others read", function()
    numbers()
    support.write(directory .. "/fix/a<&\"\27[1m'\255", "odd name")
    local done = sweep({ "--fixture", "fix", "--faults", "disk", "--report", "junit=" .. directory .. "/r.xml",
      "--report", "html=" .. directory .. "/r.html" }, { "sh", "-c", "sort -o f f && cat a* >b" })
    assert.are.equal(123, done.status, done.stderr)
    local lint = support.execute { words = { "xmllint", "--noout", directory .. "/r.xml" } }
    assert.are.equal(0, lint.status, lint.stderr)
    local xml = support.read(directory .. "/r.xml")
    assert.matches('<failure type="DESTROYED"', xml)
    local page = support.read(directory .. "/r.html")
    assert.is_nil(page:find("[\27\255]"))
    assert.matches("^<!doctype html>", page)
    assert.matches("sort: fflush failed: f: Input/output error", page)
    assert.is_nil(page:find("<script", 1, true))
    assert.is_nil(page:find("https?://"))
  end)

  it("reports what it has when it is interrupted, and goes on", function()
    numbers()
    -- The shell interrupts the sweep when its journal has some runs.
    local interrupted = support.execute { words = { "sh", "-c", ([[
      %s sweep -q -j1 -o out --fixture fix --faults disk,kill -- sh -c 'date >g; sort -o f f; sleep 0.05' >report &
      while [ "$(wc -l <out/journal.jsonl 2>/dev/null || echo 0)" -lt 4 ]; do :; done
      kill -INT $!; wait $!; echo $? >status]]):format(support.binary) }, cwd = directory, timeout = 60 }
    assert.are.equal(0, interrupted.status, interrupted.stderr)
    local report = support.read(directory .. "/report")
    assert.matches("interrupted: %-%-resume goes on", report)
    local status = support.read(directory .. "/status")
    assert.is_true(status == "123\n" or status == "130\n", status)
    -- By then the clock has gone on: what differs is found out and what was found before is run again.
    local rest = sweep({ "--resume", "--fixture", "fix", "--faults", "disk,kill" },
      { "sh", "-c", "date >g; sort -o f f; sleep 0.05" })
    assert.are.equal(123, rest.status, rest.stderr)
    assert.matches("places; (%d+) of %1 runs", rest.stdout)
    assert.matches("DESTROYED  the %S+ write on f of process", rest.stdout)
  end)

  it("ends as a signal ends programs, when it has found nothing by then", function()
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.write(directory .. "/fix/f", "text")
    -- By then it takes signals; by then it has something to report.
    local ready = "grep -q '^SigBlk:.*[1-9a-f]' /proc/$!/status"
    local begun = "test -s out/journal.jsonl && test $(wc -l <out/journal.jsonl) -ge 2"
    for _, case in ipairs { { "INT", 130, "sleep 60", ready }, { "TERM", 143, "sleep 60", ready },
        { "TERM", 143, "cat f; sleep 0.05", begun }, { "HUP", 129, "cat f; sleep 0.05", begun } } do
      local result = support.execute { words = { "sh", "-c", ([[rm -rf out
        %s sweep -q -j1 -o out --fixture fix --faults kill -- sh -c '%s' >report &
        until %s 2>/dev/null; do :; done
        kill -%s $!; wait $!]]):format(support.binary, case[3], case[4], case[1]) }, cwd = directory, timeout = 60 }
      assert.are.equal(case[2], result.status, result.stderr)
      assert.matches("interrupted", result.stderr .. support.read(directory .. "/report"))
    end
  end)

  it("replaces a worker that somebody kills, at work or idle, and loses no run", function()
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.write(directory .. "/fix/f", "text")
    local children = "$(cat /proc/$!/task/$!/children)"
    for _, case in ipairs {
      -- In the middle of its runs; while it waits for the first clean run of another.
      { 1, 1, "test -s out/journal.jsonl && test $(wc -l <out/journal.jsonl) -ge 2" },
      { 2, 2, ("set -- %s && test $# -ge 2"):format(children) },
    } do
      local result = support.execute { words = { "sh", "-c", ([[rm -rf out
        %s sweep -q -j%d -o out --fixture fix --faults kill,eintr -- sh -c 'cat f; sleep 0.1' >report &
        until %s 2>/dev/null; do :; done
        set -- %s; kill -KILL $%d; wait $!]]):format(support.binary, case[1], case[3], children, case[2]) },
        cwd = directory, timeout = 60 }
      local report = support.read(directory .. "/report")
      assert.are.equal(0, result.status, result.stderr .. report)
      assert.matches("places; (%d+) of %1 runs", report)
      assert.matches("note: 1 worker died and was replaced %(killed by SIGKILL%)\n", report)
    end
  end)

  it("tries a run that kills its worker once more, and goes on without it", function()
    support.execute { words = { "mkdir", directory .. "/fix" } }
    support.write(directory .. "/fix/f", "text")
    local command = { "sh", "-c", "cat f >/dev/null || kill -KILL $PPID" }
    local found = sweep({ "-q", "-j1", "--fixture", "fix", "--faults", "read=EIO" },
      command)
    assert.are.equal(125, found.status, found.stdout .. found.stderr)
    local ran, planned = found.stdout:match("places; (%d+) of (%d+) runs")
    local _, lost = found.stdout:gsub("\nerror: [^\n]+: the worker died %(killed by SIGKILL%)", "")
    assert.is_true(lost > 0 and tonumber(ran) + lost == tonumber(planned), found.stdout)
    assert.matches(("note: %d workers died and were replaced"):format(2 * lost), found.stdout)
    assert.matches("not all runs were made: %-%-resume goes on", found.stdout)
  end)

  it("gives programs a /tmp of their own", function()
    local own = "/tmp/luatrace-spec-own"
    local found = sweep({ "--faults", "write=EIO" },
      { "sh", "-c", ("echo x >%s; cat %s; rm %s"):format(own, own, own) })
    if found.stderr:find("writes outside", 1, true) then return pending("namespaces are not allowed here") end
    assert.are.equal(123, found.status, found.stderr)
    assert.matches("SILENT%-LOSS  the 1st write on $TMPDIR/luatrace%-spec%-own fails", found.stdout)
    assert.is_nil(support.read(own))
  end)

  it("is a function in Lua and in scripts", function()
    numbers()
    support.write(directory .. "/s.lua", [[
local report = sweep { "sort", "-o", "f", "f", fixture = "fix", faults = "disk", check = function(state)
  return #state.files.f.content >= #state.before.f.content, "f is shorter"
end }
print(report.findings[1].verdict, report.findings[1].details[1].now)
]])
    local ran = support.execute { words = { support.binary, "s.lua" }, cwd = directory }
    assert.are.equal("DESTROYED\tf is shorter\n", ran.stdout, ran.stderr)
    support.write(directory .. "/m.lua", [[
package.cpath = ]] .. ("%q"):format(support.root .. "/build/?.so") .. [[

local report = require("luatrace").sweep { "sort", "-o", "f", "f", fixture = "fix", faults = "disk" }
print(report.findings[1].verdict, report.findings[1].confirmed)
]])
    ran = support.execute { words = { "luajit", "m.lua" }, cwd = directory }
    assert.are.equal("DESTROYED\t3/3\n", ran.stdout, ran.stderr)
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
