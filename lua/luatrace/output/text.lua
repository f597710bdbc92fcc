--- Output format "text": one line a call, as strace writes it.
--
--   openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
--   [pid  4711] read(3,  <unfinished ...>
--   [pid  4711] <... read resumed>"root:x:0:0"..., 4096) = 1042
--   --- SIGCHLD {si_signo=SIGCHLD, ...} ---
--   +++ exited with 0 +++

local buffer = require "string.buffer"
local bit = require "bit"
local constants = require "luatrace.constants"
local decode = require "luatrace.decode"

local M = {}

---@class luatrace.TextOutput
local Text = {}
Text.__index = Text

local RESULT_COLUMN = 40

--- Opens the output: a file, or standard error.
---@param path string|nil
---@return luatrace.TextOutput|nil, string? message
function M.open(path)
  local file = io.stderr
  if path then
    local message
    file, message = io.open(path, "we")
    if not file then return nil, ("cannot write to %s"):format(message) end
    file:setvbuf("full", 65536)
  end
  return setmetatable({ file = file, calls = "all", wants_exit = true, out = buffer.new(), threads = 0 }, Text)
end

function Text:write(text)
  local ok, message = self.file:write(text)
  if not ok and not self.failed then self.failed = message end
end

--- The line that is begun but not ended belongs to another thread: it goes on later.
function Text:interrupt()
  local open = self.open
  if not open then return end
  self.open = nil
  self:write(open.line .. " <unfinished ...>\n")
  open.unfinished = true
end

function Text:prefix(tid)
  if not self.many then return "" end
  return ("[pid %5d] "):format(tid)
end

function Text:entry(call, want_exit)
  self:interrupt()
  local out = self.out
  out:reset()
  out:put(self:prefix(call.thread.tid), call.row.name, "(")
  decode.text_args(call, out, "entry")
  local state = { line = out:tostring() }
  rawset(call, "text", state)
  if want_exit then
    self.open = state
    return
  end
  self:finish_line(call, state, "?")
end

function Text:finish_line(call, state, result)
  local out = self.out
  out:reset()
  if state.unfinished then
    out:put(self:prefix(call.thread.tid), "<... ", call.row.name, " resumed>")
  else
    out:put(state.line)
  end
  decode.text_args(call, out, "exit")
  out:put(")")
  local length = #out
  if length < RESULT_COLUMN then out:put((" "):rep(RESULT_COLUMN - length - 1)) end
  out:put(" = ")
  if result then
    out:put(result)
  else
    decode.text_result(call, out)
  end
  if rawget(call, "tampered") then out:put(" (INJECTED)") end
  out:put("\n")
  self:write(out:tostring())
end

function Text:exit(call)
  local state = rawget(call, "text")
  if self.open == state then
    self.open = nil
  else
    self:interrupt()
  end
  self:finish_line(call, state)
end

function Text:birth() self.many = true end

function Text:signal(stop, signal)
  self:interrupt()
  self:write(("%s--- %s {si_signo=%s, si_code=%d} ---\n"):format(self:prefix(stop.tid), signal.name, signal.name,
    signal.info.code))
end

function Text:group(stop, _)
  self:interrupt()
  self:write(("%s--- stopped by %s ---\n"):format(self:prefix(stop.tid), constants.signals.by_value[stop.signal]))
end

function Text:exec() end

function Text:exit_process(stop, thread, call)
  if self.open then
    if call and self.open == rawget(call, "text") then
      self.open = nil
      local line = rawget(call, "text").line .. ")"
      self:write(("%s%s= ?\n"):format(line, (" "):rep(math.max(1, RESULT_COLUMN - #line))))
    else
      self:interrupt()
    end
  end
  local status = stop.status
  local low = bit.band(status, 0x7f)
  local prefix = self:prefix(thread.tid)
  if low == 0 then
    self:write(("%s+++ exited with %d +++\n"):format(prefix, bit.band(bit.rshift(status, 8), 0xff)))
  else
    self:write(("%s+++ killed by %s%s +++\n"):format(prefix, constants.signals.by_value[low] or low,
      bit.band(status, 0x80) ~= 0 and " (core dumped)" or ""))
  end
end

function Text:superseded(stop, thread)
  self:interrupt()
  self:write(("%s+++ superseded by execve in pid %d +++\n"):format(self:prefix(thread.tid), tonumber(stop.message)))
end

function Text:finish()
  local ok, message = self.file:flush()
  if not ok then self.failed = self.failed or message end
end

return M
