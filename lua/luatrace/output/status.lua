--- Which calls -e status= shows, -z and -Z among them, by what has become of them.
--
--   status.is_shown({ failed = true }, call)

local M = {}

--- Is a call that the program goes on from shown?
---@param wanted table<string, boolean>|nil of strace's words: successful, failed, unavailable, ...; nil: all are
---@param call luatrace.Call
---@return boolean
function M.is_shown(wanted, call)
  if not wanted then return true end
  -- Nobody knows what came of a call whose return was not looked at (call:skip_exit).
  local word = call.failed and "failed" or call.raw_ret == nil and "unavailable" or "successful"
  return wanted[word] or false
end

return M
