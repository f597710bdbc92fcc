--- Programs that are to run as their owner (set-user-ID, set-group-ID) and do not: Linux heeds that neither under a
-- tracer without CAP_SYS_PTRACE nor with no_new_privs. What they then say (sudo: "effective uid is not 0") names other
-- causes.
--
--   set_id.lost(process)        -- just executed: "/usr/bin/sudo is set-user-ID, but ...", or nil

local bit = require "bit"
local files = require "luatrace.sys.files"
local quote = require "luatrace.text.quote"
local sys = require "luatrace.sys"

local M = {}

--- A set-group-ID bit without the group's x bit means something else.
local kinds = {
  { name = "set-user-ID", bits = 0x800, owner = "uid", line = "\nUid:%s+%d+%s+(%d+)" },
  { name = "set-group-ID", bits = 0x408, owner = "gid", line = "\nGid:%s+%d+%s+(%d+)" },
}

---@param process luatrace.Process
---@return string|nil
function M.lost(process)
  local stat = files.stat(("/proc/%d/exe"):format(process.pid))
  if not stat or bit.band(stat.mode, 0xc00) == 0 then return nil end
  local status = sys.read_file(("/proc/%d/status"):format(process.pid)) or ""
  for _, kind in ipairs(kinds) do
    local effective = tonumber(status:match(kind.line))
    if bit.band(stat.mode, kind.bits) == kind.bits and effective and effective ~= stat[kind.owner] then
      return ("%s is %s, which Linux does not heed under a tracer without privileges: it runs with %s %d " ..
        "(as root, luatrace -u USER traces it as it is)"):format(quote.path(process.exe or "?"), kind.name,
        kind.owner, effective)
    end
  end
end

return M
