-- strace's options give strace's text: each set of options is compared with the installed strace on the same program.

local compare = require "spec.text_compare"
local support = require "spec.support"

local same = compare.same

local function sh(code) return { "sh", "-c", code } end

local binary = { "printf", "%b", [[a\\001\\n\\377\\t"q\\0001]] }

--- Options, and the programs that they are compared on.
local cases = {
  { { "-x" }, { binary, { "cat", "/etc/hostname" } } },
  { { "-xx" }, { binary, { "ls", "-l", "/etc/hostname" } } },
  { { "-x", "-y" }, { { "cat", "/etc/hostname" } } },
  { { "--strings-in-hex=non-ascii-chars" }, { binary } },
  { { "--strings-in-hex=none" }, { binary } },
  { { "--strings-in-hex" }, { binary } },
  { { "-X", "raw", "-e", "trace=!statx" }, { sh "ls -l /etc/hostname; kill -TERM $$", { "stty", "-a" } } },
  { { "-X", "verbose", "-e", "trace=!statx" }, { sh "ls -l /etc/hostname; kill -TERM $$", { "stty", "-a" } } },
  { { "-X", "verbose" }, { { support.tracee "family", "forks", "2" } } },
  { { "-X", "verbose", "-e", "trace=ioctl" }, { { support.tracee "device_requests" } } },
  { { "-X", "raw", "-e", "trace=ioctl" }, { { support.tracee "device_requests" } } },
  { { "-v", "-y", "-s", "3", "-e", "trace=ioctl" }, { { support.tracee "device_requests" } } },
  { { "-e", "verbose=none", "-e", "trace=ioctl" }, { { support.tracee "device_requests" } } },
  { { "--const-print-style=abbrev" }, { { "true" } } },
  { { "-e", "verbose=none" }, { sh "ls -l /etc/hostname; kill -TERM $$" } },
  { { "-e", "verbose=newfstatat,wait4" }, { sh "ls -l /etc/hostname | cat" } },
  { { "-e", "abbrev=none", "-E", "LONG=1", "-e", "trace=!execve" }, { { "cat", "/etc/hostname" } } },
  { { "-e", "abbrev=!newfstatat" }, { { "cat", "/etc/hostname" } } },
  { { "-e", "abbrev=newfstatat", "-e", "trace=newfstatat,statx" }, { { "ls", "/etc/hostname" } } },
  { { "-Y" }, { { support.tracee "process_ids" }, sh "true | cat" } },
  { { "--decode-pids=comm" }, { { support.tracee "process_ids" } } },
  { { "--decode-pids=none" }, { { support.tracee "process_ids" } } },
  { { "--decode-fds=path" }, { { "cat", "/etc/hostname" } } },
  { { "-e", "decode-fds=path" }, { { "cat", "/etc/hostname" } } },
  { { "-yy", "-e", "trace=!getsockname" }, { { support.tracee "descriptors" } } },
  { { "-y" }, { { support.tracee "descriptors" } } },
  { { "--decode-fds=all", "-e", "trace=%desc" }, { sh "cat </etc/hostname | cat >/dev/null" } },
  { { "-e", "decode-fds=socket", "-e", "trace=bind,connect,accept,fstat,newfstatat" },
    { { support.tracee "descriptors" } } },
  { { "-e", "decode-fds=dev", "-e", "trace=fstat,newfstatat" }, { { support.tracee "descriptors" } } },
  { { "-e", "decode-fds=!path", "-e", "trace=fstat,newfstatat" }, { { support.tracee "descriptors" } } },
  { { "-e", "decode-fds=pidfd", "-e", "trace=fstat,newfstatat" }, { { support.tracee "descriptors" } } },
  { { "--quiet=exit" }, { { "true" } } }, { { "-e", "quiet=all" }, { { "true" } } },
  { { "-e", "trace=file,desc,?process@32" }, { { "cat", "/etc/hostname" } } },
  { { "-e", "trace=!1,2,3" }, { { "cat", "/etc/hostname" } } },
  { { "-e", "raw=file,network" }, { { "true" } } },
  { { "-e", "fault=file:error=EPERM:when=40+" }, { { "ls", "/etc/apt" } } },
  { { "-e", "status=unavailable" }, { { "true" } } }, { { "-e", "status=unfinished,failed" }, { { "true" } } },
  { { "-e", "signal=!TERM" }, { sh "kill -TERM $$" } }, { { "-e", "signal=none" }, { sh "kill -TERM $$" } },
  { { "-i", "-e", "trace=kill" }, { sh "trap : USR1; kill -USR1 $$; kill -TERM $$" } },
  { { "-P", "" }, { { "true" } } },
  { { "-P", "/etc/../etc/hostname", "-e", "quiet=path-resolution" }, { { "cat", "/etc/hostname" } } },
}

--- What options in front of each line look like: as a pattern of digits.
local function shape(text)
  local line = text:match("\nprocess 1\n(.-)uname%(") or text:match("\n([^\n]-)uname%(")
  return line and (line:gsub("%d", "9"))
end

describe("strace's options", function()
  after_each(function()
    assert.same({}, support.leftovers())
    support.clean()
  end)

  for _, case in ipairs(cases) do
    for _, program in ipairs(case[2]) do
      it(table.concat(case[1], " ") .. " on " .. (program[#program]:gsub("[^%g ]", ".")), function()
        same(program, case[1])
      end)
    end
  end

  if support.is_root then
    it("--decode-pids=pidns in a pid namespace", function()
      same({ support.tracee "process_ids", "1" }, { "--decode-pids=pidns" })
      same({ support.tracee "process_ids", "1" }, { "--pidns-translation", "-e", "trace=getpid,kill,clone" })
    end)
  else
    pending("--decode-pids=pidns in a pid namespace: needs root")
  end

  for _, options in ipairs { "-t", "-tt", "-ttt", "-r", "-r -tt", "--relative-timestamps=s", "--relative-timestamps=ns",
    "--absolute-timestamps", "--absolute-timestamps=unix", "--absolute-timestamps=unix,ns", "--timestamps=ms",
    "--absolute-timestamps=format:time,precision:us", "--absolute-timestamps=none" } do
    it(options .. " begins lines as strace does", function()
      local words = { "-e", "trace=uname" }
      for word in options:gmatch("%S+") do words[#words + 1] = word end
      local theirs = shape(compare.traced("strace", { "uname" }, words))
      assert.is_truthy(theirs)
      assert.equal(theirs, shape(compare.traced(support.binary, { "uname" }, words)))
    end)
  end

  it("-T takes a precision", function()
    for option, pattern in pairs { ["-T"] = "= 0 <0%.%d%d%d%d%d%d>\n", ["--syscall-times=s"] = "= 0 <0>\n",
      ["--syscall-times=ms"] = "= 0 <0%.%d%d%d>\n", ["--syscall-times=ns"] = "= 0 <0%.%d%d%d%d%d%d%d%d%d>\n" } do
      assert.matches(pattern, compare.traced(support.binary, { "uname" }, { "-e", "trace=uname", option }))
    end
  end)

  it("-N names the arguments", function()
    local text = compare.traced(support.binary, { "cat", "/etc/hostname" }, { "-N" })
    assert.matches('openat%(dirfd=AT_FDCWD, pathname="/etc/hostname", flags=O_RDONLY%) = 3\n', text)
    assert.matches('\nread%(fd=3, buf=".-", count=131072%) = ', text)
  end)

  it("-e trace-fds= shows calls on these descriptors only", function()
    local text = compare.traced(support.binary, { "cat", "/etc/hostname" }, { "--trace-fds=1", "-qqq" })
    assert.is_nil(text:find("openat", 1, true))
    assert.matches("\nwrite%(1, ", text)
    text = compare.traced(support.binary, { "cat", "/etc/hostname" }, { "-e", "trace-fds=!1", "-qqq" })
    assert.is_nil(text:find("write(1,", 1, true))
    assert.matches("\nread%(3, ", text)
  end)

  it("-c counts only what -P and -e trace-fds= name", function()
    local function counted(tracer)
      return support.execute({ words = { tracer, "-c", "-U", "name,calls,errors", "-S", "name", "-P", "/etc/hostname",
        "cat", "/etc/hostname" } }).stderr
    end
    assert.equal(counted "strace", counted(support.binary))
  end)

  it("options that do nothing say so, as strace's do", function()
    for _, option in ipairs { "-A", "-Sname" } do
      local function first_line(tracer)
        return (support.execute { words = { tracer, option, "true" } }).stderr:match("^%w+:( [^\n]*)\n")
      end
      assert.is_truthy(first_line "strace")
      assert.equal(first_line "strace", first_line(support.binary))
    end
  end)

  it("-p takes threads, lists, the dead among the living", function()
    local lua = "on.tuxcall(function() end)"
    local sleeper = [[sleep 0.4 & a=$!; sleep 0.4 & b=$!; "$0" -e trace=none "$@" -p "$a $b,$a" -p 4194303 2>&1 |
      sed "s/$a/A/;s/$b/B/"]]
    local result = support.execute { words = { "sh", "-c", sleeper, support.binary, "--lua", lua } }
    assert.equal("luatrace: Process A attached\nluatrace: Process B attached\n" ..
      "luatrace: cannot attach to 4194303: there is no such process\n",
      (result.stdout:gsub("[^\n]*%+%+%+[^\n]*\n", "")))
  end)

  it("wrong values are refused with what would be right", function()
    for _, options in ipairs { { "-X", "pretty" }, { "--strings-in-hex=some" }, { "--absolute-timestamps=noon" },
      { "--relative-timestamps=h" }, { "--syscall-times=h" }, { "--quiet=loud" }, { "--decode-fds=names" },
      { "--decode-pids=names" }, { "-t", "--absolute-timestamps=ns" }, { "-x", "--strings-in-hex=all" },
      { "-e", "trace-fds=x" }, { "-e", "trace=" }, { "-e", "raw=!" }, { "-U", "name" }, { "-w" }, { "-p", "" },
      { "-q", "-e", "quiet=exit" }, { "-y", "--decode-fds=path" }, { "-s", "100000000000" }, { "-a", "1.5" },
      { "--out=x" },
      { "-e", "verbose=nonsense" } } do
      local result = support.run { options = options, cmd = { "true" } }
      assert.equal(125, result.status, table.concat(options, " "))
      assert.matches("^luatrace: [^\n]+\n$", result.stderr)
    end
  end)
end)
