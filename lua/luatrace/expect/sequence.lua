--- sequence{ "openat $f", "write $f", "fsync $f", "rename $f" }: these calls in this order, of the same file.
--
-- A step is the name of a call (or a set) and the variables that its files are bound to, in the order of its arguments:
-- a descriptor or a path binds a file, the result of an opening call does too. Where a variable is met again it must be
-- the same file: the same path, and in one process the same descriptor. `_` skips an argument.
--
--   sequence { "openat $f", "write $f", "fsync $f", "rename $f $g", "fsync $d" }
--   sequence { { "openat", pathname = "*.tmp", ret = "$f" }, { "write", fd = "$f" }, { "rename", newpath = "*/db" } }
--
-- In a table, fields are arguments by name (and `ret`): a "$variable", a glob for a path, a number, a flag. Other calls
-- may lie between the steps; all threads and processes count, in the order in which the calls return.


local M = { stacks = "all" }

--- So many beginnings are followed at the same time.
local MAX_PARTIAL = 2000

local opening = { open = true, openat = true, openat2 = true, creat = true, memfd_create = true }

local function value_test(self, name, value)
  if type(value) == "number" then
    return function(found) return found == value or type(found) == "table" and found.num == value end
  elseif type(value) == "string" then
    local matches = self:glob(value)
    return function(found, path)
      if type(found) == "table" and found.has then return found:has(value) end
      if type(found) == "table" and found.num then return found.path ~= nil and matches(found.path) end
      return found == value or type(found) == "string" and matches(path or found)
    end
  end
  self:misuse(("sequence: %s takes a \"$variable\", a glob, a flag or a number, not a %s"):format(name, type(value)))
end

local function step_of(self, item, place)
  local step = { variables = {}, fields = {}, label = type(item) == "string" and item or item[1] }
  local words = {}
  for word in (step.label or ""):gmatch("%S+") do words[#words + 1] = word end
  if not words[1] then self:misuse(("sequence: step %d has no call"):format(place)) end
  step.names = self:hear(words[1])
  for i = 2, #words do
    if not words[i]:find("^%$[%a_][%w_]*$") and words[i] ~= "_" then
      self:misuse(("sequence: step %d: after the call come variables such as $f, not %q"):format(place, words[i]))
    end
    step.variables[i - 1] = words[i]
  end
  if type(item) == "table" then
    for name, value in pairs(item) do
      if type(name) == "string" then
        local variable = type(value) == "string" and value:match("^%$[%a_][%w_]*$")
        table.insert(step.fields, { name = name, variable = variable,
          test = not variable and value_test(self, name, value) })
      end
    end
  end
  return step
end

---@param steps table list of steps
function M:start(steps)
  if type(steps) ~= "table" or #steps == 0 then
    self:misuse('sequence takes a list of calls: sequence { "write $f", "fsync $f" }')
  end
  self.steps = {}
  for i, item in ipairs(steps) do
    if type(item) ~= "string" and type(item) ~= "table" then
      self:misuse(("sequence: step %d is a %s, not a string or a table"):format(i, type(item)))
    end
    self.steps[i] = step_of(self, item, i)
  end
  self.partial = { { step = 1, bound = {}, calls = {} } }
  self.known = {}
  self.best = self.partial[1]
end

--- What stands for a file: { path, fd, process }.
local function file_of(record, name)
  if name == "ret" then
    if type(record.ret) ~= "number" then return nil end
    if opening[record.name] then
      return { path = record.path, fd = record.ret, process = record.process.number }
    end
    return { value = record.ret, fd = record.ret, process = record.process.number }
  end
  local value = record[name]
  if type(value) == "table" and value.num then
    return { path = value.path, fd = value.num, process = record.process.number }
  end
  local path = record.path_of and record.path_of[name]
  if path then return { path = path } end
  if value ~= nil then return { value = value } end
end

--- The files of a call in the order of its arguments; of an opening call it is what it opens.
local function files_of(record)
  local files = {}
  if opening[record.name] then
    files[1] = file_of(record, "ret")
    return files
  end
  for i = 1, #record.row do
    local role, name = record.row[i].type.role, record.row[i].name
    local is_directory = record.row[i].type.dirfd == nil and name:find("dirfd$")
    if (role == "fd" or role == "path") and not is_directory then files[#files + 1] = file_of(record, name) end
  end
  if #files == 0 and record.row.returns.role == "fd" then files[1] = file_of(record, "ret") end
  return files
end

local function same(a, b)
  if a.fd and b.fd and a.process == b.process then
    return a.fd == b.fd and (not a.path or not b.path or a.path == b.path)
  end
  if a.path or b.path then return a.path == b.path end
  return a.value == b.value
end

--- The variables after this step, or nil when it does not fit.
local function bind(step, record, bound)
  local new
  local function unify(variable, file)
    if variable == "_" then return true end
    if not file then return false end
    local known = (new or bound)[variable]
    if known then return same(known, file) end
    new = new or setmetatable({}, { __index = bound })
    new[variable] = file
    return true
  end
  if #step.variables > 0 then
    local files = files_of(record)
    for i, variable in ipairs(step.variables) do
      if not unify(variable, files[i]) then return nil end
    end
  end
  for _, field in ipairs(step.fields) do
    if field.variable then
      if not unify(field.variable, file_of(record, field.name)) then return nil end
    elseif not field.test(record[field.name], record.path_of and record.path_of[field.name]) then
      return nil
    end
  end
  return new or bound
end

local function key_of(partial)
  local parts = { partial.step }
  local names = {}
  local level = partial.bound
  while level do
    for name in pairs(level) do names[#names + 1] = name end
    local meta = getmetatable(level)
    level = meta and meta.__index
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local file = partial.bound[name]
    parts[#parts + 1] = ("%s=%s,%s,%s,%s"):format(name, tostring(file.path), tostring(file.fd), tostring(file.process),
      tostring(file.value))
  end
  return table.concat(parts, "|")
end

function M:returned(record)
  if self.complete or record.failed or record.ret == nil then return end
  local partial = self.partial
  -- Those that this call begins are not to be led on by the same call.
  for i = #partial, 1, -1 do
    local one = partial[i]
    local step = self.steps[one.step]
    local bound = step.names[record.name] and bind(step, record, one.bound)
    if bound then
      local next_one = { step = one.step + 1, bound = bound, calls = { one.calls, record } }
      if next_one.step > #self.steps then
        self.complete = true
        return
      end
      local key = key_of(next_one)
      if not self.known[key] and #partial < MAX_PARTIAL then
        self.known[key] = true
        partial[#partial + 1] = next_one
      elseif not self.known[key] then
        self.too_many = true
      end
      if next_one.step >= self.best.step then self.best = next_one end
    end
  end
end

--- The calls of a partial sequence, first to last.
local function calls_of(chain)
  local list = {}
  while chain and chain[2] do
    table.insert(list, 1, chain[2])
    chain = chain[1]
  end
  return list
end

function M:verdict()
  if self.complete then return end
  local missing = self.steps[self.best.step]
  if self.too_many then
    return self:failed(("it cannot be decided: over %d files begin it; narrow its first steps"):format(MAX_PARTIAL))
  end
  if self.best.step == 1 then
    return self:failed(("it never began: there was no %s"):format(missing.label))
  end
  return self:failed(("step %d of %d never came: %s; as far as it got:"):format(self.best.step, #self.steps,
    missing.label), calls_of(self.best.calls))
end

return M
