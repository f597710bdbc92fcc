--- Tables as text: so the build embeds them (scripts/embed.lua), since thousands of small tables that a run never looks
-- at would take their time at its start. Read from source files, the tables are as they stand there.
--
--   packed.set { kind = "flags", prefix = "O_", { "O_RDONLY", 0 }, { "O_CREAT", 64 } }
--                                         --> "flags O_\nO_RDONLY 0\nO_CREAT 64\n"
--   packed.open_set(text)                 -- the set again
--   packed.map { [21505] = "TCGETS" }     --> "21505 TCGETS\n"
--   packed.whole(text)                    --> { [21505] = "TCGETS" }
--   packed.text "map ioctl by_value"      -- what the build embedded under that name; nil in a source tree
--   packed.open_map "map ioctl by_value"  -- the same as a table that looks its entries up

local ffi = require "ffi"

local M = {}

local find = package.preload["luatrace.embedded_text"] and require "luatrace.embedded_text"

--- Is this a source tree, without texts?
M.is_source = not find

---@param name string
---@return string|nil
function M.text(name) return find and find(name) end

---@param set table
---@return string
function M.set(set)
  local lines = { set.kind .. " " .. set.prefix }
  for i = 1, #set do
    local value = set[i][2]
    lines[i + 1] = ("%s %s"):format(set[i][1], type(value) == "cdata" and tostring(value) or ("%.0f"):format(value))
  end
  return table.concat(lines, "\n") .. "\n"
end

--- "12", "-3", "18446744073709551615ULL"
local function number(text)
  local digits = text:match("^(%d+)ULL$")
  if not digits then return tonumber(text) end
  local value = 0ULL
  for digit in digits:gmatch("%d") do value = value * 10 + ffi.cast("uint64_t", tonumber(digit)) end
  return value
end

---@param text string
---@return table
function M.open_set(text)
  local kind, prefix = text:match("^(%l+) ([^\n]*)\n")
  local set = { kind = kind, prefix = prefix }
  for name, value in text:gmatch("\n(%S+) (%S+)") do set[#set + 1] = { name, number(value) } end
  return set
end

--- Keys have no spaces, values no line ends.
---@param map table<string|number, string|number>
---@return string
function M.map(map)
  local lines = {}
  for from, to in pairs(map) do lines[#lines + 1] = ("%s %s\n"):format(from, to) end
  table.sort(lines)
  return table.concat(lines)
end

--- A map whose entries are looked up in an embedded text. It cannot be walked through: `whole` is for that.
---@param name string
---@return table
function M.open_map(name)
  return setmetatable({}, { text = name, __index = function(map, key)
    if type(key) ~= "string" and type(key) ~= "number" then return nil end
    local value = find(name, key)
    value = tonumber(value) or value
    if value ~= nil then rawset(map, key, value) end
    return value
  end })
end

--- All entries of a map, of a text or of one that was opened.
---@param map string|table
---@return table
function M.whole(map)
  local text = map
  if type(map) == "table" then
    local name = (getmetatable(map) or {}).text
    if not name then return map end
    text = find(name)
  end
  local all = {}
  for from, to in text:gmatch("(%S+) ([^\n]*)\n") do all[tonumber(from) or from] = tonumber(to) or to end
  return all
end

return M
