--- Programs that are to get privileges from their file (set-user-ID, set-group-ID, capabilities) and do not: Linux
-- heeds that neither under a tracer without CAP_SYS_PTRACE nor with no_new_privs. What they then say (sudo: "effective
-- uid is not 0", ping: "Operation not permitted") names other causes.
--
--   privileges.lost(process)    -- just executed: "/usr/bin/sudo is set-user-ID, which ...", or nil

local bit = require "bit"
local constants = require "luatrace.constants"
local files = require "luatrace.sys.files"
local quote = require "luatrace.text.quote"
local sys = require "luatrace.sys"

local M = {}

--- A set-group-ID bit without the group's x bit means something else.
local kinds = {
  { name = "set-user-ID", bits = 0x800, owner = "uid", line = "\nUid:%s+%d+%s+(%d+)" },
  { name = "set-group-ID", bits = 0x408, owner = "gid", line = "\nGid:%s+%d+%s+(%d+)" },
}

---@return string|nil of_file, string|nil runs
local function lost_owner(exe, status)
  local stat = files.stat(exe)
  if not stat or bit.band(stat.mode, 0xc00) == 0 then return nil end
  for _, kind in ipairs(kinds) do
    local effective = tonumber(status():match(kind.line))
    if bit.band(stat.mode, kind.bits) == kind.bits and effective and effective ~= stat[kind.owner] then
      return "is " .. kind.name, ("with %s %d"):format(kind.owner, effective)
    end
  end
end

--- Two words of 32 bits, the lower one first, of a set in /proc/PID/status.
local function capability_set(status, name)
  local high, low = status:match("\n" .. name .. ":%s+(%x%x%x%x%x%x%x%x)(%x%x%x%x%x%x%x%x)")
  if not high then return nil end
  return { tonumber(low, 16), tonumber(high, 16) }
end

local function u32(bytes, at)
  local a, b, c, d = bytes:byte(at, at + 3)
  return a + b * 256 + c * 65536 + d * 16777216
end

--- struct vfs_cap_data: the revision in the highest byte, then for each word what is permitted and what is inheritable.
-- The third revision is about a user namespace that is not ours.
local sizes = { [1] = 12, [2] = 20 }

---@return string|nil of_file, string|nil runs
local function lost_capabilities(exe, status)
  local bytes = files.xattr(exe, "security.capability")
  if not bytes or #bytes < 4 or #bytes ~= sizes[bytes:byte(4)] then return nil end
  local has, may_have = capability_set(status(), "CapPrm"), capability_set(status(), "CapBnd")
  if not has or not may_have then return nil end
  local names = {}
  for word = 1, (#bytes - 4) / 8 do
    local lost = bit.band(u32(bytes, word * 8 - 3), may_have[word], bit.bnot(has[word]))
    for i = 0, 31 do
      if bit.band(lost, bit.lshift(1, i)) ~= 0 then
        local number = (word - 1) * 32 + i
        local name = constants.enums.capability.by_value[number]
        names[#names + 1] = name and name:lower() or tostring(number)
      end
    end
  end
  if #names == 0 then return nil end
  return ("has %s (getcap)"):format(table.concat(names, ",")), "without"
end

---@param process luatrace.Process
---@return string|nil
function M.lost(process)
  local text
  local function status()
    text = text or sys.read_file(("/proc/%d/status"):format(process.pid)) or ""
    return text
  end
  local exe = ("/proc/%d/exe"):format(process.pid)
  local of_file, runs = lost_owner(exe, status)
  if not of_file then of_file, runs = lost_capabilities(exe, status) end
  if not of_file then return nil end
  -- It would have lost them without us, too.
  if (sys.read_file("/proc/self/status") or ""):find("\nNoNewPrivs:%s+1") then return nil end
  return ("%s %s, which Linux does not heed under a tracer without privileges: it runs %s " ..
    "(as root, luatrace -u USER traces it as it is)"):format(quote.path(process.exe or "?"), of_file, runs)
end

return M
