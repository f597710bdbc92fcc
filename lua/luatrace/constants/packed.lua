--- Sets of constants as text: so the build embeds them (scripts/embed.lua), since thousands of small tables that a run
-- never looks at would take their time at its start. Read from source files, the tables are as they stand there.
--
--   packed.set { kind = "flags", prefix = "O_", { "O_RDONLY", 0 }, { "O_CREAT", 64 } }
--                                         --> "flags O_\nO_RDONLY 0\nO_CREAT 64\n"
--   packed.open_set(text)                 -- the set again
--   packed.map { [21505] = "TCGETS" }     --> "\n21505 TCGETS\n"
--   packed.open_map(text)[21505]          --> "TCGETS"

local ffi = require "ffi"

local M = {}

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
  local kind, prefix, lines = text:match("^(%l+) ([^\n]*)\n(.*)$")
  local set = { kind = kind, prefix = prefix }
  for name, value in lines:gmatch("(%S+) (%S+)\n") do set[#set + 1] = { name, number(value) } end
  return set
end

---@param map table<string|number, string|number>
---@return string
function M.map(map)
  local lines = {}
  for from, to in pairs(map) do lines[#lines + 1] = ("%s %s"):format(from, to) end
  table.sort(lines)
  return "\n" .. table.concat(lines, "\n") .. "\n"
end

--- A map whose entries are looked up in the text. It cannot be walked through.
---@param text string
---@return table
function M.open_map(text)
  return setmetatable({}, { __index = function(map, key)
    local _, before = text:find("\n" .. key .. " ", 1, true)
    if not before then return nil end
    local value = text:sub(before + 1, text:find("\n", before, true) - 1)
    value = tonumber(value) or value
    rawset(map, key, value)
    return value
  end })
end

return M
