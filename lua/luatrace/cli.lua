--- The command: from argv to an exit code. Everything a user can get wrong is said here, on one line, with exit 125
-- (or 126 and 127 when the command cannot run, as shells have it).
--
--   os.exit(require("luatrace.cli").main { "--lua", "on.unlink(...)", "--", "gcc", "x.c" })

local detaching = require "luatrace.session.detaching"
local colour = require "luatrace.output.colour"
local engine = require "luatrace.engine"
local options = require "luatrace.cli.options"
local outputs = require "luatrace.cli.outputs"
local program = require "luatrace.cli.program"
local qualifiers = require "luatrace.cli.qualifiers"
local script = require "luatrace.script"
local session_module = require "luatrace.session"
local sys = require "luatrace.sys"

local M = {}

local FAILED, TIMED_OUT, EXPECTATION_FAILED = 125, 124, 123

local function complain(message)
  io.stderr:write("luatrace: ", message, "\n")
end

--- How a run ends before its time: thrown, and caught by `main`, which complains.
local Quit = {}

---@param message string|nil nil: it has been said
---@param code integer|nil exit code, default 125
local function quit(message, code) error(setmetatable({ complaint = message, code = code or FAILED }, Quit), 0) end

--- The value, or the end of the run: nil, message, exit code.
local function must(value, message, code)
  if not value then quit(message, code) end
  return value
end

--- Is `name` a script by its looks? Anything else that comes first is the command, as with strace.
local function is_script(name) return name:find("%.lua$") ~= nil end

--- Splits what follows the options into script, its arguments, and the command.
local function split(parsed)
  local rest = parsed.rest
  local has_code = parsed.code or parsed.script
  if parsed.separated or has_code and not (rest[1] and is_script(rest[1])) then
    return parsed.script, {}, rest
  end
  if rest[1] and is_script(rest[1]) then
    if has_code then
      return nil, nil, nil, "give the script once: with --lua, with --script or as the first word"
    end
    local args, command = {}, {}
    local i = 2
    while rest[i] and rest[i] ~= "--" do
      args[#args + 1] = rest[i]
      i = i + 1
    end
    for k = i + 1, #rest do command[#command + 1] = rest[k] end
    return rest[1], args, command
  end
  return parsed.script, {}, rest
end

local kernel_options = {
  set_syscall_info = { "no_set_syscall_info", true },
  get_syscall_info = { "no_get_syscall_info", true },
  process_vm = { "memory_path", 1 },
  proc_mem = { "memory_path", 2 },
  notify = { "no_notify", true },
}

local function engine_options(parsed)
  local result = { workers = parsed.workers, gate = parsed.gate }
  for word in (parsed.kernel_without or ""):gmatch("[^,]+") do
    local option = kernel_options[word]
    if not option then
      return nil, ("--kernel-without takes set_syscall_info, get_syscall_info, process_vm, proc_mem, notify; not %q")
        :format(word)
    end
    result[option[1]] = option[2]
  end
  return result
end

--- Ends luatrace by the signal that ended the program, so that shells see what they would have seen without us.
local function die_by(signal)
  io.stdout:flush()
  sys.die_by_signal(signal)
end

--- Only a script that runs its programs itself needs no command, and that is known when it has been read.
local function no_command(job)
  return job.file and ("no command: luatrace %s -- COMMAND"):format(job.file)
    or "no command: luatrace [SCRIPT.lua] -- COMMAND (luatrace --help tells more)"
end

--- Script, arguments and command; nil, message.
local function prepare(parsed)
  local file, args, command, message = split(parsed)
  if message then return nil, message end
  if #command == 0 and not parsed.attach and not parsed.explain and not parsed.code and
    not (file and sys.file_kind(file)) then
    return nil, no_command { file = file }
  end
  if parsed.kill_on_exit and parsed.attach then
    return nil, "--kill-on-exit is not supported with -p: a process that was attached to outlives luatrace"
  end
  return { file = file, args = args, command = command }
end

local function load_script(parsed, job)
  local registry, env = script.new { seed = parsed.seed, args = job.args, name = job.file,
    any_errno = parsed.any_errno }
  if job.file then
    local kind = sys.file_kind(job.file)
    if not kind then return nil, ("cannot read the script %s: no such file"):format(job.file) end
    if kind == "dir" then return nil, ("cannot read the script %s: it is a directory"):format(job.file) end
    local ok, message, why = script.run({ file = job.file }, env)
    if not ok then return nil, message, why end
  end
  for _, code in ipairs(parsed.code or {}) do
    local ok, message, why = script.run({ code = code }, env)
    if not ok then return nil, message, why end
  end
  return registry
end

--- What the command line adds to the script's rules, and the log of what they decide.
---@return luatrace.Decisions|nil decisions, string? message
local function prepare_rules(parsed, q, registry)
  local ok, message = qualifiers.add_rules(q, registry, { random = registry.random, any_errno = parsed.any_errno })
  if not ok then return nil, message end
  for _, text in ipairs(parsed.simulations or {}) do
    ok, message = require("luatrace.inject").from_option(registry.environment, registry, text)
    if not ok then return nil, message end
  end
  if not parsed.log_decisions and not parsed.replay_decisions then return nil end
  local decisions
  decisions, message = require("luatrace.rules.decisions").open { log = parsed.log_decisions,
    replay = parsed.replay_decisions }
  if not decisions then return nil, message end
  ok, message = decisions:check(registry.rules)
  if not ok then return nil, message end
  return decisions
end

local function traces_by_rule(registry)
  for _, rule in ipairs(registry.rules or {}) do
    if rule.verb == "trace" and rule.at ~= "-e" then return true end
  end
end

local function exit_code(session, run)
  if session.exit_code then return session.exit_code end
  -- With -D the program is our caller's child: its end is nothing that we could pass on.
  if session.options.daemonize then return 0 end
  if session.die_by then die_by(session.die_by) end
  if run.timed_out then return TIMED_OUT end
  if not session.launched then return 0 end
  if run.signal then die_by(run.signal) end
  return run.status or 0
end

--- --report: what became of the expectations, for other programs.
local function report(parsed, about)
  if not parsed.report then return true end
  local written, message = parsed.report(require("luatrace.expect").outcomes, about)
  if not written then complain(("the report could not be written: %s"):format(message)) end
  return written
end

--- -I: what the core does with signals to us (Tracer:catch_signals).
local signal_dispositions = { anywhere = 1, waiting = 4, never = 2, never_tstp = 3 }

local daemonize_words = { grandchild = 1, pgroup = 2, pgrp = 2, session = 3 }

--- -D: nil, or the core's enum daemonize.
local function daemonize_of(parsed)
  local level = parsed.daemonize or parsed.daemonize_long and 1
  if parsed.daemonize_value then level = daemonize_words[parsed.daemonize_value] end
  if not level then return nil end
  if parsed.attach then return nil, "-D is for programs that are started: not with -p" end
  if level > 3 then return nil, "-D may be given three times at the most" end
  -- The listener for notifications comes from a child of ours.
  if parsed.trap == "notify" then return nil, "--trap=notify is not supported with -D: use --trap=stop" end
  if parsed.trap ~= "ptrace" then parsed.trap = "stop" end
  return level
end

--- --stuck: from now on somebody looks whether the program gets on.
local function watch_stuck(session, parsed)
  local DEFAULT = 5
  require("luatrace.stuck").watch(session, { seconds = parsed.stuck == true and DEFAULT or parsed.stuck,
    palette = colour.choose(parsed.color, nil),
    -- Who was attached to is let go when all has been said.
    reported = parsed.attach and function() session.finished = true end or nil })
end

--- --stuck -p PID: at once.
local function look_once(parsed, has_more)
  if has_more then quit "--stuck -p looks once and lets go: give it SECONDS to have a script or output besides" end
  local pids = must(program.pids(parsed.attach))
  local ok, why, name, pid = require("luatrace.stuck").once(pids, { palette = colour.choose(parsed.color, nil) })
  if not ok then quit(program.attach_failure(pid, why, name)) end
  return 0
end

--- Called through a link named strace, strace's defaults hold: children are not followed, no word is a script.
local function as_strace(parsed)
  parsed.called_as, parsed.any_errno = "strace", true
  if not parsed.follow then parsed.no_follow = true end
  parsed.separated = true
  parsed.interruptible = parsed.interruptible or (parsed.daemonize or parsed.daemonize_long) and "never_tstp" or
    parsed.output and not parsed.attach and "never" or "waiting"
end

--- What only tells something, and runs nothing: its exit code.
local function tell(parsed)
  local text
  if parsed.help then
    text = options.help()
  elseif parsed.version then
    text = require("luatrace.cli.version").text()
  elseif parsed.simulations and parsed.simulations[1] == "help" then
    text = require("luatrace.inject").help()
  end
  if not text then return nil end
  io.stdout:write(text)
  return io.stdout:flush() and 0 or FAILED
end

--- The script with all its rules; a script that failed has said so in the report, too.
local function read_script(parsed, job)
  if parsed.report then require("luatrace.expect").outcomes = {} end
  if parsed.update_golden then require("luatrace.expect.golden").update = true end
  local registry, message, kind_of_failure = load_script(parsed, job)
  if registry then return registry end
  if kind_of_failure == "EXPECT" then
    io.stderr:write(message, "\n")
    report(parsed, {})
    quit(nil, EXPECTATION_FAILED)
  end
  if kind_of_failure == "UNTRACEABLE" then report(parsed, { skipped = message }) end
  quit(message)
end

--- A session for what the command line asks.
local function open_session(parsed, run)
  local daemonize, refused = daemonize_of(parsed)
  if refused then quit(refused) end
  local ok, session = pcall(session_module.new, { registry = run.registry, observers = run.observers,
    seed = parsed.seed, trap = parsed.trap, no_follow = parsed.no_follow, daemons = parsed.daemons,
    timeout = parsed.timeout, on_error = parsed.on_error,
    features = parsed.explain and engine.features { notify = true } or nil, attach = parsed.attach ~= nil,
    engine_options = run.core_options, text_options = outputs.text_options(parsed, run.qualifiers),
    decisions = run.decisions, io_uring = parsed.io_uring, hide_vdso = parsed.hide_vdso, quiet = parsed.quiet,
    detach_on_exec = parsed.detach_on, syscall_limit = parsed.syscall_limit, daemonize = daemonize,
    debug = parsed.debug })
  if not ok then quit(tostring(session)) end
  return session
end

--- How long after --timeout a handler may still run.
local LAST_SECONDS = 2

--- Ctrl-C and the like, the end of the time, and who looks whether the program gets on.
local function arm(session, parsed)
  if session.deadline then session.tracer:end_at(session.deadline + LAST_SECONDS * 1e9, 124) end
  local how = parsed.interruptible or session.options.daemonize and "never_tstp"
  session.tracer:catch_signals(signal_dispositions[how])
  if how == "waiting" then session.on_interrupt = detaching.on_interrupt end
  if parsed.stuck then watch_stuck(session, parsed) end
end

local function start(session, parsed, to_run)
  local started, message, name, step = session:spawn(to_run)
  if started then
    -- With -D the tracer is the one who comes to it.
    if session.options.daemonize then session:tell_attached(session.root_pid) end
    return
  end
  session.tracer:close()
  local why = program.launch_failure(step, message, name, to_run)
  if step == "seize" then report(parsed, { skipped = why }) end
  quit(why)
end

local function attach(session, parsed)
  local pids = must(program.pids(parsed.attach))
  local failures, ours = {}, 0
  for _, pid in ipairs(pids) do
    local attached, message, name = session:attach(pid)
    if attached then
      ours = ours + 1
      session:tell_attached(pid)
    else
      failures[#failures + 1] = program.attach_failure(pid, message, name)
    end
  end
  -- Who names several has them; of the others it is said why not.
  if ours == 0 then
    session.tracer:close()
    for i = 1, #failures - 1 do complain(failures[i]) end
    quit(failures[#failures])
  end
  for _, failure in ipairs(failures) do complain(failure) end
end

--- Attaches to what runs, and starts the program.
local function begin(session, parsed, to_run)
  if parsed.attach then attach(session, parsed) end
  if to_run then start(session, parsed, to_run) end
end

--- What went wrong on the way, now that all is over.
local function settle(session, parsed, run)
  local launch_errno, step = session.launch_errno, session.launch_step
  if launch_errno then
    quit(program.launch_failure(step, session.launch_message, launch_errno, run.program),
      step == "exec" and (launch_errno == "ENOENT" and program.NOT_FOUND or program.CANNOT_EXECUTE) or FAILED)
  end
  if session.error_message then
    complain(session.error_message)
    if not run.seed_given and run.registry.random_used then
      complain(("the seed of this run was --seed=%d"):format(parsed.seed))
    end
  end
  local decisions = run.decisions
  local went_astray = decisions and decisions:close()
  if went_astray then complain(went_astray) end
  if decisions and decisions.failed then
    quit(("the decisions could not be written: %s"):format(decisions.failed))
  end
  for _, output in ipairs(run.observers) do
    if output.failed then quit(("the trace could not be written: %s"):format(output.failed)) end
  end
end

--- What a script without a command has asked for beside its own runs: a slip, with which its tests would all pass.
---@return string|nil message
local function about_no_program(registry)
  local expectation, handler = (registry.expectations or {})[1], registry.on[1]
  local idle = expectation or handler
  if not idle then return nil end
  local what = idle.title or idle.rule and idle.rule.title or ("%s[%q]"):format(idle.verb, idle.pattern)
  return ("%s: %s is about no program: there is no command, and a run of the script's own has what its function " ..
    "asks for: run { script = function(t) t.%s... end }"):format(idle.where, what, idle.verb)
end

--- A run of a command, of what was attached to, or both.
---@return integer exit_code, boolean|nil may_leave_open see main
local function run_command(parsed)
  local job = must(prepare(parsed))
  local run = { core_options = must(engine_options(parsed)), seed_given = parsed.seed ~= nil }
  parsed.seed = parsed.seed or sys.random_seed()
  run.registry = read_script(parsed, job)
  run.qualifiers = must(qualifiers.parse(parsed.expressions or {}))
  local message
  run.decisions, message = prepare_rules(parsed, run.qualifiers, run.registry)
  if message then quit(message) end
  local is_scripted = job.file ~= nil or parsed.code ~= nil or parsed.simulations ~= nil
  run.observers = must(outputs.choose(parsed, run.qualifiers, is_scripted, traces_by_rule(run.registry)))
  if parsed.stuck == true and parsed.attach then return look_once(parsed, is_scripted or #run.observers > 0) end

  if #job.command == 0 and not parsed.attach and not parsed.explain then
    -- Tests that run their programs themselves, and have done so.
    if run.registry.runs_itself then
      local idle = about_no_program(run.registry)
      if idle then quit(idle) end
      return report(parsed, {}) and 0 or FAILED
    end
    quit(no_command(job))
  end
  local watcher = run.registry.expectations and require("luatrace.expect").observer(run.registry)
  table.insert(run.observers, watcher)
  if #job.command > 0 then run.program = must(program.find(job.command, parsed)) end

  local session = open_session(parsed, run)
  if parsed.explain then
    io.stdout:write(table.concat(session.plan:explain(), "\n"), "\n")
    return io.stdout:flush() and 0 or FAILED
  end
  arm(session, parsed)
  begin(session, parsed, run.program)
  -- src/main.c has stopped the collector. A short run never comes to its first collection.
  collectgarbage("setpause", 400)
  collectgarbage("restart", -1)
  local result = session:loop()
  settle(session, parsed, run)
  local failed = watcher and not session.error_message and
    require("luatrace.expect").conclude(run.registry, watcher, result)
  if not report(parsed, { command = table.concat(job.command, " "), time = result.time }) then return FAILED end
  if failed and not session.exit_code and not result.timed_out then
    return EXPECTATION_FAILED, run.registry.may_leave_open
  end
  return exit_code(session, result), run.registry.may_leave_open
end

--- Runs luatrace.
---@param argv string[] the words; [0], where it is given, is the name that we were called by
---@return integer exit code, boolean|nil may_leave_open the script may have left open what lua_close closes
function M.main(argv)
  local called = (argv[0] or ""):match("[^/]*$")
  -- A program of that name is run as `luatrace -- sweep`.
  if argv[1] == "sweep" and called ~= "strace" then return require("luatrace.sweep.command").main(argv) end
  local parsed, message = options.parse(argv)
  if not parsed then
    complain(message)
    return FAILED
  end
  if called == "strace" then as_strace(parsed) end
  local told = tell(parsed)
  if told then return told end
  local ok, code, may_leave_open = pcall(run_command, parsed)
  if ok then return code, may_leave_open end
  if getmetatable(code) ~= Quit then error(code, 0) end
  if code.complaint then complain(code.complaint) end
  return code.code
end

return M
