--- The rows of all calls: complete, laid out as the compiler lays out, and unmoved by hostile registers and memory.

local buffer = require "string.buffer"
local ffi = require "ffi"
local decode = require "luatrace.decode"
local footprint_ok, footprint = pcall(require, "luatrace.decode.footprint")
local structs = require "luatrace.structs"

local arches = {
  x86_64 = { name = "x86_64", bits = 64, pointer_size = 8 },
  i386 = { name = "i386", bits = 32, pointer_size = 4 },
}

local function sorted_names(arch)
  local names = {}
  for name in pairs(decode.names(arch)) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- A tracee's memory that gives whatever it likes: every address may be mapped, may end early, may hold anything.
local function hostile_memory(random)
  local memory = {}
  local function bytes(n)
    local kind = random(1, 6)
    if kind == 1 then return ("\0"):rep(n) end
    if kind == 2 then return ("\255"):rep(n) end
    local block = {}
    for i = 1, math.min(n, 256) do block[i] = string.char(random(0, kind == 3 and 3 or 255)) end
    local text = table.concat(block)
    return text:rep(math.ceil(n / math.max(1, #text))):sub(1, n)
  end
  memory.largest = 0
  function memory:read(_, n)
    n = tonumber(n)
    assert(n >= 0, "a negative length was read")
    if n > self.largest then self.largest = n end
    local kind = random(1, 5)
    if kind == 1 then return nil, "Bad address", "EFAULT" end
    n = math.min(n, 65536)
    if kind == 2 then n = random(0, n) end
    return bytes(n)
  end
  function memory.cstring(_, address, max)
    local kind = random(1, 4)
    if kind == 1 then return nil, "Bad address", "EFAULT" end
    local text = bytes(math.min(max or 4096, random(1, 64))):match "^[^%z]*"
    return text, kind == 2, address
  end
  function memory.write() return true end
  function memory.alloc() return 0x1000 end
  return memory
end

--- More of them are tried with ROUNDS=200 busted spec/rows_spec.lua.
local ROUNDS = tonumber(os.getenv "ROUNDS") or 2

local interesting = { 0, 1, 2, 3, 7, 8, 16, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffffLL,
  0x8000000000000000ULL, 0xffffffffffffffffULL, 0xffffffffffffff9cULL, 4096, 0x5401, 0x7ffd00001000 }

local function register(random, arch)
  local value
  local kind = random(1, 3)
  if kind == 1 then
    value = interesting[random(1, #interesting)]
  elseif kind == 2 then
    value = random(0, 300)
  else
    value = ffi.cast("uint64_t", random(0, 2 ^ 31)) * 4294967296ULL + random(0, 2 ^ 31)
  end
  if arch.bits == 32 then value = tonumber(ffi.cast("uint32_t", ffi.cast("uint64_t", value))) end
  if type(value) == "cdata" then
    local number = tonumber(ffi.cast("int64_t", value))
    if number < 2 ^ 53 and number > -2 ^ 53 then return number end
    return ffi.cast("int64_t", value)
  end
  return value
end

local errors = { "EFAULT", "ENOENT", "ERESTARTSYS", "EINTR" }

local function hostile_call(arch, name, random, memory)
  local row = decode.find(arch, name)
  local raw = {}
  for i = 1, 6 do raw[i] = register(random, arches[arch]) end
  local failed = random(1, 3) == 1
  return {
    arch = arches[arch], row = row, raw = raw, phase = "entry", memory = memory, name = name, args = raw,
    failed = false, text_options = random(1, 2) == 1 and { verbose = true, string_limit = random(0, 64) } or nil,
    set_raw = function() end, will_fail = failed, result = failed and -14 or register(random, arches[arch]),
    error_name = errors[random(1, #errors)],
  }
end

local function leave(call)
  call.phase, call.failed, call.raw_ret = "exit", call.will_fail, call.result
  call.errno = call.failed and call.error_name or nil
end

--- Looks at every field of what a script gets.
local function touch(value, call, depth)
  if type(value) ~= "table" or depth > 2 then return end
  local _ = tostring(value)
  for i = 1, math.min(#value, 3) do touch(value[i], call, depth + 1) end
end

describe("rows", function()
  for arch in pairs(arches) do
    it("load, pass the schema and leave no call generic on " .. arch, function()
      local generic = {}
      for _, name in ipairs(sorted_names(arch)) do
        local row = decode.find(arch, name)
        assert.is_table(row.returns, name)
        if row.is_generic then generic[#generic + 1] = name end
      end
      assert.same({}, generic)
    end)

    it("bear any registers and any memory on " .. arch .. " #slow", function()
      local random = math.random
      math.randomseed(20261127)
      local out = buffer.new()
      local failures = {}
      for _, name in ipairs(sorted_names(arch)) do
        for round = 1, ROUNDS do
          local memory = hostile_memory(random)
          local call = hostile_call(arch, name, random, memory)
          local where
          local ok, failure = xpcall(function()
            for _, phase in ipairs { "entry", "exit" } do
              if phase == "exit" then leave(call) end
              where = phase .. " text"
              out:reset()
              decode.text_args(call, out, phase)
              assert(#out < 2 ^ 25, "the text has no bound: " .. #out)
              if phase == "exit" then
                where = "result"
                decode.text_result(call, out)
              end
              for i = 1, #call.row do
                where = ("%s value of %s"):format(phase, call.row[i].name)
                touch(decode.value(call, i), call, 0)
                where = ("%s plain of %s"):format(phase, call.row[i].name)
                decode.plain(call, i)
              end
              where = phase .. " footprint"
              local ranges = footprint_ok and footprint.of(call) or decode.footprint(call)
              for _, range in ipairs(ranges) do assert(tonumber(range.length) >= 0, "a negative range") end
            end
            assert(memory.largest <= 512 * 1024 * 1024, "a read without bound: " .. memory.largest)
          end, debug.traceback)
          if not ok then
            failures[#failures + 1] = ("%s, round %d, %s: %s"):format(name, round, where, failure)
            break
          end
        end
      end
      assert.equal("", table.concat(failures, "\n"))
    end)
  end

  --- struct -> headers, and the C names of fields that luatrace names as the kernel's own sources do.
  local layouts = {
    { "tms", "struct tms", "sys/times.h" }, { "timex", "struct timex", "sys/timex.h", only_size = true },
    { "sched_attr", "struct sched_attr", "linux/types.h linux/sched/types.h" },
    { "mq_attr", "struct mq_attr", "linux/mqueue.h" }, { "utimbuf", "struct utimbuf", "utime.h" },
    { "mount_attr", "struct mount_attr", "linux/mount.h" }, { "iocb", "struct iocb", "linux/aio_abi.h",
      skip = { aio_reserved2 = true, aio_key = true, aio_rw_flags = true } },
    { "io_event", "struct io_event", "linux/aio_abi.h" },
    { "landlock_path_beneath_attr", "struct landlock_path_beneath_attr", "linux/landlock.h" },
    { "io_uring_params", "struct io_uring_params", "linux/io_uring.h" },
    { "dqblk", "struct if_dqblk", "linux/quota.h" }, { "dqinfo", "struct if_dqinfo", "linux/quota.h" },
    { "ipc_perm", "struct ipc64_perm", "linux/ipc.h asm/ipcbuf.h", skip = { seq = true, pad2 = true, unused1 = true,
      unused2 = true } },
    { "shmid64_ds", "struct shmid64_ds", "asm/shmbuf.h", skip = { unused4 = true, unused5 = true } },
    { "msqid64_ds", "struct msqid64_ds", "asm/msgbuf.h", skip = { unused4 = true, unused5 = true } },
    { "semid64_ds", "struct semid64_ds", "asm/sembuf.h", skip = { unused1 = true, unused2 = true, unused3 = true,
      unused4 = true } },
    { "sembuf", "struct sembuf", "sys/sem.h" }, { "shminfo", "struct shminfo64", "asm/shmbuf.h",
      skip = { unused = true } },
    { "shm_info", "struct shm_info", "linux/shm.h" }, { "seminfo", "struct seminfo", "linux/sem.h" },
    { "msginfo", "struct msginfo", "linux/msg.h" },
    { "sock_fprog", "struct sock_fprog", "linux/filter.h" },
    { "seccomp_notif_sizes", "struct seccomp_notif_sizes", "linux/seccomp.h" },
    { "ptrace_peeksiginfo_args", "struct __ptrace_peeksiginfo_args", "linux/ptrace.h" },
    { "termios", "struct termios", "asm/termbits.h" }, { "termios2", "struct termios2", "asm/termbits.h" },
    { "winsize", "struct winsize", "asm/termios.h" }, { "fiemap", "struct fiemap", "linux/fiemap.h",
      skip = { fm_reserved = true } },
    { "file_clone_range", "struct file_clone_range", "linux/fs.h" },
    { "loop_info64", "struct loop_info64", "linux/loop.h" },
    { "statx", "struct statx", "linux/stat.h", only_offsets = true, skip = { pad1 = true } },
    { "timespec", "struct timespec", "time.h" }, { "timeval", "struct timeval", "sys/time.h" },
    { "itimerval", "struct itimerval", "sys/time.h" }, { "itimerspec", "struct itimerspec", "time.h" },
    { "rusage", "struct rusage", "linux/time.h linux/resource.h" },
    { "rlimit", "struct rlimit", "linux/time.h linux/resource.h" },
    { "flock", "struct flock", "linux/fcntl.h" }, { "pollfd", "struct pollfd", "linux/poll.h" },
    { "utsname", "struct new_utsname", "linux/utsname.h" },
    { "sysinfo", "struct sysinfo", "linux/sysinfo.h", skip = { pad = true } },
    { "open_how", "struct open_how", "linux/openat2.h" }, { "clone_args", "struct clone_args", "linux/sched.h" },
    { "linger", "struct linger", "sys/socket.h" }, { "ucred", "struct ucred", "sys/socket.h" },
    { "statfs", "struct statfs", "asm/statfs.h", only_offsets = true },
    { "statfs64", "struct statfs64", "asm/statfs.h", only = "i386" },
    { "epoll_event", "struct epoll_event", "linux/eventpoll.h", skip = { high = true } },
    { "cap_header", "struct __user_cap_header_struct", "linux/capability.h" },
    { "kexec_segment", "struct kexec_segment", "linux/kexec.h" },
    { "robust_list_head", "struct robust_list_head", "linux/futex.h" },
  }

  --- Compiles one program for an architecture and gives what its assembler text tells as field -> number. Nothing is
  -- run: the machine need not run 32-bit programs.
  local function compiled(arch, with)
    local name = os.tmpname()
    local source = assert(io.open(name .. ".c", "w"))
    source:write("#define _GNU_SOURCE\n#include <stddef.h>\n")
    for header in with[3]:gmatch "%S+" do source:write(("#include <%s>\n"):format(header)) end
    local tell = '__asm__ volatile("LAYOUT %s %%c0" : : "i"(%s));\n'
    source:write("void layout(void) {\n", tell:format("sizeof", ("sizeof(%s)"):format(with[2])))
    for field in pairs(with.only_size and {} or with.fields) do
      if not (with.skip and with.skip[field]) then
        source:write(tell:format(field, ("offsetof(%s, %s)"):format(with[2], field)))
      end
    end
    source:write "}\n"
    source:close()
    local pipe = io.popen(("gcc %s -w -S -o - %s.c 2>/dev/null"):format(arch == "i386" and "-m32" or "", name))
    local result = {}
    for line in pipe:lines() do
      local key, value = line:match "LAYOUT (%S+) (%d+)$"
      if key then result[key] = tonumber(value) end
    end
    pipe:close()
    os.remove(name)
    os.remove(name .. ".c")
    return result
  end

  for arch, abi in pairs(arches) do
    it("have structs laid out as the compiler does on " .. arch .. " #slow", function()
      local wrong, seen = {}, 0
      for _, layout in ipairs(layouts) do
        local struct = structs[layout[1]]
        if struct.variants then struct = struct.variants[abi.bits] end
        if not struct.offsets then struct = structs[layout[1] .. "_" .. abi.bits] end
        if not layout.only or layout.only == arch then
          layout.fields = struct.offsets(abi)
          local real = compiled(arch, layout)
          if real.sizeof then
            seen = seen + 1
            if not layout.only_offsets and real.sizeof ~= struct.size(abi) then
              wrong[#wrong + 1] = ("%s: %d bytes, not %d"):format(layout[1], real.sizeof, struct.size(abi))
            end
            for field, offset in pairs(layout.fields) do
              if real[field] and real[field] ~= offset then
                wrong[#wrong + 1] = ("%s.%s: at %d, not %d"):format(layout[1], field, real[field], offset)
              end
            end
          elseif os.getenv "SHOW_MISSING" then
            print(arch, "not compared", layout[1])
          end
        end
      end
      assert.equal("", table.concat(wrong, "\n"))
      assert.is_true(seen >= 30, ("only %d structs were compared"):format(seen))
    end)
  end
end)
