--- The kernel's names and numbers: system calls, errors, signals, flag sets and enumerations.
--
--   local constants = require "luatrace.constants"
--   constants.flags.open_flags.by_name.O_CREAT        --> 64
--   constants.enums.fcntl_cmd.by_value[2]             --> "F_SETFD"
--   constants.errno.by_value[2]                       --> "ENOENT"
--   constants.errno.text.ENOENT                       --> "No such file or directory"
--   constants.signals.by_value[9]                     --> "SIGKILL"
--   constants.numbers.x86_64.by_name.openat           --> 257
--   constants.ioctl.by_value[0x5401]                  --> "TCGETS"
--
-- A set is `{ name="open_flags", kind="flags"|"enum", prefix="O_", {"O_CREAT", 64}, ... }`, its entries in the
-- order in which strace prints them. `by_name` and `by_value` are built when they are first asked for. A value
-- above 2^53 is a uint64 cdata: it is in the entries and in `by_name`, not in `by_value` (cdata are no table keys).
-- Where one value has several names, `by_value` gives the first.
--
-- Sets live in rooms, one file per subject, loaded when the first set of theirs is asked for. All but this file is
-- written by scripts/generate-constants from the tables in scripts/constants; `constants.index` says which room
-- has which set. In the built program sets and maps are text, each by itself (packed.lua).

local packed = require "luatrace.packed"

---@class luatrace.constant_set
---@field name string
---@field kind "flags"|"enum"
---@field prefix string what the names have in common; "" when nothing
---@field by_name table<string, number|ffi.cdata*>
---@field by_value table<number, string>

---@class luatrace.name_map
---@field by_name table<string, number>
---@field by_value table<number, string>

local set_meta = {}

function set_meta.__index(set, key)
  local map = {}
  if key == "by_name" then
    for i = 1, #set do map[set[i][1]] = set[i][2] end
  elseif key == "by_value" then
    for i = 1, #set do
      local value = set[i][2]
      if type(value) == "number" and map[value] == nil then map[value] = set[i][1] end
    end
  else
    return nil
  end
  rawset(set, key, map)
  return map
end

local map_meta = {}

-- A map is stored in one direction and turned round when the other one is asked for.
function map_meta.__index(map, key)
  local source = (key == "by_name" and rawget(map, "by_value")) or (key == "by_value" and rawget(map, "by_name"))
  if not source then return nil end
  local turned = {}
  for from, to in pairs(source) do
    if type(to) == "string" and to:find " or " then
      for name in to:gmatch "[%w_]+" do
        if name ~= "or" then turned[name] = from end
      end
    else
      turned[to] = from
    end
  end
  for name, value in pairs(rawget(map, "aliases") or {}) do turned[name] = value end
  rawset(map, key, turned)
  return turned
end

--- The set of that name, or nil. Loads its room.
---@param name string
---@return luatrace.constant_set|nil
local function load_set(name)
  local text = packed.text("set " .. name)
  local set
  if text then
    set = packed.open_set(text)
  else
    local room = packed.is_source and require("luatrace.constants.index")[name]
    if not room then return nil end
    set = require("luatrace.constants." .. room)[name]
  end
  set.name = name
  return setmetatable(set, set_meta)
end

--- A table that fills itself by `load`, one key at a time.
local function lazy(load)
  return setmetatable({}, {
    __index = function(self, key)
      local value = load(key)
      if value ~= nil then rawset(self, key, value) end
      return value
    end,
  })
end

local function load_map(module)
  return function()
    if packed.is_source then return setmetatable(require("luatrace.constants." .. module), map_meta) end
    return lazy(function(direction) return packed.open_map(("map %s %s"):format(module, direction)) end)
  end
end

local arches = { x86_64 = "numbers_x86_64", i386 = "numbers_i386", x32 = "numbers_x32" }

local single = {
  errno = load_map "errno",
  signals = load_map "signals",
  ioctl = load_map "ioctl",
  numbers = function()
    return lazy(function(arch)
      return arches[arch] and load_map(arches[arch])()
    end)
  end,
  -- One table under both names: whoever asks says what it takes the set for, `kind` says what it is.
  flags = function() return lazy(load_set) end,
  index = function() return require "luatrace.constants.index" end,
}

---@class luatrace.constants
---@field flags table<string, luatrace.constant_set>
---@field enums table<string, luatrace.constant_set> the same sets as `flags`
---@field errno luatrace.name_map with `text`: name -> what strerror says
---@field signals luatrace.name_map
---@field numbers table<"x86_64"|"i386"|"x32", luatrace.name_map> x32 numbers carry bit 30
---@field ioctl luatrace.name_map `by_value` may be "A or B", as strace prints it
---@field index table<string, string> set name -> room, in a source tree
local constants = lazy(function(key)
  local load = single[key]
  return load and load()
end)

constants.enums = constants.flags

--- All maps of a source tree, by the names of their files: the build embeds them.
---@return table<string, luatrace.name_map>
function constants.maps()
  local maps = { errno = constants.errno, signals = constants.signals, ioctl = constants.ioctl }
  for arch, file in pairs(arches) do maps[file] = constants.numbers[arch] end
  return maps
end

return constants
