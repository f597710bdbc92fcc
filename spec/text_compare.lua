--- The same program under strace and under luatrace, and where their texts differ: nothing may but what no two runs
-- have in common: process ids, addresses, times, random bytes. Each process has a file of its own (-ff), so that the
-- order in which processes are scheduled does not matter. Once more all go into one file (-f), where the core prints
-- what is simple (src/printer.c): told apart by their ids, interrupted lines joined, the lines are the same.
--
--   local same = require("spec.text_compare").same
--   same({ "ls", "/etc" }, { "-y" })

local assert = require "luassert"
local dirent = require "posix.dirent"
local support = require "spec.support"

--- Differences that stay, and why.
local better = {
  -- strace 6.1 does not know these calls or flags; luatrace has them from Linux 6.18.
}

local function normal(text)
  text = text:gsub("0x%x%x%x%x%x+", "ADDRESS"):gsub("%[%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%]", "[ADDRESS]")
  text = text:gsub("(kill%()%d%d%d+", "%1PID")
  -- How often libc draws until a temporary name is free of bias is chance.
  text = text:gsub("\n[^\n]*getrandom%([^\n]*", "")
  text = text:gsub("tv_sec=%-?%d+, tv_[nu]sec=%d+", "TIME"):gsub("si_[us]time=%d+", "TIME")
    :gsub("TIME /%* [%d.]+ s %*/", "TIME")
  text = text:gsub("(p?t?g?i?d=)%[?%d%d+%]?", "%1PID"):gsub("(sysinfo%().-\n", "%1...\n")
  text = text:gsub("f_bfree=%d+, f_bavail=%d+, f_files=%d+, f_ffree=%d+", "FREE"):gsub("st_size=%d+", "SIZE")
  -- Calls that take or give a process id.
  text = text:gsub("(\n[%w_]+%()(%-?%d%d%d+)", "%1PID"):gsub("= %d%d%d+\n", "= NUMBER\n")
  text = text:gsub("\n(%S-)%s+= ", "\n%1 = "):gsub(" +=", " =")
  text = text:gsub("(\ntgkill%(PID, )%d+", "%1PID"):gsub(" /%* %d%d%d%d%-%S+ %*/", "")
  -- Names and numbers made by chance or by the clock.
  for _, name in ipairs { '"Cu', '"%./sed' } do text = text:gsub("(" .. name .. ")%w%w%w%w%w%w", "%1RANDOM") end
  text = text:gsub("(\nread%(%d+, )\".-\"(%.*, [%d]+%) = )", "%1DATA%2")
  text = text:gsub("(\nwrite%(2, \"%d+ bytes).-\n", "%1\n")
  -- When a child ends relative to what its parent does meanwhile is chance.
  text = text:gsub("\n%-%-%- SIGCHLD[^\n]*", ""):gsub("\nrt_sigreturn[^\n]*", ""):gsub("\nwait4%([^\n]*", "")
  -- Whether a thread finds another one still at work is chance, too.
  text = text:gsub("\nfutex%([^\n]*", ""):gsub("\n[^\n]* = %? ERESTART[^\n]*", "")
  text = text:gsub("(pipe:%[)%d+", "%1N"):gsub("(:%[)%d%d%d+", "%1N"):gsub("->%d%d%d+", "->N")
  text = text:gsub("(%d:)%d%d%d+", "%1PORT"):gsub("(%]:)%d%d%d+", "%1PORT"):gsub("(htons%()%d%d%d+", "%1PORT")
  text = text:gsub("(:PORT%->)", "%1"):gsub("(<pid:)%d+", "%1PID"):gsub("([A-Z]:)%d%d%d+%]", "%1PID]")
  text = text:gsub("(P_PID, )%d%d%d+", "%1PID"):gsub("(PRIO_%u+, )%d%d%d+", "%1PID")
  text = text:gsub("(IOPRIO_WHO_%u+, )%d%d%d+", "%1PID")
  text = text:gsub("(F_SETOWN, )%d%d%d+", "%1PID"):gsub("st_ino=%d+", "INODE")
  text = text:gsub("(st_[acm]time[_nsec]*=)%d+", "%1TIME")
  text = text:gsub("(nlmsg_seq=)%d+", "%1N"):gsub("(nlmsg_pid=)%-?%d+", "%1N"):gsub("(nl_pid=)%-?%d+", "%1N")
  text = text:gsub("(\n[sm][hes][mg]%w+%()%d+", "%1ID"):gsub("(\n[sm][hes][mg]get%(.-) = %d+", "%1 = ID")
  -- The tracer's own name, and numbers that are ids by what stands behind them.
  text = text:gsub("<luatrace>", "<strace>"):gsub("%d%d%d+<", "PID<"):gsub("%d%d%d+ in strace", "PID in strace")
  text = text:gsub("(ru_[us]time={)[^}]*", "%1TIME")
  for _, pattern in ipairs(better) do text = text:gsub(pattern, "") end
  return text
end

--- One text of all processes' files, in the order of their ids.
local function collect(directory)
  local names = {}
  for _, name in ipairs(dirent.dir(directory)) do
    local pid = tonumber(name:match("%.(%d+)$"))
    if pid then names[#names + 1] = { pid, name } end
  end
  -- Ids begin anew when the highest has been given: then small ones are the later ones.
  local highest = 0
  for _, name in ipairs(names) do highest = math.max(highest, name[1]) end
  for _, name in ipairs(names) do
    if highest - name[1] > 10000 then name[1] = name[1] + highest end
  end
  table.sort(names, function(a, b) return a[1] < b[1] end)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = "process " .. i .. "\n" .. support.read(directory .. "/" .. name[2]) end
  return normal("\n" .. table.concat(parts))
end

--- The lines of -f as the files of -ff.
local function separate(directory)
  local by_pid, begun = {}, {}
  for line in support.read(directory .. "/t"):gmatch("[^\n]*\n") do
    local pid, text = line:match("^(%d+)[^ ]* +(.*)$")
    local resumed = text:match("^<%.%.%. [%w_]+ resumed>(.*)$")
    if resumed then text, begun[pid] = begun[pid] .. resumed, nil end
    if text:find(" <unfinished %.%.%.>\n$") then
      begun[pid] = text:match("^(.*) <unfinished %.%.%.>\n$")
    else
      by_pid[pid] = (by_pid[pid] or "") .. text
    end
  end
  assert.same({}, begun)
  for pid, text in pairs(by_pid) do
    local file = assert(io.open(directory .. "/t." .. pid, "w"))
    file:write(text)
    file:close()
  end
end

local function traced(tracer, command, options, how)
  local directory, work = support.tempdir(), support.tempdir()
  local words = { tracer, how or "-ff", "-o", directory .. "/t" }
  if not table.concat(options or {}, " "):find("quiet", 1, true) then table.insert(words, 2, "-q") end
  for _, word in ipairs(options or {}) do words[#words + 1] = word end
  for _, word in ipairs(command) do words[#words + 1] = word end
  local result = support.execute { words = words, cwd = work, stdin = "some\ninput\n",
    env = { GIT_CONFIG_GLOBAL = "/dev/null", HOME = "/nonexistent", PYTHONHASHSEED = "0", PERL_HASH_SEED = "0" } }
  if how == "-f" then separate(directory) end
  local text = collect(directory):gsub(work:gsub("%-", "%%-"), "WORK")
  support.clean()
  return text, result
end

--- The first lines that differ, for a message that one can read.
local function first_difference(a, b)
  local left, right = {}, {}
  for line in (a .. "\n"):gmatch("(.-)\n") do left[#left + 1] = line end
  for line in (b .. "\n"):gmatch("(.-)\n") do right[#right + 1] = line end
  for i = 1, math.max(#left, #right) do
    if left[i] ~= right[i] then
      return ("line %d\nstrace:   %s\nluatrace: %s"):format(i, tostring(left[i]), tostring(right[i]))
    end
  end
end

local core_prints = { ["-s"] = true, ["-a"] = true, ["-e"] = true }

local function same(command, options)
  local strace, strace_result = traced("strace", command, options)
  local ours, our_result = traced(support.binary, command, options)
  assert.equal("no difference", first_difference(strace, ours) or "no difference")
  assert.equal(strace_result.status, our_result.status)
  if not (options and options.any_output) then assert.equal(strace_result.stdout, our_result.stdout) end
  -- With other options the core does not print; some of them are not for lines of several processes.
  if options and #options > 0 and not core_prints[options[1]] then return end
  local in_one_file = traced(support.binary, command, options, "-f")
  assert.equal("no difference", first_difference(strace, in_one_file) or "no difference")
end

return { same = same, traced = traced, first_difference = first_difference }
