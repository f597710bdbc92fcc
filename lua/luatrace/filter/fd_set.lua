--- Sets of descriptors by number, as -e read=, write= and trace-fds= name them.
--
--   local set = fd_set.parse "!0,1,2"
--   fd_set.has(set, 3)              -- true

local M = {}

--- set[3]; set.all; set.others for all but those that are there.
---@param text string "3,4", "all", "none", "!0,1,2"
---@return table|nil set, string? word what is no descriptor
function M.parse(text)
  local set = {}
  if text:sub(1, 1) == "!" then set.others, text = true, text:sub(2) end
  for word in text:gmatch("[^,]+") do
    if word == "all" then
      set.all = true
    elseif word ~= "none" then
      local number = tonumber(word)
      if not number or number < 0 then return nil, word end
      set[number] = true
    end
  end
  return set
end

---@param set table|nil
---@param fd integer
---@return boolean
function M.has(set, fd)
  if not set then return false end
  local named = set.all or set[fd] or false
  if set.others then return not named end
  return named
end

return M
