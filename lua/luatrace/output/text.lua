--- Output format "text": one line a call, as strace writes it.
--
--   openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
--   [pid  4711] read(3,  <unfinished ...>
--   [pid  4711] <... read resumed>"root:x:0:0"..., 4096) = 1042
--   --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=4711, ...} ---
--   +++ exited with 0 +++
--
-- What a line shows beside the call comes from `style`, which the command line fills: see M.open.

local bit = require "bit"
local buffer = require "string.buffer"
local constants = require "luatrace.constants"
local decode = require "luatrace.decode"
local pids = require "luatrace.tracee.pids"
local quote = require "luatrace.text.quote"
local sink = require "luatrace.output.sink"
local siginfo = require "luatrace.structs.siginfo"
local writing = require("luatrace.text.style").now
local status = require "luatrace.output.status"
local sys = require "luatrace.sys"
local times = require "luatrace.output.times"
local types = require "luatrace.types"

local rawget, rawset, tonumber = rawget, rawset, tonumber

local M = {}

--- Loaded by the first line that has something below it.
local function below() return require "luatrace.output.below" end

---@class luatrace.TextStyle
---@field column integer|nil where "=" starts (default 40)
---@field stamp { format: "time"|"unix", digits: 0|3|6|9 }|nil -t
---@field relative 0|3|6|9|nil -r: digits of the seconds' fraction
---@field duration 0|3|6|9|nil -T
---@field pointer boolean|nil -i
---@field number boolean|nil -n
---@field stack boolean|nil -k
---@field pid "always"|"many"|"never"|nil when the pid starts the line
---@field status table<string, boolean>|nil shown results: successful, failed, unfinished, unavailable, detached
---@field raw table<string, boolean>|nil calls whose arguments are printed undecoded
---@field signals table<string, boolean>|nil signals that are shown; nil: all
---@field quiet table<string, boolean>|nil messages that are left out: attach, exit, path-resolution, personality
---@field only table|nil -P, -e trace-fds=: a filter with a method wants(call)
---@field dump_read table<integer, true>|nil -e read=
---@field dump_write table<integer, true>|nil -e write=

---@class luatrace.TextOutput
local Text = {}
Text.__index = Text

--- Opens the output.
---@param options table path, separate, append: see sink.lua; calls: a set; style: luatrace.TextStyle; name: ours
---@return luatrace.TextOutput|nil, string? message
function M.open(options)
  local self = setmetatable({ style = options.style, calls = options.calls or "all", wants_exit = true,
    out = buffer.new(), alive = 0, announced = 0, name = options.name or "luatrace",
    column = options.style.column or 40,
  }, Text)
  local target, message = options.sink, nil
  if not target then target, message = sink.open(options) end
  if not target then return nil, message end
  self.sink = target
  -- With filters on the result a line is known to be wanted only when the call has returned; with a file a process
  -- nobody else's line can come in between.
  self.staged = options.style.status ~= nil or options.separate or options.sink ~= nil
  self.draft = buffer.new()
  self.numbers = {}
  -- The tracee whose line has no end yet: 0 for none.
  self.printed = { open = 0 }
  return self
end

--- Styles under which a line is what the core's printer prints.
local printable = { column = true, pid = true, quiet = true, signals = true }
local printable_options = { string_limit = true }

--- When nobody else looks at the calls: those that are simple are printed by the core (printed.lua).
---@param tracer luatrace.Tracer
---@param text_options table
---@return boolean|nil does it?
function Text:let_core_print(tracer, text_options)
  if self.staged or self.sink.at_once or writing.strings ~= "none" or writing.constants ~= "abbrev" then return end
  for key in pairs(self.style) do
    if not printable[key] then return end
  end
  for key in pairs(text_options) do
    if not printable_options[key] then return end
  end
  local pid = self.style.pid
  if pid ~= "always" and pid ~= "never" then return end
  self.core = require("luatrace.output.printed").start(tracer, { show_tid = pid == "always", column = self.column,
    limit = text_options.string_limit or 32 })
  self.printed = self.core and self.core.output or self.printed
  -- What is left for Lua is rare and of many kinds: compiled, it leaves the compiled code again at once, and each piece
  -- costs several mprotect.
  if self.core then require("jit.opt").start("hotloop=20000", "hotexit=250") end
  return self.core ~= nil
end

--- What the core has printed stands before what comes now.
function Text:take_printed()
  local printed, out = self.printed, self.out
  if not self.core or printed.length == 0 then return end
  local length = tonumber(printed.length)
  out:putcdata(printed.bytes, length)
  self.sink:begin(out, length - tonumber(printed.line))
  printed.line, printed.length = printed.line - length, 0
  self.sink:many(out)
end

--- What has waited long enough to be written.
function Text:show()
  self:take_printed()
  self.sink:show(self.out)
end

-- --- the beginning of a line ----------------------------------------------------------------------------------------

--- Ends whatever line is open.
function Text:break_line()
  if self.printed.open == 0 then return end
  self.out:put(" <unfinished ...>\n")
  self.sink:ended(self.out)
  self.printed.open = 0
end

--- Ends whatever line is open, and begins one for this thread.
function Text:leader(tid, time)
  self:take_printed()
  local out = self.out
  self:break_line()
  self.sink:select(tid, out)
  self.sink:begin(out)
  local pid = self.style.pid
  if pid == "always" then
    out:put(("%-5d"):format(tid), self:comm_of(tid), " ")
  elseif pid ~= "never" and self.alive > 1 then
    out:put(("[pid %5d"):format(tid), self:comm_of(tid), "] ")
  end
  if self.style.stamp or self.style.relative then
    self.times = self.times or times.new(self.style)
    self.times:put(out, time)
  end
  -- The last call of this thread, also on lines about signals and ends.
  if self.style.number then out:put(("[%4d] "):format(self.numbers[tid] or 0)) end
end

--- -i on lines that are no calls: where the thread is, if it is anywhere.
function Text:put_pointer(tid)
  if not self.style.pointer then return end
  local where = sys.read_file(("/proc/%d/syscall"):format(tid))
  local ip = where and where:match("0x(%x+)%s*$")
  self.out:put("[", ip and ("0"):rep(16 - #ip) .. ip or ("?"):rep(16), "] ")
end

--- -Y: the command behind an id, as "<bash>".
function Text:comm_of(tid)
  local decoded = self.style.pids
  local name = decoded and decoded.comm and pids.comm(tid)
  return name and "<" .. quote.path(name) .. ">" or ""
end

local X32_BIT = 0x40000000

-- --- calls ----------------------------------------------------------------------------------------------------------

local function put_raw_args(call, out)
  local row, raw = call.row, call.raw
  for i = 1, #row do
    if i > 1 then out:put(", ") end
    out:put(types.hex(raw[i]))
  end
end

local function is_hidden(self, call)
  local style = self.style
  if rawget(call, "untold") then return true end
  if style.only and not style.only:wants(call) then
    rawset(call, "untold", true)
    return true
  end
end

--- The call as far as it is known at its entry.
local function put_entry(call, out, style)
  if style.pointer then
    out:put(("[%016x] "):format(tonumber(call.stop.ip)))
  end
  out:put(call.row.name, "(")
  if style.raw and style.raw[call.row.name] then
    put_raw_args(call, out)
  else
    decode.text_args(call, out, "entry")
  end
end

function Text:begin(call)
  if self.style.number then self.numbers[call.thread.tid] = call.row.nr end
  self:leader(call.thread.tid, call.entered)
  put_entry(call, self.out, self.style)
end

local modes = { [32] = "32 bit", [64] = "64 bit" }

--- A process has changed between 64 and 32 bits.
function Text:note_mode(process, mode, tid, time)
  local parent = process.parent
  local before = self.modes[process.pid] or parent and self.modes[parent.pid] or modes[64]
  if mode ~= before and not (self.style.quiet and self.style.quiet.personality) then
    self:leader(tid, time)
    self.out:put(("[ Process PID=%d runs in %s mode. ]\n"):format(process.pid, mode))
    self.sink:ended(self.out)
  end
  self.modes[process.pid] = mode
end

local ELF_64, EM_X86_64 = 2, 62

--- The new image's mode is said behind its execve.
function Text:exec(_, process)
  if self.style.quiet and self.style.quiet.personality then return end
  local head = process.exe and sys.read_head(("/proc/%d/exe"):format(process.pid), 20)
  if not head or #head < 20 then return end
  local mode = head:byte(5) == ELF_64 and modes[64] or head:byte(19) == EM_X86_64 and "x32" or modes[32]
  if mode ~= modes[64] or self.modes then
    self.modes, self.new_modes = self.modes or {}, self.new_modes or {}
    self.new_modes[process.pid] = mode
  end
end

--- Before or behind other lines of the process, whatever comes first.
function Text:put_new_mode(process, tid, time)
  local mode = self.new_modes and self.new_modes[process.pid]
  if not mode then return end
  self.new_modes[process.pid] = nil
  self:note_mode(process, mode, tid, time)
end

--- The call is entered. Returns whether the core's printer may do the rest.
---@return boolean|nil
function Text:entry(call, want_exit)
  if call.arch.bits ~= 64 or self.modes then
    self.modes = self.modes or {}
    local mode = call.row.nr >= X32_BIT and "x32" or modes[call.arch.bits]
    self:note_mode(call.process, mode, call.thread.tid, call.entered)
  end
  if is_hidden(self, call) then return end
  if self.staged or rawget(call, "undecided") then
    -- Printed as a whole at the exit; what is known only now is taken down now.
    local out = self.draft
    out:reset()
    put_entry(call, out, self.style)
    rawset(call, "entry_text", out:tostring())
    if not want_exit then self:exit(call) end
    return
  end
  self:begin(call)
  if want_exit then
    self.printed.open = call.tracee
    self.sink:partial(self.out)
  else
    self:finish_line(call)
  end
  if not self.core or not self.core:learn(call) or not want_exit then return end
  self.printed.line = self.printed.length - self.sink:column(self.out)
  return true
end

function Text:finish_line(call)
  local out, style = self.out, self.style
  if not (style.raw and style.raw[call.row.name]) then decode.text_args(call, out, "exit") end
  out:put(") ")
  local length = self.sink:column(out)
  if length < self.column then out:put((" "):rep(self.column - length)) end
  out:put("= ")
  if style.raw and style.raw[call.row.name] and not call.failed and call.raw_ret then
    out:put(call.raw_ret == 0 and "0" or types.hex(call.raw_ret))
  elseif call.phase == "exit" or rawget(call, "answered") then
    decode.text_result(call, out)
  else
    out:put("?")
  end
  if rawget(call, "tampered_args") then
    out:put(rawget(call, "tampered") and " (INJECTED: args, retval)" or " (INJECTED: args)")
  elseif rawget(call, "tampered") then
    out:put(" (INJECTED)")
  end
  if rawget(call, "delayed") then out:put(" (DELAYED)") end
  if style.duration and rawget(call, "left") then
    times.took(out, call.left - call.entered, style.duration)
  end
  if rawget(call, "danger") then out:put(" /* danger: ", call.danger, " */") end
  out:put("\n")
  if style.stack and call.phase == "exit" then below().stack(self.out, call) end
  if rawget(call, "read_ranges") then below().footprint(self.out, call) end
  if style.dump_read or style.dump_write then below().dump(self.out, call, style) end
  self.sink:ended(out)
end

function Text:exit(call)
  if rawget(call, "untold") then return end
  if rawget(call, "entry_text") then
    if not status.is_shown(self.style.status, call) then return end
    if self.style.number then self.numbers[call.thread.tid] = call.row.nr end
    self:leader(call.thread.tid, call.entered)
    self.out:put(rawget(call, "entry_text"))
    self:finish_line(call)
    if self.new_modes then self:put_new_mode(call.process, call.thread.tid, call.entered) end
    return
  end
  self:resume_line(call, call.thread.tid, call.left or call.entered)
  self:finish_line(call)
  if self.new_modes then self:put_new_mode(call.process, call.thread.tid, call.left or call.entered) end
  if self.core then self.core:learn(call) end
end

--- Goes on with the line that the call's entry began, or with a new one. Returns whether it was the same.
function Text:resume_line(call, tid, time)
  if self.printed.open == call.tracee then
    self:take_printed()
    self.printed.open = 0
    return true
  end
  self:leader(tid, time)
  self.out:put("<... ", call.row.name, " resumed>")
  return false
end

-- --- everything else ------------------------------------------------------------------------------------------------

function Text:birth(stop)
  if stop.parent == 0 and self.announced > 0 then
    self.announced = self.announced - 1 -- counted already
    return
  end
  self.alive = self.alive + 1
  if stop.parent ~= 0 then self:say_attached(stop.tid, 1) end
end

--- A process is ours from now on, with so many threads, which will come to their first stops one by one.
---@param tid integer
---@param threads integer
function Text:attached(tid, threads)
  self.announced, self.alive = self.announced + threads, self.alive + threads
  self:say_attached(tid, threads)
end

function Text:say_attached(tid, threads)
  if self.style.quiet and self.style.quiet.attach then return end
  self.sink:message(M.attach_message(self.name, tid, threads))
end

--- What strace says of it.
---@return string
function M.attach_message(name, tid, threads)
  return ("%s: Process %d attached%s\n"):format(name, tid, threads > 1 and (" with %d threads"):format(threads) or "")
end

--- PTRACE_GETSIGINFO gives a 64-bit tracer the 64-bit layout, whatever the tracee is.
local tracers_view = { arch = { name = "x86_64", pointer_size = 8, bits = 64 } }

function Text:signal(stop, signal)
  local shown = self.style.signals
  if shown and not shown[signal.name] then return end
  self:leader(stop.tid, tonumber(stop.time))
  local out = self.out
  self:put_pointer(stop.tid)
  out:put("--- ", signal.name, " ")
  local view = tracers_view
  if self.style.pids then
    view = setmetatable({ process = signal.process, text_options = signal.session.text_options },
      { __index = tracers_view })
  end
  siginfo.text(out, view, signal.info.bytes)
  out:put(" ---\n")
  if self.style.stack then
    below().stack(self.out, { stack = function() return signal.session.tracer:stack(stop.tracee) end })
  end
  self.sink:ended(self.out)
end

function Text:group(stop, _)
  local name = constants.signals.by_value[stop.signal] or tostring(stop.signal)
  local shown = self.style.signals
  if shown and not shown[name] then return end
  self:leader(stop.tid, tonumber(stop.time))
  self:put_pointer(stop.tid)
  self.out:put("--- stopped by ", name, " ---\n")
  self.sink:ended(self.out)
end

--- A call that its thread did not survive.
function Text:cut_short(call, tid, time)
  if not call or rawget(call, "untold") then return end
  if rawget(call, "undecided") and not rawget(call, "selected") then return end
  local same_line = true
  if rawget(call, "entry_text") then
    local wanted = self.style.status
    if wanted and not wanted.unfinished then return end
    if self.style.number then self.numbers[tid] = call.row.nr end
    self:leader(tid, time)
    self.out:put(rawget(call, "entry_text") or "")
  else
    same_line = self:resume_line(call, tid, time)
  end
  local out = self.out
  -- exit and exit_group were never meant to return; of any other call it is said that it did not.
  if same_line and not call.row.name:find("^exit") then out:put(" <unfinished ...>") end
  out:put(") ")
  local length = self.sink:column(out)
  if length < self.column then out:put((" "):rep(self.column - length)) end
  out:put("= ?\n")
  self.sink:ended(out)
end

function Text:exit_process(stop, thread, call)
  local time = tonumber(stop.time)
  if self.new_modes then self:put_new_mode(thread.process, thread.tid, time) end
  self:cut_short(call, thread.tid, time)
  local ended = stop.status
  local low = bit.band(ended, 0x7f)
  local killer = low ~= 0 and (constants.signals.by_value[low] or tostring(low)) or nil
  local shown = self.style.signals
  if not (self.style.quiet and self.style.quiet.exit) and not (killer and shown and not shown[killer]) then
    self:leader(thread.tid, time)
    self:put_pointer(thread.tid)
    if killer then
      self.out:put("+++ killed by ", killer, bit.band(ended, 0x80) ~= 0 and " (core dumped)" or "", " +++\n")
    else
      self.out:put(("+++ exited with %d +++\n"):format(bit.band(bit.rshift(ended, 8), 0xff)))
    end
    self.sink:ended(self.out)
  end
  self.alive = self.alive - 1
end

function Text:superseded(stop, thread, call)
  self:cut_short(call, thread.tid, tonumber(stop.time))
  self:leader(thread.tid, tonumber(stop.time))
  self:put_pointer(thread.tid)
  self.out:put(("+++ superseded by execve in pid %d +++\n"):format(tonumber(stop.message)))
  self.sink:ended(self.out)
  self.alive = self.alive - 1
end

--- What other formats for people stand on: human.lua.
Text.is_hidden = is_hidden
M.class = Text

--- A thread goes on without us: the line that it has begun, if that is the open one, says so.
function Text:detached(thread, call)
  self:take_printed()
  local out = self.out
  local draft = call and rawget(call, "entry_text")
  local wanted = self.style.status
  if draft and (not wanted or wanted.detached) then
    self:leader(thread.tid, call.entered)
    out:put(draft)
    self.printed.open = call.tracee
  elseif not call or self.printed.open ~= call.tracee then
    self:break_line()
  end
  self.sink:partial(out)
  if not (self.style.quiet and self.style.quiet.attach) then
    self.sink:message(("%s: Process %d detached\n"):format(self.name, thread.tid))
  end
  if call and self.printed.open == call.tracee then
    out:put(" <detached ...>\n")
    self.sink:ended(out)
    self.printed.open = 0
  end
  self.alive = self.alive - 1
end

function Text:finish()
  self:take_printed()
  if self.printed.open ~= 0 then self.out:put(" <unfinished ...>\n") end
  if self.trailer then self.out:put(self.trailer) end
  self.sink:close(self.out)
  self.failed = self.failed or self.sink.failed
end

return M
