--- Output format "human" (--format=human): sentences that a system administrator reads.
--
--   process   cat: ran /usr/bin/cat: cat /etc/hostname
--   file      cat: opened /etc/hostname for reading -> fd 3
--   file      cat: read 3 bytes from /etc/hostname (fd 3)
--   file    ! cat: could not open /etc/shadow for reading: Permission denied (reads passwords)
--   process   cat: exited with status 1
--
-- The category comes first, then with --mark=danger a mark and behind the sentence why, then whose call it is. What is
-- said of each call is data: sentences/. --group-by=file says at the end what happened to each file, --group-by=process
-- what each process did, equal things once, with how often and how much in all:
--
--   /tmp/w/notes
--     admin: opened /tmp/w/notes for reading -> fd 3
--     admin: read 29.3 KiB from /tmp/w/notes (fd 3) (3 times)
--
-- Times, stacks, filters and destinations are those of the text format, on which this one stands.

local bit = require "bit"
local about = require "luatrace.output.about"
local constants = require "luatrace.constants"
local formats = require "luatrace.sentences.formats"
local sentences = require "luatrace.sentences"
local status = require "luatrace.output.status"
local text = require "luatrace.output.text"

local rawget, rawset = rawget, rawset

local M = {}

---@class luatrace.HumanOutput: luatrace.TextOutput
local Human = setmetatable({}, { __index = text.class })
Human.__index = Human

---@param options table as text.open's; group_by: "file"|"process"|nil; palette; normal
---@return luatrace.HumanOutput|nil, string? message
function M.open(options)
  -- Whose a line is, is said in its own way.
  options.style.pid = "never"
  local self, message = text.open(options)
  if not self then return nil, message end
  self.staged, self.palette, self.normal = true, options.palette, options.normal
  self.marks, self.separate = options.mark ~= nil, options.separate
  -- Read when it may have changed, by exec or prctl; a process that has ended has none in /proc any more.
  self.comms = setmetatable({}, { __mode = "k" })
  if options.group_by then
    self.group_by, self.groups, self.order = options.group_by, {}, {}
  end
  return setmetatable(self, Human)
end

-- --- lines ----------------------------------------------------------------------------------------------------------

local WIDTH = 8 -- of a category

local function paint(self, colour, words)
  local p = self.palette
  return p and p[colour] .. words .. p.off or words
end

--- "cat", "cat[4711]": the number where there is more than one.
local function who_of(self, thread)
  local process = thread.process
  local comm = self.comms[process]
  if not comm then
    comm = formats.show_path(process.comm or (process.exe or "?"):match("[^/]*$"))
    self.comms[process] = comm
  end
  if self.normal or self.separate then return comm end
  if self.alive > 1 then self.had_many = true end
  return self.had_many and ("%s[%d]"):format(comm, thread.tid) or comm
end

--- The beginning of a line: time, category, mark, whose.
local function begin(self, thread, time, category, danger)
  self:leader(thread.tid, time)
  local out = self.out
  out:put(paint(self, "category", category .. (" "):rep(WIDTH - #category)), " ")
  if self.marks then out:put(danger and paint(self, "bad", "!") or " ", " ") end
  out:put(paint(self, "who", who_of(self, thread) .. ":"), " ")
end

local function end_line(self)
  self.out:put("\n")
  self.sink:ended(self.out)
end

--- Lines of what is no call.
local function put_event(self, thread, time, category, words, colour)
  if self.group_by then
    if self.group_by == "process" then self:add_to_group(thread, nil, { text = words, category = category }) end
    return
  end
  begin(self, thread, time, category)
  self.out:put(paint(self, colour, words))
  end_line(self)
end

-- --- groups ---------------------------------------------------------------------------------------------------------

local function group(self, key, title)
  local found = self.groups[key]
  if not found then
    found = { title = title, entries = {} }
    self.groups[key] = found
    self.order[#self.order + 1] = key
  end
  return found
end

--- One more entry: an equal one before it is counted, not repeated.
function Human:add_to_group(thread, file, said, danger)
  local key, title
  local who = who_of(self, thread)
  if self.group_by == "process" then
    local process = thread.process
    key = process
    local name = self.normal and self.normal:pid(process.pid) or "process " .. process.pid
    local argv = process.argv
    title = ("%s (%s)%s"):format(self.comms[process], name, argv and #argv > 0 and ": " ..
      formats.show_words(argv) or "")
    who = nil
  else
    key = file or false
    title = file and formats.show_path(file) or "(no file)"
  end
  local found = group(self, key, title)
  if self.group_by == "process" then found.title = title end
  local entries = found.entries
  for i = #entries, math.max(1, #entries - 7), -1 do
    local entry = entries[i]
    if entry.text == said.text and entry.who == who and entry.danger == danger then
      entry.count = entry.count + 1
      if said.size then entry.size = entry.size + said.size end
      return
    end
  end
  entries[#entries + 1] = { text = said.text, size = said.size, who = who, danger = danger, count = 1,
    category = said.category, failed = said.failed }
end

local function put_groups(self)
  local out, order = self.out, self.order
  if self.group_by == "file" then
    table.sort(order, function(a, b)
      if not a or not b then return a and not b or false end
      return a < b
    end)
  end
  for i, key in ipairs(order) do
    local found = self.groups[key]
    if i > 1 then out:put("\n") end
    out:put(paint(self, "head", found.title), "\n")
    for _, entry in ipairs(found.entries) do
      local words = sentences.text(entry)
      out:put("  ", self.marks and (entry.danger and paint(self, "bad", "! ") or "  ") or "",
        entry.who and paint(self, "who", entry.who .. ": ") or "", entry.failed and paint(self, "failure", words) or
          words)
      if entry.count > 1 then out:put((" (%d times)"):format(entry.count)) end
      if entry.danger then out:put(paint(self, "bad", " (" .. entry.danger .. ")")) end
      out:put("\n")
    end
  end
end

-- --- calls ----------------------------------------------------------------------------------------------------------

function Human:entry(call, want_exit)
  if self:is_hidden(call) then return end
  sentences.begin(call)
  if self.group_by == "file" then rawset(call, "about_file", about.file(call) or false) end
  if not want_exit then self:exit(call, true) end
end

function Human:exec(_, process) self.comms[process] = nil end

function Human:exit(call, unseen)
  if call.row.name == "prctl" then self.comms[call.process] = nil end
  if rawget(call, "untold") then return end
  if not unseen then formats.learn(call) end
  if not status.is_shown(self.style.status, call) then return end
  -- exit and exit_group: the end itself is told.
  if unseen and call.row.name:find("^exit") then return end
  local said = sentences.of(call, unseen and not rawget(call, "answered") and "unwatched" or nil)
  said.failed = call.failed
  local danger = rawget(call, "danger")
  if self.group_by then return self:add_to_group(call.thread, rawget(call, "about_file"), said, danger) end
  begin(self, call.thread, call.entered, said.category, danger)
  local out, words = self.out, sentences.text(said)
  out:put(said.failed and paint(self, "failure", words) or words)
  if rawget(call, "tampered") then out:put(" (injected)") end
  if danger then out:put(paint(self, "bad", " (" .. danger .. ")")) end
  if self.style.duration and rawget(call, "left") then
    out:put(paint(self, "comment", " [" .. formats.seconds((call.left - call.entered) / 1e9) .. "]"))
  end
  out:put("\n")
  if self.style.stack and call.phase == "exit" then require("luatrace.output.below").stack(self.out, call) end
  self.sink:ended(out)
end

--- A call that its thread did not survive.
function Human:cut_short(call, _, time)
  if not call or rawget(call, "untold") or not rawget(call, "said") or call.row.name:find("^exit") then return end
  local wanted = self.style.status
  if wanted and not wanted.unfinished then return end
  local said = sentences.of(call, "unfinished")
  said.failed = true
  local danger = rawget(call, "danger")
  if self.group_by then return self:add_to_group(call.thread, rawget(call, "about_file"), said, danger) end
  begin(self, call.thread, time, said.category, danger)
  self.out:put(paint(self, "failure", sentences.text(said)))
  end_line(self)
end

-- --- everything else ------------------------------------------------------------------------------------------------

function Human:signal(stop, signal)
  local shown = self.style.signals
  if shown and not shown[signal.name] then return end
  local info, from = signal.info, nil
  local USER, TKILL, QUEUE = 0, -6, -1
  if info.code == USER or info.code == TKILL or info.code == QUEUE or signal.name == "SIGCHLD" then
    local pid = info.pid
    from = self.normal and self.normal:pid(pid) or tostring(pid)
    from = (signal.name == "SIGCHLD" and " of child " or " from process ") .. from
    if pid == signal.process.pid then from = " from itself" end
  elseif signal.name == "SIGSEGV" or signal.name == "SIGBUS" then
    from = " for touching " .. (info.addr == 0 and "address 0" or self.normal and "an address" or
      formats.hex(info.addr))
  end
  put_event(self, signal.thread, tonumber(stop.time), "signal", "got " .. signal.name .. (from or ""), "signal")
end

function Human:group(stop, thread)
  local name = constants.signals.by_value[stop.signal] or tostring(stop.signal)
  local shown = self.style.signals
  if shown and not shown[name] then return end
  put_event(self, thread, tonumber(stop.time), "signal", "was stopped by " .. name, "signal")
end

function Human:exit_process(stop, thread, call)
  local time = tonumber(stop.time)
  self:cut_short(call, thread.tid, time)
  if not (self.style.quiet and self.style.quiet.exit) then
    local low = bit.band(stop.status, 0x7f)
    local code = bit.band(bit.rshift(stop.status, 8), 0xff)
    local what = thread.tid == thread.process.pid and "" or "thread "
    if low ~= 0 then
      put_event(self, thread, time, "process", what .. "was killed by " ..
        (constants.signals.by_value[low] or "signal " .. low) .. (bit.band(stop.status, 0x80) ~= 0 and
        ", core dumped" or ""), "bad")
    else
      put_event(self, thread, time, "process", ("%sexited with status %d"):format(what, code),
        code == 0 and "good" or "bad")
    end
  end
  self.alive = self.alive - 1
end

function Human:superseded(stop, thread, call)
  self:cut_short(call, thread.tid, tonumber(stop.time))
  put_event(self, thread, tonumber(stop.time), "process", "gave way to the program that another thread has run",
    "signal")
  self.alive = self.alive - 1
end

--- What has waited long enough to be written.
function Human:show() self.sink:flush(self.out) end

function Human:finish()
  if self.group_by then put_groups(self) end
  self.sink:close(self.out)
  self.failed = self.failed or self.sink.failed
end

return M
