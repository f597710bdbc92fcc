-- Mailboxes (src/mailbox.h): programs that ask about watched calls through shared memory. What they see, and what those
-- who watch see, is the same without a mailbox, and with one from the first call on.

local support = require "spec.support"

--- Counts the calls that are watched: programs number them (spec/tracees/mailbox.c), for each image of a process anew.
-- Handlers may take their time.
local watching = [=[
local expected_order, slow = %s, %s
local seen, total, twice, images = {}, {}, {}, {}
local function note(call, number)
  local image = call.process.pid .. "." .. (images[call.process.pid] or 0) .. call.name
  local numbers = seen[image] or { most = 0, count = 0, out_of_order = 0 }
  seen[image] = numbers
  if numbers[number] then twice[call.name] = (twice[call.name] or 0) + 1 end
  if number <= numbers.most then numbers.out_of_order = numbers.out_of_order + 1 end
  if not numbers[number] then numbers.count = numbers.count + 1 end
  numbers[number], numbers.most = true, math.max(numbers.most, number)
  total[call.name] = (total[call.name] or 0) + 1
  if slow and number %% 50 == 0 then call:sleep(0.0003) end
end
at.exec(function(process) images[process.pid] = (images[process.pid] or 0) + 1 end)
watch.lseek(function(call) if call.args[1] == 1000 then note(call, tonumber(call.args[2])) end end)
watch.dup2(function(call) if call.args[1] == 1001 then note(call, tonumber(call.args[2])) end end)
at.finish(function()
  local missing, out_of_order = 0, 0
  for _, numbers in pairs(seen) do
    missing = missing + numbers.most - numbers.count
    out_of_order = out_of_order + numbers.out_of_order
  end
  io.stderr:write(("watched: %%d %%d, %%d missing, %%d twice%%s\n"):format(total.lseek or 0, total.dup2 or 0, missing,
    (twice.lseek or 0) + (twice.dup2 or 0), expected_order and (", %%d out of order"):format(out_of_order) or ""))
end)]=]

local gates = { "never", "auto", "always" }
local kinds = { ["of a dynamic program"] = {}, ["of a static program"] = { static = true } }

-- Addresses are not randomised: one gate in thousands would not be made, since the stack is near.
local function traced(gate, lua, words, program)
  local cmd = {}
  for _, word in ipairs { "setarch", "-R", support.tracee("mailbox", program), unpack(words) } do
    cmd[#cmd + 1] = word
  end
  return support.run { lua = lua, options = { "--gate=" .. gate }, cmd = cmd }
end

local function watched(gate, words, program, options)
  options = options or {}
  local lua = watching:format(tostring(not options.any_order), tostring(options.slow or false))
  return traced(gate, lua, words, program)
end

---@return string ... the words of a command, for two seconds at most
local function mailbox_always(before, ...)
  local words = { unpack(before) }
  for _, word in ipairs { support.binary, "--gate=always", "--timeout=2", "--lua", "watch.lseek(function() end)", "--",
    support.tracee "mailbox", ... } do words[#words + 1] = word end
  return unpack(words)
end

--- A mode of spec/tracees/mailbox.c says the same with and without a mailbox; so do those who watch.
---@return string stdout, string stderr
local function same(words, program, options)
  local without = watched("never", words, program, options)
  for i = 2, #gates do
    local with = watched(gates[i], words, program, options)
    assert.equal(without.stdout, with.stdout, gates[i])
    assert.equal(without.status, with.status, gates[i])
    assert.equal((without.stderr:gsub("%d+ mailbox\n", "")), (with.stderr:gsub("%d+ mailbox\n", "")), gates[i])
  end
  return without.stdout, without.stderr
end

--- How often calls are made depends on the time; but those that were made are watched.
local function all_are_watched(mode, said, program, options)
  for _, gate in ipairs(gates) do
    local result = watched(gate, { mode }, program, options)
    assert.equal(said, result.stdout, gate)
    local made = assert(result.stderr:match "made: (%d+ %d+)\n", result.stderr)
    assert.matches(("watched: %s, 0 missing, 0 twice"):format(made), result.stderr, 1, true)
  end
end

describe("a mailbox", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  for name, program in pairs(kinds) do
    describe(name, function()
      it("shows each call once, in order, and lets the program have its own results", function()
        local said, saw = same({ "plain" }, program)
        assert.equal("0 wrong\n", said)
        assert.matches("watched: 10000 0, 0 missing, 0 twice, 0 out of order\n", saw, 1, true)
        assert.matches("1 mailbox\n", watched("always", { "plain" }, program).stderr)
        assert.matches("1 mailbox\n", watched("auto", { "plain" }, program).stderr)
        same({ "plain", "3000" }, program, { slow = true })
        same({ "hot-and-cold" }, program)
        same({ "pinned" }, program)
      end)

      it("is not noticed by signals, in handlers or beside calls that are watched", function()
        for _, mode in ipairs { "storm", "restarting", "altstack" } do
          all_are_watched(mode, "handled, 0 wrong\n", program)
        end
        all_are_watched("storm", "handled, 0 wrong\n", program, { slow = true })
        for _, mode in ipairs { "queued", "queued-to-thread" } do
          all_are_watched(mode, "1000 signals, 0 out of order, 0 wrong\n", program)
        end
        for _, gate in ipairs(gates) do
          local jumped = watched(gate, { "jumps" }, program)
          assert.equal("jumped, 0 wrong\n", jumped.stdout)
          assert.matches(", 0 twice, 0 out of order\n", jumped.stderr, 1, true)
          local switched = watched(gate, { "coroutine" }, program, { any_order = true })
          assert.equal("0 wrong\n", switched.stdout)
          assert.matches(", 0 missing, 0 twice\n", switched.stderr, 1, true)
          assert.equal("0 wrong\n", watched(gate, { "stops" }, program).stdout)
        end
      end)

      it("serves children, whoever shares memory, threads, and those that end", function()
        local said, saw = same({ "family", "2000" }, program, { any_order = true })
        assert.equal("grandchild: status 700\nfork: status 700\nvfork: status 300\nshared memory: status 700\n"
          .. "0 wrong\nexec: status 0\n0 wrong\n", said)
        assert.matches("watched: 16000 8000, 2000 missing, 0 twice\n", saw, 1, true) -- the child's parent made those
        assert.equal("fork: status 700\n0 wrong\n", (same({ "threads", "2000" }, program, { any_order = true })))
        local one = "child: status 500\n0 wrong\nchild: status 0\nchild: status 9\nchild: status f\nchild: status b\n"
        for _, gate in ipairs(gates) do
          local ended = watched(gate, { "ends" }, program)
          assert.equal(one:rep(5) .. "0 wrong\n", ended.stdout)
          assert.matches(", 0 twice, 0 out of order\n", ended.stderr, 1, true)
        end
      end)
    end)
  end

  it("breaks off calls that wait, and runs them again, as a notification does", function()
    local lua = [[
      local count, waits = {}, { "read", "nanosleep", "poll", "futex", "pause" }
      for _, name in ipairs(waits) do watch[name](function() count[name] = (count[name] or 0) + 1 end) end
      at.finish(function()
        for _, name in ipairs(waits) do
          if name ~= "read" then io.stderr:write(name, " ", count[name], "\n") end
        end
      end)]]
    local without = traced("never", lua, { "waits" })
    assert.matches("read: -4\nnanosleep: -4 some left\npoll: -4\nfutex: -4\npause: -4\nread: 1, interrupted\n",
      without.stdout, 1, true)
    assert.matches("nanosleep 2003\npoll 2003\nfutex 2003\npause 3\n", without.stderr, 1, true)
    for _, gate in ipairs { "auto", "always" } do
      local with = traced(gate, lua, { "waits" })
      assert.equal(without.stdout, with.stdout)
      assert.equal(without.stderr, (with.stderr:gsub("%d mailbox", "0 mailbox")))
    end
  end)

  it("keeps a signal that comes while a call is looked at until the call is made", function()
    local lua = [[
      local sum = 0
      watch.futex(function() end)
      watch.pause(function() for i = 1, 50000 do sum = sum + i % 7 end end)]]
    for _, gate in ipairs(gates) do
      assert.equal("few lost, 0 wrong\n", traced(gate, lua, { "naps" }).stdout, gate)
    end
  end)

  it("brings any result", function()
    local lua = [[
      local errors = { "EINTR", "ENOSYS", "EAGAIN", "ENOENT", "EFAULT" }
      local results = { 0, 1, 4294967296, 9007199254740992, -4096, -4095, 3, 7, 2147483648, 140737488355327 }
      watch.lseek(function(call)
        local number = tonumber(call.args[2]) - 1000000
        if number < 0 then return end
        if number < 20 then call:fail(errors[number % #errors + 1]) return end
        if number < 30 then call:returns(results[number - 19]) return end
        call:sleep(0.0004)
        call:returns(number)
      end)]]
    local without = traced("never", lua, { "answers" })
    assert.equal("-4\n-38\n-11\n-2\n-14\n-4\n", without.stdout:sub(1, 21))
    assert.matches("\n39\n0 wrong\n$", without.stdout)
    for i = 2, #gates do assert.equal(without.stdout, traced(gates[i], lua, { "answers" }).stdout) end
  end)

  it("serves rules beside handlers, and those that kill and delay", function()
    for name, rule in pairs {
      fails = 'fail("lseek", "EIO", { arg = { offset = 777 } })',
      kills = 'kill("lseek", { arg = { offset = 777 } })',
      signals = 'watch.lseek(function(call) if call.args[2] == 777 then call:signal "SIGTERM" end end)',
      delays = 'delay("lseek", 0.001, { arg = { offset = 777 } })',
      leaves = 'watch.lseek(function(call) if call.args[2] == 777 then call:detach() end end)',
    } do
      local without
      for _, gate in ipairs(gates) do
        local lua = 'watch.lseek(function(call) end) ' .. rule
        local result = traced(gate, lua, { "plain", "3000" })
        without = without or result
        assert.equal(without.stdout, result.stdout, name)
        assert.equal(without.status, result.status, name)
        assert.equal(without.signal, result.signal, name)
      end
    end
  end)

  it("is of no use where the program may not attach it, and does no harm", function()
    if not support.is_root then return pending "only root makes others" end
    for _, mode in ipairs { "other-user", "other-user-first", "own-memory", "own-memory-elsewhere" } do
      assert.matches("0 wrong\n$", (same({ mode, "3000" })))
    end
    -- In a name space that is new, our segment's number is one of the program's, in one that is newer.
    local result = support.execute { words = { "unshare", "-i", mailbox_always({}, "own-memory-elsewhere") } }
    assert.equal("0 wrong\n", result.stdout)
    assert.equal("64 mailbox\n", result.stderr)
    local none = 'echo 0 >/proc/sys/kernel/shmmni && exec "$@"'
    local full = support.execute { words = { "unshare", "-i", "sh", "-c", none, "sh", mailbox_always({}, "plain") } }
    assert.equal("0 wrong\n", full.stdout)
    assert.equal("0 mailbox\n", full.stderr)
  end)

  it("needs a processor for itself, and children that are followed", function()
    local function alone(...)
      return support.execute { words = { "taskset", "-c", "0", support.binary, "--gate=always", ... } }
    end
    local lua = watching:format("true", "false")
    local result = alone("--lua", lua, "--", support.tracee "mailbox", "plain")
    assert.equal("0 wrong\n", result.stdout)
    assert.matches("watched: 10000 0, 0 missing, 0 twice, 0 out of order\n", result.stderr, 1, true)
    local unfollowed = support.run { lua = lua, options = { "--gate=always", "--no-follow" },
      cmd = { support.tracee "mailbox", "family", "2000" } }
    assert.matches("\n0 wrong\n$", unfollowed.stdout)
  end)

  it("leaves nothing behind when its program or luatrace is killed", function()
    if not support.is_root then return pending "only root has a name space of its own to count in" end
    for status, before in pairs { [124] = {}, [137] = { "timeout", "-s", "KILL", "1" } } do
      -- The program may be dying yet when luatrace is dead.
      local then_wait = '"$@"; echo $?; until [ -z "$(tail -n +2 /proc/sysvipc/shm)" ]; do :; done'
      local words = { "unshare", "-i", "sh", "-c", then_wait, "sh", mailbox_always(before, "plain", "100000000") }
      assert.equal(status .. "\n", support.execute({ words = words }).stdout)
    end
  end)

  it("is told by --explain, and only where there can be one", function()
    local function explained(lua, ...)
      return support.execute({ words = { support.binary, "--explain", "--lua", lua, ... } }).stdout
    end
    assert.matches("mailbox", explained "watch.lseek(function() end)")
    assert.not_matches("mailbox", explained("watch.lseek(function() end)", "--gate=never"))
    assert.not_matches("mailbox", explained("watch.lseek(function() end)", "--trap=stop"))
    assert.not_matches("mailbox", explained "on.lseek(function(call) call:run() end)")
    assert.not_matches("mailbox", explained "watch.mmap(function() end)")
  end)
end)
