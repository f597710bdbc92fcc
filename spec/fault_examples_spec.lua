-- The examples of examples/faults, one for each fault of luatrace/inject: run on real programs, and looked at from
-- outside.

local support = require "spec.support"

local root = support.root
local folder = root .. "/examples/faults"
local directory -- of this test: new and empty before each one, and the commands' working directory

local function sh(command)
  local result = support.execute { words = { "sh", "-c", command }, cwd = directory,
    env = { PATH = support.path } }
  return { status = result.status or 128 + result.signal, out = result.stdout, err = result.stderr }
end

--- Runs an example: its arguments and the command as one would type them.
local function example(name, rest) return sh(("%s %s/%s.lua %s"):format(support.binary, folder, name, rest)) end

local function compile(program)
  local built = sh(("gcc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O1 -o %s %s/%s.c"):format(program, folder,
    program))
  assert.are.equal("", built.err)
end

local function content(name) return support.read(directory .. "/" .. name) end

describe("the examples of faults", function()
  before_each(function() directory = support.tempdir() end)
  after_each(function()
    support.clean()
    assert.are.same({}, support.leftovers())
  end)

  it("full_disk finds a program that lies about one", function()
    compile "report"
    local lied = example("full_disk", "4K -- ./report list")
    assert.matches("^report: %d+ writes failed with ENOSPC, and its exit status is 0\n$", lied.err)
    assert.are.equal(0, lied.status)
    assert.are.equal(4096, #content "list")
    local honest = example("full_disk", "4K -- ./report careful list2")
    assert.are.equal("report: No space left on device\n", honest.err)
    assert.are.equal(1, honest.status)
  end)

  it("failing_disk shows who says that a file cannot be read, and who hides it", function()
    support.write(directory .. "/data", ("0123456789abcdef"):rep(1250))
    local copied = example("failing_disk", "data 8192 8703 -- cp data copy")
    assert.matches("cp: error copying 'data' to 'copy': Input/output error\n", copied.err)
    assert.are.equal(1, copied.status)
    assert.are.equal(content("data"):sub(1, 8192), content "copy")
    local piped = example("failing_disk", "data 8192 8703 -- sh -c 'cat data | gzip >data.gz'")
    assert.matches("cat could not read data, exit status of it all: 0\n$", piped.err)
    assert.are.equal(content("data"):sub(1, 8192), sh("zcat data.gz").out)
    assert.are.equal(0, example("failing_disk",
      "data 8192 8703 -- dd if=data of=rescued bs=512 conv=noerror,sync status=none").status)
    assert.are.equal(content("data"):sub(1, 8192) .. ("\0"):rep(512) .. content("data"):sub(8705),
      content("rescued"):sub(1, 20000))
  end)

  it("fsync_fails_once finds a program that tries again and believes it", function()
    compile "commit"
    local again = example("fsync_fails_once", "-- ./commit log one")
    assert.are.equal("committed\n", again.out)
    assert.matches("commit: fsync of log failed, the next one did not, and its exit status is 0", again.err)
    local once = example("fsync_fails_once", "-- ./commit careful log one")
    assert.are.equal("commit: fsync: Input/output error\n", once.err)
    assert.are.equal(1, once.status)
    sh("sqlite3 t.db 'create table t (x)'")
    local refused = example("fsync_fails_once", "t.db -- sqlite3 t.db 'insert into t values (1)'")
    assert.matches("disk I/O error", refused.err)
    assert.are.equal("0\n", sh("sqlite3 t.db 'select count(*) from t'").out)
  end)

  it("short_io finds a program that takes a short read for the end", function()
    compile "block_copy"
    support.write(directory .. "/words", ("0123456789abcdef"):rep(800))
    local found = example("short_io", "copy ./block_copy words copy")
    assert.are.equal("copy: 1000 of 12800 bytes are there when reads and writes are short\n", found.out)
    assert.are.equal(1, found.status)
    assert.are.equal("the same\n", example("short_io", "copy cat words").out)
  end)

  it("fd_limit ends a server that takes EMFILE for the end of the world", function()
    local ended = example("fd_limit", ("15 -- python3 %s/accept_loop.py"):format(folder))
    assert.matches("OSError: %[Errno 24%] Too many open files\n$", ended.err)
    assert.are.equal("served 8\n",
      example("fd_limit", ("15 -- python3 %s/accept_loop.py patient"):format(folder)).out)
    assert.are.equal("sort: open failed: /etc/group: Too many open files\n",
      example("fd_limit", "4 -- sort -m /etc/passwd /etc/group /etc/nsswitch.conf").err)
  end)

  --- A command beside a web server (shop.py), under an example.
  local function shop(name, args, command)
    return sh(("python3 %s/shop.py %s %s/%s.lua %s -- %s"):format(folder, support.binary, folder, name, args,
      command))
  end

  it("connection_refused tells a client that tries again from one that does not", function()
    local patient = shop("connection_refused", "2",
      "wget -q --retry-connrefused --waitretry=0 -O page http://127.0.0.1:PORT/")
    assert.are.equal("2 connections were refused, 1 went through\n", patient.err)
    assert.are.equal(2000, #content "page")
    local other = shop("connection_refused", "2", "curl -sS -o page2 http://127.0.0.1:PORT/")
    assert.matches("^curl: %(7%) Failed to connect .*\n1 connections were refused, 0 went through\n$", other.err)
    assert.are.equal(7, other.status)
  end)

  it("connection_reset breaks a reply: wget goes on where it was, curl does not", function()
    local patient = shop("connection_reset", "1000", "wget -q --waitretry=0 -O page http://127.0.0.1:PORT/")
    assert.are.equal("wget met a reset connection; it opened another, exit status 0\n", patient.err)
    assert.are.equal(("0123456789"):rep(200), content "page")
    local other = shop("connection_reset", "1000", "curl -sS -o page2 http://127.0.0.1:PORT/")
    assert.matches("^curl: %(56%) .*\ncurl met a reset connection; exit status 56\n$", other.err)
    assert.is_true(#content "page2" < 1000)
  end)

  it("slow_network shows a timeout that is none", function()
    local fetch = ("python3 %s/fetch.py http://127.0.0.1:PORT/ "):format(folder)
    local waited = shop("slow_network", "4000", fetch)
    assert.are.equal("2000 bytes\n", waited.out)
    assert.is_true(tonumber(waited.err:match("took ([%d.]+) s, exit status 0\n$")) > 0.4)
    local limited = shop("slow_network", "4000", fetch .. "0.1")
    assert.matches("^fetch: too slow\n", limited.err)
    assert.are.equal(1, limited.status)
  end)

  it("eagain_storm ends a program that trusts select", function()
    local client = ("-- python3 %s/echo_client.py"):format(folder)
    local trusting = example("eagain_storm", client)
    assert.matches("BlockingIOError: .*met EAGAIN 1 times and waited again 0 times, exit status 1\n$", trusting.err)
    local careful = example("eagain_storm", client .. " careful")
    assert.are.equal("hello\n", careful.out)
    assert.matches("met EAGAIN 3 times and waited again 3 times, exit status 0\n$", careful.err)
  end)

  it("eintr_storm finds a read that is not made again", function()
    compile "count_lines"
    local input = ("seq 1000 | %s %s/eintr_storm.lua 2 0 -- "):format(support.binary, folder)
    local fragile = sh(input .. "./count_lines")
    assert.are.equal("0\n", fragile.out)
    assert.are.equal("count_lines: read of pipe was interrupted and not made again, exit status 0\n", fragile.err)
    local careful = sh(input .. "./count_lines careful")
    assert.are.equal("1000\n", careful.out)
    assert.are.equal("", careful.err)
    assert.are.equal("1000\n", sh(input .. "python3 -c 'import sys; print(len(list(sys.stdin)))'").out)
  end)

  it("slow_disk shows what a transaction for each row costs", function()
    sh("sqlite3 t.db 'create table t (x)'; for i in $(seq 20); do echo \"insert into t values ($i);\"; done >rows.sql")
    local function took(words)
      local run = example("slow_disk", "2ms 't.db*' -- sqlite3 t.db " .. words)
      return tonumber(run.err:match("^sqlite3 took ([%d.]+) s\n")), tonumber(run.err:match("(%d+)\n$"))
    end
    local apart, apart_syncs = took "'.read rows.sql'"
    local together, together_syncs = took "begin '.read rows.sql' commit"
    assert.is_true(apart_syncs > 5 * together_syncs)
    -- At least that; how much more the machine makes of it is its own affair.
    assert.is_true(apart > 0.002 * apart_syncs)
    assert.is_true(together > 0.002 * together_syncs)
    assert.are.equal("40\n", sh("sqlite3 t.db 'select count(*) from t'").out)
  end)

  it("memory_pressure tells who dies without memory from who says so", function()
    compile "render"
    local dies = example("memory_pressure", "32M ./render")
    assert.matches("32768K: exit 0: 64 rows\n  16384K: killed by SIGSEGV\n", dies.out)
    assert.are.equal(1, dies.status)
    local says = example("memory_pressure", "32M ./render careful")
    assert.matches("32768K: exit 0: 64 rows\n  16384K: exit 0: 6%d rows\n", says.out)
    assert.matches("     0K: exit 1: render: out of memory\n$", says.out)
    assert.are.equal(0, says.status)
    assert.matches("     0K: exit 1: Error: out of memory\n$",
      example("memory_pressure", "64K sqlite3 :memory: 'select 1'").out)
  end)

  it("clock_jump stops a loop that goes by the time of day", function()
    local every = ("python3 %s/every.py"):format(folder)
    -- By how often python3 has looked (for itself, then for the loop), not by a time in which it may not have begun.
    local early = example("clock_jump", "1h 0s 2 -- " .. every)
    assert.are.equal("done\ndone\ndone\ntoo early\n", early.out)
    local late = sh(("%s --timeout=2 %s/clock_jump.lua -1h 0s 2 -- %s"):format(support.binary, folder, every))
    assert.are.equal(124, late.status)
    assert.are_not.equal("done\ndone\ndone\nin time\n", late.out)
    assert.are.equal("done\ndone\ndone\nin time\n", example("clock_jump", "-1h 0s 2 -- " .. every .. " careful").out)
  end)

  it("clock_skew lets make see files of the future", function()
    support.write(directory .. "/Makefile", "out: in\n\tcp in out\n")
    support.write(directory .. "/in", "")
    local skewed = example("clock_skew", "-5m make -- make")
    assert.are.equal("cp in out\n", skewed.out)
    assert.matches("has modification time 29%d s in the future\n.*Clock skew detected", skewed.err)
    assert.are.equal("", sh("touch -d '1 minute ago' Makefile in; touch -d '30 seconds ago' out; make").err)
  end)
end)
