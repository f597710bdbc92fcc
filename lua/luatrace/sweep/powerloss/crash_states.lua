--- The directory states that a power loss may leave, likeliest first, each once.
--
--   for state in crash_states.each(record, { model = "ext4", budget = 500 }) do
--     print(state.name, state.family, #state.lost)      -- 12-without-7   omission   2
--   end
--
-- *Point* p is the moment when ops 1..p have returned; op p+1 may be on its way. Families, in the order of likeliness
-- (families of one tier take turns, and within each the first and last of every kind of call come first):
--
--   1  prefix     all that was done is there: what a killed process leaves          name: "12"
--      unsynced   nothing is there that need not be                                 "12-unsynced"
--      omission   one call is missing, at the last moment when it can               "12-without-7"
--      torn       a part of one write is there                                      "11-torn-12.1"
--      empty      names are there, and none of the data (zeros: but the sizes)      "12-empty", "12-zeros"
--   2  nameless   data is there, and none of the names that need not be             "12-nameless"
--      only       of what need not be there, one call is                            "12-only-7"
--      late       nothing after call j is there                                     "12-upto-5"
--      omission   at every other moment
--   3  pairs      two calls are missing                                             "12-without-7-9"
--   4  every      all there are, where there are few                                "12-set-5"
--   5  random     any                                                               "12-random-88"
--
-- Two states are one when their files and what the world had been told are the same.

local crash_models = require "luatrace.sweep.powerloss.crash_models"
local disk_module = require "luatrace.sweep.powerloss.disk"
local random = require "luatrace.random"
local sys = require "luatrace.sys"

local M = {}

local huge, min, max, floor = math.huge, math.min, math.max, math.floor
local yield, wrap = coroutine.yield, coroutine.wrap
local SECTOR = 512

---@class luatrace.CrashState
---@field name string tells it from all others of the record and model: see M.find
---@field family string
---@field point integer
---@field model string
---@field subject integer|nil the op that is missing, alone there, or torn
---@field lost table<integer, boolean> effects that are not there
---@field losses integer[] those, and the torn ones, in order
---@field torn table<integer, integer>|nil
---@field last integer effects 1..last had been issued
---@field tree luatrace.CrashTree
---@field space luatrace.CrashSpace

---@class luatrace.CrashSpace
---@field record luatrace.WriteRecord
---@field model string
---@field effects luatrace.Effect[]
---@field disk luatrace.Disk
local Space = {}
Space.__index = Space

--- What is common to all states of a record under a model.
---@param record luatrace.WriteRecord
---@param model string
---@return luatrace.CrashSpace
function M.space(record, model)
  local effects = crash_models.effects(record.log, model)
  local self = setmetatable({ record = record, model = model, effects = effects, ops = record.ops,
    disk = disk_module.new(record.log, effects, record.fixture), of_op = {}, upto = { [0] = 0 }, told = { [0] = 0 } },
    Space)
  for i, effect in ipairs(effects) do
    self.of_op[effect.op] = self.of_op[effect.op] or {}
    table.insert(self.of_op[effect.op], i)
  end
  for p, op in ipairs(self.ops) do
    local own = self.of_op[p]
    self.upto[p] = own and own[#own] or self.upto[p - 1]
    self.told[p] = self.told[p - 1] + ((op.kind == "announce" and #op.bytes > 0 or op.kind == "exit" or
      op.kind == "mark") and 1 or 0)
  end
  return self
end

--- What the world had been told at a point.
---@param point integer
---@return { stdout: string, stderr: string, socket: string, marks: string[], exit: integer|nil, signal: integer|nil }
function Space:announced(point)
  -- The same as just now, mostly.
  if self.last_told and self.last_told.count == self.told[point] then return self.last_told end
  local parts = { stdout = {}, stderr = {}, socket = {} }
  local told = { marks = {}, count = self.told[point] }
  for p = 1, point do
    local op = self.ops[p]
    if op.kind == "announce" then
      table.insert(parts[op.stream], op.bytes)
    elseif op.kind == "mark" then
      table.insert(told.marks, op.text)
    elseif op.kind == "exit" then
      told.exit, told.signal = op.status, op.signal
    end
  end
  for stream, list in pairs(parts) do told[stream] = table.concat(list) end
  self.last_told = told
  return told
end

--- The last point at which something of an op may be missing.
function Space:last_chance(op)
  local latest = 0
  for _, i in ipairs(self.of_op[op] or {}) do latest = max(latest, self.effects[i].durable) end
  return latest == huge and #self.ops or latest - 1
end

--- Points, the first and last of each kind of call before the many in between.
function Space:points()
  if self.ordered_points then return self.ordered_points end
  local kinds, rank, total = {}, {}, {}
  for p, op in ipairs(self.ops) do
    local kind = ("%s %s"):format(op.call, (op.path or ""):gsub("%x%x%x+", "#"):gsub("%d+", "#"))
    kinds[p] = kind
    total[kind] = (total[kind] or 0) + 1
    rank[p] = total[kind]
  end
  local list = { 0 }
  for p in ipairs(self.ops) do
    rank[p] = min(rank[p], total[kinds[p]] - rank[p] + 1)
    list[#list + 1] = p
  end
  rank[0] = 1
  table.sort(list, function(a, b)
    if rank[a] ~= rank[b] then return rank[a] < rank[b] end
    return a < b
  end)
  self.ordered_points = list
  return list
end

--- Offers a wish to whoever asks for states; what cannot be is turned into what can.
local function offer(self, name, family, point, last, lost, extra)
  local state = extra or {}
  state.name, state.family, state.point, state.last = name, family, point, last
  state.lost, state.losses = crash_models.close_over(self.effects, last, point, lost)
  yield(state)
end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

-- --- families -------------------------------------------------------------------------------------------------------

local families = {}

function families.prefix(self)
  for _, p in ipairs(self:points()) do offer(self, tostring(p), "prefix", p, self.upto[p], {}) end
end

function families.unsynced(self)
  for _, p in ipairs(self:points()) do
    offer(self, p .. "-unsynced", "unsynced", p, self.upto[p], crash_models.only(self.effects, self.upto[p], p, {}))
  end
end

local function omit(self, p, op)
  offer(self, ("%d-without-%d"):format(p, op), "omission", p, self.upto[p], set_of(self.of_op[op]), { subject = op })
end

function families.omission(self)
  for _, op in ipairs(self:points()) do
    local p = self.of_op[op] and self:last_chance(op)
    if p and p >= op then omit(self, p, op) end
  end
end

function families.omission_ever(self)
  for _, op in ipairs(self:points()) do
    if self.of_op[op] then
      for p = op + 1, self:last_chance(op) - 1 do omit(self, p, op) end
    end
  end
end

--- How much of one page's piece may be there: bytes at its front, or (negative) its end.
local function tears(self, effect)
  local list = {}
  if not crash_models.tears_sectors[self.model] or self.model == "ext4" and effect.grows then return list end
  local first = SECTOR - effect.from % SECTOR
  local length = #effect.bytes
  if length <= first then return list end
  local rest = (length - first) % SECTOR
  local last = rest == 0 and SECTOR or rest
  list[1] = first
  list[2] = -last
  if length - last > first then list[3] = length - last end
  return list
end

local function tear(self, p, op)
  local data = {}
  for _, i in ipairs(self.of_op[op]) do
    if self.effects[i].kind == "data" and self.effects[i].durable > p then data[#data + 1] = i end
  end
  local count, last = 0, max(self.upto[p], self.upto[op])
  local function torn_state(lost, torn)
    count = count + 1
    -- What needs all of the write is not there when only a part is.
    for i in pairs(torn or {}) do lost[i] = true end
    local losses
    lost, losses = crash_models.close_over(self.effects, last, p, lost)
    for i in pairs(torn or {}) do lost[i] = nil end
    yield { name = ("%d-torn-%d.%d"):format(p, op, count), family = "torn", point = p, last = last, lost = lost,
      losses = losses, torn = torn, subject = op }
  end
  local pages = #data
  if pages > 1 then
    local tried = {}
    for _, kept in ipairs { 1, floor(pages / 2), pages - 1 } do
      if not tried[kept] then
        tried[kept] = true
        local lost = {}
        for k = kept + 1, pages do lost[data[k]] = true end
        torn_state(lost)
      end
    end
    local lost = set_of(data)
    lost[data[pages]] = nil
    torn_state(lost)
  end
  for _, k in ipairs(pages > 1 and { 1, pages } or { 1 }) do
    local i = data[k]
    for _, part in ipairs(i and tears(self, self.effects[i]) or {}) do
      local lost = {}
      -- Pages are written in order, unless they are not: here the ones after the torn one are missing.
      for rest = k + 1, pages do lost[data[rest]] = true end
      torn_state(lost, { [i] = part })
    end
  end
end

function families.torn(self)
  for _, op in ipairs(self:points()) do
    if self.of_op[op] and self.ops[op].kind == "write" then
      tear(self, op - 1, op)
      local p = self:last_chance(op)
      if p > op then tear(self, p, op) end
    end
  end
end

function families.empty(self)
  for _, p in ipairs(self:points()) do
    local data, sizes = {}, {}
    for i = 1, self.upto[p] do
      local effect = self.effects[i]
      if effect.kind == "data" then
        data[i], sizes[i] = true, true
      elseif effect.kind == "size" and not effect.meta then
        sizes[i] = true
      end
    end
    offer(self, p .. "-empty", "empty", p, self.upto[p], sizes)
    if self.model == "posix" then offer(self, p .. "-zeros", "empty", p, self.upto[p], data) end
  end
end

function families.nameless(self)
  for _, p in ipairs(self:points()) do
    local lost = {}
    for i = 1, self.upto[p] do
      if self.effects[i].dir then lost[i] = true end
    end
    offer(self, p .. "-nameless", "nameless", p, self.upto[p], lost)
  end
end

function families.only(self)
  for _, op in ipairs(self:points()) do
    local p = self.of_op[op] and self:last_chance(op)
    if p and p >= op then
      local lost = crash_models.only(self.effects, self.upto[p], p, set_of(self.of_op[op]))
      offer(self, ("%d-only-%d"):format(p, op), "only", p, self.upto[p], lost, { subject = op })
    end
  end
end

function families.late(self)
  for _, p in ipairs(self:points()) do
    -- Only where the world was told something: elsewhere the prefix says the same.
    if p > 0 and self.told[p] > self.told[p - 1] then
      for j = p - 1, 0, -1 do
        if self.upto[j] < self.upto[p] then
          local lost, more = {}, false
          for i = self.upto[j] + 1, self.upto[p] do lost[i] = true end
          for i = 1, self.upto[p] do more = more or lost[i] and self.effects[i].durable > p end
          if more then offer(self, ("%d-upto-%d"):format(p, j), "late", p, self.upto[p], lost) end
        end
      end
    end
  end
end

function families.pairs(self)
  local points = self:points()
  for x = 1, #points do
    for y = x + 1, #points do
      local a, b = min(points[x], points[y]), max(points[x], points[y])
      if self.of_op[a] and self.of_op[b] then
        local p = min(self:last_chance(a), self:last_chance(b))
        if p >= b then
          local lost = set_of(self.of_op[a])
          for _, i in ipairs(self.of_op[b]) do lost[i] = true end
          offer(self, ("%d-without-%d-%d"):format(p, a, b), "pairs", p, self.upto[p], lost)
        end
      end
    end
  end
end

--- With so few effects that may be missing, all their combinations are tried.
local FEW_OPEN = 8

function families.every(self)
  for _, p in ipairs(self:points()) do
    local open = {}
    for i = 1, self.upto[p] do
      if self.effects[i].durable > p then open[#open + 1] = i end
    end
    if #open <= FEW_OPEN then
      for bits = 1, 2 ^ #open - 1 do
        local lost = {}
        for k, i in ipairs(open) do
          if floor(bits / 2 ^ (k - 1)) % 2 == 1 then lost[i] = true end
        end
        offer(self, ("%d-set-%d"):format(p, bits), "every", p, self.upto[p], lost)
      end
    end
  end
end

function families.random(self, first)
  for seed = first or 1, huge do
    local draw = random.new(seed)
    local p = draw(1, max(1, #self.ops))
    local share, lost = draw(), {}
    for i = 1, self.upto[p] do
      if draw() < share then lost[i] = true end
    end
    offer(self, ("%d-random-%d"):format(p, seed), "random", p, self.upto[p], lost)
  end
end

--- Up to so many prefixes come before all else: then what is whole is not taken for what lacks something that does not
-- show.
local FEW = 300

local tiers = {
  { "prefix", "unsynced", "omission", "torn", "empty" },
  { "nameless", "only", "late", "omission_ever" },
  { "pairs" },
  { "every" },
  { "random" },
}

--- Every wish in order of likeliness; many are the same state.
local function wishes(self)
  return wrap(function()
    if #self.ops <= FEW then families.prefix(self) end
    for _, tier in ipairs(tiers) do
      local sources = {}
      for _, family in ipairs(tier) do
        if family ~= "prefix" or #self.ops > FEW then
          sources[#sources + 1] = wrap(function() families[family](self) end)
        end
      end
      while #sources > 0 do
        for k = 1, #sources do
          local state = sources[k]()
          if state then yield(state) else sources[k] = false end
        end
        local left = {}
        for _, source in ipairs(sources) do
          if source then left[#left + 1] = source end
        end
        sources = left
      end
    end
  end)
end

--- So many repetitions in a row end a search that has no other end.
local ENOUGH = 300

local State = {}
State.__index = State

--- What the world had been told.
function State:announced() return self.space:announced(self.point) end

local function finish(self, state)
  state.model, state.space = self.model, self
  state.tree = self.disk:apply(state.last, state.lost, state.torn, state.losses)
  state.key = state.tree.key .. "\1" .. self.told[state.point]
  return setmetatable(state, State)
end

---@class luatrace.StateOptions
---@field model "posix"|"ext4"|"btrfs"|nil default "posix"
---@field budget number|{ states: number?, seconds: number? }|nil default 1000 states
---@field space luatrace.CrashSpace|nil

--- The states, each once, until there are no more or the budget is spent.
---@param record luatrace.WriteRecord
---@param options luatrace.StateOptions|nil
---@return fun(): luatrace.CrashState|nil iterator
---@return luatrace.CrashSpace
function M.each(record, options)
  options = options or {}
  local self = options.space or M.space(record, options.model or "posix")
  local budget = options.budget or 1000
  local most = type(budget) == "table" and (budget.states or huge) or budget
  local deadline = type(budget) == "table" and budget.seconds and sys.monotonic() + budget.seconds * 1e9
  local seen, given, repeated = {}, 0, 0
  local source = wishes(self)
  self.candidates, self.exhausted = 0, false
  return function()
    if given >= most or deadline and sys.monotonic() > deadline then return nil end
    while true do
      local state = source()
      if state and state.family == "random" and repeated > ENOUGH then state = nil end
      if not state then
        self.exhausted = true
        return nil
      end
      self.candidates = self.candidates + 1
      finish(self, state)
      if not seen[state.key] then
        seen[state.key] = true
        given, repeated = given + 1, 0
        return state
      end
      repeated = repeated + 1
    end
  end, self
end

--- A state by its name, however far down the list.
---@param space luatrace.CrashSpace
---@param name string
---@return luatrace.CrashState|nil
function M.find(space, name)
  local seed = tonumber(name:match("^%d+%-random%-(%d+)$"))
  local source = seed and wrap(function() families.random(space, seed) end) or wishes(space)
  for state in source do
    if state.name == name then return finish(space, state) end
    if state.family == "random" then return nil end
  end
end

return M
