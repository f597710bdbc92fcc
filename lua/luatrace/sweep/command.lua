--- `luatrace sweep`: its options, and from the command line to an exit code: 0 nothing found, 123 findings, 125 errors,
-- 128 and a signal's number when that ended the sweep before it found anything: 130 SIGINT, 143 SIGTERM, 129 SIGHUP.

local json = require "luatrace.text.json"
local options = require "luatrace.cli.options"
local processes = require "luatrace.sys.processes"
local sys = require "luatrace.sys"

local M = {}

local FOUND, FAILED, SIGNALLED = 123, 125, 128

local number, one_of, seconds = options.takes.number, options.takes.one_of, options.takes.seconds

---@type table[] see cli/options.lua
M.rows = {
  { section = "What is swept" },
  { long = "fixture", value = "DIR", field = "fixture", kind = "value",
    help = "each run gets a private copy of DIR and runs in it (default: an empty directory)" },
  { long = "faults", value = "LIST", field = "faults", kind = "value",
    help = "of disk, read, network, memory, descriptors, kill, short, eintr (default: all of these), " ..
      "powerloss[=posix|ext4|btrfs], CALL=ERRNO" },
  { long = "check", value = "CMD", field = "check", kind = "value",
    help = "a shell command, or a file check.lua, that says whether what a run has left is good" },
  { long = "ignore", value = "GLOB", field = "ignore", kind = "list",
    help = "files that are not judged: logs, caches (may be repeated; * matches / too)" },
  { long = "stdin", value = "FILE", field = "stdin", kind = "value", help = "standard input (default: /dev/null)" },
  { long = "expect-failure", field = "expect_failure", kind = "flag",
    help = "the command ends with another status than 0 by itself" },
  { long = "depth", value = "N", field = "depth", kind = "value", check = one_of("1", "2"),
    help = "2: a second fault too, around the code that handled the first" },
  { long = "script", value = "FILE", field = "script", kind = "value",
    help = "for powerloss: handlers that say mark(text) when the program has promised something" },
  { section = "How" },
  { short = "j", long = "jobs", value = "N", field = "jobs", kind = "value", check = number("a number of workers", 1),
    help = "so many runs at a time (default: one a processor)" },
  { long = "timeout", value = "TIME", field = "timeout", kind = "value", check = seconds,
    help = "a run that takes longer hangs (default: ten times a clean run, a second at least), also when it is run " ..
      "again with three times as long" },
  { long = "budget", value = "AMOUNT", field = "budget", kind = "value",
    help = "end after so many runs (200) or so much time (30s, 5m)" },
  { long = "shard", value = "K/N", field = "shard", kind = "value", help = "only the Kth of N parts of the runs" },
  { long = "merge", field = "merge", kind = "flag",
    help = "no runs: the files that follow are JSON reports of shards; make one report of them" },
  { long = "resume", field = "resume", kind = "flag", help = "go on where an interrupted sweep ended" },
  { long = "list", field = "list", kind = "flag", help = "print the runs in their order, and what they will cost" },
  { long = "no-namespaces", field = "plain", kind = "flag",
    help = "runs take place in plain directories; writes elsewhere are caught by tracing (the default where need be)" },
  { long = "yes", field = "yes", kind = "flag", help = "copy a huge fixture for each run" },
  { section = "What is written" },
  { short = "o", long = "output", value = "DIR", field = "output", kind = "value",
    help = "where the journal and a script for each finding go (default: luatrace-sweep)" },
  { long = "report", value = "FORMAT", field = "reports", kind = "list",
    help = "tap, junit, json or html, or FORMAT=FILE (may be repeated); without a file to standard output" },
  { short = "q", long = "quiet", field = "quiet", kind = "flag", help = "no progress" },
  { section = "Help" },
  { short = "h", long = "help", field = "help", kind = "flag", help = "print this" },
}

M.usage = { "Usage: luatrace sweep [OPTIONS] -- COMMAND [ARGS]",
  "       luatrace sweep --merge [OPTIONS] REPORT.json...",
  "Gives a command every failure that could happen to it, one a run, and finds those that make it lose data, hang,",
  "crash or lie about success. Exit status: 0 nothing found, 123 findings, 125 the sweep could not be made,",
  "130, 143 or 129 ended by SIGINT, SIGTERM or SIGHUP before anything was found." }

--- The manual page's section; its options follow.
M.manual = [[
.Sh SWEEP
.Nm
.Cm sweep
records two clean runs of a command, and then runs it again and again, each time in a private copy of
.Fl \-fixture ,
with one of its calls failing: a full disk, a read error, no memory, no descriptors, a reset connection, a short read or
write, an interrupted call, or SIGKILL.
What each run does and leaves is judged against the clean runs:
.Bl -tag -width Ds
.It tolerated , clean\-fail
All is as ever; or it said that it failed, and every file that existed is its old or its new self.
.It SILENT\-LOSS
It ended as ever, but its files or its output are not.
.It DESTROYED
A file that existed is neither old nor new.
.It HANG , CRASH
It did not end, or died of a signal that programs get for mistakes.
.It LEFTOVER
It left files behind that a clean run does not leave, or failed and left its output unfinished under its own name.
.El
.Pp
Each finding is run again three times and written as a script.
The exit status is 123 when there are findings, 0 when there are none, 125 when the sweep could not be made, and 128 and
the number of the signal that ended it before anything was found: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP.
A first word that is exactly
.Cm sweep
is this command; a program of that name is run as
.Ql luatrace \-\- sweep .
]]

local formats = { tap = true, junit = true, json = true, html = true }

--- What --report was given: list of { format, file? }.
local function read_reports(list)
  local reports = {}
  for _, text in ipairs(list or {}) do
    local format, file = text:match("^([^=]*)=(.+)$")
    format = format or text
    if not formats[format] then
      return nil, ("--report takes tap, junit, json or html, or one of them and =FILE, not %q"):format(text)
    end
    reports[#reports + 1] = { format = format, file = file }
  end
  return reports
end

local function complain(message) io.stderr:write("luatrace sweep: ", message, "\n") end

--- Writes all that was asked for; the table too, unless something else goes to standard output.
local function write_reports(report, reports)
  local to_screen = false
  for _, wanted in ipairs(reports) do
    local text = require("luatrace.sweep.report." .. wanted.format).render(report)
    if wanted.file then
      local file, message = io.open(wanted.file, "w")
      local ok = file and file:write(text)
      ok = file and file:close() and ok
      if not ok then
        complain(("cannot write the report %s: %s"):format(wanted.file, message or "write failed"))
        return false
      end
    else
      to_screen = true
      io.stdout:write(text)
    end
  end
  if not to_screen then io.stdout:write(require("luatrace.sweep.report.table").render(report)) end
  return io.stdout:flush() and true or false
end

local function read_shards(files)
  local reports = {}
  for i, path in ipairs(files) do
    local text, message = sys.read_file(path)
    if not text then return nil, ("cannot read %s: %s"):format(path, message) end
    local report, wrong = json.decode(text)
    if type(report) ~= "table" or report.version ~= 1 or type(report.runs) ~= "table" then
      return nil, ("%s is no JSON report of a sweep%s"):format(path, wrong and ": " .. wrong or "")
    end
    reports[i] = report
  end
  return reports
end

local function merge(files, reports)
  if #files == 0 then
    complain("--merge takes the JSON reports of the shards: luatrace sweep --merge 1.json 2.json")
    return FAILED
  end
  local list, message = read_shards(files)
  local merged
  if list then merged, message = require("luatrace.sweep.merge").merge(list) end
  if not merged then
    complain(message)
    return FAILED
  end
  if not write_reports(merged, reports) then return FAILED end
  return #merged.findings > 0 and FOUND or 0
end

local function sweep(parsed, reports)
  local given = { fixture = parsed.fixture, faults = parsed.faults, check = parsed.check, stdin = parsed.stdin,
    ignore = parsed.ignore, script = parsed.script,
    expect_failure = parsed.expect_failure, depth = tonumber(parsed.depth), jobs = parsed.jobs,
    timeout = parsed.timeout, budget = parsed.budget, shard = parsed.shard, resume = parsed.resume,
    list = parsed.list, yes = parsed.yes, plain = parsed.plain, output = parsed.output or "luatrace-sweep" }
  for i, word in ipairs(parsed.rest) do given[i] = word end
  given.interrupt = processes.signal_descriptor()
  local bar
  if not parsed.quiet and sys.isatty(2) then
    bar = require("luatrace.sweep.report.progress").new(io.stderr)
    given.on_progress = bar.show
  end
  local report, message, signal = require("luatrace.sweep").run(given)
  if bar then bar.clear() end
  if not report then
    complain(message)
    return message == "interrupted" and SIGNALLED + signal or FAILED
  end
  if parsed.list then
    io.stdout:write(require("luatrace.sweep.report.list").render(report))
    return io.stdout:flush() and 0 or FAILED
  end
  if not write_reports(report, reports) then return FAILED end
  if #report.findings > 0 then return FOUND end
  if report.signal then return SIGNALLED + report.signal end
  return #report.errors > 0 and FAILED or 0
end

--- Runs `luatrace sweep`.
---@param argv string[] argv[1] is "sweep"
---@return integer exit code
function M.main(argv)
  local words = {}
  for i = 2, #argv do words[i - 1] = argv[i] end
  local parsed, message = options.parse(words, M.rows, "luatrace sweep")
  if not parsed then
    complain(message)
    return FAILED
  end
  if parsed.help then
    io.stdout:write(options.help(M.rows, M.usage))
    return io.stdout:flush() and 0 or FAILED
  end
  local reports
  reports, message = read_reports(parsed.reports)
  if not reports then
    complain(message)
    return FAILED
  end
  if parsed.merge then return merge(parsed.rest, reports) end
  return sweep(parsed, reports)
end

return M
