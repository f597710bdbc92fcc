--- delay("connect", 0.5, where): this thread, and nobody else, waits so long. By default before the call;
-- `at = "exit"`: after it. Seconds, or "200ms", "50us"; { 0.1, 0.5 }: something between the two, by chance.

local duration = require "luatrace.text.duration"

local M = { outcome = "required", extra = { at = true }, placed = true, notify = true }

local function seconds_of(value)
  local seconds = duration.seconds(value)
  return seconds and seconds >= 0 and seconds or nil
end

function M.parse(outcome)
  local takes = "a time in seconds such as 0.5 or \"200ms\", or two of them"
  if type(outcome) == "table" then
    local from, to = seconds_of(outcome[1]), seconds_of(outcome[2])
    if not from or not to or to < from then return nil, takes end
    return { from, to }
  end
  local seconds = seconds_of(outcome)
  if not seconds then return nil, takes end
  return { seconds, seconds }
end

function M.draw(rule)
  local from, to = rule.value[1], rule.value[2]
  return from == to and from or from + rule.random() * (to - from)
end

function M.recall(text) return tonumber(text) end

function M.enter(_, call, seconds)
  rawset(call, call.phase == "entry" and "delayed" or "delayed_exit", true)
  call:sleep(seconds)
end
M.leave = M.enter

return M
