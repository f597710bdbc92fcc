--- What a run under a fault means, judged against clean runs alone.
--
--   local verdict, details = verdict.judge(clean, result, point)
--
-- tolerated     it ended as ever and its files and output are as ever
-- clean-fail    it said so (another exit status), and every file that existed is its old or its new self
-- SILENT-LOSS   it ended as ever, but its files or its output are not
-- DESTROYED     a file that existed is neither old nor new, or is gone without a complete replacement
-- HANG          it did not end, or did nothing but try again
-- CRASH         a process died of a signal that programs get for mistakes
-- LEFTOVER      it left files behind that were not there before and that a clean run does not leave so: temporary ones;
--               or, when it failed, its output unfinished under the output's own name, which others may take for whole
-- not-reached   the run took another way: nothing was injected

local faults = require "luatrace.sweep.faults"
local fixture = require "luatrace.sweep.fixture"

local M = {}

--- All verdicts, in the order of tables; those that are findings.
M.order = { "tolerated", "clean-fail", "SILENT-LOSS", "DESTROYED", "HANG", "CRASH", "LEFTOVER", "not-reached" }
M.finding = { ["SILENT-LOSS"] = true, DESTROYED = true, HANG = true, CRASH = true, LEFTOVER = true }

--- How far one content is the beginning of another.
local function common(a, b)
  local low, high = 0, math.min(#a, #b)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if a:sub(1, middle) == b:sub(1, middle) then low = middle else high = middle - 1 end
  end
  return low
end

--- What a file is now, told by what it was or would be.
local function damage(before, after, clean)
  local text = fixture.text(after)
  local now = after and after.content
  if not now or now == "" then return text end
  if not now:find("[^%z]") then return text .. ", all of them zero" end
  for _, other in ipairs { { clean, "new" }, { before, "old" } } do
    local content = other[1] and other[1].content
    local same = content and common(now, content) or 0
    if same > 0 and same == #now then return ("%s, the beginning of the %s content"):format(text, other[2]) end
    if same > 0 and content ~= now then
      return ("%s, like the %s content up to byte %d"):format(text, other[2], same)
    end
  end
  return text
end

local function detail(path, what, before, after, clean)
  return { path = path, what = what, before = before and fixture.text(before), now = damage(before, after, clean),
    clean = clean and fixture.text(clean) }
end

--- Is this entry somewhere among these, under any name?
local function is_kept(entry, state)
  if entry.kind == "dir" then return false end
  for _, other in pairs(state) do
    if fixture.same(entry, other) then return true end
  end
  return false
end

--- Is this path judged? Not what differs between clean runs; no new file when not even their names are the same.
local function is_judged(clean, path)
  for _, pattern in ipairs(clean.ignore) do
    if path:find(pattern) then return false end
  end
  return not clean.unjudged[path] and not (clean.names_vary and not clean.initial[path] and path ~= "<stdout>")
end

--- Everything that a clean run makes new is there, whole.
local function is_replaced(clean, state)
  local any = clean.names_vary or false
  for path, entry in pairs(clean.state) do
    if path ~= "<stdout>" and not clean.initial[path] and is_judged(clean, path) then
      if not fixture.same(entry, state[path]) then return false end
      any = true
    end
  end
  return any
end

--- Files that existed and are neither old nor new.
local function destroyed(clean, state)
  local list = {}
  for path, before in pairs(clean.initial) do
    local now, new = state[path], clean.state[path]
    if is_judged(clean, path) and not fixture.same(now, before) and not (now and fixture.same(now, new)) then
      local safe = false
      if not now then
        safe = is_kept(before, state) or not new and is_replaced(clean, state)
      end
      if not safe then list[#list + 1] = detail(path, now and "damaged" or "gone", before, now, new) end
    end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list
end

--- Files that a failed run has left: not there before, not (or not so) there after a clean run.
local function leftovers(clean, state)
  local list = {}
  for path, now in pairs(state) do
    if path ~= "<stdout>" and not clean.initial[path] and is_judged(clean, path) and
      not fixture.same(now, clean.state[path]) then
      list[#list + 1] = detail(path, clean.state[path] and "unfinished" or "left", nil, now, clean.state[path])
    end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list
end

--- Where a run that claims success differs from a clean one; and whether that is only more files.
local function losses(clean, state)
  local list, only_more = {}, true
  for _, change in ipairs(fixture.differences(clean.state, state)) do
    local path = change.path
    if is_judged(clean, path) then
      local before = clean.initial[path]
      if change.before then
        only_more = false
        local item = detail(path, change.mode and "permissions" or "differs", before, change.after, change.before)
        if change.mode then
          item.clean, item.now = ("mode %04o"):format(change.before.mode), ("mode %04o"):format(change.after.mode)
        end
        list[#list + 1] = item
      else
        if before then only_more = false end
        list[#list + 1] = detail(path, before and "still there" or "left", before, change.after)
      end
    end
  end
  return list, only_more
end

--- The result of --check put above what the files alone tell.
local function by_checker(as_ever, check)
  if check.ok then return as_ever and "tolerated" or "clean-fail", {} end
  return as_ever and "SILENT-LOSS" or "DESTROYED", { { path = "<check>", what = "check", now = check.text } }
end

---@param clean table status, signal, state, initial, unjudged, names_vary, ignore (patterns), crashed
---@param result table status, signal, timed_out, limit (seconds), livelock, crashed, state, reached, check?
---@param fault table
---@return string verdict, table[] details
function M.judge(clean, result, fault)
  if not result.reached then return "not-reached", {} end
  if result.timed_out or result.livelock then
    return "HANG", { { what = result.livelock and "livelock" or "timeout", seconds = result.limit } }
  end
  if result.crashed and result.crashed ~= clean.crashed then return "CRASH", { { what = result.crashed } } end
  local killed = fault.action == "kill" or fault.action == "kill-after"
  local as_ever = not killed and result.status == clean.status and result.signal == clean.signal
  if result.check then return by_checker(as_ever, result.check) end
  if as_ever then
    local list, only_more = losses(clean, result.state)
    -- What could not be removed because of the fault is not held against the program.
    if #list == 0 or only_more and faults.removes[result.call] then return "tolerated", {} end
    return only_more and "LEFTOVER" or "SILENT-LOSS", list
  end
  local list = destroyed(clean, result.state)
  if #list > 0 then return "DESTROYED", list end
  if killed then return "clean-fail", list end
  list = leftovers(clean, result.state)
  if #list > 0 and not faults.removes[result.call] then return "LEFTOVER", list end
  return "clean-fail", {}
end

return M
