-- Power loss: small programs whose possible states after a crash are worked out by hand here, real ones whose fate is
-- known, and the recorder against every call that changes files.

local stat = require "posix.sys.stat"
local support = require "spec.support"

--- Runs Lua code inside luatrace (its own core, also the sanitized one); returns what it printed.
local function inside(code, options)
  options = options or {}
  local result = support.run { lua = code, cmd = { "true" }, env = options.env, timeout = options.timeout or 120 }
  assert(result.status == 0, ("status %s, signal %s\n%s%s"):format(tostring(result.status), tostring(result.signal),
    result.stdout, result.stderr))
  assert.equal("", result.stderr)
  return result.stdout
end

local function lines_of(text)
  local list = {}
  for line in text:gmatch("([^\n]*)\n") do list[#list + 1] = line end
  table.sort(list)
  return list
end

--- A fixture with these files.
local function fixture(contents)
  local directory = support.tempdir()
  for name, content in pairs(contents) do support.write(directory .. "/" .. name, content) end
  return directory
end

local prelude = [[
local powerloss = require "luatrace.sweep.powerloss"
local function text_of(state)
  local parts = {}
  state.space.disk:each(state.tree, function(path, node, file)
    local text = node.kind == "dir" and path .. "/" or
      path .. "=" .. state.space.disk:content(node, file):gsub("%z", "0"):gsub("\n", "")
    parts[#parts + 1] = text
  end)
  return table.concat(parts, " ")
end
]]

--- All states of a way to save a file, as "f=old f.new=new", sorted.
local function states(how, model, contents)
  local directory = fixture(contents)
  return lines_of(inside(prelude .. ([[
    local record = assert(powerloss.record { cmd = { %q, %q }, fixture = %q })
    assert(record.status == 0, record.stderr)
    local seen = {}
    for state in powerloss.states(record, { model = %q }) do
      local text = text_of(state)
      if not seen[text] then print(text) end
      seen[text] = true
    end
    record:close()
  ]]):format(support.tracee "save_file", how, directory, model)))
end

--- Those that there may be when the program has ended well.
local function ended_states(how, model, contents)
  local directory = fixture(contents or { f = "old\n" })
  return lines_of(inside(prelude .. ([[
    local record = assert(powerloss.record { cmd = { %q, %q }, fixture = %q })
    assert(record.status == 0, record.stderr)
    for state in powerloss.states(record, { model = %q }) do
      if state:announced().exit == 0 then print(text_of(state)) end
    end
    record:close()
  ]]):format(support.tracee "save_file", how, directory, model)))
end

local function sorted(list)
  table.sort(list)
  return list
end

describe("power loss", function()
  after_each(support.clean)
  teardown(function() assert.same({}, support.leftovers()) end)

  describe("states worked out by hand", function()
    it("written without fsync, renamed over the old file", function()
      local any_content = { "f=old", "f=old f.new=", "f=old f.new=0000", "f=old f.new=new", "f=", "f=0000", "f=new" }
      assert.same(sorted(any_content), ended_states("replace", "posix"))
      -- auto_da_alloc, and btrfs' promise: old or new.
      local whole = { "f=old", "f=old f.new=", "f=old f.new=new", "f=new" }
      assert.same(sorted(whole), ended_states("replace", "ext4"))
      assert.same(whole, ended_states("replace", "btrfs"))
    end)

    it("renamed to a name that was not there: the zero-length file", function()
      -- f is not touched, and not shown.
      local delayed = { "", "f.new=", "f.new=new", "g=", "g=new" }
      assert.same(sorted(delayed), ended_states("rename-to-new", "ext4"))
      assert.same(delayed, ended_states("rename-to-new", "btrfs"))
    end)

    it("fsync before the rename: never half a file; without fsync of the directory maybe the old one", function()
      assert.same(sorted { "f=old", "f=old f.new=new", "f=new" }, ended_states("replace-synced", "posix"))
      -- fsync commits the journal, and with it the name f.new.
      assert.same(sorted { "f=old f.new=new", "f=new" }, ended_states("replace-synced", "ext4"))
      assert.same(sorted { "f=old f.new=new", "f=new" }, ended_states("replace-synced", "btrfs"))
      for _, model in ipairs { "posix", "ext4", "btrfs" } do
        assert.same({ "f=new" }, ended_states("replace-durable", model))
      end
    end)

    it("cut to nothing and written anew: the old content is gone before the new one is there", function()
      assert.same(sorted { "f=old", "f=", "f=new" }, ended_states("in-place", "ext4"))
      -- The close started the writing: whatever is done later implies it.
      assert.same(sorted { "f=old", "f=", "f=new", "f=new later/" }, ended_states("in-place-then", "ext4"))
      local posix = ended_states("in-place-then", "posix")
      assert.is_true(#posix > 4)
    end)

    it("two pages overwritten with one write: torn at pages, on ext4 at sectors, durable after fdatasync", function()
      local a, b = ("a"):rep(4096), ("b"):rep(4096)
      local contents = { f = a .. a }
      local pages = sorted { "f=" .. a .. a, "f=" .. b .. a, "f=" .. a .. b, "f=" .. b .. b }
      assert.same(pages, states("overwrite", "btrfs", contents))
      local torn = states("overwrite", "ext4", contents)
      assert.equal(10, #torn)
      local found = {}
      for _, text in ipairs(torn) do found[text] = true end
      assert.is_true(found["f=" .. ("b"):rep(512) .. ("a"):rep(7680)])
      assert.is_true(found["f=" .. b .. ("b"):rep(3584) .. ("a"):rep(512)])
      for _, model in ipairs { "posix", "ext4", "btrfs" } do
        assert.same({ "f=" .. b .. b }, ended_states("overwrite", model, contents))
      end
    end)

    it("what fsync of one file says of others, and of directories", function()
      assert.same({ "d/ d/g=new other/" }, ended_states("new-directory", "ext4", {}))
      assert.same({ "d/ d/g=new", "d/ d/g=new other/" }, ended_states("new-directory", "btrfs", {}))
      assert.same(sorted { "", "other/", "d/", "d/ other/", "d/ d/g=new", "d/ d/g=new other/" },
        ended_states("new-directory", "posix", {}))
    end)

    it("an appended log has its records in order, or zeros; what was announced must be there", function()
      -- All in one block that lies on the disk: the journal has a size, the block is written as it was at some moment.
      local possible = {}
      local records = { "record 1", "record 2", "record 3" }
      for size = 0, 3 do
        for written = 0, size do
          -- A record is 9 bytes, of which text_of takes the line's end.
          possible[#possible + 1] = "f=old" .. table.concat(records, "", 1, written) .. ("0"):rep(9 * (size - written))
        end
      end
      assert.same(sorted(possible), ended_states("append", "ext4"))
      local function check(how, model)
        local directory = fixture { f = "old\n" }
        return inside(prelude .. ([[
          local record = assert(powerloss.record { cmd = { %q, %q }, fixture = %q })
          local report = assert(powerloss.check(record, { model = %q, budget = 60,
            check = 'for n in $(sed "s/record //" $LUATRACE_ANNOUNCED); do grep -q "record $n" f || exit 1; done' }))
          record:close()
          print(report.failed > 0, report.findings[1] and report.findings[1].runs)
        ]]):format(support.tracee "save_file", how, directory, model))
      end
      assert.equal("true\t3/3\n", check("append", "ext4"))
      assert.equal("false\tnil\n", check("append-synced", "ext4"))
      assert.equal("false\tnil\n", check("append-synced", "posix"))
    end)
  end)

  it("every state has what is durable and all that it needs, and is what its effects make", function()
    local directory = fixture { f = "old\n", g = ("x"):rep(9000) }
    -- A model of files as plain strings and of directories as plain tables, beside the one that shares and remembers.
    local output = inside(prelude .. ([[
      local function plainly(state)
        local text, names = {}, {}
        local function content(node)
          if not text[node] then
            local file = node.base and io.open(state.space.record.fixture .. "/" .. node.base)
            text[node] = file and file:read "*a" or ""
            if file then file:close() end
          end
          return text[node]
        end
        local function entries(dir)
          if not names[dir] then
            names[dir] = {}
            for name, node in pairs(dir.names or {}) do names[dir][name] = node end
          end
          return names[dir]
        end
        local function put(node, at, bytes)
          local old = content(node)
          old = old .. ("\0"):rep(at - #old)
          text[node] = old:sub(1, at) .. bytes .. old:sub(at + #bytes + 1)
        end
        local make = {}
        function make.data(e, torn)
          local at, bytes = e.page * 4096 + e.from, e.bytes
          if torn and torn > 0 then bytes = bytes:sub(1, torn) end
          if torn and torn < 0 then at, bytes = at + #bytes + torn, bytes:sub(torn) end
          put(e.node, at, bytes)
        end
        function make.size(e) put(e.node, math.max(e.size, #content(e.node)), "") end
        function make.truncate(e)
          text[e.node] = content(e.node):sub(1, e.size)
          put(e.node, e.size, "")
        end
        function make.zero(e)
          put(e.node, e.offset, ("\0"):rep(math.min(e.length, #content(e.node) - e.offset)))
        end
        function make.mode() end
        function make.entry(e) entries(e.dir)[e.name] = e.node end
        function make.remove(e) entries(e.dir)[e.name] = nil end
        function make.rename(e)
          entries(e.dir)[e.name] = e.node
          entries(e.from_dir)[e.from_name] = e.exchange and e.replaced or nil
        end
        for i = 1, state.last do
          local effect = state.space.effects[i]
          if not state.lost[i] then make[effect.kind](effect, state.torn and state.torn[i]) end
        end
        local parts = {}
        local function look(dir, prefix)
          local sorted = {}
          for name in pairs(entries(dir)) do sorted[#sorted + 1] = name end
          table.sort(sorted)
          for _, name in ipairs(sorted) do
            local node = entries(dir)[name]
            parts[#parts + 1] = prefix .. name .. (node.kind == "dir" and "/" or
              "=" .. content(node):gsub("%%z", "0"):gsub("\n", ""))
            if node.kind == "dir" then look(node, prefix .. name .. "/") end
          end
        end
        look(state.space.record.log.nodes[1], "")
        return table.concat(parts, " ")
      end
      local record = assert(powerloss.record { fixture = %q, cmd = { "sh", "-c",
        "echo a >> f; dd if=g of=h bs=5000 conv=fsync 2>/dev/null; mv h f; echo b > k; mkdir d; mv k d; sync d; " ..
        "truncate -s 4100 g; truncate -s 8000 g; fallocate -l 9500 g; for i in 1 2 3 4 5; do echo $i >> f; done; " ..
        "i=0; while [ $i -lt 300 ]; do echo $i > t; i=$((i + 1)); done; " ..
        "dd if=f of=g bs=700 conv=notrunc 2>/dev/null; " ..
        "ln g d/l; rm g; mv d e" } })
      assert(record.status == 0, record.stderr)
      for _, model in ipairs(powerloss.models) do
        local count, wrong, other = 0, 0, nil
        for state in powerloss.states(record, { model = model, budget = 300 }) do
          count = count + 1
          if count %% 3 == 0 and text_of(state) ~= plainly(state) then
            other = other or ("%%s: %%s instead of %%s"):format(state.name, text_of(state), plainly(state))
          end
          for i = 1, state.last do
            local effect = state.space.effects[i]
            if state.lost[i] and effect.durable <= state.point then wrong = wrong + 1 end
            if not state.lost[i] and effect.durable > state.point then
              for _, needed in ipairs(effect.after) do
                if state.lost[needed] then wrong = wrong + 1 end
              end
            end
          end
        end
        print(model, count, wrong, other)
      end
      record:close()
    ]]):format(directory))
    assert.equal("posix\t300\t0\tnil\next4\t300\t0\tnil\nbtrfs\t300\t0\tnil\n", output)
  end)

  it("records every call that changes files: replayed, they give what the program left", function()
    local content = {}
    for i = 1, 1250 do content[i] = ("%07d\n"):format(i) end
    local directory = fixture { base = table.concat(content) }
    local program = support.tracee "file_calls"
    -- Where the recording is made: what the system offers depends on the file system.
    local place = inside 'print(require("luatrace.sweep.powerloss.write_record").temporary_place())':match("%S+")
    local work = place .. "/luatrace-spec-" .. directory:match("[^-]*$")
    local output = inside(prelude .. ([[
      local record = assert(powerloss.record { cmd = { %q }, fixture = %q })
      assert(record.status == 0, record.stderr)
      print(#record.unseen, #record.outside)
      os.execute("mkdir %s")
      for _, model in ipairs(powerloss.models) do
        assert(powerloss.write(record, { model = model, state = tostring(#record.ops), directory = %q .. model }))
      end
      record:close()
    ]]):format(program, directory, work, work .. "/"))
    assert.equal("0\t0\n", output)
    local listing = [[find . -type f ! -name threads -printf '%P %m %n ' -exec md5sum {} \; ;
      find . ! -type f -printf '%P %y %m %l\n'; sort threads]]
    local native = support.execute { words = { "sh", "-c", ([[
      cp -r %s %s/native && cd %s/native && %s && (%s) | sort]]):format(directory, work, work, program, listing) } }
    assert.equal(0, native.status, native.stderr)
    assert.is_true(#native.stdout > 1000, native.stdout)
    for _, model in ipairs { "posix", "ext4", "btrfs" } do
      local replayed = support.execute { words = { "sh", "-c", "(" .. listing .. ") | sort" },
        cwd = work .. "/" .. model }
      -- Modes of the top directories are the fixture's and cp's.
      assert.equal((native.stdout:gsub("\n d %d+ \n", "\n")), (replayed.stdout:gsub("\n d %d+ \n", "\n")), model)
    end
    os.execute("rm -rf " .. work)
  end)

  it("says what it cannot see: memory-mapped writes late, io_uring not at all", function()
    local directory = fixture { f = "old\n" }
    local output = inside(prelude .. ([[
      local record = assert(powerloss.record { cmd = { %q, "mapped" }, fixture = %q })
      print(record.unseen[1])
      for state in powerloss.states(record, { model = "ext4" }) do
        if state:announced().exit then print(text_of(state)) end
      end
      record:close()
    ]]):format(support.tracee "save_file", directory))
    assert.is_truthy(output:find("^f is written through shared memory"))
    -- msync made NEW durable; what came after it may be there.
    assert.is_truthy(output:find("\nf=NEW\n"))
    assert.is_truthy(output:find("\nf=hid\n"))
    assert.is_nil(output:find("\nf=old\n"))
    local uring = inside(prelude .. ([[
      local record = assert(powerloss.record { cmd = { %q } })
      print(record.unseen[1])
      record:close()
    ]]):format(support.tracee "uring"))
    assert.is_truthy(uring:find("uses io_uring: what it writes through the ring is not seen", 1, true))
  end)

  it("explains a finding: when, which calls are missing, where in the program they are", function()
    local directory = fixture { f = "old\n" }
    local output = inside(prelude .. ([[
      local record = assert(powerloss.record { cmd = { %q, "replace" }, fixture = %q })
      local report = assert(powerloss.check(record, { model = "posix" }))
      -- Zeros and nothing at all are one finding: the data is not there.
      print(#report.findings, report.failed, report.findings[1].count, report.findings[1].message)
      for _, finding in ipairs(report.findings) do
        print(finding.title, finding.runs, table.concat(finding.lines, "\n"))
      end
      assert(powerloss.write(record, { model = "posix", state = "4-without-2", directory = %q }))
      record:close()
    ]]):format(support.tracee "save_file", directory, directory .. "-kept"))
    assert.equal("1\t4\t4\tf is all zeros", output:match("[^\n]*"))
    local title = "without write f.new, 4 bytes at 0 (its data; the size is there)\t3/3"
    assert.is_truthy(output:find(title, 1, true), output)
    assert.is_truthy(output:find("#2 write f.new, 4 bytes at 0: its data; the size is there", 1, true), output)
    assert.is_truthy(output:find("at put+0x", 1, true), output)
    assert.is_truthy(output:find("main+0x", 1, true), output)
    assert.equal("", support.read(directory .. "-kept/f"))
    os.execute("rm -r " .. directory .. "-kept")
  end)

  it("checkers are commands or functions, may change the directory, and have a time limit", function()
    local directory = fixture { f = "old\n", other = "other\n" }
    local output = inside(prelude .. ([[
      local record = assert(powerloss.record { cmd = { %q, "replace" }, fixture = %q,
        script = function(t, mark) t.on.rename(function(call) if call:run() then mark "renamed" end end) end })
      local names = 0
      local report = assert(powerloss.check(record, { model = "ext4", check = function(state)
        local status, text = state.run "cat f; rm f other; echo more > g; mkdir -p sub; echo $LUATRACE_ANNOUNCED_EXIT"
        if status ~= 0 then return false, text end
        names = names + #state.announced.marks
        return text:find "^old" or text:find "^new", text
      end }))
      print(report.failed, report.exhausted, names > 0)
      report = assert(powerloss.check(record, { model = "ext4", timeout = 1.5, budget = 3,
        check = "test -e f.new && sleep 60; cat other && rm other f" }))
      print(report.failed > 0, report.findings[1].message)
      report = assert(powerloss.check(record, { model = "ext4",
        check = { "cmp", "other", directory or "other" } }))
      print(report.failed)
      record:close()
    ]]):format(support.tracee "save_file", directory), { env = {} })
    assert.equal("0\ttrue\ttrue\ntrue\tthe checker did not end within 1.5 seconds\n0\n", output)
  end)

  it("mistakes are said", function()
    local directory = fixture { f = "old\n" }
    local output = inside(prelude .. ([[
      print(powerloss.record { cmd = { "true" }, fixture = "/nonexistent" })
      print(powerloss.record { cmd = { "true" }, fixture = "/etc/passwd" })
      print(powerloss.record { cmd = { "no-such-command" } })
      print(powerloss.record { cmd = { "sleep", "60" }, timeout = 0.1 })
      print(pcall(powerloss.record, { cmd = "true" }))
      local record = assert(powerloss.record { cmd = { "sh", "-c", "echo x > f" }, fixture = %q })
      print(powerloss.check(record, { check = "echo never right; exit 3" }))
      print(powerloss.check(record, { check = { "no-such-checker" } }))
      print(pcall(powerloss.check, record, { model = "fat" }))
      print(powerloss.write(record, { state = "99-upto-98", directory = "/nonexistent/x" }))
      record:close()
    ]]):format(directory))
    local expected = {
      "nil\tfixture /nonexistent: No such file or directory\tENOENT",
      "nil\tfixture /etc/passwd: it is not a directory\tENOTDIR",
      "nil\tcannot run no-such-command: not found\tENOENT",
      "nil\tsleep did not end within 0.1 seconds\tETIMEDOUT",
    }
    for i, line in ipairs(expected) do assert.equal(line, output:match(("[^\n]*\n"):rep(i - 1) .. "([^\n]*)")) end
    assert.is_truthy(output:find("cmd takes a list of words", 1, true))
    assert.is_truthy(output:find("the checker fails on what a run without a crash leaves: the checker ended with " ..
      "status 3: never right", 1, true))
    assert.is_truthy(output:find("cannot run the checker: no-such-checker: command not found", 1, true))
    assert.is_truthy(output:find('there is no file-system model "fat": it takes posix, ext4, btrfs', 1, true))
    assert.is_truthy(output:find('there is no state "99-upto-98"', 1, true))
  end)

  it("sqlite3: a rollback journal survives, synchronous=off does not", function()
    if not support.has "sqlite3" then return pending("sqlite3 is not installed") end
    local directory = support.tempdir()
    local made = support.execute { words = { "sqlite3", directory .. "/t.db", [[create table t(a integer primary key,
      b); create index i on t(b); with recursive c(x) as (select 1 union all select x+1 from c where x<200)
      insert into t select x, hex(x*7919) || hex(x) from c;]] } }
    assert.equal(0, made.status, made.stderr)
    local function failed(synchronous, model)
      return inside(prelude .. ([[
        local record = assert(powerloss.record { fixture = %q, cmd = { "sqlite3", "t.db",
          "pragma synchronous=%s; begin; update t set b = b || 'x'; delete from t where a %% 3 = 0; commit;" } })
        assert(record.status == 0, record.stderr)
        local report = assert(powerloss.check(record, { model = %q, budget = 120,
          check = 'test "$(sqlite3 t.db "pragma integrity_check")" = ok' }))
        record:close()
        print(report.failed > 0 and "corrupt" or "clean", report.states > 40)
      ]]):format(directory, synchronous, model))
    end
    assert.equal("corrupt\ttrue\n", failed("off", "posix"))
    assert.equal("corrupt\ttrue\n", failed("off", "ext4"))
    assert.equal("clean\ttrue\n", failed("full", "posix"))
    assert.equal("clean\ttrue\n", failed("full", "ext4"))
  end)

  it("leaves nothing behind, and removes what a killed one had to leave", function()
    local place = inside 'print(require("luatrace.sweep.powerloss.write_record").temporary_place())':match("%S+")
    local forgotten, fresh = place .. "/luatrace-powerloss-4194305-old", place .. "/luatrace-powerloss-4194305-new"
    os.execute(("mkdir -p %s/run %s && touch -d '2 hours ago' %s"):format(forgotten, fresh, forgotten))
    local output = inside(prelude .. [[
      local record = assert(powerloss.record { cmd = { "sh", "-c", "echo x > f" } })
      assert(powerloss.check(record, { check = "true" }))
      print(record.workspace)
      record:close()
    ]])
    assert.is_truthy(output:find(place, 1, true))
    assert.is_nil(stat.stat(output:match("%S+")))
    assert.is_nil(stat.stat(forgotten))
    assert.is_truthy(stat.stat(fresh))
    os.execute("rmdir " .. fresh)
  end)
end)
