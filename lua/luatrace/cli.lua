--- The command: from argv to an exit code. Everything a user can get wrong is said here, on one line, with exit 125
-- (or 126 and 127 when the command cannot run, as shells have it).
--
--   os.exit(require("luatrace.cli").main { "--lua", "on.unlink(...)", "--", "gcc", "x.c" })

local ffi = require "ffi"
local detaching = require "luatrace.detaching"
local colour = require "luatrace.output.colour"
local engine = require "luatrace.engine"
local options = require "luatrace.options"
local outputs = require "luatrace.outputs"
local qualifiers = require "luatrace.qualifiers"
local script = require "luatrace.script"
local session_module = require "luatrace.session"
local sys = require "luatrace.sys"

local M = {}

M.version = "0.1.0"

local FAILED, CANNOT_EXECUTE, NOT_FOUND, TIMED_OUT, EXPECTATION_FAILED = 125, 126, 127, 124, 123

local function complain(message)
  io.stderr:write("luatrace: ", message, "\n")
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

--- Where a command is, as execvp would look; nil, message, exit code.
local function find_command(name, path)
  if name == "" then return nil, "the command is an empty word", NOT_FOUND end
  if name:find("/", 1, true) then
    local kind = sys.file_kind(name)
    if not kind then return nil, ("cannot run %s: no such file"):format(name), NOT_FOUND end
    if kind == "dir" then return nil, ("cannot run %s: it is a directory"):format(name), CANNOT_EXECUTE end
    if not sys.executable(name) then
      return nil, ("cannot run %s: not executable (chmod +x?)"):format(name), CANNOT_EXECUTE
    end
    return name
  end
  local seen
  for dir in ((path or "/usr/local/bin:/usr/bin:/bin") .. ":"):gmatch("([^:]*):") do
    local file = (dir == "" and "." or dir) .. "/" .. name
    local kind = sys.file_kind(file)
    if kind and kind ~= "dir" then
      if sys.executable(file) then return file end
      seen = file
    end
  end
  if seen then return nil, ("cannot run %s: %s is not executable"):format(name, seen), CANNOT_EXECUTE end
  return nil, ("cannot run %s: not found in PATH"):format(name), NOT_FOUND
end

--- The program's environment with -E applied; nil when there is nothing to change.
local function environment(changes)
  if not changes then return nil end
  local env = sys.environ()
  for _, change in ipairs(changes) do
    local name, value = change:match("^([^=]+)=(.*)$")
    name = name or change
    for i = #env, 1, -1 do
      if env[i]:sub(1, #name + 1) == name .. "=" then table.remove(env, i) end
    end
    if value then env[#env + 1] = change end
  end
  return env
end

local launch_advice = {
  seize = function(name)
    if name == "EPERM" then
      return "this process may not trace: a container without CAP_SYS_PTRACE, a seccomp policy, or a tracer around us"
    end
  end,
  user = function(name)
    return ({ ENOENT = "there is no such user", EPERM = "only root can become another user" })[name]
  end,
  no_new_privs = function() return "no_new_privs was refused: try --trap=ptrace" end,
  filter = function() return "the seccomp filter was refused: try --trap=ptrace" end,
  listener = function(name)
    if name == "EBUSY" then return "a process that luatrace runs under has one, and a tree can have no second" end
  end,
}

local steps = { fork = "cannot start a process", seize = "cannot trace the program", cwd = "cannot change directory",
  user = "cannot become the user", fds = "cannot set up descriptors", no_new_privs = "cannot set up the filter",
  filter = "cannot install the filter", listener = "cannot have the listener that --trap=notify needs",
  exec = "cannot run the program" }

local function launch_failure(step, message, name, program)
  local advice = launch_advice[step] and launch_advice[step](name)
  local about = step == "cwd" and program.cwd or step == "user" and program.user or step == "exec" and program.file
  return ("%s%s: %s%s"):format(steps[step] or "cannot start the program", about and " " .. about or "", message,
    advice and " (" .. advice .. ")" or "")
end

local function version()
  local f = engine.features(true)
  local function yes(value) return value ~= 0 and "yes" or "no" end
  local yama = f.yama_scope < 0 and "none" or tostring(f.yama_scope)
  return table.concat({
    "luatrace " .. M.version,
    ("kernel %s: PTRACE_GET_SYSCALL_INFO %s, PTRACE_SET_SYSCALL_INFO %s, process_vm_readv %s"):format(
      ffi.string(f.release), yes(f.get_syscall_info), yes(f.set_syscall_info), yes(f.process_vm)),
    ("  seccomp filter %s, user notification %s (wait-killable %s, sync wake-up %s)"):format(yes(f.seccomp_filter),
      f.notify_error > 0 and "no: " .. select(3, engine.failure(-f.notify_error)) or yes(f.seccomp_notify),
      yes(f.notify_wait_killable), yes(f.notify_sync_wakeup)),
    ("  filters need no_new_privs: %s, Yama ptrace_scope: %s, 32-bit programs: %s"):format(
      yes(f.unprivileged_needs_nnp), yama, yes(f.arch_i386)),
  }, "\n") .. "\n"
end

local kernel_options = {
  set_syscall_info = { "no_set_syscall_info", true },
  get_syscall_info = { "no_get_syscall_info", true },
  process_vm = { "memory_path", 1 },
  proc_mem = { "memory_path", 2 },
  notify = { "no_notify", true },
}

local function engine_options(parsed)
  local result = {}
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

local function pids_of(list)
  local pids = {}
  for _, text in ipairs(list) do
    for word in text:gmatch("[^,%s]+") do
      local pid = tonumber(word)
      if not pid or pid < 1 or pid % 1 ~= 0 then return nil, ("-p takes process ids, not %q"):format(word) end
      pids[#pids + 1] = pid
    end
  end
  return pids
end

local function attach_failure(pid, message, name)
  if name == "ESRCH" then return ("cannot attach to %d: there is no such process"):format(pid) end
  if name == "EPERM" then
    return ("cannot attach to %d: not permitted (another user's process, one that is traced already, Yama's " ..
      "kernel.yama.ptrace_scope, or a container without CAP_SYS_PTRACE)"):format(pid)
  end
  return ("cannot attach to %d: %s"):format(pid, message)
end

--- Only a script that runs its programs itself needs no command, and that is known when it has been read.
local function no_command(job)
  return job.file and ("no command: luatrace %s -- COMMAND"):format(job.file)
    or "no command: luatrace [SCRIPT.lua] -- COMMAND (luatrace --help tells more)"
end

--- Builds what a run needs from the command line; nil, exit code after a complaint.
local function prepare(parsed)
  local file, args, command, message = split(parsed)
  if message then return nil, FAILED, message end
  if #command == 0 and not parsed.attach and not parsed.explain and not parsed.code and
    not (file and sys.file_kind(file)) then
    return nil, FAILED, no_command { file = file }
  end
  if #command > 0 and parsed.attach then
    return nil, FAILED, "either attach with -p or run a command, not both"
  end
  if parsed.kill_on_exit and parsed.attach then
    return nil, FAILED, "--kill-on-exit is not supported with -p: a process that was attached to outlives luatrace"
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
local function prepare_rules(parsed, registry)
  local q, message = qualifiers.parse(parsed.expressions or {})
  if not q then return nil, message end
  local ok
  ok, message = qualifiers.add_rules(q, registry, { random = registry.random, any_errno = parsed.any_errno })
  if not ok then return nil, message end
  for _, text in ipairs(parsed.simulations or {}) do
    ok, message = require("luatrace.inject").from_option(registry.environment, registry, text)
    if not ok then return nil, message end
  end
  if not parsed.log_decisions and not parsed.replay_decisions then return nil end
  local decisions
  decisions, message = require("luatrace.decisions").open { log = parsed.log_decisions,
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
  if session.attached then return 0 end
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
  if has_more then
    complain "--stuck -p looks once and lets go: give it SECONDS to have a script or output besides"
    return FAILED
  end
  local pids, message = pids_of(parsed.attach)
  if not pids then
    complain(message)
    return FAILED
  end
  local ok, why, name, pid = require("luatrace.stuck").once(pids, { palette = colour.choose(parsed.color, nil) })
  if not ok then
    complain(attach_failure(pid, why, name))
    return FAILED
  end
  return 0
end

--- Called through a link named strace, strace's defaults hold: children are not followed, no word is a script.
local function as_strace(parsed)
  parsed.called_as = "strace"
  if not parsed.follow then parsed.no_follow = true end
  parsed.separated = true
  parsed.interruptible = parsed.interruptible or (parsed.daemonize or parsed.daemonize_long) and "never_tstp" or
    parsed.output and not parsed.attach and "never" or "waiting"
end

--- Runs luatrace.
---@param argv string[] the words; [0], where it is given, is the name that we were called by
---@return integer exit code, boolean|nil has_script it may have left something open that lua_close closes
function M.main(argv)
  -- Most runs are short, and a stop leaves the compiled code anyway: compile only what is hot indeed (measured on
  -- python3, git and tar: a fifth faster than with LuaJIT's default of 56).
  jit.opt.start("hotloop=2000")
  -- A program of that name is run as `luatrace -- sweep`.
  if argv[1] == "sweep" and (argv[0] or ""):match("[^/]*$") ~= "strace" then
    return require("luatrace.sweep.command").main(argv)
  end
  local parsed, message = options.parse(argv)
  if not parsed then
    complain(message)
    return FAILED
  end
  if (argv[0] or ""):match("[^/]*$") == "strace" then as_strace(parsed) end
  if parsed.called_as == "strace" then parsed.any_errno = true end
  if parsed.help then
    io.stdout:write(options.help())
    return io.stdout:flush() and 0 or FAILED
  end
  if parsed.version then
    io.stdout:write(version())
    return io.stdout:flush() and 0 or FAILED
  end
  if parsed.simulations and parsed.simulations[1] == "help" then
    io.stdout:write(require("luatrace.inject").help())
    return io.stdout:flush() and 0 or FAILED
  end
  local job, code, why = prepare(parsed)
  if not job then
    complain(why)
    return code
  end
  local core_options, wrong = engine_options(parsed)
  if not core_options then
    complain(wrong)
    return FAILED
  end
  local seed_given = parsed.seed
  parsed.seed = parsed.seed or sys.random_seed()

  if parsed.report then require("luatrace.expect").outcomes = {} end
  if parsed.update_golden then require("luatrace.expect.golden").update = true end
  local registry, script_message, kind_of_failure = load_script(parsed, job)
  if not registry and kind_of_failure == "EXPECT" then
    io.stderr:write(script_message, "\n")
    report(parsed, {})
    return EXPECTATION_FAILED
  elseif not registry then
    complain(script_message)
    if kind_of_failure == "UNTRACEABLE" then report(parsed, { skipped = script_message }) end
    return FAILED
  end
  local decisions, rules_message = prepare_rules(parsed, registry)
  if rules_message then
    complain(rules_message)
    return FAILED
  end
  local is_scripted = job.file ~= nil or parsed.code ~= nil or parsed.simulations ~= nil
  local observers, output_message = outputs.choose(parsed, is_scripted, traces_by_rule(registry))
  if not observers then
    complain(output_message)
    return FAILED
  end
  if parsed.stuck == true and parsed.attach then return look_once(parsed, is_scripted or #observers > 0) end

  if #job.command == 0 and not parsed.attach and not parsed.explain then
    -- Tests that run their programs themselves, and have done so.
    if registry.runs_itself then return report(parsed, {}) and 0 or FAILED end
    complain(no_command(job))
    return FAILED
  end
  local watcher = registry.expectations and require("luatrace.expect").observer(registry)
  table.insert(observers, watcher)

  local program
  if #job.command > 0 then
    local found, not_found, its_code = find_command(job.command[1], os.getenv("PATH"))
    if not found then
      complain(not_found)
      return its_code
    end
    program = { file = found, argv = job.command, env = environment(parsed.env), cwd = parsed.cwd, user = parsed.user }
  end

  local daemonize, refused = daemonize_of(parsed)
  if refused then
    complain(refused)
    return FAILED
  end
  local ok, session = pcall(session_module.new, { registry = registry, observers = observers, seed = parsed.seed,
    trap = parsed.trap, no_follow = parsed.no_follow, daemons = parsed.daemons, timeout = parsed.timeout,
    on_error = parsed.on_error, features = parsed.explain and engine.features(true) or nil,
    attach = parsed.attach ~= nil, engine_options = core_options,
    text_options = outputs.text_options(parsed),
    decisions = decisions, io_uring = parsed.io_uring, hide_vdso = parsed.hide_vdso, quiet = parsed.quiet,
    detach_on_exec = parsed.detach_on, syscall_limit = parsed.syscall_limit, daemonize = daemonize,
    debug = parsed.debug })
  if not ok then
    complain(tostring(session))
    return FAILED
  end
  if parsed.explain then
    io.stdout:write(table.concat(session.plan:explain(), "\n"), "\n")
    return io.stdout:flush() and 0 or FAILED
  end
  local how = parsed.interruptible or daemonize and "never_tstp"
  session.tracer:catch_signals(signal_dispositions[how])
  if how == "waiting" then session.on_interrupt = detaching.on_interrupt end
  if parsed.stuck then watch_stuck(session, parsed) end

  if parsed.attach then
    local pids, bad = pids_of(parsed.attach)
    if not pids then
      complain(bad)
      return FAILED
    end
    for _, pid in ipairs(pids) do
      local attached, failure_message, name = session:attach(pid)
      if not attached then
        complain(attach_failure(pid, failure_message, name))
        session.tracer:close()
        return FAILED
      end
    end
  else
    local started, failure_message, name, step = session:spawn(program)
    if not started then
      local not_started = launch_failure(step, failure_message, name, program)
      complain(not_started)
      if step == "seize" then report(parsed, { skipped = not_started }) end
      return FAILED
    end
  end

  -- src/main.c has stopped the collector. A short run never comes to its first collection.
  collectgarbage("setpause", 400)
  collectgarbage("restart", -1)
  local run = session:loop()
  local launch_errno, step, launch_message = session.launch_errno, session.launch_step, session.launch_message
  if launch_errno then
    complain(launch_failure(step, launch_message, launch_errno, program))
    return step == "exec" and (launch_errno == "ENOENT" and NOT_FOUND or CANNOT_EXECUTE) or FAILED
  end
  if session.error_message then
    complain(session.error_message)
    if not seed_given and registry.random_used then
      complain(("the seed of this run was --seed=%d"):format(parsed.seed))
    end
  end
  local went_astray = decisions and decisions:close()
  if went_astray then complain(went_astray) end
  if decisions and decisions.failed then
    complain(("the decisions could not be written: %s"):format(decisions.failed))
    return FAILED
  end
  for _, output in ipairs(observers) do
    if output.failed then
      complain(("the trace could not be written: %s"):format(output.failed))
      return FAILED
    end
  end
  local failed = watcher and not session.error_message and
    require("luatrace.expect").conclude(registry, watcher, run)
  if not report(parsed, { command = table.concat(job.command, " "), time = run.time }) then return FAILED end
  local has_script = job.file ~= nil or parsed.code ~= nil
  if failed and not session.exit_code and not run.timed_out then return EXPECTATION_FAILED, has_script end
  return exit_code(session, run), has_script
end

return M
