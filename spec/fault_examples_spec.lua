-- The examples of examples/faults, one for each fault of luatrace/inject: run on real programs, and looked at from
-- outside.

local support = require "spec.support"

local root = support.root
local folder = root .. "/examples/faults"
local directory -- of this test: new and empty before each one, and the commands' working directory

local function sh(command)
  local result = support.execute { words = { "sh", "-c", command }, cwd = directory,
    env = { PATH = "/usr/local/bin:/usr/bin:/bin" } }
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
    local ended = example("fd_limit", ("15 -- /usr/bin/python3 %s/accept_loop.py"):format(folder))
    assert.matches("OSError: %[Errno 24%] Too many open files\n$", ended.err)
    assert.are.equal("served 8\n",
      example("fd_limit", ("15 -- /usr/bin/python3 %s/accept_loop.py patient"):format(folder)).out)
    assert.are.equal("sort: open failed: /etc/group: Too many open files\n",
      example("fd_limit", "4 -- sort -m /etc/passwd /etc/group /etc/hosts").err)
  end)
end)
