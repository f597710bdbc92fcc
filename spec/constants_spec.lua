-- The constants against the compiler (every name that a header knows), against glibc, and against strace's order.

-- The tables of lua/, whatever luatrace.so an earlier spec has brought: what that embeds cannot be walked through.
local brought = {}
for name, loader in pairs(package.preload) do
  if name:find "^luatrace" then brought[name], package.preload[name] = loader, nil end
end

local constants = require "luatrace.constants"
local abi = dofile "spec/abi/constants.lua"
local support = require "spec.support"

local function rooms()
  package.path = "scripts/constants/?.lua;" .. package.path
  local found = {}
  for _, room in ipairs(require("newer").rooms) do found[room] = require("room_" .. room) end
  return found
end

local function map_entries(by_name, prefix)
  local entries = {}
  for name, value in pairs(by_name) do entries[#entries + 1] = { prefix .. name, value } end
  table.sort(entries, function(a, b) return a[1] < b[1] end)
  return entries
end

describe("constants", function()
  teardown(function()
    for name, loader in pairs(brought) do package.preload[name] = loader end
  end)

  it("load lazily, and only the room that is asked for", function()
    local command = [[luajit -e 'package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
      local c = require "luatrace.constants"
      io.write(c.flags.open_flags.by_name.O_CREAT, " ")
      for name in pairs(package.loaded) do if name:find "constants%." then io.write(name:match "[^.]+$", ";") end end']]
    local pipe = io.popen(command)
    local words = {}
    local text = pipe:read "*a"
    pipe:close()
    for word in text:match(" (.*)$"):gmatch "[^;]+" do words[#words + 1] = word end
    table.sort(words)
    assert.same({ "file", "index" }, words)
    assert.equal("64 ", text:match "^%d+ ")
  end)

  it("answer both ways, keep order and know their kind", function()
    local set = constants.flags.open_flags
    assert.equal("open_flags", set.name)
    assert.equal("flags", set.kind)
    assert.equal("O_", set.prefix)
    assert.equal(64, set.by_name.O_CREAT)
    assert.equal("O_CREAT", set.by_value[64])
    assert.equal("F_SETFD", constants.enums.fcntl_cmd.by_value[2])
    assert.is_nil(constants.flags.no_such_set)
    assert.equal(0xffffffffffffffffULL, constants.enums.prctl_set_ptracer.by_name.PR_SET_PTRACER_ANY)
  end)

  it("are the same when the build has made text of them", function()
    local packed = require "luatrace.packed"
    for name in pairs(constants.index) do
      local set = constants.flags[name]
      local again = packed.open_set(packed.set(set))
      assert.equal(set.kind, again.kind)
      assert.equal(set.prefix, again.prefix)
      assert.equal(#set, #again)
      for i = 1, #set do
        assert.equal(set[i][1], again[i][1])
        assert.is_true(set[i][2] == again[i][2] and type(set[i][2]) == type(again[i][2]), set[i][1])
      end
    end
    local requests = packed.whole(packed.map(constants.ioctl.by_value))
    for value, text in pairs(constants.ioctl.by_value) do assert.equal(text, requests[value]) end
    assert.equal(0x5401, packed.whole(packed.map(constants.ioctl.by_name)).TCGETS)
  end)

  it("are the same in the built program, and so are names, rooms and classes of calls", function()
    local decode = require "luatrace.decode"
    local lines = {}
    local function expect(code, value) lines[#lines + 1] = ("same(%q, %s, %s)"):format(code, code, value) end
    for name, map in pairs(constants.maps()) do
      local arch = name:match("^numbers_(.*)$")
      local place = arch and "constants.numbers." .. arch or "constants." .. name
      for from, to in pairs(map.by_name) do expect(("%s.by_name[%q]"):format(place, from), to) end
      for from, to in pairs(map.by_value) do expect(("%s.by_value[%d]"):format(place, from), ("%q"):format(to)) end
    end
    for name, text in pairs(constants.errno.text) do
      expect(("constants.errno.text[%q]"):format(name), ("%q"):format(text))
    end
    for _, key in ipairs { '""', '"open 2"', '"open\\nclose"', '"ope"', '"opens"', "-1", "1.5", "true", "1LL" } do
      expect(("constants.numbers.x86_64.by_name[%s]"):format(key), "nil")
    end
    for _, arch in ipairs { "x86_64", "i386", "x32" } do
      for name in pairs(decode.names(arch)) do
        local classes = {}
        for class, names in pairs(decode.classes(arch)) do
          if (" " .. names .. " "):find(" " .. name .. " ", 1, true) then classes[#classes + 1] = class end
        end
        table.sort(classes)
        expect(("classes_of(%q, %q)"):format(arch, name), ("%q"):format(table.concat(classes, " ")))
        assert.same(decode.find(arch, name).classes, (function()
          local set = {}
          for _, class in ipairs(classes) do set[class] = true end
          return set
        end)())
      end
    end
    local file = os.tmpname()
    support.write(file, [[
      local constants, decode = require "luatrace.constants", require "luatrace.decode"
      assert(not require("luatrace.packed").is_source)
      local function same(what, is, shall) if is ~= shall then print(what, is, shall) end end
      local function classes_of(arch, name)
        local classes, listed = {}, {}
        for class in pairs(decode.find(arch, name).classes) do classes[#classes + 1] = class end
        for class, names in pairs(decode.classes(arch)) do
          if (" " .. names .. " "):find(" " .. name .. " ", 1, true) then listed[#listed + 1] = class end
        end
        table.sort(classes)
        table.sort(listed)
        same(name, table.concat(classes, " "), table.concat(listed, " "))
        return table.concat(classes, " ")
      end
    ]] .. "(function() " .. table.concat(lines, " end)();(function() ") .. " end)()\n")
    local result = support.run { options = { "--script", file }, cmd = { "true" } }
    os.remove(file)
    assert.equal("", result.stdout .. result.stderr)
    assert.equal(0, result.status)
  end)

  it("have no set twice and no empty one", function()
    for name in pairs(constants.index) do
      local set = constants.flags[name]
      assert.is_true(#set > 0, name)
      local seen = {}
      for i = 1, #set do
        assert.is_nil(seen[set[i][1]], name .. " has " .. set[i][1] .. " twice")
        seen[set[i][1]] = true
      end
    end
  end)

  for room, rows in pairs(rooms()) do
    it("are what the headers say: " .. room .. " #slow", function()
      for _, row in ipairs(rows) do
        local headers = {}
        for word in row[4]:gmatch "%S+" do headers[#headers + 1] = word end
        local result = abi.compare(headers, constants.flags[row[2]])
        assert.same({}, result.wrong, row[2])
      end
    end)
  end

  for arch, known in pairs {
    x86_64 = { "asm/unistd_64.h", "-m64" },
    i386 = { "asm/unistd_32.h", "-m32" },
  } do
    it("number the system calls of " .. arch .. " as the headers do, all of them", function()
      local numbers = constants.numbers[arch]
      local result = abi.compare({ known[1] }, map_entries(numbers.by_name, "__NR_"), known[2])
      assert.same({}, result.wrong)
      assert.is_true(result.compared > 350)
      for _, name in ipairs(abi.macros(known[1], "^__NR_(.*)$", known[2])) do
        assert.is_number(numbers.by_name[name], name)
        assert.equal(name, numbers.by_value[numbers.by_name[name]])
      end
      assert.equal(469, numbers.by_name.file_setattr)
    end)
  end

  it("number x32 calls with bit 30", function()
    local headers = { "D:__X32_SYSCALL_BIT=0x40000000", "asm/unistd_x32.h" }
    local result = abi.compare(headers, map_entries(constants.numbers.x32.by_name, "__NR_"))
    assert.same({}, result.wrong)
    assert.is_true(result.compared > 350)
    assert.equal("openat", constants.numbers.x32.by_value[0x40000000 + 257])
  end)

  it("name errors and signals as the headers do, with glibc's texts", function()
    assert.same({}, abi.compare({ "errno.h" }, map_entries(constants.errno.by_name, "")).wrong)
    for _, name in ipairs(abi.macros("errno.h", "^(E[A-Z0-9]+)$")) do
      assert.is_number(constants.errno.by_name[name], name)
      assert.is_string(constants.errno.text[name], name)
    end
    assert.equal("No such file or directory", constants.errno.text.ENOENT)
    assert.equal("ERESTARTSYS", constants.errno.by_value[512])
    assert.equal("To be restarted if SA_RESTART is set", constants.errno.text.ERESTARTSYS)
    assert.equal("EAGAIN", constants.errno.by_value[11])
    assert.equal(11, constants.errno.by_name.EWOULDBLOCK)

    local signals = {}
    for name, value in pairs(constants.signals.by_name) do
      if not name:find "^SIGRT" then signals[name] = value end
    end
    assert.same({}, abi.compare({ "signal.h" }, map_entries(signals, "")).wrong)
    assert.equal("SIGRTMIN", constants.signals.by_value[32])
    assert.equal("SIGRT_2", constants.signals.by_value[34])
    assert.equal("SIGIO", constants.signals.by_value[29])
    assert.equal(29, constants.signals.by_name.SIGPOLL)
  end)

  it("number ioctl requests as the headers do", function()
    local headers = {
      "stdint.h", "time.h", "sys/socket.h", "asm/termbits.h", "linux/serial.h", "asm/ioctls.h", "linux/sockios.h",
      "linux/fs.h", "linux/fiemap.h", "linux/if_tun.h", "linux/loop.h", "linux/kvm.h", "linux/btrfs.h",
      "linux/random.h", "linux/rtc.h", "linux/vt.h", "linux/kd.h", "linux/cdrom.h", "linux/hdreg.h",
      "linux/userfaultfd.h", "linux/nsfs.h", "linux/perf_event.h", "linux/videodev2.h", "linux/vhost.h",
      "linux/fuse.h", "linux/watchdog.h", "linux/uinput.h",
    }
    -- Requests are macros. For each name that is none, the compiler looks for one that is spelt nearly so: seconds.
    local known = {}
    for _, name in ipairs(abi.macros(headers, "^([%w_]+)$")) do known[name] = constants.ioctl.by_name[name] end
    local result = abi.compare(headers, map_entries(known, ""))
    assert.same({}, result.wrong)
    assert.is_true(result.compared > 700, "compared " .. result.compared)
    assert.equal("TCGETS", constants.ioctl.by_value[0x5401])
    assert.equal("FIONREAD", constants.ioctl.by_value[0x541b])
    assert.equal(0x541b, constants.ioctl.by_name.TIOCINQ)
  end)

  it("stand in the order in which strace prints them", function()
    local program = os.tmpname()
    local log = program .. ".log"
    assert.equal(0, os.execute(("gcc -w -o %s spec/abi/flag_order.c"):format(program)))
    os.execute(("strace -o %s %s 2>/dev/null"):format(log, program))
    local checked, label = 0, nil
    for line in assert(io.open(log)):lines() do
      if label then
        local set = constants.flags[label]
        local place, last, names = {}, 0, 0
        for i = 1, #set do place[set[i][1]] = i end
        for name in line:gmatch "[%w_]+" do
          if place[name] then
            assert.is_true(place[name] >= last, ("%s: %s in %s"):format(label, name, line))
            last, names = place[name], names + 1
          end
        end
        assert.is_true(names > 0, label .. ": no name in " .. line)
        checked, label = checked + 1, nil
      else
        local name = line:match '^access%("([%w_]+)"'
        label = name and constants.index[name] and name
      end
    end
    os.remove(program)
    os.remove(log)
    assert.equal(27, checked)
  end)
end)
