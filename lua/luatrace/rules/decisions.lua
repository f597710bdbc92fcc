--- The log of what rules decided, and the same again: --log-decisions FILE, --replay-decisions FILE.
--
-- One line a decision: which rule, which call of which thread, and what was done, by tabs:
--
--   # luatrace decisions 1
--   1	0.1	0	write	17	ENOSPC	fail("write", { "ENOSPC", "EIO" }, { prob = 0.01 }) at t.lua:3
--
-- that is the rule's number, the process's place in the tree, the thread's place in the process, the call, how many
-- such calls the rule had been asked about in that thread, and what exactly it did. These say the same call again in
-- another run, as far as each thread goes the same way; pids and times do not come in. The same script and the same
-- command line must go with it: a line that names another rule is refused.

local M = {}

local FIRST_LINE = "# luatrace decisions 1"

---@class luatrace.Decisions
---@field replays boolean
local Decisions = {}
Decisions.__index = Decisions

local escapes = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\n"] = "\\n" }

local function escape(text) return (tostring(text):gsub("[\\\t\n]", escapes)) end

local function unescape(text)
  return (text:gsub("\\(.)", function(char) return ({ t = "\t", n = "\n" })[char] or char end))
end

local function fields_of(line)
  local fields = {}
  for field in (line .. "\t"):gmatch("([^\t]*)\t") do fields[#fields + 1] = unescape(field) end
  return fields
end

local function read_log(path)
  local file, message = io.open(path, "r")
  if not file then return nil, "cannot read the decisions: " .. message end
  local first = file:read "*l"
  if first ~= FIRST_LINE then
    file:close()
    return nil, ("%s is no log of decisions (its first line is not %q)"):format(path, FIRST_LINE)
  end
  local wanted, number, count = {}, 1, 0
  for line in file:lines() do
    number = number + 1
    if line:sub(1, 1) ~= "#" and line ~= "" then
      local fields = fields_of(line)
      if #fields ~= 7 or not tonumber(fields[1]) then
        file:close()
        return nil, ("%s:%d: a decision has seven fields separated by tabs"):format(path, number)
      end
      wanted[table.concat(fields, "\t", 1, 5)] = { value = fields[6], title = fields[7], line = number }
      count = count + 1
    end
  end
  file:close()
  return wanted, nil, count
end

--- Opens a log to write, one to replay, or both.
---@param options { log: string?, replay: string? }
---@return luatrace.Decisions|nil, string? message
function M.open(options)
  local self = setmetatable({ replays = options.replay ~= nil, path = options.replay, reached = 0 }, Decisions)
  if options.replay then
    local message
    self.wanted, message, self.count = read_log(options.replay)
    if not self.wanted then return nil, message end
  end
  if options.log then
    local file, message = io.open(options.log, "we")
    if not file then return nil, "cannot write the decisions: " .. message end
    self.file = file
    file:write(FIRST_LINE, "\n")
  end
  return self
end

--- Are the rules those that the log was written with?
---@param list luatrace.Rule[]
---@return true|nil ok, string? message
function Decisions:check(list)
  for address, decision in pairs(self.wanted or {}) do
    local rule = list[tonumber(address:match("^%d+"))]
    if not rule or rule.title ~= decision.title then
      return nil, ("%s:%d: it was written with the rule %s, and %s: replay it with the same script and options")
        :format(self.path, decision.line, decision.title,
        rule and "that place has " .. rule.title or "there is none in its place")
    end
  end
  return true
end

--- Names a call for a rule: the same in another run that goes the same way.
---@return string
function Decisions:address(rule, call) -- luacheck: no self
  local thread = call.thread
  local by_name = rule.seen[thread]
  if not by_name then
    by_name = {}
    rule.seen[thread] = by_name
  end
  local name = call.row.name
  by_name[name] = (by_name[name] or 0) + 1
  return table.concat({ rule.index, thread.process.number, thread.ordinal, name, by_name[name] }, "\t")
end

---@param address string
---@return string|nil value
function Decisions:recall(address)
  local decision = self.wanted[address]
  return decision and decision.value
end

--- A rule has fired.
function Decisions:note(rule, _, address, drawn)
  self.reached = self.reached + 1
  if not self.file then return end
  if drawn == true then drawn = "yes" end
  if type(drawn) == "table" then drawn = table.concat(drawn, " ") end
  local ok, message = self.file:write(address, "\t", escape(drawn), "\t", escape(rule.title), "\n")
  -- At once: the run may be killed by what was decided.
  if ok then ok, message = self.file:flush() end
  if not ok and not self.failed then self.failed = message end
end

--- The run has ended: what was not reached is said.
---@return string|nil message
function Decisions:close()
  if self.file then self.file:close() end
  if self.replays and self.reached < self.count then
    return ("%d of the %d decisions in %s were not reached: this run went another way"):format(
      self.count - self.reached, self.count, self.path)
  end
end

return M
