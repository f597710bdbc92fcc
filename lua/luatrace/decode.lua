--- From a row and a call to values, text, plain tables and memory ranges; and back, for assignments.
--
--   local row = decode.row("x86_64", 257)          -- openat
--   decode.value(call, row.index.pathname)         -- "/etc/passwd"
--   decode.text_args(call, out, "entry")           -- appends `AT_FDCWD, "/etc/passwd", O_RDONLY`
--   decode.assign(call, row.index.pathname, "/x")
--
-- `call` is what event.lua makes of a stop, or in a spec any table with arch, row, raw, phase, raw_ret, failed, errno
-- and memory (read, write, cstring, alloc).

local constants = require "luatrace.constants"
local footprint = require "luatrace.decode.footprint"
local multiplexed = require "luatrace.decode.multiplexed"
local packed = require "luatrace.packed"
local schema = require "luatrace.schema"
local syscalls = require "luatrace.syscalls"
local types = require "luatrace.types"

local M = {}

-- --- rows -----------------------------------------------------------------------------------------------------------

local by_arch = {}
local empty = {}

--- x32 calls are x86-64's, but for numbers of their own.
local row_arch = { x32 = "x86_64" }

local function generic(name)
  local row = { returns = types.long }
  for i = 1, 6 do row[i] = { "arg" .. i, types.xlong } end
  row.is_generic = true
  return schema.check(name, row)
end

local function instance(arch, name, nr)
  local base = syscalls.find(row_arch[arch] or arch, name) or generic(name)
  local row = { nr = nr }
  for key, value in pairs(base) do row[key] = value end
  return row
end

--- A call inside another has its own row, with the number of the call around it: it can be told by that alone.
local function inner_instance(arch, name, number)
  local nr, test = multiplexed.outer(number)
  local row = instance(arch, name, nr)
  row.inner = test.value
  return row
end

local function tables(arch)
  local known = by_arch[arch]
  if not known then
    known = { rows = {}, numbers = constants.numbers[arch] or error("unknown architecture " .. tostring(arch)) }
    by_arch[arch] = known
  end
  return known
end

--- The row of a call number, or of one of luatrace.decode.multiplexed; one is made for a number that no table knows.
---@param arch "x86_64"|"i386"|"x32"
---@param nr integer
---@return table row
function M.row(arch, nr)
  local known = tables(arch)
  local row = known.rows[nr]
  if not row then
    local inner = arch == "i386" and multiplexed.name(nr)
    row = inner and inner_instance(arch, inner, nr) or
      instance(arch, known.numbers.by_value[nr] or ("syscall_0x%x"):format(nr), nr)
    known.rows[nr] = row
  end
  return row
end

---@param name string
---@return table|nil row
function M.find(arch, name)
  local nr = M.number(arch, name)
  return nr and M.row(arch, nr) or nil
end

--- The number of a call, where it has several its own; nil when the architecture has none of that name.
---@param name string
---@return integer|nil
function M.number(arch, name)
  return tables(arch).numbers.by_name[name] or arch == "i386" and multiplexed.numbers[name] or nil
end

--- The name of a call number.
---@return string|nil
function M.name_of(arch, nr) return tables(arch).numbers.by_value[nr] end

--- All known names of an architecture's calls, as keys. For one name, `number` is cheaper.
---@return table<string, integer>
function M.names(arch)
  local known = tables(arch)
  if known.names then return known.names end
  known.names = packed.whole(known.numbers.by_name)
  if arch == "i386" then
    local own = known.names
    known.names = {}
    for _, numbers in ipairs { multiplexed.numbers, own } do
      for name, number in pairs(numbers) do known.names[name] = number end
    end
  end
  return known.names
end

--- The classes of an architecture's calls, each with the names of its calls: { file = "open openat ..." }.
---@return table<string, string>
function M.classes(arch)
  local known = tables(arch)
  if known.classes then return known.classes end
  local text = packed.text("classes " .. arch)
  if text then
    known.classes = packed.whole(text)
    return known.classes
  end
  local lists = {}
  for name in pairs(M.names(arch)) do
    for class in pairs(M.find(arch, name).classes) do
      lists[class] = lists[class] or {}
      table.insert(lists[class], name)
    end
  end
  for class, names in pairs(lists) do
    table.sort(names)
    lists[class] = table.concat(names, " ")
  end
  known.classes = lists
  return lists
end

--- All numbers by which a call can be made: on i386 those of luatrace.decode.multiplexed are among them.
---@param name string
---@return integer[]
function M.numbers(arch, name)
  local list = { M.number(arch, name) }
  local inner = arch == "i386" and multiplexed.numbers[name]
  if inner and inner ~= list[1] then list[2] = inner end
  return list
end

-- --- values ---------------------------------------------------------------------------------------------------------

local function is_used(call, argument) return not argument.when or argument.when(call) end

--- What a script gets for an argument: nil, message, "EAGAIN" for what is only there after the call.
---@param i integer the argument's place
---@return any value, string? message, string? errno
function M.value(call, i)
  local argument_type = call.row[i].type
  local value, message, name = argument_type.read(call, argument_type.load(call, call.raw[i]))
  -- A struct whose fields are assigned must know which argument to move.
  if type(value) == "table" and getmetatable(value) and rawget(value, "call") then rawset(value, "argument", i) end
  return value, message, name
end

--- The call's result as a script sees it: a number, an fd; nil, errno when it failed.
---@return any value, string? errno
function M.ret(call)
  if call.failed then return nil, call.errno end
  if call.raw_ret == nil then return nil end
  local returns = call.row.returns
  return returns.read(call, returns.load(call, call.raw_ret))
end

--- Notes at entry what the kernel overwrites: the length that accept(2) is given. Whoever wants the exit of a call
-- whose row says `remembers` calls this before it runs; text does.
function M.remember(call)
  local row, raw = call.row, call.raw
  for i = 1, #row do
    local at_entry = row[i].type.at_entry
    if at_entry then at_entry(call, row[i].type.load(call, raw[i])) end
  end
end

--- For JSON.
function M.plain(call, i)
  local argument_type = call.row[i].type
  return argument_type.plain(call, argument_type.load(call, call.raw[i]))
end

--- A named struct at an address.
function M.read_struct(call, name, address)
  local structs = require "luatrace.structs"
  local struct = structs[name]
  if type(struct) ~= "table" or not struct.fetch then
    error(("there is no struct %q"):format(tostring(name)), 3)
  end
  local value = struct.fetch(call, address)
  if value == nil then return nil, "Bad address", "EFAULT" end
  return struct.value(call, value)
end

--- Gives an argument another value: before the call what will run, after it what the program sees.
---@return true|nil ok, string? message, string? errno
function M.assign(call, i, value)
  local argument = call.row[i]
  local argument_type = argument.type
  local what = ("%s: %s"):format(call.row.name, argument.name)
  local raw = argument_type.load(call, call.raw[i])
  local new, message, name
  local ok, failure = pcall(function()
    if argument_type.assign then
      new, message, name = argument_type.assign(call, raw, value, what)
    else
      new = argument_type.encode(call, value, what)
    end
  end)
  if not ok then return nil, failure, "EINVAL" end
  if new == nil then return nil, message, name end
  if call.phase == "entry" then
    call:set_raw(i, new)
  elseif new ~= raw or not (argument_type.chosen and argument_type.chosen(call) or argument_type).direction then
    return nil, "it can only be changed before call:run()", "EINVAL"
  end
  return true
end

-- --- text -----------------------------------------------------------------------------------------------------------

--- A row's arguments in the order of the text, with how each begins.
local function text_plan(row)
  local plan = row.text_plan
  if plan then return plan end
  plan = { always_late = nil }
  for place = 1, #row do
    local i = row.order and row.index[row.order[place]] or place
    plan[place] = { i = i, type = row[i].type, when = row[i].when, label = row[i].label }
    local late = row[i].type.late
    if type(late) == "function" then plan.varies = true end
    if late == true and not plan.late then plan.late = place end
  end
  row.text_plan = plan
  return plan
end

--- How a row's text is made, argument by argument; nil when it has a text of its own.
---@return { late: integer?, varies: boolean? }|nil
function M.text_plan(row) return not row.text and text_plan(row) or nil end

--- The place of the first argument that is known only when the call has returned; from it on, strace waits too.
local function first_late(call, plan)
  if not plan.varies then return plan.late or #plan + 1 end
  for place = 1, #plan do
    local late = plan[place].type.late
    if late and (late == true or late(call)) and is_used(call, plan[place]) then return place end
  end
  return #plan + 1
end

--- So much is read ahead of each pointer: paths and most structs fit.
local AHEAD, PAGE = 512, 4096

--- Two pointers or more whose targets will be printed: one read for all.
local function read_ahead(call, plan, from, to, phase)
  local memory, raw = call.memory, call.raw
  if not memory or not memory.prefetch then return false end
  local ranges
  local first
  for place = from, to do
    local argument = plan[place]
    local direction = argument.type.direction
    local wanted = direction and (direction == "in" or phase == "exit" and not call.failed)
    local address = wanted and raw[argument.i]
    if address and type(address) == "number" and address > PAGE and is_used(call, argument) then
      local range = { address, math.min(AHEAD, PAGE - address % PAGE) }
      if not first then
        first = range
      else
        ranges = ranges or { first }
        ranges[#ranges + 1] = range
      end
    end
  end
  if not ranges then return false end
  memory:prefetch(ranges)
  return true
end

--- Appends the arguments that are known at this phase: at "entry" those before the first late one, at "exit" the rest.
-- The comma before the first late one is there at entry already, as strace has it: "read(3, ".
---@param out table string.buffer
---@param phase "entry"|"exit"
function M.text_args(call, out, phase)
  local row, raw = call.row, call.raw
  if row.text then return phase == "entry" and row.text(out, call) or nil end
  local plan = text_plan(row)
  local late = first_late(call, plan)
  local from, to = 1, #plan
  if phase == "entry" then to = late - 1 else from = late end
  local first = phase == "entry" or late == 1
  -- -N: every argument has a label, its name.
  local options = call.text_options
  local named = options and options.names
  local ahead = to > from and read_ahead(call, plan, from, to, phase)
  for place = from, to do
    local argument = plan[place]
    if not argument.when or argument.when(call) then
      -- At exit the first comma is there already, but for labels (strace's clone) and what was begun at entry.
      if first then
        first = false
      elseif place > late or phase == "entry" or argument.label or named then
        out:put(", ")
      end
      if named then
        out:put(row[argument.i].name, "=")
      elseif argument.label then
        out:put(argument.label, "=")
      end
      argument.type.text(out, call, argument.type.load(call, raw[argument.i]))
    end
  end
  if ahead then call.memory:forget() end
  if phase ~= "entry" then return end
  local waiting = plan[late]
  if waiting then
    if late > 1 and not waiting.label and not named then out:put(", ") end
    if waiting.type.early then waiting.type.early(out, call, waiting.type.load(call, raw[waiting.i])) end
  end
  if row.remembers then M.remember(call) end
end

local restarts = { ERESTARTSYS = true, ERESTARTNOINTR = true, ERESTARTNOHAND = true, ERESTART_RESTARTBLOCK = true }

--- Appends what follows "= ".
function M.text_result(call, out)
  if call.failed then
    local name = call.errno
    local message = constants.errno.text[name]
    if restarts[name] then
      out:put("? ", name, " (", message, ")")
    else
      out:put("-1 ", name, message and " (" .. message .. ")" or "")
    end
    return
  end
  local returns = call.row.returns
  local value = returns.load(call, call.raw_ret)
  returns.text(out, call, value)
  if call.row.comment then
    local comment = call.row.comment(call, value)
    if comment then out:put(" (", comment, ")") end
  end
end

--- The memory that a call reads, and what it has written: see decode/footprint.lua.
---@return { argument: string, direction: "read"|"written", address: any, length: integer }[]
function M.footprint(call) return footprint.of(call) end

--- Names of a row's arguments, for messages.
function M.argument_names(row)
  local names = {}
  for i = 1, #(row or empty) do names[i] = row[i].name end
  return names
end

return M
