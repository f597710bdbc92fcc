--- Families of calls under strace and under luatrace: the same lines, but for those that are listed here with a reason.

local support = require "spec.support"

local has_strace = os.execute "strace --version >/dev/null 2>&1"
local strace = has_strace == 0 or has_strace == true

--- Patterns of luatrace's lines that may differ.
local better = {
  "MPOL_MF_LAZY", "PIDFD_SIGNAL_THREAD", "ADDRB", -- names that are newer than strace 6.1
  "^getxattr%(.*, 0%) = %d", -- strace prints what the buffer held before: nothing has been written to it
  "^adjtimex%(", "^clock_adjtime%(", -- the clock goes on
}

local function run(command) return os.execute(command .. " >/dev/null 2>&1") end

local function lines_of(path)
  local list, started, pid = {}, false, nil
  for line in io.lines(path) do
    local tid, text = line:match "^(%d+) +(.*)$"
    text = text or line
    pid = pid or tid
    if text:find('"begin"', 1, true) then started = true end
    if started then
      text = text:gsub(" +=", " ="):gsub("0x[57f]%x%x%x%x%x%x%x+", "ADDRESS")
      if pid then text = text:gsub("%f[%d]" .. pid .. "%f[%D]", "PID") end
      list[#list + 1] = text
    end
  end
  return list
end

describe("rows, beside strace", function()
  for _, family in ipairs { "xattr", "time", "sched", "tty" } do
    for _, bits in ipairs { 64, 32 } do
      it(("print %s of %d bits alike"):format(family, bits), function()
        if not strace then return pending "strace is not installed" end
        if bits == 32 and not support.runs_32_bit() then return pending(support.no_32_bit) end
        local here = io.popen("pwd"):read "*l"
        local dir = os.tmpname()
        os.remove(dir)
        run("mkdir " .. dir)
        run(("gcc -m%d -w -o %s/p spec/tracees/calls_%s.c -lrt"):format(bits, dir, family))
        local where = ("cd %s && "):format(dir)
        run(where .. "timeout 30 strace -f -o a ./p")
        run(where .. ("timeout 30 %s/build/luatrace -o b ./p"):format(here))
        local theirs, ours = lines_of(dir .. "/a"), lines_of(dir .. "/b")
        run("rm -r " .. dir)
        assert.is_true(#theirs > 5)
        assert.equal(#theirs, #ours)
        local wrong = {}
        for i = 1, #theirs do
          local allowed = theirs[i] == ours[i]
          for _, pattern in ipairs(better) do allowed = allowed or ours[i]:find(pattern) ~= nil end
          if not allowed then wrong[#wrong + 1] = theirs[i] .. "\n  " .. ours[i] end
        end
        assert.equal("", table.concat(wrong, "\n"))
      end)
    end
  end
end)
