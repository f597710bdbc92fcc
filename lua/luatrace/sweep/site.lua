--- Where a call was made: the same number for the same place in the program, in every run and on every machine that has
-- the same files.
--
--   local site, frames, loader = sites:of(call:stack(), call.process.exe)
--
-- A site is a hash of the frames' places (build id of the file, or its name, and offset in it), from the call out to
-- main; frames of the dynamic loader are left out, and so is recursion. `loader`: the call was made by the dynamic
-- loader before the program itself ran.

local bit = require "bit"

local M = {}

local Sites = {}
Sites.__index = Sites

function M.new() return setmetatable({ builds = {} }, Sites) end

local PT_NOTE, NT_GNU_BUILD_ID = 4, 3

--- The build id of an ELF file, in hexadecimal; nil when it has none. Only its beginning is looked at.
local function build_id(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local head = file:read(64 * 1024) or ""
  file:close()
  if #head < 64 or head:sub(1, 5) ~= "\127ELF\2" then return nil end
  -- Little-endian; 0 past the end.
  local function number(at, size)
    local value = 0
    for i = size, 1, -1 do value = value * 256 + (head:byte(at + i) or 0) end
    return value
  end
  local offset, size, count = number(32, 8), number(54, 2), number(56, 2)
  for i = 0, count - 1 do
    local header = offset + i * size
    if number(header, 4) == PT_NOTE then
      local at, length = number(header + 8, 8), number(header + 32, 8)
      local finish = math.min(at + length, #head)
      while at + 12 <= finish do
        local names, bytes, kind = number(at, 4), number(at + 4, 4),
          number(at + 8, 4)
        local data = at + 12 + math.ceil(names / 4) * 4
        if kind == NT_GNU_BUILD_ID and names == 4 and bytes <= 64 then
          return (head:sub(data + 1, data + bytes):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
        end
        at = data + math.ceil(bytes / 4) * 4
      end
    end
  end
end

local function base_name(path) return path:match("[^/]*$") end

function Sites:build(path)
  local known = self.builds[path]
  if known == nil then
    known = build_id(path) or base_name(path)
    self.builds[path] = known
  end
  return known
end

local function is_loader(module)
  local name = base_name(module)
  return name:find("^ld%-") ~= nil or name:find("^ld%.so") ~= nil or name:find("^ld%-musl") ~= nil
end

--- FNV-1a with 64 bits.
local function hash_of(text)
  local hash = 0xcbf29ce484222325ULL
  for i = 1, #text do hash = bit.bxor(hash, text:byte(i)) * 0x100000001b3ULL end
  return bit.tohex(hash)
end

--- A frame for people: "main+0x1f (sort)".
local function frame_text(frame)
  local module = frame.module and base_name(frame.module)
  if frame.symbol then
    return ("%s+0x%x%s"):format(frame.symbol, frame.offset, module and " (" .. module .. ")" or "")
  end
  if module then return ("%s+0x%x"):format(module, frame.module_offset) end
  return "0x?"
end

---@param stack table[] of call:stack()
---@param exe string|nil path of the program
---@return string site, string[] frames, boolean loader
function Sites:of(stack, exe)
  local parts, frames = {}, {}
  local has_loader, has_program = false, false
  local last
  for _, frame in ipairs(stack) do
    local module = frame.module
    if module and module == exe then has_program = true end
    if module and is_loader(module) and module ~= exe then
      has_loader = true
    else
      local place = module and ("%s+%x"):format(self:build(module), frame.module_offset or 0) or "?"
      -- Recursion: a directory deeper is no other place.
      if place ~= last and parts[#parts - 1] ~= place then
        parts[#parts + 1] = place
        frames[#frames + 1] = frame_text(frame)
      end
      last = place
    end
    if frame.symbol == "main" then break end
  end
  return hash_of(table.concat(parts, " ")), frames, has_loader and not has_program
end

return M
