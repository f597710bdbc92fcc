--- How text shows what has more than one writing: bytes (-x, -xx), named numbers (-X), ids of processes (-Y).
--
-- Types print through this module and do not know the command line; whoever opens a text output sets it.
--
--   style.set { strings = "all", constants = "verbose" }
--   style.constant("0x2", "O_RDWR")      -- "0x2 /* O_RDWR */"; "O_RDWR" by default, "0x2" when raw

local M = {}

---@class luatrace.TextWriting
---@field strings "none"|"non-ascii-chars"|"non-ascii"|"all" what is written as \x1f
---@field constants "abbrev"|"raw"|"verbose"
local defaults = { strings = "none", constants = "abbrev" }

--- The writing in force; read by text/quote.lua and by types.
M.now = { strings = defaults.strings, constants = defaults.constants }

---@param writing luatrace.TextWriting|nil what is left out is as strace has it by default
function M.set(writing)
  for key, default in pairs(defaults) do M.now[key] = writing and writing[key] or default end
end

local now = M.now

--- A number that has a name.
---@param number string the number as it is written
---@param name string|nil its name; nil: it has none
---@param unknown string|nil what is said about a number without a name: "F_???"
---@return string
function M.constant(number, name, unknown)
  local how = now.constants
  if how == "raw" then return number end
  if name then return how == "abbrev" and name or number .. " /* " .. name .. " */" end
  return unknown and number .. " /* " .. unknown .. " */" or number
end

--- A number whose text in names has been made: "O_RDWR|O_CLOEXEC", "0x80 /* O_??? */".
---@param number string
---@param text string
---@return string
function M.described(number, text)
  local how = now.constants
  if how == "abbrev" then return text end
  if how == "raw" or text == number then return number end
  -- What has no name at all says so already.
  if text:find("^%w+ /%*") then return text end
  return number .. " /* " .. text .. " */"
end

return M
