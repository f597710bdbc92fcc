--- The shape of a row, checked when the tables are loaded: a mistake in a table is found at start, with its name.
--
-- A row: { returns = TYPE, {"argument", TYPE, when = fn(call)}, ..., classes = "file desc", errors = {...} }
--
--   - arguments are in the order of the registers, named as in the manual page; at most six
--   - `when`: the argument counts only if this holds (open's mode); it is then left out of text
--   - siblings that a type names must be arguments of the row, "ret", or fields of the struct around it
--   - `classes`: what strace calls %file, %desc, ...; paths and descriptors bring %file and %desc by themselves

local M = {}

local function fail(name, text) error(("table of calls: %s: %s"):format(name, text), 0) end

--- Checks a row and completes it: name, index, classes.
---@param name string
---@param row table
---@return table row
function M.check(name, row)
  if type(row) ~= "table" then fail(name, "a row is a table") end
  if #row > 6 then fail(name, "a call has at most six arguments") end
  if type(row.returns) ~= "table" then fail(name, "`returns` must be a type") end
  local index, classes = {}, {}
  for class in (row.classes or ""):gmatch("%S+") do classes[class] = true end
  for i, argument in ipairs(row) do
    local argument_name, argument_type = argument[1], argument[2]
    if type(argument_name) ~= "string" then fail(name, ("argument %d has no name"):format(i)) end
    if type(argument_type) ~= "table" or not argument_type.load then
      fail(name, ("argument %s: not a type that fits into a register"):format(argument_name))
    end
    if index[argument_name] then fail(name, ("two arguments are called %s"):format(argument_name)) end
    if argument.when and type(argument.when) ~= "function" then
      fail(name, argument_name .. ": `when` is a function")
    end
    index[argument_name] = i
    if argument_type.role == "path" then classes.file = true end
    if argument_type.role == "fd" then classes.desc = true end
  end
  for i, argument in ipairs(row) do
    local dirfd = argument[2].dirfd
    if dirfd and not index[dirfd] then fail(name, ("%s: there is no argument %s"):format(row[i][1], dirfd)) end
    row[i] = { name = argument[1], type = argument[2], when = argument.when }
  end
  if row.returns.role == "fd" then classes.desc = true end
  row.name, row.index, row.classes = name, index, classes
  return row
end

return M
